"""What a check run records of its card: pull request, base, run, and how it stands for itself, as a hidden line."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from leverframe.domain.review.report.publish import branch_word, written_by
from leverframe.domain.review.report.pull_of_run import RunOrder

_LINE = re.compile(r"^<!-- leverframe:check (\{.{0,400}?\}) -->$", re.MULTILINE)
_COMMIT = re.compile(r"\A[0-9a-f]{0,64}\Z")


@dataclass(frozen=True)
class CheckRecord:
    """The card that a check run is of: ``pull`` is 0 where none is recorded, ``failed`` is the card's own verdict.

    ``base`` is the branch that the change goes to and ``tip`` the commit of it that the verdict holds for, each empty
    where it is not recorded. ``pending`` tells that a verdict is to come.
    """

    pull: int
    order: RunOrder
    failed: bool
    base: str = ""
    tip: str = ""
    pending: bool = False

    @property
    def open(self) -> bool:
        """Whether the check must not be green for the sake of this pull request."""
        return self.failed or self.pending

    def is_of(self, other: CheckRecord) -> bool:
        """Tell whether both are of one pull request into one base; a retargeted one is another matter."""
        return self.pull in (0, other.pull) and self.is_into(other)

    def is_into(self, other: CheckRecord) -> bool:
        """Tell whether both are of one base, as far as they say it."""
        return not (self.base and other.base) or self.base == other.base


def with_record(summary: str, record: CheckRecord) -> str:
    """Return the summary of a check run with its record below the marker."""
    first, _, rest = summary.partition("\n")
    content: dict[str, object] = {"pull": record.pull, "failed": record.failed}
    if record.base:
        content |= {"base": branch_word(record.base)}
    if record.tip and _COMMIT.match(record.tip):
        content |= {"tip": record.tip}
    if record.pending:
        content |= {"pending": True}
    return f"{first}\n<!-- leverframe:check {json.dumps(content)} -->\n{rest}"


def record_in(summary: str, key: str) -> CheckRecord | None:
    """Return what a summary records; None for one that is not ours."""
    order, match = written_by(summary, key), _LINE.search(summary)
    if order is None:
        return None
    try:
        content = json.loads(match[1]) if match else {}
        base, tip = str(content.get("base", "")), str(content.get("tip", ""))
        pending = content.get("pending") is True
        return CheckRecord(int(content.get("pull", 0)), order, content.get("failed") is True, base, tip, pending)
    except (ValueError, TypeError, AttributeError):
        return CheckRecord(0, order, failed=False)


def open_others(records: Sequence[CheckRecord], mine: CheckRecord) -> list[CheckRecord]:
    """Return the newest record of each other pull request of a commit into the same base, where it is not green."""
    newest = {
        record.pull: record
        for record in sorted(records, key=lambda record: record.order)
        if record.pull not in (0, mine.pull) and record.is_into(mine)
    }
    return sorted((record for record in newest.values() if record.open), key=lambda record: record.pull)
