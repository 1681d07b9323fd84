"""What the data diff says of partitions and columns that come, go, or have another name or type."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import polars as pl
import pytest

from leverframe.domain.data.sketch import VERSION
from leverframe.domain.review.diff.comparison import compared
from leverframe.domain.review.diff.diff_markdown import render
from leverframe.domain.review.diff.diff_result import Change, Diff
from leverframe.domain.review.diff.revision import Revision, read
from tests.unit.test_diff import files, kept, sales, two


def change_of(diff: Diff, words: str) -> Change:
    """Return the only change that is told in these words."""
    (match,) = [change for change in diff.changes if words in change.what]
    return match


def months(*names: str, **frames: pl.DataFrame) -> dict[str, dict[str, pl.DataFrame]]:
    """Return the tables of some months: the same in each, or those given."""
    return {name: frames or {"sales": sales(), "features": sales()} for name in names}


def test_a_month_that_vanishes_is_breaking_and_its_rows_are_removed_ones() -> None:
    """Of tables and of features; a new one is additive, and its rows are added ones."""
    full, less = (read(*side) for side in (
        ("base", files(months("2024-01", "2024-02", "2024-03"))), ("head", files(months("2024-01", "2024-03")))
    ))  # fmt: skip
    lost, got = compared(full, less), compared(less, full)
    for diff, breaking, number in ((lost, True, "removed"), (got, False, "added")):
        assert [(change.where, change.what, change.breaking) for change in diff.changes] == [
            (table, f"partition `2024-02` {number}, with 200 rows", breaking) for table in ("sales", "features")
        ]
        for table in diff.tables:
            counts = {name: getattr(table.rows, name) for name in ("added", "removed", "changed")}
            assert {name for name, count in counts.items() if count} == {number, *counts}
            assert {name: count.value for name, count in counts.items()} == {
                "added": 0, "removed": 0, "changed": 0, number: 200,
            }  # fmt: skip
            assert list(table.partitions) == ["2024-02"]
    assert (lost.tables[0].rows.before, lost.tables[0].rows.after) == (600, 400)
    assert "| `sales` | 600 → 400 | 0 | 200 | 0 | 2024-02 gone |" in render(lost)
    whole = compared(full, read("head", files(months("2024-01", "2024-02", "2024-03", features=sales()))))
    assert change_of(whole, "the table is gone").what == "the table is gone, with 600 rows"


def test_partitions_of_another_period_lose_no_row() -> None:
    """Two months become a quarter with as many rows: told, not refused; with fewer rows some are lost."""
    base = read("base", files(months("2024-01", "2024-02", sales=sales())))
    same = compared(base, read("head", files(months("2024-Q1", sales=sales(400)))))
    assert same.breaking == ()
    assert change_of(same, "became").what == (
        "partitions `2024-01`, `2024-02` became partition `2024-Q1`, with 400 rows before and after"
    )
    assert same.tables[0].rows.removed is None
    fewer = compared(base, read("head", files(months("2024-Q1", sales=sales(399)))))
    assert [change.what for change in fewer.breaking] == ["partitions `2024-01`, `2024-02` removed, with 400 rows"]


@pytest.mark.parametrize(
    ("change", "changes", "notes"),
    [
        (lambda frame: frame.rename({"amount": "sum"}), ["column `amount` renamed to `sum`, in 20,000 rows"],
         "has other columns"),
        (lambda frame: frame.rename({"amount": "sum", "shop": "store"}),
         ["column `shop` renamed to `store`, in 20,000 rows", "column `amount` renamed to `sum`, in 20,000 rows"],
         "has other columns"),
        (lambda frame: frame.with_columns(pl.col("amount").cast(pl.Int64)),
         ["column `amount` changed its type from `DOUBLE` to `BIGINT`, in 20,000 rows"], "has other columns"),
        (lambda frame: frame.rename({"amount": "sum"}).with_columns(pl.col("sum") + 1),
         ["column `amount` removed, it was `DOUBLE`, in 20,000 rows", "column `sum` added as `DOUBLE`, in 20,000 rows"],
         "has other columns"),
        (lambda frame: frame.rename({"amount": "one"}).with_columns(two=pl.col("one")),
         ["column `amount` removed, it was `DOUBLE`, in 20,000 rows", "column `one` added as `DOUBLE`, in 20,000 rows",
          "column `two` added as `DOUBLE`, in 20,000 rows"], "has other columns"),
    ],
)  # fmt: skip
def test_a_column_of_another_name_or_type_concerns_all_rows_and_no_interval_is_made_up(
    change: Callable[[pl.DataFrame], pl.DataFrame], changes: list[str], notes: str
) -> None:
    """Every row is another one, so the change names the rows; that no key came or went is known to the row."""
    diff = compared(*two(sales(20_000), change(sales(20_000))))
    assert [difference.what for difference in diff.changes] == changes
    (table,) = diff.tables
    assert table.rows.changed is None
    assert [count and (count.value, count.exact) for count in (table.rows.added, table.rows.removed)] == [(0, True)] * 2
    assert any(notes in note for note in diff.notes)
    assert "about" not in render(diff)


@pytest.mark.parametrize("key", [("id",), ()])
def test_rows_of_another_key_are_not_counted(key: tuple[str, ...]) -> None:
    """Neither where the key's type changed, nor where the whole row is the key and has other columns."""
    base, head = sales(3000), sales(3000).with_columns(pl.col("id").cast(pl.Float64))
    pair = []
    for frame in (base, head):
        profile, sketch = kept(frame, key)
        pair.append(
            Revision("x", {"2024-01": {"sales": profile}}, {"2024-01": {"sales": sketch}}),
        )
    diff = compared(*pair)
    (table,) = diff.tables
    assert (table.rows.added, table.rows.removed, table.rows.changed) == (None, None, None)
    assert "the key of `sales` is another one, so its rows are not compared by key" in diff.notes


