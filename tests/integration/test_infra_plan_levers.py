"""Plans of real Terraform from the command line: what they show, what refuses them, and what is missing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from leverframe.domain.verdict import Reason
from tests.integration.infra_repository import ROOT, InfraRepository

pytestmark = pytest.mark.skipif(not shutil.which("terraform"), reason="there is no `terraform` on PATH")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> InfraRepository:
    return InfraRepository.create(tmp_path, monkeypatch, capsys)


def settings(size: str = "1", **more: object) -> str:
    """Return settings of the environment local."""
    local = {"variables": {"size": size}, "lock_timeout_seconds": 0, **more}
    return json.dumps({"infra": {"environments": {"local": local}}})


def test_a_plan_shows_each_change_and_is_left_for_the_card(place: InfraRepository, tmp_path: Path) -> None:
    """In a file that only this user reads; nothing lies beside the root module, nothing saved stays."""
    outputs = tmp_path / "outputs"
    ran = place.done("infra-plan", GITHUB_OUTPUT=str(outputs))
    planned = place.planned()
    assert planned.plan is not None
    assert "`local`, 2 to create, 1 output" in ran.out
    assert '      + input = "1"' in ran.out
    assert f"digest {planned.plan.digest}" in ran.out
    assert [change.address for change in planned.plan.changes] == ["terraform_data.server", "terraform_data.store"]
    assert planned.head == place.repository.git("rev-parse", "HEAD").strip()
    assert {(place.folder / "plan.json").stat().st_mode & 0o777, place.folder.stat().st_mode & 0o777} == {0o600, 0o700}
    assert sorted(path.name for path in (place.repository.root / ROOT).iterdir()) == ["main.tf"]
    assert "changes" in outputs.read_text()
    assert (
        json.loads((place.repository.root / ".leverframe/levers/infra-plan.json").read_text())["environment"] == "local"
    )
    again = place.done("infra-plan", "--json").json
    assert (again["verdict"], again["plan"]["digest"]) == ("passed", planned.plan.digest)
    steps = place.done("infra-plan", "--dry-run").out.splitlines()
    assert [step.split()[0] for step in steps] == ["initialise", "plan", "guard"]


def test_what_is_not_of_the_commit_is_told(place: InfraRepository) -> None:
    """The plan is of the files that are here."""
    assert "not of the commit" not in place.done("infra-plan").out
    place.repository.write(f"{ROOT}/more.tf", "locals { more = 1 }\n")
    place.repository.write("elsewhere/main.tf", "# of another root module")
    place.repository.write(f"{ROOT}/user_data.sh", "echo")
    assert f"as they are here: {ROOT}/more.tf, {ROOT}/user_data.sh\n" in place.done("infra-plan").out


def test_an_environment_that_is_removed_is_told_of(place: InfraRepository) -> None:
    """By every plan of the change, and by the command that names it; nothing is destroyed, nothing forgotten."""
    both = json.loads(settings())
    both["infra"]["environments"]["gone"] = {"root": ROOT, "workspace": "gone", "protected": ["*"]}
    before = place.change(json.dumps(both))
    place.repository.git("switch", "--quiet", "--create", "remove")
    assert "declared any more" not in place.done("infra-plan", "--environment", "local").out
    place.change(settings())
    (note,) = [line for line in place.done("infra-plan").out.splitlines() if "declared any more" in line]
    way = f"`leverframe infra destroy --environment gone` in a checkout of {before[:12]}"
    assert way in note
    for command in (("infra-plan",), ("infra-apply",), ("infra", "destroy")):
        ran = place.run(*command, "--environment", "gone")
        assert (ran.code, way in ran.err) == (10, True)


def test_a_failed_check_is_red(place: InfraRepository) -> None:
    """Unless the base and the change say that it is only shown."""
    place.change(settings("7"))
    ran = place.run("infra-plan")
    assert ran.code == 30
    assert "infra-check-failed: a check fails: `check.size` (seven is no size)" in ran.out
    place.change(settings("7", failed_checks="show"))
    assert "check check.size: fail" in place.done("infra-plan").out


def test_no_pull_request_takes_a_protection_away_and_destroys(place: InfraRepository) -> None:
    """Of the tip of the base; the label of the pull request allows it, as it is in the event of the run."""
    place.change(settings(protected=["terraform_data.server"]))
    place.done("infra-plan")
    place.done("infra-apply")
    place.repository.git("checkout", "--quiet", "-b", "change")
    place.change(settings("2"))
    ran = place.run("infra-plan", "--base", "main")
    assert ran.code == 30
    assert "destroy-protected: the plan destroys or replaces what is protected: `terraform_data.server`" in ran.out
    assert "let somebody give the pull request the label `infra-destroy`" in ran.out
    sha = "a" * 40
    event = place.repository.root.parent / "event.json"
    pull = {
        "number": 7,
        "head": {"sha": sha, "repo": {"full_name": "acme/shop"}},
        "labels": [{"name": "infra-destroy"}],
    }
    event.write_text(json.dumps({"pull_request": pull}))
    named = {"GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": str(event), "GITHUB_REPOSITORY": "acme/shop"}
    assert "a label allows what becomes of it" in place.done("infra-plan", "--base", "main", **named).out


def test_a_plan_that_cannot_be_made_is_red_and_left_for_the_card(place: InfraRepository) -> None:
    """A mistake in the configuration, and a backend that cannot be reached, are violations with Terraform's words."""
    place.repository.write(f"{ROOT}/more.tf", 'resource "terraform_data" "x" { inputs = 1 }\n')
    ran = place.run("infra-plan")
    assert ran.code == 30
    assert "plan-failed" in ran.out
    assert "inputs" in ran.out
    planned = place.planned()
    assert (planned.plan, [violation.reason for violation in planned.violations]) == (None, [Reason.PLAN_FAILED])
    place.repository.write(f"{ROOT}/more.tf", 'terraform {\n  backend "http" {\n  }\n}\n')
    ran = place.run("infra-plan")
    assert ran.code == 30
    assert "address" in ran.out


