"""What a server refuses and what it tells: the input check, the guard, the log, the line to try."""

from __future__ import annotations

import asyncio
import fcntl
import json
import shlex
import threading
import time
from collections.abc import MutableMapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leverframe.domain.features.training_set import Label
from leverframe.domain.model.bundle.input_check import FEW, Checked, Tensor, arrays, checked
from leverframe.domain.model.bundle.schema import Field, Schema
from leverframe.domain.release.serve import Running, Served, curl, example, other_wanted, request
from leverframe.errors import RequestError
from leverframe.serving.counted import Limits
from leverframe.serving.datatypes import refuse_undeclared, singles
from leverframe.serving.guard import Guard
from leverframe.serving.inference_log import InferenceLog, LogSettings, Outcome, close_leftovers
from leverframe.serving.room import Room
from leverframe.serving.v2_request import read

SCHEMA = Schema(
    "shop",
    Label("late", "binary"),
    ("0", "1"),
    columns=(
        Field("place", "text", nullable=False, allowed=("a", "b")),
        Field("size", "number", minimum=1, maximum=9),
        Field("fresh", "boolean"),
    ),
    keys=(
        Field("place", "text", nullable=False, allowed=("a", "b")),
        Field("customer", "text", pattern="^c[0-9]+$", longest=6),
        Field("pieces", "number", whole=True, nullable=False, above=0, below=100),
        Field("as_of", "text", longest=40),
    ),
    maximum_rows=100,
)


def columns(**changes: Any) -> list[Tensor]:
    """Return a request by columns of two rows, with some tensors replaced; None takes one away."""
    tensors = {
        "place": Tensor("place", [2], "BYTES", ["a", "b"]),
        "size": Tensor("size", [2, 1], "FP64", [1, 2.5]),
        "fresh": Tensor("fresh", [2], "BOOL", [True, None]),
    }
    return [column for column in {**tensors, **changes}.values() if column is not None]


def keys(**changes: Any) -> list[Tensor]:
    """Return a request by keys of one row, changed alike."""
    tensors = {
        "place": Tensor("place", [1], "BYTES", [b"a"]),
        "customer": Tensor("customer", [1], "BYTES", ["c1"]),
        "pieces": Tensor("pieces", [1], "INT32", [[3]]),
    }
    return [key for key in {**tensors, **changes}.values() if key is not None]


def test_both_forms_are_decoded() -> None:
    """Columns become doubles with NaN and texts; keys stay of their own type: plain if few, masked arrays if many."""
    request = checked(SCHEMA, columns())
    assert (request.form, request.rows) == ("columns", 2)
    assert request.columns["place"].tolist() == ["a", "b"]
    np.testing.assert_array_equal(request.columns["size"], [1, 2.5])
    np.testing.assert_array_equal(request.columns["fresh"], [1, np.nan])
    asked = checked(SCHEMA, keys(as_of=Tensor("as_of", [1], "BYTES", ["2024-01-01T00:00Z"])))
    assert asked.form == "keys"
    assert asked.columns == {"place": ["a"], "customer": ["c1"], "pieces": [3], "as_of": ["2024-01-01T00:00Z"]}
    assert arrays(SCHEMA, asked)["pieces"].dtype == np.int64
    many = [Tensor(key.name, [40], key.datatype, [row[0] if isinstance(row, list) else row for row in key.data] * 40)
            for key in keys()]  # fmt: skip
    request = checked(SCHEMA, many)
    assert request.columns["pieces"].dtype == np.int64
    assert request.columns["place"].tolist() == ["a"] * 40
    given_too = checked(SCHEMA, keys(size=Tensor("size", [1], "FP32", [4])))
    assert given_too.form == "keys"  # a feature that came along goes before what would be looked up
    assert "size" in given_too.columns


def test_single_precision_is_the_same_in_json_as_over_grpc() -> None:
    """A model of doubles tells 0.1 from its neighbour in single precision: who names FP32 sends the latter."""
    near = float(np.float32(0.1))
    for data, taken in (
        ([0.1, 2.5], [near, 2.5]), ([[0.1], [2.5]], [[near], [2.5]]), ([0.1, None, 2**24 + 1], [near, None, 2**24]),
        ([0.1, "x", True, 1e39, 10**400, [0.1, 0.1]], [near, "x", True, 1e39, 10**400, [0.1, 0.1]]), ({}, {}),
    ):  # fmt: skip
        assert singles(data) == taken
    for datatype, number in (("FP32", near), ("FP64", 0.1)):
        tensor = {"name": "size", "shape": [1], "datatype": datatype, "data": [0.1]}
        assert read(json.dumps({"inputs": [tensor]}).encode()).tensors[0].data == [number]


