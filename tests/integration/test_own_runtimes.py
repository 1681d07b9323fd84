"""Models that an installed package opens, a runtime of MLServer or a function: bundled, deployed, rolled back."""

from __future__ import annotations

import json
import tarfile
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leverframe.adapters.mlserver import V2
from leverframe.documents import parsed
from leverframe.domain.model.bundle.schema import Schema
from leverframe.domain.own_model.runtime_form import RuntimeForm
from leverframe.domain.release.serve import request
from leverframe.domain.release.smoke import numbers
from leverframe.errors import EstimatorError
from leverframe.serving.model_archive import archived, unpacked
from tests.fakes.own_models import trained
from tests.integration import runtime_alone
from tests.integration.own_package import FUNCTION, RUNTIME, expected, installed, rows, weights
from tests.integration.shop import Shop
from tests.warm import PATIENCE, WarmRepository

LEVERS = """\
pipeline:
  predictions: {{path: rows.parquet, kind: binary, label: bought, model: shop}}
  model: {{path: model.json, predict: "scorers.functions:predict"}}
deploy: {{verify_seconds: 0}}
serve: {{port: 0, grpc_port: 0, metrics_port: 0, runtimes: [{runtimes}]}}
"""
PIPELINE = """\
stages:
  bundle:
    cmd: >-
      leverframe bundle --model model.json --sample rows.parquet --label bought --kind binary
      --column amount --column plan --runtime {runtime}
    deps: [model.json, rows.parquet]
    outs: [models/bundle]
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """Return a repository with a model that only its own package opens, and that package."""
    installed(tmp_path, monkeypatch)
    shop = Shop(WarmRepository.create(tmp_path))
    shop.repository.write(".gitignore", "/.leverframe\n")
    shop.repository.write("leverframe.yaml", LEVERS.format(runtimes=f'{RUNTIME}, "{FUNCTION}"'))
    rows().write_parquet(shop.root / "rows.parquet")
    yield shop
    shop.run("serve", "--stop", "--name", "local")


def reproduced(shop: Shop, runtime: str, model: str) -> None:
    """Commit a model with the bundle that a stage made of it."""
    shop.repository.write("model.json", model)
    shop.repository.write("dvc.yaml", PIPELINE.format(runtime=runtime))
    shop.repository.dvc("repro", "--quiet")
    shop.repository.commit(f"A model for {runtime}")


def deployed(shop: Shop, *command: str) -> dict[str, Any]:
    """Deploy the commit that is checked out, or roll back, and return the report."""
    ended = shop.run(*command, "--json")
    assert ended.code == 0, ended.stdout + ended.stderr
    report: dict[str, Any] = json.loads(ended.stdout)
    return report


def client(shop: Shop) -> tuple[V2, dict[str, Any]]:
    """Return a client of the server that was deployed to, and what is known of the server."""
    status = json.loads(shop.run("serve", "--status", "--name", "local", "--json").stdout)
    return V2("127.0.0.1", status["running"]["port"], status["running"]["metrics_port"], ""), status


def body(shop: Shop, **change: Any) -> bytes:
    """Return a request for all rows, of which the first may be changed."""
    schema = parsed(Schema, (shop.root / "models/bundle/schema.json").read_bytes())
    first, *others = rows().select("amount", "plan").to_dicts()
    return json.dumps(request(schema, [{**first, **change}, *others])).encode()


def apart(shop: Shop, amount: float, pro: float) -> float:
    """Return how far the server is from what the code of the user predicts."""
    schema = parsed(Schema, (shop.root / "models/bundle/schema.json").read_bytes())
    status, answer = client(shop)[0].infer("shop", body(shop))
    assert status == 200, answer
    return float(np.abs(np.array(numbers(schema, answer))[:, 0] - expected(rows(), amount, pro)).max())


def test_a_runtime_and_a_function_of_an_installed_package_serve_in_turn(shop: Shop) -> None:
    """Candidate, golden rows, replay, switch and rollback, with what every server has: checks, health, log."""
    held = shop.root / "held"
    reproduced(shop, f"{RUNTIME} --output score", weights(2.0, 1.0, held=str(held)))
    first = deployed(shop, "deploy")
    assert first["serving"]["manifest"]["runtime"] == RUNTIME
    assert apart(shop, 2.0, 1.0) <= 1e-12
    server, state = client(shop)
    status, answer = server.infer("shop", body(shop, amount="many"))
    assert (status, "amount" in answer["error"]) == (400, True)
    status, answer = server.infer("shop", body(shop, amount=1e7))
    assert (status, "row 0 cannot be predicted" in answer["error"], "above a million" in answer["error"]) == (
        400, True, True,
    )  # fmt: skip
    healthy_while_it_computes(shop, server, held)
    reproduced(shop, FUNCTION, weights(2.1, 1.0))
    second = deployed(shop, "deploy")
    assert second["serving"]["manifest"]["runtime"] == FUNCTION
    assert any("replay" in step["step"] for step in second["steps"]), second["steps"]
    assert apart(shop, 2.1, 1.0) <= 1e-12
    back = deployed(shop, "rollback", "--because", "a test")
    assert back["serving"]["manifest"]["bundle"] == first["serving"]["manifest"]["bundle"]
    assert apart(shop, 2.0, 1.0) <= 1e-12
    logged = [line for file in Path(state["folder"]).glob("log/*/*") for line in file.read_text().splitlines()]
    assert any('"amount"' in line for line in logged)


def healthy_while_it_computes(shop: Shop, server: V2, held: Path) -> None:
    """A runtime that keeps its own loop busy keeps neither health checks nor refusals waiting."""
    held.touch()
    answers: list[int] = []
    waiting = threading.Thread(target=lambda: answers.append(server.infer("shop", body(shop))[0]))
    waiting.start()
    try:
        assert server.live()
        assert server.ready("shop")
        assert server.infer("shop", b'{"inputs": []}')[0] == 400
        assert not answers
    finally:
        held.unlink()
        waiting.join()
    assert answers == [200]


@pytest.mark.deep
def test_what_nobody_named_is_not_imported_and_what_is_not_installed_is_said(shop: Shop) -> None:
    """Before a candidate is loaded where the commit does not name it, at the bundle where it is not installed."""
    reproduced(shop, f"{RUNTIME} --output score", weights(2.0, 1.0))
    shop.repository.write("leverframe.yaml", LEVERS.format(runtimes=f'"{FUNCTION}"'))
    shop.repository.commit("Trust the function alone")
    ended = shop.run("deploy")
    assert ended.code == 16
    assert f"`{RUNTIME}` is not one that the settings of" in ended.stderr
    ended = shop.run("serve", "models/bundle")
    assert (ended.code != 0, "serve.runtimes" in ended.stderr) == (True, True), ended.stderr
    shop.repository.write("dvc.yaml", "stages: {}\n")
    shop.repository.write("dvc.lock", "schema: '2.0'\n")
    ended = shop.run("serve", "models/bundle")
    assert "no stage of dvc.yaml writes models/bundle" in ended.stderr
    assert "next: `leverframe serve --as-is` for what lies there; or add one" in ended.stderr
    shop.repository.write("beside.py", "def predict(rows):\n    return [0.5] * rows.num_rows\n")
    command = ("bundle", "--model", "model.json", "--sample", "rows.parquet", "--label", "bought", "--kind", "binary")
    for code, more, words in (
        (28, ("--runtime", FUNCTION.replace("predict", "labels")), "next: return the probability of class 1"),
        (
            16,
            ("--runtime", FUNCTION.replace("predict", "texts")),
            "table of Arrow with amount, plan, id, and return a number",
        ),
        (16, ("--runtime", FUNCTION.replace("predict", "first")), "a function of yours returns a finite number"),
        (28, ("--runtime", RUNTIME), "gives labels, and not probabilities"),
        (28, ("--runtime", "scorers.runtimes.Moody"), "another process predicts something else"),
        (16, ("--runtime", "beside:predict"), "is not installed: there is no module `beside`"),
        (16, ("--runtime", "scorers"), "is no import path"),
        (2, ("--output", "score"), "`--output` and `--column` are for a `--runtime`"),
        (13, ("--runtime", RUNTIME, "--column", "plam"), "did you mean `plan`"),
        (2, ("--runtime", RUNTIME, "--format", "onnx"), "`--format` is told to Leverframe"),
    ):
        ended = shop.run(*command, *more, "--dry-run")
        assert (ended.code, words in ended.stderr, "Traceback" in ended.stderr) == (code, True, False), ended.stderr


@pytest.mark.deep
def test_a_runtime_of_mlserver_serves_with_what_every_server_has(tmp_path: Path) -> None:
    """That of LightGBM, which knows one matrix or a table: predictions are the library's, to the last bit."""
    shop, model = Shop(WarmRepository.create(tmp_path)), trained("lightgbm", "binary", tmp_path, categories=False)
    shop.repository.write("leverframe.yaml", "serve: {runtimes: [mlserver_lightgbm.LightGBMModel]}\n")
    model.rows.drop("regression", "multiclass").write_parquet(tmp_path / "rows.parquet")
    command = ("bundle", "--model", str(model.file), "--sample", str(tmp_path / "rows.parquet"), "--label", "binary")
    ended = shop.run(*command, "--kind", "binary", "--runtime", "mlserver_lightgbm.LightGBMModel", "--name", "trees")
    assert ended.code == 0, ended.stderr
    free = ("--port", "0", "--grpc-port", "0", "--metrics-port", "0")
    try:
        started = shop.run("serve", "models/bundle", "--as-is", *free, "--json")
        assert started.code == 0, started.stderr
        running = json.loads(started.stdout)["running"]
        server = V2("127.0.0.1", running["port"], running["metrics_port"], "")
        schema = parsed(Schema, (shop.root / "models/bundle/schema.json").read_bytes())
        asked = model.rows.select([field.name for field in schema.columns]).fill_nan(None).to_dicts()
        status, answer = server.infer("trees", json.dumps(request(schema, asked)).encode())
        assert status == 200, answer
        assert np.abs(np.array(numbers(schema, answer))[:, 0] - model.predictions).max() == 0.0
        assert server.infer("trees", b'{"inputs": []}')[0] == 400
    finally:
        shop.run("serve", "--stop")


