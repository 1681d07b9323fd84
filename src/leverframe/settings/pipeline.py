"""The section `pipeline` of ``leverframe.yaml``: where an own pipeline, which Leverframe did not shape, has what."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from leverframe.documents import Document


class PredictionsRole(Document):
    """A file with rows that the model did not learn from: features, predictions, and labels where there are any."""

    path: str = Field(description="Parquet, CSV or JSON lines; a pattern such as eval/*.parquet reads several files")
    kind: Literal["binary", "multiclass", "regression"] = Field(description="kind of the label")
    score: str = Field(
        default="score", description="column with the predicted probability, or number; a prefix for many classes"
    )
    label: str | None = Field(default=None, description="column with the label; null where there is none")
    time: str = Field(default="at", description="column with the timestamp of a row")
    classes: list[str] = Field(default_factory=list, description="classes of a multiclass label, in order of columns")
    features: Annotated[list[str], Field(min_length=1)] = Field(
        default_factory=lambda: ["*"], description="columns that the model sees; patterns are allowed"
    )
    model: str = Field(default="model", description="name of the model")
    timezone: str = Field(default="UTC", description="IANA zone in which a day begins")


class PipelineSettings(Document):
    """Roles of the files of a repository that has a pipeline of its own."""

    predictions: PredictionsRole | None = Field(default=None, description="rows with predictions and labels")
