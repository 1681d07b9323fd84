"""The data diff: rows by key, distributions, contracts and definitions, from what git keeps alone."""

from __future__ import annotations

import functools
import io
import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leverframe.adapters.duckdb.sketch import DuckDBSketcher
from leverframe.adapters.duckdb.statistics import DuckDBStatistician
from leverframe.domain.data.profile import table_profile
from leverframe.domain.data.sketch import Distribution, Grid, Sketch, grid, summed
from leverframe.domain.data.statistics import Survey
from leverframe.domain.review.diff.column_diff import psi
from leverframe.domain.review.diff.comparison import compared
from leverframe.domain.review.diff.contract_diff import contract_changes
from leverframe.domain.review.diff.diff_markdown import LIMIT, render
from leverframe.domain.review.diff.diff_result import Change
from leverframe.domain.review.diff.revision import Revision, read
from leverframe.domain.review.diff.row_diff import rows_diff
from leverframe.errors import RepositoryError
from tests.github_page import live
from tests.profiles import examples

GOLDEN = Path(__file__).parents[1] / "golden" / "diff"
slow = settings(max_examples=examples(0.4), suppress_health_check=list(HealthCheck))
STAR = """\
entities: {sale: [id], shop: [shop]}
spine: {table: sales, key: sale, columns: [amount]}
facts: {paid: {table: sales, known_at: paid_at, max_lag: 7d, reveals: [late]}}
measures: {shop: {fact: paid, key: shop, of: {late: [mean]}, windows: [3d, 14d]}}
labels: {overdue: {fact: paid, column: late, kind: binary, at_least: 1}}
"""
PARAMS = 'data: {case: case, first: "2024-01", last: "2024-02"}\nfeatures: {label: overdue, select: ["*"]}\n'
CHECKS = [
    {"check": "type(Int64)", "column": "id", "severity": "error"},
    {"check": "not_null", "column": "id", "severity": "error"},
    {"check": "in_range(0, 100)", "column": "amount", "severity": "error"},
    {"check": "isin(('A', 'B'))", "column": "shop", "severity": "error"},
    {"check": "volume(z <= 8)", "column": "event_time", "severity": "warn"},
    {"check": "unique_key", "column": "id", "severity": "error"},
]


def sales(rows: int = 200) -> pl.DataFrame:
    """Return a table of sales."""
    numbers = np.arange(rows)
    return pl.DataFrame(
        {
            "id": numbers,
            "shop": [["A", "B", None][n % 3] for n in range(rows)],
            "amount": (numbers * 37 % 100).astype(float),
            "paid": numbers % 2 == 0,
        },
        schema_overrides={"shop": pl.String},
    )


