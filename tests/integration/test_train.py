"""Training end to end on small tables: every kind of label, reproducible files, and what is refused."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import skops.io
import threadpoolctl
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer

from leverframe.adapters.sklearn import SklearnModels
from leverframe.adapters.sklearn.preparing import CATEGORIES
from leverframe.adapters.sklearn.storing import canonical, dumped, opened
from leverframe.adapters.sklearn.tree_bounds import sound
from leverframe.documents import parsed
from leverframe.domain import layout
from leverframe.domain.features.training_set import Label, LabelKind
from leverframe.domain.model.train import ModelDescription, Recipe
from leverframe.errors import DefinitionError, EstimatorError, LabelError, LeverframeError, SourceError
from leverframe.settings.params import TrainSettings
from tests.integration.small_case import FEATURES, HERE, REPOSITORY, TRUSTED, make

MODELS = SklearnModels(REPOSITORY, TRUSTED)


def recipe(estimator: str, *, kind: LabelKind = "binary", **params: Any) -> Recipe:
    """Return a recipe over the features of the small case."""
    return Recipe(estimator, params, FEATURES, Label("lateness", kind))


@pytest.mark.parametrize(
    ("kind", "estimator", "params"),
    [
        ("binary", "sklearn.linear_model:LogisticRegression", {"C": 0.5}),
        ("multiclass", "sklearn.linear_model:LogisticRegression", {}),
        ("regression", "sklearn.linear_model:Ridge", {}),
        ("binary", "sklearn.ensemble:RandomForestClassifier", {"n_estimators": 9, "random_state": 0}),
        ("regression", "sklearn.ensemble:HistGradientBoostingRegressor", {"min_samples_leaf": 5}),
        ("binary", "sklearn.neighbors:KNeighborsClassifier", {}),
    ],
)
def test_a_class_of_a_library_learns_from_texts_and_gaps(
    tmp_path: Path, kind: LabelKind, estimator: str, params: dict[str, Any]
) -> None:
    """It stands behind a preparation of the features, which the hold-out goes through as well."""
    case = make(tmp_path, kind, gates=("A", "B", "C", None, *(f"X{number}" for number in range(60))))
    case.train(TrainSettings(estimator=estimator, params=params))
    metrics = case.evaluate(slices=[]).metrics
    assert metrics["auc"] > 0.7 if kind != "regression" else metrics["r2"] > 0.2
    model = MODELS.load((tmp_path / layout.MODEL).read_bytes())
    columns = model.named_steps["columns"].get_feature_names_out()
    assert sum(str(name).startswith("gate_") for name in columns) == CATEGORIES
    assert {"wind", "night"} <= set(columns)


def test_a_class_of_the_case_gets_the_features_as_they_are(tmp_path: Path) -> None:
    """What it cannot take is named, with the columns and the way on."""
    case = make(tmp_path, "binary")
    with pytest.raises(EstimatorError) as caught:
        case.train(TrainSettings(estimator=f"{HERE}:Own"))
    assert "texts in `gate` and missing values in `gate`, `wind`, `night`" in caught.value.why
    assert "encode texts and fill gaps" in caught.value.next


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_every_kind_of_label_is_learnt(tmp_path: Path, kind: LabelKind) -> None:
    """The description on disk is the one returned, and the model opens and answers."""
    case = make(tmp_path, kind)
    described = case.train()
    assert parsed(ModelDescription, (tmp_path / layout.MODEL_DESCRIPTION).read_bytes()) == described
    assert (described.rows, described.first, described.spec) == (900, "2024-01", "0123456789abcdef")
    classes = {"binary": ("0", "1"), "multiclass": ("early", "late", "on time"), "regression": ()}
    assert described.classes == classes[kind]
    assert described.types == ("sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",)
    MODELS.load((tmp_path / layout.MODEL).read_bytes())


def test_integer_classes_are_learnt(tmp_path: Path) -> None:
    """Classes may be integers; the description writes them as text."""
    case = make(tmp_path, "multiclass")
    names = case.table(layout.TRAIN).get_column("label")
    numbers = {"early": 3, "on time": 1, "late": 2}
    case.replace(layout.TRAIN, label=pl.Series([numbers[name] for name in names]))
    assert case.train().classes == ("1", "2", "3")


@pytest.mark.parametrize(
    ("estimator", "params"),
    [
        (f"{HERE}:logistic", {"strength": 0.5}),
        (f"{HERE}:forest", {"trees": 5}),
        ("sklearn.dummy:DummyClassifier", {"strategy": "prior"}),
    ],
)
def test_any_estimator_of_scikit_learn_works(tmp_path: Path, estimator: str, params: dict[str, Any]) -> None:
    """A function or a class, trees or not, from the case or from the library."""
    case = make(tmp_path, "binary")
    case.train(TrainSettings(estimator=estimator, params=params))
    assert 0 < case.evaluate().metrics["mean_score"] < 1


def test_a_regressor_learns_numbers(tmp_path: Path) -> None:
    """A regression takes any regressor."""
    case = make(tmp_path, "regression")
    case.train(TrainSettings(estimator=f"{HERE}:regressor"))
    assert case.evaluate().metrics["r2"] > 0


@pytest.mark.deep
def test_two_processes_write_the_same_bytes(tmp_path: Path) -> None:
    """Neither hash seed, nor thread variables, nor another run change the model file."""
    make(tmp_path, "binary")
    script = (
        "import sys; from pathlib import Path; from tests.integration.small_case import HERE, TREES, SmallCase\n"
        "from leverframe.settings.params import TrainSettings\n"
        "case, forest = SmallCase(Path(sys.argv[1])), TrainSettings(estimator=f'{HERE}:forest', params={'trees': 9})\n"
        "print(case.train(forest).md5, case.train(TREES).md5)"
    )
    outputs = set()
    for seed, threads in (("1", "1"), ("2", "2")):
        environment = {
            **os.environ,
            "PYTHONHASHSEED": seed,
            "OMP_NUM_THREADS": threads,
            "OPENBLAS_NUM_THREADS": threads,
        }
        command = [sys.executable, "-c", script, str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=REPOSITORY, env=environment)
        outputs.add(
            (done.stdout, (tmp_path / layout.MODEL).read_bytes(), (tmp_path / layout.MODEL_DESCRIPTION).read_bytes())
        )
    assert len(outputs) == 1


def test_a_canonical_file_opens_and_answers_as_before() -> None:
    """Renaming what is inside changes no answer, and making it canonical twice changes nothing."""
    draw = np.random.default_rng(0)
    inputs, labels = draw.random((300, 3)), draw.integers(0, 2, 300)
    for estimator in (HistGradientBoostingClassifier(max_iter=5), RandomForestClassifier(5)):
        fitted = estimator.fit(inputs, labels)
        data = dumped(fitted)
        assert canonical(data) == data
        again = opened(data)
        assert dumped(again) == data
        np.testing.assert_array_equal(again.predict_proba(inputs), fitted.predict_proba(inputs))


def test_a_set_is_stored_in_one_order() -> None:
    """A set of texts, whose order depends on the process, is sorted."""
    words = {f"word{number}" for number in range(50)}
    data = dumped(CountVectorizer(stop_words=words))
    assert data.index(b"word0") < data.index(b"word10") < data.index(b"word49")
    assert opened(data).stop_words == words


def test_dates_and_addresses_are_gone() -> None:
    """Every member has the same date and a name by its order."""
    with zipfile.ZipFile(io.BytesIO(dumped(RandomForestClassifier(2).fit([[0.0], [1.0]], [0, 1])))) as archive:
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        names = archive.namelist()
    assert names == [f"{index + 1:05d}.npy" for index in range(len(names) - 1)] + ["schema.json"]


def test_threads_are_those_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside the block the environment does not count; afterwards it is what it was."""
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    with MODELS.threads(1):
        assert {pool["num_threads"] for pool in threadpoolctl.threadpool_info()} == {1}
        assert os.environ["OMP_NUM_THREADS"] == "1"
    assert os.environ["OMP_NUM_THREADS"] == "7"


