"""Whether a fresh plan is what was reviewed, and the difference address by address where it is not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from leverframe.domain.infrastructure.infra_plan import ChangeKind, InfraPlan, ResourceChange, address_order
from leverframe.domain.verdict import Reason, Violation

HALF_DONE = "an earlier apply of it failed half-way"  # why a plan replaces what is tainted
_UNKNOWN = "(known after apply)"
_NOT_WHOLE = re.compile(
    r"\(sensitive\)|\*\*\*|\.\.\. \(\d+ characters\)|more lines like these"
)  # what a line shows in place of a value
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
        lines = [f"    reviewed  {line}" for line in before.lines if line not in now.lines]
        lines += [f"    now       {line}" for line in now.lines if line not in before.lines]
        hidden = ["    in what is not shown: a secret, or environment, workspace, backend or state is another one"]
        return [head, *(lines or (hidden if before.kind is now.kind else []))]


@dataclass(frozen=True)
class ReviewedPlans:
    """What a fresh plan is held to.

    ``plans`` were reviewed, in the order of their merges, and ``source`` says where. ``digest`` is the one that
    somebody asked for by ``--reviewed``, empty where nobody did. ``begun`` are plans whose apply began and did not
    succeed, ``resumed`` tells that this is another run of the very commit that began. ``why`` says why there is no plan
    where there is none, and ``again`` how one gets reviewed here.
    """

    plans: tuple[InfraPlan, ...] = ()
    source: str = ""
    digest: str = ""
    begun: tuple[InfraPlan, ...] = ()
    resumed: bool = False
    why: str = "no plan was reviewed"
    again: str = "`leverframe infra-plan`, read it, then run the same command again"

    @property
    def digests(self) -> tuple[str, ...]:
        """Return the digests of what it is held to."""
        return (self.digest,) if self.digest else tuple(plan.digest for plan in self.plans)


def review(
    fresh: InfraPlan, reviewed: ReviewedPlans, first: Callable[[], InfraPlan] | None = None
) -> tuple[Violation | None, tuple[PlanDifference, ...]]:
    """Return what is against applying a fresh plan, and where it differs; an empty plan needs no review.

    ``first`` returns the fresh plan as it would have been before the first apply, which may have begun since.
    """
    if fresh.empty or fresh.digest == reviewed.digest:
        return None, ()
    step = f"{reviewed.again}; or `--reviewed {fresh.digest}` applies this one, if you have read it"
    if not reviewed.plans:
        if reviewed.digest:
            why = f"the plan is {fresh.digest[:12]} by now, and no plan {reviewed.digest[:12]} is known to compare with"
            return Violation(Reason.PLAN_CHANGED, why, step), differences(ReviewedPlans(), fresh)
        return Violation(Reason.PLAN_UNREVIEWED, reviewed.why, step), differences(ReviewedPlans(), fresh)
    one = len(reviewed.plans) == 1
    different = differences(reviewed, fresh)
    if different and reviewed.begun and first is not None:
        known = changes_of([first()])
        different = tuple(item for item in different if not item.reviewed or known.get(item.address) != item.reviewed)
    if not different and (not one or reviewed.begun or reviewed.plans[0].digest == fresh.digest):
        return None, ()
    where = f"{len(different)} {'address differs' if len(different) == 1 else 'addresses differ'}"
    what = f"the plan is not the one of {reviewed.source} any more: {where if different else 'their digests differ'}"
    return Violation(Reason.PLAN_CHANGED, what, step), different


def changes_of(plans: Iterable[InfraPlan]) -> dict[str, ResourceChange]:
    """Return the changes of plans by address, outputs included; of several plans the later wins an address."""
    return {change.address: change for plan in plans for change in (*plan.changes, *plan.outputs)}


def differences(reviewed: ReviewedPlans, fresh: InfraPlan) -> tuple[PlanDifference, ...]:
    """Return where a fresh plan is not what was reviewed, in the order of their addresses; empty where it is that.

    Several reviewed plans are taken together. All that a person was shown counts, not its digest alone: whoever makes a
    plan can write other lines beside the true digest. What an apply that began did already is not planned again, and
    outputs and what is read are another thing then: the rest has to be as it was reviewed.
    """
    before, now = changes_of(reviewed.plans), changes_of([fresh])
    for address, change in changes_of(reviewed.begun).items():
        if before.get(address) != change:
            continue  # a later pull request has another plan for it
        there = [name for name in now if name == address or (reviewed.resumed and _left_of(change, now[name]))]
        harmless = address.startswith("output.") or change.kind is ChangeKind.READ
        if harmless or not there or (reviewed.resumed and all(_rest(change, now[name]) for name in there)):
            for name in (address, *there):
                before.pop(name, None), now.pop(name, None)
    return tuple(_unlike(before, now))


def half_made(fresh: InfraPlan, reviewed: ReviewedPlans) -> frozenset[str]:
    """Return the addresses of what an apply that began was reviewed to create, and left half made: nothing is lost."""
    begun = changes_of(reviewed.begun)
    return frozenset(
        change.address
        for change in fresh.changes
        if (change.kind, change.because) == (ChangeKind.REPLACE, HALF_DONE)
        and (created := begun.get(change.address)) is not None
        and created.kind is ChangeKind.CREATE
    )


def _left_of(change: ResourceChange, fresh: ResourceChange) -> bool:
    """Tell whether a fresh change destroys what a replacement, which made the new one first, left of the old one."""
    old = change.kind is ChangeKind.REPLACE and fresh.kind is ChangeKind.DELETE
    return old and fresh.address.startswith(f"{change.address} (deposed ")


def _rest(change: ResourceChange, fresh: ResourceChange) -> bool:
    """Tell whether a fresh change is what is left to do of one that began, the configuration being the same.

    What neither shows whole cannot be compared, as the digests of two changes of one resource are two: a secret may be
    another one.
    """
    if _left_of(change, fresh):
        return True
    if any(_NOT_WHOLE.search(line) for line in (*change.lines, *fresh.lines)):
        return False
    if change.kind in (ChangeKind.CREATE, ChangeKind.REPLACE) and fresh.kind is ChangeKind.REPLACE:
        return _alike(change, fresh) or (fresh.because == HALF_DONE and _leads_to_the_same(change, fresh))
    if change.kind is ChangeKind.REPLACE and fresh.kind is ChangeKind.CREATE:
        return _leads_to_the_same(change, fresh)
    return _alike(change, fresh)


def _leads_to_the_same(change: ResourceChange, fresh: ResourceChange) -> bool:
    """Tell whether no attribute gets another value than was reviewed, as far as both tell of it.

    A replacement tells only of what changes, so that a creation after it tells of more.
    """
    before, now = _values(change), _values(fresh)
    more = set() if change.kind is ChangeKind.REPLACE else {path for path in now if now[path] != _UNKNOWN} - set(before)
    return not more and all(
        _UNKNOWN in (before[path], now[path]) or before[path] == now[path] for path in before if path in now
    )


def _values(change: ResourceChange) -> dict[str, str]:
    """Return which value each attribute gets, by the lines of a change; empty for one that goes."""
    values = {}
    for line in change.lines:
        sign, rest = line[:1], line[2:]
        path, _, value = rest.partition(": " if sign == "~" else " = ")
        _, arrow, after = value.partition(" -> ")
        # A text may hold an arrow itself: then the line as a whole is compared.
        values[path] = "" if sign == "-" else after if sign == "~" and arrow and " -> " not in after else value
    return values


def _alike(change: ResourceChange, fresh: ResourceChange) -> bool:
    """Tell whether two changes are the same, but for values that are known by now."""
    lines = zip(change.lines, fresh.lines, strict=False)
    return (change.kind, len(change.lines)) == (fresh.kind, len(fresh.lines)) and all(
        re.fullmatch(".*".join(map(re.escape, before.split(_UNKNOWN))), now, re.DOTALL) for before, now in lines
    )


def _unlike(before: Mapping[str, ResourceChange], now: Mapping[str, ResourceChange]) -> Iterable[PlanDifference]:
    for address in sorted(before.keys() | now.keys(), key=address_order):
        reviewed, fresh = before.get(address), now.get(address)
        if reviewed is None or fresh is None or reviewed != fresh:
            yield PlanDifference(address, reviewed, fresh)
