"""A verdict is bound to its pull request, base branch and base tip, over the local forge: forgeries and odd endings."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from leverframe.documents import plain
from leverframe.domain.review.check import Checked
from leverframe.domain.review.judge.judged import Judged, OwnerReview
from leverframe.domain.review.report.card import Card
from leverframe.domain.review.reproduce import Reproduced
from leverframe.files import write_json
from leverframe.local.github import events
from leverframe.local.github.server import Fault
from leverframe.local.github.state import PullRequest, WorkflowRun
from leverframe.local.repository import TemporaryRepository
from tests.in_process import Ran
from tests.loop.desk import NAME, Desk
from tests.unit.test_report import gated

EDITED = ("pipelines/shop/model.py", "src/train.py")


@dataclass
class Judge:
    """Posts what the judge found, as the jobs of `judge.yml` do, in one checkout of the default branch."""

    desk: Desk
    job: TemporaryRepository

    @property
    def tip(self) -> str:
        """The newest commit of the default branch."""
        return self.desk.repository.commit("main")

    def card(self, pull: PullRequest, *, owed: tuple[str, ...] = (), passed: bool = True, **judged: Any) -> Path:
        """Write the card of the judge, who found nothing against the change but what an owner owes."""
        head, tip = pull.head, self.desk.repository.commit(pull.base)
        ruling = Judged(pull.base, tip, head, ran=("train",), owed=OwnerReview(len(owed), owed, owed) if owed else None)
        checked = Checked(head) if passed else None
        content = Card(tip, head, checked, Reproduced(head), gated(head=head), judged=replace(ruling, **judged))
        path = self.desk.folder / "judged.json"
        write_json(path, plain(content))
        return path

    def run(self, pull: PullRequest, run: int, *arguments: str, payload: Any = None, **environment: str) -> Ran:
        """Run `leverframe report` in the job that has the token, after a run of a pull request ended."""
        payload = payload or events.workflow_run_event(self.desk.repository, pull, 5)
        event = "merge_group" if "merge_group" in payload else "workflow_run" if "workflow_run" in payload else "push"
        environment |= {"GITHUB_RUN_ID": str(run)}
        return self.desk.report(self.job, event, payload, "--publisher", "github", *arguments, **environment)

    def post(self, pull: PullRequest, run: int, path: Path | None = None, *more: str) -> Ran:
        """Post a card of the judge as the verdict."""
        return self.run(pull, run, "--judged", str(path or self.card(pull)), "--pull", str(pull.number), *more)

    def pending(self, event: str, payload: dict[str, Any], run: int, *more: str) -> list[dict[str, Any]]:
        """Say that verdicts are to come, and return the pull requests that the next job judges."""
        outputs = self.desk.folder / "outputs"
        outputs.unlink(missing_ok=True)
        environment = {"GITHUB_RUN_ID": str(run), "GITHUB_OUTPUT": str(outputs)}
        ran = self.desk.report(self.job, event, payload, "--pending", *more, **environment)
        assert ran.code == 0, ran.err
        match = re.search(r"^pulls<<(\S+)\n(.*)\n\1$", outputs.read_text(encoding="utf-8"), re.MULTILINE)
        assert match
        return list(json.loads(match[2]))

    def state(self, pull: PullRequest, name: str = "leverframe") -> str:
        """Return how the check of a pull request stands, as a branch rule reads it."""
        check = self.desk.repository.latest_checks(pull.head).get(name)
        return (check.conclusion or check.status) if check else "none"

    def title(self, pull: PullRequest, name: str = "leverframe") -> str:
        """Return what GitHub shows beside the check."""
        return self.desk.repository.latest_checks(pull.head)[name].title

    def going(self) -> list[str]:
        """Return the check runs that have not ended."""
        return [check.name for check in self.desk.repository.checks if check.status != "completed"]


@pytest.fixture
def judge(desk: Desk) -> Judge:
    """What posts verdicts on the pull request of the desk."""
    return Judge(desk, desk.checkout("main", passed=False))


def owned(desk: Desk, text: str) -> None:
    """Commit a `CODEOWNERS` to the default branch."""
    desk.author.git("checkout", "--quiet", "--detach", desk.repository.commit("main"))
    desk.author.write(".github/CODEOWNERS", text)
    desk.author.commit("Owners")
    desk.author.git("push", "--quiet", str(desk.repository.path), "HEAD:refs/heads/main")


def test_the_check_is_pending_first_and_ends_with_the_verdict(desk: Desk, judge: Judge) -> None:
    """One check run from the first event of the run to the end, and one comment: that of the judge."""
    begun = events.workflow_run_event(desk.repository, desk.pull, 5, "")
    (entry,) = judge.pending("workflow_run", begun, 6)
    assert entry == {"number": 1, "base": "main", "head": desk.pull.head, "run": ""}
    assert (judge.state(desk.pull), desk.ours()) == ("in_progress", [])
    assert "has begun" in judge.title(desk.pull)
    (entry,) = judge.pending("workflow_run", events.workflow_run_event(desk.repository, desk.pull, 5), 7)
    assert entry["run"] == 5
    ran = judge.post(desk.pull, 7)
    assert ran.code == 0, ran.err
    assert (judge.state(desk.pull), desk.checks(desk.pull.head)) == ("success", ["success"])
    assert "ready to merge" in desk.ours()[0]
    (check,) = desk.repository.checks
    assert f'"base": "main", "tip": "{judge.tip}"' in check.summary
    assert judge.pending("workflow_run", begun, 6) == []  # late: what a newer run posted stays
    assert judge.state(desk.pull) == "success"


def test_a_laxer_base_turns_nothing_green(desk: Desk, judge: Judge) -> None:
    """A second pull request with the same head into another branch has a check of another name."""
    assert judge.post(desk.pull, 7, judge.card(desk.pull, owed=EDITED)).code == 0
    assert judge.state(desk.pull) == "failure"
    lax = desk.repository.open_pull("The same into release", "topic", base="release")
    assert judge.post(lax, 8).code == 0
    assert judge.state(lax, "leverframe (into release)") == "success"
    assert (judge.state(desk.pull), "needs-owner" in judge.title(desk.pull)) == ("failure", True)


def test_a_retarget_leaves_the_old_check_behind(desk: Desk, judge: Judge) -> None:
    """It was green for `release`; into `main` nothing is there, then it is pending, and no old card counts."""
    desk.pull.base = "release"
    path = judge.card(desk.pull)
    assert judge.post(desk.pull, 7, path).code == 0
    assert judge.state(desk.pull, "leverframe (into release)") == "success"
    desk.pull.base = "main"
    assert judge.state(desk.pull) == "none"
    edited = events.pull_request_event(desk.repository, desk.pull, "edited", before="release")
    (entry,) = judge.pending("pull_request", edited, 8)
    assert entry["base"] == "main"
    ran = judge.post(desk.pull, 9, path)
    assert (ran.code, "the verdict is: none, it was judged for release" in ran.out) == (0, True), ran.err
    shown = (judge.job.root / ".leverframe/report.md").read_text(encoding="utf-8")
    assert "This is no verdict any more" in shown.splitlines()[1]
    assert (judge.state(desk.pull), judge.title(desk.pull)) == (
        "in_progress", "it was judged for release, and goes into main by now: it is judged again",
    )  # fmt: skip
    renamed = judge.card(desk.pull, base="", tip=desk.repository.commit("release"))
    assert judge.post(desk.pull, 10, renamed).code == 0
    assert judge.state(desk.pull) == "in_progress"
    assert judge.post(desk.pull, 11).code == 0
    assert (judge.state(desk.pull), judge.going()) == ("success", [])


def test_a_base_that_moved_asks_for_another_verdict(desk: Desk, judge: Judge) -> None:
    """Of every open pull request into it, forks and drafts too; a card of the older tip is none."""
    old = judge.card(desk.pull)
    assert judge.post(desk.pull, 7, old).code == 0
    fork = desk.server.repository("stranger/ml")
    desk.push("more", "more", fork.full_name)
    desk.push("more", "more")
    stranger = desk.repository.open_pull("Of a fork", "more", source=fork)
    stranger.draft = True
    desk.repository.open_pull("Into release", "more", base="release")
    desk.repository.open_pull("Closed", "more").state = "closed"
    desk.repository.runs.append(WorkflowRun(3, "pull-request.yml", "topic", desk.pull.head, "ada", "pull_request",
                                            "pull request"))  # fmt: skip
    desk.push("main", "main goes on")
    pulls = judge.pending("push", events.push_event(desk.repository, "refs/heads/main"), 8)
    assert [(entry["number"], entry["run"]) for entry in pulls] == [(stranger.number, ""), (1, 3)]
    assert [judge.state(pull) for pull in (desk.pull, stranger)] == ["in_progress"] * 2
    assert judge.post(desk.pull, 8, old).code == 0
    assert (judge.state(desk.pull), "moved from" in judge.title(desk.pull)) == ("in_progress", True)
    assert judge.post(desk.pull, 9).code == 0
    assert judge.state(desk.pull) == "success"


@pytest.mark.parametrize(
    ("review", "state"),
    [
        ([("ann", "APPROVED"), ("ann", "COMMENTED")], "success"),
        ([("ann", "APPROVED"), ("ann", "CHANGES_REQUESTED")], "failure"),
        ([("bob", "APPROVED"), ("acme", "COMMENTED", "approve")], "failure"),
    ],
)
def test_an_owner_approves_what_the_judge_cannot_judge(
    desk: Desk, judge: Judge, review: list[tuple[str, ...]], state: str
) -> None:
    """The last word of each owner counts; nobody else's, and not the author's, although the owner of all."""
    owned(desk, "* @acme\n/pipelines/ @Ann\n/src/ @Ann\n")
    desk.repository.roles |= {"ann": "write", "bob": "write"}
    for words in review:
        desk.repository.review(desk.pull, *words)
    assert judge.post(desk.pull, 7, judge.card(desk.pull, owed=EDITED)).code == 0
    assert judge.state(desk.pull) == state
    assert ("needs-owner" in desk.ours()[0]) == (state == "failure")


def test_an_author_approves_alone_where_the_default_branch_allows_it(desk: Desk, judge: Judge) -> None:
    """For a repository of one person: by the first line of a review comment, and of this commit alone."""
    owned(desk, "* @acme\n")
    desk.repository.review(desk.pull, "acme", "COMMENTED", "approve\n\nI read it again.")
    judge.job.write("leverframe.yaml", "judge: {own_approval: true}\n")
    assert judge.post(desk.pull, 7, judge.card(desk.pull, owed=EDITED)).code == 0
    assert judge.state(desk.pull) == "success"
    judge.job.write("leverframe.yaml", "judge: {own_approval: maybe}\n")
    assert judge.post(desk.pull, 8, judge.card(desk.pull, owed=EDITED)).code == 0
    assert judge.state(desk.pull) == "failure"


def test_an_approval_of_an_older_commit_is_none(desk: Desk, judge: Judge) -> None:
    """Also where the file says that it was approved: reviews are read from GitHub alone."""
    owned(desk, "* @ann\n")
    desk.repository.roles["ann"] = "write"
    desk.repository.review(desk.pull, "ann")
    desk.push("topic", "something else")
    owed = OwnerReview(2, EDITED, (), approved_by=("ann",))
    assert judge.post(desk.pull, 7, judge.card(desk.pull, owed=EDITED)).code == 0
    assert judge.state(desk.pull) == "failure"
    path = judge.card(desk.pull)
    content = json.loads(path.read_text(encoding="utf-8"))
    content["judged"]["owed"] = plain(owed)
    path.write_text(json.dumps(content), encoding="utf-8")
    assert judge.post(desk.pull, 8, path).code == 0
    assert judge.state(desk.pull) == "failure"
    desk.repository.review(desk.pull, "ann")
    assert judge.post(desk.pull, 9, path).code == 0
    assert judge.state(desk.pull) == "success"


def test_a_claim_is_no_verdict_whatever_it_says(desk: Desk, judge: Judge) -> None:
    """Neither alone, nor with a forged field; and it stands below a verdict as what it is."""
    path = judge.card(desk.pull)
    ran = judge.run(desk.pull, 6, "--card", str(path))
    assert (ran.code, judge.state(desk.pull)) == (0, "failure"), ran.err
    assert "not-judged" in desk.ours()[0]
    assert "no judge has looked" in desk.ours()[0]
    content = json.loads(path.read_text(encoding="utf-8"))
    claim = desk.folder / "claim.json"
    claim.write_text(json.dumps(content | {"judged": None}), encoding="utf-8")
    ran = judge.post(desk.pull, 7, claim)
    assert (ran.code, judge.state(desk.pull)) == (26, "failure")
    assert "is no card of the judge" in ran.err
    assert judge.post(desk.pull, 8, path, "--unverified", str(claim)).code == 0
    assert judge.state(desk.pull) == "success"
    body = desk.ours()[0]
    assert body.index("ready to merge") < body.index("Unverified: what the run of the pull request says")
    assert body.count("ready to merge") == 1
    assert f"Its verdict for `{desk.pull.head[:12]}`: passed." in body
    late = judge.run(desk.pull, 6, "--card", str(path))
    assert (late.code, judge.state(desk.pull)) == (0, "success")
    broken = desk.folder / "broken.json"
    broken.write_text("{", encoding="utf-8")
    assert judge.post(desk.pull, 9, path, "--unverified", str(broken)).code == 0
    assert "says cannot be read" in desk.ours()[0]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("the judge left no result that can be posted", "not-judged"),
        ("the judge timed out", "judge-timeout"),
    ],
)
def test_every_ending_is_posted(desk: Desk, judge: Judge, words: str, reason: str) -> None:
    """Where the judge left nothing the check fails, also over what an earlier attempt posted."""
    assert judge.post(desk.pull, 7).code == 0
    again = events.workflow_run_event(desk.repository, desk.pull, 5, run_attempt=2)
    assert len(judge.pending("workflow_run", again, 8)) == 1
    assert judge.state(desk.pull) == "in_progress"
    ran = judge.run(desk.pull, 8, "--unjudged", words, "--pull", "1")
    assert ran.code == 0, ran.err
    assert (judge.state(desk.pull), judge.going()) == ("failure", [])
    assert reason in judge.title(desk.pull)
    assert words in desk.ours()[0]
    late = judge.run(desk.pull, 6, "--unjudged", words, "--pull", "1")
    assert (late.code, "a newer run has posted" in late.out) == (0, True)
    assert judge.post(desk.pull, 9).code == 0
    assert judge.state(desk.pull) == "success"


def test_a_verdict_of_what_is_gone_is_left(desk: Desk, judge: Judge) -> None:
    """The head went on, or the pull request is closed: what came since has a run of its own."""
    path = judge.card(desk.pull)
    desk.push("topic", "more")
    ran = judge.post(desk.pull, 7, path)
    assert (ran.code, desk.repository.checks) == (0, []), ran.err
    assert "its own run judges that" in ran.out
    gone = events.workflow_run_event(desk.repository, desk.pull, 5, head_sha="d" * 40)
    assert judge.pending("workflow_run", gone, 8) == []
    desk.pull.state = "closed"
    ran = judge.post(desk.pull, 9)
    assert (ran.code, "#1 is closed" in ran.out, desk.ours()) == (0, True, [])


def test_two_pull_requests_of_one_commit_wait_for_each_other(desk: Desk, judge: Judge) -> None:
    """One of a fork into the same branch: green for both or for none, and no check run is left that goes on."""
    fork = desk.server.repository("stranger/ml")
    desk.author.git("push", "--quiet", str(fork.path), f"{desk.pull.head}:refs/heads/topic")
    other = desk.repository.open_pull("The same of a fork", "topic", source=fork)
    for pull, run in ((desk.pull, 7), (other, 8)):
        assert len(judge.pending("workflow_run", events.workflow_run_event(desk.repository, pull, run - 2), run)) == 1
    assert judge.post(desk.pull, 7).code == 0
    assert (judge.state(desk.pull), "#2 has the same commit" in judge.title(desk.pull)) == ("in_progress", True)
    assert judge.post(other, 8).code == 0
    assert (judge.state(other), judge.going()) == ("success", [])
    owed = judge.card(other, owed=EDITED)
    assert judge.post(other, 9, owed).code == 0
    assert judge.post(desk.pull, 10).code == 0
    assert judge.state(desk.pull) == "failure"


def test_a_merge_queue_is_judged_at_its_own_commit(desk: Desk, judge: Judge) -> None:
    """No pull request shows it: the check alone is posted there; the reviews are those of the head."""
    owned(desk, "* @ann\n")
    desk.repository.roles["ann"] = "write"
    desk.repository.review(desk.pull, "ann")
    merge = desk.merge_commit()
    payload = events.merge_group_event(desk.repository, desk.pull, merge)
    (entry,) = judge.pending("merge_group", payload, 7)
    assert (entry["number"], entry["head"], entry["base"]) == (1, merge, "main")
    path = judge.card(desk.pull, owed=EDITED)
    content = json.loads(path.read_text(encoding="utf-8").replace(desk.pull.head, merge))
    path.write_text(json.dumps(content), encoding="utf-8")
    ran = judge.run(desk.pull, 8, "--judged", str(path), "--pull", "1", payload=payload)
    assert ran.code == 0, ran.err
    assert (desk.checks(merge), desk.checks(desk.pull.head), desk.ours()) == (["success"], [], [])


def test_by_hand_one_pull_request_or_all(desk: Desk, judge: Judge) -> None:
    """The input `pull` names it; one that is no number is an error, and nothing is guessed."""
    desk.repository.open_pull("Another", "topic", base="release")
    payload = events.workflow_dispatch_event(desk.repository, "main")
    assert [entry["number"] for entry in judge.pending("workflow_dispatch", payload, 7)] == [2, 1]
    assert [
        entry["number"] for entry in judge.pending("workflow_dispatch", payload | {"inputs": {"pull": "#2"}}, 8)
    ] == [2]
    assert [entry["number"] for entry in judge.pending("schedule", {}, 9, "--pull", "1")] == [1]
    ran = desk.report(judge.job, "workflow_dispatch", payload | {"inputs": {"pull": "1; ls"}}, "--pending")
    assert (ran.code, "is no pull request" in ran.err) == (26, True)


def test_a_check_that_cannot_be_added_does_not_cost_the_others(desk: Desk, judge: Judge) -> None:
    """One refusal is said, and it is judged all the same; where nothing can be posted the job fails."""
    desk.push("other", "other")
    desk.repository.open_pull("Another", "other")
    refused = {"message": "Resource not accessible by integration"}
    desk.server.faults = [Fault("POST", f"/repos/{NAME}/check-runs", status=403, times=1, body=refused)]
    payload = events.push_event(desk.repository, "refs/heads/main")
    assert [entry["number"] for entry in judge.pending("push", payload, 7)] == [2, 1]
    assert (judge.state(desk.pull), len(judge.going())) == ("in_progress", 1)
    desk.server.faults = [Fault("GET", "/actions/runs", status=403, times=9, body=refused)]
    assert [entry["run"] for entry in judge.pending("push", payload, 8)] == ["", ""]
    desk.server.faults = [Fault("POST", f"/repos/{NAME}/check-runs", status=403, times=9, body=refused)]
    desk.server.faults += [Fault("PATCH", f"/repos/{NAME}/check-runs", status=403, times=9, body=refused)]
    ran = desk.report(judge.job, "push", payload, "--pending", GITHUB_RUN_ID="9")
    assert (ran.code, "checks: write" in ran.err) == (26, True)


def test_one_thing_at_a_time(desk: Desk, judge: Judge) -> None:
    """Options that exclude each other, and a verdict without its pull request, are errors in words."""
    path = str(judge.card(desk.pull))
    ran = judge.run(desk.pull, 7, "--judged", path, "--card", path)
    assert (ran.code, "exclude each other" in ran.err) == (26, True)
    ran = judge.run(desk.pull, 7, "--judged", path)
    assert (ran.code, "give `--pull` with its number" in ran.err) == (26, True)
    ran = judge.run(desk.pull, 7, "--judged", path, "--pull", "1", GITHUB_TOKEN="")
    assert (ran.code, "there is no token in GITHUB_TOKEN" in ran.err) == (26, True)
