"""Logs as they lie on disks: every readable row once, and everything else counted by name."""

from __future__ import annotations

import gzip
import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import dvc.fs
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dvc.fs import MemoryFileSystem
from hypothesis import given, settings
from hypothesis import strategies as st

from leverframe.adapters.duckdb.labels import Labels
from leverframe.adapters.duckdb.log_lines import CHUNK
from leverframe.adapters.duckdb.requests import Requests
from leverframe.adapters.dvc.failures import without_secrets
from leverframe.adapters.dvc.remotes import RemoteFiles
from leverframe.application.log_files import log_files
from leverframe.domain.monitoring.batch import NO_TIME, Levels, Numbers
from leverframe.domain.monitoring.log_query import LogFile, LogQuery
from leverframe.domain.monitoring.monitored_column import MonitoredColumn
from leverframe.domain.monitoring.window_summary import WindowSpan
from leverframe.domain.partition import Partition
from leverframe.errors import BundleError, SourceError
from leverframe.settings.monitor import LabelSettings, RequestColumns
from tests.fakes.request_log import COLUMNS, DAY, MODEL, QUERY, files_of, line, microseconds, read, rows_of, written
from tests.profiles import examples

NAME = "dt=2026-01-02/100000-1-0001.jsonl"
FAR = datetime(2100, 1, 1, tzinfo=UTC)
SPANS = [WindowSpan.of(Partition.of("2026-01-01").plus(days), "UTC") for days in range(3)]


def numbers(batch: Any, name: str) -> Numbers:
    """Return a column of numbers."""
    column = batch.columns[name]
    assert isinstance(column, Numbers)
    return column


def texts(batch: Any, name: str) -> list[str | None]:
    """Return a column of texts."""
    column = batch.columns[name]
    assert isinstance(column, Levels)
    return [None if code < 0 else column.names[code] for code in column.codes.tolist()]


def test_a_record_becomes_its_rows(tmp_path: Path) -> None:
    """Every field of a request by keys, row by row: what was looked up goes before what was sent."""
    written(
        tmp_path,
        line(
            form="keys",
            rows=2,
            columns={"key": ["p", "q"], "place": ["sent", "sent"]},
            features={"weight": [2, None], "place": ["x", None], "early": [0.0, True]},
            missed={"dimension plane": [1]},
            snapshot="2026-01-02T00:00:00+00:00",
            predictions=[[0.9, 0.1], [0.5, 0.5]],
        ),
    )
    (batch,), facts = read(tmp_path)
    assert batch.at.tolist() == [microseconds("2026-01-02T10:00:00+00:00")] * 2
    assert numbers(batch, "weight").values.tolist() == pytest.approx([2.0, np.nan], nan_ok=True)
    assert texts(batch, "place") == ["x", None]
    assert texts(batch, "early") == ["false", "true"]
    assert batch.predictions.tolist() == [0.1, 0.5]
    assert batch.release.names == ("b" * 64,)
    assert batch.milliseconds.tolist() == [1.5, 1.5]
    assert batch.snapshot.tolist() == [microseconds("2026-01-02T00:00:00+00:00")] * 2
    assert {table: rows.tolist() for table, rows in batch.missed.items()} == {"dimension plane": [False, True]}
    assert batch.place is not None
    assert batch.place.tolist() == [0, 1]
    assert len(set(batch.row.tolist())) == 2
    assert (facts.files, facts.malformed, facts.unreadable) == (1, {}, {})


@pytest.mark.parametrize(
    "noise",
    [
        b"{",
        b"null",
        b"[]",
        b"5",
        b'"text"',
        b"[" * 50_000,
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
        b"\xff\xfe\x00",
        line()[:-20],
        line(at="yesterday"),
        line(at=None),
        line(at={"a": 1}),
        line(model=None),
        line(predictions="high"),
        line(predictions=[]),
        line(predictions={"a": 1}),
        line(columns=None),
        line(columns={"weight": [1.0, 2.0], "place": ["x"], "early": [1]}),
        b'{"at":"2026-01-02T10:00:00+00:00","id":"\\ud800","model":"shop","columns":{},"predictions":[[0,1]]}',
        b"x" * 5_000_000,
    ],
)
def test_a_line_that_is_no_record_is_counted_by_file(tmp_path: Path, noise: bytes) -> None:
    """Torn, nested, of another form, of other bytes: one malformed line, and the rows around it are read."""
    written(tmp_path, line(id="a"), noise, line(id="b"))
    batches, facts = read(tmp_path)
    assert rows_of(batches) == 2
    assert facts.malformed == {NAME: 1}
    assert facts.unreadable == {}


