"""Data that arrive hourly, daily, weekly, monthly, yearly or all at once: the same features, and few stages to run."""

from __future__ import annotations

import http.client
import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest
import yaml

from leverframe.adapters.git import Git
from leverframe.application.build import build
from leverframe.application.ingest import ingest
from leverframe.application.snapshot import snapshot
from leverframe.application.stages import check_definition, definition, regrouped, write_definition
from leverframe.application.training_set import training_set
from leverframe.application.workspace import Workspace
from leverframe.domain import layout
from leverframe.domain.features.plan import compile_star
from leverframe.domain.features.star import read_star
from leverframe.domain.partition import Partition
from leverframe.domain.pipeline.items import grouping_of
from leverframe.errors import DefinitionError, SettingsError, SourceError
from leverframe.settings.levers import Levers
from leverframe.settings.params import read_params
from leverframe.settings.periods import Period
from tests.integration.shop import Shop
from tests.integration.visits import ZONE, params, visits, write_case, write_rows
from tests.profiles import by_day
from tests.warm import WarmRepository

PARIS = ZoneInfo(ZONE)
# From a Monday to a Sunday, from the first of a month to the last of one, with a change of clocks.
START, END = datetime(2024, 1, 1, tzinfo=PARIS), datetime(2024, 4, 1, tzinfo=PARIS)
ROWS = visits(START, END, 90)
DAYS = {"first": "2024-01-01", "last": "2024-03-31"}
WEEKS = {"period": "week", "first": "2024-W01", "last": "2024-W13"}
KINDS: dict[str, tuple[dict[str, str], str, str, int]] = {
    # by name: settings of data, path of the visits, first partition of the hold-out, groups
    "months": ({"first": "2024-01", "last": "2024-03"}, "raw/visits/{month}.csv", "2024-03", 3),
    "hours in weeks": (
        {"period": "hour", "first": "2024-01-01T00", "last": "2024-03-31T23"},
        "raw/visits.csv",
        "2024-03-01T00",
        13,
    ),
    "days in weeks": ({"period": "day", **DAYS}, "raw/visits/{day}.csv", "2024-03-01", 13),
    "days in months": ({"period": "day", "group": "month", **DAYS}, "raw/visits/{month}/{day}.csv", "2024-03-01", 3),
    "days in files of months": ({"period": "day", **DAYS}, "raw/visits/{month}.csv", "2024-03-01", 13),
    "weeks": (WEEKS, "raw/visits/{partition}.csv", "2024-W10", 13),
    "weeks in months": ({**WEEKS, "group": "month"}, "raw/visits/{week}.csv", "2024-W10", 3),
    "months in quarters": (
        {"first": "2024-01", "last": "2024-03", "group": "quarter"},
        "raw/visits/{year}/{month}.csv",
        "2024-03",
        1,
    ),
    "years": ({"period": "year", "first": "2023", "last": "2024"}, "raw/visits/{year}.csv", "2024", 2),
    "none": ({"period": "none", **DAYS}, "raw/visits/{day}.csv", "2024-03-01", 1),
}  # fmt: skip


def workspace(root: Path) -> Workspace:
    """Return the repository in a folder."""
    return Workspace(
        root,
        Git(root),
        lambda: read_params(root / "params.yaml"),
        Levers,
        lambda star: compile_star(read_star(star)),
    )


def written(root: Path, kind: str) -> Workspace:
    """Write the case of a kind: its declarations, its raw files as they arrive, and its dvc.yaml."""
    data, path, holdout, _ = KINDS[kind]
    case = f"visits_{kind.replace(' ', '_')}"
    subprocess.run(["git", "init", "--quiet", str(root)], check=True)
    before = Partition.of(holdout).plus(-1)
    write_case(root, case, path)
    rows = ROWS if kind != "years" else [ROWS[0] | {"id": "-1", "at": "2023-12-01T00:00:00Z", "paid_at": ""}, *ROWS]

    def name(at: datetime) -> str:
        local = at.astimezone(PARIS).replace(tzinfo=None)
        periods: tuple[Period, ...] = ("hour", "day", "week", "month", "quarter", "year")
        keys = {period: str(Partition.at(local, period)) for period in periods}
        return path.format(**keys, partition=keys["week"])

    write_rows(root, rows, name)
    (root / "params.yaml").write_text(params(case, data, (data["first"], str(before)), (holdout, data["last"])))
    place = workspace(root)
    write_definition(place)
    return place


