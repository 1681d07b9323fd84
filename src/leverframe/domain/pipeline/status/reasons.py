"""The reasons why a stage is stale, and the states that follow from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from leverframe.domain.pipeline.status.resolved import Recorded, Stage, View


class StaleReason(Enum):
    """Why a stage is not fresh: a closed list, the same in every form of output."""

    STAGE_NEW = "stage-new"
    LOCK_ENTRY_GONE = "lock-entry-gone"
    COMMAND_CHANGED = "command-changed"
    PARAMETER_CHANGED = "parameter-changed"
    PARAMETER_ADDED = "parameter-added"
    PARAMETER_REMOVED = "parameter-removed"
    PARAMETER_MISSING = "parameter-missing"
    PARAMETER_FILE_MISSING = "parameter-file-missing"
    DEPENDENCY_CHANGED = "dependency-changed"
    DEPENDENCY_ADDED = "dependency-added"
    DEPENDENCY_MISSING = "dependency-missing"
    DEPENDENCY_ABSENT = "dependency-absent"
    DEPENDENCY_OTHER = "dependency-other"
    OUTPUT_CHANGED = "output-changed"
    OUTPUT_ADDED = "output-added"
    OUTPUT_ABSENT = "output-absent"
    OUTPUT_OTHER = "output-other"
    OUTPUT_NOT_CACHED = "output-not-cached"
    ALWAYS_RUNS = "always-runs"
    UPSTREAM_STALE = "upstream-stale"


OTHER = frozenset({StaleReason.DEPENDENCY_OTHER, StaleReason.OUTPUT_OTHER})
"""Reasons of data that another commit left in the place of those of the lock: `dvc checkout` brings these back."""

ABSENCE = OTHER | {StaleReason.DEPENDENCY_ABSENT, StaleReason.OUTPUT_ABSENT, StaleReason.OUTPUT_NOT_CACHED}
"""Reasons of data that are not here while the lock is valid: `dvc pull` or `dvc checkout` brings them."""


class State(Enum):
    """The state of a stage, from fresh to never run."""

    FRESH = "fresh"
    MISSING = "missing"
    DOWNSTREAM = "downstream"
    CHANGED = "changed"
    NEW = "new"


STALE = frozenset({State.DOWNSTREAM, State.CHANGED, State.NEW})
"""States in which `dvc repro` runs, or may have to run, the stage."""


@dataclass(frozen=True)
class Finding:
    """One difference of one stage: its subject, and the value in the lock and now, if both exist."""

    reason: StaleReason
    subject: str
    old: str | None = None
    new: str | None = None
    detail: str = ""


@dataclass(frozen=True)
class StageStatus:
    """A stage with its state and every finding that led to it."""

    stage: Stage
    state: State
    findings: tuple[Finding, ...] = ()

    @classmethod
    def of(cls, stage: Stage, findings: list[Finding]) -> StageStatus:
        """Return the status that follows from the findings about the stage itself."""
        reasons = {finding.reason for finding in findings}
        if not reasons:
            state = State.FRESH
        elif reasons & {StaleReason.STAGE_NEW, StaleReason.LOCK_ENTRY_GONE}:
            state = State.NEW
        else:
            state = State.MISSING if reasons <= ABSENCE else State.CHANGED
        return cls(stage, state, tuple(findings))

    def below(self, stale: Mapping[str, str]) -> StageStatus:
        """Return the status of a stage whose direct upstream stages ``stale`` have to run, with a detail of each."""
        if not stale or self.state in STALE:
            return self
        upstream = tuple(Finding(StaleReason.UPSTREAM_STALE, name, detail=detail) for name, detail in stale.items())
        return replace(self, state=State.DOWNSTREAM, findings=(*self.findings, *upstream))


@dataclass(frozen=True)
class PipelineStatus:
    """Every stage in an order in which DVC could run them; ``edges`` lead from a stage to its readers.

    ``notes`` say what was not checked; ``recorded`` is the record of each output in the lock, by path; ``stored`` what
    git stores of files whose bytes here are others; ``metrics`` and ``plots`` are what definitions call so.
    """

    stages: tuple[StageStatus, ...]
    edges: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = field(default=())
    recorded: Mapping[str, Recorded] = field(default_factory=dict)
    stored: Mapping[str, bytes] = field(default_factory=dict)
    metrics: tuple[View, ...] = ()
    plots: tuple[View, ...] = ()

    @property
    def stale(self) -> bool:
        """Tell whether `dvc repro` has a stage to run."""
        return any(stage.state in STALE for stage in self.stages)

    def count(self, state: State) -> int:
        """Return how many stages are in ``state``."""
        return sum(stage.state is state for stage in self.stages)
