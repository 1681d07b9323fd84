"""The card of a repository of infrastructure alone: green by its plan, and no way for others to get one like it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from leverframe.domain import layout
from tests.integration.infra_repository import SETTINGS, InfraRepository

PARTS = {"params.yaml": "data: {}\n", "dvc.yaml": "stages: {}\n", "part/dvc.yaml": "stages: {}\n"}
OTHER = SETTINGS.replace("'1'", "'2'")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> InfraRepository:
    """A repository of infrastructure, with a branch."""
    made = InfraRepository.create(tmp_path, monkeypatch, capsys)
    made.repository.git("checkout", "--quiet", "-b", "branch")
    return made


def page(place: InfraRepository) -> str:
    """Return the card that was written last."""
    return (place.repository.root / layout.REPORT).read_text(encoding="utf-8")


def reasons(place: InfraRepository, *arguments: str) -> list[str]:
    """Return the reasons of the verdict of the card."""
    ran = place.run("report", "--publisher", "file", "--json", *arguments)
    return list(ran.json["reasons"])


@pytest.mark.skipif(not shutil.which("terraform"), reason="there is no `terraform` on PATH")
def test_the_card_is_the_plan_and_its_verdict(place: InfraRepository) -> None:
    """Nobody asks for DVC, a star or a gate; without a plan the card is red, and with a failed check."""
    place.change(OTHER)
    assert reasons(place) == ["plan-failed"]
    place.done("infra-plan")
    place.done("report", "--publisher", "file", "--exit-code")
    assert "ready to merge" in page(place)
    assert "leverframe infra-plan --environment local" in page(place)
    for word in ("dvc", "star.yaml", "DVC", "leverframe gate"):
        assert word not in page(place)
    place.change(SETTINGS.replace("'1'", "'7'"))
    assert place.run("infra-plan").code == 30
    assert place.run("report", "--publisher", "file", "--exit-code").code == 30
    assert "infra-check-failed" in page(place)


def test_an_environment_that_is_not_declared_any_more_is_told(place: InfraRepository) -> None:
    """Its resources live on, and nobody plans them."""
    place.change(SETTINGS.replace("local:", "other:"))
    reasons(place)
    assert "infrastructure `local` is not declared any more" in page(place)
    assert "`leverframe infra destroy --environment local` in a checkout of" in page(place)
    assert "out of `INFRA_ENVIRONMENTS`" in page(place)
    place.change(SETTINGS.replace("environments: {", "environments: {other: {}, "))
    reasons(place)
    assert "not declared any more" not in page(place)


def test_drift_of_edited_files_is_not_that_of_the_commit(place: InfraRepository) -> None:
    """Nobody is told that the commit declares what only stands in the folder."""
    if not shutil.which("terraform"):
        pytest.skip("there is no `terraform` on PATH")
    assert f"is not what {place.repository.git('rev-parse', 'HEAD')[:12]} declares" in place.done("infra", "drift").out
    place.repository.write("leverframe.yaml", OTHER)
    assert "`local` is not what the edited files here declare: " in place.done("infra", "drift").out


def test_the_first_steps_say_what_is_missing(tmp_path: Path, place: InfraRepository) -> None:
    """No repository, and no module where `init` writes one."""
    place.repository.git("mv", "terraform", "elsewhere")
    ran = place.run("infra-plan")
    assert (ran.code, "let `leverframe init` write the one of a local server there" in ran.err) == (10, True)
    (tmp_path / "none").mkdir()
    (tmp_path / "none/leverframe.yaml").write_text(SETTINGS, encoding="utf-8")
    place.patch.setattr(place, "below", tmp_path / "none")
    ran = place.run("infra-plan")
    assert (ran.code, "this folder is not in a git repository" in ran.err) == (19, True)


def test_its_settings_are_those_of_levers(place: InfraRepository) -> None:
    """There are no stages to have any."""
    assert "local" in place.done("settings").json["infra"]["environments"]
    assert place.run("settings", "--file", "params.yaml").code == 10


@pytest.mark.parametrize("path", [*PARTS, "leverframe.yaml"])
@pytest.mark.parametrize("where", ["head", "base", "tip", "fork"])
def test_a_pipeline_anywhere_is_judged(place: InfraRepository, where: str, path: str) -> None:
    """Who removes it, who brings the first one, and whose branch is older or younger than it."""
    git = place.repository.git
    text = PARTS.get(path, f"{SETTINGS}gate: {{}}\n")
    if where != "head":
        git("checkout", "--quiet", "main")
    place.repository.write(path, text)
    place.repository.commit("Bring a pipeline")
    if where in ("base", "fork"):
        git("checkout", "--quiet", "-B", "branch")
        git("rm", "--quiet", "--cached", path)
        (place.repository.root / path).unlink()
        place.change(OTHER, "Remove it")
    if where == "fork":  # it is not on main any more, either
        git("checkout", "--quiet", "main")
        git("revert", "--no-edit", "HEAD")
    if where in ("tip", "fork"):
        git("checkout", "--quiet", "branch")
    assert "not-run" in reasons(place)


def test_settings_that_are_not_valid_are_not_green(place: InfraRepository) -> None:
    """Neither those that are no YAML, nor those that do not fit, nor an empty file."""
    for settings in ("infra: [", "infra: {environments: {local: {nonsense: 1}}}\n", ""):
        place.change(settings)
        assert "not-run" in reasons(place), settings


def test_who_posts_a_card_decides_by_its_own_checkout(place: InfraRepository) -> None:
    """The job that made it ran code of the pull request."""
    place.change(OTHER)
    reasons(place)
    card = place.repository.root / ".leverframe/card.json"
    shutil.copy(place.repository.root / layout.REPORT.with_suffix(".json"), card)
    assert json.loads(card.read_text(encoding="utf-8"))["pipeline"] is False
    assert reasons(place, "--card", str(card)) == ["not-judged", "plan-failed"]
    place.repository.git("checkout", "--quiet", "main")
    place.repository.write("dvc.yaml", "stages: {}\n")
    assert reasons(place, "--card", str(card)) == ["not-judged", "plan-failed", "tool-broke"]
