"""Posting a card: one comment of ours, the newest run's card, and the check of the commit that was looked at."""

# ruff: noqa: ARG002

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leverframe.domain.review.report.card_markdown import marker
from leverframe.domain.review.report.check_record import CheckRecord, record_in, with_record
from leverframe.domain.review.report.post_card import CardPost, PostResult
from leverframe.domain.review.report.publish import (
    Comment,
    Create,
    ListedCheck,
    Outdated,
    Posting,
    Published,
    Unchanged,
    Update,
    check_name,
    step,
    written_by,
)
from leverframe.domain.review.report.pull_of_run import Pull, RunOrder
from leverframe.domain.verdict import Failed, Passed, Reason, Skipped, Verdict
from leverframe.errors import ForgeUnreachableError, PublishError
from tests.profiles import examples

HEAD, ME = "c" * 40, "github-actions[bot]"
LOCKED = "Unable to create comment because issue is locked."


def comment(number: int, body: str, author: str = ME) -> Comment:
    """Return a comment."""
    return Comment(number, author, body, f"https://example.org/{number}")


def body(run: int = 7, text: str = "the card", key: str = "model", attempt: int = 1) -> str:
    """Return the body of a comment of ours."""
    return f"{marker(key, HEAD, RunOrder(run, attempt))}\n{text}\n"


def test_only_our_own_comment_with_our_marker_is_ours() -> None:
    """Neither a copy of the marker by somebody else, nor another key, nor a quotation further down."""
    others = [comment(1, body(), "mallory"), comment(2, body(key="other")), comment(3, f"> {body()}")]
    assert step(others, ME, "model", body()) == Create()
    mine = comment(4, body(3, "old"))
    assert step([*others, mine], ME, "model", body()) == Update(mine)


def test_an_equal_comment_keeps_its_words() -> None:
    """Line ends and the mark that CML leaves do not count; that an older run wrote it is put right."""
    mark = '\n\n![](https://cml.dev/watermark.png#1 "CML watermark leverframe-model")'
    for there in (body(), body().replace("\n", "\r\n"), body() + mark):
        mine = comment(4, there)
        assert step([mine], ME, "model", body()) == Unchanged(mine)
    for there in (body(5), body(attempt=1) + mark):
        mine = comment(4, there)
        assert step([mine], ME, "model", body(attempt=2)) == Unchanged(mine, renewed=True)
    assert isinstance(step([comment(4, body() + "more")], ME, "model", body()), Update)


def test_a_newer_run_is_never_overwritten() -> None:
    """The run that ends last is not the run that began last; a re-run is newer than the run that it repeats."""
    mine = comment(4, body(9))
    assert step([mine], ME, "model", body(7)) == Outdated(mine, RunOrder(9))
    assert step([mine], ME, "model", body(7, attempt=5)) == Outdated(mine, RunOrder(9))
    assert step([comment(4, body(9, attempt=2))], ME, "model", body(9)) == Outdated(
        comment(4, body(9, attempt=2)), RunOrder(9, 2)
    )
    assert step([mine], ME, "model", body(9, "other", attempt=2)) == Update(mine)
    broken = comment(4, f"<!-- leverframe:report:model {{bad -->\n{body()}")
    assert step([broken], ME, "model", body()) == Create()


def test_a_comment_of_an_older_version_is_known() -> None:
    """Its marker has no attempt: that was the first."""
    old = f'<!-- leverframe:report:model {{"head": "{HEAD}", "run": 6}} -->\nthe card\n'
    assert written_by(old, "model") == RunOrder(6, 1)


def test_a_key_that_could_leave_the_marker_is_refused() -> None:
    """It stands inside an HTML comment."""
    with pytest.raises(PublishError, match="key"):
        marker("x --> <b>", HEAD)


