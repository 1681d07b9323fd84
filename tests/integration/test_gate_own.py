"""The gate in repositories with a pipeline of their own: real git, real DVC, every kind of evidence and of file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from leverframe.domain.verdict import REFUSED
from leverframe.local.repository import TemporaryRepository
from tests.integration.own_case import files_of
from tests.integration.shop import Shop
from tests.profiles import by_day
from tests.warm import WarmRepository

TRAIN = """
import json, sys, numpy as np

strength, kind = float(json.load(open("settings.json"))["strength"]), sys.argv[1]
draw = np.random.default_rng(0)
x = draw.normal(size=800)
y = (x + draw.normal(size=800) > 0).astype(int)
p = 1 / (1 + np.exp(-strength * x))
day = np.repeat(np.arange(40), 20)
if kind == "npz":
    np.savez("eval/rows.npz", id=np.arange(800), day=day, y=y, p=p)
else:
    import polars as pl

    rows = pl.DataFrame({"id": np.arange(800), "day": day, "y": y, "p": p})
    write = {"csv": rows.write_csv, "jsonl": rows.write_ndjson, "parquet": rows.write_parquet}[kind]
    write(f"eval/rows.{kind}")
json.dump({"test": {"accuracy": float(((p > 0.5) == y).mean())}}, open("scores.json", "w"))
"""
PIPELINE = """
stages:
  train:
    cmd: mkdir -p eval && python train.py {kind}
    deps: [train.py]
    params: [{{settings.json: [strength]}}]
    outs: [{output}]
metrics: [scores.json]
"""
ROLES = (
    "pipeline: {{predictions: {{path: eval/rows.{kind}, kind: binary, label: y, score: p, key: [id], block: day}}}}\n"
)
RULES = "gate: {metrics: {auc: {maximum_drop: 0.01}, test.accuracy: {maximum_drop: 0.02}}}\n"


def made(folder: Path, kind: str, *, roles: bool = True, output: str = "") -> TemporaryRepository:
    """Return a repository whose base was reproduced, on a branch of its own; `params.yaml` is nobody's of ours."""
    repository = WarmRepository.create(folder)
    repository.write("train.py", TRAIN)
    repository.write("params.yaml", "data: [1, 2]\nfeatures: none\n")
    repository.write("settings.json", '{"strength": 2}')
    repository.write("dvc.yaml", PIPELINE.format(kind=kind, output=output or f"eval/rows.{kind}, scores.json"))
    repository.write("leverframe.yaml", (ROLES.format(kind=kind) if roles else "") + RULES)
    repository.write(".gitignore", "/.leverframe/\n")
    repository.dvc("repro")
    repository.commit("A pipeline")
    repository.git("checkout", "--quiet", "-b", "change")
    return repository


def gated(repository: TemporaryRepository, code: int = 0) -> dict[str, Any]:
    ended = Shop(repository).run("gate", "--base", "main", "--json")
    assert ended.code == code, ended.stdout + ended.stderr
    document: dict[str, Any] = json.loads(ended.stdout)
    return document


def changed(repository: TemporaryRepository, strength: float) -> None:
    repository.write("settings.json", json.dumps({"strength": strength}))
    repository.dvc("repro")
    repository.commit("Another strength")


def elsewhere(repository: TemporaryRepository) -> None:
    """Leave neither the cache nor the outputs of this clone, as on a fresh machine."""
    shutil.rmtree(repository.root / ".dvc/cache")
    for path in ("eval", "scores.json"):
        place = repository.root / path
        shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)


@pytest.mark.parametrize("kind", by_day(["csv", "jsonl", "parquet", "npz"], "csv", "npz"))
def test_predictions_of_any_format_are_paired(tmp_path: Path, kind: str) -> None:
    repository = made(tmp_path, kind)
    changed(repository, 1.9)
    result = gated(repository)
    assert (result["evidence"], result["rows"], result["days"]) == ("paired predictions", 800, 40)
    assert result["metrics"][0]["gain"] == 0  # the same ranking
    assert next(metric for metric in result["metrics"] if metric["metric"] == "test.accuracy")["rule"]
    changed(repository, -2)
    worse = gated(repository, REFUSED)
    assert [violation["reason"] for violation in worse["violations"]] == ["metric-dropped", "metric-dropped"]


