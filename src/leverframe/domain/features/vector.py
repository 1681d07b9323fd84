"""From requests to vectors: the plan of the training set, run over a store instead of tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

import numpy as np

from leverframe.domain.features.intervals import OwnGroups, Versions, over_versions
from leverframe.domain.features.online import AT, EPOCH, PLACE, UNTIL, table_of
from leverframe.domain.features.plan import AsOfLookup, Lookup, Plan, Windows
from leverframe.domain.features.request import Requests, calendar, checked, key_columns
from leverframe.domain.features.snapshot.keys import codes
from leverframe.domain.features.snapshot.store import Matches, Store
from leverframe.domain.features.star_picture import Origin, origin_lines
from leverframe.domain.features.training_set import Feature
from leverframe.domain.features.values import numbers, shaped, taken
from leverframe.domain.features.windows import Ints, Timestamps, aggregate

_FEW = 64  # rows up to which only the events of their own windows are looked at


def vectors(plan: Plan, store: Store, requests: Requests) -> dict[str, Any]:
    """Return every feature of ``plan`` for n requests, n values each; nulls are NaN or masked.

    The same kernels as in training run over the rows that the snapshot keeps a key, so a value
    equals to the last bit what a build gives for that timestamp from what was known before the snapshot.
    A request's own value for a feature goes before that of the snapshot. Raises ``RequestError``
    for a request that cannot be answered.
    """
    checked(plan, requests, store.about())
    fields = {**requests.fields, **calendar(plan, requests.as_of)}
    made: dict[str, Any] = {name: fields[name] for name in [*plan.spine_features, *plan.calendar]}
    for step in plan.steps:
        if all(name in requests.fields for name in step.outputs()):
            continue
        matches = store.find(table_of(step), key_columns(fields, step.key.spine))
        if len(matches.start) != len(requests.as_of):  # one key for all rows
            matches = matches.repeated(len(requests.as_of))
        if isinstance(step, Windows):
            made |= _windows(step, matches, requests.as_of, key_columns(fields, step.own or ()))
        else:
            made |= _lookup(step, matches, requests.as_of)
    given = {name: fields[name] for name in plan.features() if name in requests.fields}
    return {name: (made | given)[name] for name in plan.features()}


def as_inputs(values: Mapping[str, Any], features: Sequence[Feature]) -> dict[str, Any]:
    """Return vectors in the form that a model is given: doubles with NaN, and texts with None for a missing one."""
    made = {}
    for feature in features:
        column = np.ma.asarray(values[feature.name])
        data, missing = np.ma.getdata(column), np.ma.getmaskarray(column)
        if feature.kind == "categorical":
            made[feature.name] = data.astype(object)
            made[feature.name][missing] = None
        else:
            made[feature.name] = np.where(missing, np.nan, data.astype(np.float64))
    return made


@dataclass(frozen=True)
class FeatureVector:
    """The vector of one request: ``values`` by feature, None for null, and where each came from."""

    spec: str
    known_before: str
    values: dict[str, Any]
    origins: tuple[Origin, ...]

    def lines(self) -> list[str]:
        """Return the vector for a person."""
        return [*origin_lines(self.origins), f"snapshot of {self.spec}, with what was known before {self.known_before}"]

    def to_json(self) -> dict[str, Any]:
        """Return the answer as plain values."""
        origins = {
            origin.feature: {k: v for k, v in asdict(origin).items() if k != "feature"} for origin in self.origins
        }
        return {"spec": self.spec, "known_before": self.known_before, "features": self.values, "origins": origins}


def answered(plan: Plan, store: Store, requests: Requests) -> FeatureVector:
    """Return the vector of the first request, and where each feature came from."""
    values = vectors(plan, store, requests)
    fields = {**requests.fields, **calendar(plan, requests.as_of)}
    origins = {name: Origin(name, _shown(values[name]), "request", "", 1, None, None) for name in values}
    for step in plan.steps:
        matches = store.find(table_of(step), key_columns(fields, step.key.spine))
        key = ", ".join(_shown(fields[name]) for name in step.key.spine)
        for name in step.outputs():
            if name not in requests.fields:
                own = key_columns(fields, getattr(step, "own", None) or ())
                rows, opens, newest = _read(step, name, matches, int(requests.as_of[0]), own)
                origins[name] = Origin(name, _shown(values[name]), step.table, key, rows, opens, newest)
    about = store.about()
    plain = {name: _plain(value) for name, value in values.items()}
    return FeatureVector(about.spec, f"{_timestamp(about.as_of)} UTC", plain, tuple(origins.values()))


def positions(at: Any, start: Ints, stop: Ints, timestamps: Ints) -> Ints:
    """Return for each row the first position in ``[start, stop)`` whose timestamp is not before the given one."""
    if len(start) <= _FEW:
        return np.array(
            [a + np.searchsorted(at[a:b], timestamp) for a, b, timestamp in zip(start, stop, timestamps, strict=True)],
            np.int64,
        )
    low, high = start.copy(), stop.copy()
    while (undecided := low < high).any():
        middle = (low + high) // 2
        before = undecided & (at[np.where(undecided, middle, 0)] < timestamps)
        low = np.where(before, middle + 1, low)
        high = np.where(undecided & ~before, middle, high)
    return low


def _lookup(step: Lookup, matches: Matches, as_of: Ints) -> dict[str, Any]:
    if not isinstance(step, AsOfLookup):
        missing, where = matches.start == matches.stop, matches.start
    else:
        at = matches.column(AT)
        where = positions(at, matches.start, matches.stop, as_of) - 1
        missing = where < matches.start
        where = np.where(missing, 0, where)
        if len(at):
            missing = missing | (at[where] < as_of - _microseconds(step.tolerance))
    where = np.where(missing, 0, where)
    return {f"{step.name}_{name}": taken(matches.column(name), where, missing) for name in step.columns}


def _windows(step: Windows, matches: Matches, as_of: Ints, own: Sequence[Any]) -> dict[str, Any]:
    if step.by_version:
        return _by_version(step, matches, as_of, own)
    at = matches.column(AT)
    high = positions(at, matches.start, matches.stop, as_of)
    lows = {
        window: positions(at, matches.start, matches.stop, as_of - _microseconds(window))
        for window in {feature.window for feature in step.aggregates}
    }
    if not 0 < len(as_of) <= _FEW:
        return _aggregated(step, matches, lows, high, slice(0, len(at)))
    rows = [
        _aggregated(
            step,
            matches,
            {window: low[row : row + 1] for window, low in lows.items()},
            high[row : row + 1],
            slice(int(lows[step.longest()][row]), int(high[row])),
        )
        for row in range(len(as_of))
    ]
    return {feature.name: np.ma.concatenate([row[feature.name] for row in rows]) for feature in step.aggregates}


def _by_version(step: Windows, matches: Matches, as_of: Ints, own: Sequence[Any]) -> dict[str, Any]:
    """Return the features of all rows over the versions of their keys, each key's taken once; ``own`` is theirs."""
    known = matches.start < matches.stop
    starts, group = np.unique(matches.start[known], return_inverse=True)
    stops = np.zeros(len(starts), np.int64)
    stops[group] = matches.stop[known]
    code = np.full(len(as_of), -1)
    code[known] = group
    sizes = stops - starts
    where = np.arange(sizes.sum()) + np.repeat(starts - np.cumsum(sizes) + sizes, sizes)
    taken_of = {name: matches.column(name)[where] for name in {AT, UNTIL, PLACE, *step.reads()}}
    versions = Versions(np.repeat(np.arange(len(starts)), sizes), taken_of[AT], taken_of[UNTIL], taken_of[PLACE])
    read = {feature.column: taken_of[feature.column] for feature in step.aggregates}
    values = {name: numbers(column) for name, column in read.items()}
    left_out = OwnGroups(*codes(step.own, own, [taken_of[name] for name in step.own])) if step.own else None
    made = over_versions(step.aggregates, values, versions, Timestamps(code, as_of), left_out)
    return {
        feature.name: shaped(feature.function, read[feature.column], made[feature.name]) for feature in step.aggregates
    }


