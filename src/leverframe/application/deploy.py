"""Let an environment serve the bundle of a commit: on a server of this machine, or in a cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from leverframe.application.bundles import bundle_of, named_in, params_at, recorded_bundle, trusted_types
from leverframe.application.environments import Environment
from leverframe.application.record import artifact_in, ledger, tags_of
from leverframe.application.results import forget, kept
from leverframe.application.silence import silence_of_monitor
from leverframe.application.targets import releases_of, target_of
from leverframe.application.workspace import Workspace
from leverframe.domain.model.bundle import bundle_manifest as names
from leverframe.domain.model.bundle.bundle_manifest import Manifest, read_manifest
from leverframe.domain.own_model.runtime_form import not_trusted
from leverframe.domain.release import deploy as deployment
from leverframe.domain.release.deploy import Deployed
from leverframe.domain.release.kubernetes.cluster_plan import Apply
from leverframe.domain.release.ledger import Assigned, assigned, refuse_unassigned
from leverframe.domain.release.release_manifest import ReleaseManifest, refuse_other
from leverframe.domain.release.target import Candidate
from leverframe.errors import BundleError, PromotionError
from leverframe.settings import LEVERS, PARAMS
from leverframe.settings.levers import Levers, levers_of
from leverframe.settings.params import Params

Tell = Callable[[str], None]


@dataclass(frozen=True)
class DeployOptions:
    """Which bundle should serve where: that of ``commit`` in ``environment``.

    ``again`` tries a bundle once more that was refused there; ``record`` writes tags, and deployments
    where a token of the forge is at hand; ``target`` is a server or a cluster, by default as declared.
    """

    environment: str
    commit: str
    again: bool = False
    record: bool = True
    target: str | None = None


def deploy(workspace: Workspace, asked: DeployOptions, tell: Tell) -> Deployed:
    """Let an environment serve the bundle of a commit, and keep the result.

    A server that does not run is started. The settings in force are those of the commit. Raises
    ``BundleError`` for a commit without a bundle, ``PromotionError`` for one that the environment
    before does not serve.
    """
    forget(workspace.root, "deploy")
    environment, candidate = _candidate(workspace, asked, tell)
    book = ledger(workspace, environment) if asked.record else None
    _check_promotion(workspace, environment, candidate.manifest)  # first: what is refused starts no server
    target = target_of(workspace, environment, tell, asked.target)
    with releases_of(workspace, environment).lock():
        result = deployment.deploy(target, candidate, book, again=asked.again)
        silent = silence_of_monitor(workspace)
        return kept(workspace.root, "deploy", replace(result, notes=(silent,) if silent else ()))


def plan(workspace: Workspace, asked: DeployOptions, tell: Tell) -> tuple[Sequence[object], list[Any]]:
    """Return the steps that `deploy` would execute, and what it would apply to a cluster; nothing is changed."""
    environment, candidate = _candidate(workspace, asked, tell)
    _check_promotion(workspace, environment, candidate.manifest)
    target = target_of(workspace, environment, tell, asked.target)
    book = ledger(workspace, environment) if asked.record else None
    if book is not None:
        book.check(candidate.manifest, target.state.serving)
    steps = deployment.planned(target, candidate)
    return steps, [manifest for step in steps if isinstance(step.action, Apply) for manifest in step.action.objects]


def _check_promotion(workspace: Workspace, environment: Environment, desired: ReleaseManifest) -> None:
    """Refuse what the environment before does not serve, as its target answers or, on another machine, the tags say."""
    before = environment.before
    if before is None:
        return
    artifact = artifact_in(workspace, desired.model)
    tags = tags_of(workspace, artifact)
    refuse_unassigned(tags, artifact, before.name, desired)
    target = target_of(workspace, before, lambda _: None)
    serving = target.state.serving
    recorded = Assigned(serving.manifest) if serving else assigned(tags, artifact, before.name)
    step = f"`leverframe deploy --environment {before.name}` first"
    refuse_other(desired, recorded.manifest, f"`{before.name}` serves", next=step, absent=recorded.why)
    if why := target.difference():
        raise PromotionError(f"`{before.name}` does not serve what is recorded of it", why=why, next=step)


def _candidate(workspace: Workspace, asked: DeployOptions, tell: Tell) -> tuple[Environment, Candidate]:
    """Return the environment as a commit declares it, and the release that the commit wants to serve there."""
    git = workspace.git
    commit = git.named(asked.commit)
    params, levers = _settings_of(workspace, commit, tell)
    model = named_in(params, levers)
    environment = Environment.of(levers, asked.environment, model)
    files = bundle_of(workspace, commit, tell)
    if names.MANIFEST not in files:
        raise BundleError(
            f"the bundle of {commit[:12]} has no {names.MANIFEST}",
            why="its folder is empty or of another kind",
            next="`dvc repro bundle` makes it again",
        )
    manifest = files[names.MANIFEST]
    parts, lock = read_manifest(manifest, f"of {commit[:12]}"), git.show(commit, "dvc.lock") or b""
    if environment.in_cluster(asked.target):
        _refuse_unservable(parts)
    if parts.runtime is not None and parts.runtime not in levers.serve.runtimes:
        raise not_trusted(parts.runtime, commit)  # first: a candidate that cannot be loaded is refused for good
    desired = ReleaseManifest.of(model, commit, lock, manifest, parts)
    return environment, Candidate(
        desired, recorded_bundle(git, commit).md5, lambda: files, partial(trusted_types, workspace)
    )


def _refuse_unservable(manifest: Manifest) -> None:
    """Raise ``BundleError`` for a model whose library the image of a cluster lacks."""
    if manifest.engine not in ("onnx", "skops"):
        raise BundleError(
            f"no cluster can serve `{manifest.model}` with {manifest.engine}",
            why=f"the image has ONNX Runtime and scikit-learn, and not {manifest.runtime or manifest.engine}",
            next="deploy it to a server; or train without categories, so that it converts to ONNX",
        )


def _settings_of(workspace: Workspace, commit: str, tell: Tell) -> tuple[Params | None, Levers]:
    """Return the settings as they are in a commit: what is deployed, and how, is what was merged."""
    params = params_at(workspace, commit)
    for file in (PARAMS, LEVERS) if params else (LEVERS,):
        here = workspace.root / file
        if here.is_file() and here.read_bytes() != (workspace.git.show(commit, str(file)) or b""):
            tell(f"{file} here is not the one of {commit[:12]}, whose settings hold")
    text = (workspace.git.show(commit, str(LEVERS)) or b"").decode(errors="replace")
    return params, levers_of(text, name=f"{LEVERS} of {commit[:12]}")
