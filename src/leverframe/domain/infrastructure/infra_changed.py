"""Which environments a change concerns: a plan that was not made must not look like one without changes."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from leverframe.domain.infrastructure.infra_plan import InfraPlan
from leverframe.domain.infrastructure.infra_plan_result import InfraPlanned
from leverframe.domain.infrastructure.plan_digest import plan_digest
from leverframe.domain.infrastructure.protection import Protection, violations
from leverframe.domain.verdict import Reason, Violation
from leverframe.settings import PARAMS
from leverframe.settings.infra import InfraEnvironmentSettings

LOCAL_ROOT = "terraform/environments/local"  # the root module that `init` can write
MODULES = ("*.tf", "*.tf.json", "*.tofu")  # patterns of the files in which modules are called
_LOCAL = re.compile(r"""["']?source["']?\s*[=:]\s*"(\.{1,2}/[^"]*)\"""")

_PIPELINE_FILES = ("dvc.yaml", "dvc.lock")
_PIPELINE_SECTIONS = frozenset({"gate", "pipeline"})
_NAME = re.compile(r"\A[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?\Z")

Environments = Mapping[str, InfraEnvironmentSettings]


def has_pipeline(paths: Iterable[str], sections: Iterable[str]) -> bool:
    """Tell whether files, or sections of ``leverframe.yaml``, are those of a repository with a model to be judged."""
    files = any(path == str(PARAMS) or posixpath.basename(path) in _PIPELINE_FILES for path in paths)
    return files or not _PIPELINE_SECTIONS.isdisjoint(sections)


def folders_of(root: str, files: Mapping[str, str]) -> set[str]:
    """Return the folder of a root module and of every local module that it calls, directly or not.

    ``files`` are the texts of the files in which modules are called, by path.
    """
    folders, waiting = set[str](), [root]
    while waiting:
        folder = waiting.pop()
        if folder not in folders:
            folders.add(folder)
            waiting += called_by({path: text for path, text in files.items() if _folder_of(path) == folder})
    return folders


def called_by(files: Mapping[str, str]) -> list[str]:
    """Return the folders of the local modules that files call; outside of the project they begin with two dots."""
    called = [(_folder_of(path), source) for path, text in files.items() for source in _LOCAL.findall(text)]
    return [posixpath.normpath(posixpath.join(folder, source)) for folder, source in called]


def _folder_of(path: str) -> str:
    return posixpath.dirname(path) or "."


def within(path: str, folders: Iterable[str]) -> bool:
    """Tell whether a file is in one of some folders, or directly in that of the repository, where that is one."""
    return any(path.startswith(f"{folder}/") or (folder == "." and "/" not in path) for folder in folders)


def concerned(
    environments: tuple[Environments, Environments], files: Mapping[str, str], changed: Iterable[str]
) -> list[str]:
    """Return the environments of the head whose settings, root module or local modules differ from the base."""
    before, after = environments
    paths = [posixpath.normpath(path) for path in changed]
    names = []
    for name, environment in after.items():
        folders = folders_of(environment.root_of(name), files)
        touched = any(within(path, folders) for path in paths)
        if touched or before.get(name) != environment:
            names.append(name)
    return names


def removed(environments: tuple[Environments, Environments]) -> list[str]:
    """Return the environments of the base that are not declared any more, and whose state is of no other one."""
    before, after = environments
    states = {environment.state_of(name) for name, environment in after.items()}
    return sorted(name for name, gone in before.items() if name not in after and gone.state_of(name) not in states)


def stays(name: str, commit: str) -> str:
    """Return that what an environment made goes on running, which a commit declared last, and how it is destroyed."""
    short = commit[:12]
    return (
        f"infrastructure `{name}` is not declared any more: it is not planned, and what it made goes on running. If it "
        f"is to go, run `leverframe infra destroy --environment {name}` in a checkout of {short}, which declares it, "
        "and take its name out of `INFRA_ENVIRONMENTS`"
    )


def with_missing(
    planned: Sequence[InfraPlanned],
    environments: tuple[Environments, Environments],
    commits: tuple[str, str],
    files: Mapping[str, str],
    changed: Iterable[str],
) -> tuple[InfraPlanned, ...]:
    """Return the plans of the head, in the order of the environments, and what says that one was not made.

    Plans of another commit are left out. An environment of this machine is planned on this machine alone.
    """
    base, head = commits
    known = {plan.environment: plan for plan in planned if plan.head == head}
    for name in concerned(environments, files, changed):
        environment = environments[1][name]
        if name not in known and environment.observe is None:
            known[name] = unplanned(name, base, head, environment.root_of(name), environment.workspace)
    return tuple(known[name] for name in sorted(known))


def unplanned(name: str, base: str, head: str, root: str, workspace: str) -> InfraPlanned:
    """Return that no plan was made of an environment which a change concerns."""
    violation = Violation(
        Reason.PLAN_FAILED,
        f"the change concerns the infrastructure of `{name}`, and no plan was made of this commit",
        f"run `leverframe infra-plan --environment {name}`; in CI, name it in the repository variable "
        "`INFRA_ENVIRONMENTS`, or read the log of its step",
    )
    return InfraPlanned(name, head, base, root, workspace, violations=(violation,))


def untrusted(planned: InfraPlanned) -> InfraPlanned:
    """Return a plan that the pull request of a fork claims: nobody here made it, so nobody reviews it."""
    violation = Violation(
        Reason.PLAN_FAILED,
        f"the infrastructure of `{planned.environment}` is not planned for a pull request from a fork",
        "let somebody who may push bring its branch into this repository, and open the pull request from there",
    )
    return InfraPlanned(
        planned.environment, planned.head, planned.base, planned.root, planned.workspace, violations=(violation,)
    )


def judged_by(planned: InfraPlanned, rules: Protection, labels: Callable[[], Collection[str]]) -> InfraPlanned:
    """Return a plan with what rules say against it, which whoever made the plan may have left out.

    ``labels`` are asked for only where something is against it.
    """
    plan = planned.plan
    known = {violation.reason for violation in planned.violations}
    if plan is None or all(violation.reason in known for violation in violations(plan, rules)):
        return planned
    allowed = [change.address for change in rules.needing_label(plan)] if rules.label in labels() else ()
    missing = [violation for violation in violations(plan, rules, allowed) if violation.reason not in known]
    return replace(planned, violations=(*planned.violations, *missing))


def claims(planned: InfraPlanned, head: str) -> str:
    """Return why a plan that another job wrote may not be published as one of ``head``; empty where it may."""
    if planned.head != head:
        return f"the plan of {planned.environment[:40]!r} is of {planned.head[:12]!r}"
    if not _NAME.match(planned.environment):
        return f"{planned.environment[:40]!r} is no name of an environment"
    if planned.plan is not None and not is_whole(planned.plan):
        return f"the plan of {planned.environment} has not the digest {planned.plan.digest[:12]!r}"
    return ""


def is_whole(plan: InfraPlan) -> bool:
    """Tell whether the digest of a plan that somebody wrote is the one of its changes."""
    return plan.digest == plan_digest(plan.changes, plan.outputs)
