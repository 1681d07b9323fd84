"""The newest logged requests, asked of champion and candidate in this process; no server is started."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from leverframe.application.bundles import bundle_of
from leverframe.application.servers import server_folder
from leverframe.application.workspace import Workspace
from leverframe.documents import validated
from leverframe.domain import layout
from leverframe.domain.model.bundle import bundle_manifest as names
from leverframe.domain.model.bundle.bundle_manifest import read_manifest
from leverframe.domain.release.replay import LoggedRequest, Twice, inputs
from leverframe.domain.release.smoke import numbers
from leverframe.domain.review.gate.replayed import Shadow, refused_forms, shown
from leverframe.errors import LeverframeError
from leverframe.files import write_folder
from leverframe.serving.bundle import OpenBundle
from leverframe.serving.check import Tensor, checked
from leverframe.serving.logged import Logged, newest
from leverframe.settings.levers import DeploySettings
from leverframe.settings.params import BundleSettings

Tell = Callable[[str], None]
Answer = tuple[list[list[float]] | None, float]  # numbers a row, None where it was refused; milliseconds


def replay(workspace: Workspace, fork: str, base: Mapping[str, Any], log: Path | None, tell: Tell) -> Shadow | None:
    """Return what the requests in ``log`` show, else those of a server of this working tree; None without any.

    ``base`` holds the settings of the merge base ``fork``: its terms are in force. Whatever keeps the
    requests from being asked is told in the result.
    """
    try:
        model, terms = _terms(base)
        found = _requests(workspace, model, terms, log)
    except LeverframeError as error:
        return None if log is None else Shadow(_name(log), 1.0, because=f"{error.what}: {error.why}")
    if found is None:
        return None
    name, logged = found
    empty = Shadow(name, terms.maximum_disagreement, logged.malformed)
    if not terms.replay:
        return replace(empty, because="`deploy.replay` of the base is 0")
    if not logged.requests:
        return replace(empty, because=f"no closed file in it has a request to `{model}`")
    if workspace.git.show(fork, layout.MODEL_DESCRIPTION.as_posix()) is None:
        return replace(empty, because="no model was merged before, so there is no champion to ask")
    return _asked_of_both(workspace, fork, empty, logged, tell)


def _terms(base: Mapping[str, Any]) -> tuple[str, DeploySettings]:
    """Return the name of the model that serves, and by which terms it may be replaced."""
    bundle, deploy = (dict(base.get(section) or {}) for section in ("bundle", "deploy"))
    terms = validated(DeploySettings, deploy, name="`deploy` of the base branch")
    return validated(BundleSettings, bundle, name="`bundle` of the base branch").model, terms


def _requests(workspace: Workspace, model: str, terms: DeploySettings, log: Path | None) -> tuple[str, Logged] | None:
    """Return the newest requests and where they are from: the log that is named, else the one nearest to users."""
    if log is not None:
        return _name(log), newest(log, model, terms.replay)
    root = workspace.root.resolve()
    for environment in sorted(terms.environments, key=lambda each: _steps(terms, each), reverse=True):
        place = server_folder(workspace, environment).folder / "log"
        found = newest(place, model, terms.replay)
        if found.requests:
            return _name(place.relative_to(root) if place.is_relative_to(root) else place), found
    return None


def _steps(terms: DeploySettings, environment: str) -> int:
    """Return how many environments a release goes through before this one."""
    before = terms.environments[environment].after
    return 0 if before is None else 1 + _steps(terms, before)


def _name(log: Path) -> str:
    return log.as_posix().encode(errors="replace").decode()


def _asked_of_both(workspace: Workspace, fork: str, empty: Shadow, logged: Logged, tell: Tell) -> Shadow:
    with TemporaryDirectory(prefix="leverframe-") as place:
        try:
            champion = _written(workspace, fork, Path(place, "champion"), tell)
            candidate = workspace.root / layout.BUNDLE
            if not candidate.is_dir():  # what a change leaves as it was need not be pulled
                candidate = _written(workspace, workspace.git.named("HEAD"), Path(place, "candidate"), tell)
        except LeverframeError as error:
            return replace(empty, because=f"{error.what}: {error.why}")
        try:
            before = OpenBundle(champion)
        except LeverframeError as error:  # it names a folder that nobody knows
            return replace(empty, because=f"the champion's bundle cannot be opened: {error.why}")
        try:
            after = OpenBundle(candidate)
        except LeverframeError as error:
            fault = f"`{layout.BUNDLE.as_posix()}` cannot be opened: {error.why}"
            return replace(empty, because=fault, fault=fault)
        tell(f"asking {len(logged.requests):,} logged requests of both models")
        return _compared(empty, (before, after), logged)


def _written(workspace: Workspace, commit: str, folder: Path, tell: Tell) -> Path:
    """Write the bundle of a commit into a folder, and return that."""
    files = bundle_of(workspace, commit, tell)
    named = read_manifest(files.get(names.MANIFEST, b""), f"of {commit[:12]}").files
    write_folder(folder, {name: data for name, data in files.items() if name in named or name == names.MANIFEST})
    return folder


def _compared(empty: Shadow, sides: tuple[OpenBundle, OpenBundle], logged: Logged) -> Shadow:
    before, after = sides
    refused = refused_forms(before.schema, after.schema)
    told = "; ".join(f"those by {form} would be refused: {why}" for form, why in refused.items())
    requests = [each for each in logged.requests if each.form not in refused]
    if not requests:
        return replace(empty, because=told)
    pairs = []
    for each in requests:
        (said, ms), (says, took) = _asked(before, each), _asked(after, each)
        pairs.append(Twice(each.id, said, says, ms, took))
    return shown(replace(empty, left_out=told), after.schema, pairs, [each.at.date().isoformat() for each in requests])


def _asked(bundle: OpenBundle, request: LoggedRequest) -> Answer:
    """Return what a bundle answers, as its server would; a request without a moment asks for that of its log."""
    began = time.perf_counter()
    try:
        tensors = [
            Tensor(each["name"], each["shape"], each["datatype"], each["data"])
            for each in inputs(bundle.schema, request)
        ]
        answers, _ = bundle.answer(checked(bundle.schema, tensors), request.at)
        given = numbers(bundle.schema, {"outputs": bundle.outputs(answers)})
    except Exception:  # refused with 400, or the 500 of a model that cannot: no answer either way
        given = None
    return given, (time.perf_counter() - began) * 1000
