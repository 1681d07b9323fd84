"""The plan on Spark: value for value and type for type what DuckDB and the row-by-row reference give."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
import yaml

from leverframe.adapters.disk import Disk
from leverframe.adapters.duckdb.query import arrow_table
from leverframe.adapters.polars import PolarsFrames
from leverframe.domain import layout
from leverframe.domain.data import ingest
from leverframe.domain.features.build import Engine, run
from leverframe.domain.features.plan import Plan, compile_star
from leverframe.domain.features.star import Star, read_star
from leverframe.domain.partition import Partition, Partitions
from leverframe.errors import DefinitionError, LabelError, LeverframeError, SourceError
from pipelines.flights.sources import SOURCES
from tests.fakes.reference import reference
from tests.integration.needs_spark import NEEDS_SPARK
from tests.integration.test_build_times import READABLE, REFUSED, retyped
from tests.integration.typed_worlds import typed_worlds
from tests.integration.worlds import (
    CORRECTED,
    CORRECTED_TYPES,
    ENGINE,
    MARCH,
    STAR,
    WORLD,
    World,
    batched_star,
    close,
    corrected_worlds,
    drawn,
    numbered,
    plan_of,
    small_world,
    stored,
    write_world,
)
from tests.profiles import deep, examples

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from leverframe.adapters.spark.engine import SparkEngine

pytestmark = NEEDS_SPARK

ROOT = Path(__file__).parents[2]
INTERPRETED = "spark.sql.codegen.wholeStage false\nspark.sql.codegen.factoryMode NO_CODEGEN\n"
FEW = STAR | {  # a star with few steps, where Spark's work for each step is not the point
    "dimensions": {"place": STAR["dimensions"]["place"]},
    "measures": {"all": STAR["measures"]["all"]},
    "labels": {"amount": STAR["labels"]["amount"]},
}


@pytest.fixture(scope="module", autouse=True)
def quickly_compiled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let Java compile fast and optimise little, and Spark interpret: what runs for seconds does not earn more.

    At night Spark compiles a program for each query, as it does for users.
    """
    quick = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
    roomy = "-XX:NewRatio=1 -XX:MetaspaceSize=256m -XX:InitialRAMPercentage=4"  # so that little is collected
    with pytest.MonkeyPatch.context() as patch:
        for name in ("SPARK_SUBMIT_OPTS", "SPARK_LAUNCHER_OPTS"):
            patch.setenv(name, f"{quick} {roomy}")
        if not deep():
            folder = tmp_path_factory.mktemp("conf")
            (folder / "spark-defaults.conf").write_text(INTERPRETED, encoding="utf-8")
            patch.setenv("SPARK_CONF_DIR", str(folder))
        yield


@pytest.fixture(scope="module")
def running() -> Iterator[SparkSession]:
    """Give a session that serves all tests: a start takes seconds."""
    from leverframe.adapters.spark.session import session  # noqa: PLC0415 - after a look for Java

    with session("local[2]", "3g") as opened:
        yield opened


@pytest.fixture(scope="module")
def spark(running: SparkSession) -> SparkEngine:
    """Give the engine of the session."""
    from leverframe.adapters.spark.engine import SparkEngine  # noqa: PLC0415 - after a look for Java

    return SparkEngine("local[2]", "1g", running=running)


def built(
    plan: Plan, engine: Engine, root: Path, month: Partition = MARCH, partitions: Partitions = WORLD
) -> pl.DataFrame:
    """Return the features that an engine builds."""
    return pl.read_parquet(root / run(plan, month, partitions, engine, Disk(root).exists, root).path)


def equal_everywhere(plan: Plan, engine: Engine, root: Path, expected: list[dict[str, Any]]) -> int:
    """Hold a build on Spark to DuckDB's, bit by bit, and to the reference; return the values compared."""
    return same_everywhere(built(plan, ENGINE, root), built(plan, engine, root), expected)


