"""Attempts to retrain as they are recorded, with defaults."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from leverframe.domain.retraining.attempt import Attempt, Comparison, Outcome
from leverframe.domain.review.gate.gate_result import Compared

NOW = datetime(2013, 12, 31, 7, tzinfo=UTC)


def attempt(outcome: Outcome, days_ago: float, **others: Any) -> Attempt:
    """Return an attempt on the champion `old` so many days before ``NOW``."""
    at = (NOW - timedelta(days=days_ago)).isoformat()
    known = {"champion": "old", "candidate": f"new-{days_ago}", "evidence": f"digest-{days_ago}", "base": "c0ffee"}
    fields: dict[str, Any] = {"model": "flights-late30", "environment": "production", "at": at, "causes": (), "why": ""}
    return Attempt(**(fields | known | {"outcome": outcome} | others))


def comparison(gain: float, margin: float, **others: Any) -> Comparison:
    """Return a comparison in which AUC moved from 0.7 by ``gain``, known to ``margin``."""
    metric = Compared("auc", "AUC", "higher", 0.7, 0.7 + gain, gain, gain - margin, gain + margin)
    fields: dict[str, Any] = {
        "metric": "auc", "confidence": 0.975, "labelled": 12_345, "days": 28, "metrics": (metric,), "old_rows": 0,
        "old_how": "", "old_metrics": (), "slices": (), "violations": (),
    }  # fmt: skip
    return Comparison(**(fields | others))
