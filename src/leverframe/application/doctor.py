"""Look at the surroundings of a project: programs, git, DVC, settings, workflows, GitHub, ports and disk."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from leverframe import __version__
from leverframe.adapters import runner
from leverframe.adapters.dvc.plugins import check_plugin
from leverframe.adapters.working_tree import WorkingTree
from leverframe.adapters.working_tree.dvc_config import unreadable
from leverframe.adapters.working_tree.remote import Remote
from leverframe.application.remote_store import remote_store
from leverframe.application.runner_check import runner_violations
from leverframe.application.status import tree_around
from leverframe.application.workspace import Workspace
from leverframe.domain.codeowners import PLACES
from leverframe.domain.doctor.diagnosis import Diagnosed, Diagnosis, ordered
from leverframe.domain.doctor.forge_findings import AREA as FORGE
from leverframe.domain.doctor.forge_findings import forge_findings
from leverframe.domain.doctor.workflow_findings import AREA as WORKFLOWS
from leverframe.domain.doctor.workflow_findings import installing, workflow_findings
from leverframe.domain.pipeline.init import DRIVER
from leverframe.domain.pipeline.requirements import LOCK
from leverframe.domain.pipeline.status import staleness
from leverframe.domain.review.pushed import RequiredOutput, StoredObject, kept_elsewhere
from leverframe.domain.review.report.publish import check_name
from leverframe.errors import LeverframeError, guide_page
from leverframe.package import check_extras, supported_python
from leverframe.settings import LEVERS
from leverframe.words import first_few

_GIT = (2, 38)  # the first with `git merge-tree --write-tree`, by which the judge reads a merge
_FEW, _SOME = 1e9, 5e9  # free bytes
_LOCKED = re.compile(r"^leverframe==(\S+)", re.MULTILINE)
_SLUG = re.compile(r"github\.com[:/]([\w.-]+/[\w.-]+?)(?:\.git)?/?$")
_SECONDS = 20.0  # that a program may take to tell its version
Findings = Iterator[Diagnosed]


def doctor(workspace: Workspace, tell: Callable[[str], None], *, offline: bool) -> Diagnosis:
    """Return the findings; what cannot be looked at, such as GitHub without a token, is one of them."""
    looks: list[tuple[str, Callable[[Workspace], Findings]]] = [
        ("programs", _programs), ("git", _git), ("DVC", partial(_dvc, offline=offline)), ("settings", _settings),
        (WORKFLOWS, _workflows), ("servers", _ports), ("disk", _disk),
    ]  # fmt: skip
    if not offline:
        looks.insert(5, (FORGE, _forge))
    diagnoses: list[Diagnosed] = []
    for area, look in looks:
        tell(f"looking at {area}")
        diagnoses += _looked(area, look(workspace))
    return ordered(diagnoses)


def _looked(area: str, findings: Iterable[Diagnosed]) -> list[Diagnosed]:
    """Return findings; an error on the way is one of them, and those before it stay."""
    diagnoses: list[Diagnosed] = []
    try:
        for finding in findings:
            diagnoses.append(finding)  # noqa: PERF402 - what was found before an error counts
    except LeverframeError as error:
        diagnoses.append(Diagnosed(area, "wrong", f"{error.what}: {error.why}", error.next))
    except OSError as error:
        diagnoses.append(Diagnosed(area, "unknown", f"cannot be looked at: {error.strerror or error}"))
    return diagnoses


def _programs(workspace: Workspace) -> Findings:
    area, python = "programs", "{}.{}.{}".format(*sys.version_info)
    yield Diagnosed(area, "ok", f"Leverframe {__version__} on Python {python} ({supported_python() or 'any'})")
    lock = workspace.root / LOCK
    locked = _LOCKED.search(lock.read_text(encoding="utf-8", errors="replace")) if lock.is_file() else None
    if locked and locked[1] != __version__:
        what = f"{LOCK} has Leverframe {locked[1]}, which CI installs, and {__version__} runs here"
        yield Diagnosed(area, "warning", what, f"pip install leverframe=={locked[1]}")
    git = _version("git", "--version")
    if git is None:
        yield Diagnosed(area, "wrong", "there is no git", "install git 2.38 or later: https://git-scm.com/downloads")
    elif git < _GIT:
        what = f"git {'.'.join(map(str, git))} cannot merge without a working tree, which the judge needs"
        yield Diagnosed(area, "wrong", what, "install git 2.38 or later: https://git-scm.com/downloads")
    else:
        yield Diagnosed(area, "ok", f"git {'.'.join(map(str, git))}")
    if workspace.levers.infra.environments:
        check_extras(("infrastructure",), "the infrastructure that leverframe.yaml declares")
        from leverframe.adapters.terraform.terraform_program import program_path  # noqa: PLC0415 - an extra

        yield Diagnosed(area, "ok", f"infrastructure runs with {program_path(workspace.levers.infra.tool, os.environ)}")
    for section in (workspace.params.features, workspace.params.train) if workspace.has_case else ():
        if section.engine == "spark" and not shutil.which("java"):
            name = "features" if section is workspace.params.features else "train"
            what = f"`{name}.engine` is spark, and there is no java"
            yield Diagnosed(area, "wrong", what, "install Java 17 or later")


def _version(*command: str) -> tuple[int, ...] | None:
    if not shutil.which(command[0]):
        return None
    try:
        stdout = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False).stdout
    except subprocess.TimeoutExpired:
        return None
    match = re.search(r"\d+(?:\.\d+)+", stdout)
    return tuple(map(int, match[0].split("."))) if match else None


def _git(workspace: Workspace) -> Findings:
    area, git = "git", workspace.git
    git.check()
    if shallow := git.shallow():
        yield Diagnosed(area, "wrong", f"{shallow}, and the merge base needs the history", "git fetch --unshallow")
    base = git.base(None)
    yield Diagnosed(area, "ok", f"a change is compared with {base.commit[:12]}, where it left its base")
    driver = git.config(f"merge.{DRIVER}.").get(f"merge.{DRIVER}.driver")
    attributes = git.top() / ".gitattributes"
    written = attributes.is_file() and f"merge={DRIVER}" in attributes.read_text(encoding="utf-8", errors="replace")
    if driver and written:
        yield Diagnosed(area, "ok", "git in this clone merges dvc.lock stage by stage")
    else:
        lacking = "this clone does not know the merge driver" if written else ".gitattributes names no merge driver"
        yield Diagnosed(
            area, "warning", f"{lacking}: two pull requests that run stages will conflict", "leverframe init"
        )


def _dvc(workspace: Workspace, *, offline: bool) -> Findings:
    area = "DVC"
    tree = tree_around(workspace.root)
    if odd := unreadable(tree.root):
        yield Diagnosed(
            area, "wrong", f"no command of DVC runs: {odd}", "git checkout .dvc/config, or correct the line"
        )
        return
    status = staleness.run(workspace.git, tree)
    stale = [stage.stage.name for stage in status.stages if stage.state.value not in ("fresh", "frozen")]
    if stale:
        yield Diagnosed(area, "warning", f"dvc.lock is not that of this commit: {first_few(stale, 3)}", "dvc repro")
    else:
        yield Diagnosed(area, "ok", f"{len(status.stages)} stages are as the lock says")
    kept = kept_elsewhere(status)
    if Remote.of(tree.root) is None and not any(output.remote for output in kept):
        what = "no remote is shared, so nobody else gets data and models: CI runs every stage anew"
        yield Diagnosed(area, "warning", what, "dvc remote add --default storage s3://BUCKET/PATH")
        return
    for name in dict.fromkeys(output.remote for output in kept) or [""]:
        yield from _remote(tree, name, [output for output in kept if output.remote == name], offline=offline)


def _remote(tree: WorkingTree, name: str, kept: Sequence[RequiredOutput], *, offline: bool) -> Findings:
    """Ask a remote for one object, the smallest: that tells whether its address, network and credentials serve."""
    area, remote = "DVC", Remote.of(tree.root, name)
    if remote and remote.folder and not remote.folder.is_dir():
        what = f"the remote `{remote.name}` is a folder that is not there: {remote.folder}"
        fix = f"mkdir -p '{remote.folder}', or `dvc remote modify {remote.name} url ADDRESS`"
        yield Diagnosed(area, "wrong", what, fix)
        return
    if remote and not remote.folder:
        check_plugin(remote.name, remote.url)
        if offline:
            yield Diagnosed(area, "unknown", f"the remote `{remote.name}` was not asked, as you said `--offline`")
            return
    store = remote_store(tree, name, None, lambda _: None)
    if not kept:
        yield Diagnosed(area, "ok", f"the remote `{store.name}` is declared, and the lock names nothing that it holds")
        return
    asked = min(kept, key=lambda output: output.recorded.size or 0)
    answers = store.sizes([StoredObject.of(asked.recorded)])
    if answers.failure:
        yield Diagnosed(area, "wrong", f"{answers.failure.what}: {answers.failure.why}", answers.failure.next)
    elif answers.absent:
        what = f"the remote `{store.name}` answers, and lacks `{asked.path}`: whoever pulls will miss it"
        yield Diagnosed(area, "warning", what, "dvc push")
    else:
        yield Diagnosed(area, "ok", f"the remote `{store.name}` answers; `leverframe check` asks for all it must hold")


def _settings(workspace: Workspace) -> Findings:
    area, levers = "settings", workspace.levers
    if workspace.has_case:
        _ = workspace.params, workspace.plan  # reading them is the question
    if levers.gate.metrics or levers.gate.slices:
        yield Diagnosed(area, "ok", f"the gate has {len(levers.gate.metrics) + len(levers.gate.slices)} rules")
    else:
        what = f"`gate` in {LEVERS} declares no rule, so no model can fail"
        yield Diagnosed(
            area,
            "warning",
            what,
            f"add `gate: {{metrics: {{accuracy: {{maximum_drop: 0.01}}}}}}`: {guide_page('gate.md')}",
        )
    roles = levers.pipeline
    for role in (roles.predictions, roles.holdout, roles.model):
        if role is not None and role.path and not any(workspace.root.glob(role.path)):
            what = f"{role.path}, which `pipeline` in {LEVERS} names, is not here"
            yield Diagnosed(area, "warning", what, f"dvc pull {role.path}, or correct the path")


def _workflows(workspace: Workspace) -> Findings:
    folder = workspace.git.top() / ".github/workflows"
    files = sorted([*folder.glob("*.yml"), *folder.glob("*.yaml")])
    texts = {file.name: file.read_text(encoding="utf-8", errors="replace") for file in files}
    yield from workflow_findings(texts)
    lacking = [] if (workspace.root / LOCK).is_file() else list(installing(texts))
    if lacking:
        what = f"{LOCK} is missing: {', '.join(lacking[:3])} would install nothing, not even Leverframe"
        yield Diagnosed(WORKFLOWS, "wrong", what, "leverframe init, and commit what it writes")
    for violation in runner_violations(workspace):
        yield Diagnosed(WORKFLOWS, "wrong", violation.what, violation.next)


def _forge(workspace: Workspace) -> Findings:
    token, repository = runner.token(), runner.repository() or _origin(workspace)
    if not token or not repository:
        lacking = "no token" if repository else "no repository on GitHub"
        command = f"GITHUB_TOKEN=$(gh auth token) GITHUB_REPOSITORY={repository or 'OWNER/NAME'} leverframe doctor"
        yield Diagnosed(FORGE, "unknown", f"not asked, as there is {lacking}", command)
        return
    check_extras(("github",), "a look at GitHub")
    from leverframe.adapters.github.rules import GithubRules  # noqa: PLC0415 - an extra

    facts = GithubRules(runner.api(), repository, token).facts("")
    owned = any((workspace.git.top() / place).is_file() for place in PLACES)
    yield from forge_findings(facts, workspace.project.titled(check_name("model")), owners=owned)


def _origin(workspace: Workspace) -> str:
    match = _SLUG.search(workspace.git.config("remote.origin.").get("remote.origin.url", ""))
    return match[1] if match else ""


def _ports(workspace: Workspace) -> Findings:
    area, serve = "servers", workspace.levers.serve
    for name in ("port", "grpc_port", "metrics_port"):
        port = getattr(serve, name)
        if port and not _free(serve.host, port):
            what = f"port {port} of `serve.{name}` is taken, by a server of this folder or by another program"
            yield Diagnosed(area, "warning", what, "leverframe serve --status, or `--port 0` for a free one")
            return
    yield Diagnosed(area, "ok", f"the ports of `serve` are free on {serve.host}")


def _free(host: str, port: int) -> bool:
    with closing(socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def _disk(workspace: Workspace) -> Findings:
    area = "disk"
    for what, place in (("the repository", workspace.root), ("temporary files", Path(tempfile.gettempdir()))):
        free = shutil.disk_usage(place).free
        words = f"{free / 1e9:,.1f} GB are free for {what}"
        if free < _FEW:
            yield Diagnosed(area, "wrong", words, "dvc gc --workspace removes what no commit here names, or free space")
        elif free < _SOME:
            yield Diagnosed(area, "warning", words, "dvc gc --workspace removes what no commit here names")
        else:
            yield Diagnosed(area, "ok", words)