def test_what_is_missing_is_named(place: InfraRepository, tmp_path: Path) -> None:
    """Environments, root modules, secrets, an identity, the program: one error each, with the step that helps."""
    assert "did you mean `local`?" in place.run("infra-plan", "--environment", "locale").err
    missing = place.run("infra-apply", "--environment", "production")
    assert (missing.code, "known names: `local`" in missing.err) == (10, True)
    ran = place.run("infra-plan", "--role", "arn:aws:iam::123456789012:role/plan", "--region", "eu-central-1")
    assert (ran.code, "id-token: write" in ran.err) == (42, True)
    assert place.run("infra-plan", "--role", "plan", "--region", "eu-central-1").code == 42
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("git", "sh"):
        (programs / name).symlink_to(shutil.which(name) or name)
    ran = place.run("infra-plan", PATH=str(programs))
    assert ran.code == 33
    assert "Terraform" in ran.err or "terraform" in ran.err
    place.change(settings(secrets={"secret": "SHOP_SECRET"}))
    ran = place.run("infra-plan")
    assert (ran.code, "SHOP_SECRET is not set" in ran.err) == (10, True)
    assert "SHOP_SECRET is empty" in place.run("infra-plan", SHOP_SECRET="").err
    place.done("infra-plan", SHOP_SECRET="not to be seen")  # noqa: S106
    two = json.loads(settings())
    two["infra"]["environments"]["other"] = {}
    place.change(json.dumps(two))
    ran = place.run("infra-plan")
    assert (ran.code, "declares `local`, `other`" in ran.err) == (10, True)
    ran = place.run("infra-plan", "--environment", "other")
    assert (ran.code, "terraform/environments/other is not there" in ran.err) == (10, True)
    place.change("gate: {}\n")
    assert "declare one first" in place.run("infra", "drift").err
    place.repository.git("rm", "-q", "leverframe.yaml")
    assert "there is no leverframe.yaml in" in place.run("infra", "drift").err
    place.repository.git("update-ref", "-d", "HEAD")
    place.repository.write("leverframe.yaml", settings())
    assert "commit something first" in place.run("infra-plan").err


def test_a_folder_below_and_a_disk_that_refuses(place: InfraRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command finds the root from below; where nothing can be written, it says where."""
    monkeypatch.setattr(place, "below", ROOT)
    assert "2 to create" in place.done("infra-plan").out
    shutil.rmtree(place.repository.root / ".leverframe")
    place.repository.write(".leverframe", "no folder")
    ran = place.run("infra-plan")
    assert (ran.code, "cannot write" in ran.err) == (17, True)


def test_without_terraform_everything_else_works(place: InfraRepository, tmp_path: Path) -> None:
    """In a repository that declares infrastructure; dry runs as well."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("git", "sh"):
        (programs / name).symlink_to(shutil.which(name) or name)
    for command in (
        ("settings", "--file", "leverframe.yaml"), ("--help",), ("infra-plan", "--dry-run"),
        ("infra-apply", "--dry-run"), ("infra", "drift", "--dry-run"), ("infra", "destroy", "--dry-run"),
    ):  # fmt: skip
        ran = place.run(*command, PATH=str(programs))
        assert (ran.code, ran.err) == (0, ""), command
    card = place.run("report", "--publisher", "file", PATH=str(programs))
    assert (card.code, "error" in card.err) == (0, False), card.err
