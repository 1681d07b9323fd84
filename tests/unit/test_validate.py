"""Monitors, verdicts and the report of the room validate, on counts made up by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leverframe.domain.data.constraint import Constraint, Severity, cut, significant
from leverframe.domain.data.contract import Monitor
from leverframe.domain.data.contract_report import Report
from leverframe.domain.data.profile import table_profile
from leverframe.domain.data.shape import ForeignKey, SchemaDiff, UniqueKey
from leverframe.domain.data.statistics import ColumnStatistics, Count, PartitionStatistics, Question, TableStatistics
from leverframe.domain.data.trend import Freshness, NullRate, Volume
from leverframe.domain.verdict import Failed, Passed, Reason, Skipped, Verdict, together, word
from leverframe.errors import ContractError

BEGIN, END = datetime(2013, 3, 1, tzinfo=UTC), datetime(2013, 4, 1, tzinfo=UTC)


def number(name: str, nulls: int = 0, type_: str = "BIGINT") -> ColumnStatistics:
    """Return a column of numbers."""
    return ColumnStatistics(name, type_, "number", nulls)


def days(first: date, rows: Sequence[int]) -> tuple[tuple[date, int], ...]:
    """Return one count a day from ``first`` on."""
    return tuple((first + timedelta(days=index), count) for index, count in enumerate(rows))


def partition(
    name: str = "2013-03", columns: Sequence[ColumnStatistics] = (number("a"),), **fields: object
) -> PartitionStatistics:
    """Return the counts of a partition of 100 rows."""
    made = PartitionStatistics(name, 100, tuple(columns))
    return replace(made, **fields)  # type: ignore[arg-type]


def table(
    current: PartitionStatistics | None = None,
    *history: PartitionStatistics,
    answers: Mapping[Question, Count] | None = None,
) -> TableStatistics:
    """Return the counts of a table in March 2013 and of earlier partitions."""
    return TableStatistics("t", current or partition(), history, answers or {}, BEGIN, END)


def only(monitor: Monitor, statistics: TableStatistics) -> Constraint:
    """Return the single constraint of a monitor."""
    (constraint,) = monitor.judge(statistics)
    return constraint


def reason(verdict: Verdict) -> Reason:
    """Return why something failed."""
    assert isinstance(verdict, Failed)
    return verdict.reasons[0]


class TestFreshness:
    """The newest row against the end of the month."""

    within = Freshness(within=timedelta(hours=24))

    def test_passes_when_the_newest_row_is_near_the_end(self) -> None:
        """The bound itself still passes."""
        assert only(self.within, table(partition(newest=END - timedelta(hours=24)))).verdict == Passed()

    def test_fails_when_it_is_not(self) -> None:
        """Three days without rows are stale."""
        constraint = only(self.within, table(partition(newest=END - timedelta(days=3))))
        assert reason(constraint.verdict) is Reason.TABLE_STALE
        assert constraint.detail == "the newest row is 3 days before the end of 2013-03"

    def test_is_skipped_without_a_time_and_for_static_tables(self) -> None:
        """Nothing to compare is not a pass."""
        assert isinstance(only(self.within, table()).verdict, Skipped)
        static = replace(table(partition(newest=END)), begin=None, end=None)
        assert only(self.within, static).verdict == Skipped("a static table has no end")


class TestVolume:
    """Daily rows against the same weekday before."""

    february = partition("2013-02", daily=days(date(2013, 2, 1), [100 + day % 7 for day in range(28)]))

    def test_passes_on_usual_days(self) -> None:
        """Weekdays differ, each is compared with its own."""
        march = partition(daily=days(date(2013, 3, 1), [100 + day % 7 for day in range(31)]))
        assert only(Volume(), table(march, self.february)).verdict == Passed()

    def test_fails_on_odd_and_on_absent_days(self) -> None:
        """A day without any row is an odd day too."""
        march = partition(daily=days(date(2013, 3, 1), [100 + day % 7 for day in range(29)] + [500]))
        constraint = only(Volume(), table(march, self.february))
        assert reason(constraint.verdict) is Reason.VOLUME_ODD
        assert constraint.samples == (
            "2013-03-30 Sat: 500 rows, usually 101",
            "2013-03-31 Sun: 0 rows, usually 102",
        )
        assert not constraint.fatal

    def test_is_skipped_without_four_points(self) -> None:
        """Three earlier days of a weekday decide nothing."""
        short = partition("2013-02", daily=days(date(2013, 2, 1), [100] * 21))
        constraint = only(Volume(), table(partition(daily=days(date(2013, 3, 1), [0])), short))
        assert constraint.verdict == Skipped("too little history: 3 earlier days of a weekday, 4 are needed")
        assert isinstance(only(Volume(), table()).verdict, Skipped)

    def test_refuses_fewer_points(self) -> None:
        """A contract cannot ask for less than four."""
        with pytest.raises(ValueError, match="at least 4"):
            Volume(points=3)

    @given(st.integers(0, 10**9))
    def test_counts_that_never_changed_tolerate_one_percent(self, rows: int) -> None:
        """A deviation of zero does not make every change infinite."""
        before = partition("2013-02", daily=days(date(2013, 2, 1), [rows] * 28))
        now = partition(daily=days(date(2013, 3, 1), [rows + rows // 100] * 31))
        assert only(Volume(), table(now, before)).verdict == Passed()


class TestSchemaDiff:
    """Columns against those of the partition before."""

    def test_passes_when_nothing_changed(self) -> None:
        """The same columns, types and nulls pass."""
        assert only(SchemaDiff(), table(partition(), partition("2013-02"))).verdict == Passed()

    def test_is_skipped_without_history(self) -> None:
        """Without an earlier partition nothing is decided."""
        assert only(SchemaDiff(), table()).verdict == Skipped("no earlier partition to compare with")

    @pytest.mark.parametrize(
        ("now", "before", "detail", "severity"),
        [
            ([number("a"), number("b")], [number("a")], "added as BIGINT", Severity.WARN),
            ([number("a")], [number("a"), number("b")], "removed; it was BIGINT", Severity.ERROR),
            ([number("a", type_="DOUBLE")], [number("a")], "BIGINT in 2013-02, DOUBLE now", Severity.ERROR),
            ([number("a", nulls=3)], [number("a")], "2013-02 had no null in it", Severity.WARN),
        ],
    )
    def test_tells_each_difference(
        self, now: list[ColumnStatistics], before: list[ColumnStatistics], detail: str, severity: Severity
    ) -> None:
        """Additive is a warning, breaking an error."""
        constraint = only(SchemaDiff(), table(partition(columns=now), partition("2013-02", before)))
        assert reason(constraint.verdict) is Reason.SCHEMA_CHANGED
        assert (constraint.detail, constraint.severity) == (detail, severity)

    def test_first_nulls_can_be_allowed(self) -> None:
        """A contract that allows nulls is not warned of the first."""
        statistics = table(partition(columns=[number("a", nulls=3)]), partition("2013-02"))
        assert only(SchemaDiff(nullable=None), statistics).verdict == Passed()


class TestForeignKey:
    """Orphans against a tolerated share."""

    monitor = ForeignKey(("tailnum",), "planes", warn=0.16, error=0.20)

    @pytest.mark.parametrize(
        ("orphans", "severity"), [(0, None), (160, None), (161, Severity.WARN), (201, Severity.ERROR)]
    )
    def test_tolerates_a_share(self, orphans: int, severity: Severity | None) -> None:
        """Each share has the severity of the highest limit it passes."""
        count = Count(orphans, 1000, ("N1",))
        constraint = only(self.monitor, table(answers={self.monitor.question: count}))
        assert constraint.failed == (severity is not None)
        if severity:
            assert reason(constraint.verdict) is Reason.FOREIGN_KEY_BROKEN
            assert (constraint.severity, constraint.count, constraint.samples) == (severity, orphans, ("N1",))

    def test_tolerates_none_by_default(self) -> None:
        """One orphan in a million is an error unless declared otherwise."""
        strict = ForeignKey(("a",), "other")
        assert only(strict, table(answers={strict.question: Count(1, 10**6)})).fatal

    def test_a_missing_column_breaks_it_and_hints(self) -> None:
        """The nearest name is offered."""
        constraint = only(self.monitor, table(partition(columns=[number("tail_num")])))
        assert reason(constraint.verdict) is Reason.COLUMN_MISSING
        assert constraint.detail == "there is no column `tailnum`; did you mean `tail_num`?"


class TestUniqueKey:
    """Keys that stand once."""

    monitor = UniqueKey(("a",))

    def test_passes_and_fails(self) -> None:
        """Rows that share a key are counted."""
        assert only(self.monitor, table(answers={self.monitor.question: Count(0, 10)})).verdict == Passed()
        broken = only(self.monitor, table(answers={self.monitor.question: Count(2, 10, ("7",))}))
        assert reason(broken.verdict) is Reason.KEY_DUPLICATED
        assert (broken.count, broken.share, broken.samples) == (2, 0.2, ("7",))

    def test_a_missing_column_breaks_it(self) -> None:
        """A key that cannot be looked at does not hold."""
        assert reason(only(UniqueKey(("b",)), table()).verdict) is Reason.COLUMN_MISSING


class TestNullRate:
    """Nulls against earlier partitions."""

    def test_passes_within_the_tolerance(self) -> None:
        """Five points more nulls are usual."""
        before = partition("2013-02", [number("a", nulls=10)])
        assert [check.verdict for check in NullRate().judge(table(partition(columns=[number("a", 15)]), before))] == [
            Passed(),
            Passed(),
        ]

    def test_fails_beyond_it(self) -> None:
        """The mean of history is what counts."""
        before = partition("2013-02", [number("a", nulls=10)]), partition("2013-01", [number("a", nulls=20)])
        _, constraint = NullRate().judge(table(partition(columns=[number("a", nulls=30)]), *before))
        assert reason(constraint.verdict) is Reason.NULL_RATE_CHANGED
        assert constraint.detail == "30.0% of the rows are null, before it was 15.0%"

    def test_an_empty_column_is_an_error_even_without_history(self) -> None:
        """No history is needed to see that nothing is there."""
        constraint, skipped = NullRate(severity=Severity.WARN).judge(table(partition(columns=[number("a", nulls=100)])))
        assert reason(constraint.verdict) is Reason.COLUMN_EMPTY
        assert constraint.fatal
        assert skipped.verdict == Skipped("no earlier partition to compare with")

    def test_an_empty_partition_has_no_empty_columns(self) -> None:
        """An empty table is told once, not once a column."""
        constraint, _ = NullRate().judge(table(partition(rows=0)))
        assert constraint.verdict == Passed()

    def test_a_missing_column_is_told(self) -> None:
        """A named column must be there."""
        constraint, *_ = NullRate(columns=("b",)).judge(table())
        assert reason(constraint.verdict) is Reason.COLUMN_MISSING


class TestVerdict:
    """How verdicts over parts become one."""

    def test_failures_outweigh_and_skips_do_not_count(self) -> None:
        """Reasons are kept once, in their order."""
        failed = Failed((Reason.TABLE_STALE,))
        assert together([Passed(), failed, Skipped("x"), failed]) == failed
        assert together([Skipped("x"), Passed()]) == Passed()
        assert together([Skipped("x"), Skipped("y")]) == Skipped("x")
        assert together([]) == Passed()
        assert [word(verdict) for verdict in (Passed(), failed, Skipped("x"))] == ["passed", "failed", "skipped"]

    def test_a_failure_needs_a_reason(self) -> None:
        """Nobody can act on a failure without one."""
        with pytest.raises(ValueError, match="at least one reason"):
            Failed(())


def broken(name: str, severity: Severity = Severity.ERROR) -> Constraint:
    """Return a failed constraint."""
    constraint = Constraint("t", name, column="a", severity=severity)
    return constraint.failed_by(Reason.CONTRACT_BROKEN, count=3, share=0.03, samples=("x",))


class TestReport:
    """What a report tells as text, JSON and error."""

    def test_warnings_never_fail(self) -> None:
        """A warning is shown and stops nothing."""
        report = Report("2013-03", (broken("c", Severity.WARN), Constraint("t", "d")), ())
        assert report.verdict == Passed()
        report.raise_if_failed()
        assert report.summary() == "1 of 2 checks passed, 0 failed, 1 warning, 0 skipped"

    def test_the_error_names_the_first_failed_constraints(self) -> None:
        """Three are named, the rest counted."""
        report = Report("2013-03", tuple(broken(f"check {index}") for index in range(5)), ())
        with pytest.raises(ContractError) as caught:
            report.raise_if_failed()
        assert caught.value.what == "2013-03 violates 5 of its 5 constraints"
        assert caught.value.why.startswith("t: check 0 of `a`, 3 rows (3.00%), such as x; t: check 1")
        assert caught.value.why.endswith("; and 2 more")
        assert caught.value.next.startswith("read reports/contracts/2013-03.json; then fix the source")
        with pytest.raises(ContractError) as caught:
            report.raise_if_failed(kept=False)  # as for the online store, whose rows have no report
        assert "t: check 4 of `a`" in caught.value.why
        assert caught.value.next.startswith("fix the source")
        assert caught.value.exit_code == 14

    def test_json_holds_every_constraint(self) -> None:
        """Kept, broken and undecided ones stand in it."""
        report = Report("2013-03", (broken("c"), Constraint("t", "d").skipped("why"), Constraint("u", "e")), ())
        content = json.loads(json.dumps(report.to_json(), allow_nan=False))
        assert (content["verdict"], content["reasons"]) == ("failed", ["contract-broken"])
        assert content["tables"]["t"]["checks"] == [
            {
                "check": "c",
                "column": "a",
                "severity": "error",
                "verdict": "failed",
                "reasons": ["contract-broken"],
                "count": 3,
                "share": 0.03,
                "samples": ["x"],
            },
            {"check": "d", "severity": "error", "verdict": "skipped", "because": "why"},
        ]
        assert content["tables"]["u"]["verdict"] == "passed"

    def test_text_lists_errors_before_warnings(self) -> None:
        """A terminal shows twenty of them."""
        report = Report("2013-03", (broken("w", Severity.WARN), *[broken("e")] * 25), ())
        lines = report.to_text().splitlines()
        assert lines[1] == "  error: t: e of `a`, 3 rows (3.00%), such as x"
        assert lines[-1] == "  and 6 more"


class TestProfile:
    """What git keeps of a table."""

    def test_rare_values_are_not_named(self) -> None:
        """A value of nine rows could point at a person."""
        text = ColumnStatistics("a", "VARCHAR", "text", 1, distinct=2, top=(("often", 90), ("once", 9)))
        assert table_profile(table(partition(columns=[text])))["columns"]["a"] == {
            "type": "VARCHAR",
            "null_rate": 0.01,
            "distinct": 2,
            "top": {"often": 0.9},
        }

    def test_an_empty_table_has_no_rates(self) -> None:
        """Nothing is divided by zero rows."""
        profile = table_profile(table(partition(rows=0)))
        assert profile["rows"] == 0
        assert profile["columns"]["a"]["null_rate"] is None
        json.dumps(profile, allow_nan=False)

    @given(st.floats(allow_nan=False, allow_infinity=False))
    def test_six_digits_tell_a_number(self, value: float) -> None:
        """Rounding twice changes nothing."""
        assert significant(significant(value)) == significant(value)
        assert significant(value) == pytest.approx(value, rel=1e-5)

    @given(st.text())
    def test_cut_says_how_much_is_gone(self, text: str) -> None:
        """No text is cut silently."""
        shown = cut(text, 5)
        assert shown == text if len(text) <= 5 else shown == f"{text[:5]}… +{len(text) - 5} characters"
