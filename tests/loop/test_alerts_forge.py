"""`leverframe monitor` with issues, webhooks and its branch on the local forge: faults, kills, and two at once."""

from __future__ import annotations

import hashlib
import hmac
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from leverframe.adapters.git import Git
from leverframe.adapters.github import state_branch
from leverframe.adapters.github.issues import GithubIssues
from leverframe.adapters.github.state_branch import GithubState
from leverframe.application.retrain_help import ask_for_a_person
from leverframe.application.workspace import Workspace
from leverframe.domain.features.plan import compile_star
from leverframe.domain.retraining.attempt import Outcome
from leverframe.domain.single_issue import Edit
from leverframe.errors import LeverframeError, PublishError
from leverframe.local.github import Fault, Token
from leverframe.local.github.state import Issue
from leverframe.settings.levers import Levers
from leverframe.settings.params import Params
from tests.fakes.attempts import attempt
from tests.loop.monitored_repository import BOT, BRANCH, KEY, LABEL, NAME, SECRET, SETTINGS, Place, as_of, monitored
from tests.profiles import by_day


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A repository with 30 days of evaluated rows; no call may violate the description of GitHub's API."""
    with monitored(tmp_path) as place:
        yield place


def test_an_alert_from_its_opening_to_its_end(place: Place) -> None:
    """Opened with owners, told once, silent while nothing changes, closed after quiet windows, opened again."""
    place.serve(13, {3: 0.5, 4: 0.5, 9: 0.5})
    before = place.run(3, "--dry-run")
    assert "open an issue: [shop/local] missing values: amount" in before
    assert (place.issues, place.receiver.received, place.forge.commit(BRANCH)) == ([], [], "")
    output = place.run(3)
    assert [line for line in output.splitlines() if "issue" in line or "notify" in line] == [
        line for line in before.splitlines() if "issue" in line or "notify" in line
    ]
    (issue,) = place.issues
    assert (issue.title, issue.labels, issue.assignees) == (
        "[shop/local] missing values: amount", [LABEL], ["ann"],
    )  # fmt: skip
    assert "Owners: @ann @gone @acme/ml." in issue.body
    assert "GitHub cannot assign `gone`" in issue.body
    assert f"[Dashboard]({place.server.address}/{NAME}/blob/{BRANCH}/local/summary.md)" in issue.body
    (delivery,) = place.receiver.received
    stamp = delivery.headers["X-Leverframe-Timestamp"]
    signed = hmac.new(KEY.encode(), f"{stamp}.".encode() + delivery.body, hashlib.sha256).hexdigest()
    assert delivery.headers["X-Leverframe-Signature"] == f"sha256={signed}"
    assert json.loads(delivery.body)["url"] == f"{place.server.address}/{NAME}/issues/1"
    (open_alert,) = json.loads(place.kept("monitor.json"))["alerts"]
    assert open_alert["url"] == f"{place.server.address}/{NAME}/issues/1"
    writes = place.writes()
    place.run(3)
    assert place.writes() == writes
    place.run(4)
    assert issue.comments == []
    with urllib.request.urlopen(f"{place.server.address}/{NAME}/issues/1") as page:  # noqa: S310 - the loopback
        assert "[shop/local] missing values: amount" in page.read().decode()
    place.run(7)
    assert (issue.state, issue.reason) == ("closed", "completed")
    place.run(9)
    assert (issue.state, issue.reason) == ("open", "reopened")
    events = [json.loads(request.body)["event"] for request in place.receiver.received]
    assert events == ["opened", "closed", "reopened"]
    lines = [json.loads(line) for line in place.kept("history.jsonl").splitlines()]
    keys = [(line["window"], line["part"]) for line in lines]
    assert len(keys) == len(set(keys))
    assert {(f"2026-03-{day:02d}", "traffic") for day in range(1, 11)} <= set(keys)


