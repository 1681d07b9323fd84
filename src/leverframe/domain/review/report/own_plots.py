"""The plots that `dvc.yaml` declares, as the card shows them: curves, tables of classes, and pictures by their paths.

The fields are those of DVC: ``x``, ``y``, ``template``, ``title``. What cannot be drawn is named in a note.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from leverframe.domain.pipeline.status.resolved import View
from leverframe.domain.review.report.card import Confusion, Curve, Image
from leverframe.domain.review.report.curve_points import evenly

_PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp")
_TABLES = (".csv", ".tsv", ".json", ".jsonl", ".yaml", ".yml")
_MOST_PLOTS, _MOST_CLASSES, _MOST_BYTES = 12, 12, 5_000_000
_CONFUSIONS = ("confusion", "confusion_normalized")
Rows = Sequence[Mapping[str, Any]]
Points = list[tuple[float, float]]


@dataclass(frozen=True)
class PlotFile:
    """A declared plot with its content before and after; None where a side has none."""

    view: View
    before: bytes | None
    after: bytes | None
    in_git: bool = False


@dataclass
class OwnPlots:
    """What of the declared plots is shown, and notes on what is not."""

    curves: list[Curve]
    confusions: list[Confusion]
    images: list[Image]
    notes: list[str]


def own_plots(files: Sequence[PlotFile]) -> OwnPlots:
    """Return the plots of a change; of more than a dozen the first ones, the others are counted."""
    shown = OwnPlots([], [], [], [])
    for file in files[:_MOST_PLOTS]:
        ending = PurePosixPath(file.view.path).suffix.lower()
        if ending in _PICTURES:
            if file.after is not None or file.before is not None:
                shown.images.append(
                    Image(file.view.path, file.before != file.after, file.after is not None, file.in_git)
                )
        elif ending in _TABLES and file.after is not None:
            shown.notes.extend(_drawn(file, shown))
    if len(files) > _MOST_PLOTS:
        shown.notes.append(f"{len(files) - _MOST_PLOTS:,} more plots are not shown; `dvc plots diff` draws them")
    return shown


def _drawn(file: PlotFile, shown: OwnPlots) -> Iterator[str]:
    try:
        before, after = (_rows(file.view.path, content) for content in (file.before, file.after))
        if str(file.view.shown.get("template", "")) in _CONFUSIONS:
            shown.confusions.append(_confusion(file.view, before, after))
        else:
            shown.curves.extend(_curves(file.view, before, after))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, csv.Error) as error:
        yield f"the plot `{file.view.path}` cannot be drawn here: {type(error).__name__}; `dvc plots diff` draws it"


def _rows(path: str, content: bytes | None) -> Rows:
    """Return the rows of a file of plot data: those of a CSV file, or of the first list of mappings in a document."""
    if content is None:
        return []
    if len(content) > _MOST_BYTES:
        raise ValueError("too large")
    text = content.decode()
    ending = PurePosixPath(path).suffix.lower()
    if ending in (".csv", ".tsv"):
        return list(csv.DictReader(io.StringIO(text), delimiter="\t" if ending == ".tsv" else ","))
    if ending == ".jsonl":
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    if ending != ".json":
        raise ValueError("YAML")
    rows = _list_in(json.loads(text))
    if rows is None:
        raise ValueError("no list of rows")
    return rows


def _list_in(content: Any) -> Rows | None:
    if isinstance(content, list):
        return content if content and all(isinstance(row, dict) for row in content) else None
    if isinstance(content, dict):
        return next((rows for value in content.values() if (rows := _list_in(value)) is not None), None)
    return None


def _curves(view: View, before: Rows, after: Rows) -> Iterator[Curve]:
    """Yield a curve for each ``y``; without one the last column, without ``x`` the position, as DVC draws them."""
    columns = list(after[0]) if after else []
    x, wanted = view.shown.get("x"), view.shown.get("y", columns[-1:])
    x = x if isinstance(x, str) and x in columns else None
    names = [wanted] if isinstance(wanted, str) else _names(wanted)
    for y in names:
        title = str(view.shown.get("title") or view.path) + (f" {y}" if len(names) > 1 else "")
        sides = [_points(rows, x, y) for rows in (before, after)]
        if len(sides[1]) > 1:
            yield Curve(title, str(view.shown.get("x_label") or x or "step"), y, *evenly(*sides))


def _names(wanted: Any) -> list[str]:
    if isinstance(wanted, dict):  # a mapping of files to their columns
        return [name for value in wanted.values() for name in ([value] if isinstance(value, str) else value)]
    return [str(name) for name in wanted]


def _points(rows: Rows, x: str | None, y: str) -> Points:
    points = [(float(place if x is None else row[x]), float(row[y])) for place, row in enumerate(rows) if y in row]
    return sorted(point for point in points if math.isfinite(point[0]) and math.isfinite(point[1]))


def _confusion(view: View, before: Rows, after: Rows) -> Confusion:
    """Return how often each class was taken for each; ``x`` names the actual class, ``y`` the predicted one."""
    columns = list(after[0])
    x, y = (str(view.shown.get(axis) or columns[place]) for axis, place in (("x", 0), ("y", 1)))
    counts: list[dict[tuple[str, str], int]] = []
    for rows in (before, after):
        counted: dict[tuple[str, str], int] = {}
        for row in rows:
            pair = str(row[x]), str(row[y])
            counted[pair] = counted.get(pair, 0) + 1
        counts.append(counted)
    classes = sorted({name for counted in counts for pair in counted for name in pair})
    if len(classes) > _MOST_CLASSES:
        raise ValueError("too many classes")
    table = [
        tuple(tuple(counted.get((actual, taken), 0) for taken in classes) for actual in classes) for counted in counts
    ]
    return Confusion(str(view.shown.get("title") or view.path), tuple(classes), table[0] if before else (), table[1])