def features(place: Workspace) -> pl.DataFrame:
    """Ingest and build every group, and return all features in the order of their rows."""
    groups = [str(group) for group in place.partitions.groups()]
    for key in (layout.STATIC, *groups):
        ingest(place, key)
    for key in groups:
        build(place, key)
    return pl.concat([pl.read_parquet(place.root / layout.features(key)) for key in groups])


@pytest.fixture(scope="module")
def monthly(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, pl.DataFrame]:
    """Return the case with months, and its features."""
    place = written(tmp_path_factory.mktemp("months"), "months")
    return place, features(place)


@pytest.mark.parametrize(
    "kind",
    by_day(
        [kind for kind in KINDS if kind != "months"],
        "days in months",
        "weeks in months",
        "months in quarters",
        "years",
        "none",
    ),
)
def test_every_period_gives_the_features_of_months(
    kind: str, monthly: tuple[Workspace, pl.DataFrame], tmp_path: Path
) -> None:
    """The same rows, however they arrive and however many one file holds: every value is equal.

    A split inside a group holds days in weeks to months as well, and weeks in months are weeks.
    """
    place, table = written(tmp_path, kind), monthly[1]
    ours = features(place)
    if kind == "years":  # of the year before there is weather, which the first days of this one can see
        ours, table = (
            frame.filter(pl.col("as_of") >= (START + timedelta(days=3)).astimezone(UTC)) for frame in (ours, table)
        )
    assert ours.equals(table, null_equal=True)
    assert ours["shop_spent_count_16d"].max() > 50  # type: ignore[operator]
    raw = [pl.read_parquet(place.root / layout.raw("weather", str(group))) for group in place.partitions.groups()]
    assert pl.concat(raw)["event_time"].is_unique().all()  # the function gives all days, whichever it is asked for
    check_definition(place)
    assert len(place.partitions.groups()) == KINDS[kind][3]
    content = yaml.safe_load((tmp_path / "dvc.yaml").read_text(encoding="utf-8"))
    assert set(content["vars"][0]["partitions"]) == {str(group) for group in place.partitions.groups()}


@pytest.mark.parametrize("kind", by_day(["days in weeks", "days in months", "none"], "days in months"))
def test_a_split_inside_a_group_takes_the_rows_of_its_partitions(
    kind: str, monthly: tuple[Workspace, pl.DataFrame], tmp_path: Path
) -> None:
    """March begins on a Friday: the file of that week, or of everything, is cut at its first timestamp."""
    place, (months, _) = written(tmp_path, kind), monthly
    features(place)
    ours, theirs = training_set(place), training_set(months)
    assert (ours.train.rows, ours.holdout.rows) == (theirs.train.rows, theirs.holdout.rows)
    assert ours.train.without_label == theirs.train.without_label > 0
    assert ours.train.label_known_too_late == theirs.train.label_known_too_late > 0
    for path in (layout.TRAIN, layout.HOLDOUT):
        one, other = (pl.read_parquet(workspace.root / path) for workspace in (place, months))
        assert one.equals(other, null_equal=True)


def test_a_snapshot_refuses_the_times_that_a_build_refuses(tmp_path: Path) -> None:
    """It is made of the same files, maybe before any build; as a local time a payment would come an hour early."""
    place = written(tmp_path, "months")
    for key in (layout.STATIC, "2024-01", "2024-02", "2024-03"):
        ingest(place, key)
    snapshot(place, None, None, tmp_path / "snapshot.bin", None, 0)
    for key in ("2024-01", "2024-02", "2024-03"):
        path = tmp_path / layout.raw("visits", key)
        frame = pl.read_parquet(path)
        frame.with_columns(pl.col("paid_at").dt.replace_time_zone(None)).write_parquet(path)
    with pytest.raises(SourceError, match="`paid_at` of table `visits` is local time, not a timestamp"):
        snapshot(place, None, None, tmp_path / "snapshot.bin", None, 0)


