"""What a check run records: its pull request, base and run; and which of them hold a commit back."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from leverframe.domain.review.report.card_markdown import marker
from leverframe.domain.review.report.check_record import CheckRecord, open_others, record_in, with_record
from leverframe.domain.review.report.publish import branch_word, check_name
from leverframe.domain.review.report.pull_of_run import RunOrder
from tests.profiles import examples

HEAD, TIP = "c" * 40, "d" * 40
BRANCHES = st.one_of(
    st.text(min_size=1, max_size=120), st.sampled_from(["main", "release/1.x", "-->", "x`@ann`", "a" * 300, "main~1"])
)


def record(pull: int, run: int, *, failed: bool = False, pending: bool = False, base: str = "main") -> CheckRecord:
    """Return the record of a run."""
    return CheckRecord(pull, RunOrder(run), failed, base, TIP, pending)


@given(BRANCHES)
@settings(max_examples=examples(1.0))
def test_a_record_is_read_as_it_was_written(base: str) -> None:
    """Whatever the name of the branch is: the hidden line stays one line, and is closed where it ends."""
    written = CheckRecord(3, RunOrder(7, 2), failed=False, base=branch_word(base), tip=TIP, pending=True)
    summary = with_record(f"{marker('model', HEAD, written.order)}\nWords.", written)
    assert record_in(summary, "model") == written
    assert summary.splitlines()[1].count("-->") == 1
    assert summary.splitlines()[2:] == ["Words."]


@given(BRANCHES, BRANCHES)
@settings(max_examples=examples(1.0))
def test_each_branch_has_a_check_of_its_own(one: str, other: str) -> None:
    """Short and of plain letters; the digest tells apart what looks alike, and none is that of the default branch."""
    names = check_name("model", one), check_name("model", other)
    assert (names[0] == names[1]) == (one == other) or branch_word(one) in (other, branch_word(other))
    assert all(len(name) < 90 and name.isascii() and name.isprintable() for name in names)
    assert check_name("model") == "leverframe" not in names


def test_a_branch_that_is_no_plain_word_is_told_apart() -> None:
    """A branch that two shorten to has two names, and one cannot take the name of another: git allows no tilde."""
    assert check_name("model", "release/1.x") == "leverframe (into release/1.x)"
    assert check_name("churn", "release") == "leverframe (churn) (into release)"
    long = [check_name("model", "a" * 100 + end) for end in "xy"]
    assert long[0] != long[1]
    assert check_name("model", "a @b") != check_name("model", "a_@b")
    assert branch_word(branch_word("a @b")) == branch_word("a @b")


def test_another_pull_request_holds_a_commit_back_while_its_newest_card_does() -> None:
    """It fails, or waits; an older record of it does not count, nor one of another base."""
    known = [record(2, 5, failed=True), record(2, 6), record(3, 4, pending=True), record(4, 4, failed=True, base="lax")]
    assert [other.pull for other in open_others(known, record(1, 9))] == [3]
    assert open_others([record(1, 5, failed=True), record(0, 6, failed=True)], record(1, 9)) == []
    assert [other.pull for other in open_others([CheckRecord(2, RunOrder(5), failed=True)], record(1, 9))] == [2]


def test_what_is_not_ours_records_nothing() -> None:
    """A job that somebody named `leverframe`, a line of an older version, and nonsense."""
    assert record_in("All good", "model") is None
    first = marker("model", HEAD, RunOrder(7))
    assert record_in(f'{first}\n<!-- leverframe:check {{"pull": 3, "failed": true}} -->\n', "model") == CheckRecord(
        3, RunOrder(7), failed=True
    )
    assert record_in(f'{first}\n<!-- leverframe:check {{"pull": []}} -->\n', "model") == CheckRecord(
        0, RunOrder(7), failed=False
    )
