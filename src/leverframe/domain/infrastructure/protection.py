"""Which addresses are destroyed or replaced only with a label, and whether a failed check refuses a plan.

The rules of the base branch are in force beside those of the change: no change takes a protection away and uses that.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from leverframe.domain.infrastructure.infra_plan import DESTRUCTIVE, ChangeKind, CheckOutcome, InfraPlan, ResourceChange
from leverframe.domain.verdict import Reason, Violation
from leverframe.settings.infra import InfraEnvironmentSettings
from leverframe.words import first_few

_HIDDEN_KEY = re.compile(r'\*\*\*-[0-9a-f]{8}(?="\])')  # of an instance, where it holds a secret
_SHOWN = 5  # addresses and checks in one sentence


@dataclass(frozen=True)
class Protection:
    """The rules in force: patterns of protected addresses, the label that lifts them, what a failed check does."""

    patterns: tuple[str, ...] = ()
    label: str = "infra-destroy"
    refuses_failed_checks: bool = True

    def covers(self, address: str) -> bool:
        """Tell whether an address is protected: by its own name, or by that of what contains it."""
        return any(_matches(pattern, address) for pattern in self.patterns)

    def touched(self, plan: InfraPlan) -> tuple[ResourceChange, ...]:
        """Return what a plan would destroy or replace of what is protected, under its name or the one before a move."""
        return tuple(
            change
            for change in plan.destructive
            if self.covers(change.address) or (change.before and self.covers(change.before))
        )

    def needing_label(self, plan: InfraPlan) -> tuple[ResourceChange, ...]:
        """Return what a plan does only with the label."""
        return (*self.touched(plan), *self.escaping(plan))

    def escaping(self, plan: InfraPlan) -> tuple[ResourceChange, ...]:
        """Return what would be protected no longer, as it gets another address or leaves the state.

        The next plan may destroy it then, or somebody import it under a name that nothing protects.
        """
        return tuple(
            change
            for change in plan.changes
            if change.kind not in DESTRUCTIVE
            and ((change.before and self.covers(change.before) and not self.covers(change.address))
                 or (change.kind is ChangeKind.FORGET and self.covers(change.address)))
        )  # fmt: skip


def in_force(name: str, head: InfraEnvironmentSettings, *bases: Mapping[str, InfraEnvironmentSettings]) -> Protection:
    """Return the rules for an environment: those of the change together with those of ``bases``, by environment.

    The first base says which label lifts them. An environment that a base does not have may be one of its own under a
    new name, so that the protected addresses of all of them count.
    """
    before = [settings for base in bases for settings in _declared(name, base)]
    patterns = dict.fromkeys(pattern for settings in (*before, head) for pattern in settings.protected)
    label = next((settings.allow_label for settings in before), head.allow_label)
    strict = head.failed_checks == "refuse" or any(
        base[name].failed_checks == "refuse" for base in bases if name in base
    )
    return Protection(tuple(patterns), label, strict)


def _declared(name: str, base: Mapping[str, InfraEnvironmentSettings]) -> list[InfraEnvironmentSettings]:
    return [base[name]] if name in base else [settings for settings in base.values() if settings.protected]


def violations(
    plan: InfraPlan, rules: Protection, allowed: Collection[str] = (), *, how: str = ""
) -> Iterator[Violation]:
    """Yield what is against a plan; the protected addresses in ``allowed`` may be destroyed.

    ``how`` says how somebody allows it here, by default with the label on the pull request.
    """
    destroyed = [change.address for change in rules.touched(plan) if change.address not in allowed]
    lost = [_lost(change) for change in rules.escaping(plan) if change.address not in allowed]
    for words, protected in (
        ("destroys or replaces what is protected", destroyed),
        ("takes out of its protection, for a later plan to destroy", lost),
    ):
        if protected:
            yield Violation(
                Reason.DESTROY_PROTECTED,
                f"the plan {words}: {some(protected)}",
                how
                or f"keep it, or let somebody give the pull request the label `{rules.label}`, "
                "then run the workflow again",
            )
    if rules.refuses_failed_checks:
        yield from failed_checks(plan.checks)


def failed_checks(checks: Sequence[CheckOutcome]) -> Iterator[Violation]:
    """Yield the violation that checks fail, with what they say."""
    failed = [check for check in checks if check.failed]
    if failed:
        reasons = [" ".join(" ".join(check.messages[:1]).split())[:200] for check in failed]
        words = [f"`{check.address}`{f' ({why})' if why else ''}" for check, why in zip(failed, reasons, strict=True)]
        yield Violation(
            Reason.INFRA_CHECK_FAILED,
            f"{'a check fails' if len(failed) == 1 else f'{len(failed)} checks fail'}: "
            f"{first_few(words, _SHOWN, '; ')}",
            "fix what it checks; `failed_checks: show` of the environment only shows it, once that is applied",
        )


def _lost(change: ResourceChange) -> str:
    return f"{change.before}, moved to {change.address}" if change.before else f"{change.address}, out of the state"


def _matches(pattern: str, address: str) -> bool:
    """Tell whether a pattern matches an address, or what it is part of; a key that a plan hides may be any text."""
    parts = _HIDDEN_KEY.split(address)
    reached = _skipped(pattern, {0})
    for part in parts[:-1]:
        reached, ended = _read(pattern, part, reached)
        if ended or not reached:
            return ended
        reached = set(range(min(reached), len(pattern) + 1))
    reached, ended = _read(pattern, parts[-1], reached)
    return ended or len(pattern) in reached


def _read(pattern: str, text: str, reached: set[int]) -> tuple[set[int], bool]:
    """Return how far a pattern is matched after a text, and whether it ended where something inside begins."""
    for letter in text:
        if len(pattern) in reached and letter in ".[":
            return reached, True
        stay = {at for at in reached if pattern[at : at + 1] == "*"}
        reached = _skipped(pattern, stay | {at + 1 for at in reached - stay if pattern[at : at + 1] == letter})
    return reached, False


def _skipped(pattern: str, reached: set[int]) -> set[int]:
    """Return what is reached where each `*` from there on may stand for nothing."""
    every = set(reached)
    for at in reached:
        stars = len(pattern) - at - len(pattern[at:].lstrip("*"))
        every.update(range(at, at + stars + 1))
    return every


def some(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    return first_few([f"`{name}`" for name in names], _SHOWN)