@pytest.mark.parametrize(
    ("tensors", "wanted"),
    [
        (keys(pieces=Tensor("pieces", [1], "INT64", [[3]])), ""),
        (keys(pieces=Tensor("pieces", [1], "INT64", [[3.0]])), "`pieces` in row 0 is 3.0 INT64"),
        (keys(pieces=Tensor("pieces", [1], "INT64", [3.0])), "`pieces` in row 0 is 3.0 INT64"),
        (keys(), "`pieces` has the datatype INT32 INT64"),
        (keys(pieces=Tensor("pieces", [1], "FP64", [3])), "`pieces` has the datatype FP64 INT64"),
        (columns(), ""),
        (columns(size=Tensor("size", [2], "INT64", [1, 2])), "`size` has the datatype INT64 FP64"),
    ],
)
def test_a_server_may_take_declared_datatypes_alone(tensors: list[Tensor], wanted: str) -> None:
    """What others convert without a loss it refuses; they are all right for `serve.datatypes: any`."""
    checked(SCHEMA, tensors)
    try:
        refuse_undeclared(SCHEMA, tensors)
        message = ""
    except RequestError as error:
        message = f"{error.what} {error.next.removeprefix('send ')}"
    assert message == wanted


WRONG: list[tuple[list[Tensor], str]] = [
    ([], "lacks"),
    (columns(size=None), "lacks `size`"),
    (keys(pieces=None), "lacks `pieces`"),
    ([*columns(), Tensor("place", [2], "BYTES", ["a", "a"])], "`place` twice"),
    (columns(other=Tensor("sise", [2], "FP64", [1, 2])), "`sise` is not a column"),
    (columns(size=Tensor("size", [2], "BYTES", ["1", "2"])), "datatype BYTES"),
    (columns(size=Tensor("size", [2], "FP64", ["1", 2])), "`size` in row 0"),
    (columns(size=Tensor("size", [2], "FP64", [1, True])), "`size` in row 1"),
    (columns(size=Tensor("size", [2], "FP64", [1, [2]])), "`size` in row 1"),
    (columns(size=Tensor("size", [2], "FP64", [[1], 2])), "rows of several values"),
    (columns(size=Tensor("size", [2], "FP64", [[1, 2], [3, 4]])), "rows of several values"),
    (columns(size=Tensor("size", [2], "FP64", [1])), "1 values for 2 rows"),
    (columns(size=Tensor("size", [1], "FP64", [1])), "1 rows, `place` has 2"),
    (columns(size=Tensor("size", [], "FP64", [])), "the shape []"),
    (columns(size=Tensor("size", [-2], "FP64", [])), "the shape [-2]"),
    (columns(size=Tensor("size", [0], "FP64", [])), "the shape [0]"),
    (columns(size=Tensor("size", [2, 2], "FP64", [1, 2, 3, 4])), "the shape [2, 2]"),
    (columns(size=Tensor("size", [2, 1, 1], "FP64", [1, 2])), "the shape [2, 1, 1]"),
    (columns(size=Tensor("size", [2], "FP64", {"a": 1})), "no list of values"),
    (columns(size=Tensor("size", [2], "FP64", "12")), "no list of values"),
    (columns(size=Tensor("size", [2], "FP64", [1, 10])), "at most 9"),
    (columns(size=Tensor("size", [2], "FP64", [0.5, 1])), "at least 1"),
    (columns(size=Tensor("size", [2], "FP64", [1, float("inf")])), "must be finite"),
    (columns(size=Tensor("size", [2], "FP64", [1, 10**400])), "must be finite"),
    (columns(place=Tensor("place", [2], "BYTES", ["a", "c"])), "`place` in row 1 is 'c'"),
    (columns(place=Tensor("place", [2], "BYTES", [None, "a"])), "must never be missing"),
    (columns(place=Tensor("place", [2], "BYTES", [b"\xff", "a"])), "UTF-8"),
    (columns(fresh=Tensor("fresh", [2], "BOOL", [1, 0])), "`fresh` in row 0"),
    (keys(customer=Tensor("customer", [1], "BYTES", ["d1"])), "pattern"),
    (keys(customer=Tensor("customer", [1], "BYTES", ["c1\n"])), "pattern"),
    (keys(customer=Tensor("customer", [1], "BYTES", ["c123456"])), "at most 6 characters"),
    (keys(pieces=Tensor("pieces", [1], "FP64", [2.5])), "whole number"),
    (keys(pieces=Tensor("pieces", [1], "INT64", [0])), "more than 0"),
    (keys(pieces=Tensor("pieces", [1], "INT64", [100])), "less than 100"),
    (keys(pieces=Tensor("pieces", [1], "FP64", [None])), "must never be missing"),
    (keys(pieces=Tensor("pieces", [1], "INT32", [[2.5]])), "`pieces` in row 0 is 2.5 INT32 holds whole numbers"),
    (columns(size=Tensor("size", [2], "INT8", [1, 300])), "`size` in row 1 is 300 INT8 holds whole numbers from -128"),
    (columns(size=Tensor("size", [2], "FP32", [1, 1e39])), "`size` in row 1 is 1e+39 FP32 holds numbers up to 3.40"),
    ([Tensor(column.name, [101], column.datatype, column.data[:1] * 101) for column in columns()], "at most 100"),
]


