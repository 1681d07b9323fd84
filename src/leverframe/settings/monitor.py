"""The sections `monitor` and `alerts` of ``leverframe.yaml``: where traffic and labels are, how alarms are raised."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from leverframe.documents import Document

Format = Literal["auto", "leverframe", "parquet", "csv", "jsonl"]
Window = Literal["hour", "day", "week", "month"]
Kind = Literal["numeric", "discrete", "categorical", "boolean", "text", "ignore"]
Owner = Annotated[str, Field(pattern=r"^@?[A-Za-z0-9][A-Za-z0-9_-]{0,99}(/[A-Za-z0-9._-]{1,100})?$")]
LabelName = Annotated[str, Field(pattern=r"^[^,\n]{1,50}$")]  # a comma separates labels where they are looked up
VariableName = Annotated[str, Field(pattern=r"^[A-Z_][A-Z0-9_]*$")]


class RequestColumns(Document):
    """The columns of a table of requests and predictions; those of Leverframe's own log need no setting."""

    time: str = Field(
        default="at",
        description="column with the timestamp of the prediction; of Leverframe's own log a column of requests, "
        "such as as_of, whose time then counts instead of the server's",
    )
    id: str | None = Field(default="id", description="column with the id of the prediction; null where there is none")
    prediction: str = Field(default="prediction", description="column with the predicted probability, class or number")
    probabilities: str = Field(
        default="probability_", description="prefix of the columns with a probability a class, where there are several"
    )
    release: str | None = Field(default=None, description="column that names the release that predicted")
    milliseconds: str | None = Field(default=None, description="column with the response time")


class LabelSettings(Document):
    """Labels that arrive after the predictions: files with a label a row."""

    path: str = Field(description="files with labels: a pattern below the repository, or an address such as s3://...")
    on: Annotated[list[str], Field(min_length=1)] = Field(
        default_factory=lambda: ["id"], description="columns that labels and requests share"
    )
    label: str = Field(default="label", description="column with the label")
    known_at: str | None = Field(default=None, description="column with the timestamp at which the label was known")


class ReferenceSettings(Document):
    """Which rows live traffic is compared with: those of the hold-out, or of `pipeline.predictions`."""

    first: str | None = Field(default=None, description="first day of the reference; by default that of the rows")
    last: str | None = Field(default=None, description="last day of the reference; by default that of the rows")


class ColumnSettings(Document):
    """What is known of a column better than its values tell."""

    kind: Kind | None = Field(default=None, description="kind of the column; `ignore` leaves it out")
    minimum: float | None = Field(default=None, description="smallest value that is no error")
    maximum: float | None = Field(default=None, description="largest value that is no error")


class QualitySettings(Document):
    """Data quality: how far from the reference a share of rows may be; the rule is the same as for drift."""

    floor: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.01, description="a share of missing, new or impossible values that is below it is never a finding"
    )
    maximum_feature_age_hours: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="age of looked-up features from which it is a finding"
    )
    maximum_misses: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.2, description="share of rows whose key a table of the snapshot may lack"
    )
    maximum_skew: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.05, description="share of recomputed rows in which a feature may differ from the served one"
    )
    maximum_latency_ms: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="95th percentile of the response time from which it is a finding"
    )
    maximum_errors: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.01, description="share of requests that may fail; refused ones may be ten times as many"
    )


class PerformanceSettings(Document):
    """Performance on labels that arrive late."""

    metrics: list[str] = Field(default_factory=list, description="metrics; by default those that the gate judges")
    label_delay_days: Annotated[float, Field(ge=0)] = Field(
        default=0.0, description="days after which labels are expected; overdue ones are a finding"
    )
    minimum_coverage: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.8, description="share of rows with a label from which a window is judged"
    )
    minimum_rows: Annotated[int, Field(ge=1)] = Field(
        default=50, description="rows with a label from which a window is judged"
    )


class ClassifierSettings(Document):
    """A classifier that tries to tell live rows from those of the reference: it sees columns that move together."""

    every: Literal["week", "month", "never"] = Field(default="week", description="how often it is trained")
    rows: Annotated[int, Field(ge=200, le=20_000)] = Field(default=2000, description="rows of each side")

    @property
    def period(self) -> Literal["week", "month"]:
        """The period whose rows are compared."""
        return "month" if self.every == "month" else "week"


