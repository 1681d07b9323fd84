"""Training on Spark: what one machine learns, too, the rows left where they are, and a model that needs no Spark."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from leverframe.adapters.onnx.convert import converted
from leverframe.adapters.onnx.session import OnnxModel
from leverframe.adapters.polars import PolarsTables
from leverframe.adapters.sklearn import SklearnModels
from leverframe.application.bundle import bundle
from leverframe.application.evaluate import evaluate
from leverframe.application.snapshot import snapshot
from leverframe.application.training_set import training_set
from leverframe.documents import parsed
from leverframe.domain import layout
from leverframe.domain.features.training_set import LabelKind
from leverframe.domain.model.distributed import CLASSES, SAMPLE
from leverframe.domain.model.table import model_inputs
from leverframe.domain.model.train import ModelDescription
from leverframe.errors import DefinitionError, EstimatorError, LabelError, SourceError
from leverframe.settings.params import TrainSettings
from tests.integration import own_case
from tests.integration.needs_spark import NEEDS_SPARK
from tests.integration.small_case import FEATURES, REPOSITORY, SmallCase, make
from tests.integration.spark_case import (
    BOOSTING,
    HERE,
    MEASURED,
    WITHOUT_SPARK,
    opened,
    predictions,
    settings_of,
    train,
)
from tests.profiles import by_day

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = NEEDS_SPARK
pytest.importorskip("xgboost", reason="XGBoost is not installed")

CLASSIFIER, REGRESSOR = "xgboost.spark:SparkXGBClassifier", "xgboost.spark:SparkXGBRegressor"
LOGISTIC = "pyspark.ml.classification:LogisticRegression"
GUIDE = REPOSITORY / "docs/guides/engines.md"
night = pytest.mark.deep


@pytest.fixture(scope="module", autouse=True)
def quickly_compiled() -> Iterator[None]:
    """Let Java compile fast and optimise little: what runs for seconds does not earn more."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("SPARK_SUBMIT_OPTS", "SPARK_LAUNCHER_OPTS"):
            patch.setenv(name, "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:MetaspaceSize=256m")
        yield


@pytest.fixture(scope="module")
def running() -> Iterator[SparkSession]:
    """Give a session that serves all tests: a start takes seconds."""
    with opened() as session:
        yield session


def apart(case: SmallCase, other: SmallCase) -> float:
    """Return how far the models of two cases are from each other on the hold-out of the first."""
    ours, theirs = predictions(case), predictions(other)
    assert ours.shape == theirs.shape
    return float(np.abs(ours - theirs).max())


@pytest.mark.parametrize("kind", by_day(["binary", "multiclass", "regression"], "binary"))
def test_a_linear_model_is_that_of_one_machine(kind: LabelKind, running: SparkSession, tmp_path: Path) -> None:
    """Both minimise the same loss, without a penalty, so that only the last digits of the search are apart."""
    case, alone = make(tmp_path / "spark", kind), make(tmp_path / "alone", kind)
    described = train(case.root, settings_of(f"{HERE}:linear"), running)
    alone.train(TrainSettings(estimator=f"{HERE}:on_one_machine"))
    assert apart(case, alone) < (1e-4 if kind != "regression" else 1e-8)
    assert parsed(ModelDescription, (case.root / layout.MODEL_DESCRIPTION).read_bytes()) == described
    assert (described.rows, described.versions.keys() >= {"pyspark", "scikit-learn"}) == (900, True)
    assert (
        described.classes == {"binary": ("0", "1"), "multiclass": ("early", "late", "on time"), "regression": ()}[kind]
    )
    models, table = SklearnModels(REPOSITORY), case.table(layout.HOLDOUT)
    model = models.load((case.root / layout.MODEL).read_bytes())
    assert model.predict(_inputs(table)).shape == (900,)


def _inputs(table: pl.DataFrame) -> pl.DataFrame:
    return table.select("gate", "wind", pl.col("night").cast(float)).with_columns(
        pl.col("wind", "night").fill_null(np.nan)
    )


@pytest.mark.parametrize(
    ("kind", "workers"),
    by_day([("binary", 1), ("binary", 2), ("multiclass", 1), ("regression", 2)], ("binary", 1)),
)
def test_boosted_trees_are_those_of_one_machine(
    kind: LabelKind, workers: int, running: SparkSession, tmp_path: Path
) -> None:
    """One worker grows the same trees; several choose where a number may split by sketches of their parts."""
    case, alone = make(tmp_path / "spark", kind), make(tmp_path / "alone", kind)
    estimator = REGRESSOR if kind == "regression" else CLASSIFIER
    described = train(case.root, settings_of(estimator, num_workers=workers, **BOOSTING), running)
    if kind == "multiclass":  # on one machine, XGBoost itself takes no texts for classes
        numbers = pl.col("label").replace_strict({"early": 0, "late": 1, "on time": 2})
        alone.replace(layout.TRAIN, label=numbers)
    alone.train(TrainSettings(estimator=f"{HERE}:boosted_on_one_machine"))
    assert "xgboost" in described.versions
    if workers == 1:
        assert apart(case, alone) < (1e-6 if kind != "regression" else 1e-4)
    else:
        ours, theirs = case.evaluate().metrics, alone.evaluate().metrics
        assert ours["auc" if kind == "binary" else "r2"] == pytest.approx(
            theirs["auc" if kind == "binary" else "r2"], abs=0.01
        )


