"""The verdict of a check or lever: passed, failed for named reasons, or skipped."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Every reason for a failure, as it appears in reports and in the action output ``reason``."""

    CONTRACT_BROKEN = "contract-broken"
    COLUMN_MISSING = "column-missing"
    COLUMN_EMPTY = "column-empty"
    TABLE_EMPTY = "table-empty"
    TABLE_STALE = "table-stale"
    VOLUME_ODD = "volume-odd"
    SCHEMA_CHANGED = "schema-changed"
    FOREIGN_KEY_BROKEN = "foreign-key-broken"
    KEY_DUPLICATED = "key-duplicated"
    NULL_RATE_CHANGED = "null-rate-changed"
    PARITY_BROKEN = "parity-broken"
    SETTINGS_INVALID = "settings-invalid"
    DEFINITION_INVALID = "definition-invalid"
    LEAK_FOUND = "leak-found"
    LEAK_SUSPECTED = "leak-suspected"
    LOCK_STALE = "lock-stale"
    DATA_MISSING = "data-missing"
    DATA_IN_GIT = "data-in-git"
    LOCK_MISMATCH = "lock-mismatch"
    METRICS_FORGED = "metrics-forged"
    NOT_DETERMINISTIC = "not-deterministic"
    STAGE_FAILED = "stage-failed"
    METRIC_MISSING = "metric-missing"
    METRIC_DROPPED = "metric-dropped"
    METRIC_UNCERTAIN = "metric-uncertain"
    GAIN_MISSED = "gain-missed"
    FLOOR_MISSED = "floor-missed"
    SLICE_DROPPED = "slice-dropped"
    HOLDOUT_CHANGED = "holdout-changed"
    CHANGE_BREAKING = "change-breaking"
    BUNDLE_TOO_LARGE = "bundle-too-large"
    GATE_MISSING = "gate-missing"
    NEEDS_OWNER = "needs-owner"
    MERGE_CONFLICT = "merge-conflict"
    JUDGE_TIMEOUT = "judge-timeout"
    NOT_JUDGED = "not-judged"
    NOT_COMPARABLE = "not-comparable"
    BUNDLE_DAMAGED = "bundle-damaged"
    SCHEMA_INCOMPATIBLE = "schema-incompatible"
    LOAD_FAILED = "load-failed"
    SMOKE_FAILED = "smoke-failed"
    TOO_SLOW = "too-slow"
    REPLAY_DIFFERS = "replay-differs"
    VERIFY_FAILED = "verify-failed"
    REFUSED_BEFORE = "refused-before"
    NOTHING_TO_RESTORE = "nothing-to-restore"
    DATA_QUALITY = "data-quality"
    DRIFT_FOUND = "drift-found"
    PERFORMANCE_DROPPED = "performance-dropped"
    CONCEPT_DRIFTED = "concept-drifted"
    SERVER_DEGRADED = "server-degraded"
    RETRAIN_UNHELPFUL = "retrain-unhelpful"
    LABELS_MISSING = "labels-missing"
    PLAN_FAILED = "plan-failed"
    PLAN_CHANGED = "plan-changed"
    PLAN_UNREVIEWED = "plan-unreviewed"
    DESTROY_PROTECTED = "destroy-protected"
    INFRA_CHECK_FAILED = "infra-check-failed"
    APPLY_FAILED = "apply-failed"
    INFRA_DRIFTED = "infra-drifted"
    NOT_RUN = "not-run"
    TOOL_BROKE = "tool-broke"


REFUSED = 30  # exit code of every lever whose verdict is failed: the lever works, the change does not


@dataclass(frozen=True)
class Violation:
    """One violation of a rule by a change: its reason, what is wrong, and the step that fixes it.

    In ``what`` and ``next``, text between backticks is a name or a command.
    """

    reason: Reason
    what: str
    next: str


@dataclass(frozen=True)
class Passed:
    """Every check passed."""


@dataclass(frozen=True)
class Failed:
    """At least one check failed, for the reasons named."""

    reasons: tuple[Reason, ...]

    def __post_init__(self) -> None:
        """Refuse a failed verdict without a reason: nobody could act on it."""
        if not self.reasons:
            raise ValueError("a failed verdict needs at least one reason")


@dataclass(frozen=True)
class Skipped:
    """Not decided; ``because`` says what was missing. It does not count as passed."""

    because: str


Verdict = Passed | Failed | Skipped


def judged(violations: Iterable[Violation], unless: str = "") -> Verdict:
    """Return the verdict of violations: failed for their reasons, each once; without any, passed.

    If ``unless`` says why nothing could be decided, the verdict without violations is skipped.
    """
    reasons = tuple(dict.fromkeys(violation.reason for violation in violations))
    if reasons:
        return Failed(reasons)
    return Skipped(unless) if unless else Passed()


def word(verdict: Verdict) -> str:
    """Return ``passed``, ``failed`` or ``skipped``, the value of the action output ``verdict``."""
    return type(verdict).__name__.lower()


def together(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the verdict over parts: failed if any failed, skipped if all are skipped, else passed.

    Reasons keep the order in which they came, each once.
    """
    given = list(verdicts)
    reasons = dict.fromkeys(reason for verdict in given if isinstance(verdict, Failed) for reason in verdict.reasons)
    if reasons:
        return Failed(tuple(reasons))
    skipped = [verdict for verdict in given if isinstance(verdict, Skipped)]
    if given and len(skipped) == len(given):
        return skipped[0]
    return Passed()