def test_a_column_of_requests_may_hold_their_time(tmp_path: Path) -> None:
    """Each row has its own, whatever the clock of the server; a row or a request without one has the server's."""
    asked = {"weight": [1.0, 2.0, 3.0, 4.0], "place": ["x"] * 4, "early": [1.0] * 4}
    times = ["2013-09-01T10:00:00+00:00", "2013-08-30T10:00-05:00", None, "2013-09-02T10:00Z"]
    late = {"weight": [5.0], "place": ["x"], "early": [0.0], "as_of": ["2027-01-01T00:00Z"]}
    written(
        tmp_path,
        line(columns=asked | {"as_of": times}, predictions=[[0.5, 0.5]] * 4),
        line(id="b"),
        line(id="c", columns=late),
        line(id="d", columns=late | {"as_of": ["2013-09-01T10:00:00+00:00"] * 2}),
    )
    names = RequestColumns(time="as_of")
    since, until = datetime(2013, 9, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)
    (batch,), facts = read(tmp_path, replace(QUERY, names=names, keys=("as_of",), since=since, until=until))
    at = [times[0], "2026-01-02T10:00:00+00:00", times[3], "2026-01-02T10:00:00+00:00"]
    assert batch.at.tolist() == [microseconds(str(timestamp)) for timestamp in at]
    assert numbers(batch, "weight").values.tolist() == [1.0, 3.0, 4.0, 1.5]
    assert (facts.later, facts.earlier, sum(facts.malformed.values())) == (1, 0, 1)


NOISE = st.binary(max_size=80).filter(lambda noise: b"\n" not in noise and noise.strip() not in {b"", b"\x00"})


@given(st.lists(NOISE, max_size=6), st.integers(1, 5))
@settings(deadline=None, max_examples=examples(1.0))
def test_whatever_bytes_stand_between_records_the_records_are_read(
    tmp_path_factory: pytest.TempPathFactory, noise: list[bytes], count: int
) -> None:
    """Nothing raises, no record is lost, and no line of noise is silent."""
    folder = tmp_path_factory.mktemp("log")
    lines = [content for number in range(count) for content in (line(id=str(number)), *noise)]
    batches, facts = read(written(folder, *lines))
    assert rows_of(batches) == count
    assert sum(facts.malformed.values()) == count * len([content for content in noise if content.strip(b" \t\r")])


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**40), 10**40),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=1),
)


@given(st.lists(VALUES, min_size=1, max_size=4))
@settings(deadline=None, max_examples=examples(1.5))
def test_a_value_of_any_type_is_a_number_missing_or_unreadable(
    tmp_path_factory: pytest.TempPathFactory, given_values: list[Any]
) -> None:
    """Numbers are read as JSON has them; texts that look like numbers, truths and infinite values never are."""
    count = len(given_values)
    whole = line(columns={"weight": given_values, "place": given_values}, predictions=[[0.5, 0.5]] * count, rows=count)
    batches, facts = read(written(tmp_path_factory.mktemp("log"), whole))
    if facts.malformed:  # a half of a character, which no text of ours can hold
        assert any(isinstance(value, str | dict) for value in given_values)
        return
    (batch,) = batches
    column = numbers(batch, "weight")
    expected = [
        float(value) if type(value) in (int, float) and np.isfinite(float(value)) else np.nan for value in given_values
    ]
    assert column.values.tolist() == pytest.approx(expected, nan_ok=True, rel=1e-12)
    strange = [
        not (original is None or (type(original) is float and np.isnan(original))) and np.isnan(value)
        for original, value in zip(given_values, expected, strict=True)
    ]
    assert column.unreadable == sum(strange)
    assert [text is None for text in texts(batch, "place")] == [value is None for value in given_values]


