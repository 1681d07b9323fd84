"""Where a card goes, over the local forge: every event, checkouts of another commit, refusals, and who we are."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leverframe.application.results import begin
from leverframe.documents import plain
from leverframe.domain import layout
from leverframe.domain.review.reproduce import Reproduced
from leverframe.files import write_json
from leverframe.local.github import events
from leverframe.local.github.server import Fault
from leverframe.local.github.state import Issue, PullRequest, Token
from leverframe.settings import LEVERS
from tests.in_process import Ran
from tests.loop.desk import Desk
from tests.loop.forge import BOT, SECRET


def test_the_card_of_a_merge_checkout_is_of_the_head(desk: Desk) -> None:
    """GitHub checks out the merge commit by default: comment and check belong to what it merges, against its base."""
    merge, head = desk.merge_commit(), desk.pull.head
    ran = desk.posted(merge, GITHUB_SHA=merge, GITHUB_REF="refs/pull/1/merge")
    assert ran.code == 0, ran.err
    assert ran.out.startswith("report posted; the verdict is: ready to merge\n")
    assert (desk.checks(head), desk.checks(merge)) == (["success"], [])
    (body,) = desk.ours()
    assert f'"head": "{head}"' in body.partition("\n")[0]
    assert f"the merge of `{head[:12]}` into `{desk.repository.commit('main')[:12]}`" in body
    card = json.loads((desk.folder / "job-1/repository/.leverframe/report.json").read_text())
    assert (card["head"], card["base"], card["target"]) == (head, desk.repository.commit("main"), "main")
    assert desk.posted().code == 0  # a checkout of the head itself, as the next run
    assert len(desk.ours()) == 1


def test_the_base_is_the_one_of_the_pull_request(desk: Desk) -> None:
    """Without `--base`: it goes into `release`, so that is what its card compares with, and not `main`."""
    desk.pull.base = "release"
    desk.author.git("checkout", "--quiet", "--detach", desk.repository.commit("topic"))
    desk.author.write("c", "1")
    commit = desk.author.commit("Of both")
    desk.author.git("push", "--quiet", str(desk.repository.path), "HEAD:release", "HEAD:topic")
    desk.server.pushed(desk.repository)
    assert desk.push("topic", "more") == desk.pull.head
    assert desk.posted().code == 0
    card = json.loads((desk.folder / "job-1/repository/.leverframe/report.json").read_text())
    assert (card["base"], card["target"]) == (commit, "release")


def test_a_commit_of_the_job_is_the_head_once_it_is_pushed(desk: Desk) -> None:
    """Then the check stands there; while it is not pushed nobody has looked at the head, and no check says so."""
    before = desk.pull.head
    payload = events.pull_request_event(desk.repository, desk.pull)
    job = desk.checkout(before)
    job.write("format.txt", "formatted\n")
    committed = job.commit("Format")
    desk.judged(job, committed)
    ran = desk.report(job, "pull_request", payload, "--publisher", "github")
    assert ran.code == 26
    assert f"the checkout is of {committed[:12]}, the pull request is at {before[:12]}" in ran.err
    assert "push first what the job commits" in ran.err
    assert (desk.ours(), desk.repository.checks) == ([], [])
    assert "Leverframe" in (job.root / layout.REPORT).read_text(encoding="utf-8")
    summary = desk.report(job, "pull_request", payload, "--publisher", "summary")
    assert (summary.code, summary.out.partition(";")[0]) == (0, "report not posted")
    job.git("push", "--quiet", str(desk.repository.path), "HEAD:refs/heads/topic")
    desk.server.pushed(desk.repository)
    ran = desk.report(job, "pull_request", payload, "--publisher", "github")
    assert ran.code == 0, ran.err
    assert (desk.checks(before), desk.checks(committed)) == ([], ["success"])
    assert "by now" not in desk.ours()[0]


def test_the_verdict_is_a_word_for_programs_as_well(desk: Desk) -> None:
    """As JSON and as the output of the step, beside what was done; the exit code is that of the lever's work."""
    payload, outputs = events.pull_request_event(desk.repository, desk.pull), desk.folder / "outputs"
    given = ("pull_request", payload, "--publisher", "github")
    ran = desk.report(desk.checkout(desk.pull.head), *given, "--json", GITHUB_OUTPUT=str(outputs))
    content = json.loads(ran.out)
    assert (content["verdict"], content["done"], content["why"]) == ("passed", "created", [])
    assert "verdict<<" in outputs.read_text(encoding="utf-8")
    broken = desk.checkout(desk.pull.head, passed=False)
    ran = desk.report(broken, *given)
    assert (ran.code, ran.out.partition("\n")[0]) == (0, "report posted; the verdict is: do not merge (tool-broke)")
    content = json.loads(desk.report(broken, *given, "--json").out)
    assert (content["verdict"], content["reasons"]) == ("failed", ["tool-broke"])
    assert desk.report(broken, *given, "--exit-code").code == 30
    assert desk.checks(desk.pull.head)[-1] == "failure"


