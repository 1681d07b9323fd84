"""How the feature definition changed: features removed, added, or redefined under the same name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from leverframe.domain.features.plan import Aggregate, AsOfLookup, Corrected, Key, Plan, Windows
from leverframe.domain.features.star_picture import short
from leverframe.domain.review.diff.diff_result import Change

_DATA = ("data", "features")  # sections of the settings that change the meaning of the data


def definition_changes(before: Plan, after: Plan) -> Iterator[Change]:
    """Yield what changed between two plans."""
    yield from _changes("feature", _features(before), _features(after))
    yield from _changes("label", _labels(before), _labels(after))
    ours, theirs = _spine(before), _spine(after)
    for name in ours:
        if ours[name] != theirs[name]:
            yield Change("spine", f"{name} changed from `{ours[name]}` to `{theirs[name]}`", breaking=True)


def settings_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    """Yield the settings of data and features that differ; another label is another model."""
    ours, theirs = ({k: v for name in _DATA for k, v in _flat(name, side.get(name))} for side in (before, after))
    for name in dict.fromkeys([*ours, *theirs]):
        one, other = ours.get(name, "nothing"), theirs.get(name, "nothing")
        if one != other:
            yield Change("settings", f"`{name}` changed from `{one}` to `{other}`", breaking=name == "features.label")


def _changes(what: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Change]:
    for name in before:
        if name not in after:
            yield Change(name, f"{what} removed; it was {before[name]}", breaking=True)
        elif before[name] != after[name]:
            yield Change(name, f"{what} redefined: before {before[name]}; now {after[name]}", breaking=True)
    for name in after:
        if name not in before:
            yield Change(name, f"{what} added, {after[name]}", breaking=False)


def _features(plan: Plan) -> dict[str, str]:
    """Return every feature with a description that differs whenever its meaning does."""
    seen = f", {short(plan.lead_time)} lead time" if plan.lead_time else ""
    features = {name: f"`{name}` of `{plan.spine}`" for name in plan.spine_features}
    features |= {part: f"{part} in `{plan.timezone}`" for part in plan.calendar}
    for step in plan.steps:
        if isinstance(step, Windows):
            of = f"of `{step.table}` {_by(step.key)}, known at `{step.known_at}`"
            of += f"{_versions(step.corrected)}{_own(step)}{seen}"
            features |= {
                aggregate.name: f"{_aggregate(aggregate)} {of}, {short(aggregate.window)}"
                for aggregate in step.aggregates
            }
            continue
        when = seen
        if isinstance(step, AsOfLookup):
            when = f", newest within {short(step.tolerance)}, {short(step.lag)} after it was known{seen}"
        for name, column in zip(step.outputs(), step.columns, strict=True):
            features[name] = f"`{column}` of `{step.table}` {_by(step.key)}{when}"
    return features


def _labels(plan: Plan) -> dict[str, str]:
    return {
        label.name: f"{label.kind} `{label.column}`"
        + (f" at least {label.at_least:g}" if label.at_least is not None else "")
        + f" of `{label.table}`, known at `{label.known_at}`{_versions(label.corrected)}"
        for label in plan.labels
    }


def _spine(plan: Plan) -> dict[str, str]:
    return {
        "table": plan.spine,
        "key": ", ".join(plan.spine_key),
        "lead_time": short(plan.lead_time),
        "corrections": _versions(plan.corrected).removeprefix(", corrected ").replace("`", "") or "none",
    }


def _aggregate(aggregate: Aggregate) -> str:
    above = f" {aggregate.threshold:g}" if aggregate.threshold is not None else ""
    return f"{aggregate.function}{above} of `{aggregate.column}`"


def _by(key: Key) -> str:
    pairs = [ours if ours == theirs else f"{ours}={theirs}" for ours, theirs in zip(key.spine, key.table, strict=True)]
    return f"by `{', '.join(pairs)}`" if pairs else "over all rows"


def _versions(corrected: Corrected | None) -> str:
    return f", corrected by `{', '.join(corrected.key)}` at `{corrected.recorded_at}`" if corrected else ""


def _own(step: Windows) -> str:
    return f", without a row's own by `{', '.join(step.own)}`" if step.own else ""


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(f"{name}.{key}", inner)
    elif value is not None:
        yield name, value
