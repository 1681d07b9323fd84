"""The pull request of a candidate on the local forge, over real git: faults, kills, people, and bases that move."""

from __future__ import annotations

import itertools
import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from leverframe.adapters.git import Git
from leverframe.adapters.git.host import Host, HostedGit
from leverframe.application.pull_requests import Published, PullOptions
from leverframe.application.retrain_pulls import (
    CandidateCommit,
    PulledBack,
    before_merge,
    publish,
    revert,
    standing,
)
from leverframe.application.workspace import Workspace
from leverframe.domain.retraining.attempt import Attempt, Outcome
from leverframe.domain.retraining.pulls.pull_commit import signed
from leverframe.domain.retraining.pulls.pull_record import read
from leverframe.domain.retraining.retrain_result import Retrained
from leverframe.domain.retraining.trigger import NotTriggered, Standstill
from leverframe.errors import ForgeUnreachableError, PublishError, RemoteUnreachableError
from leverframe.local.github import Fault, LocalForge, PullRequest, Repository, Token, serving
from leverframe.local.repository import TemporaryRepository
from leverframe.settings.levers import Levers
from leverframe.settings.retrain import RetrainSettings
from tests.fakes.pulls import attempt
from tests.profiles import by_day

SECRET, APP = "ghs_not_to_be_seen_anywhere", "ghs_of_an_app"
BOT, MODEL, BRANCH = "github-actions[bot]", "shop", "leverframe/retrain-shop"
WRITES = ("contents", "pull-requests", "issues", "actions")
BETTER, NOT_WORSE, WORSE = Outcome.BETTER, Outcome.NOT_WORSE, Outcome.WORSE
WORKFLOW = "name: leverframe\non:\n  pull_request:\n  workflow_dispatch:\njobs: {}\n"
PARAMS = "split:\n  train: {first: '2025-11-01', last: 'LAST'}\nmodel: {depth: 3}\n"
LOCK = """schema: '2.0'
stages:
  train:
    cmd: python train.py
    outs:
    - path: models/model.skops
      hash: md5
      md5: MODEL
      size: 12
"""
QUIET = NotTriggered(Standstill.QUIET, "no finding speaks for it")


class KilledError(BaseException):
    """The run was killed."""


@dataclass
class Place:
    """A repository on the forge, a clone in which the lever runs, and candidates made in clones of that."""

    server: LocalForge
    folder: Path
    author: TemporaryRepository
    name: str
    settings: RetrainSettings = field(default_factory=lambda: RetrainSettings(auto="merge-when-green"))
    clone: Path = Path()
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def forge(self) -> Repository:
        """The repository on the forge."""
        return self.server.repositories[self.name]

    @property
    def only(self) -> PullRequest:
        """The one pull request."""
        (pull,) = self.forge.pulls.values()
        return pull

    @property
    def workspace(self) -> Workspace:
        """The clone as a command has it."""

        def unread(*_: object) -> None:
            raise AssertionError

        return Workspace(self.clone, Git(self.clone), unread, Levers, unread)  # type: ignore[arg-type]

    def candidate(self, last: str, model: str = "") -> CandidateCommit:
        """Return a commit on the base tip that moves the window and records a run; the same for the same words."""
        there = standing(self.workspace, MODEL)
        root = self.folder / f"candidate-{next(self.numbers)}-{self.name.partition('/')[2]}"
        git = HostedGit(self.workspace.git.copied(there.base, root).root)
        (root / "params.yaml").write_text(PARAMS.replace("LAST", last), encoding="utf-8")
        (root / "dvc.lock").write_text(LOCK.replace("MODEL", model or last.replace("-", "") * 4), encoding="utf-8")
        environment = self.author.environment
        subprocess.run(["git", "add", "--all"], cwd=root, env=environment, check=True)
        tree = subprocess.check_output(["git", "write-tree"], cwd=root, env=environment, text=True).strip()
        message = signed("Retrain shop", "Why.", tree=tree, parent=there.base, evidence=attempt(evidence=last).evidence)
        return CandidateCommit(root, git.committed(tree, there.base, message), there.base)

    def run(self, outcome: Outcome = BETTER, last: str = "2026-02-01", **how: object) -> Published:
        """Publish a candidate; one that is worse has none to publish."""
        of = replace(attempt(outcome, last), base=standing(self.workspace, MODEL).base)
        candidate = self.candidate(last) if outcome in (BETTER, NOT_WORSE) else None
        return self.publish(of, candidate, **how)

    def publish(self, of: Attempt | None, candidate: CandidateCommit | None, **how: object) -> Published:
        """Publish what was made."""
        there = standing(self.workspace, MODEL)
        retrained = Retrained(MODEL, "production", "2026-03-11T06:00:00+00:00", of, None if of else QUIET)
        if of is None and how.pop("waiting", True):
            retrained = replace(retrained, waiting=replace(QUIET, standstill=Standstill.COOLING_DOWN))
        return publish(self.workspace, candidate, retrained, there, PullOptions(self.settings, **how))  # type: ignore[arg-type]

    def whole(self) -> None:
        """Hold the pull request to what a better candidate should have, nothing half and nothing twice."""
        pull = self.only
        record = read(pull.body)
        assert record is not None
        assert (pull.state, pull.draft, pull.author) == ("open", False, BOT)
        assert record.head == pull.head == record.checks
        assert pull.auto_merge is not None
        assert record.auto == "on"
        assert [run.head for run in self.forge.runs if run.head == pull.head] == [pull.head]
        branches = self.forge.git("for-each-ref", "--format=%(refname)", "refs/heads").split()
        assert branches == [f"refs/heads/{BRANCH}", "refs/heads/main"]

    def commit(self, path: str, text: str, branch: str = "main", words: str = "A change") -> str:
        """Let a person commit a file to a branch of the forge."""
        self.author.git("fetch", "--quiet", str(self.forge.path), branch)
        self.author.git("checkout", "--quiet", "--detach", "FETCH_HEAD")
        self.author.write(path, text)
        commit = self.author.commit(words)
        self.author.git("push", "--quiet", str(self.forge.path), f"HEAD:{branch}")
        self.server.pushed(self.forge)
        return commit


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LocalForge, Path, TemporaryRepository]]:
    """Run the forge, and make the repository of which each test gets a copy."""
    folder = tmp_path_factory.mktemp("retrain")
    author = TemporaryRepository.create(folder / "author", dvc=False)
    author.write("params.yaml", PARAMS.replace("LAST", "2026-01-01"))
    author.write("dvc.lock", LOCK.replace("MODEL", "0" * 32))
    author.write(".github/workflows/leverframe.yml", WORKFLOW)
    author.write(".dvc/config", "")
    author.commit("Start")
    with serving(folder / "forge") as server:
        server.tokens[SECRET] = Token(BOT, WRITES)
        server.tokens[APP] = Token("shop-retrain[bot]", WRITES)
        yield server, folder, author
        assert server.violations == []


