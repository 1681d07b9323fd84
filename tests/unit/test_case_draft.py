"""A case drafted from tables: what is chosen, how times are read, and that what is written can be read again."""

from __future__ import annotations

import ast
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from leverframe.adapters.polars.table_facts import facts_of
from leverframe.domain.features.plan import compile_star
from leverframe.domain.features.star import read_star
from leverframe.domain.pipeline.case_draft.case_choice import Choice, DraftOptions, choice
from leverframe.domain.pipeline.case_draft.case_texts import files_of, summary_lines
from leverframe.domain.pipeline.case_draft.table_facts import TableFacts, plain_name
from leverframe.errors import SettingsError
from leverframe.settings.levers import levers_of
from leverframe.settings.params import params_of
from leverframe.yaml_files import parse

ROWS = 120
START = datetime(2025, 1, 1, tzinfo=UTC)
DAYS = [START + timedelta(days=number) for number in range(ROWS)]
HALVES = [number % 2 for number in range(ROWS)]
PLACES = ["north", "south", "east"] * (ROWS // 3)
NUMBERS = [float(number % 17) for number in range(ROWS)]


def table(path: str = "raw/visits.csv", /, **columns: Any) -> TableFacts:
    return TableFacts(path, facts_of(pl.DataFrame(columns)))


def visits(**columns: Any) -> TableFacts:
    return table(**({"id": list(range(ROWS)), "place": PLACES, "x": NUMBERS, "y": HALVES, "at": DAYS} | columns))


def chosen(*tables: TableFacts, label: str = "y", time: str | None = "at", key: tuple[str, ...] = ()) -> Choice:
    return choice(tables or (visits(),), DraftOptions(label, time, key))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (HALVES, "binary"),
        ([bit == 1 for bit in HALVES], "binary"),
        (["yes" if bit else "no" for bit in HALVES], "binary"),
        (PLACES, "multiclass"),
        ([number % 5 for number in range(ROWS)], "multiclass"),
        ([float(number % 2) for number in range(ROWS)], "binary"),
        ([number * 3 for number in range(ROWS)], "regression"),
        ([number / 7 for number in range(ROWS)], "regression"),
    ],
)
def test_the_kind_of_a_label_follows_from_its_values(values: list[Any], kind: str) -> None:
    assert chosen(visits(y=values)).kind == kind


@pytest.mark.parametrize("values", [[1] * ROWS, [f"name {number}" for number in range(ROWS)], [None] * ROWS])
def test_what_cannot_be_learnt_is_refused(values: list[Any]) -> None:
    with pytest.raises(SettingsError):
        chosen(visits(y=values))


@pytest.mark.parametrize("options", [{"label": "z"}, {"time": "when"}, {"key": ("who",)}, {"time": "place"}])
def test_a_column_that_is_not_there_or_holds_no_time_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as error:
        chosen(**options)
    assert error.value.next


@pytest.mark.parametrize(
    "form",
    ["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S+00:00", "%Y-%m-%d", "%d.%m.%Y", "%Y-%m-%dT%H:%M"],
)
def test_texts_are_read_as_times_by_the_form_that_reads_all(form: str) -> None:
    texts = [day.strftime(form) for day in DAYS]
    column = table(at=texts).column("at")
    assert column is not None
    assert (column.first, column.last) == (DAYS[0], DAYS[-1])
    made = pl.DataFrame({"at": texts}).select(at=eval(column.as_time, {"pl": pl}))  # noqa: S307 - it is ours
    assert made["at"].to_list() == DAYS


@pytest.mark.parametrize("unit", [1, 1000])
def test_seconds_and_milliseconds_are_times_and_small_numbers_are_none(unit: int) -> None:
    column = table(at=[int(day.timestamp()) * unit for day in DAYS]).column("at")
    assert column is not None
    assert column.first == DAYS[0]
    small = table(at=list(range(ROWS))).column("at")
    assert small is not None
    assert small.as_time == ""


