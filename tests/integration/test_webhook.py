"""Webhooks over real HTTP: signed, retried with bounds, never redirected, and silent about their address."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from leverframe.adapters.webhook import Webhook
from leverframe.domain.monitoring.alerts.alert import WORDS
from leverframe.domain.monitoring.alerts.notification import Event, body, headers
from leverframe.domain.monitoring.finding import Kind, Severity
from tests.fakes.receiver import Receiver, receiving

KEY = "k3y"
NOW = 1_800_000_000.0


def event(**changed: object) -> Event:
    """Return an event of an alert."""
    values: dict[str, object] = {
        "key": "0123456789abcdef", "number": 1, "kind": "opened", "model": "shop", "environment": "production",
        "title": "[shop/production] missing values: age", "severity": Severity.CRITICAL, "before": "",
        "since": "2026-03-01", "window": "2026-03-02", "what": ("`age` <!channel> & more",), "next": "Look at it.",
        "dashboard": "https://example.org/d", "at": "2026-03-03T00:00:00+00:00", "url": "https://example.org/1",
    }  # fmt: skip
    return Event(**(values | changed))  # type: ignore[arg-type]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver on the loopback."""
    with receiving() as state:
        yield state


def sent(receiver: Receiver, address: str | None = None, waits: list[float] | None = None) -> str:
    """Send an event; ``waits`` get the seconds between the attempts."""
    content = body(event(), "generic")
    webhook = Webhook((waits if waits is not None else []).append, lambda: NOW, timeout=2.0)
    return webhook.post(
        receiver.address if address is None else address, content, lambda at: headers(event(), content, KEY, at)
    )


def test_a_receiver_can_check_the_signature(receiver: Receiver) -> None:
    """HMAC-SHA256 over timestamp, a point and the body; the delivery has an id that stays the same."""
    assert sent(receiver) == ""
    (got,) = receiver.received
    stamp = got.headers["X-Leverframe-Timestamp"]
    signature = hmac.new(KEY.encode(), f"{stamp}.".encode() + got.body, hashlib.sha256).hexdigest()
    assert got.headers["X-Leverframe-Signature"] == f"sha256={signature}"
    assert stamp == str(int(NOW))
    content = json.loads(got.body)
    assert content["delivery"] == got.headers["X-Leverframe-Delivery"] == event().delivery
    assert (content["version"], content["event"], content["alert"]["severity"]) == (1, "opened", "critical")
    assert event(number=2).delivery != event().delivery
    assert "X-Leverframe-Signature" not in headers(event(), b"", "", 0)


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_what_passes_is_tried_again(receiver: Receiver, status: int) -> None:
    """Three more attempts at most, further and further apart."""
    receiver.answers = [(status, {})] * 2
    waits: list[float] = []
    assert sent(receiver, waits=waits) == ""
    assert waits == [1.0, 2.0]
    assert len({delivery.headers["X-Leverframe-Delivery"] for delivery in receiver.received}) == 1
    receiver.answers = [(status, {})] * 9
    assert sent(receiver) == f"it answered {status}, 4 times"
    assert len(receiver.received) == 3 + 4


def test_retry_after_is_honoured_within_bounds(receiver: Receiver) -> None:
    """As seconds or as a date; half a minute at most, and nonsense counts as nothing."""
    date = format_datetime(datetime.fromtimestamp(NOW, UTC) + timedelta(seconds=7), usegmt=True)
    receiver.answers = [(429, {"Retry-After": value}) for value in ("5", date, "86400")]
    waits: list[float] = []
    assert sent(receiver, waits=waits) == ""
    assert waits == [5.0, 7.0, 30.0]
    receiver.answers = [(503, {"Retry-After": "soon"})]
    waits.clear()
    assert sent(receiver, waits=waits) == ""
    assert waits == [1.0]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413])
def test_a_refusal_is_final(receiver: Receiver, status: int) -> None:
    """Another attempt would be refused, too."""
    receiver.answers = [(status, {})]
    assert sent(receiver) == f"it answered {status}"
    assert len(receiver.received) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(receiver: Receiver, status: int) -> None:
    """Whoever answers for an address could otherwise send the alert, and its signature, anywhere."""
    with receiving() as other:
        receiver.answers = [(status, {"Location": other.address})]
        assert sent(receiver).startswith(f"it answered {status}: redirects are not followed")
        assert other.received == []


