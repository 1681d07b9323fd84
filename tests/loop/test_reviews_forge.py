"""Reviews, roles, teams, `CODEOWNERS` and what a judgement is bound to, read from the fake GitHub server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from leverframe.adapters.github.reviews import GithubReviews
from leverframe.domain.review.judge.judged import OwnerReview
from leverframe.domain.review.judge.owners import ReviewContext, resolved
from leverframe.errors import PublishError
from leverframe.local.github import schema
from leverframe.local.github.events import pull_request_event, review_event, workflow_run_event
from leverframe.local.github.pages import pull_page
from leverframe.local.github.server import LocalForge, serving
from leverframe.local.github.state import Check, PullRequest, Repository, Token, WorkflowRun
from leverframe.local.repository import TemporaryRepository

NAME, SECRET, APP = "acme/ml", "ghs_reads_reviews", "ghs_of_an_app"
RULES = "src/ @ada @acme/ml\n"


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[LocalForge]:
    """A fake GitHub server with a repository that has owners; one token is of a workflow, one of an App."""
    with serving(tmp_path / "server") as server:
        repository = Repository.create("acme", "ml", tmp_path / "server")
        repository.roles |= {"ada": "write", "mel": "write", "max": "maintain"}
        repository.teams["acme/ml"] = {"mel"}
        server.repositories[NAME] = repository
        server.tokens |= {SECRET: Token("github-actions[bot]"), APP: Token("gate[bot]", teams=True)}
        work = TemporaryRepository.create(tmp_path / "work")
        work.write("docs/CODEOWNERS", "* @nobody\n")
        work.write(".github/CODEOWNERS", RULES)
        work.commit("Owners")
        work.git("push", "--quiet", str(repository.path), "HEAD:main")
        for name in ("one", "two"):
            work.write(f"src/{name}.py", name)
            work.commit(name)
            work.git("push", "--quiet", str(repository.path), f"HEAD:{name}")
        yield server
        assert server.violations == []


def opened(forge: LocalForge, branch: str = "one", base: str = "main") -> tuple[Repository, PullRequest]:
    """Open a pull request of `bob`."""
    repository = forge.repositories[NAME]
    return repository, repository.open_pull(branch, branch, base=base, author="bob")


def reading(forge: LocalForge, token: str = SECRET) -> GithubReviews:
    """Return the adapter with a token."""
    return GithubReviews(forge.address, NAME, token)


def missing(forge: LocalForge, pull: PullRequest, token: str = SECRET) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what is missing for one path of code, with the notes, after asking the server for all of it."""
    github = reading(forge, token)
    by = ReviewContext(pull.head, pull.author, github.rules(github.tip("main")), github)
    review, notes = resolved(OwnerReview(1, ("src/one.py",), ("src/one.py",)), github.reviews(pull.number), by)
    return review.missing, notes


def test_an_approval_lasts_until_the_next_push(forge: LocalForge) -> None:
    """It is bound to the commit; an author, and somebody who only reads, change nothing."""
    repository, pull = opened(forge)
    assert missing(forge, pull) == (("src/one.py",), ())
    repository.review(pull, "eve")
    repository.review(pull, "bob", "COMMENTED", "approve")
    assert missing(forge, pull) == (("src/one.py",), ())
    review = repository.review(pull, "Ada")
    assert missing(forge, pull) == ((), ())
    pull.reviews[-1] = replace(review, state="DISMISSED")
    assert missing(forge, pull) == (("src/one.py",), ())
    pull.reviews[-1] = replace(review, commit=repository.commit("main"))
    assert missing(forge, pull) == (("src/one.py",), ())


def test_a_team_is_read_by_an_app_alone(forge: LocalForge) -> None:
    """The token of a workflow may not: the approval does not count, and the note says why."""
    repository, pull = opened(forge)
    repository.review(pull, "mel")
    paths, notes = missing(forge, pull)
    assert paths == ("src/one.py",)
    assert "acme/ml" in notes[0]
    assert missing(forge, pull, APP) == ((), ())


def test_reviews_are_read_to_the_last_page(forge: LocalForge) -> None:
    """The one that counts may be the hundred and first."""
    repository, pull = opened(forge)
    for _ in range(101):
        repository.review(pull, "eve", "COMMENTED", "hm")
    repository.review(pull, "ada")
    assert missing(forge, pull) == ((), ())


def test_roles_and_rules_as_github_tells_them(forge: LocalForge) -> None:
    """The newer field knows who maintains; the first place of the rules counts; where none is, there are none."""
    github, repository = reading(forge), forge.repositories[NAME]
    assert [github.role(login) for login in ("max", "ada", "acme", "eve")] == ["maintain", "write", "admin", "read"]
    assert github.rules(github.tip("main")) == RULES
    empty = repository.git("commit-tree", "4b825dc642cb6eb9a060e54bf8d69288fbee4904", "-m", "empty").strip()
    assert github.rules(empty) == ""
    with pytest.raises(PublishError, match="look up the branch gone"):
        github.tip("gone")


def test_pull_requests_of_a_base_and_the_run_of_a_commit(forge: LocalForge) -> None:
    """Newest first and open ones alone; a run of another workflow, event or commit is not the one that left a claim."""
    repository, first = opened(forge)
    repository.git("branch", "release", "main")
    second, third = opened(forge, "two")[1], opened(forge, "two", "release")[1]
    closed = opened(forge, "one", "release")[1]
    closed.state = "closed"
    github = reading(forge)
    assert [pull.number for pull in github.pulls_into("main")] == [second.number, first.number]
    assert [pull.number for pull in github.pulls_into()] == [third.number, second.number, first.number]
    assert (github.default_branch, github.pulls_into("main")[1].author) == ("main", "bob")
    runs = [
        (5, "pull request", "pull_request", first.head), (6, "tests", "pull_request", first.head),
        (7, "pull request", "schedule", first.head), (8, "pull request", "pull_request", second.head),
        (4, "pull request", "pull_request", first.head),
    ]  # fmt: skip
    repository.runs += [
        WorkflowRun(number, "pull-request.yml", "one", head, "bob", event, name) for number, name, event, head in runs
    ]
    repository.runs.append(
        WorkflowRun(9, "x.yml", "one", first.head, "bob", "pull_request", "pull request", conclusion="skipped")
    )
    assert github.run_of(first.head, ["pull request"]) == 5
    assert github.run_of(repository.commit("main"), ["pull request"]) == 0


def test_events_are_those_of_githubs_schemas(forge: LocalForge) -> None:
    """Each of them is checked when it is made; another base is told with the one before."""
    repository, pull = opened(forge)
    retarget = pull_request_event(repository, pull, "edited", before="main")
    assert retarget["changes"]["base"]["ref"] == {"from": "main"}
    assert "base" not in pull_request_event(repository, pull, "edited")["changes"]
    assert review_event(repository, pull, "dismissed")["review"]["state"] == "dismissed"
    requested = workflow_run_event(repository, pull, 7, "")
    assert (requested["action"], requested["workflow_run"]["conclusion"]) == ("requested", None)
    assert schema.webhook_fault("workflow_run$requested", requested) == ""


def test_a_check_in_progress_is_shown(forge: LocalForge) -> None:
    """The page of the pull request says that it is not over."""
    repository, pull = opened(forge)
    repository.checks.append(Check(1, pull.head, "leverframe", "in_progress", None, "judging", ""))
    assert "◔ leverframe" in pull_page(repository, pull)
