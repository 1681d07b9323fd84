"""Which file of a source holds which partition: the placeholders in its path, such as `logs/{year}/{day}.csv`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from leverframe.domain.partition import Partition
from leverframe.errors import DefinitionError
from leverframe.settings.periods import ORDER, Period

_PLACEHOLDERS: Mapping[str, Period] = {period: period for period in ORDER[:-1]}
_PLACEHOLDER = re.compile(rf"\{{(partition|{'|'.join(_PLACEHOLDERS)})\}}")


def has_placeholder(path: str) -> bool:
    """Tell whether a path names another file for each partition of some period."""
    return _PLACEHOLDER.search(path) is not None


def path_of(pattern: str, partition: Partition | None) -> str:
    """Return a path with its placeholders replaced by keys, or by any where there is no partition."""

    def key(placeholder: re.Match[str]) -> str:
        if partition is None:
            return "*"
        return str(partition if placeholder[1] == "partition" else partition.within(_PLACEHOLDERS[placeholder[1]]))

    return _PLACEHOLDER.sub(key, pattern)


def finest(patterns: Iterable[str], period: Period) -> Period | None:
    """Return the period of which each partition has files of its own in these paths, None where they name none.

    ``period`` is that of the partitions. Raises ``DefinitionError`` for a placeholder that is finer.
    """
    named = [around for pattern in patterns for _, around in placeholders(pattern, period)]
    return min(named, key=ORDER.index, default=None)


def placeholders(pattern: str, period: Period) -> list[tuple[str, Period]]:
    """Return the placeholders of a path, each once, with the period that each stands for; errors as in ``finest``."""
    names = dict.fromkeys(_PLACEHOLDER.findall(pattern))
    for name in names:
        if ORDER.index(_PLACEHOLDERS.get(name, period)) < ORDER.index(period):
            raise DefinitionError(
                f"a source has `{{{name}}}` in its path, and a partition is a {period}",
                why=f"there is no {name} to put there",
                next=f"write `{{{period}}}`, or a glob; or set `period: {name}` under `data` in params.yaml",
            )
    return [(name, _PLACEHOLDERS.get(name, period)) for name in names]
