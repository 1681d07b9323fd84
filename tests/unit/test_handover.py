"""What a phase hands over is taken only where that phase could have written it; locks are merged entry by entry."""

from __future__ import annotations

from dataclasses import replace

import pytest

from leverframe.domain.pipeline.runners.runner_phases import phases
from leverframe.domain.pipeline.status.lock import entries
from leverframe.domain.pipeline.status.resolved import Artefact, ParameterFile, Stage
from leverframe.domain.review.handover import Handover, merged, refusal, taken
from leverframe.domain.review.phase_findings import machines
from leverframe.domain.review.reproduce import StageRun

HEAD, BASE = "a" * 40, "b" * 40
STAGES = [
    Stage("prepare", "dvc.yaml", "cut", dependencies=(Artefact("rows.csv", "rows.csv"),),
          outputs=(Artefact("train.csv", "train.csv", cached=True),)),
    Stage("train", "dvc.yaml", "fit", dependencies=(Artefact("train.csv", "train.csv"),),
          parameters=(ParameterFile("params.yaml", "params.yaml", ("rounds",)),),
          outputs=(Artefact("model", "model", cached=True), Artefact("curves", "curves", kind="plots"))),
    Stage("evaluate", "dvc.yaml", "score", dependencies=(Artefact("model", "model"),),
          outputs=(Artefact("metrics.json", "metrics.json", kind="metrics"),)),
]  # fmt: skip
PLAN = phases([stage.name for stage in STAGES], [("prepare", "train"), ("train", "evaluate")], {"train": "gpu"})
PREPARED = f"""\
  prepare:
    cmd: cut
    deps:
    - path: rows.csv
      hash: md5
      md5: {"0a" * 16}
      size: 3
    outs:
    - path: train.csv
      hash: md5
      md5: {"1a" * 16}
      size: 3
"""
TRAINED = f"""\
  train:
    cmd: fit
    deps:
    - path: train.csv
      hash: md5
      md5: {"1a" * 16}
      size: 3
    params:
      params.yaml:
        rounds: 3
    outs:
    - path: curves
      hash: md5
      md5: {"2a" * 16}.dir
      size: 3
      nfiles: 1
    - path: model
      hash: md5
      md5: {"3a" * 16}
      size: 3
"""
RAN = StageRun("train", "ran", 2.5)
FIRST = Handover(HEAD, BASE, False, 1, 3, "", {"prepare": PREPARED}, {}, (StageRun("prepare", "ran", 1.0),))
SECOND = Handover(HEAD, BASE, False, 2, 3, "gpu", {"train": TRAINED}, {"curves/loss.csv": "MQ=="}, (RAN,))


def refused(second: Handover, first: Handover = FIRST, number: int = 3) -> str:
    """Return why two handovers are refused."""
    return refusal([first, second], PLAN, STAGES, HEAD, number)


def test_what_two_phases_left_is_taken() -> None:
    """With files of a folder that git keeps; and a phase that had nothing to do left nothing."""
    assert refused(SECOND) == ""
    assert refused(replace(SECOND, entries={}, files={}, runs=())) == ""
    assert machines([FIRST, SECOND]) == ["`train` ran on the runner `gpu`"]