def test_a_lever_that_nobody_ran_is_not_one_that_broke(desk: Desk) -> None:
    """On a laptop its file tells; a step of a workflow cannot see how those before it ended."""
    job = desk.checkout(desk.pull.head)
    given = ("report", "--base", "origin/main", "--publisher", "file", "--json")

    def reasons(**environment: str) -> list[str]:
        return list(json.loads(desk.run(job.root, job.environment | environment, *given).out)["reasons"])

    assert reasons() == []
    (job.root / layout.lever("reproduce")).unlink()
    assert reasons() == ["not-run"]
    assert "`reproduce` was not run for this commit" in (job.root / layout.REPORT).read_text(encoding="utf-8")
    assert reasons(GITHUB_ACTIONS="true") == ["tool-broke"]
    write_json(job.root / layout.lever("reproduce"), plain(Reproduced("a" * 40)))
    assert reasons() == ["not-run"]
    (job.root / LEVERS).touch()  # a project begins here
    begin(job.root, "reproduce")
    assert reasons() == ["tool-broke"]


def test_a_head_that_moved_on_is_told_and_gets_no_check(desk: Desk) -> None:
    """The card of the older commit says that nobody has looked at what came since, before its verdict."""
    before = desk.pull.head
    payload = events.pull_request_event(desk.repository, desk.pull)
    after = desk.push("topic", "more")
    ran = desk.report(desk.checkout(before), "pull_request", payload, "--publisher", "github")
    assert ran.code == 0, ran.err
    assert (desk.checks(before), desk.checks(after)) == (["success"], [])
    lines = desk.ours()[0].splitlines()
    assert f"The pull request is at `{after[:12]}` by now" in lines[1]
    assert lines[3].startswith("## ✅")
    assert desk.posted(GITHUB_RUN_ID="8").code == 0
    assert "by now" not in desk.ours()[0]


def test_a_pull_request_that_goes_elsewhere_by_now_says_so(desk: Desk) -> None:
    """Its card was made against another base."""
    payload = events.pull_request_event(desk.repository, desk.pull)
    desk.pull.base = "release"
    ran = desk.report(desk.checkout(desk.pull.head), "pull_request", payload, "--publisher", "github")
    assert ran.code == 0, ran.err
    assert "goes into `release` by now. This card is made for `main`" in desk.ours()[0]


def _card_of(desk: Desk, pull: PullRequest) -> str:
    """Return the path of the card that the job of a pull request leaves for another one."""
    job = desk.checkout(pull.head)
    payload = events.pull_request_event(desk.repository, pull)
    ran = desk.report(job, "pull_request", payload, "--publisher", "summary", "--base", f"origin/{pull.base}")
    assert ran.code == 0, ran.err
    return str(job.root / ".leverframe/report.json")


@pytest.mark.parametrize("named", [True, False], ids=["listed", "not-listed"])
def test_one_branch_with_two_pull_requests(desk: Desk, *, named: bool) -> None:
    """Each card goes to the pull request whose base it is made for, whichever is the newest."""
    other = desk.repository.open_pull("The same into release", "topic", base="release")
    both = [other, desk.pull]
    for run, pull in enumerate(both, start=20):
        payload = events.workflow_run_event(desk.repository, pull, run, named=both if named else ())
        job = desk.checkout("main")
        ran = desk.report(job, "workflow_run", payload, "--card", _card_of(desk, pull), "--publisher", "github")
        assert ran.code == 0, ran.err
        assert [len(desk.ours(change)) for change in both] == [1, 1 if pull is desk.pull else 0]
    assert [f'"run": {run}' in desk.ours(change)[0] for run, change in enumerate(both, start=20)] == [True, True]