def test_columns_without_a_value_are_not_called_renamed() -> None:
    """Two empty columns are alike and need not be the same."""
    empty = pl.lit(None, pl.Float64)
    diff = compared(*two(sales().with_columns(a=empty), sales().with_columns(b=empty)))
    assert [change.what.split(",")[0] for change in diff.changes] == [
        "column `a` removed",
        "column `b` added as `DOUBLE`",
    ]


def test_a_rename_must_hold_in_every_partition() -> None:
    """A column that is another one in a single month was not renamed; what concerns one month names it."""
    base = files(months("2024-01", "2024-02", sales=sales()))
    after = sales().rename({"amount": "sum"})
    other = {"2024-01": {"sales": after}, "2024-02": {"sales": after.with_columns(pl.col("sum") * 2)}}
    diff = compared(read("base", base), read("head", files(other)))
    assert [difference.what.partition(" it was")[0] for difference in diff.breaking] == ["column `amount` removed,"]
    once = {"2024-01": {"sales": sales()}, "2024-02": {"sales": sales().drop("shop")}}
    (change,) = compared(read("base", base), read("head", files(once))).breaking
    assert change.what == "column `shop` removed, it was `VARCHAR`, in 200 rows of partition `2024-02`"


def test_a_sketch_of_another_version_is_no_damage() -> None:
    """The rows are not compared, and the page says why; all else is."""
    base, head = files({"2024-01": {"sales": sales()}}), files({"2024-01": {"sales": sales(190)}})
    path = "reports/sketches/2024-01.json"
    old = json.loads(base[path])
    del old["tables"]["sales"]["version"], old["tables"]["sales"]["keys"]
    diff = compared(read("base", base | {path: json.dumps(old).encode()}), read("head", head))
    (table,) = diff.tables
    assert (table.rows.before, table.rows.after, table.rows.removed) == (200, 190, None)
    note = "base has a sketch by another version of Leverframe of `sales`, so its rows are not compared by key"
    assert note in diff.notes
    assert table.columns
    same = compared(read("base", base | {path: json.dumps(old).encode()}), read("head", base))
    assert same.tables == ()


def test_another_form_of_sketches_is_another_version() -> None:
    """Two revisions are compared only where both sketches were written alike: who changes the form raises `VERSION`."""
    sketch = {name: value for name, value in kept(sales(40))[1].items() if name != "columns"}
    digest = hashlib.md5(json.dumps(sketch, sort_keys=True).encode(), usedforsecurity=False).hexdigest()
    assert (VERSION, digest) == (3, "66d439fab82ce72968cfebe0bcf596af")
