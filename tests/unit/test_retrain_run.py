"""The conductor of retraining over fakes of its ports: what is due, and what each end of an attempt is recorded as."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest

from leverframe.domain.monitoring.finding import Finding, Kind, Severity
from leverframe.domain.monitoring.monitor_result import Monitored
from leverframe.domain.partition import Partition
from leverframe.domain.retraining.attempt import Attempt, Comparison, Cost, Outcome, RetrainWindow
from leverframe.domain.retraining.outcome import GateMisses
from leverframe.domain.retraining.pulls.pull_state import StandingBranch, StandingPull
from leverframe.domain.retraining.retrain import (
    DueAttempt,
    RetrainInputs,
    Rows,
    Trained,
    attempted,
    due,
    labelled_since,
)
from leverframe.domain.retraining.trigger import NotTriggered
from leverframe.domain.retraining.trigger_rule import ModelFacts
from leverframe.domain.review.gate.gate_result import Compared
from leverframe.errors import (
    DefinitionError,
    LeverframeError,
    PipelineBusyError,
    PipelineError,
    RemoteUnreachableError,
    SettingsError,
)
from leverframe.settings.levers import GateSettings
from leverframe.settings.retrain import RetrainSettings
from tests.fakes.monitored import quiet

NOW = datetime(2026, 4, 29, 5, tzinfo=UTC)
WORSE = Finding(Kind.PERFORMANCE, "auc", Severity.CRITICAL, "2026-04-28", "2026-03-02", "AUC fell.", "look")
CURRENT = RetrainWindow("2026-01-01", "2026-01-31", "2026-02-01", "2026-02-28")
FREE = StandingBranch("leverframe/retrain-churn", "main", "b" * 40, "", ours=False)
BETTER = Compared("auc", "AUC", "higher", 0.6, 0.7, 0.1, 0.05, 0.15)
COST = Cost(2000, 672, 3.0, 10, 11)


@dataclass
class FakeTrainer:
    """Trains nothing; what it raises or returns is given."""

    error: LeverframeError | None = None
    not_compared: LeverframeError | None = None
    labelled: int = 672
    confidence: float = 0.0

    def train(self, window: RetrainWindow) -> Trained:
        assert window.holdout_last == "2026-04-28"
        if self.error is not None:
            raise self.error
        return Trained("new", "old", COST)

    def compare(self, confidence: float) -> tuple[Comparison, GateMisses]:
        self.confidence = confidence
        if self.not_compared is not None:
            raise self.not_compared
        return Comparison("auc", confidence, self.labelled, 28, (BETTER,), 0, "", (), (), ()), GateMisses()


def known(attempts: tuple[Attempt, ...] = (), *, forced: bool = False, **blobs: str) -> RetrainInputs:
    monitored = replace(quiet(), model="churn", environment="local", at="2026-04-29T04:00:00+00:00", findings=(WORSE,))
    rows = Rows(CURRENT, "2026-01-01", Partition.of("2026-04-28"))
    facts = ModelFacts("churn", "local", "old", 24.0)
    return RetrainInputs(monitored, attempts, RetrainSettings(), GateSettings(), facts, rows, blobs, NOW, forced)


def planned(of: RetrainInputs) -> DueAttempt:
    decision = due(of, FREE)
    assert isinstance(decision, DueAttempt), decision
    return decision


def test_a_finding_makes_an_attempt_due_on_the_newest_rows() -> None:
    """With its window, and a digest that a run of tomorrow would have, too."""
    of = known()
    attempt = planned(of)
    assert str(attempt.window) == "trained on 2026-01-01 to 2026-03-31, judged on 2026-04-01 to 2026-04-28"
    assert planned(replace(of, now=NOW.replace(hour=9))).digest == attempt.digest
    assert planned(known(params="other")).digest != attempt.digest


def test_nothing_is_tried_twice_unless_a_person_asks() -> None:
    """Also long after the cooldown, as long as evidence, rows and files are the same."""
    of = known()
    before = attempted(planned(of), of, FREE.base, FakeTrainer())
    old = replace(before, at="2026-01-05T00:00:00+00:00")
    again = due(known((old,)), FREE)
    assert isinstance(again, NotTriggered)
    assert again.standstill == "nothing-new"
    assert again.why == "the attempt of 2026-01-05 had the same evidence, rows and files, and was better"
    assert isinstance(due(known((old,), forced=True), FREE), DueAttempt)
    assert isinstance(due(known((old,), params="other"), FREE), DueAttempt)


@pytest.mark.parametrize(("head", "ours", "standstill"), [("c" * 40, False, "person"), ("c" * 40, True, None)])
def test_a_branch_of_a_person_is_left_alone(head: str, ours: bool, standstill: str | None) -> None:
    """No candidate is even trained while somebody works there."""
    decision = due(known(), replace(FREE, head=head, ours=ours))
    assert (decision.standstill if isinstance(decision, NotTriggered) else None) == standstill


@pytest.mark.parametrize("forced", [True, False])
@pytest.mark.parametrize(("made", "due_then"), [("2026-04-30T00:00:00+00:00", False), ("2026-04-28", True), ("", True)])
def test_newer_evidence_is_not_replaced_by_older(made: str, due_then: bool, forced: bool) -> None:
    """Whoever asks as of an earlier day would replace the rows that a pull request speaks of."""
    pull = StandingPull(1, "", True, False, False, "", "", "a" * 40, "", "digest", made)
    decision = due(known(forced=forced), replace(FREE, pulls=(pull,)))
    assert isinstance(decision, DueAttempt) is due_then
    assert due_then or "#1 has evidence of 2026-04-30, later than 2026-04-29" in decision.why  # type: ignore[union-attr]


def test_a_first_row_that_never_moves_is_not_named() -> None:
    """In a pipeline of one's own that has no parameter for it."""
    of = known()
    attempt = planned(replace(of, rows=replace(of.rows, fixed=True)))
    assert str(attempt.window) == "trained until 2026-03-31, judged on 2026-04-01 to 2026-04-28"


