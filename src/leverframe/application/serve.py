"""Start a model server of this machine, look at it, and end it."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from leverframe.adapters.mlserver import ServerFolder
from leverframe.adapters.process import signals_as_exceptions
from leverframe.adapters.releases import Releases
from leverframe.application.bundles import Local, bundle_of_lock, lock_names_another, trusted_types
from leverframe.application.servers import (
    code_of,
    log_in,
    online_of,
    ports_again,
    requests_of,
    server_folder,
    settings_hold,
    start_ports,
)
from leverframe.application.workspace import Workspace
from leverframe.bounded import json_of
from leverframe.documents import parsed
from leverframe.domain import layout
from leverframe.domain.model.bundle import bundle_manifest as names
from leverframe.domain.model.bundle.bundle_manifest import unusable
from leverframe.domain.model.bundle.metadata import released
from leverframe.domain.model.bundle.schema import Schema
from leverframe.domain.release.serve import AS_IS, Running, Served, example, other_wanted
from leverframe.domain.release.server_reality import damage, difference, set_aside
from leverframe.errors import BundleError, LeverframeError, ServerError
from leverframe.files import write_folder
from leverframe.package import check_extras
from leverframe.private_files import for_us_alone, own_folder
from leverframe.serving.bundle_folder import file_in, manifest_in

_PATIENCE = 10.0  # seconds in which a server answers that it lives


@dataclass(frozen=True)
class Start:
    """How a server is started: at the ``ports`` of REST, gRPC and metrics, where None at those of the settings.

    ``bare`` needs no bundle: without a deployed release it serves nothing. ``mark`` is what it is started as; one
    that runs as something else, or does not answer, is stopped first. An empty mark lets any that runs go on.
    ``as_is`` serves what lies in the working tree, whatever the lock names.
    """

    ports: tuple[int | None, int | None, int | None] = (None, None, None)
    bare: bool = False
    mark: str = ""
    as_is: bool = False


def serve(workspace: Workspace, path: Path | None, name: str, how: Start, tell: Callable[[str], None]) -> Served:
    """Start the server of that name with a bundle, or with the releases that its folder has.

    A server that runs goes on. Where the start fails, nothing is left running. Raises ``BundleError`` for a bundle
    that it cannot serve.
    """
    if how.bare and path is not None:
        raise ServerError(
            f"a bare server takes no bundle, and {path} is one",
            why="it serves what is deployed to it",
            next="leave out `--bare`, or the bundle",
        )
    server = server_folder(workspace, name)
    with server.starting():
        _served(workspace, path, server, how, tell)
    served = look(workspace, name)
    return (
        replace(served, note="") if path is not None or how.as_is else served
    )  # it was named, whatever the lock names


def _served(
    workspace: Workspace, path: Path | None, server: ServerFolder, how: Start, tell: Callable[[str], None]
) -> None:
    """Let the server of a folder that this process holds run, with its releases loaded."""
    if how.mark and not _goes_on(server, how.mark):
        server.stop()
    running, deployed = server.running() is not None, _deployed(server)
    if path is not None or not (running or deployed):
        if running:
            raise ServerError(
                f"the server `{server.folder.name}` runs already",
                why="starting it with another bundle would change what it serves",
                next="`leverframe deploy` changes the model of a server that runs, "
                f"`leverframe serve --stop --name {server.folder.name}` ends it",
            )
        _put_alone(server, {} if how.bare else _wanted(workspace, path, server, how, tell))
    if not running:
        _set_damaged_aside(server, tell)
    with _stopped_on_failure(server, running=running):
        _loaded(server, _started(workspace, server, how, code_of(workspace, path)))


def _set_damaged_aside(server: ServerFolder, tell: Callable[[str], None]) -> None:
    """Leave out recorded releases whose files are damaged, where another of the model can serve: it would not load."""
    store = Releases(server.folder)
    for record in sorted((server.folder / "releases").glob("*.json")):
        try:
            known = {release.number: release for release in store.state(record.stem).releases}
        except ServerError:  # a record that cannot be read names no release: what is there is served
            continue
        faults = {number: damage(store, known[number]) for number in store.numbers(record.stem) if number in known}
        if all(faults.values()):
            continue  # what starts says what is wrong with all of them
        for number, fault in faults.items():
            if fault:
                set_aside(store, known[number], fault, tell)


def _wanted(
    workspace: Workspace, path: Path | None, server: ServerFolder, how: Start, tell: Callable[[str], None]
) -> dict[Path, dict[str, Any]]:
    """Return the releases to serve: those in ``path``, by default the bundle that the lock names."""
    own = workspace.root / layout.BUNDLE
    if path is not None and path.resolve() != own.resolve():
        return _releases_in(path, trusted_types(workspace) if settings_hold(workspace, path) else ())
    bundle = Local(own, AS_IS) if how.as_is else bundle_of_lock(workspace, Releases(server.folder), tell)
    return _releases_in(bundle.folder, trusted_types(workspace, bundle.commit), bundle.commit)


def _goes_on(server: ServerFolder, mark: str) -> bool:
    """Tell whether the server was started as ``mark`` and answers."""
    running = server.running()
    return running is not None and running.mark == mark and server.client(running, timeout=_PATIENCE).live()


@contextmanager
def _stopped_on_failure(server: ServerFolder, *, running: bool) -> Iterator[None]:
    """Stop the server where the block fails, unless it ran before; a signal that ends this process is a failure."""
    with signals_as_exceptions():
        try:
            yield
        except BaseException:
            if not running:
                server.stop()
            raise


def _started(workspace: Workspace, server: ServerFolder, how: Start, code: Path | None) -> Running:
    check_extras(("serving",), "a model server")
    settings = workspace.levers.serve
    ports, mark = start_ports(settings, how.ports), how.mark
    if how == Start(bare=how.bare, as_is=how.as_is):  # nothing says where, or as what
        ports, mark = ports_again(ports, server.recorded())
    return server.start(
        ports,
        log=log_in(server.folder / "log", settings),
        requests=requests_of(settings),
        online=online_of(workspace.root, workspace.levers.online),
        mark=mark,
        code=code,
    )


def _loaded(server: ServerFolder, running: Running) -> None:
    """Wait until every release is loaded; raises ``BundleError`` for one that cannot be."""
    client = server.client(running)
    for model in _releases(server):
        why = client.load(model)  # it is being loaded already: this waits for it, and says why not
        if why:
            raise BundleError(
                f"the server cannot serve `{model}`",
                why=why,
                next="put right what it says; a damaged bundle `dvc repro bundle` makes again, or `dvc pull` fetches",
            )
    until = time.monotonic() + _PATIENCE
    while not client.loaded() and time.monotonic() < until:  # gRPC listens a little later
        time.sleep(0.02)


def look(workspace: Workspace, name: str) -> Served:
    """Return the server of that name; raises ``ServerError`` where none runs."""
    server = server_folder(workspace, name)
    running = server.running()
    if running is None:
        raise ServerError(
            f"no server `{name}` runs", why=f"{server.folder} knows of no process that lives", next="`leverframe serve`"
        )
    models = _releases(server)
    shown = None
    newest = {model: _settings(server, model, numbers[-1]) for model, numbers in models.items() if numbers}
    commits = {model: _told(settings, "commit") for model, settings in newest.items()}
    for model, releases in models.items():
        if releases and shown is None:
            shown = example(*_described(server, model, releases[-1]))
    note = ""
    with suppress(LeverframeError):  # without a lock that can be read it names nothing
        if lock_names_another(
            workspace, {_told(settings, "bundle"): _told(settings, "commit") for settings in newest.values()}
        ):
            note = other_wanted(name, deployed=_deployed(server))
    note = _different(server, running, name) or note
    return Served(running, models, str(server.folder), shown, commits, note)


def _different(server: ServerFolder, running: Running, name: str) -> str:
    """Return in words that a server does not answer with what is recorded; empty where it does."""
    store, client = Releases(server.folder), server.client(running, timeout=_PATIENCE)
    for record in sorted((server.folder / "releases").glob("*.json")):
        try:
            serving = store.state(record.stem).serving
            why = difference(store, client, serving) if serving else ""
        except ServerError as error:
            why = f"{error.what}: {error.why}"
        if why:
            return f"{why}; `leverframe deploy --environment {name}` with the commit that should serve repairs it"
    return ""


def stop(workspace: Workspace, name: str) -> bool:
    """End the server of that name; return whether one ran."""
    return server_folder(workspace, name).stop()


def _releases(server: ServerFolder) -> dict[str, list[int]]:
    """Return the releases that a server has in its folder, by model."""
    return {
        folder.name: sorted(int(release.name) for release in folder.iterdir() if release.name.isdigit())
        for folder in sorted(server.models.iterdir())
        if folder.is_dir() and not folder.name.startswith(".")
    }


def _described(server: ServerFolder, model: str, release: int) -> tuple[Schema, list[dict[str, Any]]]:
    """Return the schema and the golden rows of a release."""
    folder = server.models / model / str(release) / _settings(server, model, release)["parameters"]["uri"]
    golden = (folder / names.GOLDEN).read_text(encoding="utf-8").splitlines()
    return parsed(Schema, (folder / names.SCHEMA).read_bytes()), [json.loads(line) for line in golden]


def _settings(server: ServerFolder, model: str, release: int) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((server.models / model / str(release) / names.SETTINGS).read_bytes())
    return content


def _told(settings: Mapping[str, Any], name: str) -> str:
    """Return what the settings of a release tell of it, such as its commit; empty where they tell nothing."""
    return str(((settings.get("parameters") or {}).get("extra") or {}).get(name, ""))


def _deployed(server: ServerFolder) -> bool:
    """Tell whether something was deployed to the server, which it serves then whatever the lock names."""
    return any((server.folder / "releases").glob("*.json"))


def _put_alone(server: ServerFolder, releases: Mapping[Path, dict[str, Any]]) -> None:
    """Let a server have these releases and nothing else, by model and number."""
    own_folder(server.folder)
    for model in server.models.glob("*"):
        shutil.rmtree(model)
    with for_us_alone():
        for release, content in releases.items():
            write_folder(server.models / release, {names.SETTINGS: (json.dumps(content, indent=1) + "\n").encode()})


def _releases_in(path: Path, trusted: Sequence[str], commit: str = "") -> dict[Path, dict[str, Any]]:
    """Return by model and number the settings of what ``path`` holds, of a bundle those with its ``commit``.

    ``trusted`` are own types that a model may hold: what lies there says nothing of that.

    A repository has the layout of MLServer, ``<model>/<release>/``, each release a whole bundle or
    settings that say where one lies.
    """
    if (path / names.MANIFEST).is_file():
        content = _settings_of_release(path, 1, trusted, commit)
        return {Path(content["name"], "1"): content}
    folders = sorted(file.parent for file in path.glob(f"*/*/{names.SETTINGS}") if file.parent.name.isdigit())
    releases = [_settings_of_release(folder, int(folder.name), trusted) for folder in folders]
    if not releases:
        why = f"it has neither {names.MANIFEST} nor folders <model>/<release> with {names.SETTINGS}"
        raise unusable(str(path), why)
    return {Path(content["name"], content["parameters"]["version"]): content for content in releases}


def _settings_of_release(folder: Path, number: int, trusted: Sequence[str], commit: str = "") -> dict[str, Any]:
    try:
        settings = json_of(file_in(folder, names.SETTINGS))
        uri = (settings.get("parameters") or {}).get("uri")
        bundle = folder if (folder / names.MANIFEST).is_file() or not uri else folder / uri
        manifest = manifest_in(bundle)
        commit = commit or _told(settings, "commit")
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise unusable(str(folder), f"{error}") from error
    return released(settings, manifest, number, str(bundle.resolve()), commit, trusted)
