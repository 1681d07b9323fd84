"""What the stages read: ``params.yaml``, one section a stage, so that DVC re-runs only what a change concerns.

Other sections of the file belong to whoever wrote them. What the levers read stands in ``leverframe.yaml``.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from leverframe.documents import Document, validated
from leverframe.errors import SettingsError
from leverframe.settings import LEVERS, PARAMS
from leverframe.settings.paths import AroundText
from leverframe.settings.periods import FORMS, ORDER, Arrival, Grouping, period_of, unit
from leverframe.yaml_files import load

# Sections that people look for here; a test holds them to those of leverframe.yaml.
_OF_LEVERS = (
    "gate", "reproduce", "judge", "report", "deploy", "serve", "pipeline", "monitor", "alerts", "retrain", "online",
    "infra",
)  # fmt: skip

_IMPORT_PATH = re.compile(r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")


def _a_key(given: Any) -> Any:
    if not isinstance(given, str):
        raise ValueError(f'a partition is a text: write it in quotes, "{given}"')
    return given


def _a_zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError("not a time zone of the IANA database, such as Europe/Paris") from error
    return text


def _an_import_path(text: str) -> str:
    if not _IMPORT_PATH.match(text):
        raise ValueError("an import path is written as package.module:name")
    return text


KeyText = Annotated[str, BeforeValidator(_a_key)]
ZoneText = Annotated[str, AfterValidator(_a_zone)]
ImportPath = Annotated[str, AfterValidator(_an_import_path)]
TypeName = Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$")]
Share = Annotated[float, Field(gt=0, lt=1)]


class PartitionRange(Document):
    """Partitions from ``first`` to ``last``, both included, written as keys of the period of the data."""

    first: KeyText
    last: KeyText

    @model_validator(mode="after")
    def _in_order(self) -> PartitionRange:
        if period_of(self.first) == period_of(self.last) is not None and self.first > self.last:
            raise ValueError(f"first ({self.first}) is later than last ({self.last})")
        return self


class HoldoutRange(PartitionRange):
    """The partitions of the hold-out, and how many of their rows judge a model."""

    rows: Annotated[int, Field(ge=1000)] = Field(
        default=2_000_000,
        description="of more rows about so many are drawn by their key, so that evaluation and gate fit into memory",
    )


class DataSettings(PartitionRange):
    """Which partitions exist, how many of them one file holds, and where the case is declared."""

    case: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$")] = Field(
        description="Python package with sources.py, contracts.py, star.yaml and model.py"
    )
    timezone: ZoneText = Field(description="time zone in which a day begins")
    period: Arrival = Field(default="month", description="how data arrive; `first` and `last` are keys of that period")
    group: Grouping | None = Field(
        default=None,
        description="what one file and one stage hold; the finest period with at most 14 groups by default",
    )

    dependencies: list[AroundText] = Field(
        default_factory=list,
        description="files and folders of the repository that the case reads or loads without an import",
    )

    @model_validator(mode="after")
    def _of_one_period(self) -> DataSettings:
        refuse_others(self.period, self.first, self.last)
        group = self.group
        if group and (self.period == "none" or ORDER.index(group) < ORDER.index(self.period)):
            raise ValueError(f"a {group} cannot hold whole partitions where `period` is {self.period}")
        return self


def refuse_others(period: Arrival, *keys: str) -> None:
    """Raise ``ValueError`` for the first key that is not of the period of the data."""
    for key in keys:
        if period_of(key) != unit(period):
            raise ValueError(f"a partition is {FORMS[unit(period)].words} where `data.period` is {period}, not `{key}`")


class SparkSettings(Document):
    """Where Spark runs; no result depends on it."""

    master: Annotated[str, Field(min_length=1)] = Field(
        default="local[*]", description="master of Spark: local[2], or the address of a cluster"
    )
    memory: Annotated[str, Field(pattern=r"^[1-9]\d*[mg]$")] = Field(
        default="2g", description="memory of each process of Spark, such as 512m or 4g"
    )


class SparkTrainingSettings(SparkSettings):
    """Where Spark trains, and how much one task of it reads, which may change the last digits of a model."""

    megabytes: Annotated[int, Field(ge=1, le=1024)] = Field(
        default=64, description="megabytes of the training set's file that one task reads"
    )


class FeaturesSettings(Document):
    """Which label and features form the training set, and how time splits it."""

    engine: Literal["duckdb", "spark"] = Field(default="duckdb", description="engine that runs the plan")
    spark: SparkSettings = Field(default_factory=SparkSettings, description="where `engine: spark` runs")
    label: str = Field(description="label of star.yaml that the model learns")
    select: list[str] = Field(min_length=1, description="feature names of star.yaml; `*` matches any text")
    train: PartitionRange = Field(description="partitions the model learns from")
    holdout: HoldoutRange = Field(description="later partitions the model is judged on, and at most how many `rows`")

    @model_validator(mode="after")
    def _train_before_holdout(self) -> FeaturesSettings:
        if self.train.last >= self.holdout.first:
            raise ValueError(
                f"the hold-out begins in {self.holdout.first}, and training lasts through {self.train.last}: a model "
                "must be judged on later partitions than it learnt from; where the data have one only, choose a finer "
                "`data.period`, such as `day` with `group: month`"
            )
        return self


class TrainSettings(Document):
    """Which estimator learns, where, and with which parameters."""

    engine: Literal["sklearn", "spark"] = Field(
        default="sklearn", description="what trains: `sklearn` on this machine, or `spark` on a cluster"
    )
    spark: SparkTrainingSettings = Field(
        default_factory=SparkTrainingSettings, description="where `engine: spark` trains"
    )
    estimator: ImportPath = Field(
        description="scikit-learn compatible class, or function that returns one; of Spark with `engine: spark`"
    )
    threads: Annotated[int, Field(ge=1)] = Field(default=1, description="threads of numeric libraries")
    params: dict[str, Any] = Field(default_factory=dict, description="arguments handed to the estimator")
    trusted_types: list[TypeName] = Field(
        default_factory=list, description="own types that a stored model may hold, as package.module.Name"
    )


class EvaluateSettings(Document):
    """How the model is judged on the hold-out."""

    slices: list[str] = Field(default_factory=list, description="columns whose values are judged apart")
    minimum_slice_rows: Annotated[int, Field(ge=1)] = Field(
        default=200, description="smaller slices are listed without metrics"
    )
    thresholds: list[Share] = Field(
        default_factory=lambda: [0.1, 0.2, 0.3, 0.4, 0.5], description="decision thresholds of the table"
    )
    confidence: Share = Field(default=0.95, description="coverage of the intervals")


class ConversionSettings(Document):
    """What the conversion to ONNX may take; beyond it scikit-learn serves the model."""

    seconds: Annotated[float, Field(gt=0, le=86_400)] = Field(default=300.0, description="time, in seconds")
    megabytes: Annotated[int, Field(ge=512)] = Field(default=4096, description="address space of its process")


class BundleSettings(Document):
    """What is packed for serving."""

    model: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")] = Field(
        default="model", description="name that the model is served under: small letters, digits, dashes"
    )
    tolerance: Annotated[float, Field(gt=0, le=1e-2)] = Field(
        default=1e-5,
        description="how far the model in ONNX may be from scikit-learn, for a number relative to the spread of the "
        "label; else scikit-learn serves",
    )
    conversion: ConversionSettings = Field(
        default_factory=ConversionSettings, description="`seconds` and `megabytes` that the conversion to ONNX may take"
    )
    golden_rows: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=64, description="rows with their answers that every server must give before it gets traffic"
    )


class Params(Document):
    """The sections of ``params.yaml`` that stages of Leverframe read."""

    data: DataSettings
    features: FeaturesSettings
    train: TrainSettings
    evaluate: EvaluateSettings = Field(default_factory=EvaluateSettings)
    bundle: BundleSettings = Field(default_factory=BundleSettings)

    @model_validator(mode="after")
    def _splits_within_data(self) -> Params:
        for name, split in (("train", self.features.train), ("holdout", self.features.holdout)):
            refuse_others(self.data.period, split.first, split.last)
            if split.first < self.data.first or split.last > self.data.last:
                raise ValueError(
                    f"features.{name} ({split.first} to {split.last}) reaches outside "
                    f"the data ({self.data.first} to {self.data.last})"
                )
        return self


_SECTIONS = tuple(Params.model_fields)


def read_params(path: Path = PARAMS) -> Params:
    """Return what stages read; raises ``SettingsError`` for the first thing that does not fit."""
    return params_of(load(path, what="settings file"), name=str(path))


def params_of(content: Mapping[str, Any], *, name: str) -> Params:
    """Return the sections of stages in the content of a ``params.yaml``; sections of others are left alone.

    Raises ``SettingsError`` for what does not fit, for a section that belongs into ``leverframe.yaml``,
    and for one whose name is nearly that of a missing section.
    """
    own = {section: value for section, value in content.items() if section in _SECTIONS}
    for section in content:
        _refuse_misplaced(section, own, name)
    return validated(Params, own, name=name)


def schema() -> str:
    """Return the JSON schema of ``params.yaml``."""
    return json.dumps(Params.model_json_schema(), indent=2) + "\n"


def _refuse_misplaced(section: str, own: Mapping[str, Any], name: str) -> None:
    if section in _OF_LEVERS:
        raise SettingsError(
            f"`{section}` in {name} belongs into {LEVERS}",
            why=f"{name} is what stages read and DVC tracks; the levers read {LEVERS}",
            next=f"move the section `{section}` to {LEVERS}, as it is",
        )
    missing = [known for known in _SECTIONS if known not in own]
    close = difflib.get_close_matches(str(section), missing, n=1, cutoff=0.75)
    if section not in own and close:
        raise SettingsError(
            f"unknown setting `{section}` in {name}",
            why="a setting that nothing reads would silently change nothing",
            next=f"did you mean `{close[0]}`?",
        )
