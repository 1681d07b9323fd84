"""The section `online` of ``leverframe.yaml``: where servers look features up, and how old these may be."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from leverframe.documents import Document
from leverframe.settings.monitor import VariableName


class OnlineSettings(Document):
    """The online store: brought up to date by `leverframe materialize`, read by servers without a deployment."""

    store: Literal["bundle", "file", "redis"] = Field(
        default="bundle",
        description="`bundle` serves the features that were packed with the model; `file` and `redis` newer ones",
    )
    folder: str = Field(default=".leverframe/online", description="folder of the store `file`, on the server's machine")
    redis: VariableName | None = Field(
        default=None, description="environment variable with the URL of Redis, which may hold a password"
    )
    maximum_age_hours: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="age of features beyond which a request by keys is flagged or refused; null for any"
    )
    when_stale: Literal["flag", "refuse"] = Field(
        default="flag", description="what a server does with a request by keys whose features are older than that"
    )

    @model_validator(mode="after")
    def _knows_redis(self) -> OnlineSettings:
        if self.store == "redis" and self.redis is None:
            raise ValueError("`store: redis` needs `redis`, the environment variable with its URL")
        return self
