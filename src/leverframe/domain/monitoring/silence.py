"""Says when the monitor has been silent for too long: a schedule that stopped raises no alarm of its own."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

BRANCH = "leverframe-monitor"  # where the files of its last run are, a folder an environment
_PERIODS = 2.0  # schedules that may pass without a result


def silence(results: Iterable[bytes], environment: str, every_hours: float, now: datetime) -> str:
    """Return a sentence where the newest of the results is older than two periods, or there is none; else nothing.

    ``results`` are the contents of ``monitor.json`` as branch and folder have them; one that cannot be read counts as
    none.
    """
    schedule = f"schedule: every {every_hours:g} h"
    known = [at for content in results for at in [_at(content)] if at is not None]
    if not known:
        return f"no result of the monitor of `{environment}` is known here ({schedule}): run `leverframe monitor`"
    newest = max(known)
    if now - newest <= timedelta(hours=_PERIODS * every_hours):
        return ""
    ago = now - newest
    words = f"{ago.days} days" if ago.days > 1 else f"{ago.total_seconds() / 3600:.0f} hours"
    return (
        f"the monitor of `{environment}` was last successful {words} ago, on {newest.date()} ({schedule}): look at the "
        "runs of its workflow; GitHub stops schedules after 60 days without a commit"
    )


def _at(content: bytes) -> datetime | None:
    """Return when a result was made; None where the content does not say."""
    try:
        at = datetime.fromisoformat(json.loads(content)["at"])
    except (ValueError, KeyError, TypeError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