class Memory:
    """A forge in memory that counts what it is asked; some comments are ``gone`` although they are listed."""

    def __init__(self, comments: list[Comment], login: str = ME) -> None:
        self.posted, self.added, self.login = comments, list[tuple[str, str, str]](), login
        self.summaries: list[str] = []
        self.gone: set[int] = set()
        self.closed: set[int] = set()
        self.refusal: PublishError | None = None
        self.refused_check: PublishError | None = None

    def me(self) -> str:
        return self.login

    def comments(self, number: int) -> list[Comment]:
        return list(self.posted)

    def create(self, number: int, body: str) -> Comment:
        self._may()
        self.posted.append(comment(max((post.number for post in self.posted), default=0) + 1, body))
        return self.posted[-1]

    def update(self, comment: Comment, body: str) -> bool:
        self._may()
        if comment.number in self.gone:
            return False
        place = next(index for index, other in enumerate(self.posted) if other.number == comment.number)
        self.posted[place] = replace(comment, body=body)
        return True

    def delete(self, comment: Comment) -> None:
        self.posted = [other for other in self.posted if other.number != comment.number]

    def pull(self, number: int) -> Pull:
        return Pull(number, HEAD, "main", open=number not in self.closed)

    def pulls(self, repository: str, branch: str) -> list[Pull]:
        raise AssertionError("it is known")

    def keep(self, branch: str, files: Mapping[str, str]) -> None:
        raise AssertionError("nobody asked for pictures")

    def checks(self, name: str, head: str) -> list[ListedCheck]:
        runs = enumerate(zip(self.added, self.summaries, strict=True))
        return [ListedCheck(number, summary, added[1] == "pending") for number, (added, summary) in runs]

    def check_run(self, name: str, head: str, conclusion: str, title: str, summary: str) -> str:
        if self.refused_check is not None:
            raise self.refused_check
        self.added.append((head, conclusion, title))
        self.summaries.append(summary)
        return f"https://example.org/check/{len(self.added)}"

    def check_again(self, number: int, state: str, title: str, summary: str) -> str:
        self.added[number] = (self.added[number][0], state, title)
        self.summaries[number] = summary
        return f"https://example.org/check/{number + 1}"

    def _may(self) -> None:
        if self.refusal is not None:
            raise self.refusal

    @property
    def shown(self) -> list[str]:
        """The bodies of the comments that are there."""
        return [comment.body for comment in self.posted if comment.number not in self.gone]


def posted(
    forge: Memory, run: int, text: str, attempt: int = 1, *, dry: bool = False, number: int | None = 1
) -> PostResult:
    """Post a card of a run."""
    content = body(run, text, attempt=attempt)
    return CardPost(forge, number, Posting("model", content, HEAD, Passed(), content))(dry=dry)


def test_posting_twice_leaves_one_comment() -> None:
    """Created, then left alone, then updated; a dry run does nothing; a late run does nothing, and says why."""
    forge = Memory([])
    assert posted(forge, 1, "a", dry=True).done == "would create"
    assert (forge.posted, forge.added) == ([], [])
    assert posted(forge, 1, "a").done == "created"
    assert posted(forge, 2, "a").done == "unchanged"
    assert posted(forge, 3, "b").done == "updated"
    late = posted(forge, 2, "c")
    assert (late.done, late.place) == ("left alone", "https://example.org/1")
    assert late.why == ("a newer run has posted: 3; to post its card again, re-run that one",)
    assert forge.shown == [body(3, "b")]
    assert forge.added == [(HEAD, "success", "ready to merge")] * 3


def test_a_run_with_the_same_words_counts_as_the_newest() -> None:
    """Runs 110 and 112 say the same, and 111 is late: it overwrites neither comment nor check."""
    forge = Memory([])
    for run, text, done in ((110, "a", "created"), (112, "a", "unchanged"), (111, "b", "left alone")):
        assert posted(forge, run, text).done == done
    assert forge.shown == [body(112, "a")]
    assert posted(forge, 110, "b", attempt=2).done == "left alone"  # a re-run of an older run of the same commit
    assert posted(forge, 112, "a", attempt=2).done == "unchanged"
    assert posted(forge, 112, "c", attempt=3).done == "updated"
    assert posted(forge, 112, "a", attempt=2).why == (
        "a newer run has posted: 112, attempt 3; to post its card again, re-run that one",
    )
    assert forge.shown == [body(112, "c", attempt=3)]


@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(1, 3), st.sampled_from("abc")), min_size=1, max_size=8),
    st.sampled_from(["", LOCKED]),
)
@settings(max_examples=examples(1.0))
def test_in_any_order_the_newest_run_stays(runs: list[tuple[int, int, str]], locked: str) -> None:
    """Comment and check are those of the newest run that has posted by then, also where only the check can be had."""
    forge = Memory([])
    forge.refusal = PublishError("GitHub refused", why=locked, next="", closed=True) if locked else None
    newest, words = RunOrder(0), ""
    for run, attempt, text in runs:
        posted(forge, run, text, attempt)
        if RunOrder(run, attempt) >= newest:
            newest, words = RunOrder(run, attempt), text
        assert forge.shown == ([] if locked else [body(newest.run, words, attempt=newest.attempt)])
        assert written_by(forge.summaries[-1], "model") == newest


def test_a_second_comment_of_ours_is_removed() -> None:
    """A list that lagged behind made us post twice; the oldest stays, with the newest words."""
    old = comment(1, body(1, "old"))
    listings = iter([[comment(9, "chatter", "somebody")]])

    class Lagging(Memory):
        def comments(self, number: int) -> list[Comment]:
            return next(listings, None) or super().comments(number)

    lagging = Lagging([old])
    posted(lagging, 2, "new")
    assert lagging.posted == [comment(1, body(2, "new"))]


