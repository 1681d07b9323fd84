"""Which rules are in force: those of the base branch, so that no change can loosen its own gate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from leverframe.documents import validated
from leverframe.domain.verdict import Reason, Violation
from leverframe.settings import LEVERS
from leverframe.settings.levers import GateSettings, MetricRule
from leverframe.yaml_files import leaves

_LOSSES = ("lower", "nearer to 0")
BASE, CHANGE = "the base branch", "this change, as the base branch has none"
DEFAULTS = "the defaults, as neither branch declares any"
LAST = "the last gate that the base branch had"


@dataclass(frozen=True)
class Rules:
    """The rules in force, whose they are, and what a change would make of them once it is merged.

    ``violations`` hold that the base branch lost its rules.
    """

    settings: GateSettings
    of: str
    changes: tuple[str, ...] = ()
    violations: tuple[Violation, ...] = ()


def rules_in_force(base: Mapping[str, Any], head: Mapping[str, Any], last: Mapping[str, Any] | None = None) -> Rules:
    """Return the rules of ``base``, or of ``head`` before the first gate; both are whole ``leverframe.yaml``.

    ``base`` is that of the tip of the base branch: rules that were raised after this branch left it hold. ``last`` is
    the newest section `gate` that the base branch had, where it has none now: it stays in force until a change
    restores it. Raises ``SettingsError`` where the section in force does not fit.
    """
    ours, theirs = base.get("gate"), head.get("gate")
    if isinstance(ours, dict):
        of = BASE
    elif last is not None:
        ours, of = last, LAST
    else:
        of = CHANGE if theirs else DEFAULTS
    chosen = ours if of in (BASE, LAST) else theirs
    settings = validated(GateSettings, dict(chosen or {}), name=f"`gate` of {of}")
    changes = tuple(_changes(ours, theirs)) if of in (BASE, LAST) else ()
    return Rules(settings, of, changes, _missing() if of == LAST and theirs != last else ())


def _missing() -> tuple[Violation, ...]:
    return (
        Violation(
            Reason.GATE_MISSING,
            f"`gate` is no longer in `{LEVERS}` of the base branch, which had one",
            f"restore the section in a pull request of its own: `git log -p -G gate {LEVERS}` shows the last one",
        ),
    )


def _changes(ours: Any, theirs: Any) -> Iterator[str]:
    before, after = dict(leaves(ours, "gate")), dict(leaves(theirs or {}, "gate"))
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield f"`{name}`: `{before.get(name, 'none')}` to `{after.get(name, 'none')}`"


def rule_text(rule: MetricRule, better: str) -> str:
    """Return a rule in a few words, as the card and the terminal show it."""
    parts = [allowed(rule, better), "" if rule.floor is None else floor_text(rule.floor, better)]
    return ", ".join(part for part in parts if part)


def allowed(rule: MetricRule, better: str) -> str:
    """Return what a rule demands of the change of a metric, empty for nothing; a rise of a loss is a drop."""
    if rule.minimum_gain is not None:
        return f"required {'fall' if better in _LOSSES else 'rise'}: {rule.minimum_gain:g}"
    return "" if rule.maximum_drop is None else f"allowed {worse(better)}: {rule.maximum_drop:g}"


def worse(better: str) -> str:
    """Return how a metric moves that gets worse; of a bias it is the distance from 0 that rises."""
    return "rise" if better in _LOSSES else "drop"


def floor_text(floor: float, better: str) -> str:
    """Return what a floor demands of the metric itself; of a loss it is the highest value."""
    if better == "nearer to 0":
        return f"at most {abs(floor):g} from 0"
    return f"at {'most' if better == 'lower' else 'least'} {floor:g}"
