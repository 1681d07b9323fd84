"""What a person sees of a server that runs: where it listens, and an example request."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from leverframe.domain.model.bundle.metadata import datatype
from leverframe.domain.model.bundle.schema import AS_OF, Schema

AS_IS = "as-is"  # in the place of a commit: what lay in the working tree was served, whatever it is
UNCOMMITTED = "uncommitted"  # as above: what the lock of the working tree names, and that of no commit
_WORDS = {AS_IS: "as it lies in the working tree", UNCOMMITTED: "of a dvc.lock that is not committed"}
NAME = "default"  # of the server that `serve` starts without another name


@dataclass(frozen=True)
class Running:
    """A server process: its number, its start in 1/100 s since the machine started, its ports, what it was started as.

    ``mark`` is any text of who started it, such as the token by which Terraform knows it.
    """

    pid: int
    start_time: int
    host: str
    port: int
    grpc_port: int
    metrics_port: int
    mark: str = ""

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{self.host}:{self.port}"


@dataclass(frozen=True)
class Served:
    """A server and the releases that it serves, by model, newest last; ``example`` is a request.

    ``commits`` are those of the newest releases, by model, or in a word why there is none; ``note`` says that the lock
    of the working tree names another bundle, empty where it does not.
    """

    running: Running
    models: Mapping[str, Sequence[int]]
    folder: str
    example: Mapping[str, Any] | None = None
    commits: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {"url": self.running.url, **asdict(self)}

    def lines(self) -> list[str]:
        """Return it for a terminal, with a line that can be pasted into one."""
        at = self.running
        models = [
            f"{model}  release {max(releases)}{self._origin(model)}" if releases else f"{model}  no release"
            for model, releases in self.models.items()
        ]
        lines = [
            f"serving {', '.join(models) or 'no model yet'}",
            *([f"  note: {self.note}"] if self.note else []),
            f"  REST     {at.url}/v2",
            f"  gRPC     {at.host}:{at.grpc_port}",
            f"  metrics  http://{at.host}:{at.metrics_port}/metrics",
            f"  process  {at.pid}, its folder is {self.folder}",
        ]
        if self.example is not None and self.models:
            lines += ["try it:", f"  {curl(at.url, next(iter(self.models)), self.example)}"]
        return lines

    def _origin(self, model: str) -> str:
        """Return in words which commit the newest release of a model is of; empty where nobody recorded one."""
        commit = self.commits.get(model, "")
        return f", {_WORDS.get(commit, f'of commit {commit[:12]}')}" if commit else ""


def other_wanted(name: str, *, deployed: bool) -> str:
    """Return in words that a server of that name serves another bundle than the lock names, and what serves that."""
    if deployed:
        return f"dvc.lock here names another bundle; `leverframe deploy --environment {name}` brings that of a commit"
    named = "" if name == NAME else f" --name {shlex.quote(name)}"
    return (
        "it was already running, and dvc.lock here names another bundle; "
        f"`leverframe serve --stop{named}`, then `leverframe serve{named}` serves that; "
        "no request is answered in between"
    )


def request(schema: Schema, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the body of a V2 request for rows of one form; every row has the same columns."""
    known = {field.name: field for field in (*schema.keys, *schema.columns)}
    return {
        "inputs": [
            {"name": name, "shape": [len(rows)], "datatype": datatype(known[name]), "data": [row[name] for row in rows]}
            for name in rows[0]
        ]
    }


def example(schema: Schema, golden: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return a small request of a golden row: by entity keys where the model knows them; None where there is none."""
    form = "keys" if schema.keys else "columns"
    row = next((golden_row["inputs"] for golden_row in golden if golden_row["form"] == form), None)
    return request(schema, [row]) if row and (AS_OF in row or not schema.keys) else None


def curl(url: str, model: str, body: Mapping[str, Any]) -> str:
    """Return a command that requests a prediction."""
    kind = "-H content-type:application/json"
    return f"curl -s {url}/v2/models/{model}/infer {kind} -d {shlex.quote(json.dumps(body, separators=(',', ':')))}"
