"""The result of the gate; frozen, complete, and without a single row of data."""

from __future__ import annotations

from dataclasses import dataclass

from leverframe.domain.model.evaluate.evaluation_summary import short
from leverframe.domain.review.gate.holdout_change import HoldoutChange
from leverframe.domain.review.gate.replay_comparison import ReplayComparison
from leverframe.domain.verdict import Verdict, Violation, judged, word

_ROUNDING = 1e-12  # of a figure


@dataclass(frozen=True)
class Compared:
    """One metric of both models on the same rows.

    ``gain`` is positive where the candidate is better, whichever direction that is; ``low`` and
    ``high`` are its one-sided bounds. ``rule`` is the rule in words, empty where there is none;
    ``passed`` whether it holds; ``independent_days`` how many independent days would tell as much of the gain as
    the hold-out. None means undefined.
    """

    metric: str
    title: str
    better: str
    champion: float | None
    candidate: float | None
    gain: float | None
    low: float | None
    high: float | None
    rule: str = ""
    passed: bool = True
    independent_days: float | None = None


@dataclass(frozen=True)
class SliceCompared:
    """One metric within one value of a column; fields as in ``Compared``, and a ``note`` where it was not judged."""

    column: str
    value: str
    metric: str
    rows: int
    champion: float | None
    candidate: float | None
    gain: float | None
    low: float | None
    high: float | None
    passed: bool = True
    note: str = ""


@dataclass(frozen=True)
class OnBase:
    """Both models on rows and labels of the base's hold-out; ``how`` says which rows, or why none."""

    rows: int = 0
    days: int = 0
    how: str = ""
    metrics: tuple[Compared, ...] = ()


@dataclass(frozen=True)
class Gated:
    """The decision and all that it rests on.

    ``base`` and ``head`` are commits; ``rules_of`` names the side whose rules are in force, and
    ``rule_changes`` the changes of rules that this change proposes. ``because`` is not empty where
    the models could not be compared, ``method`` says how bounds are made, ``unit_of``
    names the label whose unit errors have, empty for a classification, ``replay`` is None where no log was at hand.
    ``holdout`` is None without a champion, ``on_base`` where both hold-outs are the same. ``evidence`` names what a
    pipeline of one's own allowed to compare, ``blocks`` what its ``days`` are, and ``timed``
    whether these follow each other in time.
    """

    base: str
    head: str
    violations: tuple[Violation, ...] = ()
    because: str = ""
    rows: int = 0
    days: int = 0
    how: str = ""
    confidence: float = 0.0
    metrics: tuple[Compared, ...] = ()
    slices: tuple[SliceCompared, ...] = ()
    rules_of: str = ""
    rule_changes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    replay: ReplayComparison | None = None
    holdout: HoldoutChange | None = None
    on_base: OnBase | None = None
    method: str = ""
    unit_of: str = ""
    evidence: str = ""
    blocks: str = "days"
    timed: bool = True

    @property
    def verdict(self) -> Verdict:
        """Failed for the reasons of the violations, skipped where nothing could be judged, else passed."""
        return judged(self.violations, self.because)

    def lines(self) -> list[str]:
        """Return the decision for a terminal: the verdict, violations with remedies, and the metrics."""
        from leverframe.domain.review.check import violation_lines  # noqa: PLC0415 - only who prints needs it

        lines = [f"gate {word(self.verdict)}" + (f": {self.because}" if self.because else "")]
        lines += violation_lines(self.violations)
        lines += [f"evidence: {self.evidence}" + (f"; {self.how}" if self.how else "")] if self.evidence else []
        lines += [_line(metric) for metric in self.metrics]
        lines += [f"errors and bias are in the unit of `{self.unit_of}`"] if self.unit_of and self.metrics else []
        if self.holdout and self.holdout.differs:
            lines.append(f"hold-out: {self.holdout.line()}")
        if self.on_base:
            lines.append(f"on the hold-out of the base: {self.on_base.rows:,} rows; {self.on_base.how}")
            lines += [_line(metric) for metric in self.on_base.metrics if metric.rule]
        lines += [f"replay: {self.replay.line()}"] if self.replay else []
        return [*lines, *(f"note: {note}" for note in self.notes)]


def _line(metric: Compared) -> str:
    mark = ("ok" if metric.passed else "NO") if metric.rule else "  "
    moved = f"{short(metric.champion):>8} -> {short(metric.candidate):>8}"
    return f"  {mark} {metric.title:<31} {moved}  {improvement(metric)}  {metric.rule}".rstrip()


def improvement(metric: Compared | SliceCompared) -> str:
    """Return by how much the candidate is better or worse, with both bounds of that; empty where nobody can say."""
    if metric.gain is None or (isinstance(metric, Compared) and metric.better == "neither"):
        return ""
    least = rounding(metric.champion, metric.candidate)
    word = "worse" if metric.gain < 0 else "better"
    text = f"{word} by {short(abs(metric.gain))}" if abs(metric.gain) > least else "the same"
    if metric.low is None or metric.high is None:
        return text
    low, high = (signed(bound if abs(bound) > least else 0.0) for bound in (metric.low, metric.high))
    return f"{text} [{low}, {high}]"


def rounding(*values: float | None) -> float:
    """Return what the order of a sum may change in figures of that size: no smaller difference tells models apart."""
    return _ROUNDING * max((abs(value) for value in values if value is not None), default=0.0)


def signed(value: float) -> str:
    """Return a difference with its sign, in the digits in which people compare numbers."""
    return f"{'-' if value < 0 else '+'}{short(abs(value))}"


def change_of(metric: Compared) -> str:
    """Return how a metric moved, from which value to which; its value alone where there was none before."""
    if metric.champion is None or metric.candidate is None:
        return f"{metric.title} {short(metric.candidate)}"
    if abs(metric.candidate - metric.champion) <= rounding(metric.champion, metric.candidate):
        return f"{metric.title} stayed at {short(metric.candidate)}"
    word = "fell" if metric.candidate < metric.champion else "rose"
    return f"{metric.title} {word} from {short(metric.champion)} to {short(metric.candidate)}"