def test_an_archive_holds_plain_files_alone(tmp_path: Path) -> None:
    """What we pack is the same for the same content, and what else somebody packs is refused before it is written."""
    folder = tmp_path / "model"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep/weights").write_bytes(b"1")
    data = archived(folder)
    assert archived(folder) == data
    unpacked(data, tmp_path / "there")
    assert (tmp_path / "there/model/deep/weights").read_bytes() == b"1"
    for name, kind in (("../out", tarfile.REGTYPE), ("/out", tarfile.REGTYPE), ("link", tarfile.SYMTYPE),
                       ("pipe", tarfile.FIFOTYPE), ("hard", tarfile.LNKTYPE)):  # fmt: skip
        with tarfile.open(tmp_path / "odd.tar", "w") as archive:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/hostname"
            archive.addfile(member)
        with pytest.raises(ValueError, match="no plain file"):
            unpacked((tmp_path / "odd.tar").read_bytes(), tmp_path / "odd")
    for odd in (b"", b"no archive" * 100, data[:700]):
        with pytest.raises(ValueError, match="it is no archive of a model"):
            unpacked(odd, tmp_path / "damaged")
    (tmp_path / "empty").mkdir()
    with pytest.raises(EstimatorError, match="is no model"):
        archived(tmp_path / "empty")