def test_files_that_cannot_be_opened_are_named(tmp_path: Path) -> None:
    """A folder that is called like a file, a pipe, one without rights, an empty one, an archive that is none."""
    written(tmp_path, line())
    (tmp_path / "dt=2026-01-02/folder.jsonl").mkdir()
    os.mkfifo(tmp_path / "dt=2026-01-02/pipe.jsonl")
    (tmp_path / "dt=2026-01-02/empty.jsonl").write_bytes(b"")
    (tmp_path / "dt=2026-01-02/dangling.jsonl").symlink_to(tmp_path / "nowhere")
    (tmp_path / "dt=2026-01-02/torn.jsonl.gz").write_bytes(gzip.compress(line() + b"\n")[:-10])
    (tmp_path / "dt=2026-01-02/no.jsonl.gz").write_bytes(b"no archive")
    (tmp_path / "torn.parquet").write_bytes(b"PAR1" + b"x" * 100)
    batches, facts = read(tmp_path)
    assert rows_of(batches) >= 1
    assert {name.rpartition("/")[2] for name in facts.unreadable} == {
        "folder.jsonl", "pipe.jsonl", "dangling.jsonl", "torn.jsonl.gz", "no.jsonl.gz", "torn.parquet",
    }  # fmt: skip
    assert str(tmp_path) not in repr(facts)
    assert facts.files == 8


def test_files_without_rights_are_named(tmp_path: Path) -> None:
    """Where the user may not read a file it is named, and the others are read."""
    written(tmp_path, line())
    secret = tmp_path / "dt=2026-01-02/secret.jsonl"
    secret.write_bytes(line())
    secret.chmod(0)
    batches, facts = read(tmp_path)
    if os.geteuid() == 0:
        assert rows_of(batches) == 2
    else:
        assert (rows_of(batches), facts.unreadable) == (
            1,
            {secret.relative_to(tmp_path).as_posix(): "permission denied"},
        )


def test_a_packed_file_is_read(tmp_path: Path) -> None:
    """Logs are often packed once they are closed."""
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(line() + b"\n" + line()))
    assert rows_of(read(tmp_path)[0]) == 2


def test_clocks_that_differ_are_counted(tmp_path: Path) -> None:
    """Rows of after the time that is asked for, and of long before their folder; others are left out."""
    written(
        tmp_path,
        line(at="9999-12-31T00:00:00Z"),
        line(at="2026-01-04T00:00:00Z"),
        line(at="1970-01-01T00:00:00Z"),
        line(at="2026-01-01T12:00:00Z"),
        line(at="2026-01-02T12:00:00+02:00"),
    )
    batches, facts = read(tmp_path, replace(QUERY, since=DAY, until=DAY + timedelta(days=2)))
    assert (rows_of(batches), facts.later, facts.earlier, facts.malformed) == (1, 2, 1, {})
    assert batches[0].at.tolist() == [microseconds("2026-01-02T10:00:00+00:00")]


def test_rows_of_other_models_and_releases_are_told_apart(tmp_path: Path) -> None:
    """Those of other models are counted by name, those of other releases are rows of ours."""
    written(
        tmp_path,
        line(model="other", predictions=[[0, 1]] * 3, columns={}),
        line(),
        line(bundle="c" * 64),
        line(bundle=None, version="7"),
    )
    batches, facts = read(tmp_path)
    assert facts.other_models == {"other": 3}
    assert {name for batch in batches for name in batch.release.names} == {"b" * 64, "c" * 64, "7"}


def test_counts_of_unanswered_requests_are_summed_by_hour(tmp_path: Path) -> None:
    """Those of our model only, and none is a malformed line."""

    def count(outcome: str, number: Any, at: str = "2026-01-02T10:10:00Z", model: str = MODEL) -> bytes:
        return json.dumps({"at": at, "model": model, "outcome": outcome, "count": number}).encode()

    lines = [count("refused", 3), count("refused", 4, "2026-01-02T10:59:59Z"), count("refused", 5, "2026-01-02T11:00Z")]
    written(tmp_path, *lines, count("failed", 1), count("refused", 100, model="other"), line())
    batches, facts = read(tmp_path)
    ten, eleven = microseconds("2026-01-02T10:00:00Z"), microseconds("2026-01-02T11:00:00Z")
    assert facts.refused == {ten: 7, eleven: 5}
    assert facts.failed == {ten: 1}
    assert (rows_of(batches), facts.malformed) == (1, {})
    assert rows_of(read(written(tmp_path / "only", *lines))[0]) == 0


