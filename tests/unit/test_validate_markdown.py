"""The Markdown of the room validate: always small, always one row a constraint, whatever is in the data."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from leverframe.domain.data.constraint import Constraint, Severity, cut
from leverframe.domain.data.contract_markdown import LIMIT, render
from leverframe.domain.data.contract_report import Report
from leverframe.domain.verdict import Reason
from leverframe.inert.markdown import sentence
from tests.github_page import live

GOLDEN = Path(__file__).parents[1] / "golden" / "validate"

texts = st.one_of(
    st.text(max_size=300),
    st.text(alphabet="|`\\\n<>&*_[]()#@!~ \u202e\u200b😀é字", max_size=300),
    st.sampled_from(["<script>alert(1)</script>", "a|b", "``", "\\|", "@everyone #1", "x" * 5000, "字" * 5000]),
)


@st.composite
def constraints(draw: st.DrawFn) -> Constraint:
    """Return any constraint."""
    constraint = Constraint(
        draw(texts), draw(texts), column=draw(texts), severity=draw(st.sampled_from(Severity)), detail=draw(texts)
    )
    kind = draw(st.sampled_from(["passed", "skipped", "broken"]))
    if kind == "skipped":
        return constraint.skipped(draw(texts))
    count = draw(st.none() | st.integers(0, 10**18))
    share = draw(st.none() | st.floats(0, 1))
    samples = tuple(draw(st.lists(texts, max_size=5)))
    if kind == "passed":
        return constraint
    return constraint.failed_by(draw(st.sampled_from(Reason)), count=count, share=share, samples=samples)


def cells(row: str) -> list[str]:
    """Split a table row as GitHub does: at every pipe without a backslash before it."""
    return re.split(r"(?<!\\)\|", row.strip().strip("|"))


def assert_sound(page: str, report: Report) -> None:
    """Assert size, structure and that nothing outside a code span came from the data."""
    assert len(page.encode()) <= LIMIT
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert all(len(cells(row)) == 7 for row in rows)
    shown = max(len(rows) - 2, 0)
    left = re.search(r"… and ([\d,]+) more \(", page)
    assert shown + (int(left[1].replace(",", "")) if left else 0) == len(report.failed())
    assert shown or not report.failed()
    assert live(page) == []
    assert not re.search("[\x00-\x09\x0b-\x1f\u202a-\u202e\u2066-\u2069]", page)


@settings(deadline=None)  # time says nothing on a busy machine
@given(st.lists(constraints(), max_size=12), texts)
def test_is_small_and_sound_for_anything(given_constraints: list[Constraint], name: str) -> None:
    """No text in names, samples or details breaks the page."""
    report = Report(name, tuple(given_constraints), ())
    assert_sound(render(report), report)


@settings(deadline=None)
@given(constraints(), st.integers(1, 700))
@example(Constraint("t", "c").failed_by(Reason.CONTRACT_BROKEN, samples=("y" * 10**6,) * 5), 500)
def test_is_small_at_any_number_of_failures(constraint: Constraint, times: int) -> None:
    """What is left out is counted."""
    report = Report("2013-03", (constraint,) * times, ())
    assert_sound(render(report), report)


def test_a_long_sample_is_cut_and_says_how_much() -> None:
    """Also where it had been cut before."""
    long = Constraint("t", "c").failed_by(Reason.CONTRACT_BROKEN, samples=("y" * 1_000_000, cut("字" * 1_000)))
    page = render(Report("2013-03", (long,), ()))
    assert f"`{'y' * 90}`… +999,910 characters" in page
    assert f"`{'字' * 30}`… +970 characters" in page


def broken(check: str, **fields: object) -> Constraint:
    """Return a failed constraint about flights."""
    return Constraint("flights", check).failed_by(Reason.CONTRACT_BROKEN, **fields)


CASES = {
    "passed": [Constraint("flights", "has_rows"), Constraint("weather", "has_rows")],
    "warned": [
        broken(
            "foreign_key(planes)",
            column="tailnum",
            severity=Severity.WARN,
            count=4324,
            share=0.161049,
            samples=("N730MQ", "N739MQ"),
            detail="not in `planes`; at most 0.16 of the rows may be",
        ),
        Constraint("flights", "volume(z <= 8)").skipped("no earlier partition to compare with"),
    ],
    "failed": [
        broken("usual_wind", column="wind_speed", severity=Severity.WARN, count=1, share=0.0005, samples=("1048.3",)),
        broken("in_range(0, 900)", column="air_time", count=12, share=0.00044, samples=("-1", "-2", "1000")),
        broken("type(Int64)", column="flight", detail="its type is String"),
    ],
    "hostile": [
        broken("isin(['a|b'])", column="a|b", count=2, share=1.0, samples=("x|y", "`rm -rf`", "line\nbreak", "", "  ")),
        broken("c", column="<img src=x>", count=1, share=0.5, samples=("<script>", "@team", "\u202egnp", "z" * 200)),
    ],
    "many": [
        broken(f"check_{rank}", column=f"column_{rank}", count=rank, share=rank / 1000, samples=("1", "2", "3", "4"))
        for rank in range(500)
    ],
}


@pytest.mark.parametrize("name", CASES)
def test_golden(name: str) -> None:
    """Compare with the file; ``GOLDEN=write`` writes it anew, to be read before it is committed."""
    page, path = render(Report("2013-03", tuple(CASES[name]), ())), GOLDEN / f"{name}.md"
    if os.environ.get("GOLDEN") == "write":
        path.write_text(page, encoding="utf-8")
    assert page == path.read_text(encoding="utf-8")


def test_a_name_in_a_sentence_is_cut_at_200_bytes() -> None:
    """And says how much of it is missing; what stands around it is cut at 400."""
    assert sentence(f"`{'x' * 200}`") == f"`{'x' * 200}`"
    assert sentence(f"`{'x' * 203}` is long") == f"`{'x' * 200}`… +3 characters is long"
    assert sentence("y" * 400) == "y" * 400
    assert sentence("y" * 401) == "y" * 400 + "…"
