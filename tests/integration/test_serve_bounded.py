"""What any client sends is bounded before it is parsed, over both protocols; a health check is answered meanwhile."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import grpc
import psutil
import pytest

from leverframe.serving.arrivals import UNFINISHED
from leverframe.serving.room import SMALL
from tests.integration.serve_fuzz import FINE, fuzz_grpc, fuzz_rest
from tests.integration.serve_health import Health
from tests.integration.serve_hostiles import (
    BODIES,
    LARGEST,
    MEGABYTES,
    METHOD,
    Wire,
    attacking,
    messages,
    post,
    reset,
    unfinished,
)  # fmt: skip
from tests.integration.shop import alive, copied, finished, wait_for
from tests.integration.test_serve_hostile import REMOTE, Besieged
from tests.integration.test_serve_server import MODEL

DEEP = os.environ.get("HYPOTHESIS_PROFILE") == "deep"
SECONDS = 600 if DEEP else 0  # of the fuzzer
WITHIN = 1.0  # seconds of the server's work until a health check is answered
MOSTLY = 0.2  # the same for 99 of 100


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Besieged]:
    """Return a server that the tests of this file share; nothing of them is an error of the server."""
    server = Besieged(copied(finished(tmp_path_factory), tmp_path_factory.mktemp("bounded")))
    yield server
    assert "Traceback" not in (server.folder / "server.log").read_text()
    assert server.shop.run("serve", "--stop").code == 0


def test_a_process_is_as_large_as_the_guide_says(server: Besieged) -> None:
    """Before anybody asks it, within a quarter."""
    guide = Path(__file__).parents[2] / "docs/guides/scaling.md"
    (megabytes,) = re.findall(r"about (\d+) MB", guide.read_text(encoding="utf-8"))
    assert server.megabytes() == pytest.approx(float(megabytes), rel=0.25)


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_holds_too_much_is_refused(server: Besieged, name: str) -> None:
    """Four megabytes of what costs more than its bytes took .7 s each, of everybody's time."""
    before, memory = server.worked(), server.megabytes()
    status, content = server.ask(BODIES[name]())
    assert status in (400, 413)
    assert content["error"]
    assert server.worked() - before < 0.5
    assert server.megabytes() < memory + 100


def test_a_message_that_holds_too_much_is_refused(server: Besieged) -> None:
    """Two million tensors of nothing are counted in the bytes of a message."""
    with grpc.insecure_channel(f"127.0.0.1:{server.running['grpc_port']}", options=REMOTE) as channel:
        for message in messages(MODEL):
            assert SMALL < len(message) < LARGEST
            memory = server.megabytes()
            with pytest.raises(grpc.RpcError) as refused:
                channel.unary_unary(METHOD.decode())(message, timeout=20)
            assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT, refused.value.details()
            assert server.megabytes() < memory + 200


def test_unfinished_messages_do_not_fill_the_memory(server: Besieged) -> None:
    """Four connections with a hundred messages less one byte each took 1.7 GB, for as long as they liked."""
    before, health = server.megabytes(), Health(server.running)
    with health.checked():
        wires = unfinished(server.running["grpc_port"], 4, 100, seconds=5)
        held = server.megabytes()
        for wire in wires:
            wire.close()
    assert before + 50 < held < before + UNFINISHED * 4 + 200
    assert max(health.worked) < WITHIN


def test_thousands_that_connect_and_reset_keep_nobody_waiting(server: Besieged) -> None:
    """A few connections are accepted at a time."""
    with server.others_are_answered(within=1.0):
        reset(server.running["port"], 3_000)


def test_what_the_server_takes_is_fuzzed_while_it_is_attacked(server: Besieged) -> None:
    """One hostile client for each protocol; no error of the server, no hang, and a health check is answered."""
    health, until, rounds = Health(server.running), time.monotonic() + SECONDS, 0
    fine = {*FINE, grpc.StatusCode.RESOURCE_EXHAUSTED}
    ports = {"rest": server.running["port"], "remote": server.running["grpc_port"]}
    with health.checked(), attacking(MODEL, **ports):
        while rounds == 0 or time.monotonic() < until:
            fuzz_rest(server.running["port"], MODEL, server.served["example"], 20)
            fuzz_grpc(server.running["grpc_port"], MODEL, server.served["example"], 20, fine)
            rounds += 1
    figures = {"rounds": rounds, "checks": len(health.worked), **health.figures()}
    print(json.dumps(figures))
    assert max(health.worked) < WITHIN, figures
    assert not DEEP or figures["worked 0.99"] < MOSTLY, figures


def test_sigterm_waits_for_no_half_body(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Over both protocols: what is not whole soon is refused, and the process ends."""
    server = Besieged(copied(finished(tmp_path_factory), tmp_path))
    process, address = psutil.Process(server.running["pid"]), ("127.0.0.1", server.running["port"])
    with ExitStack() as held:
        halves = [held.enter_context(socket.create_connection(address, timeout=60)) for _ in range(5)]
        for half in halves:
            half.sendall(post(b" " * 1_000, MODEL, 10))
        wire = Wire(server.running["grpc_port"])
        held.callback(wire.close)
        for stream in range(1, 21, 2):
            wire.begin(stream, MEGABYTES)
        assert server.status_of("/v2/health/ready") == 200  # and so the server has met them all
        os.kill(process.pid, signal.SIGTERM)
        replies = [http.client.HTTPResponse(half) for half in halves]
        for reply in replies:
            reply.begin()
        assert [(reply.status, "ends" in json.loads(reply.read())["error"]) for reply in replies] == [(503, True)] * 5
        wait_for(lambda: not alive([process]))