@pytest.fixture(scope="module")
def alone() -> Iterator[ProcessPoolExecutor]:
    """Yield a process in which MLServer can be imported."""
    with runtime_alone.process() as executor:
        yield executor


@dataclass(frozen=True)
class Archive:
    """A model as a bundle has it, and the folder of the package that opens it."""

    data: bytes
    site: str
    alone: ProcessPoolExecutor

    def refusal(self, form: RuntimeForm, inputs: runtime_alone.Inputs | None = None) -> tuple[str, str, str]:
        """Return what is said of a runtime that cannot be used."""
        refusal = self.alone.submit(runtime_alone.refusal, self.site, form, self.data, inputs).result(PATIENCE)
        assert refusal is not None
        return refusal


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alone: ProcessPoolExecutor) -> Archive:
    """Return the archive of a model, with its package."""
    installed(tmp_path, monkeypatch)
    (tmp_path / "model.json").write_text(weights(2.0, 1.0))
    return Archive(archived(tmp_path / "model.json"), str(tmp_path / "site"), alone)


def form(path: str, output: str | None = None) -> RuntimeForm:
    """Return how a runtime of the package is asked."""
    return RuntimeForm(path, "model.json", {"amount": "FP64", "plan": "BYTES"}, output=output)


INPUTS = {"amount": np.array([1.0, np.nan]), "plan": np.array(["pro", None], object)}


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("scorers.runtimes.Refusing", "its `load` returns false"),
        ("scorers.runtimes.NOT_ONE", "it is no class that inherits from `mlserver.MLModel`"),
        ("scorers.runtimes:NOT_ONE", "it is no function"),
        ("scorers.runtimes.Other", "has no attribute 'Other'"),
        ("scorers.runtimes:other", "until `python -P -c 'from scorers.runtimes import other'` works"),
        ("scorers.none.Other", "`scorers` beside Leverframe, such as `pip install FOLDER` for one of your own"),
        ("mlserver_other.Model", "such as `pip install mlserver-other`"),
    ],
)
def test_a_runtime_that_cannot_be_used_is_said(archive: Archive, path: str, words: str) -> None:
    _, why, following = archive.refusal(form(path))
    assert words in f"{why} {following}"


