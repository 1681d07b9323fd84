"""The bundle of a commit: from the cache, else from the remote of DVC."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from leverframe.adapters.git import Git
from leverframe.adapters.releases import Releases
from leverframe.application.as_locked import LOCK, others, recorded_here, remedy
from leverframe.application.pipeline import PipelineRun
from leverframe.application.status import tree_around
from leverframe.application.workspace import Workspace
from leverframe.domain import layout
from leverframe.domain.model.bundle.bundle_manifest import MANIFEST, sha256
from leverframe.domain.own_model.runtime_form import TRUSTED
from leverframe.domain.pipeline.status.lock import entries, locked_here
from leverframe.domain.pipeline.status.resolved import Locked, Recorded
from leverframe.domain.pipeline.status.staleness import stages
from leverframe.domain.release.serve import AS_IS, UNCOMMITTED
from leverframe.errors import BundleError, LeverframeError, guide_page
from leverframe.serving.bundle_folder import files_in
from leverframe.settings import LEVERS, PARAMS
from leverframe.settings.levers import Levers, levers_of
from leverframe.settings.params import BundleSettings, Params, params_of
from leverframe.yaml_files import parse


def bundle_of(workspace: Workspace, commit: str, tell: Callable[[str], None]) -> dict[str, bytes]:
    """Return the files of the bundle that the lock of a commit names: from the cache, else from the remote.

    Raises ``BundleError`` where the lock names none, or neither has it.
    """
    path, recorded = layout.BUNDLE.as_posix(), recorded_bundle(workspace.git, commit)
    tree = tree_around(workspace.root)
    listing = tree.content(recorded)
    if listing is not None:
        parts = {file["relpath"]: tree.content(Recorded(file["md5"], None)) for file in json.loads(listing)}
        if None not in parts.values():
            return {name: data or b"" for name, data in parts.items()}
    tell(f"fetching the bundle of {commit[:12]} from the remote")
    with TemporaryDirectory(prefix="leverframe-") as place:
        folder = workspace.git.copied(commit, Path(place, "commit")).root
        tree.lend(folder)
        if not PipelineRun.of(workspace, folder, tell).data("pull", "--force", path):
            raise BundleError(
                f"the bundle of {commit[:12]} cannot be fetched",
                why="it is neither in the cache nor in the remote of DVC",
                next="`dvc push` where the pipeline ran, or `dvc repro` here",
            )
        return files_in(folder / path)


def trusted_types(workspace: Workspace, commit: str = "") -> Sequence[str]:
    """Return what the settings of a commit trust, without one those here: own types of a model, and runtimes."""
    if commit and commit not in (UNCOMMITTED, AS_IS):
        params, name = params_at(workspace, commit), f"{LEVERS} of {commit[:12]}"
        levers = levers_of((workspace.git.show(commit, str(LEVERS)) or b"").decode(errors="replace"), name=name)
    else:
        params, levers = workspace.params if workspace.has_case else None, workspace.levers
    types = params.train.trusted_types if params else ()
    return [*types, *(f"{TRUSTED}{runtime}" for runtime in levers.serve.runtimes)]


def params_at(workspace: Workspace, commit: str) -> Params | None:
    """Return what stages read as a commit has it; None where it has no case, and its ``params.yaml`` is its own."""
    text = (workspace.git.show(commit, str(PARAMS)) or b"").decode(errors="replace")
    name = f"{PARAMS} of {commit[:12]}"
    content = parse(text, name=name, what="settings file") if text.strip() else {}
    data = content.get("data")
    return params_of(content, name=name) if isinstance(data, dict) and "case" in data else None


def model_name(workspace: Workspace) -> str:
    """Return the name under which the model of a workspace is served."""
    return named_in(workspace.params if workspace.has_case else None, workspace.levers)


def named_in(params: Params | None, levers: Levers) -> str:
    """Return the name of the model in settings: `bundle.model`, without a case `pipeline.predictions.model`."""
    if params is not None:
        return params.bundle.model
    predictions = levers.pipeline.predictions
    return predictions.model if predictions else BundleSettings().model


@dataclass(frozen=True)
class Local:
    """A folder with a bundle, and the commit whose lock names it; or in a word why it has none."""

    folder: Path
    commit: str


def bundle_of_lock(workspace: Workspace, store: Releases, tell: Callable[[str], None]) -> Local:
    """Return the bundle that the lock of the working tree names: as checked out, else fetched into ``store``.

    Raises ``BundleError`` where the lock names none, or something else lies in its place.
    """
    root, path = workspace.root, layout.BUNDLE.as_posix()
    here = recorded_here(root).get(path)
    commit = workspace.git.named("HEAD")
    if here is None:
        written = _written(workspace, path)
        as_is = ["`leverframe serve --as-is` for what lies there"] if (root / path).exists() else []
        runs = ["`dvc repro`" if written else f"add one to dvc.yaml and run it: {guide_page('own-model.md')}"]
        raise BundleError(
            f"{path} cannot be served: {LOCK} names none",
            why="its stage `bundle` did not run here" if written else f"no stage of dvc.yaml writes {path}",
            next="; or ".join([*runs, *as_is] if written else [*as_is, *runs]),
        )
    committed = here in _recorded(workspace.git, commit, path)
    other = others(root, layout.BUNDLE)
    if other:
        raise BundleError(
            f"{path} cannot be served: it is not what {LOCK} names",
            why="another branch or run left it there, or somebody edited it",
            next=f"{remedy(other)} for that of {LOCK}; or `leverframe serve --as-is` for what lies there",
        )
    if (root / path).exists():
        return Local(root / path, commit if committed else UNCOMMITTED)
    if not committed:
        raise BundleError(
            f"{path} is not here", why=f"{LOCK} names one that is not committed", next="`dvc checkout`, or `dvc repro`"
        )
    files = bundle_of(workspace, commit, tell)
    store.put_bundle(here.md5, files)
    return Local(store.bundles / here.md5, commit)


def lock_names_another(workspace: Workspace, digests: Mapping[str, str]) -> bool:
    """Tell whether the lock of the working tree names a bundle that is surely none of these.

    ``digests`` are those of bundles, each with its commit, or a word in its place. Where the cache lacks the bundle
    that the lock names, the locks of these commits tell.
    """
    root, path = workspace.root, layout.BUNDLE.as_posix()
    here = recorded_here(root).get(path)
    if here is None or not digests:
        return False
    tree = tree_around(root)
    listing = json.loads(tree.content(here) or b"[]")
    manifest = next((Recorded(file["md5"], None) for file in listing if file["relpath"] == MANIFEST), None)
    content = tree.content(manifest) if manifest else None
    if content is not None:
        return sha256(content) not in digests
    return all(commit not in ("", AS_IS, UNCOMMITTED) and recorded_bundle(workspace.git, commit) != here
               for commit in digests.values())  # fmt: skip


def recorded_bundle(git: Git, commit: str) -> Recorded:
    """Return what the lock of a commit says of its bundle; raises ``BundleError`` where it says nothing."""
    path = layout.BUNDLE.as_posix()
    recorded = next(_recorded(git, commit, path), None)
    if recorded is None:
        raise BundleError(
            f"the lock of {commit[:12]} names no {path}",
            why="its stage `bundle` was not run, or not committed",
            next="`dvc repro`, commit dvc.lock, `dvc push`",
        )
    return recorded


def _recorded(git: Git, commit: str, path: str) -> Iterator[Recorded]:
    """Yield what the lock in the root of a commit says of an output, then what locks elsewhere say.

    Which paths these mean, the definitions tell that are here.
    """

    def text(lock: str) -> str:
        return (git.show(commit, lock) or b"").decode(errors="replace")

    yield from (entry.outputs[path] for entry in entries(text(LOCK), LOCK).values() if path in entry.outputs)
    records = dict[str, Locked]()
    with suppress(LeverframeError):  # without a definition that can be read, the root has the only lock
        records = locked_here(stages(git, tree_around(git.root)), text)
    yield from (entry.outputs[path] for entry in records.values() if path in entry.outputs)


def _written(workspace: Workspace, path: str) -> bool:
    """Tell whether a stage writes an output; of a definition that is not followed, whether it names it."""
    tree = tree_around(workspace.root)
    try:
        all_stages = stages(workspace.git, tree)
    except LeverframeError:
        return path in (tree.text("dvc.yaml") or "")
    return any(output.path == path for stage in all_stages for output in stage.outputs)
