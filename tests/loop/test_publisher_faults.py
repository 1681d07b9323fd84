"""Posting a card over a forge with faults: one comment of ours, the check, few requests, and nobody else's comment."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from leverframe.adapters import cml
from leverframe.adapters.github import GithubForge
from leverframe.adapters.github.patience import LONGEST, TRIES
from leverframe.adapters.process import run_group
from leverframe.domain.review.report.card_markdown import marker
from leverframe.domain.review.report.post_card import CardPost, PostedElsewhere, PostResult, Refused, nobody
from leverframe.domain.review.report.publish import Comment, Posting
from leverframe.domain.review.report.pull_of_run import RunOrder
from leverframe.domain.verdict import Passed
from leverframe.errors import ForgeUnreachableError
from leverframe.local.github.server import Fault
from tests.loop.forge import BOT, SECRET
from tests.loop.test_publishers import HERE, NAME, Place, certificates, place

__all__ = ["certificates", "place"]  # fixtures

SECONDARY = {"message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}
COMMENTS, CHECKS = "issues/1/comments$", "check-runs$"
CHATTER, THEIRS = "looks good", f"mine\n\n{cml.watermark(cml.title('model'), '0' * 40)}"


@dataclass
class Job:
    """Jobs that post in this process: ``waits`` is what they would have slept."""

    place: Place
    waits: list[float] = field(default_factory=list)
    wrapped: Callable[[cml.ByCml], Callable[[list[Comment], Comment | None], PostedElsewhere | Refused]] = lambda by: by

    def post(self, run: int, *, by_cml: bool = False, seconds: float = 3.0) -> PostResult:
        """Post the card of a run."""
        head, server = self.place.pull.head, self.place.server.address
        body = f"{marker('model', head, RunOrder(run))}\ncard {run}\n"
        posting = Posting("model", body, head, Passed(), body)
        program = cml.ByCml(server, (NAME, 1, head), SECRET, posting, run_group, seconds)
        forge = GithubForge(server, NAME, SECRET, wait=self.waits.append)
        mark = cml.watermark(cml.title("model"), head) if by_cml else ""
        return CardPost(forge, 1, posting, self.wrapped(program) if by_cml else nobody, mark=mark)(dry=False)

    def say(self, body: str, author: str = "mallory") -> None:
        """Let somebody comment."""
        self.place.server.repositories[NAME].say(self.place.pull, author, body)

    def fault(self, fault: Fault) -> Fault:
        """Plant a fault."""
        self.place.server.faults.append(fault)
        return fault

    def counted(self) -> Counter[tuple[str, str]]:
        """Count the writes, of comments and of checks."""
        kinds = (
            (request.method, "check" if "check-runs" in request.path else "comment")
            for request in self.place.server.requests
            if request.method != "GET" and "graphql" not in request.path
        )
        return Counter(kinds)

    def state(self) -> tuple[list[str], list[str], int]:
        """Our comments without their markers, those of others, and how many checks there are."""
        others = [comment.body for comment in self.place.pull.comments if comment.author != BOT]
        return [body.partition("\n")[2] for body in self.place.ours()], others, len(self.place.checks())


@pytest.fixture
def job(place: Place, monkeypatch: pytest.MonkeyPatch) -> Job:
    """A job with CML on its path."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(place.authority))
    monkeypatch.setenv("NODE_EXTRA_CA_CERTS", str(place.authority))
    monkeypatch.setenv("PATH", f"{place.folder / 'with-cml'}{os.pathsep}{os.environ['PATH']}")
    return Job(place)