@pytest.mark.parametrize(
    ("path", "output", "words"),
    [
        ("scorers.runtimes.Texts", None, "its output `word` has texts"),
        (RUNTIME, "odds", "it has no output `odds`, but label, score"),
        ("scorers.runtimes.Silent", None, "AttributeError"),
        ("scorers.runtimes.Late", None, "TimeoutError: the other machine does not answer"),
    ],
)
def test_an_output_that_has_no_predictions_is_said(archive: Archive, path: str, output: str | None, words: str) -> None:
    assert words in archive.refusal(form(path, output), INPUTS)[1]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("scorers.runtimes.Leaving", "SystemExit: 3"),
        ("scorers.functions:leave", "SystemExit: 3"),
        ("scorers.functions:interrupt", "KeyboardInterrupt"),
        ("scorers.functions:fail", "Speechless"),
    ],
)
def test_code_that_would_end_the_process_ends_its_request_alone(archive: Archive, path: str, words: str) -> None:
    """In threads, as in a server: there nobody presses a key. The next request is answered alike, and at once."""
    asked = archive.alone.submit(runtime_alone.refused_twice, archive.site, form(path), archive.data, INPUTS)
    both = asked.result(PATIENCE)
    assert len(both) == 2
    assert all(words in why for why in both)


@pytest.mark.parametrize("file", ["../model.json", "/etc/hostname", "other.json", "..", ".", ""])
def test_a_bundle_leads_a_runtime_to_no_other_file(archive: Archive, file: str) -> None:
    what, why, _ = archive.refusal(replace(form(RUNTIME), file=file))
    assert "cannot be opened" in what
    assert "its archive has no" in why


def test_a_runtime_that_is_let_go_leaves_nothing(archive: Archive, alone: ProcessPoolExecutor) -> None:
    """Its loop ends and its files are removed."""
    asked = alone.submit(runtime_alone.let_go, archive.site, form(RUNTIME, "score"), archive.data, INPUTS)
    predictions, there, left = asked.result(PATIENCE)
    assert predictions == pytest.approx([1 / (1 + np.exp(-3.0)), 0.5])
    assert (there, left) == ((True, 1), False)
