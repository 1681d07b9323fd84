"""The room validate on real files: pandera, DuckDB, the contracts of the flights case, and broken input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandera.polars as pa
import polars as pl
import pytest
from pandera.api.polars.types import PolarsData

from leverframe.adapters.disk import Disk
from leverframe.adapters.duckdb.statistics import DuckDBStatistician
from leverframe.adapters.pandera import PanderaChecker
from leverframe.adapters.polars import PolarsFrames
from leverframe.domain import layout
from leverframe.domain.data.constraint import Constraint, Severity
from leverframe.domain.data.contract import Contract, Monitor
from leverframe.domain.data.contract_markdown import render
from leverframe.domain.data.contract_report import Report
from leverframe.domain.data.shape import ForeignKey, SchemaDiff, UniqueKey
from leverframe.domain.data.statistics import Duplicates, Orphans, Survey
from leverframe.domain.data.trend import Freshness, NullRate, Volume
from leverframe.domain.data.validate import Validation, run
from leverframe.domain.partition import Partition, Partitions
from leverframe.domain.verdict import Failed, Passed, Reason, Skipped
from leverframe.errors import ContractError, DefinitionError, SettingsError, SourceError
from pipelines.flights.contracts import CONTRACTS
from pipelines.flights.sources import SOURCES
from tests.profiles import by_day

NEW_YORK = "America/New_York"
FLIGHTS = Partitions(Partition.of("2013-01"), Partition.of("2013-12"), "month", NEW_YORK)
MONTHS = Partitions(Partition.of("2019-01"), Partition.of("2020-12"), "month", "UTC")
YEAR = [str(month) for month in FLIGHTS.groups()]


class Visits(pa.DataFrameModel):
    """A small table with one check of each kind."""

    id: int = pa.Field(ge=0)
    place: str = pa.Field(nullable=True, isin=("a", "b"))
    score: float = pa.Field(in_range=(0, 1), raise_warning=True)
    event_time: pl.Datetime("us", "UTC")  # type: ignore[valid-type]

    @pa.dataframe_check(name="score_of_a", description="place a scores at least 0.5")
    @classmethod
    def score_of_a(cls, data: PolarsData) -> pl.LazyFrame:
        """Hold when place a scores high."""
        return data.lazyframe.select((pl.col("place") != "a") | (pl.col("score") >= 0.5))


MONITORS: tuple[Monitor, ...] = (
    Freshness(timedelta(days=2)),
    Volume(),
    SchemaDiff(),
    UniqueKey(("id",)),
    ForeignKey(("place",), "places", references=("name",)),
    NullRate(),
)


def visits(rows: int = 62, month: str = "2020-01", hours: int = 12) -> pl.DataFrame:
    """Return a good table of one month."""
    start = Partition.of(month).start("UTC")
    return pl.DataFrame(
        {
            "id": range(rows),
            "place": ["a", "b"] * (rows // 2),
            "score": [0.5 + number % 5 / 10 for number in range(rows)],
            "event_time": [start.astimezone(UTC) + timedelta(hours=hours * number) for number in range(rows)],
        },
        schema={"id": pl.Int64, "place": pl.String, "score": pl.Float64, "event_time": pl.Datetime("us", "UTC")},
    )


@pytest.fixture
def room(tmp_path: Path) -> Validation:
    """Return a room with the table of visits and its lookup table."""
    put(tmp_path, "places", "static", pl.DataFrame({"name": ["a", "b"]}))
    put(tmp_path, "visits", "2020-01", visits())
    contracts = {"visits": Contract(Visits, MONITORS)}
    tables = {"visits": False, "places": True}
    return Validation(
        contracts, tables, MONTHS, PanderaChecker(), DuckDBStatistician(2), Disk(tmp_path).exists, tmp_path
    )


def put(root: Path, table: str, partition: str, frame: pl.DataFrame) -> Path:
    """Write one partition of a table."""
    path = root / layout.raw(table, partition)
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.write_parquet(path)
    return path


def broken(report: Report) -> dict[tuple[str, str], Constraint]:
    """Return the failed constraints by check and column."""
    return {(constraint.check, constraint.column): constraint for constraint in report.failed()}


def checked(path: Path, schema: object) -> dict[str, Constraint]:
    """Return the constraints of a schema by check."""
    return {constraint.check: constraint for constraint in PanderaChecker().check("t", path, schema)}


class TestVisits:
    """The whole room on a small table, good and broken."""

    def test_good_data_pass(self, room: Validation) -> None:
        """What needs history is not decided without it."""
        report = run(room, "2020-01")
        assert report.failed() == []
        assert report.verdict == Passed()
        assert {constraint.check for constraint in report.constraints if isinstance(constraint.verdict, Skipped)} == {
            "volume(z <= 8)",
            "schema",
            "null_rate(change <= 0.05)",
        }

    def test_a_bad_value_fails(self, room: Validation) -> None:
        """Count, share and samples are those of the bad rows."""
        put(room.root, "visits", "2020-01", visits().with_columns(id=pl.col("id") - 3))
        report = run(room, "2020-01")
        constraint = broken(report)["greater_than_or_equal_to(0)", "id"]
        assert (constraint.count, constraint.share, constraint.samples) == (3, 0.0483871, ("-3", "-2", "-1"))
        with pytest.raises(ContractError, match="2020-01 violates 1 of its"):
            report.raise_if_failed()

    def test_a_bad_type_fails(self, room: Validation) -> None:
        """A check that the type makes impossible is broken as well."""
        put(room.root, "visits", "2020-01", visits().with_columns(pl.col("id").cast(pl.String)))
        constraints = broken(run(room, "2020-01"))
        assert constraints["type(Int64)", "id"].detail == (
            "its type is String; `types` of its reader in sources.py gives it one, `decimal` where numbers have a comma"
        )
        assert constraints["greater_than_or_equal_to(0)", "id"].detail.startswith("it could not run: ")

    def test_a_warning_is_counted_and_does_not_fail(self, room: Validation) -> None:
        """``raise_warning`` keeps its counts."""
        put(room.root, "visits", "2020-01", visits().with_columns(score=pl.col("score") + 0.3))
        report = run(room, "2020-01")
        constraint = broken(report)["in_range(0, 1)", "score"]
        assert (constraint.severity, constraint.count, report.verdict) == (Severity.WARN, 24, Passed())

    def test_a_check_on_the_table_shows_the_columns_it_reads(self, room: Validation) -> None:
        """Samples show no column that the check ignores."""
        put(room.root, "visits", "2020-01", visits().with_columns(score=pl.lit(0.1 + 0.2)))
        constraint = broken(run(room, "2020-01"))["score_of_a", "place, score"]
        assert constraint.samples == ("place=a, score=0.3",)
        assert constraint.detail == "place a scores at least 0.5"

    def test_nulls_and_nan_break_not_null(self, room: Validation) -> None:
        """NaN is no value."""
        values = [None, float("nan"), *[0.5] * 60]
        put(room.root, "visits", "2020-01", visits().with_columns(score=pl.Series(values)))
        assert broken(run(room, "2020-01"))["not_null", "score"].count == 2

    def test_a_missing_column_hints_at_the_nearest_name(self, room: Validation) -> None:
        """By the schema and by the monitors."""
        put(room.root, "visits", "2020-01", visits().rename({"place": "plase"}))
        constraints = broken(run(room, "2020-01"))
        assert constraints["type(String)", "place"].detail == "there is no column `place`; did you mean `plase`?"
        assert constraints["foreign_key(places)", "place"].detail.endswith("did you mean `plase`?")
        assert "unable to find column" in constraints["score_of_a", ""].detail

    def test_an_empty_partition_fails(self, room: Validation) -> None:
        """It is told once, and report and profile are still whole."""
        put(room.root, "visits", "2020-01", visits().clear())
        report = run(room, "2020-01")
        assert list(broken(report)) == [("has_rows", "")]
        assert report.verdict == Failed((Reason.TABLE_EMPTY,))
        json.dumps([report.to_json(), report.profile()], allow_nan=False)

    def test_an_empty_partition_passes_where_the_source_allows_it(self, room: Validation) -> None:
        """What rows must be like is not asked of none; a partition with rows is checked as ever."""
        allowed = replace(room, may_be_empty=frozenset({"visits"}))
        put(room.root, "visits", "2020-01", visits().clear().with_columns(id=pl.lit("text")).head(0))
        report = run(allowed, "2020-01")
        report.raise_if_failed()
        assert [constraint.verdict for constraint in report.constraints if constraint.table == "visits"] == [
            Skipped("there is no row, which `may_be_empty` of the source allows")
        ]
        put(room.root, "visits", "2020-01", visits().with_columns(id=pl.col("id") - 3))
        put(room.root, "visits", "2019-12", visits().clear())
        assert ("greater_than_or_equal_to(0)", "id") in broken(run(allowed, "2020-01", ["2019-12"]))

    def test_an_all_null_column_fails(self, room: Validation) -> None:
        """Even where the schema allows nulls."""
        put(room.root, "visits", "2020-01", visits().with_columns(place=pl.lit(None, pl.String)))
        report = run(room, "2020-01")
        assert report.verdict == Failed((Reason.COLUMN_EMPTY,))
        assert broken(report)["not_empty", "place"].share == 1.0
        assert "except_columns" in broken(report)["not_empty", "place"].detail

    def test_a_duplicated_key_fails(self, room: Validation) -> None:
        """Both rows are counted."""
        put(room.root, "visits", "2020-01", pl.concat([visits(), visits().head(1)]))
        constraint = broken(run(room, "2020-01"))["unique_key", "id"]
        assert (constraint.count, constraint.samples) == (2, ("0",))

    def test_an_orphan_fails(self, room: Validation) -> None:
        """A null in the other table is nobody's match."""
        put(room.root, "places", "static", pl.DataFrame({"name": ["a", None]}))
        constraint = broken(run(room, "2020-01"))["foreign_key(places)", "place"]
        assert (constraint.count, constraint.share, constraint.samples) == (31, 0.5, ("b",))

    def test_a_key_of_another_type_is_an_orphan(self, room: Validation) -> None:
        """It is no crash."""
        put(room.root, "places", "static", pl.DataFrame({"name": [1, 2]}))
        assert broken(run(room, "2020-01"))["foreign_key(places)", "place"].share == 1.0

    def test_history_finds_changes(self, room: Validation) -> None:
        """Stale, odd, retyped and suddenly null are all told."""
        older = visits(744, "2019-12", 1).with_columns(score=pl.lit("x"), place=pl.lit(None, pl.String))
        put(room.root, "visits", "2019-12", older)
        half = visits(744, hours=1).filter(pl.col("event_time") < datetime(2020, 1, 16, tzinfo=UTC))
        put(room.root, "visits", "2020-01", half)
        constraints = broken(run(room, "2020-01", ["2019-12"]))
        assert constraints["freshness(within 2 days)", "event_time"].detail.startswith(
            "the newest row is 16 days before"
        )
        assert constraints["volume(z <= 8)", "event_time"].detail.startswith("16 of 31 days")
        assert constraints["schema", "score"].detail == "VARCHAR in 2019-12, DOUBLE now"
        assert (
            constraints["null_rate(change <= 0.05)", "place"].detail
            == "0.0% of the rows are null, before it was 100.0%"
        )

    def test_months_of_history_come_before(self, room: Validation) -> None:
        """A month is not its own history."""
        for partition, history in (("2020-01", ["2020-01"]), ("static", ["2019-12"])):
            with pytest.raises(SettingsError, match="as its history"):
                run(room, partition, history)

    def test_a_table_without_contract_is_not_decided(self, room: Validation) -> None:
        """It is listed, and not as a pass."""
        (constraint,) = run(room, "static").constraints
        assert constraint.verdict == Skipped("no contract is declared for this table")

    @pytest.mark.parametrize("keep", [0, 4, 500, 2000])
    def test_a_damaged_file_is_named(self, room: Validation, keep: int) -> None:
        """Cut anywhere, the error names the file."""
        path = room.root / layout.raw("visits", "2020-01")
        path.write_bytes(path.read_bytes()[:keep])
        with pytest.raises(SourceError) as caught:
            run(room, "2020-01")
        assert str(path) in caught.value.what
        assert caught.value.exit_code == 13
        with pytest.raises(SourceError, match="cannot read"):
            PanderaChecker().check("visits", path, Visits)

    def test_a_damaged_page_is_named(self, room: Validation) -> None:
        """A whole footer does not hide a broken page."""
        path = room.root / layout.raw("visits", "2020-01")
        content = bytearray(path.read_bytes())
        content[10:200] = bytes(190)
        path.write_bytes(content)
        with pytest.raises(SourceError, match="cannot read"):
            run(room, "2020-01")

    def test_a_file_that_is_not_there_is_named(self, room: Validation) -> None:
        """The error says what makes it."""
        with pytest.raises(SourceError, match=r"there is no .*2020-02\.parquet"):
            run(room, "2020-02")

    def test_a_foreign_key_into_nowhere_is_refused(self, room: Validation) -> None:
        """Tables and columns get the nearest name."""
        wrong = {"visits": Contract(Visits, (ForeignKey(("place",), "place"),))}
        with pytest.raises(DefinitionError) as caught:
            run(replace(room, contracts=wrong), "2020-01")
        assert caught.value.next == "did you mean `places`?"
        unknown = {"visits": Contract(Visits, (ForeignKey(("place",), "places", references=("nam",)),))}
        with pytest.raises(SourceError) as missing:
            run(replace(room, contracts=unknown), "2020-01")
        assert "did you mean `name`?" in missing.value.next


