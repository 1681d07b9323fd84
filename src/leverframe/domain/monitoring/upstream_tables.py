"""The tables behind the features: what their contracts say of the newest partition, and what is built from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from leverframe.domain import layout
from leverframe.domain.features.online import table_of
from leverframe.domain.features.plan import Plan
from leverframe.domain.monitoring.finding import Finding, Kind, Severity
from leverframe.domain.monitoring.monitor_result import TableFacts
from leverframe.words import first_few

_NAMED = 3  # checks that a finding names


def lineage(plan: Plan | None) -> Mapping[str, tuple[str, ...]]:
    """Return the features that are built from each table, and by each step of a lookup, by its name in a snapshot.

    Those of the spine are its own columns.
    """
    if plan is None:
        return {}
    by_table: dict[str, list[str]] = {plan.spine: list(plan.spine_features)}
    for step in plan.steps:
        by_table.setdefault(step.table, []).extend(step.outputs())
        by_table.setdefault(table_of(step), []).extend(step.outputs())
    return {table: tuple(dict.fromkeys(features)) for table, features in by_table.items()}


def upstream_tables(
    reports: Mapping[str, Any], features: Mapping[str, Sequence[str]]
) -> tuple[tuple[TableFacts, ...], tuple[Finding, ...]]:
    """Return each table as its newest contract report has it, failed ones first, and a finding for each failed one.

    ``reports`` are the contents of ``reports/contracts/`` by partition. Raises ``ValueError`` for a content that is
    not such a report.
    """
    tables: dict[str, TableFacts] = {}
    findings: list[Finding] = []
    static = [key for key in reports if key == layout.STATIC]
    newest = sorted(key for key in reports if key != layout.STATIC)[-1:]
    for partition in (*static, *newest):
        for name, content in _tables(reports[partition], partition).items():
            facts, finding = _table(name, partition, content, tuple(features.get(name, ())))
            tables[name] = facts
            findings += [finding] if finding else []
    order = {"failed": 0, "skipped": 1, "passed": 2}
    listed = sorted(tables.values(), key=lambda table: (order[table.verdict], not table.warned, table.table))
    return tuple(listed), tuple(findings)


def _tables(report: Any, partition: str) -> Mapping[str, Any]:
    tables = report.get("tables") if isinstance(report, dict) else None
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise ValueError(f"the contract report of {partition} has no tables")
    return tables


def _table(
    name: str, partition: str, content: Mapping[str, Any], features: tuple[str, ...]
) -> tuple[TableFacts, Finding | None]:
    checks = content.get("checks")
    checks = [check for check in checks if isinstance(check, dict)] if isinstance(checks, list) else []
    broken = [check for check in checks if check.get("verdict") == "failed"]
    failed = tuple(_words(check) for check in broken if check.get("severity") == "error")
    warned = tuple(_words(check) for check in broken if check.get("severity") != "error")
    verdict = content.get("verdict")
    facts = TableFacts(
        name, partition, verdict if verdict in ("passed", "failed") else "skipped",
        failed, warned, int(content.get("rows") or 0), features,
    )  # fmt: skip
    if not failed:
        return facts, None
    behind = f"{len(features)} features of the model are built from it" if features else "no feature is built from it"
    named = first_few(failed, _NAMED, "; ", ", and ")
    return facts, Finding(
        Kind.TABLE, name, Severity.CRITICAL, partition, partition,
        f"table `{name}` violates its contract in {partition}: {named}; {behind}",
        f"read {layout.contract_report(partition).as_posix()} and fix the source; until then neither retrain nor "
        "deploy with this partition",
    )  # fmt: skip


def _words(check: Mapping[str, Any]) -> str:
    column = f" of `{check['column']}`" if check.get("column") else ""
    count = f", {check['count']:,} rows" if isinstance(check.get("count"), int) else ""
    share = f" ({check['share']:.1%})" if isinstance(check.get("share"), float) else ""
    detail = f": {check['detail']}" if check.get("detail") else ""
    return f"{check.get('check', '')}{column}{count}{share}{detail}"[:300]
