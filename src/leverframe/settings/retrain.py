"""The section `retrain` of ``leverframe.yaml``: when a model is trained anew, on which rows, and what follows."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from leverframe.documents import Document
from leverframe.settings.paths import PathText
from leverframe.settings.periods import Arrival

Policy = Literal["expanding", "sliding", "since-change"]
Share = Annotated[float, Field(gt=0, lt=1)]
_KEY = r"^[A-Za-z_][\w-]*(\.[A-Za-z_][\w-]*)*$"
Key = Annotated[str, Field(pattern=_KEY)]


class WindowSettings(Document):
    """Which rows a candidate learns from; they end where its hold-out begins."""

    policy: Policy = Field(
        default="expanding",
        description="`expanding` keeps the first row of the champion, `sliding` its length or `days`, "
        "`since-change` begins where the monitor first saw the change",
    )
    days: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="days of a sliding window; by default as many as the champion learnt from"
    )
    minimum_days: Annotated[int, Field(ge=1)] = Field(
        default=28, description="fewest days to learn from; `since-change` waits for them"
    )


class WindowParameters(Document):
    """For a pipeline of one's own: the parameters that say which rows it learns from and is judged on.

    Each is a key such as ``split.train_end`` of a YAML file; ends are inclusive, in the form of the period.
    """

    file: PathText = Field(default="params.yaml", description="YAML file with the parameters")
    period: Arrival = Field(default="day", description="period in which they are written, such as 2026-11-02 for days")
    train_first: Key | None = Field(default=None, description="first period to learn from; null where it never moves")
    train_last: Key = Field(description="last period to learn from")
    holdout_first: Key | None = Field(
        default=None, description="first period of the hold-out; null where it follows on the training rows"
    )
    holdout_last: Key | None = Field(
        default=None, description="last period of the hold-out; null where it is the newest of the data"
    )


class RetrainSettings(Document):
    """When a candidate is trained, on what it is judged, and what happens to its pull request."""

    auto: Literal["propose", "merge-when-green"] = Field(
        default="propose",
        description="`merge-when-green` lets GitHub merge a better model once every required check has passed",
    )
    window: WindowSettings = Field(default_factory=WindowSettings, description="rows that a candidate learns from")
    holdout_days: Annotated[int, Field(ge=14)] = Field(
        default=28, description="days of the hold-out at least: the newest whole partitions with labels"
    )
    minimum_rows: Annotated[int, Field(ge=50)] = Field(
        default=500, description="rows with a label that the hold-out needs"
    )
    metric: str | None = Field(
        default=None, description="metric that decides; by default the first that the gate judges"
    )
    minimum_gain: Annotated[float, Field(ge=0)] = Field(
        default=0.0,
        description="gain from which a better model is worth a pull request that is ready; 0 for half of the drop that "
        "the gate allows",
    )
    confidence: Share = Field(default=0.975, description="one-sided confidence that a candidate is better")
    minimum_importance: Share = Field(
        default=0.2, description="share of the model's importance that drifted columns must hold together"
    )
    maximum_age_days: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="age of the newest training row from which the model is trained again; null for never"
    )
    new_rows: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="new rows with labels from which it is trained again; null for never"
    )
    cooldown_days: Annotated[float, Field(ge=0)] = Field(
        default=7.0,
        description="days between two attempts; doubled after each in a row that did not help, up to four times",
    )
    close_after_days: Annotated[float, Field(gt=0)] = Field(
        default=30.0, description="age of its evidence from which a pull request that nobody merged is closed"
    )
    watch_days: Annotated[float, Field(ge=0)] = Field(
        default=28.0,
        description="days after a merge in which a model that turns out worse opens its revert; 0 for none",
    )
    workflow: Annotated[str, Field(pattern=r"^[\w.-]+\.ya?ml$")] = Field(
        default="leverframe.yml",
        description="workflow file that checks pull requests, for `checks: dispatch`; in a folder of a repository by "
        "default the one that `init` wrote for it",
    )
    checks: Literal["auto", "event", "dispatch"] = Field(
        default="auto",
        description="whether the pull request starts its checks by itself (token of an App or a person), or the "
        "workflow is dispatched (built-in token); auto tells by who opened it",
    )
    params: WindowParameters | None = Field(
        default=None, description="which parameters move the window, in a pipeline of one's own"
    )

    @model_validator(mode="after")
    def _days_of_sliding(self) -> RetrainSettings:
        if self.window.days is not None and self.window.policy != "sliding":
            raise ValueError("`window.days` is the length of a sliding window; set `policy: sliding`, or leave it out")
        return self
