"""What our part of a pull request's body says of itself, so that a later run knows what was done already.

Under the text stand sentences that follow from the record alone; they are written anew with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from leverframe.documents import parsed
from leverframe.domain.hidden_part import HiddenPart
from leverframe.domain.retraining.attempt import Cause, Outcome
from leverframe.inert.markdown import plain

Auto = Literal["none", "asked", "on", "refused", "off"]  # asked: it may or may not be on
PART = HiddenPart("leverframe-retrain", key="[0-9a-f]{8,64}")
LONGEST = 60_000  # characters of a body; GitHub takes 65,536
_CUT = "More than fits into a pull request is left out here; `retrain.json` has all of it."
_STATE = "<!-- leverframe-retrain-state -->"


@dataclass(frozen=True)
class PullRecord:
    """What we proposed and how far that came.

    ``evidence`` is the digest of its grounds, gathered at ``made`` (ISO 8601) for ``causes``. ``head`` is the commit
    that the text speaks of, ``champion`` the digest of the model of the base then. ``draft`` is as we set it;
    ``turning`` says that we were about to change it, ``person`` that somebody chose another state, which then stays.
    ``checks`` is the head for which the checks were dispatched. ``refused`` is why GitHub does not merge by itself.
    ``closed`` says that we closed it.
    """

    model: str
    evidence: str
    made: str
    causes: tuple[Cause, ...]
    outcome: Outcome
    head: str
    champion: str
    draft: bool
    turning: bool = False
    person: bool = False
    checks: str = ""
    dispatches: bool = False
    auto: Auto = "none"
    refused: str = ""
    closed: bool = False

    @property
    def wants_draft(self) -> bool:
        """Whether it should be a draft, as far as we are asked."""
        return self.outcome is not Outcome.BETTER

    def chosen(self, *, draft: bool) -> bool:
        """Tell whether a person chose the state that the pull request is in."""
        return self.person or not (self.turning or draft in (self.draft, self.wants_draft))


def read(body: str) -> PullRecord | None:
    """Return the record in a body; None where there is none, or somebody damaged it."""
    try:
        record = parsed(PullRecord, PART.record_in(body))
        return record if datetime.fromisoformat(record.made) else None
    except ValueError:
        return None


def written(body: str, text: str, record: PullRecord) -> str:
    """Return a body with our part made of text and record; what people wrote around it stays.

    Where it would be longer than ``LONGEST``, sections of ours at the end are left out.
    """
    whole = _whole(body, text, record)
    while len(whole) > LONGEST and text:
        text = text.rpartition("\n### ")[0]
        whole = _whole(body, f"{text}\n\n{_CUT}", record)
    return whole


def _whole(body: str, text: str, record: PullRecord) -> str:
    content = f"{text.replace(_STATE, '').strip()}\n\n{_STATE}\n{_sentences(record)}"
    return PART.merged(body, PART.block(record.evidence, content, record))


def noted(body: str, record: PullRecord) -> str:
    """Return a body in which the record is another one, with the sentences that follow from it."""
    return written(body, PART.text_in(body).partition(_STATE)[0], record)


def _sentences(record: PullRecord) -> str:
    lines = []
    if record.closed:
        lines.append("Closed by Leverframe; the last comment says why. Whoever opens it again keeps it open.")
    if record.auto == "refused":
        lines.append(
            f"**It does not merge by itself.** GitHub refused to: {plain(record.refused, 300)}. That needs `Allow "
            "auto-merge` in the settings of the repository, and a rule for the base branch with a required check. "
            "Then switch it on at this pull request."
        )
    elif record.auto in ("asked", "on") and not record.closed:
        lines.append("GitHub merges it once every required check has passed. Switch auto-merge off to keep it open.")
    if record.dispatches and not record.closed:
        done = "was started for" if record.checks == record.head else "is being started for"
        lines.append(
            f"The token that opened it starts no workflows, so the workflow of the checks {done} `{record.head[:12]}` "
            "by a dispatch. Its result stands at that commit."
        )
    return "\n\n".join(lines)
