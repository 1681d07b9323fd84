"""The releases of a server as files: bundles by digest, settings by number, the record."""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from leverframe.domain.model.bundle.bundle_manifest import SETTINGS
from leverframe.domain.release.release_state import State
from leverframe.errors import ServerBusyError, ServerError
from leverframe.files import write_folder, write_json


class Releases:
    """The ``ReleaseStore`` port; ``folder`` is that of the server, which is made where it is not there."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._models, self._bundles = folder, folder / "models", folder / "bundles"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the server for one deployment; the lock ends with the process. Raises ``ServerBusyError``."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "lock").open("a") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ServerBusyError(
                    "another deployment to this server is under way",
                    why=f"it holds {self._folder / 'lock'}",
                    next="wait until it has ended, then run the same command again",
                ) from error
            yield

    def state(self, model: str) -> State:
        """Return what is recorded; raises ``ServerError`` for a record that cannot be read."""
        path = self._record(model)
        try:
            return State.from_json(json.loads(path.read_bytes()))
        except FileNotFoundError:
            return State(model)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ServerError(
                f"the record {path} cannot be read",
                why=f"{type(error).__name__}: {error}",
                next="restore it, or remove it and deploy again; what is served goes on until then",
            ) from error

    def record(self, state: State) -> None:
        """Replace the record."""
        write_json(self._record(state.model), state.to_json())

    def bundle(self, digest: str) -> Mapping[str, bytes] | None:
        """Return the files of a bundle, None where it is not here."""
        folder = self._bundles / digest
        return {file.name: file.read_bytes() for file in folder.iterdir()} if folder.is_dir() else None

    def put_bundle(self, digest: str, files: Mapping[str, bytes]) -> None:
        """Write a bundle, whole or not at all."""
        write_folder(self._bundles / digest, files)

    def numbers(self, model: str) -> list[int]:
        """Return the releases that are in the server's folder."""
        folder = self._models / model
        return sorted(int(found.name) for found in folder.iterdir() if found.name.isdigit()) if folder.is_dir() else []

    def has_model(self, model: str) -> bool:
        """Tell whether a model is in the server's folder."""
        return (self._models / model).is_dir()

    def put_release(self, model: str, number: int, settings: Mapping[str, Any]) -> None:
        """Write the settings of a release to where the server reads them."""
        data = (json.dumps(settings, indent=1) + "\n").encode()
        # The server looks into every folder below its own, so what is half written stays outside of it.
        staged = self._folder / "staged" / f"{model}-{number}"
        write_folder(staged, {SETTINGS: data})
        release = self._models / model / str(number)
        release.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(release, ignore_errors=True)
        staged.rename(release)

    def remove_release(self, model: str, number: int) -> None:
        """Remove a release from the server's folder."""
        self._remove(self._models / model / str(number))

    def remove_model(self, model: str) -> bool:
        """Remove a model from the server's folder; return whether it was there."""
        there = self.has_model(model)
        self._remove(self._models / model)
        return there

    def keep_bundles(self, digests: Sequence[str]) -> None:
        """Remove all other bundles."""
        for bundle in self._bundles.iterdir() if self._bundles.is_dir() else ():
            if bundle.name not in digests:
                self._remove(bundle)

    def _remove(self, folder: Path) -> None:
        """Remove a folder at once, as others see it."""
        if not folder.exists():
            return
        gone = self._folder / "staged" / f"gone-{folder.parent.name}-{folder.name}"
        gone.parent.mkdir(exist_ok=True)
        shutil.rmtree(gone, ignore_errors=True)
        folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)

    def _record(self, model: str) -> Path:
        return self._folder / "releases" / f"{model}.json"