class TestPandera:
    """What the adapter makes of pandera's schemas."""

    def test_the_environment_cannot_switch_it_off(self, tmp_path: Path) -> None:
        """No variable of pandera changes what is checked."""
        path = put(tmp_path, "t", "static", pl.DataFrame({"a": [-1]}))
        code = (
            "from leverframe.adapters.pandera import PanderaChecker\n"
            "import pandera.polars as pa, pathlib, sys\n"
            "schema = pa.DataFrameSchema({'a': pa.Column(int, pa.Check.ge(0))})\n"
            "print([each.failed for each in PanderaChecker().check('t', pathlib.Path(sys.argv[1]), schema)])\n"
        )
        for hostile in ("VALIDATION_ENABLED=False", "VALIDATION_DEPTH=SCHEMA_ONLY", "USE_NARWHALS_BACKEND=True"):
            name, value = hostile.split("=")
            environment = {**os.environ, f"PANDERA_{name}": value}
            done = subprocess.run(
                [sys.executable, "-c", code, str(path)], env=environment, capture_output=True, text=True, check=True
            )
            assert done.stdout.strip() == "[False, False, True]", hostile

    def test_its_own_default_would_pass_a_bad_value(self, tmp_path: Path) -> None:
        """The reason for forcing the depth."""
        path = put(tmp_path, "t", "static", pl.DataFrame({"a": [-1]}))
        schema = pa.DataFrameSchema({"a": pa.Column(int, pa.Check.ge(0))})
        schema.validate(pl.scan_parquet(path), lazy=True)  # the trap that the adapter closes
        assert checked(path, schema)["greater_than_or_equal_to(0)"].failed

    def test_a_pattern_is_checked_column_by_column(self, tmp_path: Path) -> None:
        """Each column has its own constraint."""
        path = put(tmp_path, "t", "static", pl.DataFrame({"x1": [1], "x2": [-1], "y": [-1]}))
        schema = pa.DataFrameSchema({"x.": pa.Column(int, pa.Check.ge(0), regex=True)})
        constraints = [rule for rule in PanderaChecker().check("t", path, schema) if rule.failed]
        assert [constraint.column for constraint in constraints] == ["x2"]

    def test_a_pattern_without_a_column_breaks_alone(self, tmp_path: Path) -> None:
        """What else the schema declares is still checked."""
        path = put(tmp_path, "t", "static", pl.DataFrame({"y": [-1]}))
        columns = {"z.": pa.Column(int, regex=True), "y": pa.Column(int, pa.Check.ge(0))}
        schema = pa.DataFrameSchema(columns, checks=pa.Check(lambda _: False, name="no"))
        failures = [(rule.check, rule.column) for rule in PanderaChecker().check("t", path, schema) if rule.failed]
        assert failures == [("type(Int64)", "z."), ("greater_than_or_equal_to(0)", "y"), ("no", "")]

    def test_extra_columns_break_a_strict_schema(self, tmp_path: Path) -> None:
        """All that are not declared are named, up to a bound, columns of a pattern left aside."""
        extra = {name: [1] for name in ("b", "c", "d", "e")}
        path = put(tmp_path, "t", "static", pl.DataFrame({"a": [1], "p_1": [2], **extra}))
        schema = pa.DataFrameSchema({"a": pa.Column(int), "^p_.*$": pa.Column(int, regex=True)}, strict=True)
        constraint = checked(path, schema)["column_in_schema"]
        assert constraint.column == "b, c, d, e"
        assert constraint.detail == "4 columns are not declared, and the schema is strict: b, c, d, e"
        wide = put(tmp_path, "w", "static", pl.DataFrame({"a": [1], **{f"x{number}": [1] for number in range(30)}}))
        detail = checked(wide, pa.DataFrameSchema({"a": pa.Column(int)}, strict=True))["column_in_schema"].detail
        assert "x19 and 10 more" in detail
        assert "x20" not in detail

    def test_unique_and_optional_columns(self, tmp_path: Path) -> None:
        """One column, several together, and one that may be absent."""
        path = put(tmp_path, "t", "static", pl.DataFrame({"a": [1, 1], "b": [2, 2]}))
        columns = {"a": pa.Column(int, unique=True), "b": pa.Column(int), "c": pa.Column(str, required=False)}
        constraints = checked(path, pa.DataFrameSchema(columns, unique=["a", "b"]))
        assert constraints["unique"].count == 2
        assert isinstance(constraints["type(String)"].verdict, Skipped)
        assert [
            rule.column for rule in PanderaChecker().check("t", path, pa.DataFrameSchema(columns)) if rule.failed
        ] == ["a"]

    def test_a_check_that_raises_breaks_alone(self, tmp_path: Path) -> None:
        """The other checks still run."""

        def raises(_: PolarsData) -> pl.LazyFrame:
            raise RuntimeError("no\nluck")

        def needs_rows(data: PolarsData) -> pl.LazyFrame:
            assert data.lazyframe.collect().height, ""
            return data.lazyframe.select(pl.col("a") >= 0)

        path = put(tmp_path, "t", "static", pl.DataFrame({"a": [-1]}))
        constraints = checked(path, pa.DataFrameSchema({"a": pa.Column(int, [pa.Check(raises), pa.Check.ge(0)])}))
        assert constraints["raises"].detail == "it could not run: RuntimeError: no"
        assert constraints["greater_than_or_equal_to(0)"].count == 1
        on_table = checked(path, pa.DataFrameSchema({"a": pa.Column(int)}, checks=pa.Check(needs_rows)))
        assert (on_table["needs_rows"].count, on_table["needs_rows"].samples) == (1, ("-1",))

    def test_a_check_about_the_table_counts_no_rows(self, tmp_path: Path) -> None:
        """An aggregate has no broken rows."""

        def small(data: PolarsData) -> pl.LazyFrame:
            return data.lazyframe.select(pl.col("a").mean() < 0)

        path = put(tmp_path, "t", "static", pl.DataFrame({"a": [1, 2, 3]}))
        schema = pa.DataFrameSchema(
            {"a": pa.Column(int)}, checks=[pa.Check(small), pa.Check(lambda _: False, name="no")]
        )
        constraints = checked(path, schema)
        assert (constraints["small"].failed, constraints["small"].count, constraints["small"].column) == (
            True,
            None,
            "a",
        )
        assert (constraints["no"].failed, constraints["no"].count) == (True, None)

    def test_samples_are_different_and_cut(self, tmp_path: Path) -> None:
        """A million characters do not reach the report."""
        values = ["y" * 1_000_000, "|`<b>\n", *["same"] * 300, "late"]
        path = put(tmp_path, "t", "static", pl.DataFrame({"a": values}))
        constraint = checked(path, pa.DataFrameSchema({"a": pa.Column(str, pa.Check.isin(["x"]))}))["isin(['x'])"]
        assert constraint.samples == ("y" * 80 + "… +999920 characters", "|`<b>\n", "same")
        assert constraint.count == 303
        assert len(render(Report("p", (constraint,), ())).encode()) <= 4096

    @pytest.mark.parametrize(
        "schema",
        [
            "not a schema",
            pa.DataFrameSchema({"a": pa.Column(int, coerce=True)}),
            pa.DataFrameSchema({"a": pa.Column(int)}, coerce=True),
            pa.DataFrameSchema({"a": pa.Column(int, default=0)}),
            pa.DataFrameSchema({"a": pa.Column(int)}, drop_invalid_rows=True),
        ],
    )
    def test_what_changes_data_is_refused(self, tmp_path: Path, schema: object) -> None:
        """A contract only looks."""
        path = put(tmp_path, "t", "static", pl.DataFrame({"a": [1]}))
        with pytest.raises(DefinitionError):
            PanderaChecker().check("t", path, schema)


