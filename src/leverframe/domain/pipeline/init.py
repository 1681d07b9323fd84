"""The set-up of a repository for pull requests, as idempotent steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from string import Template

from leverframe.domain import layout

DRIVER = "leverframe"
_MERGED = (
    "dvc.lock", layout.MODEL_DESCRIPTION, layout.BUNDLE_REPORT, layout.code("*"), layout.contract_report("*"),
    layout.feature_profile("*"), layout.LEARNING_SET, layout.METRICS, layout.MODEL_CARD, layout.PARITY,
    layout.PICTURES / "**", layout.PLOTS / "**", layout.profile("*"), layout.SKETCHES / "**", layout.TRAINING_SET,
)  # fmt: skip
ATTRIBUTES = tuple(f"{path if isinstance(path, str) else path.as_posix()} merge={DRIVER}" for path in _MERGED)
_FORMER = (f"reports/** merge={DRIVER}", f"models/*.json merge={DRIVER}")  # took files of people, too
STATES = ("*.tfstate", "*.tfstate.*", ".terraform/", "crash.log")  # of Terraform, with secrets in clear
WORKFLOW = ".github/workflows/leverframe.yml"
MONITOR = ".github/workflows/leverframe-monitor.yml"
INFRA = ".github/workflows/leverframe-infra.yml"
WHY = {
    WORKFLOW: "every pull request gets a card",
    MONITOR: "the traffic is looked at every morning",
    INFRA: "reviewed infrastructure is applied after a merge, and looked at every night",
}
_MARK = "# infra: "  # in a template, before lines that depend on whether infrastructure is declared
_MARKS = tuple(f"{_MARK}{word}" for word in ("begin", "without", "end"))
TERRAFORM = "the local environment that leverframe.yaml declares"


@dataclass(frozen=True)
class WriteFile:
    """A file to create or complete, with its new content."""

    path: str
    content: str
    why: str


@dataclass(frozen=True)
class SetConfig:
    """A key of the git configuration of this clone."""

    key: str
    value: str
    why: str


Step = WriteFile | SetConfig


def steps(
    files: Mapping[str, str | None], config: Mapping[str, str], program: str, whole: Mapping[str, str]
) -> list[Step]:
    """Return the missing steps, none if the repository is set up.

    ``files`` holds the text of each file, None for a missing one, and `.gitignore` where there is infrastructure;
    ``program`` is the command by which git starts Leverframe; ``whole`` are the texts of files that it should have, and
    keeps where they are there.
    """
    found: list[Step] = []
    attributes = files.get(".gitattributes") or ""
    lines = [line for line in attributes.splitlines() if line not in _FORMER]
    text = "".join(f"{line}\n" for line in [*lines, *(each for each in ATTRIBUTES if each not in lines)])
    if text.splitlines() != attributes.splitlines():
        found.append(
            WriteFile(".gitattributes", text, "pull requests that change dvc.lock merge without conflict markers")
        )
    if ".gitignore" in files:
        kept = (files[".gitignore"] or "").splitlines()
        missing = [line for line in STATES if line not in kept]
        text = "".join(f"{line}\n" for line in [*kept, *missing])
        found += [WriteFile(".gitignore", text, "states of Terraform hold secrets in clear")] if missing else []
    for key, value in (
        (f"merge.{DRIVER}.name", "dvc.lock, merged stage by stage, and what stages write"),
        (f"merge.{DRIVER}.driver", f"{program} merge %O %A %B %P %L"),
    ):
        if config.get(key) != value:
            found.append(SetConfig(key, value, "git in this clone calls the merge driver"))
    found += [
        WriteFile(path, text, WHY.get(path, TERRAFORM)) for path, text in whole.items() if files.get(path) is None
    ]
    return found


def described(step: Step) -> str:
    """Return a step as one line."""
    if isinstance(step, WriteFile):
        return f"write {step.path}: {step.why}"
    return f"git config {step.key}: {step.why}"


def workflow(template: str, actions: str, *, infra: bool = False) -> str:
    """Return a workflow file of a repository; ``actions`` as in ``OWNER/NAME/actions@COMMIT # vX.Y.Z``.

    ``infra`` tells whether it declares infrastructure: comments in the template say which lines are for that.
    """
    place, _, version = actions.partition("@")
    lines, wanted = [], True
    for line in template.splitlines(keepends=True):
        mark = line.strip()
        if mark in _MARKS:
            wanted = {"begin": infra, "without": not infra, "end": True}[mark.removeprefix(_MARK)]
        elif wanted:
            lines.append(line)
    return _Workflow("".join(lines)).substitute(place=place, version=version)


class _Workflow(Template):
    delimiter = "%"  # a dollar sign is GitHub's
