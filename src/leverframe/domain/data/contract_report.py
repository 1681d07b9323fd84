"""What a partition keeps of its promises, and the error that says what it does not."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from leverframe.domain import layout
from leverframe.domain.data.profile import table_profile
from leverframe.domain.data.promise import Promise, Severity
from leverframe.domain.data.statistics import TableStatistics
from leverframe.domain.verdict import Failed, Passed, Skipped, Verdict, together, word
from leverframe.errors import ContractError

_NAMED = 3  # promises that the error names
_LISTED = 20  # promises that a terminal shows


@dataclass(frozen=True)
class Report:
    """Every promise of the tables of one partition, in a fixed order, and what was counted."""

    partition: str
    promises: tuple[Promise, ...]
    tables: tuple[TableStatistics, ...]

    @property
    def verdict(self) -> Verdict:
        """Return failed if a promise of severity error is broken; warnings never fail."""
        return _verdict(self.promises)

    def broken(self) -> list[Promise]:
        """Return the broken promises, errors first, otherwise in their order."""
        broken = [each for each in self.promises if each.broken]
        return sorted(broken, key=lambda each: each.severity is Severity.WARN)

    def summary(self) -> str:
        """Return one line that counts what became of the promises."""
        became = Counter("warned" if each.broken and not each.fatal else word(each.verdict) for each in self.promises)
        return (
            f"{len(self.promises)} promises: {became['passed']} kept, {became['failed']} broken, "
            f"{became['warned']} broken with a warning, {became['skipped']} not decided"
        )

    def to_text(self) -> str:
        """Return the verdict and the broken promises as lines for a terminal."""
        broken = [f"  {each.severity}: {sentence(each)}" for each in self.broken()]
        more = [f"  and {len(broken) - _LISTED} more"] if len(broken) > _LISTED else []
        return "\n".join([f"{self.partition}: {word(self.verdict)}; {self.summary()}", *broken[:_LISTED], *more])

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain values, the same for the same data."""
        tables = dict.fromkeys(each.table for each in self.promises)
        return {
            "partition": self.partition,
            **_verdict_json(self.verdict),
            "tables": {name: self._table(name) for name in tables},
        }

    def profile(self) -> dict[str, Any]:
        """Return the statistics of the tables as nested values; aggregates only."""
        return {"partition": self.partition, "tables": {each.table: table_profile(each) for each in self.tables}}

    def raise_if_failed(self) -> None:
        """Raise ``ContractError`` that names the first broken promises, if the verdict is failed."""
        fatal = [each for each in self.promises if each.fatal]
        if not fatal:
            return
        more = f"; and {len(fatal) - _NAMED} more" if len(fatal) > _NAMED else ""
        raise ContractError(
            f"{self.partition} breaks {len(fatal)} of its {len(self.promises)} promises",
            why="; ".join(sentence(each) for each in fatal[:_NAMED]) + more,
            next=f"read {layout.contract_report(self.partition)}; then mend the source, or change the contract "
            "in a pull request if the new data are right",
        )

    def _table(self, name: str) -> dict[str, Any]:
        promises = [each for each in self.promises if each.table == name]
        rows = next((each.current.rows for each in self.tables if each.table == name), None)
        return {
            **_verdict_json(_verdict(promises)),
            "rows": rows,
            "checks": [_promise_json(each) for each in promises],
        }


def sentence(promise: Promise) -> str:
    """Return a broken promise as one sentence without markup."""
    column = f" of `{promise.column}`" if promise.column else ""
    rows = f", {counted(promise)}" if promise.count is not None else ""
    samples = f", such as {promise.samples[0]}" if promise.samples else ""
    detail = f" ({promise.detail})" if promise.detail else ""
    return f"{promise.table}: {promise.check}{column}{rows}{samples}{detail}".replace("\n", " ")


def counted(promise: Promise) -> str:
    """Return how many rows break a promise, with their share where it is known."""
    share = f" ({promise.share:.2%})" if promise.share is not None else ""
    return f"{promise.count:,} row{'' if promise.count == 1 else 's'}{share}"


def _verdict(promises: tuple[Promise, ...] | list[Promise]) -> Verdict:
    return together(each.verdict if each.fatal or not each.broken else Passed() for each in promises)


def _verdict_json(verdict: Verdict) -> dict[str, Any]:
    content: dict[str, Any] = {"verdict": word(verdict)}
    if isinstance(verdict, Failed):
        content["reasons"] = [str(each) for each in verdict.reasons]
    if isinstance(verdict, Skipped):
        content["because"] = verdict.because
    return content


def _promise_json(promise: Promise) -> dict[str, Any]:
    content: dict[str, Any] = {
        "check": promise.check,
        "column": promise.column or None,
        "severity": str(promise.severity),
        **_verdict_json(promise.verdict),
        "count": promise.count,
        "share": promise.share,
        "samples": list(promise.samples),
        "detail": promise.detail or None,
    }
    return {name: value for name, value in content.items() if value not in (None, [])}