def test_figures_alone_are_judged_without_an_interval(tmp_path: Path) -> None:
    repository = made(tmp_path, "csv", roles=False)
    assert [entry["reason"] for entry in gated(repository, REFUSED)["violations"]] == ["metric-missing"]  # no `auc`
    repository.git("checkout", "--quiet", "main")
    repository.write("leverframe.yaml", RULES.replace("auc: {maximum_drop: 0.01}, ", ""))
    repository.commit("A rule on what there is")
    repository.git("checkout", "--quiet", "-b", "better")
    changed(repository, 3)
    result = gated(repository)
    assert (result["evidence"], result["rows"]) == ("figures alone", 0)
    assert any("No interval can be given" in note for note in result["notes"])
    changed(repository, -2)
    (violation,) = gated(repository, REFUSED)["violations"]
    assert violation["reason"] == "metric-dropped"


@pytest.mark.deep
def test_a_base_that_lies_in_the_remote_is_pulled_and_one_that_nobody_has_is_said(tmp_path: Path) -> None:
    """A folder is an output, so its file is brought with it."""
    repository = made(tmp_path, "csv", output="eval, scores.json")
    remote = f"[core]\n    remote = shared\n['remote \"shared\"']\n    url = {tmp_path}/store\n"
    repository.write(".dvc/config", remote)
    repository.dvc("push")
    changed(repository, 1.9)  # commits the remote as well: the base does not know of it
    repository.dvc("push")
    elsewhere(repository)
    assert gated(repository)["evidence"] == "paired predictions"
    shutil.rmtree(tmp_path / "store")
    shutil.rmtree(repository.root / ".dvc/cache")
    violations = gated(repository, REFUSED)["violations"]
    assert "nobody has scores.json of the base branch" in violations[-1]["what"]
    assert "dvc push" in violations[-1]["next"]


def test_an_edited_output_is_refused_and_an_edited_input_is_told(tmp_path: Path) -> None:
    """Else a model that nobody trained anew passes as the same."""
    repository = made(tmp_path, "csv")
    assert "stale" not in Shop(repository).run("gate", "--base", "main").stderr
    before = repository.read("dvc.yaml")
    repository.write("dvc.yaml", before.replace("cmd: ", "cmd: true && ", 1))
    ended = Shop(repository).run("gate", "--base", "main")
    assert "what ran before is judged: `dvc repro` first" in ended.stderr
    repository.write("dvc.yaml", before)
    (repository.root / "eval/rows.csv").write_text("id,day,y,p\n1,1,1,1\n")
    ended = Shop(repository).run("gate", "--base", "main")
    assert ended.code == 18
    assert "eval/rows.csv is not what dvc.lock names" in ended.stderr


def test_the_first_pipeline_has_no_champion(tmp_path: Path) -> None:
    repository = made(tmp_path, "csv")
    repository.git("checkout", "--quiet", "--orphan", "empty")
    repository.git("rm", "-r", "--quiet", "--cached", ".")
    repository.write("README.md", "# Nothing yet\n")
    repository.git("add", "README.md")
    repository.git("commit", "--quiet", "-m", "Nothing yet")
    repository.git("branch", "--quiet", "--force", "main", "empty")
    repository.git("add", "--all", ".")
    repository.git("commit", "--quiet", "-m", "The first pipeline")
    result = gated(repository)
    assert any("no champion" in note for note in result["notes"])
    assert result["metrics"][0]["champion"] is None


PLOTS = """
stages:
  train:
    cmd: python train.py
    deps: [train.py]
    params: [{conf/model.toml: }, train.depth]
    metrics: [{scores.json: {cache: false}}]
    outs: [loss.csv]
    plots: [{roc.png: {cache: false}}]
plots:
  - loss.csv: {x: epoch, y: loss, title: Loss}
"""


def test_the_card_shows_the_figures_parameters_and_plots_of_the_pipeline(tmp_path: Path) -> None:
    """No section of Leverframe's own pipeline is missed: no data diff, no contract, no advice about either."""
    repository = WarmRepository.create(tmp_path)
    train = 'open("loss.csv", "w").write("epoch,loss\\n1,{0}\\n2,1\\n")\nopen("roc.png", "w").write("{0}")\n'
    train += 'open("scores.json", "w").write(\'{{"accuracy": 0.{0}}}\')\n'
    repository.write("conf/model.toml", "[net]\nlayers = 3\n")
    repository.write("params.yaml", "train: {depth: 1}\n")
    repository.write("dvc.yaml", PLOTS)
    for depth, layers in ((8, 3), (9, 4)):
        repository.write("train.py", train.format(depth))
        repository.write("conf/model.toml", f"[net]\nlayers = {layers}\n")
        repository.write("params.yaml", f"train: {{depth: {layers}}}\n")
        repository.dvc("repro")
        repository.commit("A pipeline")
        if depth == 8:
            repository.git("checkout", "--quiet", "-b", "change")
    assert Shop(repository).run("gate", "--base", "main").code == 0
    ended = Shop(repository).run("report", "--base", "main", "--publisher", "file")
    card = repository.read(".leverframe/report.md")
    assert "|  | accuracy | 0.8000 | 0.9000 | better by 0.1000 |" in card, ended
    assert "**Evidence: figures alone.**" in card
    assert "| `conf/model.toml:net.layers` | `3` | `4` |" in card
    assert "| `train.depth` | `3` | `4` |" in card
    assert 'title "Loss"' in card
    assert "`roc.png`: changed" in card
    assert "### Data" not in card
    assert "star.yaml" not in card