def kept(frame: pl.DataFrame, key: Sequence[str] = ("id",)) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the profile and the sketch of a table, made by the real engine."""
    frame.write_parquet(stored := io.BytesIO())
    return deepcopy(_measured(stored.getvalue(), tuple(key)))


@functools.cache  # most tests compare with the same table
def _measured(stored: bytes, key: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "table.parquet")
        path.write_bytes(stored)
        statistics = DuckDBStatistician().measure(Survey("sales", "2024-01", path, "UTC"))
        return table_profile(statistics), summed(DuckDBSketcher(), path, key, statistics.current.columns)


def files(tables: Mapping[str, Mapping[str, pl.DataFrame]], **changed: str | None) -> dict[str, bytes]:
    """Return the files of a revision: frames by month and table, contract, definition and settings."""
    texts: dict[str, Any] = {"params.yaml": PARAMS, "case/star.yaml": STAR}
    for month, frames in tables.items():
        both = {table: kept(frame) for table, frame in frames.items()}
        raw = {table: pair for table, pair in both.items() if table != "features"}
        made = {table: pair for table, pair in both.items() if table == "features"}
        for folder, pairs in (("", raw), ("features", made)):
            if pairs:
                profiles = f"reports/{folder or 'profiles'}/{month}.json"
                sketches = "/".join(filter(None, ("reports/sketches", folder, f"{month}.json")))
                texts[profiles] = json.dumps({"tables": {table: pair[0] for table, pair in pairs.items()}})
                texts[sketches] = json.dumps({"tables": {table: pair[1] for table, pair in pairs.items()}})
        texts[f"reports/contracts/{month}.json"] = json.dumps({"tables": {t: {"checks": CHECKS} for t in raw}})
    return {path: text.encode() for path, text in (texts | changed).items() if text is not None}


def two(base: pl.DataFrame, head: pl.DataFrame) -> tuple[Revision, Revision]:
    """Return two revisions that differ in one month of one table."""
    return read("base", files({"2024-01": {"sales": base}})), read("head", files({"2024-01": {"sales": head}}))


@slow
@given(
    rows=st.sampled_from([0, 1, 7, 9, 17, 200, 3000]),
    removed=st.integers(0, 12),
    changed=st.integers(0, 12),
    added=st.integers(0, 12),
    seed=st.integers(0, 2**30),
)
def test_few_differences_are_counted_to_the_row(rows: int, removed: int, changed: int, added: int, seed: int) -> None:
    """Whatever the sizes of the two tables, and with no row in one of them."""
    order = np.random.default_rng(seed).permutation(rows)
    removed, changed = min(removed, rows), min(changed, max(rows - removed, 0))
    gone, other = set(order[:removed].tolist()), set(order[removed : removed + changed].tolist())
    base = sales(rows)
    head = base.filter(~pl.col("id").is_in(list(gone))).with_columns(
        amount=pl.when(pl.col("id").is_in(list(other))).then(-1.0).otherwise(pl.col("amount"))
    )
    new = sales(rows + added).slice(rows)
    diff = rows_diff(*(Sketch.from_json(kept(frame)[1]) for frame in (base, pl.concat([head, new]))))
    assert (diff.before, diff.after) == (rows, rows - removed + added)
    counts = (diff.removed, diff.changed, diff.added)
    assert [count and (count.value, count.exact) for count in counts] == [
        (number, True) for number in (removed, changed, added)
    ]


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 1.0])
def test_many_differences_are_estimated_within_their_bounds(share: float) -> None:
    """Of 20,000 rows a share is changed: the bounds hold the truth, and are no wider than they must be."""
    rows = 20_000
    base = sales(rows)
    head = base.with_columns(amount=pl.when(pl.col("id") < rows * share).then(-1.0).otherwise(pl.col("amount")))
    diff = rows_diff(*(Sketch.from_json(kept(frame)[1]) for frame in (base, head)))
    assert diff.changed is not None
    assert not diff.changed.exact
    assert diff.changed.low <= rows * share <= diff.changed.high
    assert abs(diff.changed.value - rows * share) <= 0.6 * rows * share
    assert (diff.added and diff.added.value, diff.removed and diff.removed.value) == (0, 0)


def test_the_order_of_rows_and_columns_is_no_difference_and_a_repeated_row_is_one() -> None:
    """A sketch is of a set of rows with named values; a row that stands twice is two."""
    base, repeated = sales(), pl.concat([sales(), sales()[:1]])
    head = sales().select(reversed(base.columns)).sample(fraction=1.0, shuffle=True, seed=1)
    assert kept(base)[1]["cells"] == kept(head)[1]["cells"]
    assert not compared(*two(base, sales())).tables
    (table,) = compared(*two(base, repeated)).tables
    assert (table.rows.before, table.rows.after) == (200, 201)


numbers = st.lists(
    st.one_of(st.none(), st.floats(-1e6, 1e6), st.sampled_from([0.0, float("inf"), 1e300, 5e-324])),
    min_size=1,
    max_size=60,
)


@slow
@given(one=numbers, other=numbers)
def test_the_index_is_zero_for_equal_and_symmetric_and_never_infinite(
    one: list[float | None], other: list[float | None]
) -> None:
    """Over any numbers, with nulls and infinities, in bins of different widths."""
    sides = []
    for values in (one, other):
        profile, sketch = kept(
            pl.DataFrame({"id": range(len(values)), "v": values}, schema_overrides={"v": pl.Float64})
        )
        column = sketch["columns"].get("v")
        sides.append((Distribution.from_json(column) if column else None, profile["rows"]))
    (ours, rows), (theirs, others) = sides
    if ours is None or theirs is None:
        return
    assert Distribution.from_json(ours.to_json()) == ours
    assert psi(ours, ours, (rows, rows)) == 0.0
    there, back = psi(ours, theirs, (rows, others)), psi(theirs, ours, (others, rows))
    assert there == pytest.approx(back)
    assert 0.0 <= there < 40


def test_the_index_tells_units_from_seasons() -> None:
    """Degrees in another unit are far apart, a slight shift is near, whatever the bins."""
    generator = np.random.default_rng(0)
    celsius = generator.normal(15, 8, 5000)

    def column(values: np.ndarray[Any, Any]) -> Distribution:
        return Distribution.from_json(kept(pl.DataFrame({"id": range(5000), "v": values}))[1]["columns"]["v"])

    base, rows = column(celsius), (5000, 5000)
    assert psi(base, column(generator.normal(15, 8, 5000)), rows) < 0.05
    assert psi(base, column(celsius + 0.5), rows) < 0.1
    assert psi(base, column(celsius * 1.8 + 32), rows) > 2
    assert psi(base, column(celsius + 1000), rows) > 10
    assert psi(Distribution(Grid("text"), (1,) * 32), base, rows) > 10


def test_bins_of_any_width_hold_every_known_value() -> None:
    """No value is lost or counted twice."""
    for values in ([1e-300, 2.0], [5.0] * 9, [-1e300, 1e300], [0.1, 0.2, 0.3, 1e9], [2**53, 2**53 + 1]):
        frame = pl.DataFrame({"id": range(len(values)), "v": values})
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "table.parquet")
            frame.write_parquet(path)
            column = DuckDBStatistician().measure(Survey("t", "2024-01", path, "UTC")).current.column("v")
            assert column is not None
            bins = grid(column)
            assert bins is not None
            assert bins.bins <= 70
            assert sum(DuckDBSketcher().distributions(path, {"v": bins})["v"].counts) == len(values)


@pytest.mark.parametrize(
    ("change", "words", "breaking"),
    [
        (("in_range(0, 100)", "in_range(0, 200)"), "`in_range(0, 100)` of `amount` was loosened to", True),
        (("in_range(0, 100)", "in_range(10, 90)"), "`in_range(0, 100)` of `amount` was tightened to", False),
        (("in_range(0, 100)", "in_range(10, 190)"), "was loosened to", True),
        (("isin(('A', 'B'))", "isin(('A', 'B', 'C'))"), "was loosened to", True),
        (("isin(('A', 'B'))", "isin(('A',))"), "was tightened to", False),
        (("volume(z <= 8)", "volume(z <= 9)"), "was loosened to", True),
        (("volume(z <= 8)", "volume(z <= 7.5)"), "was tightened to", False),
        (("type(Int64)", "type(Float64)"), "`type(Int64)` of `id` became `type(Float64)`", True),
        (("not_null", None), "`not_null` of `id` is no longer checked", True),
        (("unique_key", None), "`unique_key` of `id` is no longer checked", True),
        ((None, "ge(3)"), "`ge(3)` of `id` is now checked", False),
        (("not_null", "error to warn"), "`not_null` of `id` is now of severity warn, before error", True),
        (("volume(z <= 8)", "warn to error"), "is now of severity error, before warn", False),
        (("in_range(0, 100)", "in_range(0, __import__('os'))"), "became", True),
    ],
)
def test_each_change_of_a_contract_is_classed(
    change: tuple[str | None, str | None], words: str, breaking: bool
) -> None:
    """What loosens a constraint breaks, what adds one does not, and what cannot be judged is taken to break."""
    old, new = change
    after = [dict(check) for check in CHECKS]
    if old is None:
        after.append({"check": str(new), "column": "id", "severity": "error"})
    for constraint in after:
        if constraint["check"] == old:
            if new and " to " in new:
                constraint["severity"] = new.rpartition(" ")[2]
            else:
                constraint["check"] = str(new)
    after = [check for check in after if check["check"] != "None"]
    (difference,) = contract_changes("sales", CHECKS, after)
    assert words in difference.what
    assert difference.breaking is breaking
    assert list(contract_changes("sales", CHECKS, CHECKS)) == []


@pytest.mark.parametrize(
    ("old", "new", "where", "words", "breaking"),
    [
        ("[3d, 14d]", "[3d]", "shop_late_mean_14d", "feature removed", True),
        ("[3d, 14d]", "[3d, 14d, 28d]", "shop_late_mean_28d", "feature added", False),
        ("known_at: paid_at", "known_at: booked_at", "overdue", "label redefined", True),
        ("at_least: 1", "at_least: 2", "overdue", "at least 1 of `sales`", True),
        ("key: sale, columns", "key: sale, lead_time: 2h, columns", "spine", "lead_time changed from `0s` to `2h`",
         True),
        ("measures: {shop: {fact: paid, key: shop,", "measures: {shop: {fact: paid,", "shop_late_mean_3d",
         "by `shop`, known at `paid_at`, 3d; now mean of `late` of `sales` over all rows",
         True),
        ("labels:", "corrections: {sales: {key: sale, recorded_at: at}}\nlabels:", "spine", "corrections", True),
    ],
)  # fmt: skip
def test_each_change_of_a_definition_is_told(old: str, new: str, where: str, words: str, breaking: bool) -> None:
    """Under the name of what changed, in words of what it was and is."""
    assert old in STAR
    base = read("base", files({}))
    head = read("head", files({}, **{"case/star.yaml": STAR.replace(old, new, 1)}))
    changes = [change for change in compared(base, head).changes if change.where == where]
    assert any(words in change.what for change in changes)
    assert {change.breaking for change in changes} == {breaking}


def test_settings_of_data_and_features_are_told_and_another_label_breaks() -> None:
    """A month more is additive; other sections do not change what data mean."""
    base = read("base", files({}))
    more = read("head", files({}, **{"params.yaml": PARAMS.replace("2024-02", "2024-03") + "train: {seed: 1}\n"}))
    assert compared(base, more).changes == (
        Change("settings", "`data.last` changed from `2024-02` to `2024-03`", breaking=False),
    )
    other = read("head", files({}, **{"params.yaml": PARAMS.replace("label: overdue", "label: late")}))
    assert [change.where for change in compared(base, other).breaking] == ["settings"]


def _cases() -> dict[str, Callable[[], tuple[Revision, Revision]]]:
    base = {"2024-01": {"sales": sales(), "features": sales()}}
    hostile = pl.DataFrame({"id": [1, 2], "`|<b>@all\n#": [1.0, 2.0], "x" * 300: ["a", "b"]})

    def pair(head: dict[str, dict[str, pl.DataFrame]], **changed: str | None) -> tuple[Revision, Revision]:
        return read("0123456789ab", files(base)), read("the working tree", files(head, **changed))

    def changed_rows() -> tuple[Revision, Revision]:
        frame = sales().with_columns(amount=pl.when(pl.col("id") < 5).then(1000.0).otherwise(pl.col("amount")))[3:]
        return pair({"2024-01": {"sales": frame, "features": frame}})

    def huge() -> tuple[Revision, Revision]:
        wide = pl.DataFrame({"id": range(3)} | {f"column_{n}": [float(n), 2.0, 3.0] for n in range(250)})
        other = wide.with_columns(pl.exclude("id") + 1000)
        return two(wide, other.drop("column_249").with_columns(pl.col("^column_[1-4].$").cast(pl.String)))

    return {
        "no-change": lambda: pair(base),
        "new-month": lambda: pair(base | {"2024-02": {"sales": sales(), "features": sales()}}),
        "changed-rows": changed_rows,
        "schema-break": lambda: pair({"2024-01": {"sales": sales().drop("shop"), "features": sales()}}),
        "additive": lambda: pair(
            {"2024-01": {"sales": sales().with_columns(fee=pl.lit(1)), "features": sales()}},
            **{"case/star.yaml": STAR.replace("[3d, 14d]", "[3d, 14d, 28d]")},
        ),
        "definition": lambda: pair(base, **{"case/star.yaml": STAR.replace("14d", "15d")}),
        "no-base": lambda: (read("0123456789ab", {}), pair(base)[1]),
        "no-sketch": lambda: (
            read("base", files(base, **{"reports/sketches/2024-01.json": None})),
            changed_rows()[1],
        ),
        "hostile": lambda: two(hostile, hostile.with_columns(pl.lit(9.0).alias("`|<b>@all\n#")).drop("x" * 300)),
        "huge": huge,
    }


@pytest.mark.parametrize("name", _cases())
def test_the_page_is_the_one_that_was_approved(name: str) -> None:
    """Small, with the verdict first; `LEVERFRAME_GOLDEN=write` writes the pages anew."""
    diff = compared(*_cases()[name]())
    page, path = render(diff), GOLDEN / f"{name}.md"
    if os.environ.get("LEVERFRAME_GOLDEN") == "write":
        path.write_text(page, encoding="utf-8")
    assert page == path.read_text(encoding="utf-8")
    assert len(page.encode()) <= LIMIT
    assert live(page) == []
    content = json.loads(json.dumps(diff.to_json()))
    assert len(content["breaking"]) + len(content["additive"]) == len(diff.changes)


def test_what_is_damaged_is_named() -> None:
    """A report that git merged badly is one message and no traceback."""
    good = files({"2024-01": {"sales": sales()}})
    for path, content in (
        ("reports/profiles/2024-01.json", b"{<<<<<<<"),
        ("reports/sketches/2024-01.json", b"[]"),
        ("reports/contracts/2024-01.json", b'{"tables": 3}'),
    ):
        with pytest.raises(RepositoryError, match=f"{path} of base cannot be read"):
            read("base", good | {path: content})
    head = read("head", files({"2024-01": {"sales": sales()[1:]}}))
    broken = json.loads(good["reports/sketches/2024-01.json"])
    for change in ({"cells": "abc"}, {"cells": "é"}, {"strata": "1 x"}, {"columns": {"amount": "number 1 | a"}}):
        spoilt = {"tables": {"sales": broken["tables"]["sales"] | change}}
        base = read("base", good | {"reports/sketches/2024-01.json": json.dumps(spoilt).encode()})
        with pytest.raises(RepositoryError, match="of `sales`"):
            compared(base, head)


def test_features_without_a_profile_at_the_base_are_no_new_table() -> None:
    """A base of before Leverframe kept one, or whose features were never built."""
    base = files({"2024-01": {"sales": sales()}})
    head = files({"2024-01": {"sales": sales(), "features": sales()}})
    for one, other in ((base, head), (head, base)):
        diff = compared(read("one", one), read("other", other))
        assert (diff.tables, diff.changes) == ((), ())
        assert ["no profile of the features" in note for note in diff.notes] == [True]


def test_another_key_is_a_breaking_change_and_rows_are_not_compared() -> None:
    """By another key every row would be another one."""
    base, head = two(sales(), sales())
    _, sketch = kept(sales(), ("id", "shop"))
    other = replace(head, sketches={"2024-01": {"sales": sketch}})
    diff = compared(base, other)
    assert [change.what for change in diff.breaking] == ["the key changed from `id` to `id, shop`"]
    assert any("another one" in note for note in diff.notes)
