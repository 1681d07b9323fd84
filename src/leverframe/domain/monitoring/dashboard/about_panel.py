"""How this result came about: the rule with its own rate of false alarms, what was not looked at, provenance."""

from __future__ import annotations

import re
from collections.abc import Sequence

from leverframe.domain.monitoring.monitor_result import Monitored
from leverframe.domain.monitoring.monitor_words import rule_in_words
from leverframe.inert.markup import name, sentence, text
from leverframe.words import and_more

_DIGEST = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{20,}\b")


def about_panel(monitored: Monitored, left_out: Sequence[str], most: int) -> str:
    """Return the rule in words, notes of the run, what this page leaves out, and what it was made of."""
    rule = monitored.rule
    matched = (
        "" if rule.match in ("none", "") else f" A window is compared with those of the same {text(rule.match, 40)}."
    )
    words = f"<p>{sentence(rule_in_words(monitored), 900)}{matched}</p>"
    notes = [sentence(note, 400) for note in monitored.notes[:most]]
    notes += and_more(len(monitored.notes) - most, "and ", " notes")
    notes += [text(note, 300) for note in left_out]
    listed = (
        f"<h3>Not looked at, or not shown</h3><ul>{''.join(f'<li>{note}</li>' for note in notes)}</ul>" if notes else ""
    )
    made = monitored.provenance
    facts = [("commit", made.commit), ("lock", made.lock), ("reference", made.reference), ("engine", made.engine),
             ("Leverframe", made.leverframe), ("log", made.log), ("labels", made.labels)]  # fmt: skip
    terms = "".join(
        f"<div><dt>{term}</dt><dd>{name(_short(value), 120) if value else '-'}</dd></div>" for term, value in facts
    )
    return f'<section id="about"><h2>How this was judged</h2>{words}{listed}<h3>Made of</h3><dl>{terms}</dl></section>'


def _short(value: str) -> str:
    """Return the beginning of a digest, and any other text as it is."""
    return _DIGEST.sub(r"\1…", value)
