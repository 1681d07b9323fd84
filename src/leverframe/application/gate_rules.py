"""The rules of the gate that a base branch has in force, for a pull request and for a retrained candidate."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from leverframe.adapters.git import Git
from leverframe.domain.review.gate.rules import Rules, rules_in_force
from leverframe.errors import LeverframeError
from leverframe.settings import LEVERS
from leverframe.yaml_files import parse


def rules_at(git: Git, tip: str, base: Mapping[str, Any], head: Mapping[str, Any]) -> Rules:
    """Return the rules in force at the tip of a base branch; ``base`` and ``head`` are whole ``leverframe.yaml``.

    Raises ``SettingsError`` where the section in force does not fit.
    """
    last = None if isinstance(base.get("gate"), dict) else _last_gate(git, tip)
    return rules_in_force(base, head, last)


def section(content: bytes | None, name: str) -> dict[str, object]:
    """Return what a file of settings holds; raises ``SettingsError`` for one that cannot be read."""
    text = (content or b"").decode(errors="replace")
    return parse(text, name=name, what="the settings") if text.strip() else {}


def _last_gate(git: Git, tip: str) -> dict[str, Any] | None:
    """Return the newest section `gate` that a commit before the tip had; None where there never was one."""
    for commit in git.touching(tip, str(LEVERS), "gate"):
        with suppress(LeverframeError):  # a version that cannot be read had no rules that anybody was judged by
            gate = section(git.show(commit, str(LEVERS)), str(LEVERS)).get("gate")
            if isinstance(gate, dict):
                return gate
    return None
