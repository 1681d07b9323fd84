"""The record of a stage, and the files that it leaves behind."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from leverframe.adapters.stage_log import recording, records
from leverframe.documents import parsed, plain
from leverframe.domain.pipeline.stage_log import Outcome, StageRecord, table
from leverframe.errors import SourceError


def record(stage: str, seconds: float, **more: object) -> StageRecord:
    return StageRecord(stage, "", 1.0, seconds, seconds, 100.0, "x.log", Outcome.DONE, **more)  # type: ignore[arg-type]


def test_a_table_has_bars_and_a_sum() -> None:
    failed = StageRecord("train", "", 2.0, 1.0, 0.5, 250.0, "x.log", Outcome.FAILED, error="no rows")
    lines = table([failed, record("build", 4.0, rows=1234)]).splitlines()
    assert lines[0].split() == ["stage", "seconds", "cpu", "MB", "rows"]
    assert lines[1].split() == ["build", "4.0", "4.0", "100", "1,234", "█" * 24]
    assert lines[2].endswith("█" * 6 + " failed: no rows")
    assert lines[3].split() == ["2", "stages", "5.0", "4.5", "250"]
    assert table([]) == "no stage has run yet"


def test_a_record_survives_json() -> None:
    one = record("build", 4.0, rows=3, notes=("a",))
    assert parsed(StageRecord, json.dumps(plain(one))) == one
    for content in ({}, {"outcome": "lost"}, {"outcome": "done"}):
        with pytest.raises(ValueError, match=r"Field required|Input should be"):
            parsed(StageRecord, json.dumps(content))


def test_a_run_leaves_its_record_and_log(tmp_path: Path) -> None:
    logger = logging.getLogger("leverframe.anything")
    logger.setLevel(logging.INFO)
    with recording("build", "2013-01", folder=tmp_path) as run:
        logger.info("reading")
        run.rows(10)
        run.note("two months were empty")
    (record,) = records(tmp_path)
    assert (record.name, record.rows, record.outcome) == ("build@2013-01", 10, Outcome.DONE)
    assert record.notes == ("two months were empty",)
    assert record.peak_mb > 5
    assert record.cpu_seconds >= 0
    assert "reading" in (tmp_path / "build@2013-01.log").read_text()


def test_a_failure_is_recorded_and_goes_on(tmp_path: Path) -> None:
    with pytest.raises(SourceError), recording("ingest", folder=tmp_path):
        raise SourceError("the table is empty", why="-", next="-")
    (record,) = records(tmp_path)
    assert (record.outcome, record.error) == (Outcome.FAILED, "the table is empty")
    assert "the stage failed" in (tmp_path / "ingest.log").read_text()


def test_a_folder_that_cannot_be_made_costs_only_the_record(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with recording("ingest", folder=tmp_path / "file" / "stages") as run:
        run.rows(1)
    assert records(tmp_path / "file" / "stages") == []


def test_what_is_no_record_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "other.json").write_text("[]")
    assert records(tmp_path) == []