FAULTS = {
    "list": Fault("GET", COMMENTS, 502),
    "list twice": Fault("GET", COMMENTS, 503, times=2),
    "create": Fault("POST", COMMENTS, 502),
    "create twice": Fault("POST", COMMENTS, 502, times=2),
    "created, response lost": Fault("POST", COMMENTS, 502, late=True),
    "update": Fault("PATCH", "issues/comments", 500, times=2),
    "updated, response lost": Fault("PATCH", "issues/comments", 504, late=True),
    "look up checks": Fault("GET", CHECKS, 502, times=2),
    "check": Fault("POST", CHECKS, 502, times=2),
    "checked, response lost": Fault("POST", CHECKS, 502, late=True),
    "a proxy asks for a second": Fault("POST", COMMENTS, 503, 1, {"Retry-After": "1"}),
    "secondary limit of checks": Fault("POST", CHECKS, 403, 1, {}, SECONDARY),
    "limit of checks": Fault("POST", CHECKS, 403, 2, {"Retry-After": "1"}, {"message": "slow down"}),
}
LIMITS = {
    "limit": Fault("POST", COMMENTS, 403, 1, {"Retry-After": "1"}, SECONDARY),
    "limit twice": Fault("POST", COMMENTS, 429, 2, {"Retry-After": "1"}, {"message": "Too many requests"}),
    "secondary limit": Fault("POST", COMMENTS, 403, 1, {}, SECONDARY),
    "limit of a list": Fault("GET", COMMENTS, 429, 2, {"Retry-After": "2"}, {"message": "Too many requests"}),
}


@pytest.mark.parametrize(
    ("fault", "by_cml"),
    [pytest.param(fault, by_cml, id=f"{name}-{'cml' if by_cml else 'github'}")
     for by_cml in (False, True) for name, fault in (FAULTS if by_cml else FAULTS | LIMITS).items()],
)  # fmt: skip
def test_a_fault_that_passes_costs_neither_comment_nor_check(job: Job, fault: Fault, *, by_cml: bool) -> None:
    """Created, then updated; whoever posts leaves the same, and nothing is asked for more than three times."""
    job.say(CHATTER)
    planted = job.fault(replace(fault))
    for run in (1, 2):
        job.place.server.requests.clear()
        job.post(run, by_cml=by_cml)
        assert job.state() == ([f"card {run}"], [CHATTER], run)
        assert max(job.counted().values()) <= TRIES + by_cml  # of CML, its own try
    assert planted.times == 0
    assert sum(job.waits) <= 2 * LONGEST


def test_what_a_list_hides_after_a_lost_response_is_found_and_removed(job: Job) -> None:
    """The comment was made, its response lost, and the list lags behind: the second one goes, with the same job."""
    job.say(CHATTER)
    job.fault(Fault("POST", COMMENTS, 502, late=True))
    job.fault(Fault("GET", COMMENTS, stale=True, times=2))  # the first look, and the one for what was made
    job.post(1)
    assert job.state() == (["card 1"], [CHATTER], 1)
    assert job.counted()["POST", "comment"] == 2


@pytest.mark.parametrize(
    "fault",
    [
        Fault("POST", COMMENTS, 403, 9, {"Retry-After": "60"}, SECONDARY),
        Fault("POST", COMMENTS, 429, 9, {"Retry-After": "Fri, 27 Nov 2099 00:00:00 GMT"}, SECONDARY),
        Fault("POST", COMMENTS, 403, 9, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "4000000000"},
              {"message": "API rate limit exceeded"}),
    ],
    ids=["seconds", "date", "primary"],
)  # fmt: skip
def test_a_limit_that_lasts_is_not_slept_through(job: Job, fault: Fault) -> None:
    """One request, no wait, the check all the same, and an error that may be tried again: the next run posts."""
    planted = job.fault(fault)
    with pytest.raises(ForgeUnreachableError) as caught:
        job.post(1)
    assert "wait until the limit is reset" in caught.value.next
    assert (job.waits, job.counted()["POST", "comment"]) == ([], 1)
    assert job.state() == ([], [], 1)
    planted.times = 0
    job.post(2)
    assert job.state() == (["card 2"], [], 2)


@pytest.mark.parametrize(
    ("method", "path", "checks"),
    [("GET", COMMENTS, 1), ("POST", COMMENTS, 1), ("GET", CHECKS, 0), ("POST", CHECKS, 0)],
)
def test_an_outage_ends_after_three_tries_and_the_next_run_posts(job: Job, method: str, path: str, checks: int) -> None:
    """What is out of order costs itself alone; a run after it finds what is there."""
    planted = job.fault(Fault(method, path, 502, times=50))
    with pytest.raises(ForgeUnreachableError):
        job.post(1)
    assert 50 - planted.times == TRIES
    assert sum(job.waits) <= LONGEST
    assert len(job.place.checks()) == checks
    planted.times = 0
    job.post(2)
    assert job.state() == (["card 2"], [], checks + 1)


