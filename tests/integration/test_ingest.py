"""Every kind of source becomes the same monthly Parquet, and what is wrong with one is said by name."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from leverframe.adapters.duckdb.query import arrow_table
from leverframe.adapters.polars import PolarsFrames
from leverframe.domain import layout
from leverframe.domain.data.ingest import Source, run
from leverframe.domain.data.readers import Csv, Function, Parquet, Query, Reader
from leverframe.domain.partition import Partition, Partitions
from leverframe.errors import DefinitionError, SourceError

MARCH = Partition.of("2021-03")
MONTHS = Partitions(MARCH, MARCH, "month", "America/New_York")
EVENTS = ("03-31T23:30:00Z", "03-01T05:00:00Z", "03-01T04:59:59Z", "04-01T03:59:59Z", "03-09T00:00:00Z")
TOLD = ("03-31T20:00:00Z", "03-02T05:00:00Z", "03-01T05:00:00Z", "04-02T00:00:00Z", "03-09T00:00:00Z")
ROWS: dict[str, list[Any]] = {
    "id": [1, 2, 3, 4, 5],
    "at": [f"2021-{time}" for time in EVENTS],
    "told": [f"2021-{time}" for time in TOLD],
}
TIMES = {"at": pl.Series([datetime(2021, 3, 1, tzinfo=UTC)]), "told": pl.Series([datetime(2021, 3, 1, tzinfo=UTC)])}


def timestamps(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Return the frame with its two times as timestamps."""
    texts = pl.col("at", "told").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_zone="UTC", time_unit="ms")
    return frame.with_columns(texts)


def source(read: Reader, **changes: Any) -> Source:
    """Return a timed source."""
    given: dict[str, Any] = {"transform": timestamps, "event_time": "at", "known_at": "told"} | changes
    return Source(read, **given)


def ingested(root: Path, read: Reader, **changes: Any) -> pl.DataFrame:
    """Ingest March of a table and return what was written."""
    given = source(read, **changes)
    run({"table": given}, None if given.static else MARCH, MONTHS, PolarsFrames(root, arrow_table), root)
    return pl.read_parquet(root / layout.raw("table", "2021-03"))


@pytest.fixture
def readers(tmp_path: Path) -> dict[str, Reader]:
    """Write the same rows in every form a source can have."""
    frame = pl.DataFrame(ROWS)
    frame.write_csv(tmp_path / "whole.csv")
    frame.head(2).write_csv(tmp_path / "part-1.csv")
    frame.tail(3).write_csv(tmp_path / "part-2.csv")
    frame.write_parquet(tmp_path / "whole.parquet")
    frame.head(2).write_parquet(tmp_path / "piece-1.parquet")
    frame.tail(3).write_parquet(tmp_path / "piece-2.parquet")
    with zipfile.ZipFile(tmp_path / "whole.csv.zip", "w") as archive:
        archive.write(tmp_path / "whole.csv", "whole.csv")
    with duckdb.connect(str(tmp_path / "house.duckdb")) as connection:
        connection.register("rows", frame.to_arrow())
        connection.execute("CREATE TABLE visits AS SELECT * FROM rows")
    return {
        "csv": Csv("whole.csv"),
        "csv glob": Csv("part-*.csv"),
        "zipped csv": Csv("whole.csv.zip"),
        "parquet": Parquet("whole.parquet"),
        "parquet glob": Parquet("piece-*.parquet"),
        "duckdb table": Query("visits", database=str(tmp_path / "house.duckdb")),
        "duckdb select": Query(f"SELECT * FROM '{tmp_path}/whole.parquet'"),
        "function": Function(lambda month: pl.DataFrame(ROWS) if month == MARCH else None),
        "function of columns": Function(lambda _: ROWS),
    }


