"""The rules of the online store: what is read, when a base is written anew, what a lookup sees through two layers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leverframe.domain.features import materialize as rules
from leverframe.domain.features.materialize import FORMAT, Generation, LayerFile
from leverframe.domain.features.online import Span, attribute_delivered, microseconds_of
from leverframe.domain.features.snapshot.arrange import Arranged, arranged
from leverframe.domain.features.snapshot.layers import Layered, fits
from leverframe.domain.features.snapshot.store import SnapshotInfo, Table
from leverframe.domain.partition import Partition, Partitions
from leverframe.errors import SettingsError, SourceError
from tests.integration.worlds import CORRECTED, plan_of

DAYS = Partitions(Partition.of("2024-01-01"), Partition.of("2024-01-31"), "month", "Europe/Paris")
NOON = datetime(2024, 3, 4, 12, tzinfo=UTC)
Key = tuple[str | None, int]


def generation(until: datetime, raw: dict[str, dict[str, str]] | None = None, **more: Any) -> Generation:
    """Return a generation as of a timestamp."""
    since = microseconds_of(until - rules.KEPT)
    content: dict[str, Any] = {"base": LayerFile("base", {"a": 100}), "base_as_of": microseconds_of(until)} | more
    return Generation(
        FORMAT, 1, "spec", microseconds_of(until), since, {}, raw=raw or {}, base_raw=raw or {}, **content
    )


def test_the_newest_partition_is_the_unfinished_one() -> None:
    """Single partitions, whatever a file of the pipeline holds, and whatever `data.last` says."""
    for until, last in ((NOON, "2024-03-04"), (datetime(2024, 3, 3, 23, tzinfo=UTC), "2024-03-03")):
        partitions = rules.through(DAYS, until)
        assert (str(partitions.first), str(partitions.last), partitions.group) == ("2024-01-01", last, "day")
    whole = rules.through(Partitions(DAYS.first, DAYS.last, "none", DAYS.timezone), NOON)
    assert ([str(group) for group in whole.groups()], str(whole.last)) == (["all"], "2024-03-04")
    with pytest.raises(SettingsError, match="nothing is known before 2023"):
        rules.span_until(datetime(2023, 12, 31, tzinfo=UTC), DAYS)


def test_features_are_as_old_as_the_first_partition_that_is_lacking() -> None:
    """Of a table that features come from; a run that finds nothing new makes nothing younger."""
    partitions, plan = rules.through(DAYS, NOON), plan_of()
    days = [Partition.of("2024-03-03"), Partition.of("2024-03-04")]
    lacking = rules.delivered(plan, {"events": days, "no such table": [Partition.of("2024-01-01")]}, partitions)
    assert lacking == microseconds_of(days[0].start(DAYS.timezone))
    assert rules.delivered(plan, {}, partitions) is None
    for delivered, known in ((lacking, lacking), (None, microseconds_of(NOON)), (2**60, microseconds_of(NOON))):
        made = generation(NOON, delivered=delivered)
        assert attribute_delivered(SnapshotInfo(made.spec, made.as_of, made.attributes())) == known


def test_a_timestamp_that_has_not_come_is_refused() -> None:
    """A store that claims to know the future would not read again what it could not see."""
    rules.refuse_future(NOON + timedelta(minutes=1), NOON)
    with pytest.raises(SettingsError, match="nobody knows yet what is known before 2024-03-04T13"):
        rules.refuse_future(NOON + timedelta(hours=1), NOON)


def test_what_may_have_rows_that_became_known_is_read_again() -> None:
    """As far back as a row may come late; corrected tables as far as their longest window; and what was absent."""
    partitions = rules.through(DAYS, NOON)
    for plan, table, days in ((plan_of(), "events", 4), (plan_of(CORRECTED), "events", 90 + 20 + 1)):
        reach = rules.reached(plan, Span(NOON - rules.KEPT, NOON), partitions)
        every = {table: {str(group): "file" for group in groups} for table, groups in reach.items()}
        del every[table]["2024-02-20"]
        asked = rules.wanted(plan, reach, generation(NOON, every), partitions)
        first = partitions.group_at(NOON - timedelta(days=days - 1))
        assert set(asked[table]) == {group for group in reach[table] if group >= first or str(group) == "2024-02-20"}
        assert asked["places"] == []
        assert rules.wanted(plan, reach, None, partitions)[table] == reach[table]


@pytest.mark.parametrize(
    ("absent", "before", "why"),
    [
        (["2024-03-04"], [], ""),
        (["2024-03-03", "2024-03-04"], [], ""),
        (["2024-03-03"], [], "2024-03-04 is there"),
        (["2024-03-04"], ["2024-03-04"], "it was there before"),
        (["2024-03-02", "2024-03-03", "2024-03-04"], [], "no partition in reach"),
    ],
)
def test_only_the_newest_partitions_may_be_absent(absent: list[str], before: list[str], why: str) -> None:
    """A gap, one that vanished and a table without any row are errors."""
    groups = [Partition.of(f"2024-03-0{day}") for day in (2, 3, 4)]
    old = generation(NOON, {"events": dict.fromkeys(before, "file")})

    def run() -> None:
        rules.refuse_absent(plan_of(), {"events": [Partition.of(key) for key in absent]}, {"events": groups}, old)

    if not why:
        run()
        return
    with pytest.raises(SourceError) as refused:
        run()
    assert why in refused.value.why


def test_a_base_is_written_anew_for_a_reason() -> None:
    """Asked for, none there, rows that left every window, or a delta that has most of the keys."""
    plan, now = plan_of(), microseconds_of(NOON)
    small, large = LayerFile("delta", {"a": 10}), LayerFile("delta", {"a": 40})
    reasons = {
        "": generation(NOON, delta=small),
        "most keys changed since the base was written": generation(NOON, delta=large),
        "the base has rows that left every window": generation(
            NOON, base_as_of=microseconds_of(NOON - timedelta(days=6))
        ),
        "the store was empty": None,
    }
    for reason, old in reasons.items():
        assert rules.rebuild_reason(old, now, plan, full=False) == reason
        assert rules.rebuild_reason(old, now, plan, full=True) == "asked for"
    assert not rules.grown({"many": 1000, "few": 10}, {"few": 10, "many": 20})
    assert rules.grown({"few": 10}, {"few": 10})
    with pytest.raises(SettingsError, match="already knows more"):
        rules.refuse_backwards(generation(NOON), NOON - timedelta(hours=1))


class Memory:
    """A layer in memory."""

    def __init__(self, *tables: Arranged) -> None:
        self._tables = {table.name: (table.index, table.rows) for table in tables}

    def names(self) -> list[str]:
        """Return the names of the tables."""
        return list(self._tables)

    def table(self, table: str) -> Any:
        """Return a table."""
        return self._tables[table]


keys = st.tuples(st.sampled_from(["a", "b", "é", None]), st.integers(0, 2))
rows = st.lists(st.tuples(keys, st.none() | st.integers(-3, 3), st.none() | st.sampled_from(["p", "q"])), max_size=12)


def table(content: list[Any]) -> Arranged:
    """Return rows as a table with a composite key, whole numbers and texts."""
    names = np.array([k for (k, _), *_ in content], object)
    whole: Any = np.ma.MaskedArray(
        np.array([n or 0 for _, n, _ in content], np.int64), mask=[n is None for _, n, _ in content]
    )
    texts = np.array([t for *_, t in content], object)
    numbers = np.array([g for (_, g), *_ in content], np.int64)
    return arranged(Table("t", {"k": names, "g": numbers}, {"n": whole, "t": texts}))


@given(below=rows, above=rows, asked=st.lists(keys, max_size=9), whole=st.booleans())
def test_a_key_has_its_rows_of_the_newest_layer(below: Any, above: Any, asked: list[Key], whole: bool) -> None:
    """Also where keys of both layers are asked for at once, some of them twice; a whole table hides the other."""
    layers = [Memory(table(above)), Memory(table(below))]
    whole = whole or not fits(table(above), layers[1].table("t"))
    store = Layered(SnapshotInfo("s", 1), [(layers[0], ["t"] if whole else []), (layers[1], [])])
    matches = store.find("t", [[k for k, _ in asked], [g for _, g in asked]]) if asked else None
    for number, key in enumerate(asked):
        of_key: list[list[Any]] = [
            [row[1:] for row in some if row[0] == key and None not in key] for some in (above, below)
        ]
        expected: list[Any] = of_key[0] if whole or of_key[0] else of_key[1]
        assert matches is not None
        place = slice(int(matches.start[number]), int(matches.stop[number]))
        numbers = np.ma.asarray(matches.column("n")[place]).tolist()
        texts = list(matches.column("t")[place]) if len(numbers) else []
        assert list(zip(numbers, texts, strict=True)) == expected