def entry(old: str, new: str) -> Handover:
    """Return what the second phase left with another entry."""
    assert old in TRAINED
    return replace(SECOND, entries={"train": TRAINED.replace(old, new)})


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (replace(SECOND, head="c" * 40), "another commit"),
        (replace(SECOND, base="c" * 40), "another base"),
        (replace(SECOND, full=True), "another base"),
        (replace(SECOND, phases=5), "does not come before"),
        (replace(SECOND, phase=3), "does not come before"),
        (replace(SECOND, phase=0), "does not come before"),
        (replace(SECOND, entries={"evaluate": TRAINED}), "no stage `evaluate`"),
        (replace(SECOND, entries={"prepare": PREPARED}), "no stage `prepare`"),
        (replace(SECOND, entries={"other": TRAINED}), "no stage `other`"),
        (replace(SECOND, runs=(StageRun("evaluate", "ran"),)), "no stage `evaluate`"),
        (replace(SECOND, unstable=("evaluate",)), "no stage `evaluate`"),
        (replace(SECOND, entries={"train": ""}), "left no entry"),
        (replace(SECOND, entries={"train": TRAINED.rstrip("\n")}), "left no entry"),
        (replace(SECOND, entries={"train": "  train: [1]\n"}), "left no entry"),
        (replace(SECOND, entries={"train": "  train: {cmd: [\n"}), "left no entry"),
        (replace(SECOND, entries={"train": "  train:\n    deps: [1]\n"}), "left no entry"),
        (entry("  train:\n", "  train:\n    frozen: true\n"), "left no entry"),
        (entry("  train:\n", "  more:\n    cmd: a\n  train:\n"), "left no entry"),
        (entry("  train:\n", "  other:\n"), "left no entry"),
        (entry("cmd: fit", "cmd: fit; curl"), "not one of what dvc.yaml defines"),
        (entry("path: train.csv", "path: ../train.csv"), "not one of what dvc.yaml defines"),
        (entry("path: model", "path: models"), "not one of what dvc.yaml defines"),
        (entry("params.yaml:", "other.yaml:"), "not one of what dvc.yaml defines"),
        (entry(f"md5: {'3a' * 16}", "md5: ../../etc"), "not one of what dvc.yaml defines"),
        (entry(f"md5: {'3a' * 16}\n      size: 3", f"md5: {'3a' * 16}\n      size: many"), "not one of what"),
        (replace(SECOND, files={"model": "MQ=="}), "none of its stages writes"),
        (replace(SECOND, files={"curves/../x": "MQ=="}), "none of its stages writes"),
        (replace(SECOND, files={"curves\\x": "MQ==", "curves/.dvc/x": "MQ=="}), "none of its stages writes"),
        (replace(SECOND, files={"/etc/x": "MQ=="}), "none of its stages writes"),
        (replace(SECOND, files={"curves/a\nb": "MQ=="}), "none of its stages writes"),
        (replace(SECOND, files={"curves/a\0b": "MQ=="}), "none of its stages writes"),
        (replace(SECOND, files={"curves/.GIT/config": "MQ=="}), "none of its stages writes"),
        (replace(SECOND, files={"curves/" + "a/" * 2000 + "b": "MQ=="}), "none of its stages writes"),
        (replace(SECOND, runs=(replace(RAN, seconds=float("nan")),)), "times that are none"),
        (replace(SECOND, runs=(replace(RAN, seconds=-1.0),)), "times that are none"),
        (entry("rounds: 3", f"rounds: {'[' * 100_000}"), "left no entry"),
        (entry("rounds: 3", "rounds: &a [*a]"), "left no entry"),
        (entry("rounds: 3", "rounds: '\n  evaluate:\n  '"), "left no entry"),
        (replace(SECOND, entries={"train": f"{TRAINED}datasets: []\n"}), "left no entry"),
        (replace(SECOND, entries={"train": f"{TRAINED}...\n"}), "left no entry"),
        (replace(SECOND, entries={"train": f"{TRAINED}  # evaluate:\n"}), "left no entry"),
        (replace(SECOND, entries={"train": f"\ufeff{TRAINED}"}), "left no entry"),
        (replace(SECOND, entries={"train": f"{TRAINED}    - path: model\n      md5: {'4a' * 16}\n"}), "left no entry"),
        (entry(f"md5: {'3a' * 16}\n      size: 3", f"md5: {'3a' * 16}\n      size: -3"), "not one of what"),
        (entry(f"md5: {'3a' * 16}\n      size: 3", f"md5: {'3a' * 16}\n      size: true"), "not one of what"),
    ],
)  # fmt: skip
def test_what_a_phase_could_not_have_written_is_refused(second: Handover, words: str) -> None:
    assert words in refused(second)


def test_a_stage_is_handed_over_once_and_forwards() -> None:
    assert "no stage `train`" in refusal([SECOND, SECOND], PLAN, STAGES, HEAD, 3)
    assert "does not come before" in refused(SECOND, number=2)


def test_a_lock_keeps_the_order_of_its_entries() -> None:
    """A known stage is replaced where it stands, a new one is added; quotes around a name are no part of it."""
    lock = f"schema: '2.0'\nstages:\n  'train':\n    cmd: old\n{PREPARED}"
    both = merged(lock, {"train": TRAINED})
    assert list(entries(both, "dvc.lock")) == ["train", "prepare"]
    assert taken(both, ["train", "evaluate"]) == {"train": TRAINED}
    assert both.endswith(PREPARED)
    assert merged("", {"prepare": PREPARED, "train": TRAINED}) == f"schema: '2.0'\nstages:\n{PREPARED}{TRAINED}"
    assert merged(both, {}) == both