@pytest.mark.parametrize(
    ("method", "path", "late"),
    by_day(
        [("POST", "/issues$", True), ("PATCH", "/issues/1$", False), ("POST", "/git/refs$", True)],
        ("POST", "/issues$", True),
    ),
)
def test_a_run_that_was_killed_is_finished_by_the_next(place: Place, method: str, path: str, *, late: bool) -> None:
    """Whether the forge did what was asked or not: no second issue, no second event, no second line."""
    place.serve(3, {3: 0.5})
    fault = Fault(method, path, late=late, seconds=90.0)
    place.server.faults.append(fault)
    command = [sys.executable, "-m", "leverframe", "monitor", "--as-of", as_of(3)]
    running = subprocess.Popen(command, cwd=place.repository.root, env=place.variables(), stderr=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL)  # fmt: skip
    _until(lambda: fault.times == 0 and bool(place.issues))
    running.kill()
    running.wait()
    place.run(3)
    assert [issue.state for issue in place.issues] == ["open"]
    assert place.issues[0].comments == []
    deliveries = [delivery.headers["X-Leverframe-Delivery"] for delivery in place.receiver.received]
    assert len(set(deliveries)) == 1
    # Killed after it was sent and before that was written down: the receiver knows the delivery by its id.
    assert len(deliveries) == (2 if method == "PATCH" else 1)
    lines = place.kept("history.jsonl").splitlines()
    assert len(lines) == len(set(lines)) > 3


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(
    "fault",
    [
        Fault("POST", "/issues$", 502),
        Fault("POST", "/issues$", 502, late=True),
        Fault("GET", "/issues$", 403, headers={"Retry-After": "1"}, body={"message": "You have exceeded a secondary "
              "rate limit. Please wait."}),
        Fault("GET", "/issues$", stale=True, times=2),
        Fault("PATCH", "/issues/1$", 500),
        Fault("GET", "/git/ref/", 503),
    ],
    ids=["502", "502-late", "403-secondary", "stale", "500", "503"],
)  # fmt: skip
def test_passing_faults_leave_one_issue(place: Place, fault: Fault) -> None:
    """A gateway that gives up after the issue was made lets the client ask again: the second is closed at once."""
    place.serve(3, {3: 0.5})
    place.server.faults.append(fault)
    place.run(3)
    if fault.stale:
        place.run(3)
    assert [issue.number for issue in place.issues if issue.state == "open"] == [1]
    assert all(issue.reason == "duplicate" for issue in place.issues[1:])
    assert [json.loads(delivery.body)["event"] for delivery in place.receiver.received] == ["opened"]


def test_what_github_refuses_is_named_and_the_results_are_kept(place: Place) -> None:
    """A token without the permission, and a repository without issues; webhooks wait for the issue."""
    place.serve(3, {3: 0.5})
    place.server.tokens[SECRET] = Token(BOT, ("contents",))
    assert "give the job `permissions: {issues: write}`" in place.run(3, code=26)
    assert json.loads(place.kept("monitor.json"))["findings"]
    place.server.tokens[SECRET] = Token(BOT)
    place.forge.has_issues = False
    assert "alerts: {issues: false}" in place.run(3, code=26)
    assert place.receiver.received == []


def test_without_issues_alerts_are_kept_in_a_file(place: Place) -> None:
    """Webhooks are told each event once all the same, and the branch remembers that."""
    place.serve(7, {3: 0.5})
    settings = SETTINGS.replace("alerts:", "alerts:\n  issues: false")
    place.repository.write("leverframe.yaml", settings)
    for last in (3, 3, 7, 7):
        place.run(last)
    assert place.issues == []
    assert [json.loads(delivery.body)["event"] for delivery in place.receiver.received] == ["opened", "closed"]
    assert json.loads(place.kept("alerts.json"))["issues"][0]["open"] is False


def test_a_webhook_that_is_down_fails_nothing(place: Place) -> None:
    """It is a note of the result, and the next run delivers."""
    place.serve(3, {3: 0.5})
    place.receiver.answers = [(410, {})]
    place.run(3)
    notes = json.loads(place.kept("monitor.json"))["notes"]
    assert [note for note in notes if "HOOK" in note] == [
        "HOOK was not told that [shop/local] missing values: amount opened (warning): it answered 410; the next run "
        "tries again"
    ]
    place.run(3)
    assert len(place.receiver.received) == 2
    place.environment = {"HOOK_KEY": ""}
    place.serve(9, {3: 0.5, 9: 0.9})
    place.run(6)
    assert "HOOK_KEY with its key is not set" in place.kept("monitor.json")


def test_an_issue_of_somebody_else_is_never_taken_for_ours(place: Place) -> None:
    """Pull requests in the list, an issue with our label and no marker, one with our marker and no label."""
    place.serve(3, {3: 0.5})
    place.forge.open_pull("A change", "main")
    place.forge.issues[2] = Issue(2, "Mine", "ann", "text", [LABEL])
    next(place.forge.numbers)
    place.run(3)
    ours = place.forge.issues[3]
    place.forge.issues[4] = Issue(4, "Copied", "mallory", ours.body)
    next(place.forge.numbers)
    place.run(3)
    assert place.forge.issues[2].body == "text"
    assert place.forge.issues[4].state == "open"
    assert len(place.forge.issues) == 3


def test_somebody_who_cannot_be_assigned_any_more_is_left_out(place: Place) -> None:
    """GitHub answers 422 for the whole issue; it is opened without, and people without push lose label and issue."""
    issues = GithubIssues(place.server.address, NAME, SECRET)
    made = issues.opened("Title", "text", (LABEL,), ("ann", "left"))
    assert (made.assignees, made.labels) == ((), (LABEL,))
    assert [issues.assignable(login) for login in ("ann", "left")] == [True, False]
    place.server.tokens["of-a-reader"] = Token("reader", of_workflow=False, push=False)
    with pytest.raises(PublishError, match="did not give the issue"):
        GithubIssues(place.server.address, NAME, "of-a-reader").opened("Title", "text", (LABEL,), ())
    with pytest.raises(LeverframeError, match="GitHub refused to change issue"):
        issues.edited(made.number, Edit("x" * 70_000))