@pytest.fixture
def place(started: tuple[LocalForge, Path, TemporaryRepository], monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Return a repository with one commit, cloned; in no file of the clones is the token."""
    server, folder, _ = started
    place = another(started, monkeypatch)
    yield place
    server.faults.clear()
    server.tokens[SECRET] = Token(BOT, WRITES)
    for root in folder.glob("c*-*"):
        for path in root.rglob("*"):
            assert not path.is_file() or SECRET.encode() not in path.read_bytes()


def another(
    started: tuple[LocalForge, Path, TemporaryRepository], monkeypatch: pytest.MonkeyPatch, like: Place | None = None
) -> Place:
    """Return one more such repository, private and with a rule for its main branch; the clone may be another's."""
    server, folder, author = started
    number = len(server.repositories)
    place = Place(
        server, folder, author, f"acme/shop-{number}", clone=like.clone if like else folder / f"clone-{number}"
    )
    forge = server.repository(place.name)
    forge.private, forge.required = True, {"main": {"model"}}
    start = author.git("rev-list", "--max-parents=0", "HEAD").strip()
    author.git("push", "--quiet", str(forge.path), f"{start}:refs/heads/main")
    if like is None:
        author.git("clone", "--quiet", str(forge.path), str(place.clone))
    for name, value in {
        **author.environment, "GITHUB_REPOSITORY": place.name, "GITHUB_TOKEN": SECRET,
        "GITHUB_API_URL": server.address, "GITHUB_SERVER_URL": server.address,
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    return place


def test_one_pull_request_from_the_first_candidate_to_the_merge(place: Place) -> None:
    """Opened with its checks started, left alone, updated in place on a base that moved, and merged by GitHub."""
    done = place.run()
    assert done.failure is None, done.failure
    assert [proposal.state for proposal in done.proposals] == ["ready"]
    place.whole()
    assert "No DVC remote is configured" in place.only.body
    assert place.run().steps == ()
    assert place.publish(None, None).steps == ()
    first = place.only.head
    place.commit("NOTES.md", "Notes.\n")
    place.commit("dvc.lock", LOCK.replace("MODEL", "1" * 32))  # a conflict with the branch as it stands
    assert place.run(BETTER, "2026-02-02").failure is None
    place.whole()
    assert place.only.head != first
    assert place.forge.git("rev-list", "--count", f"main..{BRANCH}").strip() == "1"
    _check(place, "model", place.only.head)
    assert place.only.merged
    assert "last: '2026-02-02'" in place.forge.git("show", "main:params.yaml")


def _check(place: Place, name: str, head: str) -> None:
    """Let a check pass at a commit."""
    body = f'{{"name": "{name}", "head_sha": "{head}", "status": "completed", "conclusion": "success"}}'
    place.server.tokens["checks"] = Token(BOT, ("checks",))
    request = urllib.request.Request(  # noqa: S310 - of the local forge
        f"{place.server.address}/repos/{place.name}/check-runs", body.encode(),
        {"Authorization": "token checks", "Content-Type": "application/json"},
    )  # fmt: skip
    urllib.request.urlopen(request).close()  # noqa: S310


LATE: dict[str, Any] = {"late": True, "status": 502}
LIMIT: dict[str, Any] = {
    "status": 403,
    "headers": {"Retry-After": "1"},
    "body": {"message": "You have exceeded a secondary rate limit"},
}
KINDS: dict[str, dict[str, Any]] = {
    "502": {"status": 502},
    "late": LATE,
    "403": {"status": 403, "body": {"message": "Resource not accessible by integration"}},
    "422": {"status": 422, "body": {"message": "Validation Failed"}},
    "secondary-limit": LIMIT,
    "outage": {"status": 503, "times": 40},
}
ONCE = ("502", "late", "403", "422")
SLOW = {  # each waits, where it is asked again
    "secondary-limit": [("POST", r"/pulls$"), ("POST", "/graphql$")],
    "outage": [("POST", "/dispatches$"), ("POST", "git-receive-pack$")],
}
CALLS = [
    ("GET", r"/pulls$"), ("GET", r"/pulls/1$"), ("POST", r"/pulls$"), ("PATCH", r"/pulls/1$"), ("POST", "/graphql$"),
    ("POST", "/dispatches$"), ("GET", "/runs$"), ("GET", "/info/refs$"), ("POST", "git-receive-pack$"),
]  # fmt: skip


@pytest.mark.parametrize("kind", by_day(KINDS, "late"))
def test_a_fault_at_any_call_leaves_nothing_half_after_the_next_run(
    started: tuple[LocalForge, Path, TemporaryRepository], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """It is passed over, or told with what to do; the next run finishes. Nothing is opened or started twice."""
    server = started[0]
    first = another(started, monkeypatch)
    of, candidate = replace(attempt(BETTER, "2026-02-01"), base="b" * 40), first.candidate("2026-02-01")
    for method, path in CALLS if kind in ONCE else SLOW[kind]:
        place = another(started, monkeypatch, first)
        there = standing(place.workspace, MODEL)
        fault = Fault(method, path, **KINDS[kind])
        server.faults.append(fault)
        retrained = Retrained(MODEL, "production", "2026-03-11T06:00:00+00:00", of, None)
        done = publish(place.workspace, candidate, retrained, there, PullOptions(place.settings))
        server.faults.clear()
        if done.failure:
            assert done.failure.next
            assert SECRET not in done.failure.render()
            assert place.publish(of, candidate).failure is None
        place.whole()
        assert place.publish(of, candidate).steps == (), (method, path)


def test_a_run_killed_before_any_step_is_finished_by_the_next(
    started: tuple[LocalForge, Path, TemporaryRepository], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a first candidate and of one that updates the pull request, a draft until then."""
    first = another(started, monkeypatch)
    draft = attempt(NOT_WORSE, "2026-02-01"), first.candidate("2026-02-01")
    better = attempt(BETTER, "2026-02-02"), first.candidate("2026-02-02")
    for before in (None, draft):
        for number in itertools.count():
            place = another(started, monkeypatch, first)
            if before:
                assert place.publish(*before).failure is None

            def tell(_: str, left: Iterator[int] = iter(range(number))) -> None:  # noqa: B008 - of this run
                if next(left, None) is None:
                    raise KilledError

            try:
                place.publish(*better, tell=tell)
            except KilledError:
                assert place.publish(*better).failure is None
                place.whole()
            else:
                assert number > 3
                break


def test_an_attempt_that_was_recorded_finishes_its_publication(place: Place) -> None:
    """GitHub did not let it open the pull request, and says which setting; switched on, nothing is trained again."""
    place.forge.opens = False
    done = place.run()
    assert done.failure is not None
    assert "Allow GitHub Actions to create and approve pull requests" in done.failure.next
    assert place.forge.commit(BRANCH)
    place.forge.opens = True
    assert place.publish(None, None, last=attempt(BETTER, "2026-02-01")).failure is None
    place.whole()


@pytest.mark.parametrize(
    ("lacking", "words"),
    [("contents", "permissions: {contents: write}"), ("pull-requests", "permissions: {pull-requests: write}"),
     ("actions", "permissions: {actions: write}")],
)  # fmt: skip
def test_a_permission_that_lacks_is_named(place: Place, lacking: str, words: str) -> None:
    """With the line that grants it."""
    place.server.tokens[SECRET] = Token(BOT, tuple(permission for permission in WRITES if permission != lacking))
    done = place.run()
    assert done.failure is not None
    assert words in done.failure.next


def test_a_branch_that_a_person_pushed_to_is_left_alone(place: Place) -> None:
    """Also by a candidate that is worse; a merge of the base by the button is no commit of a person."""
    place.run()
    place.commit("NOTES.md", "Notes.\n")
    _update_branch(place)
    assert standing(place.workspace, MODEL).ours
    assert place.run(BETTER, "2026-02-02").failure is None
    place.whole()
    head = place.commit("params.yaml", PARAMS.replace("LAST", "2026-02-03"), BRANCH, "Wait a day")
    body = place.only.body
    for outcome in (BETTER, WORSE):
        done = place.run(outcome, "2026-02-04")
        assert done.steps == ()
        assert done.notes == (f"{BRANCH} is left alone: it has commits that are not ours",)
    assert (place.only.head, place.only.body, place.only.state) == (head, body, "open")


def _update_branch(place: Place) -> None:
    """Press GitHub's button that merges the base into the branch."""
    forge = place.forge
    tree = forge.git("merge-tree", "--write-tree", BRANCH, "main").strip()
    parents = [part for branch in (BRANCH, "main") for part in ("-p", forge.commit(branch))]
    commit = forge.git("commit-tree", tree, *parents, "-m", f"Merge branch 'main' into {BRANCH}").strip()
    forge.git("update-ref", f"refs/heads/{BRANCH}", commit)
    place.server.pushed(forge)


def test_a_push_in_the_middle_is_not_lost(place: Place) -> None:
    """Somebody pushes while the plan runs: the lease refuses, and the next run leaves them alone."""
    place.run()

    def tell(step: str) -> None:
        if step.startswith("push"):
            place.commit("NOTES.md", "Mine.\n", BRANCH)

    done = place.run(BETTER, "2026-02-02", tell=tell)
    assert done.failure is not None
    assert "was moved since it was read" in done.failure.what
    assert "NOTES.md" in place.forge.git("ls-tree", "--name-only", BRANCH)
    assert place.run(BETTER, "2026-02-02").steps == ()


def test_what_is_moot_is_closed_with_the_reason(place: Place) -> None:
    """A later attempt is worse: a comment, closed, the branch removed; the same evidence is not proposed again."""
    place.run()
    place.server.faults.append(Fault("POST", "/comments$", late=True))
    done = place.run(WORSE, "2026-02-02")
    assert done.failure is None
    assert [proposal.state for proposal in done.proposals] == ["closed"]
    assert (place.only.state, place.forge.commit(BRANCH)) == ("closed", "")
    (comment,) = place.only.comments
    assert "gave a model that is worse" in comment.body
    assert place.run().steps == ()
    assert len(place.forge.pulls) == 1


def test_a_base_with_another_model_closes_it(place: Place) -> None:
    """Unless the same run brings a new candidate; a base that moved otherwise closes nothing."""
    place.run()
    place.commit("NOTES.md", "Notes.\n")
    assert place.publish(None, None).steps == ()
    place.commit("dvc.lock", LOCK.replace("MODEL", "1" * 32))
    assert place.publish(None, None).failure is None
    assert place.only.state == "closed"


def test_what_was_removed_from_the_base_is_not_brought_back(place: Place) -> None:
    """The branch holds it: auto-merge ends, the pull request is closed with the reason, or rebuilt by a candidate."""
    forge, start = place.forge, place.forge.commit("main")

    def rewrite() -> None:
        forge.git("update-ref", "refs/heads/main", start)
        place.commit("NOTES.md", "Other.\n")

    place.commit("secret.txt", "hunter2\n")
    assert place.run().failure is None
    assert place.only.auto_merge is not None
    place.commit("NOTES.md", "Notes.\n")
    assert place.publish(None, None).steps == ()  # a base that only moved
    rewrite()
    done = place.publish(None, None)
    assert done.failure is None
    assert done.steps[0] == "stop GitHub from merging it by itself"
    assert (place.only.state, forge.commit(BRANCH)) == ("closed", "")
    assert not place.only.auto_merge
    assert "The base branch was rewritten" in place.only.comments[-1].body
    place.commit("secret.txt", "hunter2\n")
    assert place.run(BETTER, "2026-02-02").failure is None
    rewrite()
    for last in ("2026-02-02", "2026-02-03"):  # the same evidence, and another
        assert place.run(BETTER, last).failure is None
        assert "secret.txt" not in forge.git("ls-tree", "--name-only", BRANCH)
        assert forge.pulls[2].auto_merge is not None


def test_a_shallow_clone_gets_the_history_that_it_needs(place: Place) -> None:
    """Else a merge of the base by the button would read as the commit of a person."""
    place.run()
    place.commit("NOTES.md", "Notes.\n")
    _update_branch(place)
    for number in range(2):
        place.commit("NOTES.md", f"{number}\n")
    place.clone = place.folder / f"shallow-{next(place.numbers)}-{place.name.partition('/')[2]}"
    place.author.git("clone", "--quiet", "--depth=1", f"file://{place.forge.path}", str(place.clone))
    there = standing(place.workspace, MODEL)
    assert (there.ours, there.rewritten) == (True, False)
    assert place.publish(None, None).notes == ()


@pytest.mark.parametrize("how", by_day(["merge", "squash", "by hand"], "squash"))
def test_a_merged_branch_is_nobodys_work(place: Place, how: str) -> None:
    """A person added a commit and merged it: the next candidate takes the branch over. A closed one stays theirs."""
    place.run()
    head = place.commit("NOTES.md", "Mine.\n", BRANCH)
    assert not standing(place.workspace, MODEL).ours
    if how == "by hand":
        place.forge.git("update-ref", "refs/heads/main", head)
        place.only.state = "closed"
    else:
        assert place.forge.merge(place.only)
    if how == "squash":
        tree = place.forge.git("rev-parse", "main^{tree}").strip()
        commit = place.forge.git("commit-tree", tree, "-p", "main^1", "-m", "Squashed").strip()
        place.forge.git("update-ref", "refs/heads/main", commit)
    assert standing(place.workspace, MODEL).ours
    assert place.publish(None, None).failure is None
    assert place.run(BETTER, "2026-02-02").failure is None
    assert [pull.state for pull in place.forge.pulls.values()] == ["closed", "open"]


def test_what_is_on_its_branch_stands(place: Place) -> None:
    """Such an attempt is recorded, and the next run finishes it; what was not pushed is trained again."""
    place.forge.opens = False
    for _ in range(2):
        done = place.run()
        assert (done.failure is not None, done.stands) == (True, True)
    place.server.tokens[SECRET] = Token(BOT, WRITES[1:])
    assert not place.run(BETTER, "2026-02-02").stands


@pytest.mark.parametrize(
    ("headers", "message", "when"),
    [({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": f"{time.time() + 3600:.0f}"}, "API rate limit exceeded", ":"),
     ({"Retry-After": "3600"}, "You have exceeded a secondary rate limit", "reset, then")],
)  # fmt: skip
def test_a_limit_of_an_hour_is_not_waited_for(place: Place, headers: dict[str, str], message: str, when: str) -> None:
    """The job ends, and says when to run it again."""
    place.server.faults.append(Fault("GET", r"/pulls$", 403, headers=headers, body={"message": message}, times=9))
    began = time.monotonic()
    with pytest.raises(ForgeUnreachableError) as error:
        standing(place.workspace, MODEL)
    assert time.monotonic() - began < 30
    assert "wait until the limit is reset" in error.value.next
    assert when in error.value.next


def test_a_token_and_a_name_that_are_wrong_are_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither is cured by a permission."""
    monkeypatch.setenv("GITHUB_TOKEN", "nonsense")
    with pytest.raises(PublishError) as error:
        standing(place.workspace, MODEL)
    assert "the token is not valid" in error.value.next
    monkeypatch.setenv("GITHUB_TOKEN", SECRET)
    monkeypatch.setenv("GITHUB_REPOSITORY", "acme/none")
    with pytest.raises(PublishError) as error:
        standing(place.workspace, MODEL)
    assert "acme/none (GITHUB_REPOSITORY) is not there" in error.value.next


def test_pull_requests_to_other_branches_and_from_forks_are_not_ours(place: Place) -> None:
    """Whatever people open from our branch, or a fork of the same owner from one of that name, is theirs."""
    forge = place.forge
    forge.git("branch", "release", "main")
    fork = place.server.repository(f"{place.name}-fork")
    forge.git("push", "--quiet", str(fork.path), f"main:refs/heads/{BRANCH}")
    theirs = [forge.open_pull("From a fork", BRANCH, author="ann", source=fork)]
    assert standing(place.workspace, MODEL).open is None
    assert place.run().failure is None
    theirs.append(forge.open_pull("A back-port", BRANCH, base="release", author="ann"))
    for last in ("2026-02-01", "2026-02-02"):
        assert place.run(BETTER, last).failure is None
    ours = next(pull for pull in forge.pulls.values() if pull not in theirs)
    record = read(ours.body)
    assert record is not None
    assert (ours.base, record.head, ours.auto_merge is not None) == ("main", ours.head, True)
    assert place.run(WORSE, "2026-02-03").failure is None
    assert ours.state == "closed"
    for pull in theirs:
        assert (pull.state, pull.body, pull.comments, pull.auto_merge) == ("open", "", [], None), pull.title
    assert len(forge.pulls) == 3


def test_github_refuses_to_merge_by_itself(place: Place) -> None:
    """Without a required check, and where the repository does not allow it: a sentence, and nothing is merged."""
    for forbid in ("rule", "setting"):
        place.forge.required = {} if forbid == "rule" else {"main": {"model"}}
        place.forge.auto_merges = forbid == "rule"
        assert place.run(BETTER, f"2026-02-0{len(forbid)}").failure is None
        assert (place.only.state, place.only.auto_merge) == ("open", None)
        assert "**It does not merge by itself.** GitHub refused to: Pull request" in place.only.body


def test_a_workflow_that_cannot_be_started_is_told(place: Place) -> None:
    """Because its name is wrong, or it has no `workflow_dispatch`; the pull request is there all the same."""
    for file in ("missing.yml", "other.yml"):
        place.commit(".github/workflows/other.yml", "on: pull_request\njobs: {}\n")
        place.settings = place.settings.model_copy(update={"workflow": file})
        done = place.run(BETTER, "2026-02-01")
        assert done.failure is not None
        assert "`retrain.workflow`" in done.failure.next
        assert place.only.state == "open"


@pytest.mark.parametrize(
    ("kind", "error", "words"),
    [("FORBIDDEN", PublishError, "permissions: {contents: write, pull-requests: write}"),
     ("RATE_LIMITED", ForgeUnreachableError, "run the job again")],
)  # fmt: skip
def test_an_error_of_graphql_is_read_although_its_status_is_that_of_success(
    place: Place, kind: str, error: type[PublishError], words: str
) -> None:
    """A permission is named, a limit is no refusal that is remembered; the next run switches auto-merge on."""
    place.settings = place.settings.model_copy(update={"checks": "event"})
    response = {"data": None, "errors": [{"type": kind, "message": "Resource not accessible by integration"}]}
    place.server.faults.append(Fault("POST", "/graphql$", 200, body=response))
    done = place.run()
    assert done.failure is not None
    assert type(done.failure) is error
    assert words in done.failure.next
    assert place.only.auto_merge is None
    assert place.publish(None, None).failure is None
    assert place.only.auto_merge is not None


def test_an_app_starts_its_checks_by_itself(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is dispatched, and no permission for that is needed; `checks: dispatch` does so all the same."""
    monkeypatch.setenv("GITHUB_TOKEN", APP)
    place.server.tokens[APP] = Token("shop-retrain[bot]", WRITES[:3])
    assert place.run().failure is None
    assert place.forge.runs == []
    assert "starts no workflows" not in place.only.body
    place.server.tokens[APP] = Token("shop-retrain[bot]", WRITES)
    place.settings = place.settings.model_copy(update={"checks": "dispatch"})
    assert place.publish(None, None).failure is None
    assert [run.actor for run in place.forge.runs] == ["shop-retrain[bot]"]


def test_a_repository_without_drafts_gets_a_ready_one_and_a_note(place: Place) -> None:
    """It is told, and not tried again and again."""
    place.forge.drafts = False
    done = place.run(NOT_WORSE)
    assert done.failure is None
    assert any("no draft pull requests" in note for note in done.notes)
    place.publish(None, None)
    assert place.publish(None, None).steps == ()


def test_a_stale_list_opens_no_second_pull_request(place: Place) -> None:
    """GitHub refuses the second one, and the first is found."""
    place.run()
    place.server.faults.append(Fault("GET", "/pulls$", stale=True))
    done = place.run(BETTER, "2026-02-02")
    place.server.faults.clear()
    assert len(place.forge.pulls) == 1
    assert done.failure is None
    assert place.run(BETTER, "2026-02-02").failure is None
    place.whole()


def test_a_workflow_in_a_commit_is_refused_in_words(place: Place) -> None:
    """The built-in token may not change workflows; the permission is named."""
    candidate = place.candidate("2026-02-01")
    git, host = HostedGit(candidate.root), Host(f"{place.server.address}/{place.name}.git", SECRET)
    (candidate.root / ".github/workflows/x.yml").write_text(WORKFLOW, encoding="utf-8")
    changed = TemporaryRepository(candidate.root, place.author.home)
    changed.commit("X")
    with pytest.raises(Exception, match="GitHub refused to push") as error:
        git.push(host, git.named("HEAD"), BRANCH, "")
    assert "workflows: write" in error.value.next  # type: ignore[attr-defined]


def test_the_token_is_in_no_argument_and_no_output(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A git that notes how it is called sees it in its environment alone, whatever is traced."""
    folder = place.folder / "noting"
    folder.mkdir(exist_ok=True)
    real = subprocess.check_output(["which", "git"], text=True).strip()
    (folder / "git").write_text(f'#!/bin/sh\necho "$@" >> {folder}/said\nexec {real} "$@"\n', encoding="utf-8")
    (folder / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("GIT_TRACE_CURL", str(folder / "traced"))
    monkeypatch.setenv("GIT_TRACE_REDACT", "0")
    assert place.run().failure is None
    calls = (folder / "said").read_text(encoding="utf-8")
    assert "push" in calls
    assert SECRET not in calls
    assert "Basic" not in calls
    assert not (folder / "traced").exists()


def test_outputs_go_before_the_branch(place: Place) -> None:
    """To the remote of the repository; where that fails nothing of the branch is published."""
    remote = place.folder / f"remote-{place.clone.name}"
    (place.clone / ".dvc/config").write_text(f"[core]\n    remote = store\n['remote \"store\"']\n    url = {remote}\n")
    blocked = place.folder / f"blocked-{place.clone.name}"
    candidate = place.candidate("2026-02-01")
    (candidate.root / ".dvc/config").write_text(f"[core]\n    remote = s\n['remote \"s\"']\n    url = {blocked}/x\n")
    (candidate.root / "dvc.yaml").write_text("stages:\n  a: {cmd: touch out, outs: [out]}\n", encoding="utf-8")
    blocked.write_text("A file.", encoding="utf-8")
    (candidate.root / "dvc.lock").unlink()
    TemporaryRepository(candidate.root, place.author.home).dvc("repro")
    of = attempt(BETTER, "2026-02-01")
    done = place.publish(of, candidate)
    assert isinstance(done.failure, RemoteUnreachableError)
    assert (place.forge.commit(BRANCH), place.forge.pulls) == ("", {})
    (candidate.root / ".dvc/config").write_text((place.clone / ".dvc/config").read_text())
    assert place.publish(of, candidate).failure is None
    assert [path for path in remote.rglob("*") if path.is_file()]
    assert "No DVC remote" not in place.only.body


def test_without_a_token_the_candidate_is_kept_in_the_clone(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a reference, and a note says the commands that publish it."""
    candidate = place.candidate("2026-02-01")
    monkeypatch.delenv("GITHUB_TOKEN")
    there = standing(place.workspace, MODEL)
    retrained = Retrained(MODEL, "production", "2026-03-11T06:00:00+00:00", attempt(BETTER, "2026-02-01"), None)
    done = publish(place.workspace, candidate, retrained, there, PullOptions(place.settings))
    assert "git switch -C leverframe/retrain-shop refs/leverframe/retrain/shop && dvc checkout" in done.notes[0]
    again = standing(place.workspace, MODEL)
    assert (again.head, again.ours, again.evidence) == (candidate.commit, True, attempt(evidence="2026-02-01").evidence)
    assert place.forge.pulls == {}


def test_a_dry_run_tells_the_same_steps_and_writes_nothing(place: Place) -> None:
    """Neither on the forge nor in the clone."""
    done = place.run(dry_run=True)
    assert [step.split(" ")[0] for step in done.steps] == ["push", "open", "let", "start"]
    assert (place.forge.pulls, place.forge.commit(BRANCH)) == ({}, "")


def merged(place: Place) -> PulledBack:
    """Merge a candidate, and return that it turned out worse."""
    place.run()
    _check(place, "model", place.only.head)
    pull = standing(place.workspace, MODEL).pulls[0]
    assert pull.merged
    comparison = attempt().comparison
    assert comparison is not None
    return PulledBack(
        pull, before_merge(place.workspace, pull), comparison, "`auc` fell by 0.020 on 900 realised labels."
    )


REVERT = "leverframe/revert-retrain-shop"


def test_a_merged_candidate_that_is_worse_opens_its_revert(place: Place) -> None:
    """The files go back on the tip of the base, with the figures; once, and not where somebody closed it."""
    worse = merged(place)
    place.commit("NOTES.md", "Notes.\n")
    done = revert(place.workspace, MODEL, worse, PullOptions(place.settings))
    assert done.failure is None, done.failure
    assert [(proposal.number, proposal.revert) for proposal in done.proposals] == [(2, True)]
    pull = place.forge.pulls[2]
    assert (pull.draft, pull.auto_merge, pull.title) == (False, None, "Revert the retraining of shop")
    assert "The model of #1 is worse on realised labels" in pull.body
    assert "better by 0.0200" in pull.body
    assert place.forge.git("diff", "--name-only", f"main...{REVERT}").split() == ["dvc.lock", "params.yaml"]
    assert "last: '2026-01-01'" in place.forge.git("show", f"{REVERT}:params.yaml")
    assert [run.branch for run in place.forge.runs] == [BRANCH, REVERT]
    assert revert(place.workspace, MODEL, worse, PullOptions(place.settings)).steps == ()
    pull.state = "closed"
    assert revert(place.workspace, MODEL, worse, PullOptions(place.settings)).steps == ()
    assert len(place.forge.pulls) == 2


def test_later_changes_stay_or_make_it_a_draft(place: Place) -> None:
    """Other lines of the same file stay as somebody changed them; another run of the stage is named, in a draft."""
    worse = merged(place)
    place.commit("params.yaml", PARAMS.replace("LAST", "2026-02-01").replace("depth: 3", "depth: 4"))
    done = revert(place.workspace, MODEL, worse, PullOptions(place.settings, dry_run=True))
    assert [step.split(" ")[0] for step in done.steps] == ["push", "open", "start"]
    place.commit("dvc.lock", LOCK.replace("MODEL", worse.pull.head[:32]).replace("train.py", "other.py"))
    assert revert(place.workspace, MODEL, worse, PullOptions(place.settings)).failure is None
    pull = place.forge.pulls[2]
    assert pull.draft
    assert "### Later work that this undoes" in pull.body
    assert LOCK.replace("MODEL", "0" * 32) == place.forge.git("show", f"{REVERT}:dvc.lock")
    place.commit("params.yaml", PARAMS.replace("LAST", "2026-01-01"))
    place.commit("dvc.lock", LOCK.replace("MODEL", "0" * 32))
    done = revert(place.workspace, MODEL, worse, PullOptions(place.settings))
    assert done.steps == ()
    assert "main has what served before already" in done.notes[0]


@pytest.mark.parametrize("kind", by_day(["squash", "rebase"], "squash"))
def test_a_person_merges_more_than_the_candidate(place: Place, kind: str) -> None:
    """Two commits, squashed or put onto main one by one: what served before is what main had before both."""
    place.run()
    pull = place.only
    place.commit("NOTES.md", "Main went on.\n")
    before = place.forge.commit("main")
    place.commit("README.md", "A note of a person.\n", branch=BRANCH, words="Say so")
    head = pull.head
    place.author.git("fetch", "--quiet", str(place.forge.path), "main", BRANCH)
    place.author.git("checkout", "--quiet", "--detach", before)
    if kind == "squash":
        place.author.git("cherry-pick", "--no-commit", f"{head}~2..{head}")
        place.author.git("commit", "--quiet", "--message", "Retrain shop (#1)")
    else:
        place.author.git("cherry-pick", f"{head}~2..{head}")
    place.author.git("push", "--quiet", str(place.forge.path), "HEAD:main")
    pull.state, pull.merged, pull.merged_at = "closed", True, "2026-03-12T00:00:00Z"
    pull.merge_commit = place.forge.commit("main")
    place.forge.git("update-ref", "-d", f"refs/heads/{BRANCH}")
    known = standing(place.workspace, MODEL).pulls[0]
    assert before_merge(place.workspace, known) == before
    comparison = attempt().comparison
    assert comparison is not None
    worse = PulledBack(known, before, comparison, "`auc` fell by 0.020 on 900 realised labels.")
    assert revert(place.workspace, MODEL, worse, PullOptions(place.settings)).failure is None
    assert place.forge.git("diff", "--name-only", before, REVERT) == ""


def test_a_killed_revert_is_finished(place: Place) -> None:
    """Before any of its steps."""
    worse = merged(place)
    for number in (0, 1, 1):

        def tell(_: str, left: Iterator[int] = iter(range(number))) -> None:  # noqa: B008 - of this run
            if next(left, None) is None:
                raise KilledError

        with pytest.raises(KilledError):
            revert(place.workspace, MODEL, worse, PullOptions(place.settings, tell=tell))
    assert revert(place.workspace, MODEL, worse, PullOptions(place.settings)).failure is None
    assert len(place.forge.pulls) == 2
    assert [run.branch for run in place.forge.runs] == [BRANCH, REVERT]