def stage(name: str, code: int) -> PipelineError:
    return PipelineError(f"stage `{name}` failed", why="it says so", next="look", stage=name, code=code)


@pytest.mark.parametrize(
    ("trainer", "outcome", "why"),
    [
        (FakeTrainer(), "better", "AUC on 672 rows"),
        (FakeTrainer(labelled=30), "too-few-labels", "30 rows with a label"),
        (
            FakeTrainer(stage("validate@2026-04-28", 14)),
            "broken-data",
            "stage `validate@2026-04-28` failed: it says so",
        ),
        (FakeTrainer(stage("ingest@2026-04-28", 13)), "broken-data", "stage `ingest@2026-04-28` failed"),
        (FakeTrainer(stage("ingest-static", 1)), "broken-data", "stage `ingest-static` failed"),
        (FakeTrainer(stage("training-set", 15)), "too-few-labels", "stage `training-set` failed"),
        (FakeTrainer(stage("train", 16)), "failed", "stage `train` failed"),
        (FakeTrainer(stage("ingestion-of-mine", 1)), "failed", "stage `ingestion-of-mine` failed"),
        (FakeTrainer(None, DefinitionError("other rows", why="so", next="x")), "failed", "other rows: so"),
    ],
)
def test_each_end_of_an_attempt_is_recorded(trainer: FakeTrainer, outcome: str, why: str) -> None:
    """With the base, the window and the causes, whatever came of it."""
    of = known()
    made = attempted(planned(of), of, FREE.base, trainer)
    assert made.outcome is Outcome(outcome)
    assert why in made.why
    assert (made.base, made.at, made.window) == (FREE.base, "2026-04-29T05:00:00+00:00", planned(of).window)
    assert made.candidate == ("" if trainer.error else "new")
    assert (made.cost is None) is (trainer.error is not None)


@pytest.mark.parametrize(
    "trainer",
    [
        FakeTrainer(PipelineBusyError("busy", why="", next="")),
        FakeTrainer(PipelineError("`dvc repro` failed", why="no stage is to blame", next="")),
        *(FakeTrainer(stage("train", code)) for code in (137, -9, 143, -15, 129, 130, 152)),
        FakeTrainer(SettingsError("no such key", why="", next="")),
        FakeTrainer(None, RemoteUnreachableError("away", why="", next="")),
    ],
)
def test_what_says_nothing_of_the_candidate_is_no_attempt(trainer: FakeTrainer) -> None:
    """The next run tries again, without a longer wait."""
    of = known()
    with pytest.raises(LeverframeError):
        attempted(planned(of), of, FREE.base, trainer)


def test_attempts_on_one_model_share_the_error() -> None:
    """The second needs more confidence than the first."""
    of = known()
    first, second = FakeTrainer(), FakeTrainer()
    made = attempted(planned(of), of, FREE.base, first)
    later = known((replace(made, outcome=Outcome.UNDECIDED, at="2026-04-01T00:00:00+00:00"),), params="other")
    attempted(planned(later), later, FREE.base, second)
    assert second.confidence > first.confidence == of.settings.confidence


def monitored(*coverage: float | None) -> Monitored:
    base = quiet()
    windows = base.windows[-len(coverage) :]
    known = tuple(replace(window, coverage=share) for window, share in zip(windows, coverage, strict=True))
    return replace(base, windows=known)


def test_new_rows_are_counted_from_the_monitor() -> None:
    """Those with a label, of windows after the champion's hold-out; not known without the monitor or labels."""
    result = monitored(1.0, 0.5, None)
    rows = [window.rows.value or 0.0 for window in result.windows]
    start = datetime.fromisoformat(result.windows[0].start)
    assert labelled_since(result, start) == round(rows[0] + 0.5 * rows[1])
    assert labelled_since(result, datetime.fromisoformat(result.windows[1].start)) == round(0.5 * rows[1])
    assert labelled_since(monitored(None, None), start) is None
    assert labelled_since(None, start) is None
