"""Whether a change may be merged: candidate against champion on the same rows, and all that was promised."""

from __future__ import annotations

from leverframe.domain.gate.result import Compared, Gated, SliceCompared
from leverframe.domain.gate.rules import Rules, rules_in_force
from leverframe.domain.gate.run import run
from leverframe.domain.gate.shadow import Shadow

__all__ = ["Compared", "Gated", "Rules", "Shadow", "SliceCompared", "rules_in_force", "run"]
