"""How the constraints of a table changed: which are gone or looser, and which are new or tighter."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from leverframe.domain.review.diff.diff_result import Change

Check = Mapping[str, Any]
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def contract_changes(table: str, before: Sequence[Check], after: Sequence[Check]) -> Iterator[Change]:
    """Yield each constraint that was removed, loosened, tightened or added; both sides as in a contract report."""
    old, new = _by_name(before), _by_name(after)
    for name in old:
        column, kind = name
        where = f" of `{column}`" if column else ""
        if name not in new:
            yield Change(table, f"`{_told(old[name])}`{where} is no longer checked", breaking=True)
            continue
        ours, theirs = old[name], new[name]
        if ours["check"] != theirs["check"]:
            verb, breaking = _compared(kind, ours["check"], theirs["check"])
            yield Change(table, f"`{ours['check']}`{where} {verb} `{theirs['check']}`", breaking=breaking)
        if ours["severity"] != theirs["severity"]:
            words = f"`{_told(theirs)}`{where} is now of severity {theirs['severity']}, before {ours['severity']}"
            yield Change(table, words, breaking=ours["severity"] == "error")
    for name in new:
        if name not in old:
            where = f" of `{name[0]}`" if name[0] else ""
            yield Change(table, f"`{_told(new[name])}`{where} is now checked", breaking=False)


def _by_name(checks: Sequence[Check]) -> dict[tuple[str, str], Check]:
    """Return the checks by column and kind; the results of a monitor for single columns count as one check."""
    by_name: dict[tuple[str, str], Check] = {}
    for check in checks:
        kind = str(check["check"]).partition("(")[0]
        column = "" if kind == "schema" else str(check.get("column", ""))
        by_name.setdefault((column, kind), check)
    return by_name


def _told(check: Check) -> str:
    return str(check["check"])


def _compared(kind: str, before: str, after: str) -> tuple[str, bool]:
    """Return how a check changed, and whether that is breaking; a change that cannot be compared is."""
    ours, theirs = _arguments(before), _arguments(after)
    if kind == "type":
        return "became", True
    if kind == "isin" and ours and theirs:
        one, other = set(map(str, ours[0])), set(map(str, theirs[0]))
        return ("was tightened to", False) if other < one else ("was loosened to", True)
    if kind == "in_range" and ours and theirs and len(ours) >= 2 <= len(theirs):
        inside = theirs[0] >= ours[0] and theirs[1] <= ours[1]
        return ("was tightened to", False) if inside else ("was loosened to", True)
    one_limit, other_limit = (_NUMBER.findall(text) for text in (before, after))
    if len(one_limit) == len(other_limit) == 1 and _NUMBER.sub("", before) == _NUMBER.sub("", after):
        # monitors name an upper limit; checks of a lower bound have these names
        smaller = float(other_limit[0]) < float(one_limit[0])
        tighter = not smaller if kind.startswith(("greater", "ge", "gt")) else smaller
        return ("was tightened to", False) if tighter else ("was loosened to", True)
    return "became", True


def _arguments(check: str) -> list[Any] | None:
    """Return the arguments in the brackets of a check as values; None where they are not plain ones."""
    try:
        arguments = ast.literal_eval(f"({check.partition('(')[2].removesuffix(')')},)")
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return list(arguments)