@pytest.mark.parametrize(("tensors", "message"), WRONG)
def test_what_does_not_fit_is_refused_by_name(tensors: list[Tensor], message: str) -> None:
    """Each fault is one error that names the column and, where there is one, the row."""
    with pytest.raises(RequestError) as caught:
        checked(SCHEMA, tensors)
    assert message in f"{caught.value.what} {caught.value.why} {caught.value.next}"


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=6,
)
tensor = st.builds(
    Tensor,
    st.sampled_from(["place", "size", "fresh", "customer", "pieces", "as_of", "x"]),
    st.lists(st.integers(-2, 4), max_size=3),
    st.sampled_from(["BYTES", "FP64", "FP32", "INT64", "BOOL", "UINT8", "FP16"]),
    anything | st.lists(anything, max_size=4),
)


@given(st.lists(tensor, max_size=5))
def test_anything_at_all_is_answered_or_refused(tensors: list[Tensor]) -> None:
    """No request raises another error than the one that becomes a 400, and none is let through half."""
    try:
        request = checked(SCHEMA, tensors)
    except RequestError:
        return
    assert isinstance(request, Checked)
    assert {len(column) for column in request.columns.values()} == {request.rows}


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("rows", [1, FEW + 1])
@pytest.mark.parametrize("value", [2**53 + 1, -(2**63), 2**64 - 1, 7])
def test_whole_numbers_of_a_key_stay_what_they_are(value: int, rows: int, whole: bool) -> None:
    """As doubles, identifiers beyond 2**53 would find the row of another; with or without a contract."""
    field = Field("id", "number", whole=whole)
    schema = Schema("m", Label("y", "binary"), ("0", "1"), columns=(Field("x", "number"),), keys=(field,))
    kind = "INT64" if value < 2**63 else "UINT64"
    request = checked(schema, [Tensor("id", [rows], kind, [value] * (rows - 1) + [None] if rows > 1 else [value])])
    assert np.ma.asarray(request.columns["id"]).tolist()[0] == value
    assert rows > FEW or arrays(schema, request)["id"].tolist() == [value]
    for exact in (replace(field, whole=True), replace(field, datatype="INT64")):
        with pytest.raises(RequestError, match="`id` in row 0"):
            checked(replace(schema, keys=(exact,)), [Tensor("id", [1], "FP64", [2.0**60])])