@pytest.mark.parametrize(
    "address",
    ["http://example.org/hook", "ftp://example.org/", "file:///etc/passwd", "example.org", "", "https://",
     "http://127.0.0.1.example.org/", "https://[::1", "http://localhost:no/"],
)  # fmt: skip
def test_other_addresses_are_refused(receiver: Receiver, address: str) -> None:
    """HTTPS alone, but on the loopback; nothing is sent, and the address is in no message."""
    failed = sent(receiver, address=address)
    assert failed
    assert "example.org" not in failed
    assert "passwd" not in failed


def test_one_that_does_not_answer_is_named_without_its_address() -> None:
    """A closed port, and one that never answers: neither word tells where."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{listening.getsockname()[1]}/hooks/s3cret"
        closed = sent(Receiver(), address=address)
        listening.listen(8)
        webhook = Webhook(lambda _: None, lambda: NOW, timeout=0.2)
        slow = webhook.post(address, b"{}", lambda _: {})
    assert closed == "it did not answer (ConnectionRefusedError), 4 times"
    assert slow == "it did not answer (TimeoutError), 4 times"
    assert sent(Receiver(), address="http://localhost:1/a b") == "it did not answer (InvalidURL)"


def test_slack_reads_no_mention_out_of_data() -> None:
    """What stands for a link, a channel or markup is text there; a long text is cut within the limit of Slack."""
    message = json.loads(body(event(what=("`age` <!channel> & more", *["x" * 500] * 20)), "slack"))
    text = message["blocks"][0]["text"]["text"]
    assert "&lt;!channel&gt; &amp; more" in text
    assert len(text) <= 3000
    assert message["text"] == "[shop/production] missing values: age opened: critical"
    assert "<https://example.org/1|issue>" in json.loads(body(event(), "slack"))["blocks"][0]["text"]["text"]


GUIDE = (Path(__file__).parents[2] / "docs/guides/monitor-alerts.md").read_text(encoding="utf-8")


def test_the_guide_shows_the_body_and_a_check_that_works(receiver: Receiver) -> None:
    """The fields are those that are sent, and its function takes what is ours, and nothing else."""
    shown = json.loads(re.findall(r"```json\n(.*?)```", GUIDE, re.DOTALL)[0])
    assert sent(receiver) == ""
    (got,) = receiver.received
    real = json.loads(got.body)
    assert (list(shown), list(shown["alert"])) == (list(real), list(real["alert"]))
    namespace: dict[str, Any] = {}
    exec(re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)[0], namespace)  # noqa: S102 - of the guide
    ours = namespace["is_ours"]
    assert ours(got.headers, got.body, KEY, NOW + 10)
    assert not ours(got.headers, got.body + b" ", KEY, NOW)
    assert not ours(got.headers, got.body, "another", NOW)
    assert not ours(got.headers, got.body, KEY, NOW + 3600)
    assert not ours({**got.headers, "X-Leverframe-Timestamp": str(int(NOW) + 1)}, got.body, KEY, NOW)


def test_the_guide_says_what_to_do_about_every_kind() -> None:
    """A row for each kind of finding, under the words that stand in the title of its issue."""
    rows = re.findall(r"^\| ([a-z -]+) \| ", GUIDE, re.MULTILINE)
    assert set(Kind) == set(WORDS)
    assert [words for words in WORDS.values() if words not in rows] == []


@pytest.mark.parametrize("header", ["\u00b2", "1e999", "-3", "soon", "9" * 400])
def test_a_header_that_makes_no_sense_is_no_reason_to_fail(receiver: Receiver, header: str) -> None:
    """A receiver asks for a time that is none: it is asked again as if it had said nothing."""
    receiver.answers = [(503, {"Retry-After": header}), (204, {})]
    assert Webhook(sleep=lambda _: None).post(receiver.address, b"{}", lambda _: {}) == ""


def test_a_receiver_that_drips_its_answer_holds_nothing_up() -> None:
    """An attempt ends although no single byte is late; it is not tried again, as it would take as long."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(8)
        ended = threading.Event()

        def drip() -> None:
            connection, _ = listening.accept()
            with connection, suppress(OSError):
                while not ended.wait(0.02):
                    connection.send(b"H")

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        address = f"http://127.0.0.1:{listening.getsockname()[1]}/hooks/s3cret"
        assert Webhook(lambda _: None, lambda: NOW, timeout=0.2).post(address, b"{}", lambda _: {}) == (
            "it did not answer in time"
        )
        ended.set()
        thread.join(5)
