"""Code that is not ours, and that never returns: it keeps no thread of another bundle, and no server from its end."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import asyncio, threading
from leverframe.serving import apart
from leverframe.serving.choice import RefusedError

class Bundle:
    def __init__(self, waits):
        self.waits = waits
    def predict(self, request, now):
        if self.waits:
            threading.Event().wait()
        if request == "fails":
            raise ValueError("of its own")
        return request

async def asked(bundle, request):
    try:
        return await apart.predicted_apart(bundle, request, None)
    except (RefusedError, ValueError) as error:
        return type(error).__name__

async def main():
    stuck, other = Bundle(True), Bundle(False)
    apart.WAITS = 0.2
    print(set(await asyncio.gather(*(asked(stuck, "row") for _ in range(20)))), threading.active_count())
    apart.WAITS = 60.0
    print(await asyncio.gather(*(asked(other, name) for name in ("row", "fails", *["row"] * 40))))

asyncio.run(main())
"""


def test_code_that_never_returns_keeps_neither_other_bundles_nor_the_end_of_the_server() -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True)
    refused, answered = ended.stdout.splitlines()
    assert refused == "{'RefusedError'} 17"
    assert answered == str(["row", "ValueError", *["row"] * 40])
