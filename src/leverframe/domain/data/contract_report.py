"""The results of the constraints of a partition, and the error that names the failed ones."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from leverframe.domain import layout
from leverframe.domain.data.constraint import Constraint, Severity
from leverframe.domain.data.profile import table_profile
from leverframe.domain.data.statistics import TableStatistics
from leverframe.domain.verdict import Failed, Passed, Skipped, Verdict, together, word
from leverframe.errors import ContractError
from leverframe.words import and_more, first_few

_NAMED = 3  # constraints that the error names
_LISTED = 20  # constraints that a terminal shows


@dataclass(frozen=True)
class Report:
    """Every constraint of the tables of one partition, in a fixed order, and the statistics of the tables."""

    partition: str
    constraints: tuple[Constraint, ...]
    tables: tuple[TableStatistics, ...]

    @property
    def verdict(self) -> Verdict:
        """Return failed if a constraint of severity error fails; warnings never fail."""
        return _verdict(self.constraints)

    def failed(self) -> list[Constraint]:
        """Return the failed constraints, errors first, otherwise in their order."""
        failed = [constraint for constraint in self.constraints if constraint.failed]
        return sorted(failed, key=lambda constraint: constraint.severity is Severity.WARN)

    def summary(self) -> str:
        """Return one line that counts the results of the checks."""
        results = Counter(
            "warned" if constraint.failed and not constraint.fatal else word(constraint.verdict)
            for constraint in self.constraints
        )
        return counts(*(results[outcome] for outcome in ("passed", "failed", "warned", "skipped")))

    def to_text(self) -> str:
        """Return the verdict and the failed constraints as lines for a terminal."""
        failed = [f"  {constraint.severity}: {sentence(constraint)}" for constraint in self.failed()]
        more = and_more(len(failed) - _LISTED, "  and ")
        return "\n".join([f"{self.partition}: {word(self.verdict)}; {self.summary()}", *failed[:_LISTED], *more])

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain values, the same for the same data."""
        tables = dict.fromkeys(constraint.table for constraint in self.constraints)
        return {
            "partition": self.partition,
            **_verdict_json(self.verdict),
            "tables": {name: self._table(name) for name in tables},
        }

    def profile(self) -> dict[str, Any]:
        """Return the statistics of the tables as nested values; aggregates only."""
        return {"partition": self.partition, "tables": {table.table: table_profile(table) for table in self.tables}}

    def raise_if_failed(self, *, kept: bool = True) -> None:
        """Raise ``ContractError`` that names the first failed constraints, if the verdict is failed.

        Of a report that is not ``kept`` in a file it names more.
        """
        fatal = [constraint for constraint in self.constraints if constraint.fatal]
        if not fatal:
            return
        named = _NAMED if kept else _LISTED
        read = f"read {layout.contract_report(self.partition)}; then " if kept else ""
        raise ContractError(
            f"{self.partition} violates {len(fatal)} of its {len(self.constraints)} constraints",
            why=first_few([sentence(constraint) for constraint in fatal], named, "; ", "; and "),
            next=f"{read}fix the source, or change the contract in a pull request if the new data are correct",
        )

    def _table(self, name: str) -> dict[str, Any]:
        constraints = [constraint for constraint in self.constraints if constraint.table == name]
        rows = next((table.current.rows for table in self.tables if table.table == name), None)
        return {
            **_verdict_json(_verdict(constraints)),
            "rows": rows,
            "checks": [_constraint_json(constraint) for constraint in constraints],
        }


def counts(passed: int, failed: int, warned: int, skipped: int) -> str:
    """Return the results of checks in one line; a warned check failed with severity warn."""
    warnings = f"{warned:,} warning{'' if warned == 1 else 's'}"
    checks = passed + failed + warned + skipped
    return f"{passed:,} of {checks:,} checks passed, {failed:,} failed, {warnings}, {skipped:,} skipped"


def sentence(constraint: Constraint) -> str:
    """Return a failed constraint as one sentence without markup."""
    column = f" of `{constraint.column}`" if constraint.column else ""
    rows = f", {counted(constraint)}" if constraint.count is not None else ""
    samples = f", such as {constraint.samples[0]}" if constraint.samples else ""
    detail = f" ({constraint.detail})" if constraint.detail else ""
    return f"{constraint.table}: {constraint.check}{column}{rows}{samples}{detail}".replace("\n", " ")


def counted(constraint: Constraint) -> str:
    """Return how many rows violate a constraint, with their share if it is known."""
    share = f" ({constraint.share:.2%})" if constraint.share is not None else ""
    return f"{constraint.count:,} row{'' if constraint.count == 1 else 's'}{share}"


def _verdict(constraints: tuple[Constraint, ...] | list[Constraint]) -> Verdict:
    return together(
        constraint.verdict if constraint.fatal or not constraint.failed else Passed() for constraint in constraints
    )


def _verdict_json(verdict: Verdict) -> dict[str, Any]:
    content: dict[str, Any] = {"verdict": word(verdict)}
    if isinstance(verdict, Failed):
        content["reasons"] = [str(reason) for reason in verdict.reasons]
    if isinstance(verdict, Skipped):
        content["because"] = verdict.because
    return content


def _constraint_json(constraint: Constraint) -> dict[str, Any]:
    content: dict[str, Any] = {
        "check": constraint.check,
        "column": constraint.column or None,
        "severity": str(constraint.severity),
        **_verdict_json(constraint.verdict),
        "count": constraint.count,
        "share": constraint.share,
        "samples": list(constraint.samples),
        "detail": constraint.detail or None,
    }
    return {name: value for name, value in content.items() if value not in (None, [])}
