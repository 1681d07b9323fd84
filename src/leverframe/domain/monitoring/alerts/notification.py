"""What webhooks are sent: an event of an alert, for Slack or as documented JSON, signed and with a stable id."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Any, Literal

from leverframe.domain.monitoring.alerts.alert_record import EventKind
from leverframe.domain.monitoring.finding import Severity

VERSION = 1
DELIVERY = "X-Leverframe-Delivery"
TIMESTAMP = "X-Leverframe-Timestamp"
SIGNATURE = "X-Leverframe-Signature"
_TEXT = 2900  # characters of a section of a Slack message, which takes 3,000
_DONE = {"opened": "opened", "changed": "changed its severity", "closed": "closed", "reopened": "opened again"}
_MARKS = {Severity.CRITICAL: ":red_circle:", Severity.WARNING: ":large_yellow_circle:", Severity.INFO: ":white_circle:"}


@dataclass(frozen=True)
class Event:
    """Something that happened to an alert; ``number`` counts the events of the alert, ``before`` is its severity until
    then and empty where that did not change. ``url`` is that of the issue, empty where there is none."""

    key: str
    number: int
    kind: EventKind
    model: str
    environment: str
    title: str
    severity: Severity
    before: str
    since: str
    window: str
    what: tuple[str, ...]
    next: str
    dashboard: str
    at: str
    url: str = ""

    @property
    def delivery(self) -> str:
        """The id of the delivery: the same however often the event is sent."""
        return hashlib.sha256(f"{self.key} {self.number} {self.kind} {self.at}".encode()).hexdigest()[:32]

    def __str__(self) -> str:
        return f"{self.title} {_DONE[self.kind]} ({self.severity})"


Format = Literal["slack", "generic"]


def body(event: Event, form: Format) -> bytes:
    """Return the body of the request, JSON in UTF-8."""
    content = _slack(event) if form == "slack" else _generic(event)
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def _generic(event: Event) -> dict[str, Any]:
    return {
        "version": VERSION,
        "delivery": event.delivery,
        "event": event.kind,
        "at": event.at,
        "alert": {
            "key": event.key, "title": event.title, "model": event.model, "environment": event.environment,
            "severity": event.severity, "previous_severity": event.before or None, "since": event.since,
            "window": event.window, "findings": list(event.what), "next": event.next,
        },
        "url": event.url or None,
        "dashboard": event.dashboard or None,
    }  # fmt: skip


def _slack(event: Event) -> dict[str, Any]:
    head = f"{_MARKS[event.severity]} *{_mrkdwn(event.title)}* {_DONE[event.kind]}: {event.severity}"
    lines = [head, *(f"• {_mrkdwn(what)}" for what in event.what)]
    if event.kind != "closed" and event.next:
        lines.append(f"Next: {_mrkdwn(event.next)}")
    links = [f"<{_mrkdwn(url)}|{word}>" for url, word in ((event.url, "issue"), (event.dashboard, "dashboard")) if url]
    lines += [" · ".join(links)] if links else []
    text = "\n".join(lines)
    text = text if len(text) <= _TEXT else f"{text[:_TEXT].rpartition(chr(10))[0]}\n…"
    return {
        "text": f"{_mrkdwn(event.title)} {_DONE[event.kind]}: {event.severity}",
        "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": text}}],
    }


def _mrkdwn(text: str) -> str:
    """Return text in which Slack reads no link, mention or channel."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def headers(event: Event, content: bytes, secret: str, timestamp: int) -> dict[str, str]:
    """Return the headers of the request; with a secret they sign ``timestamp.content`` (HMAC-SHA256, hexadecimal)."""
    fields = {"Content-Type": "application/json; charset=utf-8", DELIVERY: event.delivery, TIMESTAMP: str(timestamp)}
    if secret:
        signed = hmac.new(secret.encode(), f"{timestamp}.".encode() + content, hashlib.sha256)
        fields[SIGNATURE] = f"sha256={signed.hexdigest()}"
    return fields