@given(
    st.sampled_from([np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64]),
    st.integers(-(2**9), 2**9) | st.integers(-(2**65), 2**65) | st.floats(-300, 300) | st.sampled_from([30.0, 30.5]),
    st.sampled_from([[], [None], [1], [1] * FEW]),
    st.booleans(),
)
def test_a_whole_tensor_takes_what_its_datatype_holds_and_nothing_else(
    kind: type[np.integer[Any]], value: float, before: list[int | None], as_key: bool
) -> None:
    """JSON can write any number under any datatype; whole doubles, as clients of one kind of number send, are whole."""
    number, limits = Field("x", "number"), np.iinfo(kind)
    beside = Field("y", "number")
    schema = Schema("m", Label("z", "binary"), ("0", "1"), columns=(beside if as_key else number,),
                    keys=(number,) if as_key else ())  # fmt: skip
    values = [*before, value]
    sent = [Tensor("x", [len(values)], limits.dtype.name.upper(), values)]
    if int(limits.min) <= value <= int(limits.max) and value == int(value):
        assert np.ma.asarray(checked(schema, sent).columns["x"]).tolist()[-1] == (value if as_key else float(value))
        return
    with pytest.raises(RequestError, match=f"`x` in row {len(before)} is") as caught:
        checked(schema, sent)
    assert f"{limits.dtype.name.upper()} holds whole numbers from {limits.min} to {limits.max}" in caught.value.why


@pytest.mark.parametrize("rows", [1, FEW + 1])
def test_doubles_for_a_key_of_whole_numbers_are_those_numbers(rows: int) -> None:
    """Up to 2**53 they are exact; a number with a fraction is one that no row has, and no other."""
    key = Field("id", "number", datatype="UINT64")
    schema = Schema("m", Label("y", "binary"), ("0", "1"), columns=(Field("x", "number"),), keys=(key,))
    for sent, taken in ((3.0, 3), (2.0**53, 2**53), (2.5, 2.5), (float("nan"), None)):
        ids = checked(schema, [Tensor("id", [rows], "FP64", [sent] * rows)]).columns["id"]
        assert np.ma.asarray(ids).tolist()[0] == taken
        assert type(np.ma.asarray(ids).tolist()[0]) is type(taken)


def _through(guard: Guard, scope: MutableMapping[str, Any], chunks: list[bytes]) -> tuple[int, bytes]:
    """Return status and body of what a guarded app answers to a request that comes in chunks."""
    sent: list[MutableMapping[str, Any]] = []
    waiting = [
        {"type": "http.request", "body": chunk, "more_body": number < len(chunks) - 1}
        for number, chunk in enumerate(chunks)
    ]

    async def receive() -> MutableMapping[str, Any]:
        return waiting.pop(0)

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    asyncio.run(guard({"type": "http", "path": "/v2/models/m/infer", **scope}, receive, send))
    return sent[0]["status"], sent[1]["body"]


async def _echo(scope: Any, receive: Any, send: Any) -> None:
    message = await receive()
    kind = dict(scope["headers"]).get(b"content-type", b"")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": kind + b" " + message["body"]})


@pytest.mark.parametrize(
    ("headers", "chunks", "status"),
    [
        ({"content-length": "4"}, [b"body"], 200),
        ({"content-length": "101"}, [b""], 413),
        ({"content-length": "many"}, [b""], 413),
        ({"content-length": "4", "content-encoding": "gzip"}, [b"body"], 415),
        ({"content-length": "4", "content-encoding": "identity"}, [b"body"], 200),
        ({"transfer-encoding": "chunked"}, [b"bo", b"dy"], 200),
        ({"transfer-encoding": "chunked"}, [b"x" * 60, b"x" * 60, b"never read"], 413),
    ],
)
def test_the_guard_limits_bodies(headers: dict[str, str], chunks: list[bytes], status: int) -> None:
    """By what is announced, and by what really comes; JSON needs no header to be JSON."""
    scope = {"headers": [(name.encode(), value.encode()) for name, value in headers.items()]}
    code, body = _through(Guard(_echo, Room(100), "key"), scope, chunks)
    assert code == status
    assert body == b"application/json body" if status == 200 else "error" in json.loads(body)


def test_the_guard_keeps_the_repository_shut() -> None:
    """Only the key opens it, and an empty one opens nothing."""
    scope = {"path": "/v2/repository/models/m/unload", "headers": [(b"content-length", b"4")]}
    right = {**scope, "headers": [*scope["headers"], (b"authorization", b"Bearer key")]}
    empty = {**scope, "headers": [*scope["headers"], (b"authorization", b"Bearer ")]}
    assert _through(Guard(_echo, Room(100), "key"), scope, [b"body"])[0] == 403
    assert _through(Guard(_echo, Room(100), "other"), right, [b"body"])[0] == 403
    assert _through(Guard(_echo, Room(100), ""), empty, [b"body"])[0] == 403
    assert _through(Guard(_echo, Room(100), "key"), right, [b"body"])[0] == 200