def test_one_init_and_one_commit_make_a_verdict(tmp_path: Path) -> None:
    """It says what it would write, keeps what is there, and the next command judges."""
    repository = made(tmp_path, "csv", roles=False)
    (repository.root / "leverframe.yaml").unlink()
    shop = Shop(repository)
    first = shop.run("init", "--dry-run")
    assert (first.code, (repository.root / "leverframe.yaml").exists()) == (0, False)
    assert "    path: eval/rows.csv" in first.stdout
    written = shop.run("init", "--owner", "@anna")
    assert written.stdout.splitlines()[-2:] == [
        "next: git add --all && git commit --message 'Judge pull requests'",
        "next: leverframe gate",
    ]
    repository.git("add", "--all")
    repository.git("commit", "--quiet", "--message", "Judge pull requests")
    result = gated(repository)
    assert (result["evidence"], result["metrics"][0]["rule"]) == ("paired predictions", "allowed drop: 0.01")
    repository.write("leverframe.yaml", "# mine\n")
    assert "leverframe.yaml" not in shop.run("init").stdout
    assert repository.read("leverframe.yaml") == "# mine\n"


OF_FUNCTION = """
import json, pickle, numpy as np, polars as pl
from pathlib import Path
from sklearn.linear_model import LogisticRegression

draw = np.random.default_rng(0)
x = draw.normal(size=800)
y = (x + draw.normal(size=800) > 0).astype(int)
pl.DataFrame({"day": np.repeat(np.arange(40), 20), "x": x, "y": y}).write_parquet("test.parquet")
model = LogisticRegression().fit(pl.DataFrame({"x": x}).to_pandas(), y)
Path("models").mkdir(exist_ok=True)
model.coef_ *= json.load(open("settings.json"))["strength"]
Path("models/model.pkl").write_bytes(pickle.dumps(model))
"""


@pytest.mark.deep
def test_both_revisions_predict_the_same_rows_by_a_function_of_their_own(tmp_path: Path) -> None:
    repository = WarmRepository.create(tmp_path)
    repository.write("train.py", OF_FUNCTION)
    repository.write("shop/predicting.py", files_of("own-pipeline.md")["shop/predicting.py"])
    repository.write("settings.json", '{"strength": 2}')
    outputs = "params: [{settings.json: [strength]}], outs: [models/model.pkl, test.parquet]"
    repository.write("dvc.yaml", f"stages: {{train: {{cmd: python train.py, deps: [train.py], {outputs}}}}}\n")
    roles = (
        "holdout: {path: test.parquet, label: y, kind: binary, block: day}, model: {path: models/model.pkl, predict: "
    )
    rule = RULES.replace(", test.accuracy: {maximum_drop: 0.02}", "")
    settings = f"pipeline: {{{roles}'shop.predicting:predict'}}}}\n{rule}"
    repository.write("leverframe.yaml", settings)
    repository.dvc("repro")
    repository.commit("A pipeline")
    repository.git("checkout", "--quiet", "-b", "change")
    changed(repository, -2)
    result = gated(repository, REFUSED)
    assert result["evidence"] == "both models on the same rows"
    assert "each by the function shop.predicting:predict of its own revision" in result["how"]
    assert [violation["reason"] for violation in result["violations"]] == ["metric-dropped"]
    changed(repository, 1.5)
    assert gated(repository)["metrics"][0]["gain"] == 0
    repository.write("shop/scoring.py", files_of("own-model.md")["shop/scoring.py"])
    repository.write("leverframe.yaml", settings.replace("shop.predicting", "shop.scoring"))
    repository.commit("Predict by a function that is given the model")
    result = gated(repository)
    assert "this change by shop.scoring:predict and the base by shop.predicting:predict" in result["how"]
    assert result["metrics"][0]["gain"] == 0