def test_the_last_part_of_the_time_is_held_out() -> None:
    assert chosen().split.holdout == ("2025-04", "2025-04")
    short = visits(at=[START + timedelta(hours=12 * number) for number in range(ROWS)])
    assert chosen(short).split == chosen(short).split.__class__(
        "day", ("2025-01-01", "2025-02-15"), ("2025-02-16", "2025-03-01")
    )
    hours = visits(at=[START + timedelta(hours=number) for number in range(ROWS)])
    assert (chosen(hours).split.period, chosen(hours).time) == ("none", None)
    half = visits(at=[START + timedelta(days=1.1 * number) for number in range(ROWS)])
    assert chosen(half).split.holdout == ("2025-04", "2025-05")  # eleven days of May tell too little


def test_tables_are_joined_by_equal_keys_and_it_is_said() -> None:
    first = visits(who=[number % 10 for number in range(ROWS)])
    people = table("raw/people.csv", who=list(range(10)), age=[20 + number for number in range(10)])
    clicks = table("raw/clicks.csv", who=[number % 10 for number in range(ROWS)], clicked=DAYS, seconds=NUMBERS)
    other = table("raw/other.csv", stock=list(range(10)))
    draft = chosen(first, people, clicks, other)
    assert [join.how for join in draft.joins] == ["looked up", "counted", "left out"]
    words = " ".join(summary_lines(draft))
    assert "raw/people.csv is looked up by `who`" in words
    assert "raw/clicks.csv is counted by `who` over the 28 days before" in words
    assert "raw/other.csv is left out: it has no column of raw/visits.csv" in words


def test_names_of_rows_and_constants_are_left_out_of_the_features() -> None:
    draft = chosen(visits(note=[f"note {number}" for number in range(ROWS)], country=["fr"] * ROWS))
    assert [column.name for column in draft.features] == ["place", "x"]
    assert "left out, as they name rows or hold one value: `note`, `country`" in summary_lines(draft)
    with pytest.raises(SettingsError):
        chosen(table(id=list(range(ROWS)), y=HALVES, at=DAYS))


def test_two_columns_that_a_case_would_call_alike_are_refused() -> None:
    with pytest.raises(SettingsError) as error:
        chosen(visits(X=NUMBERS))
    assert "both called `x`" in error.value.what


@pytest.mark.parametrize(
    ("text", "name"), [("Visit ID", "visit_id"), ("2024", "c_2024"), ("class", "c_class"), ("ü", "column")]
)
def test_names_become_those_that_a_case_takes(text: str, name: str) -> None:
    assert plain_name(text) == name


CASES = {
    "timed": (visits(),),
    "odd names": (table(**{"Visit ID": list(range(ROWS)), "Was es kostet": NUMBERS, "y": PLACES, "at": DAYS}),),
    "joined": (
        visits(who=[number % 10 for number in range(ROWS)]),
        table("raw/people.csv", who=list(range(10)), age=[20 + number for number in range(10)]),
        table("raw/clicks.csv", who=[number % 10 for number in range(ROWS)], clicked=DAYS, seconds=NUMBERS),
    ),
    "gaps": (visits(x=[None, *NUMBERS[1:]], y=[None, *HALVES[1:]]),),
}


@pytest.mark.parametrize("timed", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_what_is_written_can_be_read(tmp_path: Path, name: str, timed: bool) -> None:
    files = files_of(chosen(*CASES[name], time="at" if timed else None))
    for path, text in files.items():
        assert max(map(len, text.splitlines())) <= 160, path
        if path.endswith(".py"):
            ast.parse(text)
    params = params_of(parse(files["params.yaml"], name="params.yaml", what="x"), name="params.yaml")
    assert levers_of(files["leverframe.yaml"], name="leverframe.yaml").gate.metrics
    (tmp_path / "star.yaml").write_text(files["pipelines/visits/star.yaml"])
    plan = compile_star(read_star(tmp_path / "star.yaml"))
    assert params.features.label in [label.name for label in plan.labels]