def test_rows_that_lack_a_column_stand_apart(tmp_path: Path) -> None:
    """A column that is not there is something else than one without values."""
    written(tmp_path, line(), line(columns={"weight": [2.0]}), line(columns={"weight": None, "place": [None]}))
    batches, _ = read(tmp_path)
    assert sorted((sorted(batch.columns), batch.rows) for batch in batches) == [
        (["early", "place", "weight"], 1), (["place"], 1), (["weight"], 1),
    ]  # fmt: skip


def test_many_classes_and_regressions_are_read(tmp_path: Path) -> None:
    """Probabilities in the order of the classes, or a number; those that are none are missing."""
    many = replace(QUERY, label="multiclass", classes=("a", "b", "c"))
    written(
        tmp_path, line(predictions=[[0.2, 0.3, 0.5]]), line(predictions=[[0.2, None, 0.5]]), line(predictions=[None])
    )
    (batch,), _ = read(tmp_path, many)
    assert batch.predictions[0].tolist() == [0.2, 0.3, 0.5]
    assert np.isnan(batch.predictions[1:]).any(axis=1).all()
    one = replace(QUERY, label="regression", classes=())
    written(tmp_path, line(predictions=[7.5]), line(predictions=["x"]))
    (batch,), _ = read(tmp_path, one)
    assert batch.predictions.tolist() == pytest.approx([7.5, np.nan], nan_ok=True)


def test_a_file_of_many_chunks_loses_no_line(tmp_path: Path) -> None:
    """Lines that two reads share are read once."""
    text = line(text="é" * 500)
    count = 2 * CHUNK // len(text) + 10
    written(tmp_path, *[text] * count)
    batches, facts = read(tmp_path)
    assert (rows_of(batches), facts.malformed) == (count, {})


TABLE = {
    "at": pa.array([1767348000000000, None, 1767348000000000], pa.timestamp("us", "UTC")),
    "id": ["a", "b", None],
    "prediction": [0.1, 0.2, np.nan],
    "weight": [1.5, None, np.inf],
    "place": ["x", None, "y"],
    "early": [True, False, None],
    "seconds": [0.5, 1.0, None],
    "bundle": ["r1", "r1", "r2"],
}
ROLES = RequestColumns(release="bundle", milliseconds="seconds")


def test_a_table_of_another_server_is_read_in_every_format(tmp_path: Path) -> None:
    """Parquet, CSV with any delimiter and a mark at its start, and an object a line give the same rows."""
    table = pa.table(TABLE)
    pq.write_table(table, tmp_path / "a.parquet")
    quoted = "at;id;prediction;weight;place;early;seconds;bundle\n" \
             "2026-01-02 10:00:00+00;a;0.1;1.5;x;true;0.5;r1\n;b;0.2;;;false;1.0;r1\n" \
             "1767348000;;;inf;y;;;r2\n"  # fmt: skip
    (tmp_path / "b.csv").write_bytes(b"\xef\xbb\xbf" + quoted.encode())
    (tmp_path / "c.tsv").write_text(quoted.replace(";", "\t"))
    plain = [dict(zip(TABLE, row, strict=True)) for row in zip(*table.to_pydict().values(), strict=True)]
    for record in plain:
        record["at"] = record["at"].isoformat() if record["at"] else None
    written(tmp_path, *[json.dumps(row).encode() for row in plain], name="d.jsonl")
    for name in ("a.parquet", "b.csv", "c.tsv", "d.jsonl"):
        log = Requests([LogFile(tmp_path / name, name)], replace(QUERY, names=ROLES))
        (batch,) = log.batches()
        assert log.facts.untimed == 1, name
        assert batch.at.tolist() == [microseconds("2026-01-02T10:00:00+00:00")] * 2, name
        assert numbers(batch, "weight").values.tolist() == pytest.approx([1.5, np.nan], nan_ok=True), name
        assert numbers(batch, "weight").unreadable == 1, name
        assert texts(batch, "place") == ["x", "y"], name
        assert texts(batch, "early") == ["true", None], name
        assert batch.predictions.tolist() == pytest.approx([0.1, np.nan], nan_ok=True), name
        assert batch.milliseconds.tolist() == pytest.approx([0.5, np.nan], nan_ok=True), name
        assert batch.release.names == ("r1", "r2"), name
        assert [number > 0 for number in batch.row.tolist()] == [True, False], name
        assert batch.snapshot.tolist() == [NO_TIME] * 2, name


