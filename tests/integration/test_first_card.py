"""From a clone to the first card with a verdict, in one `init` and one commit, in six repositories of other people."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from leverframe.domain.verdict import REFUSED
from tests.integration.real_shapes import SHAPES, RealShape, shared
from tests.integration.shop import Shop
from tests.profiles import by_day


def begun(shape: RealShape) -> Shop:
    """Return the project on main with what `init` wrote, committed, and a branch for a change.

    A figure whose name tells no direction gets its rule by hand, as the draft says.
    """
    project = shape.project
    shape.whole.git("checkout", "--quiet", "main")
    made = project.run("init", "--owner", "@anna")
    assert made.code == 0, made.stderr
    assert made.stdout.splitlines()[-1] == "next: leverframe gate"
    levers = project.root / "leverframe.yaml"
    if "gate:" not in levers.read_text().replace("# gate:", ""):
        rule = f"gate:\n  metrics:\n    {shape.figure}: {{maximum_drop: 0.01, direction: higher}}\n"
        levers.write_text(levers.read_text() + rule)
    shape.whole.commit("Judge pull requests")
    shape.whole.git("checkout", "--quiet", "-B", "change")
    return project


def card(project: Shop) -> str:
    """Let the levers run as the workflow runs them, and return the card."""
    for lever in ("check", "reproduce", "gate"):
        assert project.run(lever, "--base", "main").code in (0, REFUSED)
    assert project.run("report", "--base", "main", "--publisher", "file").code in (0, REFUSED)
    return (project.root / ".leverframe/report.md").read_text()


@pytest.mark.parametrize("name", by_day(SHAPES, "several_definitions"))
def test_one_init_and_one_commit_make_a_card_with_a_verdict(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    shape = shared(tmp_path_factory, name).copied(tmp_path)
    project = begun(shape)
    shape.better()
    good = card(project)
    assert "ready to merge" in good.splitlines()[1], good[:2000]
    assert "Evidence: " in good
    shape.whole.git("reset", "--quiet", "--hard", "main")
    project.repository.dvc("checkout", "--quiet", "--force")
    shape.worse()
    bad = card(project)
    assert "do not merge" in bad.splitlines()[1], bad[:2000]
    result = json.loads((project.root / ".leverframe/levers/gate.json").read_text())
    assert {violation["reason"] for violation in result["violations"]} <= {"metric-dropped", "metric-uncertain"}
    for word in ("star.yaml", "contracts.py", "params.yaml is", "a bug"):
        assert word not in good + bad
