"""The document of `terraform show -json PLAN`, read into an ``InfraPlan`` without secrets."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from leverframe.domain.infrastructure.change_lines import change_lines, path_text
from leverframe.domain.infrastructure.concealed import Concealer, digest_of
from leverframe.domain.infrastructure.infra_plan import (
    ChangeKind,
    CheckOutcome,
    InfraPlan,
    ResourceChange,
    ToolVersion,
)
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
    """Return the document; numbers with a fraction keep every digit."""
    document: dict[str, Any] = json.loads(text, parse_float=Decimal)
    return document


def read_plan(document: Mapping[str, Any], tool: ToolVersion, concealer: Concealer) -> InfraPlan:
    """Return the plan that a document describes.

    The digest takes in what would happen, and nothing of when, by which version and in which order it was planned.
    Changes outside of Terraform and results of checks are not in it: they do not happen at the apply.
    """
    changes = _changes(document.get("resource_changes") or (), concealer)
    outputs = _outputs(document.get("output_changes") or {}, concealer)
    ahead = {name: concealer.tree(document[name]) for name in ("deferred_changes", "action_invocations")
             if document.get(name)}  # fmt: skip
    happens = [sorted((change.address, change.digest) for change in part) for part in (changes, outputs)]
    return InfraPlan(
        digest=digest_of([*happens, ahead]),
        tool=tool,
        changes=changes,
        outputs=outputs,
        outside=_changes(document.get("resource_drift") or (), concealer),
        checks=_checks(document.get("checks") or (), concealer),
    )


def _changes(resources: Sequence[Mapping[str, Any]], concealer: Concealer) -> tuple[ResourceChange, ...]:
    changes = [change for resource in resources if (change := _change(resource, concealer))]
    return tuple(sorted(changes, key=lambda change: (_ORDER[change.kind], change.address, change.digest)))


def _change(resource: Mapping[str, Any], concealer: Concealer) -> ResourceChange | None:
    change = resource.get("change") or {}
    kind = _kind(resource, change)
    if kind is None:
        return None
    before, after = _trees(change, str(resource.get("type", "")), concealer)
    deposed = f" (deposed {resource['deposed']})" if resource.get("deposed") else ""
    address = concealer.text(str(resource.get("address", ""))) + deposed
    moved_from = concealer.text(str(resource.get("previous_address") or ""))
    whole = {
        "address": concealer.tree(str(resource.get("address", ""))),
        "deposed": resource.get("deposed"),
        "moved_from": concealer.tree(str(resource.get("previous_address") or "")),
        "provider": resource.get("provider_name"),
        "actions": change.get("actions"),
        "importing": concealer.tree(change.get("importing")),
        "before": before,
        "after": after,
    }
    forced = [path_text(path) for path in change.get("replace_paths") or ()]
    reason = str(resource.get("action_reason") or "")
    return ResourceChange(
        address=address,
        kind=kind,
        digest=digest_of(whole),
        lines=tuple(map(concealer.text, change_lines(kind, before, after))),
        before=moved_from if moved_from != address else "",
        because=_BECAUSE.get(reason, reason.replace("_", " ")),
        forced_by=tuple(sorted({concealer.text(path) for path in forced})),
    )


def _trees(change: Mapping[str, Any], kind: str, concealer: Concealer) -> tuple[Any, Any]:
    marks = [with_inferred_marks(kind, change.get(f"{when}_sensitive")) for when in ("before", "after")]
    before = concealer.tree(change.get("before"), marks[0])
    return before, concealer.tree(change.get("after"), marks[1], change.get("after_unknown"))


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


def _outputs(outputs: Mapping[str, Any], concealer: Concealer) -> tuple[ResourceChange, ...]:
    changes = [
        _change({"address": f"output.{name}", "type": "", "change": change}, concealer)
        for name, change in outputs.items()
    ]
    wrapped = [change for change in changes if change]
    return tuple(sorted(wrapped, key=lambda change: (_ORDER[change.kind], change.address)))


def _checks(checks: Sequence[Mapping[str, Any]], concealer: Concealer) -> tuple[CheckOutcome, ...]:
    outcomes = [
        CheckOutcome(
            address=concealer.text(str((check.get("address") or {}).get("to_display", ""))),
            status=str(check.get("status", "unknown")),
            messages=tuple(
                concealer.text(str(problem.get("message", "")))
                for instance in check.get("instances") or ()
                for problem in instance.get("problems") or ()
            ),
        )
        for check in checks
    ]
    return tuple(sorted(outcomes, key=lambda outcome: outcome.address))