def test_types_may_differ_from_file_to_file(tmp_path: Path) -> None:
    """Each file is read by its own types; texts in a column of numbers are unreadable, however they look."""
    when = pa.array([1767348000000000], pa.timestamp("us"))
    for number, values in enumerate(
        (["1.5"], [2], [True], [[1]], [{"a": 1}], [b"x"], [datetime(2026, 1, 1, tzinfo=UTC)])
    ):
        pq.write_table(pa.table({"at": when, "weight": values, "place": values}), tmp_path / f"{number}.parquet")
    batches, facts = read(tmp_path)
    assert facts.unreadable == {}
    assert [numbers(batch, "weight").unreadable for batch in batches] == [1, 0, 1, 1, 1, 1, 1]
    assert [texts(batch, "place")[0] for batch in batches][:3] == ["1.5", "2", "true"]
    assert all(np.isnan(batch.predictions).all() for batch in batches)


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_a_file_without_a_time_is_named(tmp_path: Path, suffix: str) -> None:
    """It says which column it lacks, and what the setting is."""
    if suffix == "parquet":
        pq.write_table(pa.table({"when": [1]}), tmp_path / "a.parquet")
    else:
        (tmp_path / f"a.{suffix}").write_text("when,b\n1,2\n" if suffix == "csv" else '{"when": 1}\n')
    batches, facts = read(tmp_path)
    assert rows_of(batches) == 0
    assert facts.unreadable == {f"a.{suffix}": "it has no column `at`, the time of a prediction"}


@pytest.mark.parametrize("name", ["a[1]", "a*", "a?", "it's", 'say "hi"', "a b;c", "é"])
def test_a_name_of_a_file_is_only_a_name(tmp_path: Path, name: str) -> None:
    """Not a pattern, and not SQL: beside it stands a file that a pattern would find."""
    for stem in (name, "a1"):
        (tmp_path / f"{stem}.csv").write_text("at,prediction\n2026-01-02,0.5\n")
        pq.write_table(pa.table(TABLE), tmp_path / f"{stem}.parquet")
    for suffix, rows in (("csv", 1), ("parquet", 2)):
        log = Requests([LogFile(tmp_path / f"{name}.{suffix}", "named")], QUERY)
        assert (rows_of(list(log.batches())), log.facts.unreadable) == (rows, {})


@given(st.binary(max_size=300), st.sampled_from(["csv", "tsv", "parquet", "jsonl", "csv.gz", "jsonl.gz"]))
@settings(deadline=None, max_examples=examples(1.5))
def test_a_file_of_any_bytes_ends_nothing(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, suffix: str
) -> None:
    """It has rows, malformed lines, or a reason why it has none; the file after it is read."""
    folder = tmp_path_factory.mktemp("log")
    (folder / f"a.{suffix}").write_bytes(content)
    (folder / "b.csv").write_text("at,prediction\n2026-01-02,0.5\n")
    batches, facts = read(folder)
    assert rows_of(batches) >= 1
    assert facts.files == 2


@given(st.lists(st.binary(max_size=30).filter(lambda noise: b"\n" not in noise and b"\r" not in noise), max_size=5))
@settings(deadline=None, max_examples=examples(1.0))
def test_lines_of_any_bytes_in_a_csv_are_no_rows_that_are_not_there(
    tmp_path_factory: pytest.TempPathFactory, noise: list[bytes]
) -> None:
    """A quote that is never closed may swallow what follows, but never ends the reading, nor makes rows up."""
    folder = tmp_path_factory.mktemp("log")
    good = b"2026-01-02,0.5,1,x,true"
    written(folder, b"at,prediction,weight,place,early", good, *noise, good, name="a.csv")
    batches, facts = read(folder)
    assert rows_of(batches) <= 2 + len(noise)
    assert rows_of(batches) + sum(facts.malformed.values()) + facts.untimed + len(facts.unreadable) >= 1