@pytest.mark.parametrize(
    ("estimator", "params", "error", "words"),
    [
        ("pipelines.flights.modle:estimator", {}, DefinitionError, "did you mean `pipelines.flights.model`"),
        ("pipelines.flights.model:estimate", {}, DefinitionError, "did you mean `estimator`"),
        (
            "nowhere_at_all:x",
            {},
            DefinitionError,
            "install the package that has `nowhere_at_all` into this environment",
        ),
        ("pipelines.flight.model:estimator", {}, DefinitionError, "did you mean `pipelines.flights`"),
        ("numpy:array", {}, DefinitionError, "does not say which parameters it takes"),
        ("pipelines.flights.model:UNSEEN", {}, DefinitionError, "neither a class nor a function"),
        ("pipelines.flights.model:estimator", {"iteration": 3}, DefinitionError, "did you mean `iterations`"),
        (
            "pipelines.flights.model:estimator",
            {"iterations": 3},
            DefinitionError,
            "needs the parameter `learning_rate`",
        ),
        ("sklearn.ensemble:RandomForestClassifier", {"trees": 3}, DefinitionError, "takes no parameter `trees`"),
        (f"{HERE}:no_estimator", {}, EstimatorError, "has no `fit`"),
        (f"{HERE}:regressor", {}, EstimatorError, "has no `predict_proba`"),
        (f"{HERE}:by_lambda", {}, EstimatorError, "cannot be stored"),
    ],
)
def test_an_estimator_that_cannot_be_is_named(
    estimator: str, params: dict[str, Any], error: type[LeverframeError], words: str
) -> None:
    """Before any data are read: what is wrong, and the nearest right name."""
    with pytest.raises(error) as caught:
        MODELS.build(recipe(estimator, **params))
    assert words in caught.value.render()


