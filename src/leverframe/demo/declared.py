"""The declaration of the demo of a case, in ``demo.yaml``."""

from __future__ import annotations

from pydantic import Field

from leverframe.documents import Document


class Change(Document):
    """A pull request of the demo: replacements in params.yaml; each old text must occur exactly once."""

    title: str
    replace: dict[str, str] = Field(min_length=1)


class GoLive(Document):
    """The deployment of the demo: the branch to merge, and the environment.

    ``prepare`` are texts of params.yaml with what takes their place on main, for an environment of the
    demo's own; ``slow`` is the size of the matrix that a bad release multiplies in each request.
    """

    environment: str
    merge: str
    prepare: dict[str, str]
    slow: int = Field(default=1200, ge=100, le=5000)


class Changes(Document):
    """The pull requests of the demo, by branch, and which of them to deploy."""

    changes: dict[str, Change]
    live: GoLive | None = None
