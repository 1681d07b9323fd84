"""Evaluation end to end on small tables: every kind of label, every file, and what is refused."""

from __future__ import annotations

import csv
import json
import math
import warnings
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import polars as pl
import pytest
import sklearn.metrics as reference
from click.testing import CliRunner

from leverframe.cli import leverframe
from leverframe.domain import layout
from leverframe.domain.features.training_set import LabelKind
from leverframe.domain.model.evaluate.evaluation_summary import summary_lines
from leverframe.errors import DefinitionError, EstimatorError, LabelError, LeverframeError, SourceError
from leverframe.settings.params import TrainSettings
from tests.integration.small_case import HERE, TREES, SmallCase, make

HOSTILE = "a|b`c`<script>alert(1)</script>\n# [x](http://evil.example) @someone \x00 \u202e ]]> & \"'"


def evaluated(root: Path, kind: LabelKind, **changed: Any) -> tuple[SmallCase, dict[str, Any]]:
    """Make, train and evaluate a small case; warnings are errors."""
    case = make(root, kind)
    case.train()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return case, case.evaluate(**changed).metrics


def files(root: Path) -> dict[str, bytes]:
    """Return the content of every file that an evaluation writes."""
    written = [*root.glob("reports/**/*"), root / layout.PREDICTIONS]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in written if path.is_file()}


def rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file."""
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def test_a_binary_model_is_judged(tmp_path: Path) -> None:
    """Metrics are scikit-learn's of the predictions on disk, which keep the order of the hold-out."""
    case, metrics = evaluated(tmp_path, "binary")
    holdout, predicted = case.table(layout.HOLDOUT), case.table(layout.PREDICTIONS)
    assert predicted.columns == ["as_of", "label", "score", "gate", "month"]
    assert predicted.select("as_of", "label", "gate").equals(holdout.select("as_of", "label", "gate"))
    labels, scores = predicted["label"].to_numpy(), predicted["score"].to_numpy()
    assert metrics["auc"] == pytest.approx(reference.roc_auc_score(labels, scores), rel=1e-5)
    assert metrics["average_precision"] == pytest.approx(reference.average_precision_score(labels, scores), rel=1e-5)
    assert metrics["interval"]["auc"]["low"] < metrics["auc"] < metrics["interval"]["auc"]["high"]
    assert (metrics["rows"], metrics["days"]) == (900, 57)
    assert json.loads((tmp_path / layout.METRICS).read_text()) == metrics


def test_slices_are_judged_apart(tmp_path: Path) -> None:
    """Every value has its rows; small ones have nothing else; null is a slice of its own."""
    case, metrics = evaluated(tmp_path, "binary")
    gates = metrics["slices"]["gate"]
    assert set(gates) == {"A", "B", "C", "(missing)"}
    assert sum(gate["rows"] for gate in gates.values()) == 900
    predicted = case.table(layout.PREDICTIONS)
    of_gate = predicted.filter(pl.col("gate") == "B")
    expected = reference.roc_auc_score(of_gate["label"].to_numpy(), of_gate["score"].to_numpy())
    assert gates["B"]["auc"] == pytest.approx(expected, rel=1e-5)
    months = metrics["slices"]["month"]
    assert set(months) == {"2024-03", "2024-04"}
    assert set(case.evaluate(minimum_slice_rows=500).metrics["slices"]["gate"]["A"]) == {"rows"}
    assert case.evaluate(slices=[]).metrics["slices"] == {}


def test_a_month_is_that_of_the_time_zone(tmp_path: Path) -> None:
    """The last hour of March in UTC is April in Paris."""
    case, _ = evaluated(tmp_path, "binary")
    late = case.table(layout.PREDICTIONS).filter(pl.col("as_of").dt.strftime("%m-%d %H") == "03-31 22")
    assert set(late["month"]) == {"2024-04"}


