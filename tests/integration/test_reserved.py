"""Names that something of ours or of an engine has too: in every role a column is just a column, or is refused."""

from __future__ import annotations

import functools
import json
import re
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from leverframe.adapters.disk import Disk
from leverframe.adapters.duckdb.provenance import provenance
from leverframe.adapters.duckdb.sketch import DuckDBSketcher
from leverframe.adapters.duckdb.splits import DuckDBSplitter
from leverframe.adapters.duckdb.statistics import DuckDBStatistician
from leverframe.documents import validated
from leverframe.domain import layout
from leverframe.domain.data.profile import table_profile
from leverframe.domain.data.sketch import summed
from leverframe.domain.data.statistics import Duplicates, Survey
from leverframe.domain.features.build import needed_files, run
from leverframe.domain.features.plan import compile_star
from leverframe.domain.features.reserved import in_predictions
from leverframe.domain.features.split import SplitPart
from leverframe.domain.features.star import Star
from leverframe.errors import DefinitionError, SettingsError
from tests.integration.test_build_types import served
from tests.integration.worlds import ENGINE, MARCH, WORLD
from tests.profiles import by_day

OURS = [
    "label", "as_of", "_versions", "y_versions", "y_known_at", "label_known_at", "recorded_at", "event_time",
    "known_at",
    "month", "score", "prediction", "probability_1", "fold", "id", "LABEL", "As_Of", "Month",
]  # fmt: skip
ENGINES = [
    "file_row_number", "file_index", "filename", "rowid", "_metadata", "__row", "__at", "__code", "__value", "__file",
    "FILE_ROW_NUMBER", "hive", "index", "literal",
]  # fmt: skip
WORDS = ["n", "v", "c0", "k0", "s", "each", "key", "row", "code", "value", "current", "select"]  # of our own queries
ROLES = [
    "other", "spine column", "spine key", "step key", "fact column", "fact time", "dimension column", "dimension key",
    "label column", "measure", "dimension", "entity", "label",
]  # fmt: skip
TABLES = ROLES[:9]  # roles that are columns of tables
WHOLE = ("other", "fact column")
TIMES = ("event_time", "known_at")
NAME = re.compile(r"[a-z][a-z0-9_]*")  # of entities and the like
AT = datetime(2020, 3, 2, 12, tzinfo=UTC)


def case(names: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, pl.DataFrame]]:
    """Return a star and its tables, in which each role has its name; values do not depend on it."""
    n = {role: names.get(role, "q_" + role.replace(" ", "_")) for role in ROLES}
    star = {
        "entities": {"visit": [n["spine key"]], n["entity"]: [n["step key"]]},
        "spine": {"table": "visits", "key": "visit", "columns": [n["spine column"]]},
        "facts": {"events": {"table": "events", "known_at": n["fact time"], "max_lag": "3d"},
                  "ends": {"table": "ends", "known_at": "ended_at", "max_lag": "3d"}},
        "dimensions": {n["dimension"]: {"table": "places", "key": n["entity"], "columns": [n["dimension column"]],
                                        "match": {n["step key"]: n["dimension key"]}}},
        "measures": {n["measure"]: {"fact": "events", "key": n["entity"], "windows": ["2d"],
                                    "of": {n["fact column"]: ["sum", "last", "distinct"]}}},
        "labels": {n["label"]: {"fact": "ends", "column": n["label column"], "kind": "binary", "at_least": 1}},
    }  # fmt: skip
    at = [AT + timedelta(hours=hour) for hour in (5, 3, 9, 1, 7)]
    times = {"event_time": at, "known_at": at}
    tables = {
        "visits": {n["spine key"]: [1, 2, 3, 4, 5], n["step key"]: [7, 8, 7, None, 9],
                   n["spine column"]: [0.5, -1.0, 4.0, None, 2.5], n["other"]: [4, 3, 2, 1, 0]} | times,
        "events": {n["step key"]: [7, 7, 8, 7, 9], n["fact column"]: [2.0, 3.0, None, 5.0, 7.0],
                   n["fact time"]: at, n["other"]: [4, 3, 2, 1, 0]} | times,
        "ends": {n["spine key"]: [1, 2, 3, 4, 5], n["label column"]: [1, 0, 2, None, 0],
                 "ended_at": [timestamp + timedelta(hours=1) for timestamp in at], n["other"]: [4, 3, 2, 1, 0]} | times,
        "places": {n["dimension key"]: [9, 7, 8], n["dimension column"]: ["x", "y", None], n["other"]: [2, 1, 0]},
    }  # fmt: skip
    frames = {name: pl.DataFrame(columns) for name, columns in tables.items()}
    return star, frames


def everything(names: Mapping[str, str], *, whole: bool = True) -> list[Any]:
    """Return what comes of a case, without names: features, training set; origins and statistics of the ``whole``."""
    star, frames = case(names)
    plan = compile_star(validated(Star, star, name="star.yaml"))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for table, frame in frames.items():
            for month in ["static"] if table == "places" else ["2020-01", "2020-02", "2020-03"]:
                path = root / layout.raw(table, month)
                path.parent.mkdir(parents=True, exist_ok=True)
                (frame if month in ("static", str(MARCH)) else frame.clear()).write_parquet(path)
        run(plan, MARCH, WORLD, ENGINE, Disk(root).exists, root)
        built = root / layout.features(str(MARCH))
        columns = tuple(dict.fromkeys([*plan.keys, *plan.features()]))
        counted = DuckDBSplitter().cut(
            SplitPart((built,), plan.labels[0].name, columns, AT + timedelta(hours=9)), root / "t"
        )
        results: list[Any] = [pl.read_parquet(built).rows(), counted, pl.read_parquet(root / "t").rows()]
        if whole:
            served(plan, root)
            files = needed_files(plan, MARCH, WORLD, Disk(root).exists, root)
            results.append([(origin.value, origin.rows) for origin in provenance(plan, built, files, 2)])
        for table in ("visits", "events") if whole else ():
            path = root / layout.raw(table, str(MARCH))
            keys = (Duplicates(tuple(frames[table].columns[:2])),)
            measured = DuckDBStatistician(2).measure(Survey(table, str(MARCH), path, "UTC", questions=keys))
            summary = summed(DuckDBSketcher(), path, (), measured.current.columns)
            results += [list(table_profile(measured)["columns"].values()), list(summary["columns"].values())]
            results += [sorted(str(response) for response in measured.answers.values()), summary["strata"]]
        return json.loads(json.dumps(results, default=str))  # type: ignore[no-any-return]