def test_columns_that_nobody_knows_are_named(tmp_path: Path) -> None:
    """By the number of files that have them; a column under a new name is found so."""
    for number in range(2):
        (tmp_path / f"{number}.csv").write_text("at,prediction,Weight,place\n2026-01-02,0.5,1,x\n")
    written(tmp_path, b'{"at": "2026-01-02", "more": 1}', name="a.jsonl")
    batches, facts = read(tmp_path)
    assert facts.unexpected == {"Weight": 2, "more": 1}
    assert all("weight" not in batch.columns for batch in batches)


def test_lines_of_a_table_that_do_not_fit_are_counted(tmp_path: Path) -> None:
    """Too many fields, other bytes; the rest of the file is read."""
    lines = [b"at,prediction,weight,place,early", b"2026-01-02,0.5,1,x,true", b"2026-01-02,0.5,1,x,true,1,2,3",
             b"2026-01-02,0.5,1,\xff\xfe,true", b"2026-01-02,0.5,2,y,false"]  # fmt: skip
    written(tmp_path, *lines, name="a.csv")
    batches, facts = read(tmp_path)
    assert rows_of(batches) == 2
    assert facts.malformed == {"a.csv": 2}


def test_a_class_may_stand_for_its_probabilities(tmp_path: Path) -> None:
    """A column a class, or the name of the predicted one."""
    many = replace(QUERY, label="multiclass", classes=("a", "b"))
    (tmp_path / "a.csv").write_text("at,prediction,probability_a,probability_b\n2026-01-02,b,0.25,0.75\n")
    (tmp_path / "b.csv").write_text("at,prediction\n2026-01-02,b\n")
    batches, _ = read(tmp_path, many)
    assert [batch.predictions.tolist() for batch in batches] == [[[0.25, 0.75]], [[0.0, 1.0]]]


def test_millions_of_rows_take_bounded_memory(tmp_path: Path) -> None:
    """Batches are small however large a file is, and none of them is kept."""
    rows = 1_000_000
    duckdb.execute(
        "COPY (SELECT make_timestamp(1767348000000000 + i) AS at, i::VARCHAR AS id, 0.5 AS prediction, "
        f"random() AS weight, 'x' AS place, true AS early FROM range({rows}) t(i)) TO '{tmp_path}/a.parquet'"
    )
    sizes = [batch.rows for batch in Requests(files_of(tmp_path), QUERY).batches()]
    assert sum(sizes) == rows
    assert max(sizes) <= 122_880


LABELS = LabelSettings(path="labels", on=["id", "row"], known_at="known")


def joined(folder: Path, labels: LabelSettings = LABELS, query: LogQuery = QUERY) -> Labels:
    """Return labels of a folder joined to its log."""
    keyed = replace(query, columns=(), keys=tuple(labels.on))
    return Labels(files_of(folder / "labels"), labels, Requests(files_of(folder / "log"), keyed), keyed, SPANS, FAR)


