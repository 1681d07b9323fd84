"""Features of logged requests, made again: equal as long as the data are, and named where they are not."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leverframe.application.serving_skew import SkewFacts, serving_skew
from leverframe.application.workspace import Workspace
from leverframe.domain.features.request import timestamp
from leverframe.domain.features.training_set import Feature
from leverframe.domain.monitoring.finding import Kind
from leverframe.domain.monitoring.log_query import LogFile
from leverframe.domain.monitoring.serving_skew import LookedUp, Recomputed, predictions_skew, skew_findings, skews
from leverframe.serving.logged import looked_up, newest_lookups
from leverframe.settings.monitor import MonitorSettings, QualitySettings
from tests.fakes.request_log import line
from tests.integration.shop import Shop, copied, finished
from tests.integration.test_serve_server import MODEL, Server
from tests.integration.watched import place

WINDOWS = ("2024-05-01", "2024-05-31")


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shop, Path]:
    """Return a shop and the closed log of a server that was asked for the golden rows by keys, and for now."""
    shop = copied(finished(tmp_path_factory), tmp_path_factory.mktemp("skewed"))
    server = Server(shop)
    golden = [json.loads(row) for row in (shop.root / "models/bundle/golden.jsonl").read_text().splitlines()]
    types = {tensor["name"]: tensor["datatype"] for tensor in server.served["example"]["inputs"]}
    keys = [row["inputs"] for row in golden if row["form"] == "keys"]
    for number in range(40):
        inputs = keys[number % len(keys)]
        tensors = [
            {"name": name, "shape": [1], "datatype": types.get(name, "BYTES"), "data": [value]}
            for name, value in inputs.items()
        ]
        assert server.ask(json.dumps({"id": f"r{number}", "inputs": tensors}).encode())[0] == 200
    now = [tensor for tensor in tensors if tensor["name"] != "as_of"]
    assert server.ask(json.dumps({"id": "now", "inputs": now}).encode())[0] == 200
    assert shop.run("serve", "--stop").code == 0
    return shop, server.folder / "log"


def files_of(folder: Path) -> list[LogFile]:
    """Return the closed files of a log."""
    return [LogFile(path, path.name) for path in sorted(folder.glob("dt=*/*.jsonl"))]


def looked_at(workspace: Workspace, folder: Path, **settings: Any) -> SkewFacts:
    """Return what comes out of the log in a folder."""
    return serving_skew(workspace, MODEL, files_of(folder), MonitorSettings(**settings), WINDOWS)


def rewritten(folder: Path, out: Path, change: Any) -> Path:
    """Write the log again with ``change`` applied to every record."""
    (out / "dt=2026-01-01").mkdir(parents=True)
    records = [json.loads(text) for file in files_of(folder) for text in file.path.read_text().splitlines()]
    for record in records:
        change(record)
    (out / "dt=2026-01-01/1.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in records))
    return out


def test_served_features_are_those_of_training_while_the_data_are_the_same(asked: tuple[Shop, Path]) -> None:
    """To the last bit, and so are predictions; a request for now lies beyond the data, which is said."""
    shop, log = asked
    facts = looked_at(place(shop.root), log)
    described = json.loads((shop.root / "models/model.json").read_text())["features"]
    assert {skew.feature for skew in facts.skew} == {feature["name"] for feature in described} | {"prediction"}
    assert {skew.rows for skew in facts.skew} == {40}
    assert sum(skew.different for skew in facts.skew) == 0
    assert facts.findings == ()
    assert len(facts.notes) == 1
    assert "1 ask for a time that the data of the workspace" in facts.notes[0]


def test_only_the_snapshot_of_the_bundle_reaches_beyond_the_data(asked: tuple[Shop, Path], tmp_path: Path) -> None:
    """An online store has events of that time which the workspace lacks: features made without them are no skew."""
    shop, log = asked
    workspace = place(shop.root)
    records = [json.loads(text) for file in files_of(log) for text in file.path.read_text().splitlines()]
    (reached,) = {timestamp(text) for record in records for text in record["columns"].get("as_of", [])}
    assert reached > workspace.partitions.end  # to the last known row: such requests are recomputed
    online = (reached + timedelta(hours=1)).isoformat()
    facts = looked_at(workspace, rewritten(log, tmp_path, lambda record: record.update(snapshot=online)))
    assert (facts.skew, facts.findings) == ((), ())
    assert "41 ask for a time that the data of the workspace" in facts.notes[0]


def test_a_table_that_was_corrected_is_skew(asked: tuple[Shop, Path], tmp_path: Path) -> None:
    """The feature that is built from it is named, with the share of rows and how far."""
    shop, log = asked
    root = tmp_path / "corrected"
    shutil.copytree(shop.root, root, symlinks=True, ignore=shutil.ignore_patterns(".leverframe"))
    table = root / "data/raw/products.parquet"
    frame = pl.read_parquet(table)
    table.unlink()  # a link into the cache of DVC stays as it is
    frame.with_columns(bulk=pl.col("bulk") * 2).write_parquet(table)
    facts = looked_at(place(root), log)
    wrong = {skew.feature: skew for skew in facts.skew if skew.different}
    assert list(wrong) == ["item_bulk"]
    assert (wrong["item_bulk"].rows, wrong["item_bulk"].different) == (40, 40)
    (finding,) = facts.findings
    assert (finding.kind, finding.subject, finding.window, finding.since) == (
        Kind.SKEW, "item_bulk", "2024-05-31", "2024-05-01",
    )  # fmt: skip
    assert "was served otherwise than training would see it in 40 of 40 rows (100.0%)" in finding.what


def test_a_prediction_that_the_model_does_not_make_is_named(asked: tuple[Shop, Path], tmp_path: Path) -> None:
    """Every row counts: a model has no share of rows in which it may err."""
    shop, log = asked

    def other(record: dict[str, Any]) -> None:
        record["predictions"] = [[0.5, 0.5] for _ in record["predictions"]]

    facts = looked_at(place(shop.root), rewritten(log, tmp_path, other))
    assert [finding.subject for finding in facts.findings] == ["prediction"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda record: record.update(bundle="c" * 64), "served by another bundle"),
        (lambda record: record["columns"].pop("product"), "lack what the log may not hold"),
        (lambda record: record["columns"].update(as_of=["yesterday"]), "do not fit the schema"),
        (lambda record: record.pop("features"), "no logged request by keys says what was looked up"),
        (lambda record: record.update(features={}, model="other"), "no logged request by keys"),
    ],
)
def test_what_cannot_be_recomputed_is_said(asked: tuple[Shop, Path], tmp_path: Path, change: Any, words: str) -> None:
    """Never a traceback, and never silence."""
    shop, log = asked
    facts = looked_at(place(shop.root), rewritten(log, tmp_path, change))
    assert facts.skew == ()
    assert facts.findings == ()
    assert words in facts.notes[0]


def test_denied_columns_are_left_out(asked: tuple[Shop, Path], tmp_path: Path) -> None:
    """A feature that is not logged is not compared; the others are."""
    shop, log = asked
    first = json.loads((shop.root / "models/model.json").read_text())["features"][0]["name"]
    facts = looked_at(place(shop.root), rewritten(log, tmp_path, lambda record: record["features"].pop(first)))
    assert first not in {skew.feature for skew in facts.skew}
    assert "prediction" not in {skew.feature for skew in facts.skew}
    assert {skew.rows for skew in facts.skew} == {40}


def test_a_workspace_without_bundle_or_data_says_so(asked: tuple[Shop, Path], tmp_path: Path) -> None:
    """Each with what is lacking; a setting turns it off."""
    shop, log = asked
    root = tmp_path / "bare"
    shutil.copytree(shop.root, root, symlinks=True, ignore=shutil.ignore_patterns(".leverframe"))
    assert "`monitor.skew_rows` is 0" in looked_at(place(root), log, skew_rows=0).notes[0]
    for path in (root / "data/raw").rglob("*.parquet"):
        path.unlink()
    assert "not recomputed" in looked_at(place(root), log).notes[0]
    shutil.rmtree(root / "models/bundle")
    assert "cannot be opened" in looked_at(place(root), log).notes[0]


KEYS: dict[str, Any] = {
    "form": "keys", "columns": {"k": ["p"]}, "features": {"a": [1.0]}, "snapshot": "2026-01-01T00:00:00Z",
}  # fmt: skip


@pytest.mark.parametrize(
    "broken",
    [
        {"form": "columns"}, {"features": None}, {"features": {"a": 1}}, {"features": {"a": [1, 2]}},
        {"columns": {"k": ["p", "q"]}}, {"snapshot": None}, {"snapshot": "2026-01-01"}, {"snapshot": 5},
        {"predictions": []}, {"predictions": None}, {"bundle": 5}, {"model": "other"},
    ],
)  # fmt: skip
def test_a_line_that_says_nothing_of_a_lookup_is_none(broken: dict[str, Any]) -> None:
    """Logs come from outside."""
    assert looked_up(line(**KEYS), "shop") is not None
    assert looked_up(line(**{**KEYS, **broken}), "shop") is None


def test_the_newest_lookups_are_taken(tmp_path: Path) -> None:
    """As many as there are rows asked for."""
    (tmp_path / "a.jsonl").write_bytes(b"".join(line(**KEYS, id=str(number)) + b"\n" for number in range(10)))
    (tmp_path / "b.jsonl").write_bytes(b"noise\n" + line(**KEYS, id="last"))
    files = [tmp_path / "a.jsonl", tmp_path / "b.jsonl", tmp_path / "gone.jsonl"]
    assert [lookup.id for lookup in newest_lookups(files, "shop", 3)] == ["8", "9", "last"]


REQUEST = looked_up(line(**KEYS), "shop")
VALUES = st.lists(st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)), min_size=1, max_size=20)


@given(VALUES, VALUES)
def test_only_rows_that_differ_count(served: list[float | None], made: list[float | None]) -> None:
    """What is missing on both sides is equal, and the largest distance is told."""
    assert REQUEST is not None
    rows = min(len(served), len(made))
    request = replace(REQUEST, features={"a": served[:rows]}, predictions=[0.5] * rows)
    again = np.array([np.nan if value is None else value for value in made[:rows]])
    (skew,) = skews([Feature("a", "numeric"), Feature("b", "numeric")], [Recomputed((request,), {"a": again})])
    different = [one != other for one, other in zip(served[:rows], made[:rows], strict=True)]
    assert (skew.feature, skew.rows, skew.different) == ("a", rows, sum(different))


def test_a_share_that_is_allowed_is_no_finding() -> None:
    """Few rows are judged by chance."""
    assert REQUEST is not None
    requests: list[LookedUp] = [REQUEST]
    settings = QualitySettings(maximum_skew=0.05)
    few = skews([Feature("a", "numeric")], [Recomputed((REQUEST,), {"a": np.array([2.0])})])
    assert few[0].different == 1
    assert skew_findings([replace(few[0], rows=20)], requests, settings, WINDOWS) == ()
    many = skew_findings([replace(few[0], rows=100, different=20)], requests, settings, WINDOWS)
    assert "20 of 100 rows (20.0%), by up to 1" in many[0].what
    assert predictions_skew([[0.5]], np.array([[0.5 + 1e-9]]), 1e-6).different == 0
    assert predictions_skew([[0.5], [None]], np.array([[0.6], [0.5]]), 1e-6).different == 2
