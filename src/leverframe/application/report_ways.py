"""What `leverframe report` does, as its options say: it posts a card, a verdict, that there is none, or is to come."""

from __future__ import annotations

from collections.abc import Callable

from leverframe.application.report import ReportOptions
from leverframe.application.report import report as report_card
from leverframe.application.report_judged import report_judged, report_unjudged
from leverframe.application.report_pending import report_pending
from leverframe.application.workspace import Workspace
from leverframe.domain.review.report.concerned_pulls import Pending
from leverframe.domain.review.report.publish import Published
from leverframe.errors import PublishError

__all__ = ["ReportOptions", "report"]


def report(workspace: Workspace, asked: ReportOptions, summary: Callable[[str], None]) -> Published | Pending:
    """Do what is asked for; raises ``PublishError`` for two things at once."""
    ways = {
        "--card": asked.card is not None,
        "--judged": asked.judged is not None,
        "--unjudged": bool(asked.unjudged),
        "--pending": asked.pending,
    }
    chosen = [name for name, given in ways.items() if given]
    if len(chosen) > 1:
        raise PublishError(
            f"{' and '.join(f'`{name}`' for name in chosen)} exclude each other",
            why="each of them posts something else as the check",
            next="give one of them alone",
        )
    if asked.pending:
        return report_pending(workspace, asked)
    if asked.judged:
        return report_judged(workspace, asked, asked.judged, summary)
    return (report_unjudged if asked.unjudged else report_card)(workspace, asked, summary)
