"""What makes a repository ready for pull requests, as steps that can be shown, taken, and taken again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from string import Template

DRIVER = "leverframe"
ATTRIBUTES = (f"dvc.lock merge={DRIVER}", f"reports/** merge={DRIVER}", f"models/*.json merge={DRIVER}")
WORKFLOW = ".github/workflows/leverframe.yml"


@dataclass(frozen=True)
class WriteFile:
    """A file that is missing, or lacks lines: its content afterwards."""

    path: str
    content: str
    why: str


@dataclass(frozen=True)
class SetConfig:
    """A key of git's configuration of this clone."""

    key: str
    value: str
    why: str


Step = WriteFile | SetConfig


def steps(files: Mapping[str, str | None], config: Mapping[str, str], program: str, workflow: str) -> list[Step]:
    """Return what is left to do, nothing where all is done.

    ``files`` holds the text of each file looked at, None for a missing one; ``program`` is how git
    starts Leverframe; ``workflow`` is the text of the workflow file.
    """
    found: list[Step] = []
    attributes = files.get(".gitattributes") or ""
    missing = [each for each in ATTRIBUTES if each not in attributes.splitlines()]
    if missing:
        text = attributes + ("\n" if attributes and not attributes.endswith("\n") else "") + "\n".join(missing) + "\n"
        found.append(WriteFile(".gitattributes", text, "two pull requests that train merge without conflict markers"))
    for key, value in (
        (f"merge.{DRIVER}.name", "dvc.lock stage by stage"),
        (f"merge.{DRIVER}.driver", f"{program} merge %O %A %B %P"),
    ):
        if config.get(key) != value:
            found.append(SetConfig(key, value, "git runs the merge driver in this clone"))
    if files.get(WORKFLOW) is None:
        found.append(WriteFile(WORKFLOW, workflow, "every pull request gets its card"))
    return found


def told(step: Step) -> str:
    """Return a step in one line."""
    if isinstance(step, WriteFile):
        return f"write {step.path}: {step.why}"
    return f"git config {step.key}: {step.why}"


def workflow(template: str, actions: str) -> str:
    """Return the one workflow file of a repository; ``actions`` as in ``OWNER/NAME/actions@COMMIT # vX.Y.Z``."""
    place, _, version = actions.partition("@")
    return _Workflow(template).substitute(place=place, version=version)


class _Workflow(Template):
    delimiter = "%"  # a dollar sign is GitHub's