class MonitorSettings(Document):
    """What the monitor reads and when it says that something is wrong."""

    environment: str | None = Field(
        default=None, description="environment whose log is read; by default the last of `deploy.environments`"
    )
    log: str | None = Field(
        default=None, description="folder, pattern or address (s3://...) of closed log files; by default the server's"
    )
    format: Format = Field(default="auto", description="format of the log; auto goes by the ending of the files")
    columns: RequestColumns = Field(default_factory=RequestColumns, description="columns of logs of other servers")
    labels: LabelSettings | None = Field(default=None, description="labels that arrive after the predictions")
    reference: ReferenceSettings = Field(default_factory=ReferenceSettings, description="what traffic is compared with")
    window: Window = Field(default="day", description="period that is judged as a whole")
    lookback: Annotated[int, Field(ge=3, le=400)] = Field(default=30, description="windows that a run looks at")
    minimum_rows: Annotated[int, Field(ge=1)] = Field(default=100, description="rows from which a window is judged")
    match: Literal["auto", "none", "weekday", "month"] = Field(
        default="auto", description="windows of the reference that one is compared with: all, or of the same season"
    )
    false_alarms_per_month: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.05, description="share of months without any change that may raise a drift alarm"
    )
    smallest_effect: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.02, description="a distance below it is never drift, however many rows there are"
    )
    engine: Literal["alibi-detect", "builtin"] = Field(
        default="alibi-detect", description="who computes the statistics; both compute the same"
    )
    features: dict[str, ColumnSettings] = Field(
        default_factory=dict, description="features by name, where their values tell too little"
    )
    quality: QualitySettings = Field(default_factory=QualitySettings, description="bounds of data quality")
    performance: PerformanceSettings = Field(default_factory=PerformanceSettings, description="metrics and labels")
    classifier: ClassifierSettings = Field(default_factory=ClassifierSettings, description="multivariate drift")
    skew_rows: Annotated[int, Field(ge=0, le=100_000)] = Field(
        default=500, description="logged requests of each run whose features are recomputed; 0 for none"
    )
    every_hours: Annotated[float, Field(gt=0)] = Field(
        default=24.0, description="how often the monitor is scheduled; after twice that it counts as silent"
    )


class WebhookSettings(Document):
    """An address that is sent every alert that opens, changes severity or closes."""

    url: VariableName = Field(description="environment variable with the address, which is a secret")
    format: Literal["slack", "generic"] = Field(default="generic", description="what is sent")
    secret: VariableName | None = Field(
        default=None, description="environment variable with the key that signs the body (HMAC-SHA256)"
    )
    minimum: Literal["warning", "critical"] = Field(default="warning", description="least severity that is sent")


class AlertSettings(Document):
    """Who is told of findings, and how often."""

    issues: bool = Field(default=True, description="one GitHub issue an alert, where there is a token")
    owners: list[Owner] = Field(
        default_factory=list,
        description="logins to assign, and teams as org/team to mention; by default those of CODEOWNERS for the case",
    )
    labels: list[LabelName] = Field(
        default_factory=lambda: ["leverframe-alert"], description="labels of the issues; by the first they are found"
    )
    dashboard: Annotated[str, Field(pattern=r"^https?://[^\s<>]+$")] | None = Field(
        default=None, description="address of the published dashboard, for links; by default the summary on the branch"
    )
    resolve_after: Annotated[int, Field(ge=1)] = Field(
        default=3, description="windows in a row without the finding after which an alert closes"
    )
    repeat_days: Annotated[float, Field(gt=0)] = Field(
        default=7.0, description="days after which an open alert is mentioned again"
    )
    webhooks: list[WebhookSettings] = Field(default_factory=list, description="addresses to notify")

    @model_validator(mode="after")
    def _can_be_found(self) -> AlertSettings:
        if self.issues and not self.labels:
            raise ValueError("issues without a label cannot be found again; give `labels` one")
        return self