def test_plots_have_the_form_that_dvc_reads(tmp_path: Path) -> None:
    """One header and numbers; curves of at most 500 points, ascending."""
    case, _ = evaluated(tmp_path, "binary", thresholds=[0.5, 0.2])
    folder = case.root / layout.PLOTS
    assert {path.stem for path in folder.iterdir()} == {
        "precision-recall",
        "roc",
        "calibration",
        "thresholds",
        "slices",
    }
    recalls = [float(row["recall"]) for row in rows(folder / "precision-recall.csv")]
    rates = [float(row["fpr"]) for row in rows(folder / "roc.csv")]
    for ascending in (recalls, rates):
        assert ascending == sorted(ascending)
        assert ascending[-1] == 1
        assert len(ascending) <= 500
    table = rows(folder / "thresholds.csv")
    assert [row["threshold"] for row in table] == ["0.2", "0.5"]
    for threshold in table:
        assert sum(int(threshold[name]) for name in ("tp", "fp", "tn", "fn")) == 900
        assert float(threshold["precision"]) == pytest.approx(
            int(threshold["tp"]) / (int(threshold["tp"]) + int(threshold["fp"])), rel=1e-4
        )
    assert sum(int(row["rows"]) for row in rows(folder / "calibration.csv")) == 900


def test_many_classes_are_judged(tmp_path: Path) -> None:
    """A probability a class, the prediction, a table of classes, and no curve of a single class."""
    case, metrics = evaluated(tmp_path, "multiclass")
    predicted = case.table(layout.PREDICTIONS)
    names = ["probability_early", "probability_late", "probability_on time"]
    assert predicted.columns == ["as_of", "label", "prediction", *names, "gate", "month"]
    labels, probabilities = predicted["label"].to_numpy(), predicted.select(names).to_numpy()
    assert metrics["accuracy"] == pytest.approx((predicted["prediction"] == predicted["label"]).mean(), rel=1e-5)
    expected = reference.roc_auc_score(labels, probabilities, multi_class="ovr")
    assert metrics["auc"] == pytest.approx(expected, rel=1e-5)
    assert {path.stem for path in (tmp_path / layout.PLOTS).iterdir()} == {"calibration", "slices", "classes"}
    assert [row["class"] for row in rows(tmp_path / layout.PLOTS / "classes.csv")] == ["early", "late", "on time"]


def test_a_class_that_training_did_not_have_counts_as_wrong(tmp_path: Path) -> None:
    """The card says so, and nothing fails."""
    case, before = evaluated(tmp_path, "multiclass")
    labels = case.table(layout.HOLDOUT).get_column("label").to_list()
    case.replace(layout.HOLDOUT, label=pl.Series(["lost"] * 9 + labels[9:]))
    after = case.evaluate().metrics
    assert after["accuracy"] < before["accuracy"]
    assert "Classes in the hold-out that the training set lacks: `lost`." in (tmp_path / layout.MODEL_CARD).read_text()


def test_numbers_are_judged(tmp_path: Path) -> None:
    """A regression has errors, bias and bins of its predictions."""
    case, metrics = evaluated(tmp_path, "regression")
    predicted = case.table(layout.PREDICTIONS)
    labels, predictions = predicted["label"].to_numpy(), predicted["prediction"].to_numpy()
    assert metrics["rmse"] == pytest.approx(reference.root_mean_squared_error(labels, predictions), rel=1e-5)
    assert metrics["median_ae"] == pytest.approx(reference.median_absolute_error(labels, predictions), rel=1e-5)
    assert {path.stem for path in (tmp_path / layout.PICTURES).iterdir()} == {"calibration", "slices"}


def test_files_of_another_kind_of_label_do_not_stay(tmp_path: Path) -> None:
    """What an evaluation does not write, an earlier one may not have left."""
    evaluated(tmp_path, "binary")
    evaluated(tmp_path, "regression")
    assert not (tmp_path / layout.PLOTS / "roc.csv").exists()
    assert not (tmp_path / layout.PICTURES / "precision-recall.svg").exists()


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_the_same_input_gives_the_same_files(tmp_path: Path, kind: LabelKind) -> None:
    """Byte for byte, so that DVC sees no change; and a terminal gets a summary of each kind."""
    case, metrics = evaluated(tmp_path, kind)
    first = files(tmp_path)
    case.evaluate()
    assert files(tmp_path) == first
    lines = summary_lines(metrics)
    assert lines[0] == "900 rows of 57 days"
    assert any("worst slices by" in line for line in lines)
    assert all(len(line) < 200 for line in lines)


