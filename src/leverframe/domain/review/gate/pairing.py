"""Both models on the same rows: those of the candidate's hold-out, and where that differs, those of the base's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leverframe.domain import layout
from leverframe.domain.features.reserved import MONTH, PROBABILITY
from leverframe.domain.model.artefacts import Artefacts, read_as
from leverframe.domain.model.evaluate.dependence import MINIMUM_DAYS
from leverframe.domain.model.evaluate.evaluation import Predictor, assembled, predicted
from leverframe.domain.model.evaluate.holdout import Holdout, days_of, sliced, with_classes
from leverframe.domain.model.evaluate.ranking import Floats
from leverframe.domain.model.table import Table, Tables, column
from leverframe.domain.model.train import ModelDescription
from leverframe.domain.review.gate.gate_result import Compared, OnBase
from leverframe.domain.review.gate.holdout_change import (
    Declared,
    HoldoutChange,
    compared,
    outside,
    same_rows,
)
from leverframe.domain.review.gate.paired import Pair, judged_metrics
from leverframe.domain.review.gate.row_matching import Ints, SameRows
from leverframe.domain.review.gate.rules import allowed
from leverframe.domain.verdict import Reason, Violation
from leverframe.errors import DefinitionError
from leverframe.settings.levers import GateSettings, MetricRule
from leverframe.settings.params import EvaluateSettings

_LEAST_SHARED = 0.5  # of the candidate's rows that the champion must have predicted, where it cannot predict them again
_ALIKE = 0.01  # of the variance of predictions; with more between them, features of the base have another meaning


@dataclass(frozen=True)
class Side:
    """One revision of the pipeline's files; the champion's may lie in another folder."""

    tables: Tables
    artefacts: Artefacts

    @cached_property
    def model(self) -> ModelDescription:
        """The description of its model."""
        return read_as(ModelDescription, layout.MODEL_DESCRIPTION, self.artefacts)

    @cached_property
    def holdout(self) -> Table:
        """The rows of its hold-out."""
        return self.tables.read(layout.HOLDOUT)

    @cached_property
    def written(self) -> Floats:
        """What the stage `evaluate` wrote, for each row of its hold-out; raises ``DefinitionError`` for other rows."""
        table, model = self.tables.read(layout.PREDICTIONS), self.model
        names = {"binary": ["score"], "regression": ["prediction"]}.get(
            model.label.kind, [f"{PROBABILITY}{class_}" for class_ in model.classes]
        )
        columns: list[NDArray[Any]] = [column(table, name, file=layout.PREDICTIONS).to_numpy() for name in names]
        predictions: Floats = np.stack(columns, axis=1).astype(np.float64)
        if len(predictions) != self.holdout.height:
            raise DefinitionError(
                f"{layout.PREDICTIONS} has {len(predictions):,} rows, {layout.HOLDOUT} {self.holdout.height:,}",
                why="the base branch was not reproduced as a whole",
                next="run `dvc repro` on the base branch and commit what it writes",
            )
        alone: Floats = predictions[:, 0]
        return predictions if model.label.kind == "multiclass" else alone

    def predict(self, predictor: Predictor, table: Table) -> Floats:
        """Return what its model predicts for rows of either hold-out."""
        return predicted(predictor, self.model, table, self.artefacts.read_bytes(layout.MODEL))

    def can_predict(self, other: Side) -> bool:
        """Tell whether the features of the other mean what those of its model mean, and are there."""
        names = {feature.name for feature in self.model.features}
        return self.model.spec == other.model.spec and names <= set(other.holdout.columns)


@dataclass(frozen=True)
class GateInputs:
    """What is compared: the commits, the zone in which a day begins, and what candidate and base declare of rows.

    ``before`` is None where the declaration of the base cannot be read.
    """

    base: str
    head: str
    timezone: str
    after: Declared
    before: Declared | None = None


@dataclass(frozen=True)
class Models:
    """Candidate and champion, None before the first merge, under the rules in force."""

    question: GateInputs
    candidate: Side
    champion: Side | None
    predictor: Predictor
    settings: GateSettings

    @cached_property
    def change(self) -> HoldoutChange | None:
        """How the hold-out changed; None without a champion."""
        if self.champion is None:
            return None
        tables = self.candidate.holdout, self.champion.holdout
        kind, declared = self.candidate.model.label.kind, (self.question.after, self.question.before)
        return compared(tables, self._rows, declared, kind, self.settings.maximum_holdout_change)

    @cached_property
    def _rows(self) -> SameRows:
        assert self.champion is not None  # noqa: S101 - nobody asks without one
        key = (
            self.question.before or self.question.after
        ).key  # a change of it must not decide which rows are the same
        tables = self.candidate.holdout, self.champion.holdout
        return same_rows(*tables, key, labels=self.candidate.model.label == self.champion.model.label)

    @cached_property
    def _predictions(self) -> Floats:
        with self.predictor.threads(1):
            return self.candidate.predict(self.predictor, self.candidate.holdout)

    @cached_property
    def _again(self) -> Floats:
        """What the champion predicts for the candidate's rows."""
        assert self.champion is not None  # noqa: S101 - nobody asks without one
        with self.predictor.threads(1):
            return self.champion.predict(self.predictor, self.candidate.holdout)

    def notes(self) -> tuple[str, ...]:
        """Return what a reviewer has to know of the comparison, and no rule sees.

        A feature that reveals the label, put into a column that both models use, makes both look good.
        """
        if self.champion is None:
            return ("The base branch has no model, so there is no champion: only floors apply.",)
        if not self.champion.can_predict(self.candidate):
            return ()
        ours, theirs = self._rows.candidate, self._rows.base
        if not len(ours) or _alike(self._again[ours], self.champion.written[theirs]):
            return ()
        return (
            "The same rows have other features in this change: the champion predicts otherwise from them than on the "
            "base branch. Both models are judged by the features of this change; a column that reveals the label would "
            "look the same, so read what the sources changed.",
        )

    def pair(self) -> tuple[Pair, str]:
        """Return both models on the candidate's hold-out, and in words how the champion predicted it."""
        ours, theirs = self.candidate, self.champion
        columns = [name for rule in self.settings.slices for name in rule.columns]
        slices = [name for name in columns if name in (*ours.holdout.columns, MONTH)]
        settings = (EvaluateSettings(slices=slices), self.question.timezone)
        candidate = assembled(ours.model, ours.holdout, self._predictions, settings)
        if theirs is None:
            return Pair(candidate, None), "no champion"
        _check_same_label(theirs.model, ours.model)
        if not theirs.can_predict(ours):
            pair, how = self._by_key(candidate, theirs)
        else:
            pair = Pair(candidate, assembled(theirs.model, ours.holdout, self._again, settings))
            how = "both models predicted the same rows"
        return replace(pair, before=self._slices_before(theirs, columns)), how

    def _slices_before(self, champion: Side, columns: Sequence[str]) -> dict[str, NDArray[np.str_]]:
        """Return the slices of the base's rows on the days that this change still covers."""
        here, there = (days_of(side.holdout, self.question.timezone) for side in (self.candidate, champion))
        covered = (there >= here.min()) & (there <= here.max()) if len(here) else np.zeros(len(there), dtype=bool)
        known = [name for name in columns if name in (*champion.holdout.columns, MONTH)]
        return {name: values[covered] for name, values in sliced(champion.holdout, known, there).items()}

    def _by_key(self, candidate: Holdout, champion: Side) -> tuple[Pair, str]:
        """Return both models on the rows that both predicted, where neither has the features of the other."""
        rows, there = self._rows.candidate, self._rows.base
        if len(rows) < _LEAST_SHARED * len(candidate.labels):
            raise DefinitionError(
                f"both models predicted only {len(rows):,} of the {len(candidate.labels):,} rows of the hold-out",
                why="the features and the partitions of the hold-out changed in the same pull request",
                next="change one of the two, merge it, then change the other",
            )
        shared = _some(candidate, rows)
        predictions = champion.written[there]
        labels, classes = shared.labels, champion.model.classes
        if candidate.kind == "multiclass":
            names = np.array(candidate.classes)[labels.astype(np.int64)]
            classes, labels, predictions = with_classes(names, predictions, champion.model.classes)
        other = replace(shared, classes=classes, labels=labels, predictions=predictions)
        common = f"{len(rows):,} of {len(candidate.labels):,} rows are in both hold-outs"
        return Pair(shared, other, whole=candidate), f"each model predicted from its own features; {common}"

    def on_base(self, already: Sequence[Compared]) -> tuple[OnBase | None, list[Violation]]:
        """Judge both models on the rows and labels of the base, where its hold-out differs and the rules limit that.

        Rows that the candidate learnt from are left out. ``already`` are the metrics on the candidate's own
        hold-out: a rule that failed there is not reported twice. Where the declared period moved, few rows may be
        left, so only a significant difference is a violation.
        """
        change, base = self.change, self.champion
        if change is None or base is None or not change.differs or self.settings.maximum_holdout_change >= 1:
            return None, []
        predictions, known, how = self._for_base(base)
        rows = np.intersect1d(known, outside(base.holdout, self.question.after.train))
        if not len(rows):
            return OnBase(how="no row of it can be compared: the candidate learnt from them, or has other rows"), []
        settings = (EvaluateSettings(slices=[]), self.question.timezone)
        sides = ((self.candidate.model, predictions), (base.model, base.written))
        ours, theirs = (_some(assembled(model, base.holdout, given, settings), rows) for model, given in sides)
        passed = {metric.metric for metric in already if metric.passed}
        rules = {name: rule for name, rule in self.settings.metrics.items() if name in passed}
        metrics, violations = judged_metrics(Pair(ours, theirs), self.settings.model_copy(update={"metrics": rules}))
        if change.moved_in or change.moved_out:
            enough = ours.number_of_days >= MINIMUM_DAYS
            how += "" if enough else f"; too few days to judge, {MINIMUM_DAYS} are needed"
            missed = {
                metric.metric: _surely_missed(metric, rules.get(metric.metric)) if enough else [] for metric in metrics
            }
            metrics = [replace(metric, passed=not missed[metric.metric]) for metric in metrics]
            violations = [violation for group in missed.values() for violation in group]
        violations = [
            replace(violation, what=f"on the hold-out of the base branch: {violation.what}") for violation in violations
        ]
        return OnBase(len(rows), ours.number_of_days, how, tuple(metrics)), violations

    def _for_base(self, base: Side) -> tuple[Floats, Ints, str]:
        """Return the candidate's predictions for rows of the base, and which rows have one.

        From the base's features where they mean the same to the candidate; else from its own, by key.
        """
        height, same = base.holdout.height, self._rows
        if self.candidate.can_predict(base):
            with self.predictor.threads(1):
                again = self.candidate.predict(self.predictor, base.holdout)
            if _alike(again[same.base], self._predictions[same.candidate]):
                return again, np.arange(height), "both models predicted the same rows"
        predictions: Floats = np.full((height, *self._predictions.shape[1:]), np.nan)
        predictions[same.base] = self._predictions[same.candidate]
        common = f"{len(same.base):,} of {height:,} rows are in both hold-outs"
        return predictions, same.base, f"each model predicted from its own features; {common}"


