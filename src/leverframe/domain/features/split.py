"""How built partitions become a training set: one label, chosen features, split by time without a leak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple, Protocol

from leverframe.domain import layout
from leverframe.domain.features.plan import Plan, select
from leverframe.domain.features.training_set import Feature, FeatureKind, Label, Split, TrainingSet
from leverframe.domain.partition import Partition, Partitions
from leverframe.errors import DefinitionError, LabelError, SourceError, nearest
from leverframe.settings.params import FeaturesSettings, PartitionRange

_FEATURE_KINDS: dict[str, FeatureKind] = {"number": "numeric", "text": "categorical", "boolean": "boolean"}


@dataclass(frozen=True)
class SplitPart:
    """What one side of the split is made of.

    ``known_before`` drops rows whose label became known only at or after that timestamp: at the
    time of training nobody had it. ``within`` keeps the rows whose ``as_of`` lies from its first
    timestamp to before its second; None where all rows of the files do. Of more than ``most`` rows about so many are
    drawn by a digest of their time and ``keys``, so that the same rows are drawn again whatever else a file holds.
    """

    files: tuple[Path, ...]
    label: str
    columns: tuple[str, ...]
    known_before: datetime | None
    within: tuple[datetime, datetime] | None = None
    most: int | None = None
    keys: tuple[str, ...] = ()


class CutRows(NamedTuple):
    """The rows of one side: kept, without label, with a label known too late, and out of how many some were drawn."""

    kept: int
    without_label: int
    too_late: int
    of: int | None = None


class Splitter(Protocol):
    """Cuts one side of a training set out of built partitions."""

    def columns(self, files: Sequence[Path]) -> dict[str, str]:
        """Return the columns with their kind, as ``column_types.kind`` names it."""

    def spec(self, file: Path) -> str | None:
        """Return the definition's hash that a built file carries."""

    def cut(self, cut: SplitPart, out: Path) -> CutRows:
        """Write the rows in order, and return how many of which kind there were."""


def run(
    plan: Plan,
    features: FeaturesSettings,
    partitions: Partitions,
    splitter: Splitter,
    exists: layout.Exists,
    root: Path,
) -> TrainingSet:
    """Write both sides of the split and return the description that travels with them.

    Raises ``DefinitionError`` for a label or feature that is not declared, ``SourceError`` for a
    partition that was built by another definition, and ``LabelError`` for a side without rows.
    """
    label = _label(plan, features.label)
    chosen = select(features.select, plan.features())
    train, holdout = (_files(split, partitions, exists, root) for split in (features.train, features.holdout))
    kinds = _kinds(chosen, splitter, [*train, *holdout])
    _same_definition(plan, [*train, *holdout], splitter)
    cutoff = Partition.of(features.holdout.first).start(partitions.timezone)
    keys = tuple(dict.fromkeys([*plan.keys, *plan.spine_features]))
    columns = tuple(dict.fromkeys([*keys, *chosen]))
    sides = []
    for name, split, files, out, before, most in (
        ("train", features.train, train, layout.TRAIN, cutoff, None),
        ("holdout", features.holdout, holdout, layout.HOLDOUT, None, features.holdout.rows),
    ):
        within = _within(split, partitions, plan.lead_time)
        rows = splitter.cut(SplitPart(files, label.name, columns, before, within, most, keys), root / out)
        if rows.kept == 0:
            raise LabelError(
                f"no row of features.{name} has the label `{label.name}`",
                why=f"{rows.without_label} rows have none, {rows.too_late} became known after the hold-out began",
                next=f"choose other partitions for features.{name} in params.yaml",
            )
        sides.append(Split(split.first, split.last, rows.kept, rows.without_label, rows.too_late, rows.of))
    return TrainingSet(label, kinds, plan.spec, *sides)


def _label(plan: Plan, name: str) -> Label:
    known = {label.name: label.kind for label in plan.labels}
    if name not in known:
        raise DefinitionError(
            f"`{name}` in features.label is not declared",
            why="star.yaml has no label of that name",
            next=nearest(name, known),
        )
    return Label(name, known[name])


def _files(split: PartitionRange, partitions: Partitions, exists: layout.Exists, root: Path) -> tuple[Path, ...]:
    paths = [layout.features(str(group)) for group in partitions.groups(split.first, split.last)]
    layout.require(paths, exists, why=f"params.yaml takes the partitions {split.first} to {split.last}")
    return tuple(root / path for path in paths)


def _within(split: PartitionRange, partitions: Partitions, lead_time: timedelta) -> tuple[datetime, datetime] | None:
    """Return between which timestamps the rows of a split lie, None where its files hold no others."""
    groups = partitions.groups(split.first, split.last)
    held = partitions.bounds(groups[0])[0], partitions.bounds(groups[-1])[1]
    first, last = (Partition.of(key, partitions.first.period) for key in (split.first, split.last))
    asked = first.start(partitions.timezone), last.plus(1).start(partitions.timezone)
    return None if asked == held else (asked[0].astimezone(UTC) - lead_time, asked[1].astimezone(UTC) - lead_time)


def _kinds(chosen: Sequence[str], splitter: Splitter, files: Sequence[Path]) -> tuple[Feature, ...]:
    kinds = splitter.columns(files)
    for name in chosen:
        if kinds.get(name) not in _FEATURE_KINDS:
            raise DefinitionError(
                f"the feature `{name}` is {kinds.get(name, 'missing')} in the built partitions",
                why="a model learns from numbers, texts and booleans; an all-null column has no type",
                next="leave it out of features.select, or give its column a type by `types` of its reader",
            )
    return tuple(Feature(name, _FEATURE_KINDS[kinds[name]]) for name in chosen)


def _same_definition(plan: Plan, files: Sequence[Path], splitter: Splitter) -> None:
    for file in files:
        built = splitter.spec(file)
        if built != plan.spec:
            raise SourceError(
                f"{file.name} was built by another definition ({built}, now {plan.spec})",
                why="star.yaml or the compiler changed since, so its features may mean something else",
                next="`dvc repro` builds it again",
            )
