"""Where the gate gets logged requests and both bundles from, to replay the one on the other."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from leverframe.application.bundles import bundle_of, trusted_types
from leverframe.application.servers import server_folder
from leverframe.application.workspace import Workspace
from leverframe.domain import layout
from leverframe.domain.model.bundle import bundle_manifest as names
from leverframe.domain.model.bundle.bundle_manifest import read_manifest
from leverframe.domain.model.bundle.input_check import Tensor, checked
from leverframe.domain.model.bundle.schema import Schema
from leverframe.domain.release.replay import LoggedRequest, Prediction, RequestLog, answers_from, as_requests, inputs
from leverframe.domain.release.smoke import numbers
from leverframe.domain.review.gate.replay_comparison import Open
from leverframe.files import write_folder
from leverframe.serving.logged import newest
from leverframe.serving.opening import open_bundle
from leverframe.serving.served import ServedBundle


@dataclass(frozen=True)
class WorkspaceReplay:
    """The ``ReplaySource`` of a workspace: the log in ``folder``, else those of servers of this working tree.

    ``fork`` is the merge base, whose model is the champion.
    """

    workspace: Workspace
    fork: str
    folder: Path | None
    tell: Callable[[str], None]

    @property
    def log(self) -> str:
        """The name of the log that was asked for, empty where none was."""
        return "" if self.folder is None else _name(self.folder)

    def read(self, environment: str | None, model: str, count: int) -> RequestLog:
        """Return the newest requests that the server of an environment logged, None for the log that was asked for."""
        if environment is None:
            return replace(newest(self.folder or Path(), model, count), name=self.log)
        root, log = self.workspace.root.resolve(), server_folder(self.workspace, environment).folder / "log"
        name = _name(log.relative_to(root) if log.is_relative_to(root) else log)
        return replace(newest(log, model, count), name=name)

    def has_champion(self) -> bool:
        """Tell whether a model was merged before."""
        return self.workspace.git.show(self.fork, layout.MODEL_DESCRIPTION.as_posix()) is not None

    @contextmanager
    def bundles(self) -> Iterator[tuple[Open, Open]]:
        """Yield what opens either bundle; one that the change leaves as it was need not be pulled."""
        with TemporaryDirectory(prefix="leverframe-") as place:
            champion = self._written(self.fork, Path(place, "champion"))
            candidate = self.workspace.root / layout.BUNDLE
            if not candidate.is_dir():
                candidate = self._written(self.workspace.git.named("HEAD"), Path(place, "candidate"))
            golden = candidate / names.GOLDEN
            lines = golden.read_text(encoding="utf-8").splitlines() if golden.is_file() else []
            rows = [json.loads(line) for line in lines]
            yield (
                lambda: _Model(open_bundle(champion, trusted=trusted_types(self.workspace, self.fork)), rows),
                lambda: _Model(open_bundle(candidate, trusted=trusted_types(self.workspace)), rows),
            )

    def _written(self, commit: str, folder: Path) -> Path:
        """Write the bundle of a commit into a folder, and return that."""
        files = bundle_of(self.workspace, commit, self.tell)
        listed = read_manifest(files.get(names.MANIFEST, b""), f"of {commit[:12]}").files
        write_folder(folder, {name: data for name, data in files.items() if name in listed or name == names.MANIFEST})
        return folder


@dataclass(frozen=True)
class _Model:
    """A bundle that is open, and the golden rows of the candidate."""

    bundle: ServedBundle
    rows: Sequence[Mapping[str, Any]]

    @cached_property
    def golden(self) -> Sequence[LoggedRequest]:
        """The golden rows, each a request."""
        return as_requests(self.schema.model, self.rows)

    @cached_property
    def _earliest(self) -> datetime | None:
        return answers_from(self.rows)

    @property
    def schema(self) -> Schema:
        return self.bundle.schema

    def predict(self, request: LoggedRequest) -> Prediction:
        """Return the prediction that a server would return; the time of a request is that of its log."""
        start, schema = time.perf_counter(), self.bundle.schema
        try:
            tensors = [
                Tensor(tensor["name"], tensor["shape"], tensor["datatype"], tensor["data"])
                for tensor in inputs(schema, request, self._earliest)
            ]
            predictions = self.bundle.predict(checked(schema, tensors), request.at).predictions
            rows = numbers(schema, {"outputs": self.bundle.outputs(predictions)})
        except Exception:  # refused with 400, or the 500 of a model that cannot: no prediction either way
            rows = None
        return rows, (time.perf_counter() - start) * 1000


def _name(log: Path) -> str:
    return log.as_posix().encode(errors="replace").decode()
