"""The snapshot file: it finds what a dict finds, for any keys, and refuses every damaged byte."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leverframe.adapters.snapshot_file import SnapshotFile, write
from leverframe.documents import parsed, plain
from leverframe.domain.features.snapshot import keys as key_module
from leverframe.domain.features.snapshot.arrange import arranged
from leverframe.domain.features.snapshot.packed import Form, packed, unpacked
from leverframe.domain.features.snapshot.store import Matches, SnapshotInfo, Table
from leverframe.errors import SnapshotError
from tests.profiles import examples

ABOUT = SnapshotInfo("a" * 64, 1_700_000_000_000_000, {"b": 1, "a": [True, None]})
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "int": st.integers(-(2**63), 2**63 - 1) | st.integers(0, 3),
    "text": st.text(max_size=4) | st.sampled_from("abc"),
    "bool": st.booleans(),
}


@st.composite
def keyed(draw: st.DrawFn) -> tuple[list[str], list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Return kinds of key columns, the keys of rows, and keys to ask for, nulls among both."""
    kinds = draw(st.lists(st.sampled_from(sorted(VALUES)), max_size=3))
    key = st.tuples(*[st.none() | VALUES[kind] for kind in kinds])
    rows = draw(st.lists(key, max_size=20))
    asked = draw(st.lists(st.sampled_from(rows) | key if rows else key, max_size=8)) if kinds else [()]
    return kinds, rows, asked


def table(kinds: list[str], rows: list[tuple[Any, ...]]) -> Table:
    """Return a table of these keys with the number of each row, twice, and a text."""
    count = len(rows)
    keys: dict[str, Any] = {}
    for place, kind in enumerate(kinds):
        values = [row[place] for row in rows]
        if kind == "int":
            mask = [value is None for value in values]
            keys[f"k{place}"] = np.ma.MaskedArray(np.array([value or 0 for value in values], np.int64), mask=mask)
        else:
            keys[f"k{place}"] = np.array([*values, None], object)[:-1]
            if kind == "bool" and all(value is None for value in values):
                keys[f"k{place}"] = np.zeros(count, bool) if not count else np.ma.masked_all(count, bool)
    number = np.arange(count)
    text = np.array([None if index % 3 == 2 else f"t{index % 5}" for index in range(count)], object)
    return Table("t", keys, {"n": number, "f": number.astype(np.float32), "w": text})


def through_file(one: Table, asked: list[list[Any]]) -> Matches:
    """Return what a file of the table answers."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "s", ABOUT, [one])
        return SnapshotFile(Path(folder) / "s").find("t", asked)


def through_values(one: Table, asked: list[list[Any]]) -> Matches:
    """Return what packed values of the table answer."""
    ready = arranged(one)
    form = parsed(Form, json.dumps(plain(Form.of(ready))))
    values = {key: packed(form, ready.rows, start, stop) for key, start, stop in ready.index.entries()}
    kinds = ready.keys
    names = key_module.canonical(tuple(kinds), tuple(kinds.values()), asked) if kinds else [b""]
    return unpacked(form, [None if key is None else values.get(key) for key in names])


@pytest.mark.parametrize("through", [through_file, through_values])
@given(case=keyed())
@settings(max_examples=examples(1.5))
def test_it_finds_what_a_dict_finds(through: Any, case: Any) -> None:
    """The rows of each asked key, in their order; nothing for unknown keys and nulls."""
    kinds, rows, asked = case
    expected: dict[tuple[Any, ...], list[int]] = {}
    for number, row in enumerate(rows):
        expected.setdefault(row, []).append(number)
    lookup = through(table(kinds, rows), [[key[place] for key in asked] for place in range(len(kinds))])
    numbers, texts = lookup.column("n"), lookup.column("w")
    for key, start, stop in zip(asked, lookup.start, lookup.stop, strict=True):
        wanted = [] if None in key else expected.get(key, [])
        assert numbers[start:stop].tolist() == wanted
        assert texts[start:stop].tolist() == [None if index % 3 == 2 else f"t{index % 5}" for index in wanted]
    if all(len(indices) == 1 for indices in expected.values()) and lookup.take(["n"]):
        one = [None if None in key else expected.get(key, [None])[0] for key in asked]
        assert lookup.take(["n"])["n"].tolist() == one
        assert [None if np.isnan(value) else value for value in lookup.matrix(["f"])[:, 0]] == one


def test_colliding_hashes_cost_time_and_no_wrong_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all keys share a few hashes the bytes still tell them apart."""
    real = key_module.hashed
    for module in (
        "leverframe.domain.features.snapshot.keys.hashed",
        "leverframe.domain.features.snapshot.arrange.hashed",
    ):
        monkeypatch.setattr(module, lambda keys: real(keys) % np.uint64(3))
    words = [f"w{number}" for number in range(50)]
    lookup = through_file(Table("t", {"k": np.array(words)}, {"n": np.arange(50)}), [[*words, "other"]])
    assert lookup.take()["n"].tolist() == [*range(50), None]