def same_everywhere(theirs: pl.DataFrame, ours: pl.DataFrame, expected: list[dict[str, Any]]) -> int:
    """Hold the features of Spark to those of DuckDB, bit by bit, and to the reference; return the values compared."""
    assert ours.columns == theirs.columns
    nothing = [name for name in theirs.columns if theirs[name].null_count() == len(theirs)]
    types = [(name, theirs[name].dtype, ours[name].dtype) for name in theirs.columns if name not in nothing]
    assert [column for column in types if column[1] != column[2]] == []
    assert [name for name in theirs.columns if theirs[name].to_list() != ours[name].to_list()] == []
    for row, wanted in zip(ours.to_dicts(), expected, strict=True):
        assert {name: (row[name], wanted[name]) for name in row if not close(row[name], wanted[name])} == {}
    return ours.height * ours.width


# The star of corrections with one measure of each fact, whose keys tell rows apart.
CORRECTED_FACTS = CORRECTED | {
    "measures": {name: CORRECTED["measures"][name] for name in ("place", "before", "past", "others", "mine")}
}


def around_summer_time() -> World:
    """Return the small world with visits at both sides of the change to summer time."""
    world, change = small_world(), datetime(2020, 3, 8, 7, tzinfo=UTC)  # at 2 in New York
    for number, minutes in enumerate((-1, 0, 61), start=3):
        world["visits"].append(world["visits"][0] | {"id": number, "event_time": change + timedelta(minutes=minutes)})
    return world


@dataclass(frozen=True)
class Unusual:
    """What both engines built, and in which form, of one world that several tests look at: a build is dear."""

    root: Path
    plan: Plan
    theirs: pl.DataFrame
    ours: pl.DataFrame
    forms: list[tuple[list[tuple[str, Any]], dict[str, str]]]
    kept: int  # bytes of the heap that cannot be freed after the build of Spark, beyond those before

    def hold_equal(self) -> None:
        """Hold the features of Spark to those of DuckDB and to the reference."""
        world = around_summer_time()
        same_everywhere(self.theirs, self.ours, reference(self.plan, world["visits"], stored(world)))


@pytest.fixture(scope="module")
def unusual(running: SparkSession, spark: SparkEngine, tmp_path_factory: pytest.TempPathFactory) -> Unusual:
    """Build all verbs where the folder has signs of its own, times any readable type and numbers any width."""
    root, plan = tmp_path_factory.mktemp("unusual") / "a b é%20", plan_of()
    write_world(around_summer_time(), root)
    columns = [("visits", "known_at"), ("events", "seen_at"), ("outcomes", "known_at")]
    for (table, column), dtype in zip(columns, READABLE.values(), strict=True):
        retyped(root, table, column, dtype, WORLD.groups())
    retyped(root, "visits", "done_at", pl.Null(), WORLD.groups())
    for month, width in (("2020-02", pl.Int8), ("2020-03", pl.UInt16)):
        path = root / layout.raw("events", month)
        pl.read_parquet(path).with_columns(pl.col("n", "g").cast(width)).write_parquet(path)
    places = root / layout.raw("places", layout.STATIC)
    pl.read_parquet(places).with_columns(pl.col("size").cast(pl.UInt32)).write_parquet(places)
    path = root / layout.features(str(MARCH))
    theirs, form = built(plan, ENGINE, root), _form(path)
    before = _heap(running)
    ours = built(plan, spark, root)
    return Unusual(root, plan, theirs, ours, [form, _form(path)], _heap(running) - before)


def _heap(running: SparkSession) -> int:
    """Return the bytes of Java's heap that cannot be freed."""
    java: Any = running._jvm  # the only door to Java
    gc.collect()
    java.System.gc()
    runtime = java.java.lang.Runtime.getRuntime()
    return int(runtime.totalMemory() - runtime.freeMemory())


def _form(path: Path) -> tuple[list[tuple[str, Any]], dict[str, str]]:
    return list(pl.read_parquet_schema(path).items()), pl.read_parquet_metadata(path)