def test_one_commit_that_two_pull_requests_show_is_green_for_both_or_for_none(desk: Desk) -> None:
    """GitHub shows a commit one check of a name: the pull request that passes does not free the one that fails."""
    fork = desk.server.repository("stranger/ml")
    desk.author.git("push", "--quiet", str(fork.path), f"{desk.pull.head}:refs/heads/topic")
    other = desk.repository.open_pull("The same of a fork", "topic", source=fork)

    def post(pull: PullRequest, run: str, *, passed: bool) -> str | None:
        job = desk.checkout(pull.head, passed=passed)
        payload = events.pull_request_event(desk.repository, pull)
        ran = desk.report(job, "pull_request", payload, "--publisher", "github", GITHUB_RUN_ID=run)
        assert ran.code == 0, ran.err
        return desk.repository.latest_checks(pull.head)["leverframe"].conclusion

    assert post(desk.pull, "7", passed=False) == "failure"
    assert post(other, "8", passed=True) == "failure"
    assert "ready to merge" in desk.ours(other)[0]
    assert post(desk.pull, "9", passed=True) == "success"
    assert post(desk.pull, "10", passed=False) == "failure"
    desk.pull.state = "closed"
    assert post(other, "11", passed=True) == "success"


def test_where_nothing_tells_the_pull_request_none_is_guessed(desk: Desk) -> None:
    """A card of an older version says no base: two pull requests fit, so it is an error; the card is kept."""
    desk.repository.open_pull("The same into release", "topic", base="release")
    path = Path(_card_of(desk, desk.pull))
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "target": ""}))
    payload = events.workflow_run_event(desk.repository, desk.pull, 20)
    job = desk.checkout("main")
    ran = desk.report(job, "workflow_run", payload, "--card", str(path), "--publisher", "github")
    assert ran.code == 26
    assert "#2 into `release`" in ran.err
    assert "#1 into `main`" in ran.err
    assert [pull.comments for pull in desk.repository.pulls.values()] == [[], []]
    ran = desk.report(
        job, "workflow_run", payload, "--card", str(path), "--publisher", "github", "--base", "origin/release"
    )
    assert ran.code == 0, ran.err
    assert len(desk.ours(desk.repository.pulls[2])) == 1


def test_the_same_branch_in_a_fork_is_another_pull_request(desk: Desk) -> None:
    """Also at the same commit; and once it is closed and opened again, the open one is meant."""
    fork = desk.server.repository("stranger/ml")
    desk.author.git("push", "--quiet", str(fork.path), f"{desk.pull.head}:refs/heads/topic")
    stranger = desk.repository.open_pull("Of a fork", "topic", source=fork)
    card = _card_of(desk, stranger)
    job = desk.checkout("main")

    def publish(pull: PullRequest, run: int) -> Ran:
        payload = events.workflow_run_event(desk.repository, pull, run)
        return desk.report(job, "workflow_run", payload, "--card", card, "--publisher", "github")

    assert publish(stranger, 20).code == 0
    assert (len(desk.ours(stranger)), len(desk.ours())) == (1, 0)
    assert publish(desk.pull, 21).code == 0
    assert (len(desk.ours(stranger)), len(desk.ours())) == (1, 1)
    desk.pull.state = "closed"
    ran = publish(desk.pull, 22)
    assert (ran.code, ran.out.partition(";")[0]) == (0, "report not posted")
    assert "no open pull request has this commit as its head: `topic` of acme/ml is at" in ran.out
    again = desk.repository.open_pull("Again", "topic")
    assert publish(desk.pull, 23).code == 0
    assert (len(desk.ours()), len(desk.ours(again))) == (1, 1)


def test_a_merge_queue_gets_its_check(desk: Desk) -> None:
    """The commit of the queue has the required check, else nothing would ever be merged; the comment stays."""
    assert desk.posted().code == 0
    merge = desk.merge_commit()
    payload = events.merge_group_event(desk.repository, desk.pull, merge)
    before = desk.ours()
    ran = desk.report(desk.checkout(merge), "merge_group", payload, "--publisher", "github", GITHUB_RUN_ID="8")
    assert ran.code == 0, ran.err
    assert ran.out.startswith("report posted; the verdict is: ready to merge\n")
    assert "(github, check alone)" in ran.out
    assert (desk.checks(merge), desk.ours()) == (["success"], before)
    card = str(desk.folder / f"job-{desk.number}/repository/.leverframe/report.json")
    job = desk.checkout("main")  # the job that posts what another one made
    ran = desk.report(job, "merge_group", payload, "--card", card, "--publisher", "github", GITHUB_RUN_ID="9")
    assert ran.code == 0, ran.err
    assert (desk.checks(merge), desk.ours()) == (["success", "failure"], before)  # a claim is no verdict
    ran = desk.report(job, "merge_group", {**payload, "merge_group": {**payload["merge_group"], "head_sha": "d" * 40}},
                      "--card", card, "--publisher", "github")  # fmt: skip
    assert (ran.code, "speaks of another commit than the run" in ran.err) == (26, True)


