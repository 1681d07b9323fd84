"""What a case declares of its demo, in ``demo.yaml``."""

from __future__ import annotations

from pydantic import Field

from leverframe.documents import Document


class Change(Document):
    """A pull request of the demo: keys of params.yaml with their new values, whose text must stand there once."""

    title: str
    replace: dict[str, str] = Field(min_length=1)


class GoLive(Document):
    """What is deployed in the demo: the branch that is merged, and where.

    ``prepare`` are texts of params.yaml with what takes their place on main, for an environment of the
    demo's own; ``slow`` is the size of the matrix that a bad release multiplies in each request.
    """

    environment: str
    merge: str
    prepare: dict[str, str]
    slow: int = Field(default=1200, ge=100, le=5000)


class Changes(Document):
    """The pull requests of a case, by branch, and what is deployed of them."""

    changes: dict[str, Change]
    live: GoLive | None = None
