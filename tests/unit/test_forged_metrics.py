"""Pipelines of one's own when they are run again: metrics anywhere, several locks, frozen stages, chance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from leverframe.domain.pipeline.status.resolved import Locked, Recorded
from leverframe.domain.review.forged_metrics import forged
from leverframe.domain.review.reproduce import How, Reproduced, RunOptions, run
from leverframe.domain.verdict import Passed, Reason
from tests.unit.test_reproduce import Scripted


@pytest.mark.parametrize(
    ("path", "claimed", "true", "words"),
    [
        ("m.json", '{"a": {"b": [1, 2]}}', '{"a": {"b": [1, 3]}}', "`a.b.1` 2 in git, 3 computed"),
        ("m.yaml", "a: 0.5\n", "a: 0.6\n", "`a` 0.5 in git, 0.6 computed"),
        ("m.toml", "[t]\nmae = 1.0\n", "[t]\nmae = 2.0\n", "`t.mae` 1.0 in git, 2.0 computed"),
        ("m.csv", "step,auc\n0,0.5\n", "step,auc\n0,0.7\n", "`0.auc` 0.5 in git, 0.7 computed"),
        ("m.tsv", "auc\tn\n0.5\tx\n", "auc\tn\n0.5\ty\n", "`0.n` x in git, y computed"),
        ("m.json", "{", '{"a": 1}', "`m.json` in git cannot be read"),
        ("m.json", '{"a": 0.5}', '{"a": 0.50000001}', ""),
        ("m.csv", "auc\n0.5\n", "auc\n0.500000001\n", ""),
        ("m.yaml", "a: .nan\n", "a: .nan\n", ""),
        ("m.yaml", "", "a: 1\n", "`a` None in git, 1 computed"),
    ],
)
def test_metrics_are_compared_in_whatever_form_they_are(path: str, claimed: str, true: str, words: str) -> None:
    """Nested or in rows; last digits are none."""
    assert forged(path, claimed, true, 1e-4) == ([words] if words else [])


def entry(output: str, digest: str, *, command: str = "c") -> Locked:
    return Locked(command, {}, {}, {output: Recorded(digest)})


@dataclass
class Free(Scripted):
    """A pipeline of several definitions: its lock is what the test says, by the names of stages."""

    locks: dict[str, Locked] = field(default_factory=dict)

    def lock(self) -> dict[str, Locked]:
        return dict(self.locks)


def of_ones_own(*script: Callable[[Scripted], dict[str, How]], **order: object) -> Reproduced:
    """Run a pipeline with two files of metrics, written by stages of two definitions, which claim 1 and 2."""
    files = {"eval/a.json": '{"auc": 1}', "b.yaml": "auc: 2\n"}
    locks = {"eval/dvc.yaml:a": entry("eval/a.json", "a1"), "b": entry("b.yaml", "b1"), "kept": entry("k.bin", "k1")}
    pipeline = Free(files, list(script), locks=locks)
    base = {**locks, "kept": entry("k.bin", "k0")}
    given = {
        "base": base,
        "metrics": tuple(files),
        "kept": tuple(files),
        "frozen": ("kept",),
        "of_case": False,
        **order,
    }
    return run(pipeline, RunOptions("c" * 40, **given))  # type: ignore[arg-type]


def wrote(name: str, path: str, text: str, digest: str) -> Callable[[Scripted], dict[str, How]]:
    """Return a run of one stage that writes another text."""

    def done(pipeline: Scripted) -> dict[str, How]:
        assert isinstance(pipeline, Free)
        pipeline.files[path] = text
        pipeline.locks[name] = entry(path, digest)
        return {name: "ran"}

    return done


def idle(_: Scripted) -> dict[str, How]:
    return {"eval/dvc.yaml:a": "unchanged", "b": "unchanged"}


def test_each_file_of_metrics_is_computed_again() -> None:
    """Every stage that writes one is run; what is forged is named with the lock beside its definition."""
    outcome = of_ones_own(idle, wrote("eval/dvc.yaml:a", "eval/a.json", '{"auc": 0.5}', "a2"))
    (violation,) = outcome.violations
    assert violation.reason is Reason.METRICS_FORGED
    assert "`eval/a.json` in git differs" in violation.what
    assert "`dvc repro -f -s eval/dvc.yaml:a`; commit what it writes, and `eval/dvc.lock`" in violation.next
    assert any("`git restore dvc.lock eval/dvc.lock eval/a.json b.yaml`" in note for note in outcome.notes)


def test_what_is_frozen_is_said_and_not_run() -> None:
    """Also that the base has another entry of it, which nobody verified."""
    outcome = of_ones_own(idle)
    assert outcome.verdict == Passed()
    assert "frozen or imported, so not run: `kept`" in outcome.notes
    assert "not verified, although the base has another entry of it: `kept`" in outcome.notes


def test_a_stage_that_never_writes_the_same_accuses_nobody_but_its_metrics() -> None:
    """One that draws or asks the clock: other figures in each run are no forgery; the remedy is for any script."""
    runs = [wrote("b", "b.yaml", f"auc: {n}\n", f"b{n}") for n in (3, 4, 5)]
    outcome = of_ones_own(idle, *runs)
    assert [violation.reason for violation in outcome.violations] == [Reason.NOT_DETERMINISTIC]
    assert "set the seed of every generator" in outcome.violations[0].next
    declared = of_ones_own(idle, *runs, declared={"auc": 5})
    assert declared.verdict == Passed()
    assert any("within `reproduce.tolerance`" in note for note in declared.notes)