def test_every_number_has_at_most_six_digits(tmp_path: Path) -> None:
    """So that the last digits of another processor change no file."""
    _, metrics = evaluated(tmp_path, "binary")

    def numbers(content: Any) -> list[float]:
        if isinstance(content, dict):
            return [number for value in content.values() for number in numbers(value)]
        return [] if content is None else [content]

    assert all(math.isfinite(number) and number == float(f"{number:.6g}") for number in numbers(metrics))


def test_one_class_in_the_holdout_leaves_ranking_undefined(tmp_path: Path) -> None:
    """Metrics that need both classes are null, in files, card and summary, without a warning."""
    case = make(tmp_path, "binary")
    case.train()
    case.replace(layout.HOLDOUT, label=pl.Series([0] * 900))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        metrics = case.evaluate().metrics
    assert metrics["auc"] is None
    assert metrics["interval"]["auc"] == {"low": None, "high": None}
    assert metrics["brier"] > 0
    assert metrics["slices"]["gate"]["A"]["auc"] is None
    assert not (tmp_path / layout.PLOTS / "roc.csv").exists()
    assert "Undefined on these rows: AUC, average precision." in (tmp_path / layout.MODEL_CARD).read_text()
    assert any("n/a" in line for line in summary_lines(metrics))


def test_few_days_have_no_interval(tmp_path: Path) -> None:
    """With fewer than eight days the figures stand without an interval."""
    case = make(tmp_path, "binary")
    case.train()
    case.table(layout.HOLDOUT).head(80).write_parquet(tmp_path / layout.HOLDOUT)
    metrics = case.evaluate().metrics
    assert metrics["days"] == 5
    assert metrics["interval"]["brier"] == {"low": None, "high": None}
    assert "fewer than 14 days" in (tmp_path / layout.MODEL_CARD).read_text()


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    """A slice value may be anything: tables keep their columns, pictures stay XML, nothing becomes markup."""
    case = make(tmp_path, "binary", gates=(HOSTILE, "", "$(x)"))
    case.train()
    case.evaluate()
    card = (tmp_path / layout.MODEL_CARD).read_text(encoding="utf-8")
    (line,) = [line for line in card.splitlines() if "script" in line and line.startswith("|")]
    assert line.replace("\\|", "").count("|") == 5
    assert "``gate = a\\|b`c`<script>" in line
    assert "\x00" not in card
    assert "\u202e" not in card
    for picture in (tmp_path / layout.PICTURES).iterdir():
        text = picture.read_text(encoding="utf-8")
        ET.fromstring(text)  # noqa: S314 - our own file
        assert "<script" not in text
        assert len(text) < 20_000
    assert [row["slice"] for row in rows(tmp_path / layout.PLOTS / "slices.csv")].count(f"gate = {HOSTILE}") == 1


@pytest.mark.parametrize(
    ("changed", "error", "words"),
    [
        ({"wind": None, "winds": pl.Series(np.zeros(900))}, SourceError, "did you mean `winds`"),
        ({"wind": pl.Series(["calm"] * 900)}, SourceError, "`wind` is numeric"),
        ({"label": pl.Series([None] * 900, dtype=pl.Int64)}, LabelError, "every label is missing"),
        ({"label": pl.Series(["late"] * 900)}, LabelError, "not 0 and 1"),
        ({"as_of": None}, SourceError, "no column `as_of`"),
        ({"gate": None, "gates": pl.Series(["A"] * 900)}, SourceError, "did you mean `gates`"),
    ],
)
def test_a_holdout_that_does_not_fit_is_named(
    tmp_path: Path, changed: dict[str, Any], error: type[LeverframeError], words: str
) -> None:
    """One clear error, and the files of the last evaluation are untouched."""
    case, _ = evaluated(tmp_path, "binary")
    before = files(tmp_path)
    case.replace(layout.HOLDOUT, **changed)
    with pytest.raises(error) as caught:
        case.evaluate()
    assert words in caught.value.render()
    assert files(tmp_path) == before