@pytest.mark.parametrize(
    ("event", "commit", "code", "words"),
    [
        ("pull_request_target", "head", 0, "report posted"),
        ("pull_request_target", "main", 26, "the checkout is of"),
        ("pull_request_review", "merge", 0, "report posted"),
        ("issue_comment", "head", 0, "report posted"),
        ("issue_comment", "merge", 0, "report posted"),
        ("issue_comment", "main", 26, "the checkout is of"),
        ("push", "head", 0, "report posted"),
        ("workflow_dispatch", "head", 0, "report posted"),
        ("schedule", "main", 0, "the event `schedule` is about no pull request"),
        ("repository_dispatch", "main", 0, "the event `repository_dispatch` is about no pull request"),
        ("issue", "main", 0, "the comment is on issue #9, which is no pull request"),
        ("tag", "head", 0, "the run is of `refs/tags/v1`, which is no branch"),
        ("push-main", "main", 0, "no open pull request has this commit as its head"),
    ],
)
def test_each_event_posts_or_says_what_was_not_posted(
    desk: Desk, event: str, commit: str, code: int, words: str
) -> None:
    """Nothing is silently a file: a check at the head of the pull request, or a line that says why there is none."""
    commits = {"head": desk.pull.head, "main": desk.repository.commit("main"), "merge": desk.merge_commit()}
    payloads = {
        "pull_request_target": events.pull_request_event(desk.repository, desk.pull),
        "pull_request_review": events.review_event(desk.repository, desk.pull),
        "issue_comment": events.issue_comment_event(desk.repository, desk.pull),
        "issue": events.issue_comment_event(desk.repository, Issue(9, "Help", "ada")),
        "push": events.push_event(desk.repository, "refs/heads/topic"),
        "push-main": events.push_event(desk.repository, "refs/heads/main"),
        "repository_dispatch": events.repository_dispatch_event(desk.repository, {"number": 1}),
    }
    names = {"issue": "issue_comment", "push-main": "push", "tag": "workflow_dispatch"}
    reference = "refs/tags/v1" if event == "tag" else "refs/heads/topic"
    ran = desk.report(
        desk.checkout(commits[commit]), names.get(event, event), payloads.get(event, {}),
        GITHUB_REF=reference, GITHUB_SHA=commits[commit],
    )  # fmt: skip
    assert ran.code == code, ran.out + ran.err
    assert words in ran.out + ran.err
    happened = words == "report posted"
    assert (desk.checks(desk.pull.head), len(desk.ours())) == ((["success"], 1) if happened else ([], 0))
    assert [check for check in desk.repository.checks if check.head != desk.pull.head] == []
    if not happened and code == 0:
        assert ran.out.startswith("report not posted; the verdict is: ready to merge\n")


def test_a_run_by_hand_that_checks_out_another_branch_is_of_no_pull_request(desk: Desk) -> None:
    """It was started on `main`, which is nobody's head: that is the reason, not what it checked out."""
    job, main = desk.checkout(desk.pull.head), desk.repository.commit("main")
    ran = desk.report(job, "workflow_dispatch", {}, "--publisher", "github", GITHUB_REF="refs/heads/main",
                      GITHUB_SHA=main)  # fmt: skip
    assert (ran.code, ran.out.partition(";")[0]) == (0, "report not posted"), ran.err
    assert "no open pull request has this commit as its head" in ran.out


def lock(desk: Desk) -> None:
    """Lock the conversation."""
    desk.pull.locked = True


def fill(desk: Desk) -> None:
    """Let the conversation have all comments that it may."""
    desk.repository.comment_limit = 0


def block(desk: Desk) -> None:
    """Block who posts."""
    desk.repository.blocked.add(BOT)


