"""CSV files as people have them: every option, lines of another length, and files of another form than declared."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leverframe.adapters.duckdb.query import arrow_table
from leverframe.adapters.polars import PolarsFrames
from leverframe.domain import layout
from leverframe.domain.data.csv_lines import Dialect, uneven
from leverframe.domain.data.ingest import Source, check_sources, run
from leverframe.domain.data.readers import Csv, Function, Parquet, Query, Reader
from leverframe.domain.partition import Partition, Partitions
from leverframe.errors import DefinitionError, LeverframeError, SourceError
from tests.profiles import examples

MARCH = Partition.of("2021-03")
MONTHS = Partitions(MARCH, MARCH, "month", "UTC")
GERMAN = "k;town;price\n1;Köln;1,5\n2;Münster;2\n"


def table(root: Path, read: Reader, **given: Any) -> pl.DataFrame:
    """Ingest a static table and return it."""
    run({"t": Source(read, **given)}, None, MONTHS, PolarsFrames(root, arrow_table), root)
    return pl.read_parquet(root / layout.raw("t", layout.STATIC))


def refused(root: Path, read: Reader, **given: Any) -> str:
    """Return what is said of a table that cannot be ingested."""
    with pytest.raises(LeverframeError) as caught:
        table(root, read, **given)
    return caught.value.render()


def test_separator_encoding_and_decimal_are_options(tmp_path: Path) -> None:
    """A file from a German spreadsheet is read as it is."""
    (tmp_path / "t.csv").write_bytes(GERMAN.encode("cp1252"))
    frame = table(tmp_path, Csv("t.csv", separator=";", encoding="cp1252", decimal=","))
    assert frame.to_dict(as_series=False) == {"k": [1, 2], "town": ["Köln", "Münster"], "price": [1.5, 2.0]}


def test_the_error_names_the_option_that_is_lacking(tmp_path: Path) -> None:
    """Of the separator, and of the encoding by the line that has none of its characters."""
    (tmp_path / "t.csv").write_bytes(GERMAN.encode("cp1252"))
    message = refused(tmp_path, Csv("t.csv", separator=";"))
    assert "is not encoded in utf-8" in message
    assert "line 2" in message
    assert 'Csv(..., encoding="cp1252")' in message
    (tmp_path / "t.csv").write_text(GERMAN, encoding="utf-8")
    message = refused(tmp_path, Csv("t.csv"))
    assert "is not separated by ','" in message
    assert "Csv(..., separator=';')" in message
    (tmp_path / "t.csv").write_text("k\tv\n1\t2\n", encoding="utf-16")
    assert 'encoding="utf-16"' in refused(tmp_path, Csv("t.csv"))
    assert table(tmp_path, Csv("t.csv", encoding="utf-16", separator="\t"))["v"].to_list() == [2]


PACKED: dict[str, Callable[[bytes], Any]] = {
    "t.csv.gz": gzip.compress,
    "t.csv.bz2": bz2.compress,
    "t.csv.zst": lambda data: pa.compress(data, codec="zstd", asbytes=True),
    "t.csv.zip": lambda data: _zipped({"folder/t.csv": data}),
}


def _zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


@pytest.mark.parametrize("name", PACKED)
def test_packed_files_are_read(name: str, tmp_path: Path) -> None:
    """By their ending, or by the option where they have another; what is damaged is said by name."""
    packed = PACKED[name](b"k,v\n1,a\n2,b\n")
    (tmp_path / name).write_bytes(packed)
    assert table(tmp_path, Csv(name))["v"].to_list() == ["a", "b"]
    (tmp_path / "t.dat").write_bytes(packed)
    kind: Any = {"gz": "gzip", "bz2": "bz2", "zst": "zstd", "zip": "zip"}[name.rpartition(".")[2]]
    assert table(tmp_path, Csv("t.dat", compression=kind))["k"].to_list() == [1, 2]
    (tmp_path / name).write_bytes(packed[: len(packed) // 2])
    assert "error: cannot" in refused(tmp_path, Csv(name))


def test_an_archive_holds_one_file(tmp_path: Path) -> None:
    """Which of several is meant cannot be told."""
    (tmp_path / "t.zip").write_bytes(_zipped({"a.csv": b"k\n1\n", "b.csv": b"k\n2\n"}))
    assert "holds 2 files" in refused(tmp_path, Csv("t.zip"))


def test_quotes_nulls_comments_and_lines_above_the_header(tmp_path: Path) -> None:
    """Each option does what it says."""
    (tmp_path / "t.csv").write_text("made by a tool\n# note, with a comma\nk,v\n1,'a,b'\n2,NA\n3,-\n", encoding="utf-8")
    frame = table(tmp_path, Csv("t.csv", skip_rows=1, comment="#", quote="'", null_values=("NA", "-")))
    assert frame.to_dict(as_series=False) == {"k": [1, 2, 3], "v": ["a,b", None, None]}
    (tmp_path / "t.csv").write_text("053,x\n007,y\n", encoding="utf-8")
    frame = table(tmp_path, Csv("t.csv", columns=("code", "name"), types={"code": pl.String}))
    assert frame.to_dict(as_series=False) == {"code": ["053", "007"], "name": ["x", "y"]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b,c,d,e,f,g\n1,2,3,4,5,6,7\n1,2\n", "line 3 of {} has 2 of 7 fields"),
        ("a,b\n1,2\n3\n4\n", "2 lines are of another length"),
        ("a,b\n1,2,3\n", "line 2 of {} has 3 of 2 fields"),
        ('a,b\n"x\ny",2\n3\n', "line 4 of {} has 1 of 2 fields"),
    ],
)
def test_a_line_of_another_length_is_refused(text: str, words: str, tmp_path: Path) -> None:
    """What it lacks would be null, and nobody would know; one may say that it is meant so."""
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    message = refused(tmp_path, Csv("t.csv"))
    assert words.format(tmp_path / "t.csv") in message
    assert "ragged=True" in message
    assert table(tmp_path, Csv("t.csv", ragged=True)).width == len(text.splitlines()[0].split(","))


def test_lines_are_counted_as_they_stand(tmp_path: Path) -> None:
    """Line breaks within quotes, quotes within a field, empty lines and carriage returns are no lines of their own."""
    (tmp_path / "t.csv").write_bytes(b'\xef\xbb\xbfa,b\r\n"x, ""y""\r\nz",1\r\n5" by 4", 6" by 7" pipe,2\r\n\r\n')
    assert "line 4 of" in refused(tmp_path, Csv("t.csv"))
    (tmp_path / "t.csv").write_bytes(b'\xef\xbb\xbfa,b\r\n"x, ""y""\r\nz",1\r\n5" by 4" pipe,2\r\n\r\n')
    frame = table(tmp_path, Csv("t.csv"))
    assert frame.columns == ["a", "b"]
    assert frame["b"].drop_nulls().to_list() == [1, 2]
    (tmp_path / "t.csv").write_bytes(b'a,b\n5" pipe,1\n6 pipe,2\n')
    assert "quote=None" in refused(tmp_path, Csv("t.csv"))
    assert table(tmp_path, Csv("t.csv", quote=None))["b"].to_list() == [1, 2]


FIELD = st.text(st.sampled_from('ab"\n,; '), max_size=4)


@settings(max_examples=examples(1), deadline=None)
@given(st.lists(st.lists(FIELD, min_size=1, max_size=4), min_size=1, max_size=8))
def test_lines_have_as_many_fields_as_python_reads(rows: list[list[str]]) -> None:
    """Whatever stands between quotes."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    wrong = [len(row) for row in rows if len(row) != len(rows[0])]
    mismatch = uneven(out.getvalue().encode(), Dialect(",", '"'))
    assert (mismatch.lines if mismatch else 0) == len(wrong)
    assert mismatch is None or (mismatch.fields, mismatch.wanted) == (wrong[0], len(rows[0]))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"separator": ";;"}, "`separator` of source `t`"),
        ({"separator": "é"}, "`separator` of source `t`"),
        ({"separator": '"'}, "are different characters"),
        ({"decimal": ","}, "`decimal` of source `t`"),
        ({"encoding": "cp1253x"}, "`encoding` of source `t`"),
        ({"compression": "rar"}, "`compression` of source `t`"),
        ({"columns": ("a", "a")}, "`columns` of source `t`"),
        ({"skip_rows": -1}, "`skip_rows` of source `t`"),
    ],
)
def test_an_option_that_cannot_work_is_refused_before_a_file_is_read(given: Any, words: str) -> None:
    """With its name."""
    with pytest.raises(DefinitionError) as caught:
        check_sources({"t": Source(Csv("nowhere.csv", **given))})
    assert words in caught.value.render()