def test_what_a_newer_run_posted_meanwhile_stays() -> None:
    """The list hid its comment: of the two, the oldest stays with the words of the newer run."""
    there = comment(1, body(5, "newer"))
    listings = iter([[comment(9, "chatter", "somebody")]])

    class Lagging(Memory):
        def comments(self, number: int) -> list[Comment]:
            return next(listings, None) or super().comments(number)

    lagging = Lagging([there])
    posted(lagging, 2, "older")
    assert lagging.posted == [there]


def test_a_comment_that_was_deleted_is_posted_anew() -> None:
    """Also while lists still show it, run after run; the check is added each time."""
    forge = Memory([comment(1, body(1, "old")), comment(2, "chatter", "somebody")])
    forge.gone = {1}
    for run in (2, 3, 4):
        assert posted(forge, run, f"of {run}").done == "updated"
        assert [text for text in forge.shown if text != "chatter"] == [body(run, f"of {run}")]
    assert len(forge.added) == 3


@pytest.mark.parametrize("login", ["acme-ml[bot]", "ada", "github-actions[bot]"])
def test_who_we_are_is_told_by_what_we_posted(login: str) -> None:
    """Where nobody tells it before, the comment that was just created has our name: one comment in three runs."""

    class Unknown(Memory):
        def create(self, number: int, body: str) -> Comment:
            made = replace(super().create(number, body), author=login)
            self.posted[-1] = made
            return made

    forge = Unknown([comment(1, body(1, "stolen"), "mallory")])
    for run in (2, 3, 4):
        posted(forge, run, f"of {run}")
        assert [(post.author, post.body) for post in forge.posted] == [
            ("mallory", body(1, "stolen")),
            (login, body(run, f"of {run}")),
        ]


def refusal(why: str, *, closed: bool = False) -> PublishError:
    """Return an error of posting a comment."""
    return PublishError("GitHub refused to comment", why=why, next="do something", closed=closed)


def test_where_nobody_can_comment_the_check_is_posted_alone() -> None:
    """A locked conversation is no failure of the job; the reason is told."""
    forge = Memory([])
    forge.refusal = refusal(LOCKED, closed=True)
    ended = posted(forge, 1, "a")
    assert (ended.done, ended.place) == ("check alone", "https://example.org/check/1")
    assert ended.why == (f"no comment: {LOCKED}", "next: do something")
    assert forge.added == [(HEAD, "success", "ready to merge")]


def test_a_late_run_changes_nothing_that_belongs_to_the_card() -> None:
    """Also where the comment cannot tell which run is the newest: the check does."""
    forge, reviewed = Memory([]), list[int]()
    forge.refusal = refusal(LOCKED, closed=True)

    def post(run: int) -> PostResult:
        content = body(run)
        posting = Posting("model", content, HEAD, Passed(), content)
        return CardPost(forge, 1, posting, reviewed=lambda: reviewed.append(run))(dry=False)

    assert [post(run).done for run in (3, 2, 4)] == ["check alone", "left alone", "check alone"]
    assert reviewed == [3, 4]


def test_a_comment_that_is_refused_does_not_cost_the_check() -> None:
    """The error is raised when the check is there; where both are refused, both are told."""
    forge = Memory([])
    forge.refusal = refusal("it answered 403")
    with pytest.raises(PublishError, match="GitHub refused to comment"):
        posted(forge, 1, "a")
    assert len(forge.added) == 1
    forge.refusal = refusal("archived", closed=True)
    forge.refused_check = PublishError("GitHub refused to add the check run", why="archived", next="unarchive it")
    with pytest.raises(PublishError) as both:
        posted(forge, 2, "a")
    assert both.value.what == "GitHub refused to comment; GitHub refused to add the check run"
    assert (both.value.why, both.value.next) == ("archived", "do something; unarchive it")
    forge.refusal = forge.refused_check = ForgeUnreachableError("no answer", why="timeout", next="again")
    with pytest.raises(ForgeUnreachableError):
        posted(forge, 3, "a")


def test_a_commit_of_a_merge_queue_gets_the_check_alone() -> None:
    """No pull request shows it, so no comment is of it."""
    forge = Memory([])
    assert posted(forge, 1, "a", number=None, dry=True).done == "would add the check"
    assert posted(forge, 1, "a", number=None) == PostResult("https://example.org/check/1", "check alone")
    assert forge.posted == []