@pytest.mark.deep
@pytest.mark.parametrize("lead_time", ["0m", "3h"])
def test_spark_equals_duckdb_and_the_reference_for_every_verb(
    spark: SparkEngine, tmp_path: Path, lead_time: str
) -> None:
    """Many worlds in the same tables: ties, nulls, duplicates, empty windows, disorder and time zones included.

    By day every verb is held in one world, the ``unusual`` one.
    """
    star = batched_star()
    plan = compile_star(Star.model_validate(star | {"spine": star["spine"] | {"lead_time": lead_time}}))
    many = [numbered(number, world) for number, world in enumerate(drawn(120))]
    write_world({table: [row for world in many for row in world[table]] for table in many[0]}, tmp_path)
    expected = [row for world in many for row in reference(plan, world["visits"], stored(world))]
    assert equal_everywhere(plan, spark, tmp_path, expected) > 10_000


@pytest.mark.deep
def test_rows_that_were_corrected_are_equal_everywhere(spark: SparkEngine, tmp_path: Path) -> None:
    """Versions of events, of labels and of the spine's rows, with a lead time; a table that is all null as well."""
    star = batched_star(CORRECTED if deep() else CORRECTED_FACTS)
    plan = compile_star(Star.model_validate(star | {"spine": star["spine"] | {"lead_time": "3h"}}))
    many = [numbered(number, world) for number, world in enumerate(drawn(80, corrected_worlds()))]
    world = {table: [row for world in many for row in world[table]] for table in many[0]}
    write_world(world, tmp_path, CORRECTED_TYPES)
    expected = [row for one in many for row in reference(plan, one["visits"], stored(one))]  # its work grows with rows²
    assert equal_everywhere(plan, spark, tmp_path, expected) > 10_000


@pytest.mark.deep
def test_versions_that_moved_or_came_too_late_are_refused_in_the_same_words(spark: SparkEngine, tmp_path: Path) -> None:
    """As on the other engine, before anything is computed."""
    world = small_world()
    for table in ("visits", "events", "outcomes"):
        world[table] = [row | {"recorded_at": None} for row in world[table]]
    world["events"] = [row | {"e": number} for number, row in enumerate(world["events"])]
    first, facts = world["events"][0], {name: fact | {"max_lag": "1d"} for name, fact in CORRECTED["facts"].items()}
    later = {"recorded_at": first["event_time"] + timedelta(days=2)}
    plan = plan_of(CORRECTED | {"facts": facts})
    for other in ({"event_time": first["event_time"] + timedelta(hours=1)}, {"e": 9}):
        write_world(world | {"events": [first, first | later | other]}, tmp_path, CORRECTED_TYPES)
        errors = []
        for engine in (ENGINE, spark):
            with pytest.raises(SourceError) as caught:
                built(plan, engine, tmp_path)
            errors.append((caught.value.what, caught.value.why, caught.value.next))
        assert errors[0] == errors[1]


@pytest.mark.deep
def test_times_are_read_and_refused_as_by_the_other_engine(
    unusual: Unusual, spark: SparkEngine, tmp_path: Path
) -> None:
    """Coarser units, other zones and columns without a value; local times, dates, nanoseconds and texts by name."""
    unusual.hold_equal()
    plan, world = plan_of(), small_world()
    for number, dtype in enumerate(REFUSED.values()):
        root = tmp_path / str(number)
        write_world(world, root)
        retyped(root, "visits", "known_at", dtype, WORLD.groups())
        errors = []
        for engine in (ENGINE, spark):
            with pytest.raises(SourceError, match="`known_at` of table `visits` is") as caught:
                built(plan, engine, root)
            errors.append((caught.value.what, caught.value.why, caught.value.next))
        assert errors[0] == errors[1]


@pytest.mark.deep
def test_events_without_a_key_are_found_across_buckets(spark: SparkEngine, tmp_path: Path) -> None:
    """One world at a time: keyless windows, and tables that have no row at all; at night all of the star.

    Its other verbs are held with keys of batches in every run; Spark compiles each anew, which is what this costs.
    """
    empty = small_world() | {"events": [], "states": [], "places": [], "outcomes": []}
    few = STAR | {"measures": {name: STAR["measures"][name] for name in ("all", "pair", "past")}}
    for number, world in enumerate((max(drawn(20), key=str), empty)):
        root, plan = tmp_path / str(number), plan_of(STAR if deep() else few)
        write_world(world, root)
        equal_everywhere(plan, spark, root, reference(plan, world["visits"], stored(world)))


