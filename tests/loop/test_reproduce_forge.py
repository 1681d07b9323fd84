"""A default branch that does not reproduce, on the local forge: one issue, and no later commit gets past it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
import pytest

from leverframe.domain.project import WHOLE, Project
from leverframe.domain.review.reproduce import Reproduced
from leverframe.domain.review.reproduce_issue import REPRODUCE, subject
from leverframe.domain.single_issue import Edit, Editing, Issue, IssueToOpen
from leverframe.domain.verdict import Reason, Violation
from leverframe.local.github import Fault, LocalForge, Token, serving
from leverframe.local.github.state import Issue as OnForge
from leverframe.local.github.state import WorkflowRun
from leverframe.local.repository import TemporaryRepository
from tests.integration.shop import Ended, Shop
from tests.integration.test_reproduce_claims import FLIPPED, claims
from tests.warm import warm

__all__ = ["claims"]  # a fixture
NAME, SECRET = "acme/claims", "ghs_not_to_be_seen_anywhere"


@dataclass
class World:
    """A repository with a pipeline, and the forge that it is pushed to."""

    server: LocalForge
    repository: TemporaryRepository
    workflow: str = ""

    @property
    def issues(self) -> list[OnForge]:
        """The issues on the forge."""
        return list(self.server.repositories[NAME].issues.values())

    def verify(self, *arguments: str, code: int = 0) -> Ended:
        """Verify the commit here as the job before a deployment does, and tidy up."""
        ended = self.run(*arguments)
        assert ended.code == code, ended.stderr + ended.stdout
        assert SECRET not in ended.stderr + ended.stdout
        self.repository.git("checkout", "--quiet", "--force", ".")
        return ended

    def run(self, *arguments: str, **job: str) -> Ended:
        """Run `reproduce --issue` in a job with variables of its own."""
        place = {"GITHUB_REPOSITORY": NAME, "GITHUB_API_URL": self.server.address, "GITHUB_TOKEN": SECRET}
        place["GITHUB_WORKFLOW_REF"] = self.workflow
        environment = self.repository.environment | place | job
        done = warm().run("leverframe", ["reproduce", "--issue", *arguments], self.repository.root, environment)
        return Ended(done.returncode, done.stdout, done.stderr)

    def methods(self, *arguments: str, code: int) -> set[str]:
        """Verify, and return the methods of the requests to the forge."""
        before = len(self.server.requests)
        self.verify(*arguments, code=code)
        return {request.method for request in self.server.requests[before:]}


@pytest.fixture
def world(claims: Shop, tmp_path: Path) -> Iterator[World]:
    """Return the pipeline of the forged locks beside a forge; no call violates its description."""
    with serving(tmp_path / "forge") as server:
        server.tokens[SECRET] = Token("github-actions[bot]")
        server.repository(NAME)
        repository = claims.repository
        repository.git("checkout", "--quiet", "--force", "-B", "merged", "main")
        repository.dvc("checkout", "--quiet", "--force")
        yield World(server, repository)
        repository.git("checkout", "--quiet", "--force", "main")
        assert server.violations == []


@pytest.mark.deep
def test_a_mismatch_on_main_has_one_issue_and_stops_what_comes_after_it(world: World) -> None:
    """Opened once; a later commit that touches no stage fails as well; a run of an old commit changes nothing.

    Once a commit reproduces, the issue closes by itself.
    """
    repository = world.repository
    one = repository.git("rev-parse", "HEAD").strip()
    assert world.methods("--base", one, code=0) == {"GET"}
    assert world.issues == []
    repository.write("params.yaml", "build: 2\n")
    (repository.root / "table.parquet").unlink()
    pl.DataFrame(FLIPPED).write_parquet(repository.root / "table.parquet")
    repository.dvc("commit", "--force")
    two = repository.commit("Labels written by hand")
    assert "POST" in world.methods("--base", one, code=30)
    (issue,) = world.issues
    assert (issue.title, issue.labels, issue.state) == ("The default branch does not reproduce", ["reproduce"], "open")
    assert "`lock-mismatch`" in issue.body
    assert "`table.parquet` of `build`" in issue.body
    assert f"git checkout {two}\nleverframe reproduce --base {one}" in issue.body
    assert f"The last commit that reproduced is `{one[:12]}`" in issue.body
    assert world.methods("--base", one, code=30) == {"GET"}
    repository.write("docs/notes.md", "Notes.\n")
    three = repository.commit("Notes")
    world.verify("--base", two, code=30)  # compared with the first commit, whatever the event names
    assert three in issue.body
    repository.git("checkout", "--quiet", "--detach", one)
    repository.dvc("checkout", "--quiet", "--force")
    assert world.methods("--base", one, code=0) == {"GET"}
    assert issue.state == "open"
    repository.git("checkout", "--quiet", "merged")
    issue.state, issue.reason = "closed", "not_planned"
    assert world.methods("--base", two, code=30) == {"GET"}  # nobody is told again, and nothing is deployed
    repository.dvc("repro", "--force")
    four = repository.commit("What the stages write")
    world.verify("--base", three)
    assert len(world.issues) == 1
    assert f"`{four[:12]}` reproduces what it commits" in issue.body
    assert world.methods("--base", three, code=0) == {"GET"}


def test_a_commit_whose_run_was_cancelled_is_verified_with_the_next_one(world: World) -> None:
    """The event names it as the one before; the last run that succeeded was earlier, on this branch, after a push."""
    repository, server = world.repository, world.server.repositories[NAME]
    server.git("symbolic-ref", "HEAD", "refs/heads/main")
    repository.write(".github/workflows/merge.yml", "on: push\n")
    one = repository.commit("A workflow")
    repository.git("push", "--quiet", "--force", str(server.path), f"{one}:refs/heads/main")
    world.workflow = f"{NAME}/.github/workflows/merge.yml@refs/heads/main"
    repository.write("params.yaml", "build: 2\n")
    (repository.root / "table.parquet").unlink()
    pl.DataFrame(FLIPPED).write_parquet(repository.root / "table.parquet")
    repository.dvc("commit", "--force")
    two = repository.commit("Labels written by hand")
    repository.write("docs/notes.md", "Notes.\n")
    repository.commit("Notes")
    world.verify("--base", two)  # no run is known, so what the event names counts
    for number, (commit, conclusion, event, branch) in enumerate(
        ((one, "success", "push", "main"), (two, "cancelled", "push", "main"), (two, "success", "push", "side"),
         (two, "success", "workflow_dispatch", "main"), ("f" * 40, "success", "push", "main")), 900,
    ):  # fmt: skip
        server.runs.append(WorkflowRun(number, "merge.yml", branch, commit, "x", event, conclusion=conclusion))
    world.verify("--base", two, code=30)
    (issue,) = world.issues
    assert f"The last commit that reproduced is `{one[:12]}`" in issue.body


@pytest.mark.deep
def test_a_lost_answer_leaves_one_open_issue_and_no_forge_is_an_error(world: World) -> None:
    """GitHub opened it, and the client asked again; a full run that fails knows no commit that reproduced."""
    repository = world.repository
    repository.write("reports/metrics.json", '{"auc":0.9}\n')
    repository.dvc("commit", "--force")
    repository.commit("A figure written by hand")
    world.server.faults.append(Fault("POST", "/issues$", 502, 1, late=True))
    world.verify("--full", code=30)
    first, second = world.issues
    assert (first.state, second.state, second.reason) == ("open", "closed", "duplicate")
    assert "No commit is known to have reproduced before" in first.body
    assert "leverframe reproduce --full" in first.body
    assert "comparing with everything" in world.verify(code=30).stderr
    event = repository.root / ".leverframe/event.json"
    event.write_text(json.dumps({"repository": {"default_branch": "main"}}), encoding="utf-8")
    place = {"GITHUB_EVENT_NAME": "workflow_dispatch", "GITHUB_EVENT_PATH": str(event)}
    ended = world.run(**place, GITHUB_REF="refs/heads/side")
    assert "`side` is not the default branch" in ended.stderr
    assert ended.code not in (0, 30)
    ended = world.run(GITHUB_TOKEN="")
    assert "there is no forge to open an issue on" in ended.stderr
    assert ended.code not in (0, 30)


def test_who_closes_the_issue_is_told_of_another_mismatch_only() -> None:
    """Each project has an issue of its own; one that was closed by hand says so once all is well."""
    failed = Reproduced("c" * 40, violations=(Violation(Reason.METRICS_FORGED, "`auc` 0.8 in git", "run it"),))
    opening = REPRODUCE.step([], subject(failed, "", WHOLE))
    assert isinstance(opening, IssueToOpen)
    closed = Issue(1, opening.title, opening.body, open=False, reason="not_planned")
    assert REPRODUCE.step([closed], subject(failed, "", WHOLE)) == Editing(closed, None)
    assert isinstance(REPRODUCE.step([closed], subject(failed, "", Project("services/ml"))), IssueToOpen)
    other = replace(failed, violations=(Violation(Reason.STAGE_FAILED, "`train` failed", "look"),))
    again = REPRODUCE.step([closed], subject(other, "", WHOLE))
    assert isinstance(again, Editing)
    assert again.edit is not None
    assert again.edit.open
    passed = REPRODUCE.step([closed], subject(Reproduced("d" * 40), "", WHOLE))
    assert isinstance(passed, Editing)
    assert passed.edit is not None
    settled = replace(closed, body=passed.edit.body or "")
    assert passed.edit == Edit(body=settled.body)
    assert REPRODUCE.step([settled], subject(Reproduced("d" * 40), "", WHOLE)) == Editing(settled, None)


def test_many_long_violations_fit_into_an_issue() -> None:
    """GitHub takes 65,536 characters."""
    violation = Violation(Reason.LOCK_MISMATCH, "`a` and `b`; " * 5000, "run `dvc repro`")
    assert len(subject(Reproduced("c" * 40, violations=(violation,) * 500), "", WHOLE).text) < 60_000
