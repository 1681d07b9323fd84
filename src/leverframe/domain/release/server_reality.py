"""What a server answers, compared with what is recorded: the record says what should serve, the server what does."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from leverframe.domain.model.bundle import bundle_manifest as names
from leverframe.domain.model.bundle.schema import from_json
from leverframe.domain.release.ports import ReleaseStore, Server
from leverframe.domain.release.release_manifest import unlike
from leverframe.domain.release.release_state import Release
from leverframe.domain.release.smoke import golden_requests
from leverframe.errors import ServerError


def difference(store: ReleaseStore, server: Server, release: Release) -> str:
    """Return how a server differs from the release that should serve, empty where it does not.

    Its files count, too: a server that has them open predicts well until it is started again.
    """
    files, fault = store.bundle(release.bundle), damage(store, release)
    if files is None or fault:
        return f"release {release.number} is damaged: {fault}"
    if release.number not in store.numbers(release.manifest.model):
        return f"release {release.number} is gone from the server's folder"
    return _answered_otherwise(server, release, files)


def damage(store: ReleaseStore, release: Release) -> str:
    """Return what is wrong with the files of a recorded release, empty where they are whole."""
    files = store.bundle(release.bundle)
    return "its files are gone" if files is None else unlike(files, release.bundle, release.manifest.model)


def set_aside(store: ReleaseStore, release: Release, fault: str, tell: Callable[[str], None]) -> None:
    """Leave a release that does not serve out of what is loaded, and tell how it would be again."""
    store.remove_release(release.manifest.model, release.number)
    store.discard_release(release.manifest.model, release.number)
    tell(
        f"release {release.number}, bundle {release.bundle[:12]}, is damaged, so the server does not load it: {fault}; "
        f"`leverframe deploy --commit {release.manifest.commit[:12]}` fetches its files, should it serve once more"
    )


def _answered_otherwise(server: Server, release: Release, files: Mapping[str, bytes]) -> str:
    model, number = release.manifest.model, release.number
    if not server.ready(model, number):
        return f"release {number} is not ready"
    status, content = server.infer(model, _request(files))
    if status != 200:
        return f"a golden row got status {status}: {str(content.get('error', ''))[:200]}"
    answered, bundle = str(content.get("model_version")), str((content.get("parameters") or {}).get("bundle"))
    if (answered, bundle) != (str(number), release.bundle):
        return f"release {answered[:20]}, bundle {bundle[:12]}, answers instead of release {number}"
    return ""


def still_different(release: Release, why: str) -> ServerError:
    """Return the error for a server that does not serve what is recorded, and could not be brought to it."""
    return ServerError(
        f"the server does not serve release {release.number}, which is recorded",
        why=why,
        next="read server.log in the server's folder, then run the same command again",
    )


def _request(files: Mapping[str, bytes]) -> bytes:
    schema = from_json(json.loads(files[names.SCHEMA]))
    first = json.loads(files[names.GOLDEN].splitlines()[0])
    return next(golden_requests(schema, [first]))[0]
