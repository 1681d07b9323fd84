"""Lines of CODEOWNERS for what no code of a base branch can judge."""

from __future__ import annotations

from pathlib import Path

import pytest

from leverframe import wiring
from leverframe.application.owner_steps import owner_steps
from leverframe.domain.pipeline.owner_lines import completed_with, owner, patterns
from leverframe.domain.project import WHOLE, Project
from leverframe.errors import SettingsError
from leverframe.local.repository import TemporaryRepository

TRACKED = ["pipelines/shop/model.py", "setup.py", "data/raw/rows.csv", ".github/scripts/x.py", "libs/a/b.sql"]


def test_workflows_code_packages_and_the_file_itself_have_owners() -> None:
    """Data and reports have none: what they are, the judge finds out."""
    globs = patterns(WHOLE, TRACKED, ".github/CODEOWNERS")
    assert globs == [
        "/.github/", "/.github/CODEOWNERS", "/.gitattributes", "/.gitmodules", "/libs/", "/pipelines/", "/dvc.yaml",
        "/leverframe.yaml", "/requirements.lock", "/.dvc/config", "/.dvcignore", "/*.py",
    ]  # fmt: skip


def test_nothing_is_said_of_a_rule_that_nobody_asked_the_forge_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A branch may well have one: `init` works without a network."""
    repository = TemporaryRepository.create(tmp_path)
    repository.write("dvc.yaml", "stages: {}\n")
    monkeypatch.chdir(repository.root)
    sentences = [getattr(step, "what", "") for step in owner_steps(wiring.workspace(), None, first=True)]
    assert "`init` did not ask whether the branch has a rule" in sentences
    assert owner_steps(wiring.workspace(), None, first=False) == []


def test_a_project_in_a_folder_owns_that_folder() -> None:
    """Its patterns begin at the top of the repository; a blank is escaped as GitHub wants it."""
    globs = patterns(Project("services/my ml"), ["train/fit.py"], "CODEOWNERS")
    assert "/services/my\\ ml/train/" in globs
    assert "/services/my\\ ml/dvc.yaml" in globs
    assert "/CODEOWNERS" in globs


@pytest.mark.parametrize("text", ["", "* @acme/all\n", "* @acme/all"])
def test_lines_that_are_there_stay(text: str) -> None:
    """The block comes to the end, where it decides; a second time nothing changes, and two projects have two blocks."""
    once = completed_with(text, WHOLE, ["/.github/"], "@acme/ml")
    assert once.startswith(text)
    assert once.endswith("\n/.github/ @acme/ml\n")
    assert completed_with(once, WHOLE, ["/.github/", "/more/"], "@acme/others") == once
    both = completed_with(once, Project("services/ml"), ["/services/ml/"], "@acme/ml")
    assert both.startswith(once)
    assert both.endswith("/services/ml/ @acme/ml\n")


@pytest.mark.parametrize("given", ["@ann", "@acme/ml-team", "ann@acme.io"])
def test_who_can_own(given: str) -> None:
    """A login, a team, an address."""
    assert owner(given) == given


@pytest.mark.parametrize(
    "given",
    ["", "ann", "@", "@LOGIN", "@org/team", "@OWNER", "@a b", "@ann @bob", "@ann\n* @eve", "@-a", "you@example.com"],
)
def test_a_placeholder_owns_nothing(given: str) -> None:
    """GitHub ignores a line whose owner it does not know, so that everybody could approve."""
    with pytest.raises(SettingsError, match="is no owner"):
        owner(given)
