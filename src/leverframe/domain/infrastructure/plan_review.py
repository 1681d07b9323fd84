"""Whether a fresh plan is what was reviewed, and the difference address by address where it is not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from leverframe.domain.infrastructure.infra_plan import ChangeKind, InfraPlan, ResourceChange

_WORDS = {
    ChangeKind.DELETE: "destroy",
    ChangeKind.REPLACE: "destroy and create anew",
    ChangeKind.FORGET: "take out of the state",
    ChangeKind.CREATE: "create",
    ChangeKind.UPDATE: "change in place",
    ChangeKind.IMPORT: "import",
    ChangeKind.MOVE: "move",
    ChangeKind.READ: "read",
}


@dataclass(frozen=True)
class PlanDifference:
    """One address where a fresh plan is not the reviewed one; a side that does not name it is None."""

    address: str
    reviewed: ResourceChange | None
    fresh: ResourceChange | None

    def lines(self) -> list[str]:
        """Return it for a terminal: what was reviewed, what would happen, and the attributes that differ."""
        before, now = self.reviewed, self.fresh
        if before is None or now is None:
            change = before or now
            assert change is not None  # noqa: S101 - a difference has a side
            words = _WORDS[change.kind]
            outcome = (
                f"nobody reviewed that it would {words}" if before is None else f"it was reviewed to {words}, and stays"
            )
            return [f"{self.address}: {outcome}", *(f"    now  {line}" for line in (change.lines if now else ()))]
        if before.kind is not now.kind:
            head = f"{self.address}: reviewed to {_WORDS[before.kind]}, now it would {_WORDS[now.kind]}"
        else:
            head = f"{self.address}: it would {_WORDS[now.kind]} otherwise than reviewed"
        return [
            head,
            *(f"    reviewed  {line}" for line in before.lines if line not in now.lines),
            *(f"    now       {line}" for line in now.lines if line not in before.lines),
        ]


def changes_of(plans: Iterable[InfraPlan]) -> dict[str, ResourceChange]:
    """Return the changes of plans by address, outputs included; of several plans the later wins an address."""
    return {change.address: change for plan in plans for change in (*plan.changes, *plan.outputs)}


def differences(reviewed: Sequence[InfraPlan], fresh: InfraPlan, *, begun: bool = False) -> tuple[PlanDifference, ...]:
    """Return where a fresh plan is not what was reviewed, in the order of their addresses; empty where it is that.

    One reviewed plan is equal where its digest is. Several are taken together. Where an apply of them has ``begun``
    and did not end, what it did already may be missing: the rest has to be as it was reviewed.
    """
    if len(reviewed) == 1 and reviewed[0].digest == fresh.digest:
        return ()
    before, now = changes_of(reviewed), changes_of([fresh])
    wanted = {address: before[address] for address in before if address in now} if begun else before
    return tuple(_unlike(wanted, now))


def _unlike(before: Mapping[str, ResourceChange], now: Mapping[str, ResourceChange]) -> Iterable[PlanDifference]:
    for address in sorted(before.keys() | now.keys()):
        reviewed, fresh = before.get(address), now.get(address)
        if reviewed is None or fresh is None or reviewed.digest != fresh.digest:
            yield PlanDifference(address, reviewed, fresh)