@pytest.mark.parametrize(
    ("scope", "status"),
    [
        ({"path": "/v2/models/m/infer_stream"}, 404),
        ({"path": "/v2/models/m/docs"}, 404),
        ({"path": "/v2/models/other/infer"}, 404),
        ({"path": "/v2/models/m/versions/7/infer"}, 404),
        ({"path": "/v2/models/m/versions/1/ready"}, 200),
        ({"path": "/v2"}, 200),
        ({"method": "BREW"}, 405),
        ({"headers": [(b"x", b"y")] * 101}, 431),
        ({"headers": [(b"content-encoding", b"gzip"), (b"content-encoding", b"identity")]}, 415),
        ({"headers": [(b"content-length", "²".encode())]}, 413),
    ],
)
def test_the_guard_looks_at_the_head(scope: dict[str, Any], status: int) -> None:
    """Paths, methods, names and headers, before anything counts or reads them."""
    guard = Guard(
        _echo, Room(100), "key", lambda model, version: Limits() if model == "m" and version in (None, "1") else None
    )
    assert _through(guard, {"headers": [], **scope}, [b""])[0] == status


def test_the_guard_waits_for_a_body_so_long_and_has_so_much_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that does not end is 408; large ones beyond the room are 429, and small ones are answered meanwhile."""
    monkeypatch.setattr("leverframe.serving.arriving.BODY_SECONDS", 0.2)
    guard, sent = Guard(_echo, Room(100_000, at_once=1), "key"), []

    async def ask(size: int, ends: bool) -> int:
        first = [{"type": "http.request", "body": b"x" * size, "more_body": not ends}]

        async def receive() -> MutableMapping[str, Any]:
            return first.pop() if first else await asyncio.sleep(60, {})

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        own = len(sent)
        await guard({"type": "http", "path": "/v2", "headers": []}, receive, send)
        return int(sent[own]["status"])

    async def go() -> None:
        slow = asyncio.create_task(ask(80_000, ends=False))
        await asyncio.sleep(0.05)
        assert await ask(80_000, ends=True) == 429
        assert await ask(1_000, ends=True) == 200
        await slow
        assert sent[-2]["status"] == 408
        assert await ask(80_000, ends=True) == 200  # there is room again

    asyncio.run(go())


def _closed(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for file in sorted(folder.glob("dt=*/*.jsonl")) for line in file.read_text().splitlines()]


def test_the_log_closes_files_by_size_and_loses_nothing(tmp_path: Path) -> None:
    """Only whole files lose their ending; together they hold every record, in order."""
    log = InferenceLog(LogSettings(str(tmp_path), megabytes=0.001))
    for number in range(200):
        log.put({"id": number, "text": "x" * 20})
    log.close()
    assert [record["id"] for record in _closed(tmp_path)] == list(range(200))
    assert len(list(tmp_path.glob("dt=*/*.jsonl"))) > 3
    assert list(tmp_path.glob("dt=*/*.part")) == []


def test_the_log_closes_files_by_age(tmp_path: Path) -> None:
    """A file that nobody adds to is closed when its time is up."""
    log = InferenceLog(LogSettings(str(tmp_path), seconds=0.1))
    log.put({"id": 1})
    until = time.monotonic() + 10
    while not _closed(tmp_path) and time.monotonic() < until:
        log.put({"id": 2})
        time.sleep(0.1)
    assert _closed(tmp_path)
    log.close()


def test_a_full_queue_drops_and_counts(tmp_path: Path) -> None:
    """A request never waits for the disk: what has no room is counted, and the rest is written."""
    dropped: list[int] = []
    log = InferenceLog(LogSettings(str(tmp_path), queue=5), lambda: dropped.append(1))
    for number in range(5000):
        log.put({"id": number})
    log.close()
    assert dropped
    assert len(dropped) + len(_closed(tmp_path)) == 5000


def test_a_flood_of_refused_requests_is_a_few_lines(tmp_path: Path) -> None:
    """They are counted a release and outcome, with the time of the first, and the sum is exact."""
    log = InferenceLog(LogSettings(str(tmp_path)))
    at = datetime(2026, 1, 31, 12, tzinfo=UTC)
    refused, failed = (Outcome("shop", "3", "b" * 64, outcome) for outcome in ("refused", "failed"))

    def flood() -> None:
        for _ in range(5000):
            log.count(refused, at)

    threads = [threading.Thread(target=flood) for _ in range(4)]
    for thread in threads:
        thread.start()
    log.put({"id": 1})
    log.count(failed, at)
    for thread in threads:
        thread.join()
    log.close()
    lines = _closed(tmp_path)
    counts = [record for record in lines if "outcome" in record]
    assert len(counts) < 50
    assert sum(record["count"] for record in counts if record["outcome"] == "refused") == 20_000
    assert [record["count"] for record in counts if record["outcome"] == "failed"] == [1]
    assert {record["at"] for record in counts} == {"2026-01-31T12:00:00+00:00"}
    assert [record["id"] for record in lines if "id" in record] == [1]


def test_a_number_that_is_none_is_null_in_the_log(tmp_path: Path) -> None:
    """NaN and infinite values, also of predictions for several classes: other readers take no such words."""
    log = InferenceLog(LogSettings(str(tmp_path)))
    record = {
        "a": np.array([1.0, np.nan, np.inf]), "b": np.array([[0.5, np.nan]]), "c": np.array(["x", None], object),
        "d": np.ma.masked_array([1, 2], mask=[True, False]), "e": np.arange(6.0)[::2],
    }  # fmt: skip
    plain = {"a": [1.0, None, None], "b": [[0.5, None]], "c": ["x", None], "d": [None, 2], "e": [0.0, 2.0, 4.0]}
    log.put(record)
    log.put({**record, "f": [2**70]})  # beyond what the quick writer knows
    log.put({**record, "f": ["\ud800"]})
    log.close()
    assert _closed(tmp_path) == [plain, {**plain, "f": [2**70]}, {**plain, "f": ["\ud800"]}]


def test_a_share_is_chosen_by_the_request(tmp_path: Path) -> None:
    """About so many are logged, and a retry is decided like the first try."""
    log = InferenceLog(LogSettings(str(tmp_path), share=0.3))
    chosen = [log.wants(f"request {number}") for number in range(2000)]
    assert 0.25 < sum(chosen) / 2000 < 0.35
    assert chosen == [log.wants(f"request {number}") for number in range(2000)]
    log.close()


def test_what_a_killed_server_left_is_closed(tmp_path: Path) -> None:
    """A line that was cut short goes, whole ones stay; the file of a process that lives is let alone."""
    folder = tmp_path / "dt=2026-01-01"
    folder.mkdir()
    (folder / "120000-999999999-0001.jsonl.part").write_bytes(b'{"id": 1}\n{"id": 2}\n{"id"')
    with (folder / "120000-1-0001.jsonl.part").open("wb") as living:
        living.write(b'{"id": 3}\n')
        fcntl.flock(living, fcntl.LOCK_EX)
        close_leftovers(tmp_path)
    assert [record["id"] for record in _closed(tmp_path)] == [1, 2]
    assert len(list(folder.glob("*.part"))) == 1


def test_a_person_gets_a_line_to_paste() -> None:
    """The example is a golden row by keys, quoted for a shell."""
    golden = [{"form": "columns", "inputs": {}}, {"form": "keys", "inputs": {"customer": "c'1", "as_of": "now"}}]
    body = example(SCHEMA, golden)
    assert body == request(SCHEMA, [{"customer": "c'1", "as_of": "now"}])
    words = shlex.split(curl("http://127.0.0.1:1", "shop", body))
    assert json.loads(words[-1]) == body
    served = Served(Running(1, 2, "127.0.0.1", 80, 81, 82), {"shop": [1, 3]}, "here", body)
    assert served.lines()[0] == "serving shop  release 3"
    assert served.to_json()["url"] == "http://127.0.0.1:80"
    assert not any("note" in line for line in served.lines())
    other = replace(served, note=other_wanted("a b", deployed=False)).lines()[1]
    assert "`leverframe serve --stop --name 'a b'`, then `leverframe serve --name 'a b'`" in other
    assert "`leverframe deploy --environment local`" in other_wanted("local", deployed=True)
    assert example(SCHEMA, golden[:1]) is None
