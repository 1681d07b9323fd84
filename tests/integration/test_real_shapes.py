"""Repositories in the shapes of real projects: what every lever needs to hold of them."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from leverframe.domain.pipeline.status.parameters import parsed
from tests.integration.real_shapes import SHAPES, RealShape, shared
from tests.profiles import by_day
from tests.warm import WarmRepository

NAMES = by_day(SHAPES, "several_definitions")
OURS = ("stages --write", "reports models", "random_state", "a bug", "settings-invalid")


@pytest.fixture
def shape(request: pytest.FixtureRequest, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> RealShape:
    """A shape, on a branch of its own."""
    return shared(tmp_path_factory, request.param).copied(tmp_path)


def _figures(shape: RealShape) -> list[float]:
    """Return the figure of a shape in each of its files."""
    figures = []
    for path in shape.metrics:
        value: Any = parsed(shape.project.repository.read(path), path)
        for part in shape.figure.split("."):
            value = value[part]
        figures.append(float(value))
    return figures


def _asked(shape: RealShape, lever: str, code: int) -> dict[str, Any]:
    ended = shape.project.run(lever, "--base", "main", "--json")
    assert ended.code == code, ended.stdout + ended.stderr
    assert not [word for word in OURS if word in ended.stdout + ended.stderr]
    document: dict[str, Any] = json.loads(ended.stdout)
    return document


def _forged(shape: RealShape, path: str, content: str) -> None:
    """Commit another content of an output, with its digest in the lock."""
    file = shape.project.root / path
    old = hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()
    file.unlink()  # which may be a link into the cache
    file.write_text(content)
    new = hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()
    (lock,) = (candidate for candidate in shape.project.root.rglob("dvc.lock") if old in candidate.read_text())
    sized = re.sub(rf"(md5: {old}\n +size: )\d+", rf"\g<1>{file.stat().st_size}", lock.read_text())
    lock.write_text(sized.replace(old, new))
    shape.whole.commit("Forge")


@pytest.mark.deep
@pytest.mark.parametrize("shape", SHAPES, indirect=True)
def test_each_change_makes_a_model_better_or_worse(shape: RealShape) -> None:
    """In every file of metrics, by more than two percent of the figure; git and DVC have everything."""
    before = _figures(shape)
    shape.better()
    better = _figures(shape)
    shape.whole.git("reset", "--quiet", "--hard", "main")
    shape.worse()
    worse = _figures(shape)
    sign = 1 if shape.higher_is_better else -1
    for one, two, three in zip(worse, before, better, strict=True):
        assert sign * one < sign * two * (1 - sign * 0.02), (worse, before, better)
        assert sign * three > sign * two * (1 + sign * 0.02), (worse, before, better)
    assert not shape.whole.git("status", "--porcelain")


@pytest.mark.parametrize("shape", NAMES, indirect=True)
def test_a_change_is_checked_and_run_by_what_dvc_says_of_it(shape: RealShape) -> None:
    """A stale lock, then one that is as the stages leave it; advice names commands that end the complaint."""
    assert _asked(shape, "check", 0)["violations"] == []
    shape.worse(run=False)
    (stale,) = _asked(shape, "check", 30)["violations"]
    assert stale["reason"] == "lock-stale"
    for command in stale["next"].strip("`").split(" && "):
        shape.project.repository.run("sh", "-c", command)
    assert _asked(shape, "check", 0)["violations"] == []
    assert not shape.whole.git("status", "--porcelain")
    done = _asked(shape, "reproduce", 0)
    assert {stage["how"] for stage in done["stages"]} <= {"verified", "unchanged"}
    assert "verified" in {stage["how"] for stage in done["stages"]}


@pytest.mark.parametrize("shape", NAMES, indirect=True)
def test_metrics_that_their_stage_does_not_compute_are_found(shape: RealShape) -> None:
    """Wherever they are and whatever their form; with the stage that DVC knows, and its lock."""
    shape.worse()
    path, (figure, *_) = shape.metrics[-1], reversed(_figures(shape))
    text = shape.project.repository.read(path)
    claimed = text.replace(str(figure), "0.123456")
    assert claimed != text
    _forged(shape, path, claimed)
    assert _asked(shape, "check", 0)["violations"] == []
    (violation,) = _asked(shape, "reproduce", 30)["violations"]
    assert violation["reason"] == "metrics-forged"
    assert f"`{path}` in git" in violation["what"]
    assert f"`{shape.figure}` 0.123456 in git" in violation["what"]
    stage = violation["next"].split("-s ")[1].split("`")[0]
    assert f"{stage.rpartition('dvc.yaml:')[0]}dvc.lock" in violation["next"]


@pytest.mark.deep
@pytest.mark.parametrize("shape", ["several_definitions"], indirect=True)
def test_predictions_that_no_stage_wrote_are_a_mismatch(shape: RealShape) -> None:
    """Of a change that runs the stage: the claim is taken from the cache, where whoever pushed it had it."""
    shape.worse()
    path = "evaluation/predictions.csv"
    lines = shape.project.repository.read(path).splitlines()
    perfect = [lines[0], *(f"{line.rpartition(',')[0]},{line.split(',')[1]}" for line in lines[1:])]
    _forged(shape, path, "\n".join(perfect) + "\n")
    shape.project.repository.dvc("commit", "--quiet", "--force", "evaluation/dvc.yaml")
    (shape.project.root / path).unlink()
    (violation,) = _asked(shape, "reproduce", 30)["violations"]
    assert violation["reason"] == "lock-mismatch"
    assert (
        "`evaluation/dvc.lock` does not match what the stages write: `evaluation/predictions.csv`" in violation["what"]
    )


@pytest.mark.deep
def test_what_is_frozen_or_always_runs_is_told_and_stops_nobody(tmp_path: Path) -> None:
    """Also where two runs of it differ: nothing that git keeps is made of it."""
    repository = WarmRepository.create(tmp_path)
    assert isinstance(repository, WarmRepository)
    draw = "import uuid\n\nopen('drawn.txt', 'w').write(str(uuid.uuid4()))\n"
    text = (
        "stages:\n  drawn: {cmd: python draw.py, always_changed: true, outs: [drawn.txt]}\n"
        "  kept: {cmd: cat in.txt > kept.txt, deps: [in.txt], frozen: true, outs: [kept.txt]}\n"
        "  score: {cmd: 'cp kept.txt m.yaml', deps: [kept.txt], metrics: [m.yaml: {cache: false}]}\n"
    )
    for path, content in {".gitignore": "/.leverframe/\n", "in.txt": "a: 1\n", "draw.py": draw}.items():
        repository.write(path, content)
    repository.write("dvc.yaml", text.replace("frozen: true, ", ""))
    repository.dvc("repro", "--quiet")
    repository.write("dvc.yaml", text)
    commit = repository.commit("Base")
    repository.git("checkout", "--quiet", "-b", "change")
    repository.write("notes.md", "here\n")
    shape = RealShape(repository, commit, ("m.yaml",), "a", True, ("", "", ""), ("", "", ""))
    assert any(note.startswith("drawn: runs always") for note in _asked(shape, "check", 0)["notes"])
    notes = "\n".join(_asked(shape, "reproduce", 0)["notes"])
    assert "two runs of `drawn` from the same inputs give different outputs; the metrics are the same" in notes
    assert "frozen or imported, so not run: `kept`" in notes
