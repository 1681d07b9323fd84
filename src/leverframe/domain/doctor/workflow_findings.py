"""What is wrong with the workflow files of a repository, as far as judging its pull requests depends on them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from leverframe.domain.doctor.diagnosis import Diagnosed
from leverframe.errors import LeverframeError
from leverframe.settings.runners import OWN_PULL
from leverframe.yaml_files import parse

AREA = "workflows"
_OURS = re.compile(
    r"(?:^|/)actions/(check|reproduce|gate|report|judge|deploy|monitor|retrain|setup|materialize|infra-\w+)@"
)
_NEED_HISTORY = {"check", "reproduce", "gate", "judge", "retrain"}
_PINNED = re.compile(r"@[0-9a-f]{40}$")
_CODE_OF_CHANGE = {"check", "reproduce", "gate"}
_CRON = re.compile(r"[0-9*,/-]+( [0-9A-Za-z*,/-]+){4}")


def workflow_findings(texts: Mapping[str, str]) -> Iterator[Diagnosed]:
    """Yield what is wrong, and what is right; ``texts`` are the workflow files of the repository by name."""
    ours = {name: text for name, text in texts.items() if "leverframe" in text}
    if not ours:
        yield Diagnosed(AREA, "warning", "no workflow runs Leverframe: pull requests get no card", "leverframe init")
        return
    for name, text in sorted(ours.items()):
        try:
            content = parse(text, name=name, what="a workflow")
        except LeverframeError as error:
            yield Diagnosed(AREA, "wrong", f"{error.what}: {error.why}", f"correct {name}: GitHub ignores it as it is")
            continue
        findings = [*_triggers(name, content), *_permissions(name, content), *_steps(name, content)]
        yield from findings or [Diagnosed(AREA, "ok", f"{name}: permissions, history and pins are as they should be")]


def installing(texts: Mapping[str, str]) -> Iterator[str]:
    """Yield the workflow files that install from the lock alone; none of those that cannot be read."""
    for name, text in texts.items():
        with suppress(LeverframeError):  # `workflow_findings` has it
            if any(job.installs for job in _jobs_of(parse(text, name=name, what="a workflow"))):
                yield name


def _triggers(name: str, content: Mapping[str, Any]) -> Iterator[Diagnosed]:
    events = content.get("on")
    named = {events} if isinstance(events, str) else set(map(str, events)) if isinstance(events, list | dict) else set()
    if "pull_request_target" in named and any(_CODE_OF_CHANGE & set(job.actions) for job in _jobs_of(content)):
        what = f"{name} runs code of a pull request on `pull_request_target`, with the secrets of the repository"
        yield Diagnosed(AREA, "wrong", what, f"in {name}, replace `pull_request_target:` by `pull_request:`")
    if "pull_request" in named:
        yield from _open_to_forks(name, content)
    schedules = events.get("schedule") if isinstance(events, dict) else None
    for entry in schedules if isinstance(schedules, list) else ():
        cron = str(entry.get("cron", "")) if isinstance(entry, dict) else str(entry)
        if not _CRON.fullmatch(cron):
            what = f"the schedule `{cron}` of {name} is no cron of five fields, so it never starts"
            yield Diagnosed(AREA, "wrong", what, f'in {name}, write `- cron: "23 5 * * *"`')


def _open_to_forks(name: str, content: Mapping[str, Any]) -> Iterator[Diagnosed]:
    for job in _jobs_of(content):
        if job.kept and _CODE_OF_CHANGE & set(job.actions) and OWN_PULL not in job.condition:
            what = (
                f"job `{job.name}` of {name} runs code of every pull request, also of a fork, on a self-hosted runner, "
                "where it can stay"
            )
            yield Diagnosed(AREA, "wrong", what, f"in {name}, add to the job: `if: {OWN_PULL}`")


def _permissions(name: str, content: Mapping[str, Any]) -> Iterator[Diagnosed]:
    whole = content.get("permissions")
    lacking = [job.name for job in _jobs_of(content) if not job.limited]
    if whole is None and lacking:
        jobs = ", ".join(lacking[:3])
        what = f"{name} does not limit its token: jobs {jobs} get what the repository allows"
        fix = f"in {name}, add `permissions: {{}}` above `jobs:`, and to each job what it needs"
        yield Diagnosed(AREA, "warning", what, fix)
    if whole == "write-all":
        yield Diagnosed(AREA, "wrong", f"{name} has `permissions: write-all`", f"in {name}, write `permissions: {{}}`")


def _steps(name: str, content: Mapping[str, Any]) -> Iterator[Diagnosed]:
    for job in _jobs_of(content):
        if _NEED_HISTORY & set(job.actions) and job.depths and "0" not in job.depths:
            what = f"job `{job.name}` of {name} checks out one commit, and the merge base needs the history"
            yield Diagnosed(AREA, "wrong", what, f"in {name}, add `with: {{fetch-depth: 0}}` to `actions/checkout`")
        if job.loose:
            what = (
                f"job `{job.name}` of {name} uses {', '.join(job.loose[:3])} by a tag, which can be moved to other code"
            )
            example = job.loose[0].partition("@")[0]
            fix = f"in {name}, write the commit after `@`, as in `{example}@<40 digits>`"
            yield Diagnosed(AREA, "warning", what, fix)


@dataclass(frozen=True)
class _Job:
    """A job as far as it is looked at: our ``actions``, the depth of each checkout, and what it uses by a tag.

    ``kept`` tells that its machine is not thrown away after it, ``installs`` that a step installs from the lock alone;
    ``condition`` is its `if`.
    """

    name: str
    limited: bool
    actions: tuple[str, ...]
    depths: tuple[str, ...]
    loose: tuple[str, ...]
    kept: bool
    installs: bool
    condition: str


def _jobs_of(content: Mapping[str, Any]) -> list[_Job]:
    """Return the jobs of a workflow, whatever shape the file has."""
    jobs = content.get("jobs")
    bodies = jobs.items() if isinstance(jobs, dict) else ()
    return [_job(str(name), body) for name, body in bodies if isinstance(body, dict)]


def _job(name: str, body: Mapping[str, Any]) -> _Job:
    given = body.get("steps")
    steps = [step for step in given if isinstance(step, dict)] if isinstance(given, list) else []
    uses = [str(step["uses"]) for step in steps if "uses" in step]
    actions = tuple(match[1] for use in uses if (match := _OURS.search(use)))
    checkouts = [step.get("with") for step in steps if str(step.get("uses", "")).startswith("actions/checkout@")]
    depths = tuple(str(given.get("fetch-depth", "1")) if isinstance(given, dict) else "1" for given in checkouts)
    loose = tuple(use for use in uses if not _is_pinned(use))
    kept, installs = "self-hosted" in str(body.get("runs-on", "")), any(map(_installs, steps))
    return _Job(name, "permissions" in body, actions, depths, loose, kept, installs, str(body.get("if", "")))


def _installs(step: Mapping[str, Any]) -> bool:
    """Tell whether a step sets up what the lock names, and no package of the repository beside it."""
    given = step.get("with")
    project = given.get("project") if isinstance(given, dict) else None
    return "/actions/setup@" in str(step.get("uses", "")) and not project


def _is_pinned(uses: str) -> bool:
    return uses.startswith(("./", "$/")) or bool(_PINNED.search(uses)) or "@sha256:" in uses