def test_a_module_that_fails_is_told_apart_from_one_that_is_missing(tmp_path: Path) -> None:
    """The error of the module itself is shown, and the root of the repository is importable."""
    (tmp_path / "broken_module_of_a_case.py").write_text("import nothing_of_this_name\n")
    with pytest.raises(DefinitionError) as caught:
        SklearnModels(tmp_path).build(recipe("broken_module_of_a_case:estimator"))
    assert "cannot be imported" in caught.value.what
    assert "nothing_of_this_name" in caught.value.why


def test_a_fit_that_fails_says_why(tmp_path: Path) -> None:
    """The library's own reason reaches the person."""
    case = make(tmp_path, "binary")
    with pytest.raises(EstimatorError) as caught:
        case.train(TrainSettings(estimator=f"{HERE}:logistic", params={"strength": -1.0}))
    assert "'C' parameter" in caught.value.why
    assert "it was given" not in caught.value.why
    assert caught.value.next.startswith("fix `train.params`")
    assert not (tmp_path / layout.MODEL).exists()


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (pl.Series([None] * 900, dtype=pl.Int64), "every label is missing"),
        (pl.Series([1] * 899 + [None]), "1 labels are missing"),
        (pl.Series([1] * 900), "all 900 training labels are 1"),
        (pl.Series([0, 1, 2] * 300), "its values are not 0 and 1"),
        (pl.Series(["yes", "no"] * 450), "found yes, no"),
    ],
)
def test_labels_that_teach_nothing_are_refused(tmp_path: Path, labels: pl.Series, words: str) -> None:
    """Nothing is written for labels that do not fit."""
    case = make(tmp_path, "binary")
    case.replace(layout.TRAIN, label=labels)
    with pytest.raises(LabelError) as caught:
        case.train()
    assert words in caught.value.render()
    assert not (tmp_path / layout.MODEL).exists()


def test_no_rows_are_refused(tmp_path: Path) -> None:
    """An empty table has no label to learn."""
    case = make(tmp_path, "binary")
    case.table(layout.TRAIN).head(0).write_parquet(tmp_path / layout.TRAIN)
    with pytest.raises(LabelError, match="no rows"):
        case.train()


def test_a_missing_feature_names_the_nearest_column(tmp_path: Path) -> None:
    """The file and the description do not agree."""
    case = make(tmp_path, "binary")
    case.replace(layout.TRAIN, wind=None, winds=pl.Series(np.zeros(900)))
    with pytest.raises(SourceError) as caught:
        case.train()
    assert "`wind`" in caught.value.what
    assert "did you mean `winds`" in caught.value.why


def test_a_description_of_another_form_is_named(tmp_path: Path) -> None:
    """A damaged or foreign description is a source error, never a traceback."""
    case = make(tmp_path, "binary")
    for text in ("{}", "[1]", "<<<<<<< HEAD", ""):
        (tmp_path / layout.LEARNING_SET).write_text(text)
        with pytest.raises(SourceError, match=r"learning-set\.json"):
            case.train()
    (tmp_path / layout.LEARNING_SET).unlink()
    with pytest.raises(SourceError, match="cannot read"):
        case.train()


def test_a_damaged_model_file_is_refused(tmp_path: Path) -> None:
    """Truncated anywhere, empty, or something else altogether."""
    make(tmp_path, "binary").train()
    data = (tmp_path / layout.MODEL).read_bytes()
    for damaged in (b"", b"no archive", data[:-1], data[: len(data) // 2], data[100:]):
        with pytest.raises(EstimatorError, match="cannot be read"):
            MODELS.load(damaged)


def test_a_foreign_type_is_named_and_not_opened() -> None:
    """A type that neither scikit-learn's list nor the case declares is refused; one it declares is not."""
    data = bytes(skops.io.dumps(io.TextIOWrapper))
    with pytest.raises(EstimatorError) as caught:
        MODELS.load(data)
    assert "TextIOWrapper" in caught.value.what
    assert "_io.TextIOWrapper]` under `train` in params.yaml" in caught.value.next


def test_a_tree_that_points_outside_of_itself_is_refused() -> None:
    """A crafted file of trusted types could otherwise end the process at its first prediction."""
    fitted = HistGradientBoostingClassifier(max_iter=1).fit(np.arange(200.0)[:, None], [0, 1] * 100)
    assert sound(fitted)
    for field, value in (("left", 10_000_000), ("left", 0), ("feature_idx", 5), ("is_categorical", 1)):
        fitted = HistGradientBoostingClassifier(max_iter=1, min_samples_leaf=5).fit(
            np.arange(200.0)[:, None], [0] * 100 + [1] * 100
        )
        fitted._predictors[0][0].nodes[field][0] = value
        assert not sound(fitted)
    forest = RandomForestClassifier(1, random_state=0).fit([[0.0], [1.0]] * 5, [0, 1] * 5)
    forest.estimators_[0].tree_.children_left[0] = 99
    assert not sound(forest)