@pytest.mark.parametrize("through", [through_file, through_values])
def test_every_type_comes_back(through: Any) -> None:
    """Values, nulls, NaN, infinities, empty and odd texts; int and bool masked, floats NaN, texts None."""
    columns: dict[str, Any] = {
        "f4": np.array([1.5, np.nan, -np.inf], np.float32),
        "f8": np.ma.array([1.5, 2.5, 3.5], mask=[False, True, False]),
        "i4": np.array([-(2**31), 0, 2**31 - 1], np.int32),
        "i8": np.ma.array([-(2**63), 0, 2**63 - 1], mask=[False, True, False]),
        "b": np.ma.array([True, False, True], mask=[False, False, True]),
        "s": np.array(["", None, "é\ud800"], object),
        "u": np.array(["x", "y", "x"]),
    }
    lookup = through(Table("t", {"k": np.array([3, 1, 2])}, columns), [np.array([3, 1, 2, 9])])
    taken = lookup.take()
    assert [taken[name].dtype.name for name in ("f4", "f8", "i4", "i8", "b")] == [
        *("float32", "float64", "int32", "int64", "bool")
    ]
    assert taken["f4"].tolist()[::2] == [1.5, -np.inf]
    assert np.isnan(taken["f4"][[1, 3]]).all()
    assert np.isnan(taken["f8"][[1, 3]]).all()
    assert taken["i4"].tolist() == [-(2**31), 0, 2**31 - 1, None]
    assert taken["i8"].tolist() == [-(2**63), None, 2**63 - 1, None]
    assert taken["b"].tolist() == [True, False, None, None]
    assert taken["s"].tolist() == ["", None, "é\ud800", None]
    assert taken["u"].tolist() == ["x", "y", "x", None]
    assert lookup.matrix(["i4", "b"]).dtype == np.float64
    assert lookup.columns == tuple(columns)


def small(path: Path) -> bytes:
    """Write a small snapshot and return its bytes."""
    keys = {"k": np.array(["x", "y", "x"], object), "g": np.array([1, 2, 1])}
    write(path, ABOUT, [Table("t", keys, {"n": np.arange(3)}), Table("one", {}, {"a": np.arange(2.0)})])
    return path.read_bytes()


def test_same_tables_same_bytes_and_what_it_is_of(tmp_path: Path) -> None:
    """Two writings are equal; what was said of the snapshot comes back."""
    assert small(tmp_path / "a") == small(tmp_path / "b")
    store = SnapshotFile(tmp_path / "a", spec=ABOUT.spec)
    assert store.about() == ABOUT
    lookup = store.find("one", [])
    assert lookup.column("a")[lookup.start[0] : lookup.stop[0]].tolist() == [0.0, 1.0]
    assert not lookup.column("a").flags.writeable
    store.close()