@pytest.mark.parametrize(
    ("kind", "estimator", "params"),
    [
        pytest.param("binary", "classification:GBTClassifier", {"maxIter": 3, "seed": 1}, marks=night),
        pytest.param("regression", "regression:GBTRegressor", {"maxIter": 3}, marks=night),
        pytest.param("regression", "regression:RandomForestRegressor", {"numTrees": 4, "seed": 1}, marks=night),
        pytest.param("regression", "regression:DecisionTreeRegressor", {"maxDepth": 3}, marks=night),
    ],
)
def test_trees_convert_to_onnx(
    kind: LabelKind, estimator: str, params: dict[str, Any], running: SparkSession, tmp_path: Path
) -> None:
    """The exported trees are those of Spark, as each training verifies, and the converter knows them."""
    case = make(tmp_path, kind)
    train(case.root, settings_of(f"pyspark.ml.{estimator}", **params), running)
    model = SklearnModels(REPOSITORY).load((case.root / layout.MODEL).read_bytes())
    inputs: Any = model_inputs(case.table(layout.HOLDOUT), FEATURES, file=layout.HOLDOUT)
    columns: dict[str, Any] = {name: inputs[name].to_numpy() for name in ("gate", "wind", "night")}
    outputs = OnnxModel(converted(model, FEATURES)).predict(columns)
    assert np.abs(outputs - predictions(case)).max() < (1e-6 if kind == "binary" else 1e-5)
    assert case.evaluate().metrics["auc" if kind == "binary" else "r2"] > (0.8 if kind == "binary" else 0.4)


@night
@pytest.mark.parametrize(
    ("estimator", "params"),
    [
        (f"{HERE}:linear", {}),
        (LOGISTIC, {"regParam": 0.01}),
        (CLASSIFIER, {"num_workers": 2, **BOOSTING}),
    ],
)
def test_the_same_twice_is_the_same_bytes(
    estimator: str, params: dict[str, Any], running: SparkSession, tmp_path: Path
) -> None:
    """The same rows at the same settings: the digest in the lock does not change."""
    cases = [make(tmp_path / name, "binary") for name in ("one", "two")]
    one, two = (train(case.root, settings_of(estimator, **params), running).md5 for case in cases)
    assert one == two