class TestStatistics:
    """What DuckDB counts in odd tables."""

    def survey(self, path: Path, **fields: object) -> Survey:
        """Return a survey of one file."""
        return replace(Survey("t", "2020-01", path, "America/New_York"), **fields)  # type: ignore[arg-type]

    def test_the_mean_of_the_largest_numbers_is_a_number(self, tmp_path: Path) -> None:
        """Their sum is more than a double holds, and was reported as a bug."""
        frame = pl.DataFrame({"x": [1.797e308, 1.797e308, float("nan")], "y": [1e-300, 3e-300, None]})
        path = put(tmp_path, "t", "static", frame)
        x, y = DuckDBStatistician(1).measure(self.survey(path)).current.columns
        assert (x.mean, x.maximum) == (1.797e308, 1.797e308)
        assert y.mean == pytest.approx(2e-300, rel=1e-12)

    @pytest.mark.parametrize("empty", [pl.lit(None), pl.lit(None, pl.String)])
    def test_a_month_without_a_value_breaks_no_contract(self, empty: pl.Expr, room: Validation) -> None:
        """CSV shows such a column as text, pandas as null: in neither is the type another, and nulls are allowed."""
        schema = pa.DataFrameSchema({"score": pa.Column(float, pa.Check.ge(0), nullable=True)})
        room = replace(room, contracts={"visits": Contract(schema, (SchemaDiff(nullable=None),))})
        for month in ("2020-02", "2020-03"):
            frame = visits(month=month)
            put(room.root, "visits", month, frame.with_columns(score=empty) if month == "2020-02" else frame)
        for month, before in (("2020-02", "2020-01"), ("2020-03", "2020-02")):
            assert broken(run(room, month, [before])) == {}
        put(room.root, "visits", "2020-03", visits(month="2020-03").with_columns(score=pl.lit("x")))
        assert {check for check, _ in broken(run(room, "2020-03", ["2020-01"]))} >= {"type(Float64)", "schema"}

    def test_every_type_of_column(self, tmp_path: Path) -> None:
        """Nulls, NaN, infinity, decimals, lists and odd names."""
        frame = pl.DataFrame(
            {
                "i": [1, 2, None, 4],
                "f": [0.5, float("nan"), float("inf"), -1.5],
                "d": pl.Series([1, 2, 3, 4]).cast(pl.Decimal(10, 2)),
                "s": ["it's", "b", "b", None],
                "b": [True, False, None, True],
                "t": [datetime(2020, 1, 1, tzinfo=UTC)] * 4,
                "l": [[1], [2], None, []],
                'odd "name", ok': [1, 1, 1, 1],
            },
            schema_overrides={"i": pl.UInt16},
        )
        statistics = DuckDBStatistician(1).measure(self.survey(put(tmp_path, "t", "static", frame))).current
        columns = {column.name: column for column in statistics.columns}
        assert (columns["i"].nulls, columns["i"].minimum, columns["i"].quantiles) == (1, 1, (1, 1, 2, 4, 4))
        assert (columns["f"].nulls, columns["f"].maximum, columns["f"].mean) == (1, 0.5, -0.5)
        assert columns["d"].quantiles == (1.0, 1.0, 2.0, 3.0, 4.0)
        assert (columns["s"].distinct, columns["s"].top) == (2, (("b", 2), ("it's", 1)))
        assert (columns["b"].trues, columns["b"].nulls) == (2, 1)
        assert columns["t"].minimum == "2020-01-01T00:00:00Z"
        assert (columns["l"].kind, columns["l"].nulls) == ("other", 1)
        assert columns['odd "name", ok'].mean == 1.0

    def test_days_begin_in_the_zone(self, tmp_path: Path) -> None:
        """Midnight in New York is not midnight UTC."""
        timestamps = [datetime(2020, 1, 2, 4, 59, tzinfo=UTC), datetime(2020, 1, 2, 5, tzinfo=UTC)]
        frame = pl.DataFrame({"event_time": timestamps})
        statistics = DuckDBStatistician(1).measure(self.survey(put(tmp_path, "t", "static", frame))).current
        assert [(str(day), rows) for day, rows in statistics.daily] == [("2020-01-01", 1), ("2020-01-02", 1)]
        assert statistics.newest == timestamps[1]

    def test_keys_with_nulls_are_not_judged(self, tmp_path: Path) -> None:
        """And a question about a column that is not there has no answer."""
        path = put(tmp_path, "t", "static", pl.DataFrame({"a": [1, 1, 2, None, None], "b": ["x", "x", "y", "z", "z"]}))
        questions = (Duplicates(("a", "b")), Orphans(("a", "b"), "o", ("p", "q")), Duplicates(("gone",)))
        other = put(tmp_path, "o", "static", pl.DataFrame({"p": [1], "q": ["x"]}))
        answers = DuckDBStatistician(2).measure(self.survey(path, questions=questions, others={"o": other})).answers
        assert (answers[questions[0]].rows, answers[questions[0]].of) == (2, 3)
        assert (answers[questions[1]].rows, answers[questions[1]].samples) == (1, ("2, y",))
        assert questions[2] not in answers


