"""The groups of `reproduce.runners` in ``leverframe.yaml``: which stages need another machine, and which one."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from leverframe.documents import Document

RunnerName = Annotated[str, Field(pattern=r"^[a-z]([a-z0-9-]{0,28}[a-z0-9])?$")]  # part of the name of a job
Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]  # no expression of GitHub
Pattern = Annotated[str, Field(pattern=r"^\S(.*\S)?$", max_length=200)]
OWN_PULL = "github.event.pull_request.head.repo.full_name == github.repository"  # not from a fork
_LOCK_FILE = r"^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*$"


def _some(labels: str | list[str]) -> str | list[str]:
    if not labels:
        raise ValueError("a runner has at least one label")
    return labels


Labels = Annotated[Label | list[Label], AfterValidator(_some)]


def labels_of(given: str | list[str]) -> tuple[str, ...]:
    """Return the labels of a runner, of which a single one may stand alone."""
    return (given,) if isinstance(given, str) else tuple(given)


class RunnerSettings(Document):
    """Stages that run on another machine than the rest, such as one with a GPU."""

    stages: list[Pattern] = Field(
        min_length=1, description="names of stages or of stage groups; `*` matches any text, as in finetune@*"
    )
    runs_on: Labels = Field(
        description="label of the runner, or all labels that it must have, as in `runs-on` of a workflow"
    )
    minutes: Annotated[int, Field(ge=5, le=7200)] = Field(
        default=360, description="minutes after which GitHub ends the job; a runner of GitHub's has 360 at most"
    )
    requirements: Annotated[str, Field(pattern=_LOCK_FILE)] = Field(
        default="requirements.lock",
        description="lock file of the packages of that machine, in the folder of the project",
    )

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, each as itself."""
        return labels_of(self.runs_on)
