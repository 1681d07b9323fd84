"""The record that names a server: who is no longer named by it ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path

import pytest

from leverframe.serving.own_record import end_unrecorded

EVERY = 0.002


async def ended(record: Path, seconds: float) -> bool:
    """Tell whether this process is asked to end within ``seconds``."""
    asked = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked.set)
    watch = asyncio.create_task(end_unrecorded(record, EVERY))
    try:
        await asyncio.wait_for(asked.wait(), seconds)
    except TimeoutError:
        return False
    finally:
        watch.cancel()
        asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)
    return True


@pytest.mark.parametrize("left", [None, "{", "", "[]", "{}", '{"pid": 1}', '{"pid": null}'])
def test_a_server_that_its_record_no_longer_names_ends(tmp_path: Path, left: str | None) -> None:
    """Removed with its folder, broken, or of another process: nobody could end this one."""
    record = tmp_path / "local" / "server.json"
    if left is not None:
        record.parent.mkdir()
        record.write_text(left)
    assert asyncio.run(ended(record, 5))


def test_a_server_that_its_record_names_goes_on(tmp_path: Path) -> None:
    """Also where the record cannot be read for a time: a disk that does not tell is no reason to end."""
    record = tmp_path / "server.json"
    record.write_text(json.dumps({"pid": os.getpid()}))
    assert not asyncio.run(ended(record, 0.1))
    record.unlink()
    record.mkdir()  # reading it fails, but not because it is missing
    assert not asyncio.run(ended(record, 0.1))
