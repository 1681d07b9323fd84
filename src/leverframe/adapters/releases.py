"""The releases of a server as files: bundles by digest, settings by number, the record."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from leverframe.documents import parsed, plain
from leverframe.domain.model.bundle.bundle_manifest import SETTINGS
from leverframe.domain.release.release_state import State
from leverframe.errors import ServerBusyError, ServerError
from leverframe.files import replacing, sweep, write_folder, write_json
from leverframe.locks import held
from leverframe.private_files import for_us_alone, plain_file


class Releases:
    """The ``ReleaseStore`` port; ``folder`` is that of the server, which is made where it is not there."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._models, self.bundles = folder, folder / "models", folder / "bundles"
        self._parts, self._staged = folder / "fetching", folder / "staged"
        self._removed = folder / "removed"  # releases that the server may have loaded still

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the server for one deployment; the lock ends with the process. Raises ``ServerBusyError``.

        What an earlier one left half written, as it was killed, is removed first.
        """
        path = self._folder / "lock"
        with for_us_alone():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        busy = ServerBusyError(
            "another deployment to this server is under way",
            why=f"it holds {path}",
            next="wait until it has ended, then run the same command again",
        )
        with held(path, busy):
            self._sweep()
            yield

    def _sweep(self) -> None:
        shutil.rmtree(self._staged, ignore_errors=True)
        for folder in (self.bundles, self._parts, self._record("").parent, self._models, *self._files(self._models)):
            sweep(folder)

    def state(self, model: str) -> State:
        """Return what is recorded; raises ``ServerError`` for a record that cannot be read."""
        path = self._record(model)
        try:
            return parsed(State, path.read_bytes())
        except FileNotFoundError:
            return State(model)
        except (OSError, ValueError) as error:
            raise ServerError(
                f"the record {path} cannot be read",
                why=f"{type(error).__name__}: {error}",
                next="restore it from a backup; what is served goes on. Without one, move it away and deploy the "
                "commit that should serve: what the server has loaded serves until then",
            ) from error

    @for_us_alone()
    def record(self, state: State) -> None:
        """Replace the record."""
        write_json(self._record(state.model), plain(state))

    def bundle(self, digest: str) -> Mapping[str, bytes] | None:
        """Return the files of a bundle, None where it is not here."""
        folder = self.bundles / digest
        try:
            return {file.name: plain_file(file) for file in folder.iterdir()} if folder.is_dir() else None
        except ValueError:  # what somebody left there is no bundle: it is fetched again in its place
            return None

    @for_us_alone()
    def put_bundle(self, digest: str, files: Mapping[str, bytes]) -> None:
        """Write a bundle, whole or not at all."""
        write_folder(self.bundles / digest, files)

    def numbers(self, model: str) -> list[int]:
        """Return the releases in the server's folder, and those that were removed from it and not discarded."""
        names = [folder.name for folder in self._files(self._models / model)]
        removed = [folder.name.rpartition("-") for folder in self._files(self._removed)]
        names += [number for name, _, number in removed if name == model]
        return sorted({int(name) for name in names if name.isdigit()})

    def has_model(self, model: str) -> bool:
        """Tell whether a model is in the server's folder."""
        return (self._models / model).is_dir()

    def part(self, digest: str) -> bytes | None:
        """Return a file of a bundle that was kept before all of them were here."""
        with suppress(ValueError):
            return plain_file(self._parts / digest)
        return None

    @for_us_alone()
    def put_part(self, digest: str, data: bytes) -> None:
        """Keep a file of a bundle, whole or not at all."""
        with replacing(self._parts / digest) as temporary:
            temporary.write_bytes(data)

    def discard_parts(self) -> None:
        """Forget the files that were kept."""
        shutil.rmtree(self._parts, ignore_errors=True)

    @for_us_alone()
    def put_release(self, model: str, number: int, settings: Mapping[str, Any]) -> None:
        """Write the settings of a release to where the server reads them."""
        data = (json.dumps(settings, indent=1) + "\n").encode()
        # The server looks into every folder below its own, so what is half written stays outside of it.
        staged = self._staged / f"{model}-{number}"
        write_folder(staged, {SETTINGS: data})
        release = self._models / model / str(number)
        release.parent.mkdir(parents=True, exist_ok=True)
        self._remove(release)
        staged.rename(release)

    @for_us_alone()
    def remove_release(self, model: str, number: int) -> None:
        """Remove a release from the server's folder; where a run ends before it is discarded, ``numbers`` has it."""
        release, removed = self._models / model / str(number), self._removed / f"{model}-{number}"
        if release.is_dir():
            shutil.rmtree(removed, ignore_errors=True)
            removed.parent.mkdir(parents=True, exist_ok=True)
            release.rename(removed)

    def discard_release(self, model: str, number: int) -> None:
        """Forget a release that was removed: the server does not have it loaded any more."""
        shutil.rmtree(self._removed / f"{model}-{number}", ignore_errors=True)

    def remove_model(self, model: str) -> None:
        """Remove a model from the server's folder, if it is there."""
        self._remove(self._models / model)

    def keep_bundles(self, digests: Sequence[str]) -> None:
        """Remove all other bundles."""
        for bundle in self._files(self.bundles):
            if bundle.name not in digests:
                self._remove(bundle)

    @for_us_alone()
    def _remove(self, folder: Path) -> None:
        """Remove a folder at once, as others see it."""
        if not folder.exists():
            return
        gone = self._staged / f"gone-{folder.name}"
        gone.parent.mkdir(exist_ok=True)
        shutil.rmtree(gone, ignore_errors=True)
        folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)

    def _files(self, folder: Path) -> list[Path]:
        return list(folder.iterdir()) if folder.is_dir() else []

    def _record(self, model: str) -> Path:
        return self._folder / "releases" / f"{model}.json"