def test_a_slice_that_cannot_be_is_named(tmp_path: Path) -> None:
    """A column that is not there, one that is no slice, and one of too many values."""
    case, _ = evaluated(tmp_path, "binary")
    with pytest.raises(DefinitionError) as caught:
        case.evaluate(slices=["terminals"])
    assert "did you mean `terminal`" in caught.value.next
    with pytest.raises(DefinitionError, match="`label`"):
        case.evaluate(slices=["label"])
    case.replace(layout.HOLDOUT, score=case.table(layout.HOLDOUT)["terminal"])
    with pytest.raises(DefinitionError, match=r"`score` in evaluate\.slices is not a column to slice by") as caught:
        case.evaluate(slices=["score"])
    assert "predictions.parquet has a column of its own under that name" in caught.value.why
    assert "rename `score`" in caught.value.next
    with pytest.raises(DefinitionError, match="values"):
        case.evaluate(slices=["wind"])
    assert set(case.evaluate(slices=["terminal"]).metrics["slices"]["terminal"]) == {"T0", "T1"}


def test_scores_that_are_no_probabilities_are_refused(tmp_path: Path) -> None:
    """NaN from a model is an error of the model, not a figure."""
    case = make(tmp_path, "binary")
    case.train(TrainSettings(estimator=f"{HERE}:Nan"))
    with pytest.raises(EstimatorError) as caught:
        case.evaluate()
    assert "1 of 900 predictions are no probabilities" in caught.value.what


def test_a_model_of_other_data_is_refused(tmp_path: Path) -> None:
    """Another definition, another file, or none."""
    case, _ = evaluated(tmp_path, "binary")
    described = json.loads((tmp_path / layout.MODEL_DESCRIPTION).read_text())
    (tmp_path / layout.MODEL_DESCRIPTION).write_text(json.dumps({**described, "md5": "0"}))
    with pytest.raises(EstimatorError, match="is not the model"):
        case.evaluate()
    (tmp_path / layout.MODEL_DESCRIPTION).write_text(json.dumps({**described, "spec": "0"}))
    with pytest.raises(EstimatorError, match="another training set"):
        case.evaluate()
    (tmp_path / layout.MODEL_DESCRIPTION).write_text(json.dumps(described))
    (tmp_path / layout.MODEL).unlink()
    with pytest.raises(SourceError, match="cannot read models"):
        case.evaluate()


def test_the_commands_train_and_judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an option, in the root of a repository; `--json` prints what the files hold."""
    make(tmp_path, "binary")
    months = {name: {"first": first, "last": last} for name, first, last in (
        ("train", "2024-01", "2024-02"), ("holdout", "2024-03", "2024-04"))}  # fmt: skip
    settings = {
        "data": {"case": "pipelines.flights", "first": "2024-01", "last": "2024-04", "timezone": "Europe/Paris"},
        "features": {"label": "lateness", "select": ["*"], **months},
        "train": {"estimator": TREES.estimator, "params": TREES.params},
        "evaluate": {"slices": ["gate", "month"]},
    }
    (tmp_path / "params.yaml").write_text(json.dumps(settings))  # JSON is YAML
    monkeypatch.chdir(tmp_path)
    for command, shown, path in (("train", "md5", layout.MODEL_DESCRIPTION), ("evaluate", "AUC", layout.METRICS)):
        plain = CliRunner().invoke(leverframe, [command], catch_exceptions=False)
        assert plain.exit_code == 0
        assert shown in plain.stdout
        as_json = CliRunner().invoke(leverframe, [command, "--json"], catch_exceptions=False)
        assert json.loads(as_json.stdout) == json.loads(path.read_text())


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_the_commands_say_what_they_do(command: str) -> None:
    """Help carries an example, and no option is needed."""
    result = CliRunner().invoke(leverframe, [command, "--help"])
    assert result.exit_code == 0
    assert f"leverframe {command}" in result.output
    assert "required" not in result.output