@pytest.mark.parametrize(
    ("closed", "words", "way"),
    [
        (lock, "issue is locked", "unlock the conversation"),
        (fill, "Commenting is disabled on issues with more than 0 comments", "open another one for its branch"),
        (block, "User is blocked", "unblock the account"),
    ],
)
def test_where_nobody_can_comment_the_check_stands_and_the_reason_is_named(
    desk: Desk, closed: Callable[[Desk], None], words: str, way: str
) -> None:
    """Not `permissions`: the job has them. A late older run does not replace the check either."""
    closed(desk)
    ran = desk.posted(GITHUB_RUN_ID="9")
    assert ran.code == 0, ran.err
    assert ran.out.startswith("report posted; the verdict is: ready to merge\n")
    assert words in ran.out
    assert way in ran.out
    assert "permissions" not in ran.out + ran.err
    assert (desk.ours(), desk.checks(desk.pull.head)) == ([], ["success"])
    late = desk.posted(GITHUB_RUN_ID="8")
    assert "a newer run has posted: 9; to post its card again, re-run that one" in late.out
    assert desk.checks(desk.pull.head) == ["success"]


def test_a_locked_conversation_keeps_the_card_that_it_has(desk: Desk) -> None:
    """GitHub lets no App change it; a person who may write can."""
    assert desk.posted().code == 0
    desk.pull.locked = True
    assert "(github, check alone)" in desk.posted(GITHUB_RUN_ATTEMPT="2").out
    assert '"attempt": 1' in desk.ours()[0]
    desk.server.tokens[SECRET] = Token("ada", of_workflow=False)
    assert desk.posted(GITHUB_RUN_ATTEMPT="3").code == 26  # who may not add the check
    assert len(desk.ours(login="ada")) == 1


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (403, {"message": "Unable to create comment because issue is locked."}),
        (403, {"message": "The conversation has been locked and limited to collaborators."}),
        (422, {"message": "Validation Failed", "errors": [{"message": "Commenting is disabled on this issue"}]}),
        (403, {"message": "An owner of this repository has limited the ability to comment to collaborators."}),
        (403, {"message": "Interactions on this repository have been restricted"}),
        (403, {"message": "This installation has been suspended"}),
        (403, {"message": "Your account has been flagged"}),
    ],
)
def test_other_words_for_it_are_known(desk: Desk, status: int, body: dict[str, Any]) -> None:
    """The check stands, the reason is GitHub's own, and no permission is asked for."""
    desk.server.faults.append(Fault("POST", "comments", status, 1, {}, body))
    ran = desk.posted()
    assert (ran.code, ran.out.partition(";")[0]) == (0, "report posted"), ran.err
    assert (body["errors"][0] if "errors" in body else body)["message"] in ran.out
    assert "permissions" not in ran.out
    assert desk.checks(desk.pull.head) == ["success"]


def test_an_archived_repository_takes_nothing_and_says_so(desk: Desk) -> None:
    """Neither comment nor check; the remedy is not a permission."""
    desk.repository.archived = True
    ran = desk.posted()
    assert ran.code == 26
    assert "Repository was archived so is read-only" in ran.err
    assert "unarchive it" in ran.err
    assert "permissions" not in ran.err


def test_a_comment_that_was_deleted_is_posted_anew(desk: Desk) -> None:
    """Lists still show it, and changing it answers 404."""
    assert desk.posted().code == 0
    desk.pull.comments[0].gone = True
    for run in ("8", "9"):
        ran = desk.posted(GITHUB_RUN_ID=run)
        assert ran.code == 0, ran.err
        assert [f'"run": {run}' in body for body in desk.ours()] == [True]
    assert desk.checks(desk.pull.head) == ["success"] * 3


def test_a_refusal_that_is_no_lack_of_a_permission_is_told_as_it_is(desk: Desk) -> None:
    """Whatever GitHub says; only words of a missing permission lead to the line that grants it."""
    body = {"message": "Resource protected by organization SAML enforcement."}
    desk.server.faults.append(Fault("POST", "comments", 403, 1, {}, body))
    ran = desk.posted()
    assert ran.code == 26
    assert "SAML enforcement" in ran.err
    assert "permissions" not in ran.err
    assert desk.checks(desk.pull.head) == ["success"]
    desk.server.tokens[SECRET] = Token(BOT, ("checks", "contents"))
    ran = desk.posted(GITHUB_RUN_ID="8")
    assert (ran.code, desk.checks(desk.pull.head)) == (26, ["success"] * 2)
    assert "permissions: {pull-requests: write}" in ran.err