def test_every_reader_takes_types(tmp_path: Path) -> None:
    """pandas writes whole numbers with a gap as doubles, and a column without any value as nothing."""
    pl.DataFrame({"k": [1, 2], "n": [1.0, None]}).write_parquet(tmp_path / "a.parquet")
    pl.DataFrame({"k": [3], "n": [None]}).write_parquet(tmp_path / "b.parquet")
    types = {"n": pl.Int64}
    readers: list[Reader] = [
        Parquet("*.parquet", types=types),
        Query(f"SELECT * FROM read_parquet('{tmp_path}/*.parquet', union_by_name=true) ORDER BY k", types=types),
        Function(lambda _: {"k": [1, 2, 3], "n": [1.0, float("nan"), None]}, types=types),
    ]
    for read in readers:
        frame = table(tmp_path, read)
        assert frame["n"].dtype == pl.Int64
        assert frame["n"].to_list() == [1, None, None]
    assert table(tmp_path, Parquet("*.parquet"))["n"].to_list() == [1.0, None, None]
    assert "a digit would be lost" in refused(tmp_path, Function(lambda _: {"n": [1.5]}, types=types))
    assert "a digit would be lost" in refused(tmp_path, Function(lambda _: {"n": [2**53 + 1]}, types={"n": pl.Float64}))
    assert "cannot be Int64" in refused(tmp_path, Function(lambda _: {"n": ["x"]}, types=types))
    assert "did you mean `n`?" in refused(tmp_path, Function(lambda _: {"n": [1]}, types={"nn": pl.Int64}))
    (tmp_path / "t.csv").write_text("n\n1\n", encoding="utf-8")
    assert "did you mean `n`?" in refused(tmp_path, Csv("t.csv", types={"nn": pl.Int64}))