def test_a_commit_of_two_pull_requests_fails_while_one_of_them_fails() -> None:
    """It has one check of the name: what passes into one base must not let it be merged into the other."""
    forge, worse = Memory([]), Failed((Reason.METRIC_DROPPED,))

    def run(number: int, run_id: int, verdict: Verdict) -> tuple[str, str]:
        forge.posted.clear()
        content = body(run_id)
        CardPost(forge, number, Posting("model", content, HEAD, verdict, content))(dry=False)
        return forge.added[-1][1:]

    assert run(1, 1, worse) == ("failure", "do not merge: metric-dropped")
    assert run(2, 2, Passed()) == ("failure", "do not merge: #1 has the same commit, and fails")
    assert run(2, 3, Skipped("no rule")) == ("failure", "do not merge: #1 has the same commit, and fails")
    assert run(1, 4, Passed()) == ("success", "ready to merge")  # what failed for the other alone does not count
    assert run(1, 5, worse) == ("failure", "do not merge: metric-dropped")
    forge.closed = {1}
    assert run(2, 6, Passed()) == ("success", "ready to merge")
    assert run(1, 3, Passed()) == ("success", "ready to merge")  # late: nothing was added
    assert len(forge.added) == 6


@pytest.mark.parametrize("line", ["", "<!-- leverframe:check [] -->", '<!-- leverframe:check {"pull": "x"} -->'])
def test_the_check_of_an_older_version_has_an_order_alone(line: str) -> None:
    """It says no pull request; what is damaged says none either."""
    summary = f"{marker('model', HEAD, RunOrder(3))}\n{line}\nthe card\n"
    assert record_in(summary, "model") == CheckRecord(0, RunOrder(3), failed=False)
    assert record_in(summary, "other") is None
    assert record_in(with_record(summary, CheckRecord(4, RunOrder(3), failed=True)), "model") == CheckRecord(
        4, RunOrder(3), failed=True
    )


def test_cards_with_other_keys_have_checks_of_their_own() -> None:
    """Else the one that passes would hide the one that fails; a branch rule requires the name."""
    assert check_name("model") == "leverframe"
    assert check_name("churn") == "leverframe (churn)"


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (Failed((Reason.METRIC_DROPPED, Reason.LOCK_STALE)), "do not merge (metric-dropped, lock-stale)"),
        (Passed(), "ready to merge"),
        (Skipped("no rule"), "none, no rule"),
    ],
)
def test_the_last_line_tells_the_work_of_the_lever_from_its_verdict(verdict: Verdict, words: str) -> None:
    """Posted is posted, whatever the verdict; what was not posted says why."""

    def lines(done: str, *why: str) -> list[str]:
        return Published(verdict, "github", "https://example.org/1", done, why).lines()

    assert lines("created") == [
        f"report posted; the verdict is: {words}",
        "  https://example.org/1 (github, created)",
    ]
    assert lines("check alone", "no comment: locked")[0] == f"report posted; the verdict is: {words}"
    assert lines("written")[0] == f"report written; the verdict is: {words}"
    assert lines("written", "the event `schedule` is about no pull request")[::2] == [
        f"report not posted; the verdict is: {words}",
        "  the event `schedule` is about no pull request",
    ]
    assert lines("left alone", "a newer run has posted: 3")[0] == f"report not posted; the verdict is: {words}"


@given(
    st.lists(
        st.tuples(st.integers(1, 2), st.integers(1, 4), st.sampled_from(["pending", "success", "failure"])),
        min_size=1,
        max_size=9,
    )
)
@settings(max_examples=examples(1.0))
def test_a_check_is_green_where_the_newest_card_of_each_pull_request_is(posts: list[tuple[int, int, str]]) -> None:
    """In any order, with late runs: it fails with one that fails, waits with one that waits; then none goes on."""
    forge = Memory([])
    forge.refusal = PublishError("GitHub refused", why=LOCKED, next="", closed=True)  # the check alone
    newest: dict[int, tuple[int, str]] = {}
    for pull, run, state in posts:
        verdict: Verdict = Failed((Reason.GAIN_MISSED,)) if state == "failure" else Passed()
        content = body(run, "x")
        pending = "it is judged" if state == "pending" else ""
        posting = Posting("model", content, HEAD, verdict, content, base="main", pending=pending)
        CardPost(forge, pull, posting)(dry=False)
        if run >= newest.get(pull, (0, ""))[0]:
            newest[pull] = (run, state)
        stands = {known for _, known in newest.values()}
        expected = next(status for status in ("failure", "pending", "success") if status in stands)
        assert forge.added[-1][1] == expected
        if expected != "pending":
            assert "pending" not in {shown for _, shown, _ in forge.added}


def test_a_card_for_another_base_holds_nobody_back() -> None:
    """Where the default branch got another name, the newer card of the old base neither stops nor fails the new one."""
    forge = Memory([])
    forge.refusal = PublishError("GitHub refused", why=LOCKED, next="", closed=True)
    for run, base, verdict in ((9, "old", Failed((Reason.GAIN_MISSED,))), (8, "main", Passed())):
        content = body(run, "x")
        CardPost(forge, 1, Posting("model", content, HEAD, verdict, content, base=base))(dry=False)
    assert [added[1] for added in forge.added] == ["failure", "success"]