def test_a_run_without_a_token_says_that_nothing_was_posted(desk: Desk) -> None:
    """It is about a pull request, and has a card for it; whoever asks for a summary gets that, and no complaint."""
    job, payload = desk.checkout(desk.pull.head), events.pull_request_event(desk.repository, desk.pull)
    ran = desk.report(job, "pull_request", payload, GITHUB_TOKEN="")
    assert (ran.code, ran.out.partition(";")[0]) == (0, "report not posted")
    assert "there is no token in GITHUB_TOKEN" in ran.out
    ran = desk.report(job, "pull_request", payload, "--publisher", "summary", GITHUB_TOKEN="")
    assert (ran.out.partition(";")[0], len(ran.out.splitlines())) == ("report written", 2)


def test_the_run_that_a_fork_causes_is_told_the_way_that_works(desk: Desk) -> None:
    """No line of its job lets its token write."""
    fork = desk.server.repository("stranger/ml")
    desk.author.git("push", "--quiet", str(fork.path), f"{desk.pull.head}:refs/heads/topic")
    desk.pull = desk.repository.open_pull("Of a fork", "topic", source=fork)
    desk.server.tokens[SECRET] = Token(BOT, ())
    ran = desk.posted()
    assert ran.code == 26
    assert "the token of a run that a fork causes may only read" in ran.err
    assert "`workflow_run`" in ran.err
    assert "permissions" not in ran.err


@pytest.mark.parametrize(
    "token",
    [Token(BOT), Token("acme-ml[bot]"), Token("ada", of_workflow=False)],
    ids=["workflow", "app", "person"],
)
def test_each_token_finds_its_own_comment(desk: Desk, token: Token) -> None:
    """Three runs, one comment; that of somebody else with the same marker stays theirs. Checks are for Apps alone."""
    desk.server.tokens[SECRET] = token
    code = 0 if token.of_workflow else 26
    assert desk.posted().code == code
    desk.pull.comments.insert(0, replace(desk.pull.comments[0], number=900, author="mallory"))
    stolen = desk.pull.comments[0].body
    for run in ("8", "9"):
        ran = desk.posted(GITHUB_RUN_ID=run)
        assert ran.code == code, ran.err
        assert ("that of an App, to the step" in ran.err) is not token.of_workflow
    assert [f'"run": {run}' in body for run, body in zip("9", desk.ours(login=token.login), strict=True)] == [True]
    assert desk.ours(login="mallory") == [stolen]


def test_an_app_that_nobody_names_is_known_by_what_it_posted(desk: Desk) -> None:
    """Neither REST nor GraphQL tells who we are: the second comment does, and is merged into the first."""
    desk.server.tokens[SECRET] = Token("acme-ml[bot]")
    for run in ("7", "8", "9"):
        desk.server.faults.append(Fault("POST", "graphql", 403, 9, {}, {"message": "Forbidden"}))
        assert desk.posted(GITHUB_RUN_ID=run).code == 0
        assert len(desk.ours(login="acme-ml[bot]")) == 1
    assert '"run": 9' in desk.ours(login="acme-ml[bot]")[0]


def test_late_and_repeated_runs(desk: Desk) -> None:
    """Runs 110 and 112 have the same words, 111 is late, 110 is re-run, 112 is re-run: the newest stays."""
    posted = []
    for run, attempt in (("110", "1"), ("112", "1"), ("111", "1"), ("110", "2"), ("112", "2")):
        ran = desk.posted(GITHUB_RUN_ID=run, GITHUB_RUN_ATTEMPT=attempt)
        assert ran.code == 0, ran.err
        posted.append(ran.out.partition(";")[0])
        if posted[-1] == "report not posted":
            assert "a newer run has posted: 112; to post its card again, re-run that one" in ran.out
    assert posted == ["report posted", "report posted", "report not posted", "report not posted", "report posted"]
    (body,) = desk.ours()
    assert '"run": 112, "attempt": 2' in body
    assert len(desk.checks(desk.pull.head)) == 3


def test_an_answer_that_was_lost_leaves_one_comment(desk: Desk) -> None:
    """The gateway gave up after the comment was made, and after the check was: both are asked for again."""
    desk.server.faults.append(Fault("POST", "comments", 502, late=True))
    desk.server.faults.append(Fault("POST", "check-runs", 502, late=True))
    assert desk.posted().code == 0
    assert len(desk.ours()) == 1
    desk.server.faults.append(Fault("PATCH", "comments", 502, late=True))
    assert desk.posted(GITHUB_RUN_ATTEMPT="2").code == 0
    assert [body.count('"attempt": 2') for body in desk.ours()] == [1]
    assert set(desk.checks(desk.pull.head)) == {"success"}