def _alike(ours: Floats, theirs: Floats) -> bool:
    """Tell whether predictions of the same rows come from features that mean the same; without a row none differ."""
    if not len(ours):
        return True
    apart = np.square(ours - theirs).sum()
    return bool(apart <= _ALIKE * np.var(theirs, axis=0).sum() * len(theirs))


def _check_same_label(champion: ModelDescription, candidate: ModelDescription) -> None:
    if champion.label != candidate.label:
        raise DefinitionError(
            f"the label was `{champion.label.name}` ({champion.label.kind}) and is `{candidate.label.name}` "
            f"({candidate.label.kind})",
            why="models of different labels predict different things",
            next="change the label in a pull request of its own, approved by those who use the model",
        )


def _some(holdout: Holdout, rows: Ints) -> Holdout:
    return replace(
        holdout,
        labels=holdout.labels[rows],
        predictions=holdout.predictions[rows],
        days=np.unique(holdout.days[rows], return_inverse=True)[1].astype(np.int64),
        slices={name: values[rows] for name, values in holdout.slices.items()},
    )


def _surely_missed(metric: Compared, rule: MetricRule | None) -> list[Violation]:
    """Return the violation of a rule that even the better bound of the gain does not meet."""
    if rule is None or metric.high is None or (rule.minimum_gain, rule.maximum_drop) == (None, None):
        return []
    demanded = rule.minimum_gain if rule.minimum_gain is not None else -(rule.maximum_drop or 0.0)
    if metric.high >= demanded:
        return []
    reason = Reason.METRIC_DROPPED if rule.minimum_gain is None else Reason.GAIN_MISSED
    moved = f"{metric.champion:.4f} to {metric.candidate:.4f}, a gain of at most {metric.high:+.4f}"
    required = allowed(rule, metric.better)
    what = f"{metric.title} changed from {moved}. {required[:1].upper()}{required[1:]}."
    return [Violation(reason, what, "improve the model, or move the hold-out in a pull request of its own")]