@pytest.mark.deep
def test_a_month_of_flights_is_equal_to_the_last_bit(spark: SparkEngine, tmp_path: Path) -> None:
    """Every feature and label of March 2013, with the change to summer time in it: 0 mismatches, same schema."""
    plan = compile_star(read_star(ROOT / "pipelines/flights/star.yaml"))
    frames, months = PolarsFrames(tmp_path, arrow_table), [Partition.of(f"2013-0{number}") for number in (1, 2, 3)]
    quarter = Partitions(months[0], months[-1], "month", "America/New_York")
    for month in (None, *months):
        ingest.run(SOURCES, month, quarter, frames, tmp_path)
    theirs = built(plan, ENGINE, tmp_path, months[-1], quarter)
    ours = built(plan, spark, tmp_path, months[-1], quarter)
    assert ours.height == 28834
    assert ours.equals(theirs, null_equal=True)
    assert ours.schema == theirs.schema


def test_the_file_is_of_the_form_that_duckdb_writes(unusual: Unusual) -> None:
    """Types as Parquet names them, the digest of the star among the metadata, nothing left beside the file."""
    assert unusual.forms[0] == unusual.forms[1]
    assert unusual.forms[1][1]["spec"] == unusual.plan.spec
    path = unusual.root / layout.features(str(MARCH))
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_build_keeps_little_of_the_heap(unusual: Unusual) -> None:
    """Spark keeps the small tables that its joins sent to every task: with pages of its own size each took 64 MB."""
    assert unusual.kept < 150_000_000


def test_whole_numbers_texts_and_ties_survive(spark: SparkEngine, tmp_path: Path) -> None:
    """Neighbours above 2**53 stay apart; of events at one timestamp the last row of the last file counts."""
    world, at = small_world(), datetime(2020, 3, 1, 4, tzinfo=UTC)
    event = world["events"][0] | dict.fromkeys(("seen_at", "known_at"), at + timedelta(hours=2))
    early = [event | {"n": 2**60 + number, "t": f"t{number}", "event_time": at} for number in range(40)]
    late = [event | {"n": 2**60 + 100 + number, "event_time": at + timedelta(hours=1.5)} for number in range(40)]
    world["events"] = early + late
    write_world(world, tmp_path)
    for month, rows in (("2020-02", early), ("2020-03", late)):  # many small row groups
        path = tmp_path / layout.raw("events", month)
        pl.DataFrame(rows, schema=pl.read_parquet_schema(path)).write_parquet(path, row_group_size=7)
    big = {"fact": "events", "of": {"n": ["last", "distinct"], "t": ["distinct"]}, "windows": ["2d"]}
    plan = compile_star(Star.model_validate(FEW | {"measures": {"big": big}}))
    row = built(plan, spark, tmp_path).to_dicts()[0]
    assert (row["big_n_last_2d"], row["big_n_distinct_2d"], row["big_t_distinct_2d"]) == (2**60 + 139, 80, 41)


def _spoilt(change: str, world: World, root: Path) -> None:
    if change in ("visits", "places"):
        world[change] = [*world[change], world[change][0]]
    elif change == "orphan":
        world["outcomes"].append(world["outcomes"][0] | {"id": 99})
    elif change == "late":
        world["events"][0]["seen_at"] += timedelta(days=4)
    write_world(world, root)
    path = root / layout.raw("events", "2020-02")
    if change == "kinds":
        one = pl.read_parquet(root / layout.raw("events", "2020-03"))
        one.with_columns(pl.lit("0012").alias("n")).write_parquet(path)
    elif change == "cut":
        path.write_bytes(path.read_bytes()[:-30])
    elif change == "page":
        content = bytearray(path.read_bytes())
        content[4:40] = b"\xff" * 36
        path.write_bytes(content)