@pytest.fixture(scope="module")
def flights(tmp_path_factory: pytest.TempPathFactory) -> Validation:
    """Ingest the whole reference case, each source read once."""
    root = tmp_path_factory.mktemp("flights")
    frames = PolarsFrames(root, lambda *_: None)
    raw = {name: frames.read(source.read, None).collect().lazy() for name, source in SOURCES.items()}
    for name, source in SOURCES.items():
        frame = raw[name]
        if source.transform:
            frame = source.transform(frame, **{other: raw[other] for other in source.uses}).collect().lazy()
        if source.static or source.event_time is None or source.known_at is None:
            frames.write(frame.collect(), root / layout.raw(name, layout.STATIC))
            continue
        for month in FLIGHTS.groups():
            times = (source.event_time, source.known_at)
            cut = frames.cut(frame, times, month.start(NEW_YORK), month.plus(1).start(NEW_YORK))
            frames.write(cut.collect(), root / layout.raw(name, str(month)))
    tables = {name: source.static for name, source in SOURCES.items()}
    return Validation(CONTRACTS, tables, FLIGHTS, PanderaChecker(), DuckDBStatistician(2), Disk(root).exists, root)


class TestFlights:
    """The contracts of the reference case on all of its data."""

    @pytest.mark.parametrize("month", by_day(["static", *YEAR], "static", YEAR[0], YEAR[-1]))
    def test_the_reference_data_pass_their_constraints(self, flights: Validation, month: str) -> None:
        """Each month of 2013 passes, with warnings at most."""
        position = YEAR.index(month) if month != "static" else 0
        report = run(flights, month, YEAR[max(position - 2, 0) : position])
        assert [constraint for constraint in report.failed() if constraint.fatal] == []
        assert report.verdict == Passed()

    def test_known_dirt_is_told(self, flights: Validation) -> None:
        """A wind of 1048 miles an hour, and a holiday."""
        constraints = broken(run(flights, "2013-02", ["2013-01"]))
        assert constraints["usual_wind", "wind_speed"].samples == ("1048.36058",)
        november = run(flights, "2013-11", ["2013-10", "2013-09"]).failed()
        (volume,) = [rule for rule in november if (rule.table, rule.check) == ("flights", "volume(z <= 8)")]
        assert volume.samples[0] == "2013-11-28 Thu: 634 rows, usually 992"  # Thanksgiving

    @pytest.mark.parametrize("columns", [("temp", "dewp"), ("temp",), ("dewp",)])
    @pytest.mark.parametrize("month", YEAR)
    def test_celsius_fails(self, flights: Validation, tmp_path: Path, month: str, columns: Sequence[str]) -> None:
        """Both columns converted or only one: physics sees it in every month."""
        frame = pl.read_parquet(flights.root / layout.raw("weather", month))
        path = tmp_path / "weather.parquet"
        frame.with_columns((pl.col(column) - 32) / 1.8 for column in columns).write_parquet(path)
        constraints = PanderaChecker().check("weather", path, CONTRACTS["weather"].schema)
        fatal = {constraint.check: constraint for constraint in constraints if constraint.fatal}
        assert fatal["fahrenheit"].column == "temp, dewp, humid"
        assert (fatal["fahrenheit"].share or 0) > 0.85
        assert "°F" in fatal["fahrenheit"].detail
        assert fatal["fahrenheit"].samples[0].startswith("temp=")

    def test_the_profile_has_the_same_bytes_with_one_thread_or_two(self, flights: Validation) -> None:
        """And when run again."""

        def text(threads: int) -> str:
            report = run(replace(flights, statistician=DuckDBStatistician(threads)), "2013-03", ["2013-02"])
            return json.dumps([report.profile(), report.to_json()], allow_nan=False)

        assert text(1) == text(2) == text(2)

    def test_the_profile_holds_no_rare_value(self, flights: Validation) -> None:
        """Numbers, days and frequent values only."""
        profile = run(flights, "2013-03").profile()
        weather = profile["tables"]["weather"]
        assert weather["columns"]["temp"]["p50"] == 39.02
        assert weather["daily"]["2013-03-10"] == 69  # summer time begins: 23 hours, three airports
        assert set(weather["columns"]["origin"]["top"]) == {"EWR", "JFK", "LGA"}


