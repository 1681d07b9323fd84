"""What a check run records of its card: the pull request, the run, and its own verdict, as a hidden line."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from leverframe.domain.review.report.publish import written_by
from leverframe.domain.review.report.pull_of_run import Order

_LINE = re.compile(r"^<!-- leverframe:check (\{.{0,100}?\}) -->$", re.MULTILINE)


@dataclass(frozen=True)
class CheckRecord:
    """The card that a check run is of: ``pull`` is 0 where none is recorded, ``failed`` is the card's own verdict."""

    pull: int
    order: Order
    failed: bool


def with_record(summary: str, record: CheckRecord) -> str:
    """Return the summary of a check run with its record below the marker."""
    first, _, rest = summary.partition("\n")
    content = json.dumps({"pull": record.pull, "failed": record.failed})
    return f"{first}\n<!-- leverframe:check {content} -->\n{rest}"


def record_in(summary: str, key: str) -> CheckRecord | None:
    """Return what a summary records; None for one that is not ours."""
    order, found = written_by(summary, key), _LINE.search(summary)
    if order is None:
        return None
    try:
        content = json.loads(found[1]) if found else {}
        return CheckRecord(int(content.get("pull", 0)), order, content.get("failed") is True)
    except (ValueError, TypeError, AttributeError):
        return CheckRecord(0, order, failed=False)


def failing_others(records: Sequence[CheckRecord], pull: int) -> list[int]:
    """Return the other pull requests of a commit whose newest card fails."""
    newest = {record.pull: record for record in sorted(records, key=lambda record: record.order)}
    return sorted(number for number, record in newest.items() if record.failed and number not in (0, pull))
