"""Start a model server of this machine, look at it, and end it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from leverframe.adapters.mlserver import ServerFolder
from leverframe.application.servers import log_of, server_folder, start_ports
from leverframe.application.workspace import Workspace
from leverframe.documents import parsed
from leverframe.domain import layout
from leverframe.domain.model.bundle import bundle_manifest as names
from leverframe.domain.model.bundle.bundle_manifest import read_manifest, unusable
from leverframe.domain.model.bundle.metadata import released
from leverframe.domain.model.bundle.schema import Schema
from leverframe.domain.release.serve import Served, example
from leverframe.errors import BundleError, ServerError
from leverframe.files import write_folder


def serve(
    workspace: Workspace, path: Path | None, name: str, ports: tuple[int | None, int | None, int | None]
) -> Served:
    """Start the server of that name with a bundle, or with the releases that its folder has.

    ``ports`` of REST, gRPC and metrics are those of the settings where they are None. A server
    that runs goes on. Raises ``BundleError`` for a bundle that it cannot answer with.
    """
    settings = workspace.levers.serve
    place = server_folder(workspace, name)
    running, deployed = place.running() is not None, any((place.folder / "releases").glob("*.json"))
    if path is not None or not (running or deployed):
        if running:
            raise ServerError(
                f"the server `{name}` runs already",
                why="starting it with another bundle would change what it answers with",
                next="`leverframe deploy` changes the model of a server that runs, "
                f"`leverframe serve --stop --name {name}` ends it",
            )
        _put_alone(place, path or workspace.root / layout.BUNDLE)
    started = place.start(start_ports(settings, ports), log=log_of(place, settings), limit=settings.maximum_bytes)
    client = place.client(started)
    for model in _releases(place):
        why = client.load(model)  # it is being loaded already: this waits for it, and says why not
        if why:
            place.stop()
            raise BundleError(
                f"the server cannot answer with `{model}`",
                why=why,
                next="`dvc repro bundle` makes the bundle again, `dvc pull` fetches it",
            )
    return look(workspace, name)


def look(workspace: Workspace, name: str) -> Served:
    """Return the server of that name; raises ``ServerError`` where none runs."""
    place = server_folder(workspace, name)
    running = place.running()
    if running is None:
        raise ServerError(
            f"no server `{name}` runs", why=f"{place.folder} knows of no process that lives", next="`leverframe serve`"
        )
    models = _releases(place)
    shown = None
    for model, releases in models.items():
        if releases and shown is None:
            shown = example(*_described(place, model, releases[-1]))
    return Served(running, models, str(place.folder), shown)


def stop(workspace: Workspace, name: str) -> bool:
    """End the server of that name; return whether one ran."""
    return server_folder(workspace, name).stop()


def _releases(place: ServerFolder) -> dict[str, list[int]]:
    """Return the releases that a server has in its folder, by model."""
    return {
        folder.name: sorted(int(each.name) for each in folder.iterdir() if each.name.isdigit())
        for folder in sorted(place.models.iterdir())
        if folder.is_dir() and not folder.name.startswith(".")
    }


def _described(place: ServerFolder, model: str, release: int) -> tuple[Schema, list[dict[str, Any]]]:
    """Return the schema and the golden rows of a release."""
    settings = place.models / model / str(release) / names.SETTINGS
    folder = settings.parent / json.loads(settings.read_bytes())["parameters"]["uri"]
    golden = (folder / names.GOLDEN).read_text(encoding="utf-8").splitlines()
    return parsed(Schema, (folder / names.SCHEMA).read_bytes()), [json.loads(line) for line in golden]


def _put_alone(place: ServerFolder, path: Path) -> None:
    """Let a server have what ``path`` holds and nothing else: one bundle, or the releases of a model repository."""
    found = _releases_in(path)
    for each in place.models.glob("*"):
        shutil.rmtree(each)
    for release, content in found.items():
        write_folder(place.models / release, {names.SETTINGS: (json.dumps(content, indent=1) + "\n").encode()})


def _releases_in(path: Path) -> dict[Path, dict[str, Any]]:
    """Return by model and number the settings of what ``path`` holds.

    A repository is laid out as MLServer has it, ``<model>/<release>/``, each release a whole bundle or
    settings that say where one lies.
    """
    if (path / names.MANIFEST).is_file():
        content = _settings_of_release(path, 1)
        return {Path(content["name"], "1"): content}
    folders = sorted(each.parent for each in path.glob(f"*/*/{names.SETTINGS}") if each.parent.name.isdigit())
    found = [_settings_of_release(each, int(each.name)) for each in folders]
    if not found:
        why = f"it has neither {names.MANIFEST} nor folders <model>/<release> with {names.SETTINGS}"
        raise unusable(str(path), why)
    return {Path(each["name"], each["parameters"]["version"]): each for each in found}


def _settings_of_release(folder: Path, number: int) -> dict[str, Any]:
    try:
        settings = json.loads((folder / names.SETTINGS).read_bytes())
        said = (settings.get("parameters") or {}).get("uri")
        bundle = folder if (folder / names.MANIFEST).is_file() or not said else folder / said
        manifest = read_manifest((bundle / names.MANIFEST).read_bytes(), str(bundle))
        commit = str(((settings.get("parameters") or {}).get("extra") or {}).get("commit", ""))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise unusable(str(folder), f"{error}") from error
    return released(settings, manifest, number, str(bundle.resolve()), commit)