def test_rows_are_not_fetched(running: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Python gets of a table of many rows is a sample for the comparison, and figures."""
    fetched: list[int] = []
    frames = type(running.range(1))
    for name in ("collect", "toArrow", "toPandas", "take", "head", "first"):
        method = getattr(frames, name)

        def counted(*given: Any, method: Any = method, **more: Any) -> Any:
            result = method(*given, **more)
            fetched.append(len(result) if hasattr(result, "__len__") else 1)
            return result

        monkeypatch.setattr(frames, name, counted)
    monkeypatch.setattr(frames, "toLocalIterator", None)
    case = make(tmp_path, "binary", rows=12_000)
    monkeypatch.setattr(PolarsTables, "read", None)  # nor does this process read the file itself
    (code,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "guide_of_spark.py").write_text(code, encoding="utf-8")
    train(case.root, settings_of("guide_of_spark:estimator", penalty=0.1), running)
    assert SAMPLE <= max(fetched) <= 1.5 * SAMPLE
    assert sum(fetched) < 2 * SAMPLE


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        ("pyspark.ml.feature:Tokenizer", "gives Tokenizer, which is no estimator of Spark"),
        ("sklearn.linear_model:LogisticRegression", "gives LogisticRegression, which is no estimator of Spark"),
        (f"{HERE}:lost", "Pipeline cannot learn from these data on Spark"),
        (f"{HERE}:tree", "`DecisionTreeClassificationModel` cannot be exported"),
        pytest.param(f"{HERE}:strict", "`StringIndexer` cannot be exported", marks=night),
        pytest.param(f"{HERE}:binned", "`Binarizer` cannot be exported", marks=night),
        pytest.param(f"{HERE}:by_sets", "splits by a set of texts", marks=night),
    ],
)
def test_what_cannot_be_trained_or_exported_is_named(
    estimator: str, message: str, running: SparkSession, tmp_path: Path
) -> None:
    """With the way on, and nothing is written."""
    case = make(tmp_path, "regression" if estimator.endswith(":by_sets") else "binary")
    with pytest.raises(EstimatorError, match=message) as caught:
        train(case.root, settings_of(estimator), running)
    assert caught.value.next
    assert not (case.root / layout.MODEL).exists()


def test_an_unknown_parameter_is_named(running: SparkSession, tmp_path: Path) -> None:
    """As for an estimator of one machine, with the nearest one."""
    with pytest.raises(DefinitionError, match="takes no parameter `regparam`") as caught:
        train(make(tmp_path, "binary").root, settings_of(LOGISTIC, regparam=1), running)
    assert "`regParam`" in caught.value.next


@pytest.mark.parametrize(
    ("kind", "column", "values", "message"),
    [
        ("binary", "label", [1] * 900, "all 1 training labels are 1|all 900 training labels are 1"),
        ("binary", "label", [2, 1] * 450, "its values are not 0 and 1"),
        ("binary", "label", [None, *([1] * 899)], "1 of 900 labels are missing"),
        ("multiclass", "label", [str(label) for label in range(900)] * 2, ""),
        ("regression", "label", [float("nan"), *([1.0] * 899)], "its values are not finite numbers"),
        ("regression", "label", [float("inf"), *([1.0] * 899)], "its values are not finite numbers"),
        ("regression", "label", ["a", "b"] * 450, "its values are not finite numbers"),
    ],
)
def test_labels_that_cannot_be_learnt_are_refused(
    kind: LabelKind, column: str, values: list[Any], message: str, running: SparkSession, tmp_path: Path
) -> None:
    """In the words of one machine, before anything is trained."""
    case = make(tmp_path, kind)
    if kind == "multiclass":
        wide = pl.concat([case.table(layout.TRAIN)] * 2)
        wide.with_columns(label=pl.Series([str(label) for label in range(1800)])).write_parquet(tmp_path / layout.TRAIN)
        message = f"more than {CLASSES:,} values"
    else:
        case.replace(layout.TRAIN, **{column: pl.Series(values)})
    with pytest.raises(LabelError, match=message):
        train(case.root, settings_of(LOGISTIC), running)


def test_files_that_do_not_fit_are_refused(running: SparkSession, tmp_path: Path) -> None:
    """One that is missing, of other columns or types, or damaged."""
    case, settings = make(tmp_path, "binary"), settings_of(LOGISTIC, maxIter=1)
    whole = (tmp_path / layout.TRAIN).read_bytes()
    for change, message in (
        ({"wind": None}, "has no column `wind`"),
        ({"wind": pl.lit("x")}, "`wind` is numeric, its column"),
    ):
        case.replace(layout.TRAIN, **change)
        with pytest.raises(SourceError, match=message):
            train(case.root, settings, running)
        (tmp_path / layout.TRAIN).write_bytes(whole)
    (tmp_path / layout.TRAIN).write_bytes(whole[:2000] + bytes(3000) + whole[5000:])
    with pytest.raises(SourceError, match="cannot read"):
        train(case.root, settings, running)
    (tmp_path / layout.TRAIN).unlink()
    with pytest.raises(SourceError, match="cannot read"):
        train(case.root, settings, running)


@pytest.mark.parametrize("name", ["features", "prediction", "a.b", "a`b"])
def test_a_name_that_spark_cannot_read_is_refused(name: str, running: SparkSession, tmp_path: Path) -> None:
    """With what to call it."""
    case = make(tmp_path, "binary")
    text = (tmp_path / layout.LEARNING_SET).read_text(encoding="utf-8")
    (tmp_path / layout.LEARNING_SET).write_text(text.replace('"wind"', json.dumps(name)), encoding="utf-8")
    with pytest.raises(DefinitionError, match="cannot read a feature called"):
        train(case.root, settings_of(LOGISTIC), running)


def test_an_estimator_without_probabilities_is_refused_for_classes(running: SparkSession, tmp_path: Path) -> None:
    case = make(tmp_path, "binary")
    with pytest.raises(EstimatorError, match="no estimator for the label") as caught:
        train(case.root, settings_of("pyspark.ml.regression:LinearRegression", maxIter=1), running)
    assert "a binary label is judged by probabilities" in caught.value.why


@night
@pytest.mark.parametrize(("master", "why"), [("local[0]", "with 0 threads"), ("local[x]", "Could not parse Master")])
def test_a_master_that_java_refuses_is_said(master: str, why: str) -> None:
    """In a process of its own: another session must not run there."""
    program = (
        "import sys\nfrom leverframe.adapters.spark.session import session\n"
        "from leverframe.errors import PipelineError\n"
        "try:\n    session(sys.argv[1], '512m').__enter__()\nexcept PipelineError as error:\n    print(error.why)"
    )
    ended = subprocess.run([sys.executable, "-c", program, master], capture_output=True, text=True, check=True)
    assert why in ended.stdout


@pytest.mark.parametrize("estimator", [CLASSIFIER, LOGISTIC, f"{HERE}:tree", f"{HERE}:linear"])
def test_one_machine_refuses_an_estimator_of_spark(estimator: str, tmp_path: Path) -> None:
    """Whether a class is named or a function gives one, with Spark running or not."""
    with pytest.raises(EstimatorError, match="trains on Spark") as caught:
        make(tmp_path, "binary").train(TrainSettings(estimator=estimator))
    assert "`train.engine: spark`" in caught.value.next


@night
@pytest.mark.parametrize(
    ("estimator", "params", "engine"),
    [(LOGISTIC, {"maxIter": 20}, "onnx"), (CLASSIFIER, BOOSTING, "skops")],
)
def test_a_model_of_spark_is_bundled_and_served_without_it(
    estimator: str, params: dict[str, Any], engine: str, running: SparkSession, tmp_path: Path
) -> None:
    """A linear one by ONNX, boosted trees by XGBoost; golden rows are predicted where Spark cannot be imported."""
    files = own_case.files_of("your-own-case.md") | own_case.raw_files()
    place = own_case.place_of(tmp_path, files)
    own_case.built(place)
    snapshot(place, None, None, tmp_path / layout.SNAPSHOT, None, 0)
    training_set(place)
    train(tmp_path, settings_of(estimator, **params), running)
    assert 0.5 < evaluate(place).metrics["auc"] < 1
    assert bundle(place).manifest.engine == engine
    program = tmp_path / "served.py"
    program.write_text(WITHOUT_SPARK, encoding="utf-8")
    command = [sys.executable, str(program), str(tmp_path / layout.BUNDLE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    served, golden = done.stdout.split()
    assert (served, int(golden) > 60) == (engine, True)


def stage(place: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a stage as DVC would."""
    return subprocess.run(
        [sys.executable, "-m", "leverframe", *command], cwd=place, env=os.environ | environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


PARAMS = """
data: {{case: case, first: "2024-01", last: "2024-04", timezone: UTC}}
features:
  label: lateness
  select: ["*"]
  train: {{first: "2024-01", last: "2024-02"}}
  holdout: {{first: "2024-03", last: "2024-04"}}
train: {{engine: spark, spark: {{master: "local[2]", memory: 1g}}, estimator: "{estimator}"}}
"""


def on_spark(folder: Path, estimator: str = LOGISTIC) -> Path:
    """Return a small case whose settings train on Spark."""
    make(folder, "binary")
    (folder / "params.yaml").write_text(PARAMS.format(estimator=estimator), encoding="utf-8")
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    return folder


def test_without_java_the_stage_says_so(tmp_path: Path) -> None:
    """What is missing, why it is needed, and what to do instead."""
    done = stage(on_spark(tmp_path), "train", PATH=str(tmp_path), JAVA_HOME="")
    assert done.returncode == 18
    assert "no `java` is on PATH or under JAVA_HOME" in done.stderr
    assert "set `train.engine: sklearn`" in done.stderr
    assert "Traceback" not in done.stderr


@night
@pytest.mark.parametrize("estimator", [LOGISTIC, CLASSIFIER])
def test_the_stage_is_quiet_and_leaves_nothing_behind(estimator: str, tmp_path: Path) -> None:
    """No warning of Spark on the terminal, no folder of its own beside the data, no process."""
    before = {path.name for path in on_spark(tmp_path, estimator).iterdir()}
    done = stage(tmp_path, "train")
    assert (done.returncode, done.stderr.count("train:"), done.stderr.count("\n")) == (0, 3, 3), done.stderr
    assert {path.name for path in tmp_path.iterdir()} <= before | {"models", ".leverframe"}


@night
@pytest.mark.parametrize(("estimator", "params"), [(LOGISTIC, {"maxIter": 3}), (CLASSIFIER, {"n_estimators": 5})])
def test_memory_does_not_grow_with_the_rows(estimator: str, params: dict[str, int], tmp_path: Path) -> None:
    """Neither in Python nor as results in Java's driver, which may take less than a tenth of the rows."""
    program, peaks = tmp_path / "measured.py", []
    program.write_text(MEASURED, encoding="utf-8")
    environment = os.environ | {"PYSPARK_SUBMIT_ARGS": "--conf spark.driver.maxResultSize=2m pyspark-shell"}
    for rows in (30_000, 300_000):
        case = make(tmp_path / str(rows), "binary", rows=rows)
        command = [sys.executable, str(program), str(case.root), estimator, json.dumps(params)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, done.stderr
        count, peak = map(int, done.stdout.split()[-2:])
        assert count == rows
        peaks.append(peak)
    assert peaks[1] < 1.1 * peaks[0]
