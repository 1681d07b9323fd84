"""Whether the metrics in git are those that their stage computes, in any of the forms that files of metrics have."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from typing import Any

from leverframe.domain.pipeline.status.parameters import parsed
from leverframe.domain.review.check import lock_of_stage
from leverframe.domain.verdict import Reason, Violation
from leverframe.errors import LeverframeError
from leverframe.yaml_files import leaves

_TABLES = {".csv": ",", ".tsv": "\t"}  # the separators, by suffix
_SHOWN = 3


def figures_in(text: str, path: str) -> dict[str, Any]:
    """Return each value in a file of metrics by its dotted name; a value of a table by its row and column.

    Raises ``ValueError`` for a text that is not what the name of the file says; an empty one has no values.
    """
    separator = next((sign for suffix, sign in _TABLES.items() if path.endswith(suffix)), None)
    if separator:
        return dict(_cells(text, separator))
    if not text.strip():
        return {}
    try:
        return dict(leaves(_numbered(parsed(text, path))))
    except (LeverframeError, RecursionError) as error:
        raise ValueError(str(error)) from error


def _numbered(content: Any) -> Any:
    """Return lists as mappings of positions, so that each of their values has a name."""
    if isinstance(content, list):
        return {str(place): _numbered(value) for place, value in enumerate(content)}
    return {str(key): _numbered(value) for key, value in content.items()} if isinstance(content, dict) else content


def _cells(text: str, separator: str) -> Iterator[tuple[str, Any]]:
    for number, row in enumerate(csv.DictReader(io.StringIO(text), delimiter=separator)):
        for column, value in row.items():
            try:
                yield f"{number}.{column}", float(value)
            except (TypeError, ValueError):
                yield f"{number}.{column}", value


def forged(path: str, claimed: str, true: str, tolerance: float) -> list[str]:
    """Return the metrics of a file that differ beyond the tolerance, in words."""
    try:
        ours, theirs = figures_in(claimed, path), figures_in(true, path)
    except ValueError:
        return [f"`{path}` in git cannot be read"] if claimed != true else []
    return [
        f"`{name}` {ours.get(name)} in git, {theirs.get(name)} computed"
        for name in dict.fromkeys([*theirs, *ours])
        if not _close(ours.get(name), theirs.get(name), tolerance)
    ]


def _close(ours: Any, theirs: Any, tolerance: float) -> bool:
    numbers = isinstance(ours, int | float) and isinstance(theirs, int | float)
    if numbers and math.isnan(ours) and math.isnan(theirs):
        return True
    return math.isclose(ours, theirs, rel_tol=tolerance, abs_tol=tolerance) if numbers else ours == theirs


def metrics_forged(path: str, differing: Sequence[str], stage: str) -> Violation:
    """Return the violation for metrics of a file that its stage does not compute."""
    return Violation(
        Reason.METRICS_FORGED,
        f"`{path}` in git differs from what its stage computes: {'; '.join(differing[:_SHOWN])}",
        f"run `dvc repro -f -s {stage}`; commit what it writes, and `{lock_of_stage(stage)}`",
    )