KINDS = [
    "csv", "csv glob", "zipped csv", "parquet", "parquet glob", "duckdb table", "duckdb select", "function",
    "function of columns",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_source_gives_the_same_month(kind: str, readers: dict[str, Reader], tmp_path: Path) -> None:
    """Cut by the local month, ordered by event time, known no earlier than it happened, in UTC."""
    frame = ingested(tmp_path, readers[kind])
    assert frame["id"].to_list() == [2, 5, 1, 4]
    assert frame.schema["event_time"] == frame.schema["known_at"] == pl.Datetime("us", "UTC")
    assert frame["known_at"][2] == frame["event_time"][2] == datetime(2021, 3, 31, 23, 30, tzinfo=UTC)


def test_late_and_corrected_data_rewrite_the_partition(readers: dict[str, Reader], tmp_path: Path) -> None:
    """Ingesting again gives the same bytes for the same rows and the new rows for new ones."""
    first = ingested(tmp_path, readers["csv"])
    path = tmp_path / layout.raw("table", "2021-03")
    before = path.read_bytes()
    ingested(tmp_path, readers["csv"])
    assert path.read_bytes() == before
    late = pl.DataFrame({"id": [6], "at": ["2021-03-05T00:00:00Z"], "told": ["2021-03-20T00:00:00Z"]})
    pl.concat([pl.DataFrame(ROWS), late]).write_csv(tmp_path / "whole.csv")
    assert ingested(tmp_path, readers["csv"]).height == first.height + 1


def test_static_tables_have_one_file_and_uses_are_handed_over(readers: dict[str, Reader], tmp_path: Path) -> None:
    """A transform gets the raw frames of the sources it uses, by name."""

    def doubled(frame: pl.LazyFrame, names: pl.LazyFrame) -> pl.LazyFrame:
        return frame.join(names.select("id", twice=pl.col("id") * 2), on="id").select("id", "twice")

    tables = {"names": Source(readers["parquet"]), "both": Source(readers["csv"], transform=doubled, uses=("names",))}
    written = run(tables, None, MONTHS, PolarsFrames(tmp_path, arrow_table), tmp_path)
    assert [(file.table, file.rows) for file in written] == [("names", 5), ("both", 5)]
    assert pl.read_parquet(tmp_path / layout.raw("both", layout.STATIC))["twice"].sum() == 30


@pytest.mark.parametrize(
    ("read", "changes", "words"),
    [
        (Csv("nothing-*.csv"), {}, "no file matches `nothing-*.csv`"),
        (Csv("data.csv", package="no_such_package"), {}, "`no_such_package` is not installed"),
        (Query("nowhere"), {}, "cannot read `nowhere`"),
        (Csv("whole.csv"), {"event_time": "att"}, "did you mean `at`?"),
        (Csv("whole.csv"), {"transform": None}, "`at` of table `table` is text, not a timestamp with a time zone"),
        (Function(lambda _: {name: times[:0] for name, times in TIMES.items()}), {"transform": None}, "has no rows in"),
        (Function(lambda _: {"id": []}), {"event_time": None, "known_at": None, "transform": None}, "has no rows"),
        (Csv("whole.csv"), {"transform": lambda frame: frame.select(pl.col("nowhere"))}, "cannot read table `table`"),
        (Function(lambda _: {**ROWS, "told": [None, *ROWS["told"][1:]]}), {}, "1 of 4 rows of table `table` have no"),
        (Function(lambda _: {**ROWS, "at": [None, *ROWS["at"][1:]]}), {}, "have no event_time"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_source_is_said_by_name(
    read: Reader, changes: dict[str, Any], words: str, readers: dict[str, Reader], tmp_path: Path
) -> None:
    """One error, and nothing is written."""
    assert readers
    with pytest.raises(SourceError) as caught:
        ingested(tmp_path, read, **changes)
    assert words in caught.value.render()
    assert not (tmp_path / "data").exists()


def broken(given: Any) -> Any:
    """Fail, as a person's function may."""
    raise ZeroDivisionError(f"in the middle of {type(given).__name__}")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (Source(Function(lambda _: ROWS), transform=broken), "the transform of source `table` failed"),
        (Source(Function(lambda _: ROWS), transform=lambda _: None), "returned nothing"),
    ],
)
def test_a_transform_that_fails_is_named(given: Source, words: str, tmp_path: Path) -> None:
    """What a person's function raises is told with its name, not as a bug."""
    with pytest.raises(DefinitionError, match=words):
        run({"table": given}, None, MONTHS, PolarsFrames(tmp_path, arrow_table), tmp_path)


def test_a_function_that_fails_is_named(tmp_path: Path) -> None:
    """So is the function of a source."""
    with pytest.raises(SourceError, match="the function `broken` of a source failed"):
        run({"table": Source(Function(broken))}, None, MONTHS, PolarsFrames(tmp_path, arrow_table), tmp_path)


def test_rows_of_another_month_in_a_months_file_are_refused(tmp_path: Path) -> None:
    """No other month would look into that file, so the rows would be lost."""
    pl.DataFrame(ROWS).write_csv(tmp_path / "visits-2021-03.csv")
    with pytest.raises(SourceError, match="1 rows in the file of 2021-03 for table `table` lie outside"):
        ingested(tmp_path, Csv("visits-{month}.csv"))


def test_types_keep_leading_zeros(tmp_path: Path) -> None:
    """An identifier of digits stays what it is when its type is given."""
    (tmp_path / "ids.csv").write_text("id\n053\n007\n", encoding="utf-8")
    frames = PolarsFrames(tmp_path, arrow_table)
    run({"ids": Source(Csv("ids.csv", types={"id": pl.String}))}, None, MONTHS, frames, tmp_path)
    assert pl.read_parquet(tmp_path / layout.raw("ids", layout.STATIC))["id"].to_list() == ["053", "007"]


@pytest.mark.parametrize("name", ["whole.parquet", "whole.csv.zip"])
def test_a_truncated_source_is_named(name: str, readers: dict[str, Reader], tmp_path: Path) -> None:
    """A damaged file is an error of its own, not a shorter table."""
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(SourceError, match="cannot read"):
        ingested(tmp_path, readers["parquet" if name.endswith("parquet") else "zipped csv"])


def test_nothing_is_written_unless_every_table_can_be(readers: dict[str, Reader], tmp_path: Path) -> None:
    """A month is all of its tables or none of them."""
    tables = {"good": source(readers["csv"]), "bad": source(Csv("nothing.csv"))}
    with pytest.raises(SourceError):
        run(tables, MARCH, MONTHS, PolarsFrames(tmp_path, arrow_table), tmp_path)
    assert not (tmp_path / "data").exists()


def test_half_declared_times_and_unknown_uses_are_refused(tmp_path: Path) -> None:
    """A declaration that cannot work is refused before anything is read."""
    frames = PolarsFrames(tmp_path, arrow_table)
    with pytest.raises(DefinitionError, match="declares only one of event_time and known_at"):
        run({"t": Source(Csv("x"), event_time="at")}, MARCH, MONTHS, frames, tmp_path)
    with pytest.raises(DefinitionError, match="uses `nmaes`"):
        run({"t": Source(Csv("x"), uses=("nmaes",)), "names": Source(Csv("y"))}, None, MONTHS, frames, tmp_path)


def test_a_full_disk_is_one_error_and_leaves_the_old_file(readers: dict[str, Reader], tmp_path: Path) -> None:
    """The system refuses to let a file grow: exit with the disk's error, no half-written file."""
    ingested(tmp_path, readers["csv"])
    path = tmp_path / layout.raw("table", "2021-03")
    before = path.read_bytes()
    script = f"""
import resource, sys
from pathlib import Path
import polars as pl
from leverframe.adapters.polars import PolarsFrames
from leverframe.errors import DiskError
resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))
frames = PolarsFrames(Path("."), None)
try:
    frames.write(pl.DataFrame({{"id": list(range(100000))}}), Path({str(path)!r}))
except DiskError as error:
    print(error.render()); sys.exit(error.exit_code)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (17, "")
    assert "the previous version of the file is untouched" in done.stdout
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def daily(root: Path, *values: str) -> pl.DataFrame:
    """Ingest a month of as many daily files, each with one row that has one of the ``values``; return that column."""
    for day, value in enumerate(values, start=1):
        at = f"2021-03-0{day}T12:00:00Z"
        (root / f"day-2021-03-0{day}.csv").write_text(f"id,at,told,value\n{day},{at},{at},{value}\n", encoding="utf-8")
    days = Partitions(Partition.of("2021-03-01"), Partition.of(f"2021-03-0{len(values)}"), "month", "America/New_York")
    run({"table": source(Csv("day-{day}.csv"))}, MARCH, days, PolarsFrames(root, arrow_table), root)
    return pl.read_parquet(root / layout.raw("table", "2021-03"))


def test_files_of_a_group_agree_on_the_types_that_their_values_tell(tmp_path: Path) -> None:
    """A day without any value has the type of the others, and whole numbers are numbers: as in one file of all days."""
    assert daily(tmp_path, "1", "", "2.5")["value"].to_list() == [1.0, None, 2.5]
    assert daily(tmp_path, "", "", "")["value"].to_list() == [None] * 3
    assert daily(tmp_path, "1", "2")["value"].dtype == pl.Int64


def test_files_of_a_group_with_digits_and_letters_are_refused(tmp_path: Path) -> None:
    """Digits that became numbers have lost their leading zeros, so they are not made texts again."""
    with pytest.raises(SourceError, match="the partitions of table `table` as one") as caught:
        daily(tmp_path, "007", "b7")
    assert "Csv(types=...)" in caught.value.next
    assert not (tmp_path / "data").exists()


def test_files_of_a_group_whose_numbers_have_no_type_in_common_are_refused(tmp_path: Path) -> None:
    """As doubles, whole numbers beyond 2**53 would become their neighbours."""
    assert daily(tmp_path, str(2**53 + 1), "1", "")["value"].to_list() == [2**53 + 1, 1, None]
    assert daily(tmp_path, str(2**53 + 1), "1.0")["value"].to_list() == [2**53 + 1, 1]
    with pytest.raises(SourceError, match="the column `value` is int64 in one file and float64 in another"):
        daily(tmp_path, str(2**53 + 1), "1.5")


def test_whole_numbers_have_at_most_64_bits(tmp_path: Path) -> None:
    """polars reads wider ones, and Parquet would hold them as bytes."""
    assert daily(tmp_path, str(2**64 - 1))["value"].to_list() == [2**64 - 1]
    with pytest.raises(SourceError, match="the column `value` of table `table` holds whole numbers of more than 64"):
        daily(tmp_path, str(2**64))


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"v": [1], "V": [2]}, "the columns `v` and `V` of table `table` differ in case only"),
        ({"event_time": [1]}, "table `table` has a column `event_time` of its own"),
        ({"known_at": ["x"]}, "table `table` has a column `known_at` of its own"),
    ],
)
def test_names_that_would_hide_one_another_are_refused(columns: Any, words: str, tmp_path: Path) -> None:
    """A column that ingest or SQL would replace is named, and nothing is written."""
    frame = pl.DataFrame({"at": ["2021-03-02T00:00:00Z"], "told": ["2021-03-02T00:00:00Z"]} | columns)
    with pytest.raises(SourceError, match=words):
        ingested(tmp_path, Function(lambda _: frame))
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("names", [["features"], ["../x"], ["a/b"], [""], ["x" * 101], ["é"], ["a", "A"]])
def test_a_table_has_a_name_that_files_and_reports_can_have(names: list[str], tmp_path: Path) -> None:
    """Else it would lie elsewhere, hide another one, or be taken for the features of a build."""
    sources = {name: Source(Csv("whole.csv")) for name in names}
    with pytest.raises(DefinitionError, match="a source cannot be called"):
        run(sources, None, MONTHS, PolarsFrames(tmp_path, arrow_table), tmp_path)


def divided(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Fail when it is collected, as a function of a person on each value may."""
    return frame.with_columns(x=pl.col("k").map_elements(lambda value: 1 / (value - value), return_dtype=pl.Float64))


@pytest.mark.parametrize(
    ("transform", "words"),
    [
        (divided, "reading or transforming it failed: ZeroDivisionError"),
        (lambda frame: frame.select("nope"), "reading or transforming it failed: ColumnNotFoundError"),
        (lambda frame: frame.collect().to_dict(), "returned builtins.dict"),
        (lambda frame: frame.rename({"k": ""}), "a column without a name"),
    ],
)
def test_a_frame_that_cannot_be_collected_is_named(transform: Any, words: str, tmp_path: Path) -> None:
    """Polars is lazy: what a transform asks for fails later, and is told with the table all the same."""
    source = Source(Function(lambda _: pl.LazyFrame({"k": [1, 2]})), transform=transform)
    with pytest.raises(SourceError, match="table") as caught:
        run({"table": source}, None, MONTHS, PolarsFrames(tmp_path, arrow_table), tmp_path)
    assert words in f"{caught.value.what} {caught.value.why}"


def test_a_transform_may_return_a_frame_in_memory(tmp_path: Path) -> None:
    """Not everybody writes lazily."""
    source = Source(Function(lambda _: pl.LazyFrame({"k": [1, 2]})), transform=lambda frame: frame.collect())
    run({"table": source}, None, MONTHS, PolarsFrames(tmp_path, arrow_table), tmp_path)
    assert pl.read_parquet(tmp_path / layout.raw("table", layout.STATIC))["k"].to_list() == [1, 2]
