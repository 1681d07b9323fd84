"""The model card as a whole file, names that try to be markup, and the summary for a terminal."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from leverframe.domain.features.training_set import Feature, Label, Split, TrainingSet
from leverframe.domain.model.evaluate.evaluation_summary import summary_lines
from leverframe.domain.model.evaluate.holdout import Holdout
from leverframe.domain.model.evaluate.model_card import Subject, card, code
from leverframe.domain.model.evaluate.scores import scored, slice_lines, threshold_table
from leverframe.domain.model.train import ModelDescription
from leverframe.settings.params import EvaluateSettings

GOLDEN = Path(__file__).parents[1] / "golden/evaluate"
SETTINGS = EvaluateSettings(slices=["gate"], minimum_slice_rows=20, thresholds=[0.25, 0.5])


def holdout() -> Holdout:
    """Return 120 rows of 20 days that need no random number."""
    rows = np.arange(120)
    scores = (rows * 37 % 101) / 101
    labels = ((rows * 37 % 101) + (rows * 17 % 29) > 75).astype(float)
    gates = np.array(["A", "B", "C|`x`"])[np.minimum(rows // 55, 2)]
    return Holdout("binary", ("0", "1"), labels, scores, rows // 6, {"gate": gates})


def subject() -> Subject:
    """Return a model and its training set."""
    label = Label("lateness", "binary")
    features = (Feature("gate", "categorical"), Feature("wind", "numeric"), Feature("night", "boolean"))
    model = ModelDescription(
        label=label,
        features=features,
        spec="0123456789abcdef",
        estimator="case.model:estimator",
        params={"iterations": 8, "grid": [1, 2]},
        rows=400,
        first="2024-01",
        last="2024-02",
        classes=("0", "1"),
        types=(),
        md5="d41d8cd98f00b204e9800998ecf8427e",
        versions={"python": "3.11", "scikit-learn": "1.9.1"},
    )
    training = TrainingSet(
        label, features, model.spec, Split("2024-01", "2024-02", 400, 3, 2), Split("2024-03", "2024-03", 120, 6, 0)
    )
    return Subject(model, training, SETTINGS, "Europe/Paris")


def test_the_card_is_as_it_was_read() -> None:
    """The whole file, so that every change is looked at."""
    rows = holdout()
    written = card(subject(), rows, scored(rows, SETTINGS), ["calibration", "slices"])
    assert written == (GOLDEN / "model-card.md").read_text(encoding="utf-8")


def test_the_card_says_that_the_hold_out_was_drawn() -> None:
    """Out of how many rows, and by which setting."""
    rows, known = holdout(), subject()
    drawn = replace(known.training, holdout=replace(known.training.holdout, of=9000))
    written = card(replace(known, training=drawn), rows, scored(rows, SETTINGS), [])
    assert "The hold-out is drawn by key: 120 of 9,000 rows (`features.holdout.rows`)." in written


def test_the_summary_is_as_it_was_read() -> None:
    """Metrics, intervals and the worst slices, line by line."""
    lines = summary_lines(scored(holdout(), SETTINGS).figures)
    assert "\n".join(lines) + "\n" == (GOLDEN / "summary.txt").read_text(encoding="utf-8")


def test_the_summary_names_the_three_worst_slices() -> None:
    """Of five, the worst first; the others are in the card."""
    rows = holdout()
    five = replace(rows, slices={"gate": np.array(list("ABCDE"))[np.arange(120) // 24]})
    (line,) = [text for text in summary_lines(scored(five, SETTINGS).figures) if text.startswith("worst slices")]
    assert line.count("gate = ") == 3


@given(st.text())
def test_a_name_is_one_code_span(name: str) -> None:
    """Whatever it holds: one line, one cell, and a fence that nothing inside closes."""
    span = code(name)
    assert "\n" not in span
    assert not re.search(r"(?<!\\)\|", span)
    fence = re.match("`+", span)
    assert fence
    assert span.endswith(fence.group())
    inside = span[len(fence.group()) : -len(fence.group())]
    assert fence.group() not in re.findall("`+", inside)


def test_the_worst_slice_stands_first_whatever_is_better() -> None:
    """Low is bad for an area, high is bad for an error; what is undefined stands last."""
    figures = {"slices": {"gate": {"A": {"rows": 9, "m": 0.2, "interval": {}}, "B": {"rows": 9, "m": 0.7},
                                   "C": {"rows": 9, "m": None}, "D": {"rows": 1}}}}  # fmt: skip
    names = {better: [line.value for line in slice_lines(figures, "m", better)[0]] for better in ("higher", "lower")}
    assert names == {"higher": ["A", "B", "C"], "lower": ["B", "A", "C"]}
    assert [line.value for line in slice_lines(figures, "m", "higher")[1]] == ["D"]


def test_a_threshold_counts_equal_scores_as_alerts() -> None:
    """A score at the threshold is acted on; shares without a base are undefined."""
    low, high = threshold_table(np.array([0.0, 1.0, 1.0]), np.array([0.2, 0.5, 0.1]), [0.9, 0.5])
    assert (low.tp, low.fp, low.tn, low.fn, low.precision, low.recall) == (1, 0, 1, 1, 1.0, 0.5)
    assert (high.alert_share, high.recall, high.f1) == (0.0, 0.0, 0.0)
    assert np.isnan(high.precision)