@pytest.mark.parametrize("change", ["visits", "places", "orphan", "late", "kinds", "cut"])
def test_what_duckdb_refuses_spark_refuses_in_the_same_words(change: str, spark: SparkEngine, tmp_path: Path) -> None:
    """Duplicate keys, labels of no row, late rows, columns of two kinds, damaged files; nothing is written."""
    _spoilt(change, small_world(), tmp_path)
    errors = []
    for engine in (ENGINE, spark):
        with pytest.raises((SourceError, LabelError)) as caught:
            run(plan_of(), MARCH, WORLD, engine, Disk(tmp_path).exists, tmp_path)
        errors.append((type(caught.value), caught.value.what, caught.value.next, "cut" in change or caught.value.why))
        assert not list((tmp_path / layout.FEATURES).glob("*"))
    assert errors[0] == errors[1]


def test_a_page_that_cannot_be_decoded_is_found_by_its_file(spark: SparkEngine, tmp_path: Path) -> None:
    """The footer is whole, a page is not: the error names the file, and the old result stays."""
    sums = {"fact": "events", "key": "place", "of": {"v": ["sum"]}, "windows": ["1h"]}
    plan, world = plan_of(FEW | {"measures": {"place": sums}}), small_world()
    world["events"] = [world["events"][0] | {"event_time": datetime(2020, 2, 20, tzinfo=UTC)}] * 50
    world["events"] = [row | dict.fromkeys(("seen_at", "known_at"), row["event_time"]) for row in world["events"]]
    write_world(world, tmp_path)
    run(plan, MARCH, WORLD, spark, Disk(tmp_path).exists, tmp_path)
    good = (tmp_path / layout.features(str(MARCH))).read_bytes()
    _spoilt("page", world, tmp_path)
    with pytest.raises(SourceError, match=r"cannot read .*events/2020-02\.parquet"):
        run(plan, MARCH, WORLD, spark, Disk(tmp_path).exists, tmp_path)
    assert (tmp_path / layout.features(str(MARCH))).read_bytes() == good


@pytest.mark.parametrize(
    ("dtype", "words"),
    [(pl.Decimal(20, 3), "decimal128"), (pl.UInt64, "uint64")],
)
def test_a_type_that_spark_would_change_is_refused_before_it_starts(
    dtype: Any, words: str, spark: SparkEngine, tmp_path: Path
) -> None:
    """No session is opened, no file written: the types stand in the footers."""
    write_world(small_world(), tmp_path)
    path = tmp_path / layout.raw("places", layout.STATIC)
    pl.DataFrame({"k": ["a"], "size": pl.Series([None], dtype=dtype)}).write_parquet(path)
    with pytest.raises(DefinitionError, match=rf"cannot run this plan: `size` of `places` is .*{words}"):
        run(plan_of(), MARCH, WORLD, spark, Disk(tmp_path).exists, tmp_path)
    assert not (tmp_path / layout.FEATURES).exists()


def test_a_folder_with_signs_of_its_own_and_every_width_of_number(unusual: Unusual) -> None:
    """Blanks, accents and percent signs in the path; numbers of other widths in other months; the summer time."""
    raw = [unusual.root / layout.raw("events", month) for month in ("2020-02", "2020-03")]
    assert [pl.read_parquet_schema(path)["n"] for path in raw] == [pl.Int8, pl.UInt16]
    assert "a b é%20" in str(raw[0])
    unusual.hold_equal()
    assert unusual.ours["hour"].to_list()[-3:] == [1, 3, 4]


@pytest.mark.deep
def test_columns_of_any_type_and_name_are_equal_or_refused(spark: SparkEngine, tmp_path: Path) -> None:
    """Where Spark has the type, its values are those of DuckDB; else one error of ours."""
    compared = 0
    for number, world in enumerate(drawn(examples(0.4), typed_worlds())):
        root = tmp_path / str(number)
        try:
            plan = world.plan
            world.write(root)
            theirs, ours = built(plan, ENGINE, root), built(plan, spark, root)
        except LeverframeError:
            continue
        assert ours.columns == theirs.columns
        assert [name for name in theirs.columns if theirs[name].to_list() != ours[name].to_list()] == [], world
        compared += ours.height
    assert compared > 2