CASE = {
    "params.yaml": """
data: {case: case, first: "2020-01", last: "2020-02", timezone: UTC}
features:
  {label: x, select: ["*"], train: {first: "2020-01", last: "2020-01"}, holdout: {first: "2020-02", last: "2020-02"}}
train: {estimator: "case.model:estimator"}
""",
    "case/__init__.py": "",
    "case/sources.py": """
from leverframe.case import Parquet, Source
SOURCES = {"visits": Source(Parquet("visits.parquet"), event_time="event_time", known_at="event_time")}
""",
    "case/contracts.py": """
import pandera.polars as pa
from leverframe.case import Contract, UniqueKey
CONTRACTS = {"visits": Contract(pa.DataFrameSchema({"id": pa.Column(int, pa.Check.ge(0))}), (UniqueKey(("id",)),))}
""",
}


class TestCommand:
    """``leverframe validate`` in a repository of its own."""

    @pytest.fixture
    def repository(self, tmp_path: Path) -> Path:
        """Return a repository with a small case and one good month."""
        for name, text in CASE.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text, encoding="utf-8")
        put(tmp_path, "visits", "2020-01", visits())
        return tmp_path

    def validate(self, root: Path, *options: str) -> subprocess.CompletedProcess[str]:
        """Run the command on January."""
        command = [sys.executable, "-m", "leverframe", "validate", "--partition", "2020-01", *options]
        return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)

    def test_passed_constraints_end_with_0(self, repository: Path) -> None:
        """The report that is printed is the one that is written."""
        done = self.validate(repository, "--json")
        assert done.returncode == 0, done.stderr
        report = json.loads((repository / "reports/contracts/2020-01.json").read_text())
        assert json.loads(done.stdout) == report
        assert report["verdict"] == "passed"
        assert json.loads((repository / "reports/profiles/2020-01.json").read_text())["tables"]["visits"]["rows"] == 62

    def test_failed_constraints_end_with_14_and_a_whole_report(self, repository: Path) -> None:
        """Markdown goes to stdout, what to do next to stderr."""
        put(repository, "visits", "2020-01", visits().with_columns(id=pl.col("id") - 1))
        done = self.validate(repository, "--markdown")
        assert done.returncode == 14
        assert "| **error** | `visits` | `greater_than_or_equal_to(0)` | `id` | 1 | 1.61% | `-1` |" in done.stdout
        assert done.stderr.startswith("error: 2020-01 violates 1 of its 5 constraints")
        report = json.loads((repository / "reports/contracts/2020-01.json").read_text())
        assert (report["verdict"], report["reasons"]) == ("failed", ["contract-broken"])

    def test_a_damaged_table_ends_with_13_and_no_traceback(self, repository: Path) -> None:
        """The file is named, and no report is written over an older one."""
        (repository / "data/raw/visits/2020-01.parquet").write_bytes(b"PAR1 and then nothing")
        done = self.validate(repository)
        assert done.returncode == 13
        assert "cannot read data/raw/visits/2020-01.parquet" in done.stderr
        assert "Traceback" not in done.stderr
        assert not (repository / "reports").exists()
