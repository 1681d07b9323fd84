"""The set-up of a repository for pull requests, as idempotent steps."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from string import Template

from leverframe.domain import layout
from leverframe.domain.pipeline.ignore_files import completed
from leverframe.domain.pipeline.runners.runner_jobs import RunnerJobs, filled, labels_text
from leverframe.domain.project import WHOLE, Project
from leverframe.errors import RepositoryError

DRIVER = "leverframe"
_MERGED = (
    "dvc.lock", layout.MODEL_DESCRIPTION, layout.BUNDLE_REPORT, layout.code("*"), layout.contract_report("*"),
    layout.feature_profile("*"), layout.LEARNING_SET, layout.METRICS, layout.MODEL_CARD, layout.PARITY,
    layout.PICTURES / "**", layout.PLOTS / "**", layout.profile("*"), layout.SKETCHES / "**", layout.TRAINING_SET,
)  # fmt: skip
ATTRIBUTES = tuple(f"{path if isinstance(path, str) else path.as_posix()} merge={DRIVER}" for path in _MERGED)
_FORMER = (f"reports/** merge={DRIVER}", f"models/*.json merge={DRIVER}")  # took files of people, too
STATES = ("*.tfstate", "*.tfstate.*", ".terraform/", "crash.log")  # of Terraform, with secrets in clear
WHY = {
    "workflow.yml": "every pull request is reproduced",
    "workflow-review.yml": "a review can be the approval that a verdict waits for",
    "workflow-judge.yml": "every pull request gets a card, from code of its base branch",
    "workflow-merge.yml": "what was merged is verified before it is deployed, and every night",
    "workflow-monitor.yml": "the traffic is looked at every morning",
    "workflow-infra.yml": "reviewed infrastructure is applied after a merge, and looked at every night",
}
_FOLDER = re.compile(r"[\w.-][\w. -]*(/[\w.-][\w. -]*)*")  # what needs no quotes in YAML, and is no pattern
IGNORE = "git and DVC leave environments, caches and what DVC keeps alone"
_MARK = "# infra: "  # in a template, before lines that depend on whether infrastructure is declared
_MARKS = tuple(f"{_MARK}{word}" for word in ("begin", "without", "end"))
LAYOUT = "where the pipeline has what, and a first rule of the gate: read it, and correct what is not so"
DRAFTED = "drafted from the tables: read it, and correct what is not so"
RENEWED = "as settings and pipeline ask for now; `git diff` shows what it replaces"
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


@dataclass(frozen=True)
class StartDvc:
    """DVC gets its folder here; ``subfolder`` tells that git begins further up."""

    subfolder: bool
    why: str


@dataclass(frozen=True)
class CopyFile:
    """A file of this machine that the repository has to have."""

    path: str
    source: str
    why: str


@dataclass(frozen=True)
class Todo:
    """What only a person can do: the file that is missing, why, and what to run."""

    path: str
    why: str
    next: str


@dataclass(frozen=True)
class OnForge:
    """What only a person can do on the forge, told once, with the first workflow."""

    what: str
    why: str
    next: str


Step = WriteFile | SetConfig | StartDvc | CopyFile | Todo | OnForge


def steps(
    files: Mapping[str, str | None],
    config: Mapping[str, str],
    program: str,
    whole: Mapping[str, tuple[str, str]],
    ignored: Mapping[str, Sequence[str]],
    renewed: Collection[str] = (),
) -> list[Step]:
    """Return the missing steps, none if the repository is set up.

    ``files`` holds the text of each file, None for a missing one; ``program`` is the command by which git starts
    Leverframe; ``whole`` are files that it should have, and keeps where they are there, each with its text and what it
    is for; ``ignored`` are the lines that each ignore file has to have. Those of ``renewed`` that differ are replaced.
    """
    missing = list[Step]()
    for path, wanted in ignored.items():
        text = completed(files.get(path) or "", wanted)
        missing += [WriteFile(path, text, IGNORE)] if text != (files.get(path) or "") else []
    attributes = files.get(".gitattributes") or ""
    lines = [line for line in attributes.splitlines() if line not in _FORMER]
    text = "".join(f"{line}\n" for line in [*lines, *(attribute for attribute in ATTRIBUTES if attribute not in lines)])
    if text.splitlines() != attributes.splitlines():
        missing.append(
            WriteFile(".gitattributes", text, "pull requests that change dvc.lock merge without conflict markers")
        )
    for key, value in (
        (f"merge.{DRIVER}.name", "dvc.lock, merged stage by stage, and what stages write"),
        (f"merge.{DRIVER}.driver", f"{program} merge %O %A %B %P %L"),
    ):
        if config.get(key) != value:
            missing.append(SetConfig(key, value, "git in this clone calls the merge driver"))
    missing += [WriteFile(path, text, why) for path, (text, why) in whole.items() if files.get(path) is None]
    other = [path for path in whole if path in renewed and files.get(path) not in (None, whole[path][0])]
    return missing + [WriteFile(path, whole[path][0], RENEWED) for path in other]


def described(step: Step, *, drafts: bool = False) -> str:
    """Return a step as one line; of a file that a person has to read the text below it, of ``drafts`` where asked."""
    match step:
        case WriteFile(path, content, why):
            read = why == LAYOUT or (drafts and why == DRAFTED)
            shown = [f"    {line}".rstrip() for line in content.splitlines()] if read else []
            return "\n".join([f"write {path}: {why}", *shown])
        case CopyFile(path, source, why):
            return f"copy {source} to {path}: {why}"
        case SetConfig(key, _, why):
            return f"git config {key}: {why}"
        case StartDvc(_, why):
            return f"dvc init: {why}"
        case Todo(path, why, following):
            return f"{path} is missing: {why}\n  next: {following}"
        case OnForge(what, why, following):
            return f"{what}: {why}\n  next: {following}"


def next_steps(steps: Sequence[Step]) -> list[str]:
    """Return the next two commands after a pipeline of one's own was looked at; none where nothing was written."""
    reasons = {step.why for step in steps if isinstance(step, WriteFile)}
    if DRAFTED in reasons:
        return ["next: dvc repro", "next: git add --all && git commit --message 'A first model'"]
    if LAYOUT in reasons:
        return ["next: git add --all && git commit --message 'Judge pull requests'", "next: leverframe gate"]
    return []


