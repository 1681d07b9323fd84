"""What a server keeps on the disk and holds open stays within bounds, and nothing of it is cut."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from leverframe.serving.connections import quiet_at_the_limit
from leverframe.serving.inference_log import InferenceLog, LogSettings, close_leftovers, remove_older
from leverframe.serving.own_log import KEPT, renew

FULL = """
import resource, sys
from pathlib import Path
from leverframe.serving.inference_log import InferenceLog, LogSettings

dropped = []
folder = Path(sys.argv[1])
most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]

def filled(log, numbers):
    for number in numbers:
        log.put({"id": number, "text": "x" * (number % 700)})
    log.close()

resource.setrlimit(resource.RLIMIT_FSIZE, (20_011, most))  # no file may be longer, as on a full disk
filled(InferenceLog(LogSettings(str(folder)), lambda: dropped.append(1)), range(400))
resource.setrlimit(resource.RLIMIT_FSIZE, (0, most))
filled(InferenceLog(LogSettings(str(folder)), lambda: dropped.append(1)), range(400, 500))
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
filled(InferenceLog(LogSettings(str(folder)), lambda: dropped.append(1)), range(500, 600))
print(len(dropped))
"""
DOOR = """
import asyncio, sys
import uvicorn
from leverframe.serving.connections import BoundedProtocol, backlog, quiet_at_the_limit

async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"here"})

async def main():
    quiet_at_the_limit(asyncio.get_running_loop())
    config = uvicorn.Config(app, fd=int(sys.argv[1]), http=BoundedProtocol, backlog=backlog(),
                            lifespan="off", log_level="error")
    await uvicorn.Server(config).serve()

asyncio.run(main())
"""


def test_a_full_disk_loses_counted_records_and_cuts_none(tmp_path: Path) -> None:
    """What does not fit is dropped as a whole, no empty or open file stays, and later records are written."""
    done = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=True)
    lines = [line for file in tmp_path.glob("dt=*/*.jsonl") for line in file.read_text().splitlines()]
    numbers = [json.loads(line)["id"] for line in lines]
    assert len(numbers) + int(done.stdout) == 600
    assert {*range(500, 600)} <= set(numbers)
    assert 0 < len(set(numbers) & {*range(400)}) < 400
    assert [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".jsonl"] == []
    assert all(file.stat().st_size for file in tmp_path.rglob("*.jsonl"))


def test_a_record_that_is_no_json_is_dropped_alone(tmp_path: Path) -> None:
    """The log goes on."""

    class Odd:
        def __str__(self) -> str:
            raise RuntimeError

    dropped: list[int] = []
    log = InferenceLog(LogSettings(str(tmp_path)), lambda: dropped.append(1))
    for record in ({"id": 1}, {"id": Odd()}, {"id": 2}):
        log.put(record)
    log.close()
    (file,) = tmp_path.glob("dt=*/*.jsonl")
    assert [json.loads(line)["id"] for line in file.read_text().splitlines()] == [1, 2]
    assert len(dropped) == 1


def test_closed_files_of_old_days_are_removed(tmp_path: Path) -> None:
    """When a file is begun; what somebody else put there stays, and so does a link."""
    today = datetime.now(UTC).date()
    days = [today - timedelta(days=days) for days in (0, 6, 7, 8, 400)]
    for day in days:
        (tmp_path / f"dt={day}").mkdir()
        (tmp_path / f"dt={day}/a.jsonl").write_text("{}\n")
    (tmp_path / f"dt={days[-1]}/notes.txt").touch()
    (tmp_path / "dt=ever").mkdir()
    log = InferenceLog(LogSettings(str(tmp_path), days=7))
    log.put({"id": 1})
    log.close()
    kept = sorted(file.parent.name for file in tmp_path.glob("*/a.jsonl"))
    assert kept == sorted(f"dt={day}" for day in days[:3])
    assert sorted(path.name for path in tmp_path.glob("dt=*") if path.name not in kept) == [
        f"dt={days[-1]}",
        "dt=ever",
    ]
    remove_older(tmp_path / "absent", today)


def test_an_open_file_without_a_line_is_removed_with_the_next_start(tmp_path: Path) -> None:
    """A server that was killed left it."""
    (tmp_path / "dt=2024-01-01").mkdir()
    for name, text in (("a", ""), ("b", "{}\n{"), ("c", "{")):
        (tmp_path / f"dt=2024-01-01/{name}.jsonl.part").write_text(text)
    close_leftovers(tmp_path)
    assert {file.name: file.read_text() for file in tmp_path.glob("*/*")} == {"b.jsonl": "{}\n"}


def test_what_is_printed_goes_into_a_new_file_and_no_line_is_lost(tmp_path: Path) -> None:
    """Of the old ones few are kept; nobody else reads any."""
    log = tmp_path / "server.log"
    number = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        for line in range(KEPT + 3):
            os.write(number, f"{line}\n".encode())
            renew(log, (number,))
        os.write(number, b"last\n")
    finally:
        os.close(number)
    content = {path.name: path.read_text() for path in tmp_path.iterdir()}
    numbered = {f"server.log.{kept}": f"{KEPT + 3 - kept}\n" for kept in range(1, KEPT + 1)}
    assert content == {"server.log": "last\n", **numbered}
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_at_the_limit_of_descriptors_somebody_is_still_answered(tmp_path: Path) -> None:
    """Idle connections give way, the longest first, and almost nothing is printed."""
    with ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=64))
        printed = stack.enter_context((tmp_path / "log").open("wb"))
        limited = ["bash", "-c", 'ulimit -n 512; exec "$@"', "-", sys.executable, "-c", DOOR, str(listening.fileno())]
        server = subprocess.Popen(limited, pass_fds=[listening.fileno()], stdout=printed, stderr=printed)
        stack.callback(server.wait, 30)
        stack.callback(server.kill)
        address = listening.getsockname()
        assert asked(address) == b"here"  # it has begun
        idle = [stack.enter_context(socket.create_connection(address, timeout=30)) for _ in range(400)]
        assert [asked(address) for _ in range(5)] == [b"here"] * 5
        assert len([*Path(f"/proc/{server.pid}/fd").iterdir()]) < 300
        assert idle[0].recv(1) == b""
    assert (tmp_path / "log").stat().st_size < 2_000, (tmp_path / "log").read_text()[:3_000]


def asked(address: tuple[str, int]) -> bytes:
    """Return the body of an answer."""
    with socket.create_connection(address, timeout=60) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        return b"".join(iter(lambda: connection.recv(4096), b"")).partition(b"\r\n\r\n")[2].strip(b"0123456789\r\n")


def test_that_no_connection_can_be_accepted_is_said_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asyncio says it for each that waits, thousands of times a second; other errors are said as ever."""
    asyncios = logging.getLogger("asyncio")  # which a server that was configured before may have silenced
    for name, value in (("disabled", False), ("propagate", True)):
        monkeypatch.setattr(asyncios, name, value)

    async def fail() -> None:
        loop = asyncio.get_running_loop()
        quiet_at_the_limit(loop)
        for number in (*[errno.EMFILE] * 500, *[errno.ENFILE] * 500):
            loop.call_exception_handler({"message": "out of", "exception": OSError(number, "too many open files")})
        loop.call_exception_handler({"message": "another error", "exception": OSError(errno.EIO, "input")})

    with caplog.at_level(logging.ERROR), caplog.at_level(logging.ERROR, logger="asyncio"):
        asyncio.run(fail())
    assert len(caplog.records) == 2
    assert "raise `ulimit -n`" in caplog.text
    assert "another error" in caplog.text
