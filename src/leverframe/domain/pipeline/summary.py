"""What a person reads after the pipeline has run: data, contracts, model, time, and where to look next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from leverframe.domain import layout
from leverframe.domain.data.contract_report import counts
from leverframe.domain.features.training_set import TrainingSet
from leverframe.domain.model.evaluate.evaluation_summary import summary_lines
from leverframe.domain.pipeline.stage_log import StageRecord
from leverframe.words import and_more

_WARNINGS = 4  # shown one by one; the rest is counted
_BAR = 20


@dataclass(frozen=True)
class Results:
    """What the pipeline left behind: the reports by partition, and the records of its stages."""

    contracts: Mapping[str, Mapping[str, Any]]
    training_set: TrainingSet
    metrics: dict[str, Any]
    records: Sequence[StageRecord]
    pictures: Sequence[str]


def progress_line(done: int, total: int, stage: str, ended: str) -> str:
    """Return one line of progress, the counter as wide as the total."""
    width = len(str(total))
    return f"[{done:>{width}}/{total}] {stage:<20} {ended}"


def summary(results: Results, example: str) -> list[str]:
    """Return the whole summary; ``example`` is a partition that exists, for the commands to try next."""
    blocks = (
        ("Data", _data(results.contracts)),
        ("Contracts", _contracts(results.contracts)),
        ("Training set", results.training_set.lines()),
        ("Model on the hold-out", summary_lines(results.metrics)),
        ("Time", _times(results.records)),
        ("Pictures", [*results.pictures, f"{layout.MODEL_CARD} shows them with all figures"]),
        ("Try next, after `. .venv/bin/activate`", [f"{command:<60} {what}" for command, what in _next(example)]),
    )
    return [line for title, lines in blocks for line in ("", title, *(f"  {line}" for line in lines))]


def _data(contracts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    rows: dict[str, list[int]] = {}
    for report in contracts.values():
        for table, entry in report["tables"].items():
            rows.setdefault(table, []).append(entry["rows"])
    width = max((len(table) for table in rows), default=0)
    return [
        f"{table:<{width}} {sum(counts):>9,} rows" + (f" in {len(counts)} partitions" if len(counts) > 1 else "")
        for table, counts in sorted(rows.items(), key=lambda item: -sum(item[1]))
    ]


def _contracts(contracts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    checks = [
        (partition, table, check)
        for partition, report in sorted(contracts.items())
        for table, entry in report["tables"].items()
        for check in entry["checks"]
    ]
    warned = [check for check in checks if check[2]["verdict"] == "failed" and check[2]["severity"] == "warn"]
    failed = sum(check["verdict"] == "failed" for *_, check in checks) - len(warned)
    passed = sum(check["verdict"] == "passed" for *_, check in checks)
    lines = [counts(passed, failed, len(warned), len(checks) - passed - failed - len(warned))]
    lines += [f"warn {partition} {table}: {_what(check)}" for partition, table, check in warned[:_WARNINGS]]
    return lines + and_more(len(warned) - _WARNINGS, "and ", f" in {layout.REPORTS}/contracts")


def _what(check: Mapping[str, Any]) -> str:
    of = f" of {check['column']}" if check.get("column") else ""
    sample = f", such as {check['samples'][0]}" if check.get("samples") else ""
    return f"{check['check']}{of}{sample}"


def _times(records: Sequence[StageRecord]) -> list[str]:
    groups: dict[str, list[StageRecord]] = {}
    for record in sorted(records, key=lambda record: record.started):
        groups.setdefault(record.stage, []).append(record)
    if not groups:
        return ["no stage ran on this machine yet"]
    seconds = {stage: sum(record.seconds for record in runs) for stage, runs in groups.items()}
    longest, width = max(seconds.values()) or 1.0, max(map(len, groups))
    lines = [
        f"{stage:<{width}} {seconds[stage]:>6.1f} s  {len(runs):>2} x  "
        f"{max(run.peak_mb for run in runs):>6,.0f} MB  {'█' * max(1, round(seconds[stage] / longest * _BAR))}"
        for stage, runs in groups.items()
    ]
    return [*lines, f"{'in stages':<{width}} {sum(seconds.values()):>6.1f} s; logs in {layout.STAGE_LOGS}"]


def _next(example: str) -> list[tuple[str, str]]:
    return [
        ("leverframe status", "what is stale and why; try it after a change of params.yaml"),
        (f"leverframe explain --partition {example} --row 0", "where each feature of one row came from"),
        ("leverframe diff", "what a change did to tables, features and contracts; from git alone"),
        ("dvc params diff && dvc metrics diff", "what a change did to parameters and model"),
        ("dvc plots show", "the curves in a browser"),
    ]