def _aggregated(
    step: Windows, matches: Matches, lows: dict[timedelta, Ints], high: Ints, part: slice
) -> dict[str, Any]:
    """Return the features of some rows, of whose events only ``part`` is looked at."""
    values = {name: matches.column(name)[part] for name in {feature.column for feature in step.aggregates}}
    columns = {name: numbers(value) for name, value in values.items()}
    return {
        feature.name: shaped(
            feature.function,
            values[feature.column],
            aggregate(feature, columns[feature.column], lows[feature.window] - part.start, high - part.start),
        )
        for feature in step.aggregates
    }


def _read(step: Any, name: str, matches: Matches, as_of: int, own: Sequence[Any]) -> tuple[int, str | None, str | None]:
    """Return how many rows one feature of the first request read, where its window opens, and the newest timestamp."""
    if isinstance(step, Lookup) and not isinstance(step, AsOfLookup):
        return int(matches.stop[0] - matches.start[0]), None, None
    at = matches.column(AT)
    if isinstance(step, AsOfLookup):
        opens, known = as_of - _microseconds(step.tolerance), None
    else:
        feature = next(aggregate for aggregate in step.aggregates if aggregate.name == name)
        opens, known = as_of - _microseconds(feature.window), feature.column
    if isinstance(step, Windows) and step.by_version:
        where = _newest_versions(matches, opens, as_of, str(known))
        if step.own:
            ours, theirs = codes(step.own, own, [matches.column(column)[where] for column in step.own])
            where = where[(theirs < 0) | (theirs != ours[0])]
        return len(where), _timestamp(opens), _timestamp(int(at[where].max())) if len(where) else None
    low, high = (
        int(positions(at, matches.start[:1], matches.stop[:1], np.array([timestamp]))[0])
        for timestamp in (opens, as_of)
    )
    where = np.arange(low, high)
    if known is not None:
        where = where[numbers(matches.column(known)[low:high]).known]
    return len(where), _timestamp(opens), _timestamp(int(at[where[-1]])) if len(where) else None


def _newest_versions(matches: Matches, opens: int, as_of: int, known: str) -> Ints:
    """Return the rows of the first key that a window sees: the newest versions of the events it reaches."""
    rows = slice(int(matches.start[0]), int(matches.stop[0]))
    in_force = (matches.column(AT)[rows] < as_of) & (as_of <= matches.column(UNTIL)[rows])
    inside = in_force & (matches.column(PLACE)[rows] >= opens) & numbers(matches.column(known)[rows]).known
    return rows.start + np.flatnonzero(inside)


def _microseconds(length: timedelta) -> int:
    return length // timedelta(microseconds=1)


def _timestamp(at: int) -> str:
    return (EPOCH + timedelta(microseconds=at)).strftime("%Y-%m-%d %H:%M:%S")


def _plain(values: Sequence[Any]) -> Any:
    """Return the first value as one of Python, None for null."""
    value = np.ma.asarray(values)[0]
    if value is np.ma.masked or value is None or value != value:  # noqa: PLR0124 - only NaN differs from itself
        return None
    return value.item() if isinstance(value, np.generic) else value


def _shown(values: Sequence[Any]) -> str:
    value = _plain(values)
    return f"{value:.6g}" if isinstance(value, float) else str(value)