@pytest.mark.parametrize("times", [1, 9])
def test_cml_that_github_limits_is_ended_and_the_card_posted(job: Job, times: int) -> None:
    """CML would sleep for half a minute and more: it is ended, and GitHub's interface posts, or the check alone is."""
    planted = job.fault(Fault("POST", COMMENTS, 403, times, {"Retry-After": "1"}, SECONDARY))
    if times == 1:
        ended = job.post(1, by_cml=True)
        assert "`cml` did not answer" in ended.why[0]
        assert job.state() == (["card 1"], [], 1)
    else:
        with pytest.raises(ForgeUnreachableError):
            job.post(1, by_cml=True)
        assert job.state() == ([], [], 1)
        assert times - planted.times == TRIES + 1  # of CML, its own try


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("sleep 600 & wait", "did not answer"),
        ("exit 7", "it ended with 7"),
        ("exit 0", "it ended with 0 and no comment"),
        (None, "there is no `cml` on PATH"),
    ],
    ids=["hangs", "fails", "does nothing", "absent"],
)
def test_where_cml_does_not_post_github_does_and_the_reason_is_told(job: Job, script: str | None, why: str) -> None:
    """Later CML finds that comment by its watermark, and updates it."""
    program = job.place.folder / "with-cml/cml"
    program.unlink()
    if script:
        program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        program.chmod(0o755)
    ended = job.post(1, by_cml=True, seconds=0.5)
    assert (ended.done, ended.other) == ("created", False)
    assert why in ended.why[0]
    assert job.state() == (["card 1"], [], 1)
    program.write_bytes(Path(HERE, "cml").read_bytes())
    program.chmod(0o755)
    assert job.post(2, by_cml=True).other
    assert job.state() == (["card 2"], [], 2)


def test_a_strangers_watermark_before_ours_is_passed_over(job: Job) -> None:
    """CML takes the last one: before ours is posted GitHub's interface has to, after that CML may."""
    job.say(THEIRS)
    assert "it would write over a comment of mallory" in job.post(1, by_cml=True).why[0]
    assert job.post(2, by_cml=True).other
    assert job.state() == (["card 2"], [THEIRS], 2)


def test_a_strangers_watermark_after_ours_keeps_cml_away(job: Job) -> None:
    """It would write the card into that comment, whose author could then edit the card."""
    assert job.post(1, by_cml=True).other
    job.say(THEIRS)
    ended = job.post(2, by_cml=True)
    assert ended.why == ("not posted by CML: it would write over a comment of mallory that has its watermark",)
    assert job.state() == (["card 2"], [THEIRS], 2)


def test_what_is_on_page_two_is_not_seen_by_cml(job: Job) -> None:
    """A stranger's watermark there does no harm; our comment there would be posted a second time."""
    assert job.post(1, by_cml=True).other
    for number in range(30):
        job.say(f"chatter {number}")
    job.say(THEIRS)
    assert job.post(2, by_cml=True).other
    job.place.pull.comments.append(job.place.pull.comments.pop(0))
    ended = job.post(3, by_cml=True)
    assert ended.why == ("not posted by CML: our comment is not among the first 30",)
    ours, others, checks = job.state()
    assert (ours, others[-1], len(others), checks) == (["card 3"], THEIRS, 31, 3)


def test_a_watermark_that_comes_between_the_look_and_the_post_does_not_hide_our_card(job: Job) -> None:
    """CML wrote into the stranger's comment, which is theirs to edit: one of ours has the card, and it is told."""

    def meanwhile(by: cml.ByCml) -> Callable[[list[Comment], Comment | None], PostedElsewhere | Refused]:
        def post(comments: list[Comment], mine: Comment | None) -> PostedElsewhere | Refused:
            job.say(THEIRS)
            return by(comments, mine)

        return post

    job.wrapped = meanwhile
    ended = job.post(1, by_cml=True)
    assert "into a comment of mallory" in ended.why[0]
    assert (job.state()[0], job.state()[2]) == (["card 1"], 1)