def test_a_group_is_filled_up_to_the_partition_that_its_command_names(tmp_path: Path) -> None:
    """What comes after it is left to the next run; a source that is read as a whole is cut there."""
    place = written(tmp_path, "days in months")
    ingest(place, "2024-03", through="2024-03-20")
    frames = [pl.read_parquet(tmp_path / layout.raw(table, "2024-03")) for table in ("visits", "weather")]
    ends = [frame["event_time"].dt.convert_time_zone(ZONE).max() for frame in frames]
    assert [str(end)[:10] for end in ends] == ["2024-03-20", "2024-03-20"]
    lines = (tmp_path / "dvc.yaml").read_text(encoding="utf-8")
    assert "leverframe ingest --partition ${key} --through ${item.last}" in lines
    assert "leverframe validate --partition ${key} --through ${item.last}" in lines
    assert "leverframe build --partition ${key}\n" in lines
    with pytest.raises(SettingsError, match="`2024-W01` is not a partition that has files"):
        ingest(place, "2024-W01")


def test_each_group_depends_on_the_files_of_its_partitions(tmp_path: Path) -> None:
    """A constant number of entries, the last file again where a group has fewer; folders around it by their keys."""
    place = written(tmp_path, "days in months")
    content = yaml.safe_load(definition(place)["dvc.yaml"])
    read = [path for path in content["stages"]["ingest"]["do"]["deps"] if path.startswith("raw/")]
    assert len(read) == 31
    assert read[0] == "raw/visits/${key}/${item.day_1}.csv"
    february = content["vars"][0]["partitions"]["2024-02"]
    assert [february[name] for name in ("day_1", "day_29", "day_31")] == ["2024-02-01", "2024-02-29", "2024-02-29"]
    assert february["last"] == "2024-02-29"
    quarters = written(tmp_path / "quarters", "months in quarters")
    content = yaml.safe_load(definition(quarters)["dvc.yaml"])
    assert "raw/visits/${item.year_of_month_2}/${item.month_2}.csv" in content["stages"]["ingest"]["do"]["deps"]
    quarter = content["vars"][0]["partitions"]["2024-Q1"]
    assert (quarter["year_of_month_2"], quarter["month_2"]) == ("2024", "2024-02")


def test_a_file_of_a_day_holds_that_day_alone(tmp_path: Path) -> None:
    """A row of another day would be lost: no other partition looks into the file."""
    place = written(tmp_path, "days in months")
    file = tmp_path / "raw/visits/2024-01/2024-01-05.csv"
    head, first, *rest = file.read_text().splitlines()
    file.write_text("\n".join([head, first.replace(",2024-01-05T", ",2024-01-09T", 1), *rest]))
    with pytest.raises(SourceError, match="1 rows in the file of 2024-01-05 for table `visits` lie outside of it"):
        ingest(place, "2024-01")
    file.unlink()
    with pytest.raises(SourceError, match=r"no file matches `raw/visits/2024-01/2024-01-05\.csv`"):
        ingest(place, "2024-01")


def test_a_placeholder_finer_than_the_partitions_is_refused(tmp_path: Path) -> None:
    """Months have no day to put into a path."""
    place = written(tmp_path, "months")
    sources = tmp_path / "visits_months/sources.py"
    sources.write_text(sources.read_text().replace("{month}", "{day}"))
    other = tmp_path / "visits_finer"
    (tmp_path / "visits_months").rename(other)
    (tmp_path / "params.yaml").write_text(
        (tmp_path / "params.yaml").read_text().replace("visits_months", "visits_finer")
    )
    with pytest.raises(DefinitionError, match=r"has `\{day\}` in its path, and a partition is a month"):
        definition(workspace(tmp_path))
    assert place.partitions.group == "month"


