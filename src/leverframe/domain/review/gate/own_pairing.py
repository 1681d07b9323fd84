"""Predictions of both revisions of a pipeline of one's own on the same rows: told by their key, else by position."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from leverframe.domain.model.table import Table
from leverframe.domain.review.gate.holdout_change import HoldoutChange
from leverframe.domain.review.gate.paired import Pair
from leverframe.domain.review.gate.role_rows import Predicted, Roles, blocks_of, holdout_of
from leverframe.domain.review.gate.row_matching import Columns, Ints, SameRows, alike_values, differ, matched
from leverframe.errors import DefinitionError, SettingsError
from leverframe.settings import LEVERS

_LEAST_SHARED = 0.5  # of the candidate's rows that the champion must have predicted


@dataclass(frozen=True)
class OwnPair:
    """Both models on the same rows, in words how, and how the rows of the change differ from those of its base.

    ``change`` is None without a champion.
    """

    pair: Pair
    how: str
    change: HoldoutChange | None = None


def alone(roles: Roles, candidate: Predicted) -> OwnPair:
    """Return the candidate on its rows, where the base has no model."""
    rows = roles.with_label(candidate.table)
    table = _rows(candidate.table, rows)
    side = holdout_of(roles, table, _taken(candidate, rows))
    return OwnPair(Pair(side, None, blocks=blocks_of(roles, table)[1]), "no champion")


def on_same_rows(roles: Roles, candidate: Predicted, champion: Predicted, before: Table | None, most: float) -> OwnPair:
    """Return both models on the rows of the candidate's file, which both predicted; ``before`` is that of the base."""
    rows = roles.with_label(candidate.table)
    table = _rows(candidate.table, rows)
    ours, theirs = (holdout_of(roles, table, _taken(predicted, rows)) for predicted in (candidate, champion))
    pair = Pair(ours, theirs, blocks=blocks_of(roles, table)[1])
    change = None
    if before is not None:
        there = _rows(before, roles.with_label(before))
        change = _change(roles, (table, there), _same(roles, table, there), most)
    return OwnPair(pair, f"both models predicted the same rows{_by_functions(candidate, champion)}", change)


def _by_functions(candidate: Predicted, champion: Predicted) -> str:
    """Return in words which code of the repository predicted, empty for none."""
    ours, theirs = candidate.function, champion.function
    if not (ours or theirs):
        return ""
    apart = "of its own revision, in a process of its own"
    if ours == theirs:
        return f", each by the function {ours} {apart}"
    named = [f"this change by {ours}"] * bool(ours) + [f"the base by {theirs}"] * bool(theirs)
    return f", {' and '.join(named)}, a function {apart}"


def by_key(roles: Roles, candidate: Predicted, champion: Predicted, most: float) -> OwnPair:
    """Return both models on the rows that both predicted, with the labels of the candidate's file.

    Raises ``DefinitionError`` where too few rows are the same.
    """
    tables = [_rows(predicted.table, roles.with_label(predicted.table)) for predicted in (candidate, champion)]
    sides = [_taken(predicted, roles.with_label(predicted.table)) for predicted in (candidate, champion)]
    same = _same(roles, tables[0], tables[1])
    count, total = len(same.candidate), tables[0].height
    if count < _LEAST_SHARED * total:
        raise DefinitionError(
            f"both models predicted only {count:,} of the {total:,} rows of {roles.role.path}",
            why="most rows are new in this change, or what identifies a row changed",
            next=f"`{roles.section}.key` in {LEVERS} names the columns that identify a row; change the rows in a pull "
            "request of their own",
        )
    order = np.argsort(same.candidate, kind="stable")
    ours, theirs = same.candidate[order], same.base[order]
    table = _rows(tables[0], ours)
    candidate_side = holdout_of(roles, table, _taken(sides[0], ours))
    champion_side = holdout_of(roles, table, _taken(sides[1], theirs))
    whole = holdout_of(roles, tables[0], sides[0]) if count < total else None
    pair = Pair(candidate_side, champion_side, whole=whole, blocks=blocks_of(roles, table)[1])
    paired = f"paired by `{', '.join(roles.role.key)}`" if roles.role.key else "paired by position"
    how = f"each revision predicted its own rows, {paired}; {count:,} of {total:,} are in both"
    return OwnPair(pair, how, _change(roles, (tables[0], tables[1]), same, most))


def _same(roles: Roles, ours: Table, theirs: Table) -> SameRows:
    """Return which rows are the same; raises ``SettingsError`` where they cannot be told apart."""
    labels = alike_values(roles.labels(ours), roles.labels(theirs), numbers=True)
    if roles.role.key:
        columns = [(roles.column(ours, name, "key"), roles.column(theirs, name, "key")) for name in roles.role.key]
        keys: list[Columns] = [alike_values(*pair, numbers=pair[0].dtype != pair[1].dtype) for pair in columns]
        return matched(keys, labels)
    places = np.arange(ours.height, dtype=np.int64)
    if ours.height != theirs.height:
        raise SettingsError(
            f"{roles.role.path} has {ours.height:,} rows, and {theirs.height:,} on the base branch",
            why="without a key rows are paired by their position, and these are other rows",
            next=f"name the columns that identify a row as `{roles.section}.key` in {LEVERS}",
        )
    return SameRows(places, places, differ(labels[0], labels[1]))


def _change(roles: Roles, tables: tuple[Table, Table], same: SameRows, most: float) -> HoldoutChange:
    ours, theirs = tables
    rate, before, after = _rate(roles, tables)
    return HoldoutChange(
        rows=theirs.height,
        added=ours.height - len(same.candidate),
        removed=theirs.height - len(same.base),
        relabelled=int(same.relabelled.sum()),
        moved_in=0,
        moved_out=0,
        repeated=same.repeated,
        rate=rate,
        before=before,
        after=after,
        maximum=most,
    )


def _rate(roles: Roles, tables: tuple[Table, Table]) -> tuple[str, float | None, float | None]:
    """Return the mean label of base and candidate, in words what it is; nothing for classes."""
    ours, theirs = (roles.labels(table) for table in tables)
    if roles.label.kind == "multiclass" or not (ours.dtype.is_numeric() and theirs.dtype.is_numeric()):
        return "", None, None
    means = [float(np.mean(labels.cast(float).to_numpy())) for labels in (theirs, ours)]
    return "share of positive labels" if roles.label.kind == "binary" else "mean label", means[0], means[1]


def _rows(table: Table, places: Ints) -> Table:
    frame: Any = table
    rows: Table = frame[places]
    return rows


def _taken(predicted: Predicted, places: Ints) -> Predicted:
    return replace(predicted, table=_rows(predicted.table, places), predictions=predicted.predictions[places])
