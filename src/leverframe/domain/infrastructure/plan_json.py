"""The document of `terraform show -json PLAN`, read into an ``InfraPlan`` without secrets."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from leverframe.domain.infrastructure.change_lines import change_lines, path_text
from leverframe.domain.infrastructure.concealed import Concealer
from leverframe.domain.infrastructure.infra_plan import (
    ChangeKind,
    CheckOutcome,
    InfraPlan,
    ResourceChange,
    ToolVersion,
    address_order,
)
from leverframe.domain.infrastructure.infra_runs import InfraRuns
from leverframe.domain.infrastructure.plan_digest import change_digest, plan_digest
from leverframe.domain.infrastructure.sensitive_values import with_inferred_marks

_ORDER = {kind: at for at, kind in enumerate(ChangeKind)}
_BECAUSE = {
    "replace_because_tainted": "an earlier apply of it failed half-way",
    "replace_because_cannot_update": "these attributes cannot change in place",
    "replace_by_request": "somebody asked for it with -replace",
    "replace_by_triggers": "something that it names in `replace_triggered_by` changed",
    "delete_because_no_resource_config": "it is not in the configuration any more",
    "delete_because_wrong_repetition": "`count` or `for_each` was added or removed",
    "delete_because_count_index": "its index is beyond `count`",
    "delete_because_each_key": "its key is not in `for_each` any more",
    "delete_because_no_module": "its module is not in the configuration any more",
    "delete_because_no_move_target": "the configuration moves it to an address that is not there",
    "read_because_config_unknown": "what it asks for is known only after the apply",
    "read_because_dependency_pending": "it depends on something that changes first",
    "read_because_check_nested": "a `check` block reads it at the end of the apply",
}


def plan_document(text: str) -> dict[str, Any]:
    """Return the document; numbers with a fraction keep every digit. Raises ``ValueError`` where it is no JSON."""
    document: dict[str, Any] = json.loads(text, parse_float=Decimal)
    return document


def read_plan(
    document: Mapping[str, Any],
    tool: ToolVersion,
    concealer: Concealer,
    key: bytes,
    sources: Mapping[str, str] = MappingProxyType({}),
) -> InfraPlan:
    """Return the plan that a document describes; ``key`` is that of its digest, ``sources`` see ``InfraRuns``.

    The digest takes in what would happen, and nothing of when, by which version and in which order it was planned.
    Changes outside of Terraform and results of checks are not in it: they do not happen at the apply.
    """
    read = _Reader(concealer, key, InfraRuns(document, concealer, sources))
    outside = _Reader(concealer, key, InfraRuns({}, concealer))  # nothing is run for what is done already
    changes = read.changes([*(document.get("resource_changes") or ()), *_invocations(document)])
    outputs = read.changes(
        {"address": f"output.{name}", "change": change}
        for name, change in (document.get("output_changes") or {}).items()
    )
    return InfraPlan(
        digest=plan_digest(changes, outputs),
        tool=tool,
        changes=changes,
        outputs=outputs,
        outside=tuple(
            change
            for change in outside.changes(document.get("resource_drift") or ())
            if change.kind is not ChangeKind.MOVE  # Terraform lists a move that the configuration asks for here as well
        ),
        checks=read.checks(document.get("checks") or ()),
    )


def _invocations(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what the plan runs beside its resources: the `action` blocks of Terraform 1.14."""
    for invocation in document.get("action_invocations") or ():
        yield {
            "address": str(invocation.get("address", "")),
            "action_reason": "the configuration triggers this action",
            "change": {"actions": ["invoke"], "after": invocation},
        }


@dataclass(frozen=True)
class _Reader:
    """Reads changes: what of them is secret, and under which key they are digested."""

    concealer: Concealer
    key: bytes
    runs: InfraRuns

    def changes(self, resources: Iterable[Mapping[str, Any]]) -> tuple[ResourceChange, ...]:
        """Return what changes, in the order of its kind and its address."""
        changes = [change for resource in resources if (change := self._change(resource))]
        return tuple(sorted(changes, key=_place))

    def checks(self, checks: Sequence[Mapping[str, Any]]) -> tuple[CheckOutcome, ...]:
        """Return what conditions the configuration has, and which of them hold."""
        outcomes = [
            CheckOutcome(
                address=self.concealer.address(str((check.get("address") or {}).get("to_display", "")), self.key),
                status=str(check.get("status", "unknown")),
                messages=tuple(
                    self.concealer.text(str(problem.get("message", "")))
                    for instance in check.get("instances") or ()
                    for problem in instance.get("problems") or ()
                ),
            )
            for check in checks
        ]
        return tuple(sorted(outcomes, key=lambda outcome: outcome.address))

    def _change(self, resource: Mapping[str, Any]) -> ResourceChange | None:
        change = resource.get("change") or {}
        kind = _kind(resource, change)
        if kind is None:
            return None
        text = self.concealer.text
        deposed = f" (deposed {resource['deposed']})" if resource.get("deposed") else ""
        address = self.concealer.address(str(resource.get("address", "")), self.key) + deposed
        before = self.concealer.address(str(resource.get("previous_address") or ""), self.key)
        reason = str(resource.get("action_reason") or "")
        return ResourceChange(
            address=address,
            kind=kind,
            digest=change_digest(self.key, resource, self.runs.whole(resource)),
            lines=(*self._lines(kind, str(resource.get("type", "")), change), *self.runs.lines(resource)),
            before=before if before != address else "",
            because=_BECAUSE.get(reason, reason.replace("_", " ")),
            create_first=list(change.get("actions") or ())[:2] == ["create", "delete"],
            forced_by=tuple(sorted({text(path_text(path)) for path in change.get("replace_paths") or ()})),
        )

    def _lines(self, kind: ChangeKind, type_: str, change: Mapping[str, Any]) -> tuple[str, ...]:
        tree = self.concealer.tree
        old, new = (with_inferred_marks(type_, change.get(f"{when}_sensitive")) for when in ("before", "after"))
        return change_lines(
            kind, tree(change.get("before"), old), tree(change.get("after"), new, change.get("after_unknown"))
        )


def _place(change: ResourceChange) -> tuple[Any, ...]:
    return _ORDER[change.kind], address_order(change.address), change.digest


def _kind(resource: Mapping[str, Any], change: Mapping[str, Any]) -> ChangeKind | None:
    """Return what happens; None where nothing does."""
    actions = set(change.get("actions") or ())
    if "delete" in actions:
        return ChangeKind.REPLACE if "create" in actions else ChangeKind.DELETE
    if "forget" in actions:
        return ChangeKind.FORGET
    if change.get("importing"):
        return ChangeKind.IMPORT
    for action, kind in (("create", ChangeKind.CREATE), ("read", ChangeKind.READ)):
        if action in actions:
            return kind
    if actions - {"no-op"}:
        return ChangeKind.UPDATE
    moved = resource.get("previous_address") not in (None, "", resource.get("address"))
    return ChangeKind.MOVE if moved else None