def test_a_default_grouping_that_changes_is_told(tmp_path: Path) -> None:
    """Fifteen weeks become months, which makes everything anew: the settings can keep the weeks."""
    place = written(tmp_path, "days in weeks")
    assert regrouped(place) is None
    text = (tmp_path / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(text.replace("last: '2024-03-31'", "last: '2024-04-10'"))
    note = regrouped(workspace(tmp_path))
    assert note is not None
    assert "`group: week` under `data`" in note
    (tmp_path / "params.yaml").write_text(text.replace("period: day", "period: day\n  group: month"))
    assert regrouped(workspace(tmp_path)) is None
    assert grouping_of("stages: {}\n") is None


@pytest.mark.parametrize(
    ("days", "first", "grouped", "quarters"),
    [
        (45, datetime(2023, 11, 27, tzinfo=PARIS), {"group": "quarter"}, ["2023-Q4", "2024-Q1"]),
        pytest.param(
            400,
            datetime(2023, 1, 31, tzinfo=PARIS),
            {},
            ["2023-Q1", "2023-Q2", "2023-Q3", "2023-Q4", "2024-Q1"],
            marks=pytest.mark.deep,
        ),
    ],
)
def test_a_day_more_of_many_runs_its_group_and_what_is_behind_it(
    tmp_path: Path, days: int, first: datetime, grouped: dict[str, str], quarters: list[str]
) -> None:
    """Daily files over months: few stages, one day adds the stages of its quarter, and the levers work.

    Of 400 days quarters are the default (`test_partition.py` holds defaults).
    """
    repository = WarmRepository.create(tmp_path)
    write_case(repository.root, "daily", "raw/visits/{day}.csv")
    rows = visits(first, first + timedelta(days=days + 1), 180)
    write_rows(repository.root, rows, lambda at: f"raw/visits/{at.astimezone(PARIS).date()}.csv")
    newest = str((first + timedelta(days=days)).date())
    new_day = repository.read(f"raw/visits/{newest}.csv")
    (repository.root / f"raw/visits/{newest}.csv").unlink()
    last = str((first + timedelta(days=days - 1)).date())
    data = {"period": "day", **grouped, "first": str(first.date()), "last": last}
    repository.write("params.yaml", params("daily", data, (data["first"], "2023-12-10"), ("2023-12-11", data["last"])))
    repository.write("leverframe.yaml", "gate: {metrics: {auc: {maximum_drop: 0.02}}}\n")
    repository.run("leverframe", "stages", "--write")
    repository.commit("A case with daily data")
    shop = Shop(repository)
    every = {f"{stage}@{quarter}" for stage in ("ingest", "validate", "build") for quarter in quarters}
    behind = {"training-set", "evaluate", "snapshot", "parity", "bundle"}
    assert shop.repro() == {*every, *behind, "train", "ingest-static", "validate-static"}
    repository.commit("Reproduced")

    repository.git("checkout", "--quiet", "-b", "a-day-more")
    repository.write(f"raw/visits/{newest}.csv", new_day)
    repository.write("params.yaml", repository.read("params.yaml").replace(data["last"], newest))
    repository.run("leverframe", "stages", "--write")
    of_the_group = {f"{stage}@2024-Q1" for stage in ("ingest", "validate", "build")}
    assert shop.stale() == {*of_the_group, *behind, "train"}
    assert shop.repro() == {*of_the_group, *behind}  # the model learns from none of it, which DVC finds on the way
    table = pl.read_parquet(repository.root / layout.raw("visits", "2024-Q1"))
    assert str(table["event_time"].dt.convert_time_zone(ZONE).max())[:10] == newest
    assert json.loads(repository.read("reports/parity.json"))["verdict"] == "passed"
    repository.commit("A day more")
    gate = shop.run("gate", "--base", "main", "--json")
    assert (gate.code, json.loads(gate.stdout)["verdict"]) == (0, "passed"), gate.stdout + gate.stderr
    asked = ["--as-of", f"{(first + timedelta(days=days + 1)).date()}T00:00+01:00", "-e", "shop=a", "-e", "town=x"]
    answer = shop.run("features", "get", *asked, "--snapshot", "models/bundle/snapshot.bin", "--json")
    assert answer.code == 0, answer.stderr
    assert json.loads(answer.stdout)["features"]["shop_spent_count_16d"] > 0
    assert served(shop) == 200


def served(shop: Shop) -> int:
    """Serve the bundle, send the example that the server shows, and return the status of the response."""
    started = shop.run("serve", "--port", "0", "--grpc-port", "0", "--metrics-port", "0", "--json")
    assert started.code == 0, started.stderr
    report = json.loads(started.stdout)
    connection = http.client.HTTPConnection("127.0.0.1", report["running"]["port"], timeout=60)
    try:
        body = json.dumps(report["example"])
        connection.request("POST", "/v2/models/visits/infer", body, {"content-type": "application/json"})
        return connection.getresponse().status
    finally:
        connection.close()
        assert shop.run("serve", "--stop").code == 0