def workflow_file(project: Project, template: str = "workflow.yml") -> str:
    """Return where the workflow file of a project lies that is made of a template, from the top of the repository."""
    return f".github/workflows/leverframe{project.dashed}{template.removeprefix('workflow')}"


@dataclass(frozen=True)
class WorkflowContext:
    """What a workflow depends on: the project, whether it has infrastructure, the ``python`` of its lock file.

    ``submodules`` tells that the repository has some; ``jobs`` are those of stages on other machines, and ``judge`` are
    the labels of the runner of the judge.
    """

    project: Project = WHOLE
    infra: bool = False
    python: str = "3.11"
    submodules: bool = False
    jobs: RunnerJobs = field(default_factory=RunnerJobs)
    judge: tuple[str, ...] = ("ubuntu-24.04",)

    def phases(self, template: str) -> dict[str, str]:
        """Return what stands in a template for the phases of `reproduce`."""
        merges = "%{whenever}" in template
        return self.jobs.of_merge() if merges else self.jobs.of_pull(["infrastructure"] if self.infra else [])

    def values(self) -> dict[str, str]:
        """Return what stands in a template for each of its names."""
        project = self.project
        folder = "" if project.whole else f'\n          folder: "{project.folder}"'
        return {
            "python": self.python,
            "folder": folder,
            "alone": folder and f"\n        with:{folder}",
            "cd": "" if project.whole else f'\n        working-directory: "{project.folder}"',
            "at": project.prefix,
            "dashed": project.dashed,
            "title": project.titled(""),
            "variable": project.dashed.upper().replace("-", "_"),
            "judge": labels_text(self.judge),
            "submodules": "\n          submodules: recursive" if self.submodules else "",
        }


def workflow(template: str, actions: str, around: WorkflowContext = WorkflowContext()) -> str:
    """Return a workflow file of a project; ``actions`` as in ``OWNER/NAME/actions@COMMIT # vX.Y.Z``.

    Comments in the template say which lines are for infrastructure. Raises ``RepositoryError`` for a folder that no
    workflow can name.
    """
    folder = around.project.folder
    if not _FOLDER.fullmatch(folder):
        raise RepositoryError(
            f"a workflow cannot name the folder {folder!r}",
            why="in its paths some characters are patterns, or expressions of GitHub",
            next="rename the folder to letters, digits, blanks and `._-/`",
        )
    place, _, version = actions.partition("@")
    lines, wanted = [], True
    for line in template.splitlines(keepends=True):
        mark = line.strip()
        if mark in _MARKS:
            wanted = {"begin": around.infra, "without": not around.infra, "end": True}[mark.removeprefix(_MARK)]
        elif wanted:
            lines.append(line)
    values = {**around.values(), "place": place, "version": version}
    whole = filled("".join(lines), around.phases(template))  # whose jobs have holes of their own
    return _Workflow(whole).substitute(values)


class _Workflow(Template):
    delimiter = "%"  # a dollar sign is GitHub's
