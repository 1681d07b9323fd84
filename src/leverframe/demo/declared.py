"""The declaration of the demo of a case, in ``demo.yaml``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from leverframe.documents import Document

Texts = Annotated[dict[str, str], Field(min_length=1)]  # what stands in a file once, and what takes its place


class Change(Document):
    """A pull request of the demo: replacements in params.yaml; each old text must occur exactly once."""

    title: str
    replace: Texts


class GoLive(Document):
    """The deployment of the demo: the branch to merge, and the environment.

    ``prepare`` are texts of params.yaml with what takes their place on main, for an environment of the
    demo's own; ``slow`` is the size of the matrix that a bad release multiplies in each request.
    """

    environment: str
    merge: str
    prepare: dict[str, str]
    slow: int = Field(default=1200, ge=100, le=5000)


class Fault(Document):
    """A bug that reaches main in a partition: texts of a file of the case, and what takes their place."""

    partition: str
    title: str
    file: str
    replace: Texts


class SettingsChange(Document):
    """A change of leverframe.yaml that a person wants in a partition, who then asks for a retraining."""

    partition: str
    title: str
    replace: Texts


class Slow(Document):
    """A release of a partition that predicts correctly and slowly, by the size of a matrix that it multiplies."""

    partition: str
    size: int = Field(default=1200, ge=100, le=5000)


class Outage(Document):
    """A partition after which the server is killed, and Terraform starts it again."""

    partition: str


class Loop(Document):
    """Partitions one after the other, as they would come: traffic, monitor, retraining, merge, deployment.

    ``params`` and ``levers`` are texts of params.yaml and leverframe.yaml with what takes their place on main, whose
    model then serves in ``environment``. Of each day of a partition about ``rows`` rows become requests. Where the
    levers declare an environment of infrastructure of that name, the server is the one that Terraform starts.
    """

    environment: str
    params: Texts
    levers: Texts
    partitions: list[str] = Field(min_length=1)
    quick: list[str] = Field(min_length=1)
    rows: int = Field(default=400, ge=1)
    fault: Fault | None = None
    wish: SettingsChange | None = None
    slow: Slow | None = None
    outage: Outage | None = None


class Declared(Document):
    """What the demo shows: pull requests by branch with the one to deploy, and partitions that pass."""

    changes: dict[str, Change] = Field(default_factory=dict)
    live: GoLive | None = None
    loop: Loop | None = None