def test_columns_that_spark_makes_itself_are_refused(spark: SparkEngine, tmp_path: Path) -> None:
    """Spark numbers rows by a column that another one of its name would hide."""
    write_world(small_world(), tmp_path)
    path = tmp_path / layout.raw("places", layout.STATIC)
    pl.read_parquet(path).with_columns(pl.lit(1).alias("_metadata")).write_parquet(path)
    place = STAR["dimensions"]["place"] | {"columns": ["size", "_metadata"]}
    plan = compile_star(Star.model_validate(FEW | {"dimensions": {"place": place}}))
    assert built(plan, ENGINE, tmp_path)["place__metadata"].to_list() == [1, 1, 1]
    with pytest.raises(DefinitionError, match="`_metadata` of `places` is Spark's own"):
        built(plan, spark, tmp_path)
    assert built(plan_of(FEW), spark, tmp_path).height == 3  # one that nobody reads is in nobody's way


def _stage(folder: Path, path: str | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the stage in a process of its own, in a small repository whose settings name Spark."""
    star, case = FEW, folder / "case"
    case.mkdir(parents=True)
    (case / "star.yaml").write_text(yaml.safe_dump(star))
    months = {"first": "2020-03", "last": "2020-03"}
    features = {"engine": "spark", "spark": {"master": "local[2]", "memory": "512m"}, "label": "amount"}
    params = {
        "data": {"case": "case", "first": "2019-12", "last": "2020-03", "timezone": "America/New_York"},
        "features": features | {"select": ["*"], "train": {"first": "2019-12", "last": "2020-02"}, "holdout": months},
        "train": {"estimator": "case.model:estimator"},
    }
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    command = [sys.executable, "-m", "leverframe", "build", "--partition", "2020-03"]
    known = os.environ | environment | ({"PATH": path} if path is not None else {})
    return subprocess.run(command, cwd=folder, env=known, capture_output=True, text=True, check=False)


@pytest.mark.deep
def test_the_stage_is_quiet_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """No warning of Spark on the terminal, no folder of its own beside the data."""
    write_world(small_world(), tmp_path)
    done = _stage(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1
    assert {path.name for path in tmp_path.iterdir()} <= {"case", "data", "params.yaml", "reports", ".leverframe"}


def test_without_java_the_stage_says_so(tmp_path: Path) -> None:
    """What is missing, why it is needed, and what to do instead."""
    write_world(small_world(), tmp_path)
    done = _stage(tmp_path, path=str(tmp_path), JAVA_HOME="")
    assert done.returncode == 18
    assert "the engine `spark` cannot start" in done.stderr
    assert "no `java` is on PATH or under JAVA_HOME" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_start_that_fails_is_an_error_with_the_words_of_java(tmp_path: Path) -> None:
    """A Java that cannot run Spark: what it said last is the reason."""
    fake = tmp_path / "java/bin/java"
    fake.parent.mkdir(parents=True)
    fake.write_text("#!/bin/sh\necho 'this Java is too old' >&2\nexit 1\n")
    fake.chmod(0o755)
    write_world(small_world(), tmp_path / "repo")
    done = _stage(tmp_path / "repo", JAVA_HOME=str(tmp_path / "java"))
    assert done.returncode == 18
    assert "cannot start on `local[2]`" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_pyspark_the_engine_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is optional; its absence is an error of ours, not a traceback."""
    from leverframe.adapters.spark import spark_engine  # noqa: PLC0415

    for name in [name for name in sys.modules if name.startswith("leverframe.adapters.spark.")]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("py4j.protocol", "pyspark", "pyspark.errors"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(LeverframeError, match="is not installed") as caught:
        spark_engine("local[2]", "1g")
    assert "the extra `spark`" in caught.value.why