def test_labels_find_their_rows(tmp_path: Path) -> None:
    """Of several labels the one that was known last counts; each odd kind is counted."""
    written(tmp_path / "log", line(id="a", predictions=[[1, 0], [0.5, 0.5]], columns={}), line(id="b"), line(id="c"))
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/a.csv").write_text(
        "id,row,label,known\n"
        "a,0,1,2026-01-03T10:00Z\na,0,0,2026-01-02T12:00Z\n"  # they contradict: the newest counts
        "a,1,false,2026-01-02T22:00Z\na,1,0.0,2026-01-02T22:00Z\n"  # the same again
        "b,0,true,2026-01-02T09:00Z\n"  # before its prediction
        "z,0,1,2026-01-03\n,0,1,2026-01-03\nc,0,maybe,2026-01-03\nc,0,,2026-01-03\n"
    )
    labels = joined(tmp_path)
    windows = list(labels.windows())
    assert [(window.window, window.rows, len(window.labelled.labels)) for window in windows] == [
        ("2026-01-01", 0, 0), ("2026-01-02", 4, 3), ("2026-01-03", 0, 0),
    ]  # fmt: skip
    labelled = windows[1].labelled
    order = np.argsort(labelled.delay)
    assert labelled.delay[order].tolist() == [-1.0, 12.0, 24.0]
    assert labelled.labels[order].tolist() == [1.0, 0.0, 1.0]
    assert labelled.predictions[order].tolist() == [0.75, 0.5, 0.0]
    facts = labels.facts
    assert (facts.labels, facts.strange, facts.keyless, facts.repeated) == (8, 1, 1, 1)
    assert (facts.contradicting, facts.unmatched, facts.early, facts.untimed) == (1, 1, 1, 0)
    assert windows[1].coverage == 0.75
    assert windows[0].coverage is None


def test_labels_are_read_in_every_format_and_joined_on_what_is_asked(tmp_path: Path) -> None:
    """Keys of the request, a timestamp in another zone, a number with a point: equal is what means the same."""
    keys = {"carrier": ["AA"], "flight": [5], "as_of": ["2026-01-02T10:00:00Z"]}
    written(
        tmp_path / "log", line(columns=keys, features={"weight": [1.0]}), line(id="b", columns={**keys, "flight": [6]})
    )
    (tmp_path / "labels").mkdir()
    moment = pa.array([1767348000000000], pa.timestamp("us", "America/New_York"))
    pq.write_table(
        pa.table({"carrier": ["AA"], "flight": [5.0], "as_of": moment, "label": [True]}), tmp_path / "labels/a.parquet"
    )
    written(
        tmp_path / "labels",
        b'{"carrier": "AA", "flight": 6, "as_of": "2026-01-02T11:00:00+01:00", "label": 0}',
        b'{"carrier": "AA"}',
        b"{",
        name="b.jsonl",
    )
    (tmp_path / "labels/c.csv").write_text("carrier,label\nAA,1\n")
    labels = joined(tmp_path, LabelSettings(path="labels", on=["carrier", "flight", "as_of"]))
    labelled = {window.window: window.labelled for window in labels.windows()}["2026-01-02"]
    assert sorted(labelled.labels.tolist()) == [0.0, 1.0]
    assert np.isnan(labelled.delay).all()
    assert labels.facts.unreadable == {"c.csv": "it has no column `flight`"}
    assert labels.facts.malformed == {"b.jsonl": 1}


def test_ids_of_many_digits_are_not_taken_for_numbers(tmp_path: Path) -> None:
    """Neighbours beyond what a double holds stay apart."""
    ids = ["12345678901234567890", "12345678901234567891"]
    written(tmp_path / "log", *[line(id=identifier) for identifier in ids])
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/a.csv").write_text(f"id,label\n{ids[0]},1\n{ids[1]},0\n")
    labels = joined(tmp_path, LabelSettings(path="labels"))
    assert sorted(label for window in labels.windows() for label in window.labelled.labels.tolist()) == [0.0, 1.0]
    assert labels.facts.contradicting == 0


def test_a_request_that_was_sent_again_has_one_row_with_a_label(tmp_path: Path) -> None:
    """A retry must not count its label twice."""
    written(tmp_path / "log", line(id="a"), line(id="a"))
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/a.csv").write_text("id,label\na,1\n")
    windows = list(joined(tmp_path, LabelSettings(path="labels")).windows())
    assert [window.rows for window in windows] == [0, 1, 0]


def test_labels_of_many_classes_are_their_places(tmp_path: Path) -> None:
    """And those of a regression are numbers; what is neither is strange."""
    written(tmp_path / "log", line(id="a", predictions=[[0.1, 0.2, 0.7]]))
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/a.csv").write_text("id,label\na,c\nb,d\n")
    labels = joined(tmp_path, LabelSettings(path="labels"), replace(QUERY, label="multiclass", classes=("a", "b", "c")))
    labelled = list(labels.windows())[1].labelled
    assert (labelled.labels.tolist(), labelled.predictions.tolist()) == ([2.0], [[0.1, 0.2, 0.7]])
    assert labels.facts.strange == 1


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> MemoryFileSystem:
    """Return one of DVC's file systems, the one that lives in memory, behind every address of memory://."""
    kept = MemoryFileSystem(global_store=False)
    known = dvc.fs.get_cloud_fs

    def get_cloud_fs(config: Any, url: str) -> Any:
        return (lambda: kept, {}, url) if url.startswith("memory://") else known(config, url=url)

    monkeypatch.setattr(dvc.fs, "get_cloud_fs", get_cloud_fs)
    return kept


