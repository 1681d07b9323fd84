"""Whether a change may be merged: candidate against champion on the same rows, and all that was promised."""

from __future__ import annotations

from leverframe.domain.gate.result import Compared, Gated, SliceCompared
from leverframe.domain.gate.rules import Rules, rules_in_force
from leverframe.domain.gate.run import run

__all__ = ["Compared", "Gated", "Rules", "SliceCompared", "rules_in_force", "run"]