def refusal(names: Mapping[str, str], *, compiled: bool = False) -> str | None:
    """Return what an error of ours says of a case with these names, if one comes; else its values are the plain ones.

    ``compiled`` goes no further than the star. Of several names each role has its own, and all must do at once.
    """
    whole = len(names) > 1 or any(role in WHOLE for role in names)
    try:
        if compiled:
            compile_star(validated(Star, case(names)[0], name="star.yaml"))
        else:
            assert everything(names, whole=whole) == (plain() if whole else plain()[:3]), names
    except (SettingsError, DefinitionError) as error:
        return error.render().casefold()
    return None


def refusals(names: Mapping[str, str]) -> dict[str, str]:
    """Return what is said of each role whose name is refused, alone if need be: halves are tried until it is known."""
    try:
        message = refusal(names)
    except Exception as error:
        if len(names) == 1:
            error.add_note(f"with the names {names}")
            raise
        message = "something is wrong with one of them"
    if message is None or len(names) == 1:
        return dict.fromkeys(names, message) if message else {}
    roles = list(names)
    halves = roles[: len(roles) // 2], roles[len(roles) // 2 :]
    return {role: text for half in halves for role, text in refusals({key: names[key] for key in half}).items()}


@functools.cache
def plain() -> list[Any]:
    """Return what comes of the case with names that nothing else has."""
    return everything({})


@pytest.mark.parametrize("names", by_day([OURS, ENGINES, WORDS], OURS), ids=["ours", "engines", "words"])
def test_a_name_of_ours_is_just_a_name_or_is_refused(names: list[str]) -> None:
    """No name changes a value, an order or a count, whatever is called so; errors are ours and name it."""
    roles = TABLES if names is WORDS else ROLES
    refused: dict[str, dict[str, str]] = {role: {} for role in roles}  # by role and name: the error's text
    tried = 0
    for shift in range(len(names)):
        case_of = {role: names[(shift + number) % len(names)] for number, role in enumerate(roles)}
        case_of = {role: name for role, name in case_of.items() if not (name in TIMES and role in TABLES)}  # have these
        tried += len(case_of)
        outcomes = {role: refusal({role: name}, compiled=True) for role, name in case_of.items()}
        errors = {role: text for role, text in outcomes.items() if text}
        left = {role: name for role, name in case_of.items() if role not in errors}
        alone = {role: name for role, name in left.items() if name.startswith("__")}  # are refused when files are read
        for role, name in alone.items():
            errors |= refusals({role: name})
        errors |= refusals({role: name for role, name in left.items() if role not in alone})
        for role, text in errors.items():
            refused[role][case_of[role]] = text
    assert tried == len(names) * len(roles) - sum(name in TIMES for name in names) * len(TABLES)
    for role, texts in refused.items():
        for name, text in texts.items():
            assert any(
                words in text for words in ("reserved", "would be called", "makes itself", "a name has", "pattern")
            ), (
                name,
                text,
            )
        mine = {name for name in ENGINES if name.startswith("__")} | {*OURS}
        mine |= set() if role in TABLES else {name for name in ENGINES if not NAME.fullmatch(name)}
        assert set(texts) <= mine, (role, texts)
        assert not set(texts) & {"file_row_number", "filename", "rowid", "n", "v", "fold", "prediction"}, (role, texts)


def test_a_column_called_label_is_not_learnt_as_the_label() -> None:
    """It would be the target's duplicate, or the target its own: AUC 1.0."""
    with pytest.raises(DefinitionError, match="`label` is a reserved name") as caught:
        everything({"spine column": "label"})
    assert "training set" in caught.value.why
    with pytest.raises(DefinitionError, match="`Label` is a reserved name"):
        everything({"spine column": "Label"})


def test_slices_cannot_have_the_names_of_predictions() -> None:
    """The file of predictions has both, and DuckDB takes upper case for lower."""
    assert all(map(in_predictions, ["score", "Prediction", "probability_7", "as_of", "LABEL"]))
    assert not any(map(in_predictions, ["month", "scores", "carrier"]))


def test_names_that_differ_in_case_only_are_refused_by_the_star() -> None:
    """A file with both could be read as having one of them twice."""
    with pytest.raises(DefinitionError, match="two columns would be called `Q_a` and `q_a`"):
        everything({"spine column": "q_a", "step key": "Q_a"})


def test_a_folder_called_like_a_partition_adds_no_column(tmp_path: Path) -> None:
    """DuckDB would read `hour=3` as a column of every file below it."""
    folder = tmp_path / "hour=3" / "visits"
    folder.mkdir(parents=True)
    pl.DataFrame({"x": [1]}).write_parquet(folder / "2020-03.parquet")
    assert ENGINE.columns([folder / "2020-03.parquet"]) == {"x": "number"}