def test_a_comment_that_was_made_before_a_bad_gateway_stands_once(place: Place) -> None:
    """The client asked again, so there are two: the first stays, and so do those of people."""
    issues = GithubIssues(place.server.address, NAME, SECRET)
    number = issues.opened("Title", "text", (LABEL,), ()).number
    place.forge.say(place.forge.issues[number], "ann", "I look at it.")
    place.server.faults.append(Fault("POST", "/comments$", 502, late=True))
    issues.comment(number, "<!-- marker 1 -->\nstill there")
    issues.comment(number, "<!-- marker 2 -->\nstill there")
    bodies = [comment.body for comment in place.forge.issues[number].comments]
    assert bodies == ["I look at it.", "<!-- marker 1 -->\nstill there", "<!-- marker 2 -->\nstill there"]
    assert issues.comments(number) == bodies


def test_more_than_a_page_of_issues(place: Place) -> None:
    """The one that is asked for is on the second hundred."""
    issues = GithubIssues(place.server.address, NAME, SECRET)
    for number in range(1, 131):
        place.forge.issues[number] = Issue(number, f"Issue {number}", BOT, "", [LABEL], state="closed")
    assert [issue.number for issue in issues.listed(LABEL)] == list(range(1, 131))
    assert issues.listed("other") == []


def test_two_writers_of_the_branch_lose_nothing(place: Place) -> None:
    """The second is refused, reads again and merges; one that is overtaken again and again says so."""
    here, there = (GithubState(place.server.address, NAME, SECRET, "production") for _ in range(2))
    here.update(lambda _: {"history.jsonl": "1\n"})
    tries: list[object] = []

    def slow(files: Mapping[str, str]) -> dict[str, str]:
        if not tries:
            there.update(lambda kept: {"history.jsonl": kept["history.jsonl"] + "2\n"})
        tries.append(files["history.jsonl"])
        return {"history.jsonl": files["history.jsonl"] + "3\n"}

    here.update(slow)
    assert here.read() == {"history.jsonl": "1\n2\n3\n"}
    assert len(tries) == 2

    def overtaken(_: Mapping[str, str]) -> dict[str, str]:
        there.update(lambda kept: {"n": kept.get("n", "") + "x"})
        return {"mine": "1"}

    with pytest.raises(LeverframeError, match="could not be written"):
        here.update(overtaken)
    GithubState(place.server.address, NAME, SECRET, "staging").update(lambda _: {"monitor.json": "{}"})
    assert here.read()["history.jsonl"] == "1\n2\n3\n"


def test_two_first_writers_of_the_branch(place: Place) -> None:
    """Both find no branch; the second finds it made, and adds to it."""
    here, there = (GithubState(place.server.address, NAME, SECRET, "production") for _ in range(2))
    tries: list[object] = []

    def slow(files: Mapping[str, str]) -> dict[str, str]:
        if not tries:
            there.update(lambda _: {"a": "1"})
        tries.append(dict(files))
        return {"b": "2"}

    here.update(slow)
    assert here.read() == {"a": "1", "b": "2"}


def test_the_branch_does_not_grow_for_ever(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many commits it begins anew with all of its files; what changes nothing makes no commit."""
    monkeypatch.setattr(state_branch, "LONGEST", 3)
    state = GithubState(place.server.address, NAME, SECRET, "production")
    for number in range(5):
        state.update(lambda files, number=number: {"h": files.get("h", "") + f"{number}\n"})  # type: ignore[misc]
        state.update(dict)
    assert state.read() == {"h": "0\n1\n2\n3\n4\n"}
    assert place.forge.git("rev-list", "--count", BRANCH).strip() == "2"


def test_a_label_asks_for_a_person(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Open alerts of the model get it, beside the labels that they have; without one an issue does, once."""
    place.serve(3, {3: 0.5})
    place.run(3)
    for name, value in place.variables().items():
        monkeypatch.setenv(name, value)
    root = place.repository.root
    levers = Levers()
    workspace = Workspace(root, Git(root), Params, lambda: levers, compile_star)  # type: ignore[arg-type]
    worse = attempt(Outcome.WORSE, 0, model="shop", environment="local", why="AUC fell.")
    for _ in range(2):
        assert len(ask_for_a_person(workspace, worse, root)) == 1
    (issue,) = place.issues
    assert issue.labels == [LABEL, "needs-human"]
    for _ in range(2):
        ask_for_a_person(workspace, replace(worse, environment="production"), root)
    _, other = place.issues
    assert (other.title, other.labels) == ("[shop/production] retraining does not help", ["needs-human"])
    assert "AUC fell" in other.body
    place.server.faults.append(Fault("GET", "/issues$", status=403, times=9))
    refused = ask_for_a_person(workspace, worse, root)
    assert refused[1].startswith("nobody was asked on the forge: ")
