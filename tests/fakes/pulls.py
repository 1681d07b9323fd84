"""A forge with pull requests in memory, whose writes can be killed, and attempts that propose something."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace

from leverframe.domain.retraining.attempt import (
    Attempt,
    Cause,
    Comparison,
    Cost,
    Evidence,
    Outcome,
    RetrainWindow,
)
from leverframe.domain.retraining.pulls.pull_ports import PullToOpen, lease_lost
from leverframe.domain.retraining.pulls.pull_record import read
from leverframe.domain.retraining.pulls.pull_state import StandingBranch, StandingPull
from leverframe.domain.review.gate.gate_result import Compared, SliceCompared
from tests.fakes.alerts import KilledError

NAME, BASE = "leverframe/retrain-shop", "b" * 40


def sha(text: str) -> str:
    """Return a commit by a word."""
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


@dataclass
class MemoryPulls:
    """Branch and pull requests; ``left`` writes are done before the run is killed.

    ``ours`` tells whether the branch has our commit alone; ``refuses`` is why GitHub does not merge by itself.
    """

    pulls_: dict[int, StandingPull] = field(default_factory=dict)
    posted: dict[int, list[str]] = field(default_factory=dict)
    head: str = ""
    ours: bool = True
    evidence: str = ""
    outputs: list[str] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    left: int | None = None
    app: bool = False
    refuses: str = ""
    evidences: dict[str, str] = field(default_factory=dict)
    elsewhere: tuple[StandingPull, ...] = ()

    def standing(self) -> StandingBranch:
        """Return how it stands."""
        for number, pull in self.pulls_.items():
            self.pulls_[number] = replace(pull, head=self.head) if pull.open else pull
        newest = tuple(self.pulls_[number] for number in sorted(self.pulls_, reverse=True))
        ours = self.ours and bool(self.head)
        evidence = self.evidences.get(self.head, "") * ours
        return StandingBranch(NAME, "main", BASE, self.head, ours, newest, evidence, self.elsewhere)

    def change(self, number: int, **values: object) -> None:
        """Change a pull request."""
        self.pulls_[number] = replace(self.pulls_[number], **values)  # type: ignore[arg-type]
        record = read(self.pulls_[number].body)
        self.pulls_[number] = replace(self.pulls_[number], evidence=record.evidence if record else "")

    def _write(self) -> None:
        if self.left is None:
            return
        if self.left == 0:
            raise KilledError
        self.left -= 1

    def pulls(self, branch: str) -> list[StandingPull]:
        return list(self.standing().pulls) if branch == NAME else []

    def opened(self, opening: PullToOpen) -> StandingPull:
        self._write()
        assert self.head, "a pull request needs its branch"
        there = self.standing().open
        if there:
            return there
        number = len(self.pulls_) + 1
        made = StandingPull(
            number, f"https://forge.example.org/{number}", True, False, opening.draft, opening.title, opening.body,
            self.head, "github-actions[bot]", "", "",
        )  # fmt: skip
        self.pulls_[number], self.posted[number] = made, []
        self.change(number)
        return self.pulls_[number]

    def edited(self, number: int, body: str, *, closed: bool = False) -> None:
        self._write()
        self.change(number, body=body, open=self.pulls_[number].open and not closed)

    def drafted(self, number: int, *, draft: bool) -> None:
        self._write()
        self.change(number, draft=draft)

    def auto_merge(self, number: int, head: str, *, on: bool) -> str:
        self._write()
        pull = self.pulls_[number]
        if on and (self.refuses or pull.draft or not pull.open or head != self.head):
            return self.refuses or "Pull request is in draft state, is closed, or has another head"
        self.change(number, auto_merge=on)
        return ""

    def comments(self, number: int) -> list[str]:
        return self.posted[number]

    def comment(self, number: int, body: str) -> None:
        self._write()
        self.posted[number].append(body)

    def starts_checks(self) -> bool:
        return self.app

    def dispatched(self, workflow: str, branch: str, head: str) -> None:
        assert (workflow, branch) == ("leverframe.yml", NAME)
        if head not in self.runs:
            self._write()
            self.runs.append(head)

    def push_outputs(self) -> str:
        self._write()
        self.outputs.append("pushed")
        return ""

    def at(self, branch: str) -> str:
        return self.head if branch == NAME else ""

    def push(self, commit: str, branch: str, expected: str) -> None:
        self._write()
        assert branch == NAME
        if self.head != expected:
            raise lease_lost(branch)
        assert self.outputs, "outputs are pushed before the branch"
        self.head, self.ours = commit, True

    def delete(self, branch: str, expected: str) -> None:
        self._write()
        assert branch == NAME
        if self.head and self.head != expected:
            raise lease_lost(branch)
        self.head = ""


def compared(metric: str = "auc", gain: float | None = 0.02) -> Compared:
    """Return a metric of both models."""
    low, high = (None, None) if gain is None else (gain - 0.01, gain + 0.01)
    return Compared(metric, metric.upper(), "higher", 0.7, None if gain is None else 0.7 + gain, gain, low, high)


def attempt(outcome: Outcome = Outcome.BETTER, evidence: str = "e1", at: str = "2026-03-10T06:00:00+00:00") -> Attempt:
    """Return an attempt; the evidence is a word, of which the digest is made."""
    digest = hashlib.sha256(evidence.encode()).hexdigest()[:32]
    compare = Comparison(
        "auc", 0.975, 1234, 28, (compared("f1"), compared()), 800, "without the rows that the candidate learnt from",
        (compared("auc", -0.001),),
        (SliceCompared("product", "x", "auc", 90, 0.7, 0.65, -0.05, -0.09, -0.01, passed=False),
         SliceCompared("product", "y", "auc", 90, 0.7, 0.75, 0.05, 0.01, 0.09)), (), ("bounds from 28 days",),
    )  # fmt: skip
    return Attempt(
        "shop", "production", at, BASE, digest,
        (Evidence(Cause.PERFORMANCE, "auc", "2026-03-09", "2026-03-02", "`auc` fell from 0.74 to 0.69"),
         Evidence(Cause.DRIFT, "amount", "2026-03-09", "2026-03-03", "`amount` drifted by 0.31")),
        outcome, "`auc` rose by 0.020 (0.700 to 0.720; 97.5 % lower bound 0.010).",
        RetrainWindow("2025-11-01", "2026-02-09", "2026-02-10", "2026-03-09"), compare,
        Cost(120_000, 9_000, 83.4, 1_000_000, 1_100_000), "d" * 32,
    )  # fmt: skip