def test_every_cut_and_flipped_byte_is_refused(tmp_path: Path) -> None:
    """Whatever is missing or changed, the file is not opened."""
    path = tmp_path / "s"
    data = small(path)
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(SnapshotError, match="cannot be used"):
            SnapshotFile(path)
    for place in range(len(data)):
        path.write_bytes(data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :])
        with pytest.raises(SnapshotError, match="cannot be used"):
            SnapshotFile(path)


def test_what_cannot_be_opened_says_why(tmp_path: Path) -> None:
    """Missing, of another format, of another spec: one error each."""
    path = tmp_path / "s"
    data = small(path)
    for spec, content, why in (
        (None, None, "no such file"),
        (None, data[:8] + b"\x09" + data[9:], "format 9"),
        (None, b"hello", "cut short or no snapshot"),
        (None, data[:-1], "bytes instead of"),
        (None, data[:-1] + b"\1", "SHA-256"),
        ("b" * 64, data, "spec aaaaaaaaaaaaaaaa"),
    ):
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(SnapshotError) as caught:
            SnapshotFile(path, spec=spec)
        assert why in caught.value.why


@pytest.mark.parametrize(
    ("keys", "columns", "why"),
    [
        ({"k": np.arange(2)}, {"a": np.arange(3)}, "differ in length"),
        ({"k": np.array([1.5], "complex128")}, {}, "key `k` is of type complex128"),
        ({"k": np.array([1, "a"], object)}, {}, "mixes"),
        ({}, {"a": np.array([1, 2], object)}, "which is no text"),
        ({}, {"a": np.array(["2020-01-01"], "datetime64[us]")}, "datetime64"),
    ],
)
def test_what_cannot_be_stored_says_why(keys: Any, columns: Any, why: str) -> None:
    """The table and column are named."""
    with pytest.raises(SnapshotError) as caught:
        arranged(Table("t", keys, columns))
    assert why in caught.value.why
    assert "`t`" in caught.value.what


def test_wrong_questions_say_why(tmp_path: Path) -> None:
    """Unknown table and column, wrong number and type of keys, one value of a key with several rows."""
    small(tmp_path / "s")
    store = SnapshotFile(tmp_path / "s")
    for ask, words in (
        (lambda: store.find("tt", []), "did you mean `t`?"),
        (lambda: store.find("t", [["x"], [1]]).column("m"), "known names: `n`"),
        (lambda: store.find("t", [["x"]]), "in that order"),
        (lambda: store.find("t", [["x"], [1, 2]]), "in that order"),
        (lambda: store.find("t", [["x"], ["1"]]), "convert the value"),
        (lambda: store.find("t", [["x"], [1]]).take(), "among the rows of a key"),
    ):
        with pytest.raises(SnapshotError) as caught:
            ask()
        assert words in caught.value.next, caught.value.next


@pytest.mark.parametrize(
    ("keys", "asked", "rows"),
    [
        ([2**64 - 1, 2**63, 5], [2**63, 2**64 - 1, 5, 2**63 - 1, 2.5, None], [1, 0, 2, None, None, None]),
        ([2**53, 2**53 + 1, -5], [2**53 + 1, 2**53, -5.0, 0.5], [1, 0, 2, None]),
        ([0.5, 2.0, -0.0], [2, 0.5, 0.0, float(2**53), None], [1, 0, 2, None, None]),
        ([None, None, None], [1, "a", None], [None, None, None]),
    ],
)
@pytest.mark.parametrize("through", [through_file, through_values])
def test_numbers_find_their_own_key(through: Any, keys: Any, asked: Any, rows: Any) -> None:
    """Whole numbers of any size, doubles, and a column without a key; neighbours above 2**53 are not equal."""
    column = np.array(keys, object) if None in keys or isinstance(keys[0], int) else np.array(keys)
    table = Table("t", {"k": column}, {"n": np.arange(3)})
    assert through(table, [asked]).take(["n"])["n"].tolist() == rows