def test_a_column_without_a_value_names_the_way_to_give_it_a_type(tmp_path: Path) -> None:
    """The transform of a month without values fails, and `types` is what helps."""
    (tmp_path / "t.csv").write_text("k,n\n1,\n2,\n", encoding="utf-8")

    def doubled(frame: pl.LazyFrame) -> pl.LazyFrame:
        return frame.with_columns(twice=pl.col("n") + pl.lit(1).cast(pl.Int64) - pl.col("k"))

    message = refused(tmp_path, Csv("t.csv"), transform=doubled)
    assert "`n` has no value here" in message
    assert 'types={"n": pl.Int64}' in message
    frame = table(tmp_path, Csv("t.csv", types={"n": pl.Int64}), transform=doubled)
    assert frame.schema["n"] == pl.Int64


def test_a_table_may_be_empty_where_that_is_declared(tmp_path: Path) -> None:
    """Else the error says how; a file needs its header, and types stay those that are declared."""
    (tmp_path / "t.csv").write_text("k,v\n", encoding="utf-8")
    assert "may_be_empty=True" in refused(tmp_path, Csv("t.csv"))
    assert table(tmp_path, Csv("t.csv", types={"k": pl.Int64}), may_be_empty=True).schema["k"] == pl.Int64
    (tmp_path / "t.csv").write_text("", encoding="utf-8")
    assert "is empty: it has no header line" in refused(tmp_path, Csv("t.csv"), may_be_empty=True)
    assert table(tmp_path, Csv("t.csv", columns=("k",)), may_be_empty=True).height == 0


def test_rows_after_the_last_partition_are_counted(tmp_path: Path) -> None:
    """They are left out, and not silently."""
    (tmp_path / "t.csv").write_text("at\n2021-03-05T00:00:00Z\n2021-04-02T00:00:00Z\n2021-05-02T00:00:00Z\n", "utf-8")
    timed = Source(
        Csv("t.csv"),
        transform=lambda frame: frame.with_columns(pl.col("at").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_zone="UTC")),
        event_time="at",
        known_at="at",
    )
    frames = PolarsFrames(tmp_path, arrow_table)
    (one,) = run({"t": timed}, MARCH, MONTHS, frames, tmp_path, MONTHS.end)
    assert (one.rows, one.later) == (1, 2)
    (one,) = run({"t": timed}, MARCH, MONTHS, frames, tmp_path)
    assert (one.rows, one.later) == (1, 0)


def test_a_source_that_is_missing_is_still_said_by_name(tmp_path: Path) -> None:
    """No pattern matches, and a packed file that is not there."""
    with pytest.raises(SourceError, match="no file matches"):
        table(tmp_path, Csv("none-*.csv.gz"))


def test_a_time_that_clocks_skip_is_told_with_the_way_to_read_it(tmp_path: Path) -> None:
    """Repeated times have a rule of their own, which does not help here."""
    (tmp_path / "t.csv").write_text("at\n2021-03-28T02:30:00\n", encoding="utf-8")
    clock = pl.col("at").str.to_datetime("%Y-%m-%dT%H:%M:%S")

    def refusal(**rules: Any) -> str:
        zoned = clock.dt.replace_time_zone("Europe/Paris", **rules)
        timed = Source(Csv("t.csv"), lambda frame: frame.with_columns(at=zoned), event_time="at", known_at="at")
        with pytest.raises(SourceError) as caught:
            run({"t": timed}, MARCH, MONTHS, PolarsFrames(tmp_path, arrow_table), tmp_path)
        return caught.value.render()

    assert 'non_existent="null"' in refusal(ambiguous="latest")
    assert "a local time that clocks skipped has none" in refusal(ambiguous="latest", non_existent="null")


def test_a_table_that_is_no_reader_is_refused() -> None:
    """A path alone is no declaration."""
    with pytest.raises(DefinitionError, match="source `t` is read by str"):
        check_sources({"t": Source("raw/t.csv")})  # type: ignore[arg-type]
