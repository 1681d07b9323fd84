"""What is monitored: a model, its label, and the columns of its requests, whoever shaped the pipeline behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from leverframe.domain.features.training_set import Feature, FeatureKind, Label
from leverframe.domain.model.bundle.schema import Field
from leverframe.domain.model.table import Table
from leverframe.domain.monitoring.monitored_column import ColumnKind, MonitoredColumn
from leverframe.domain.pipeline.role_columns import features_among
from leverframe.errors import SettingsError, nearest
from leverframe.settings.monitor import ColumnSettings
from leverframe.settings.pipeline import PredictionsRole

_KINDS: Mapping[str, ColumnKind] = {"numeric": "numeric", "categorical": "categorical", "boolean": "boolean"}
_FEW = 1000  # distinct texts; where more than a fifth of the rows has one of its own, values are not compared


@dataclass(frozen=True)
class Subject:
    """A model and what its requests hold; ``classes`` are empty for a regression."""

    model: str
    label: Label
    classes: tuple[str, ...]
    columns: tuple[MonitoredColumn, ...]
    timezone: str

    def rated(self, importances: Mapping[str, float]) -> Subject:
        """Return it with the importance of each column."""
        columns = (replace(column, importance=importances.get(column.name)) for column in self.columns)
        return replace(self, columns=tuple(columns))


def monitored_columns(
    features: Sequence[Feature], constraints: Mapping[str, Field], settings: Mapping[str, ColumnSettings]
) -> tuple[MonitoredColumn, ...]:
    """Return the columns to look at; ``constraints`` are what the contract says of them.

    Raises ``SettingsError`` for settings of a feature that the model does not have.
    """
    known = [feature.name for feature in features]
    for name in settings:
        if name not in known:
            raise SettingsError(
                f"`monitor.features.{name}` in leverframe.yaml is not a feature of the model",
                why="its settings would silently change nothing",
                next=nearest(name, known),
            )
    every = (_column(feature, constraints.get(feature.name), settings.get(feature.name)) for feature in features)
    return tuple(column for column in every if column is not None)


def _column(feature: Feature, field: Field | None, settings: ColumnSettings | None) -> MonitoredColumn | None:
    if settings is not None and settings.kind == "ignore":
        return None
    column = MonitoredColumn(feature.name, _KINDS[feature.kind])
    if field is not None:
        low = field.minimum if field.minimum is not None else field.above
        high = field.maximum if field.maximum is not None else field.below
        allowed = tuple(map(str, field.allowed)) if field.allowed is not None else None
        column = replace(column, nullable=field.nullable, minimum=low, maximum=high, allowed=allowed)
    if settings is None:
        return column
    return replace(
        column,
        kind=settings.kind if settings.kind and settings.kind != "ignore" else column.kind,
        minimum=column.minimum if settings.minimum is None else settings.minimum,
        maximum=column.maximum if settings.maximum is None else settings.maximum,
    )


def features_of(table: Table, role: PredictionsRole, path: str) -> tuple[Feature, ...]:
    """Return the features in a file of predictions: the columns that its patterns name, without those of other roles.

    Raises ``SettingsError`` where a pattern names no column.
    """
    if "" in table.columns:
        raise SettingsError(
            f"{path} has a column without a name",
            why="no log could be compared with it; pandas writes its index so",
            next="write the file with `index=False`, or give the column a name",
        )
    roles = {role.time, role.label or "", role.block or "", *role.key}
    roles |= {f"{role.score}{name}" for name in role.classes or ("",)}
    chosen = features_among(table.columns, role.features, roles, section="pipeline.predictions", path=path)
    return tuple(Feature(name, _feature_kind(table, name)) for name in chosen)


def as_text_where_all_differ(
    columns: Sequence[MonitoredColumn], table: Table, settings: Mapping[str, ColumnSettings]
) -> tuple[MonitoredColumn, ...]:
    """Return the columns; a categorical one that hardly ever repeats a value, such as an id, becomes ``text``."""
    decided = {name for name, given in settings.items() if given.kind}
    return tuple(
        replace(column, kind="text")
        if column.kind == "categorical" and column.name not in decided and _all_differ(table, column.name)
        else column
        for column in columns
    )


def _all_differ(table: Table, name: str) -> bool:
    if name not in table.columns:
        return False
    distinct = int(table.get_column(name).n_unique())
    return distinct > _FEW and distinct > table.height / 5


def _feature_kind(table: Table, name: str) -> FeatureKind:
    dtype = table.get_column(name).dtype
    if str(dtype) == "Boolean":
        return "boolean"
    return "numeric" if dtype.is_numeric() else "categorical"
