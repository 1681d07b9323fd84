"""The section `pipeline` of ``leverframe.yaml``: where an own pipeline, which Leverframe did not shape, has what."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from leverframe.documents import Document

Kind = Literal["binary", "multiclass", "regression"]
ModelFormat = Literal["onnx", "skops", "xgboost", "lightgbm", "catboost", "mlflow"]
Columns = Annotated[list[str], Field(min_length=1)]


class RowsRole(Document):
    """A file with rows that the model did not learn from, and which of its columns have which role."""

    path: Annotated[str, Field(min_length=1)] = Field(
        description="Parquet, CSV, JSON lines or NumPy; a pattern such as eval/*.parquet reads several files"
    )
    time: str = Field(default="at", description="column with the timestamp of a row")
    timezone: str = Field(default="UTC", description="IANA zone in which a day begins")
    key: list[str] = Field(
        default_factory=list,
        description="columns that identify a row: by them the rows of both models are paired, without one by position",
    )
    block: str | None = Field(
        default=None,
        description="column whose values say which rows belong together, such as a day or a user; by default the day "
        "of `time`, and without that column rows as they stand in the file",
    )
    slices: list[str] = Field(default_factory=list, description="columns by whose values both models are shown")
    classes: list[str] = Field(default_factory=list, description="classes of a multiclass label, in order of columns")
    features: Columns = Field(
        default_factory=lambda: ["*"], description="columns that the model sees; patterns are allowed"
    )


class PredictionsRole(RowsRole):
    """Rows with predictions, features where there are any, and labels where there are any."""

    kind: Kind = Field(description="kind of the label")
    score: str = Field(
        default="score", description="column with the predicted probability, or number; a prefix for many classes"
    )
    label: str | None = Field(default=None, description="column with the label; null where there is none")
    model: str = Field(default="model", description="name of the model")


class HoldoutRole(RowsRole):
    """Rows with features and labels, which both models are to predict."""

    label: str = Field(description="column with the label")
    kind: Kind | None = Field(default=None, description="kind of the label; by default that of `predictions`")


class ModelRole(Document):
    """The model: a file or folder of a known format, or a function that predicts."""

    path: Annotated[str, Field(min_length=1)] | None = Field(
        default=None, description="file, or folder of MLflow, that a stage writes"
    )
    format: ModelFormat | None = Field(default=None, description="format of the file; by default told by its content")
    predict: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")] | None = Field(
        default=None,
        description="module:function of the repository that is given rows as a table and returns their predictions",
    )

    @model_validator(mode="after")
    def _is_somewhere(self) -> ModelRole:
        if self.path is None and self.predict is None:
            raise ValueError("a model has a `path`, or a function `predict`")
        return self


class PipelineSettings(Document):
    """Roles of the files of a repository that has a pipeline of its own."""

    metrics: list[Annotated[str, Field(min_length=1)]] = Field(
        default_factory=list, description="files of metrics; by default all that `dvc.yaml` calls metrics"
    )
    predictions: PredictionsRole | None = Field(default=None, description="rows with predictions and labels")
    holdout: HoldoutRole | None = Field(default=None, description="rows that both models are to predict")
    model: ModelRole | None = Field(default=None, description="the model")

    @model_validator(mode="after")
    def _kind_is_known(self) -> PipelineSettings:
        if self.holdout is not None and self.holdout.kind is None and self.predictions is None:
            raise ValueError("`holdout` needs the `kind` of its label where there are no `predictions`")
        return self
