"""Which files of a folder are closed files of a log, and which of them can hold rows of the time that is asked for."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase

from leverframe.domain.features.online import microseconds_of

ENDINGS = (".jsonl", ".ndjson", ".parquet", ".csv", ".tsv")
_DAY = re.compile(r"(?:^|/)dt=(\d{4}-\d{2}-\d{2})/")
_SLACK = timedelta(days=1)  # a file is named after the day on which it was opened, whatever the zone of a window


def is_closed(name: str) -> bool:
    """Tell whether a file is one of a log that nobody writes to: not hidden, and of a known ending, maybe with .gz."""
    hidden = any(part.startswith((".", "_")) for part in name.split("/"))
    return not hidden and name.lower().removesuffix(".gz").endswith(ENDINGS)


def day_of(name: str) -> int | None:
    """Return the first microsecond of the day of a folder such as ``dt=2026-11-02``; None without one."""
    match = _DAY.search(name)
    if match is None:
        return None
    try:
        return microseconds_of(datetime.fromisoformat(match[1]).replace(tzinfo=UTC))
    except ValueError:
        return None


def may_hold(name: str, since: datetime | None, until: datetime | None) -> bool:
    """Tell whether a file may have rows in ``[since, until)``; one that stands in no folder of a day may."""
    day = day_of(name)
    if day is None:
        return True
    too_old = since is not None and day < microseconds_of(since - 2 * _SLACK)
    return not too_old and (until is None or day < microseconds_of(until + _SLACK))


def is_pattern(text: str) -> bool:
    """Tell whether a path has wildcards."""
    return any(wildcard in text for wildcard in "*?[")


def split_pattern(text: str) -> tuple[str, str]:
    """Return the folder before the first part with a wildcard, and the pattern below it, empty where there is none."""
    parts = text.split("/")
    for place, part in enumerate(parts):
        if is_pattern(part):
            return "/".join(parts[:place]), "/".join(parts[place:])
    return text, ""


def matches(name: str, pattern: str) -> bool:
    """Tell whether a path below a folder fits a pattern: ``**`` stands for any folders, ``*`` for part of a name."""
    return not pattern or _fits(name.split("/"), pattern.split("/"))


def _fits(names: list[str], patterns: list[str]) -> bool:
    if not patterns:
        return not names
    if patterns[0] == "**":
        return _fits(names, patterns[1:]) or (bool(names) and _fits(names[1:], patterns))
    return bool(names) and fnmatchcase(names[0], patterns[0]) and _fits(names[1:], patterns[1:])