def test_a_log_may_be_a_folder_a_pattern_a_file_or_an_address(tmp_path: Path, bucket: MemoryFileSystem) -> None:
    """Open and hidden files, those of other days and of other endings are left out; what was fetched is gone after."""
    for day in ("2025-12-01", "2026-01-01", "2026-01-02", "2026-02-01"):
        written(tmp_path / "log", line(), name=f"dt={day}/1.jsonl")
    for name in ("dt=2026-01-02/2.jsonl.part", "dt=2026-01-02/.3.jsonl", "dt=2026-01-02/notes.md", "_tmp/4.jsonl"):
        written(tmp_path / "log", line(), name=name)
    for path in (tmp_path / "log").rglob("*"):
        if path.is_file():
            bucket.fs.pipe_file(f"/bucket/log/{path.relative_to(tmp_path / 'log').as_posix()}", path.read_bytes())
    bucket.fs.pipe_file("/bucket/logs/dt=2026-01-02/1.jsonl", b"another folder")
    near = ["dt=2026-01-01/1.jsonl", "dt=2026-01-02/1.jsonl"]

    def names(source: str, since: datetime | None = None, until: datetime | None = None) -> list[str]:
        with log_files(source, tmp_path, RemoteFiles, (since, until)) as files:
            assert all(file.path.is_file() for file in files)
            kept = [file.path for file in files]
            listing = [file.name for file in files]
        assert not source.startswith("memory:") or not any(path.exists() for path in kept)
        return listing

    assert len(names("log")) == 4
    for base in ("log", str(tmp_path / "log"), f"{tmp_path.as_uri()}/log", "memory://bucket/log"):
        for source in (base, f"{base}/**/*.jsonl", f"{base}/dt=*/*.jsonl"):
            assert names(source, DAY, DAY + timedelta(days=1)) == near, source
        assert names(f"{base}/dt=2026-01-*/*.jsonl") == near
        assert len(names(f"{base}/dt=2026-01-02/1.jsonl")) == 1
    with log_files("memory://bucket/log/dt=2026-01-02", tmp_path, RemoteFiles) as files:
        assert sum(batch.rows for batch in Requests(files, QUERY).batches()) == 1
    assert names("memory://bucket/nothing") == []


def test_a_log_that_is_not_there_or_too_large_is_refused(tmp_path: Path, bucket: MemoryFileSystem) -> None:
    """With what to do; no secret of an address is shown."""
    with pytest.raises(SourceError, match="no log at nowhere"), log_files("nowhere", tmp_path, RemoteFiles):
        pass
    bucket.fs.pipe_file("/bucket/log/1.jsonl", line())
    with pytest.raises(SourceError) as large, log_files("memory://bucket/log", tmp_path, RemoteFiles, limit=10):
        pass
    assert "monitor.lookback" in large.value.next
    with pytest.raises(BundleError) as error, log_files("nope://me:secret@host/log?token=abc", tmp_path, RemoteFiles):
        pass
    message = f"{error.value.what} {error.value.why} {error.value.next}"
    assert "secret" not in message
    assert "abc" not in message
    assert without_secrets("https://me:secret@host/a/b?X-Amz-Signature=1#x") == "https://host/a/b"


def test_a_column_that_only_differs_in_case_is_another(tmp_path: Path) -> None:
    """Columns are known by their exact names."""
    two = replace(QUERY, columns=(*COLUMNS, MonitoredColumn("weight2", "numeric")))
    written(tmp_path, line(columns={"Weight": [1.0], "weight2": [2.0]}))
    (batch,), _ = read(tmp_path, two)
    assert sorted(batch.columns) == ["weight2"]
