"""The one issue of a project whose default branch does not reproduce: opened, kept up to date, closed by itself.

Its record says which commit reproduced last. Later commits are compared with that one, for as long as the mismatch
stands: a change on top of it that touches nothing would pass otherwise.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from leverframe.domain.hidden_part import HiddenPart
from leverframe.domain.project import Project
from leverframe.domain.review.reproduce import Reproduced
from leverframe.domain.single_issue import SingleIssue, Subject
from leverframe.domain.verdict import Failed, Violation
from leverframe.inert.markdown import code, fenced, sentence
from leverframe.words import and_more

_SHOWN = 20  # violations
_SENTENCE = 1500  # characters of one that are read
_COMMIT = 12


@dataclass(frozen=True)
class ReproduceRecord:
    """What did not reproduce, by its digest, empty where all did; at which commit, and which one did last."""

    digest: str
    head: str
    verified: str


REPRODUCE = SingleIssue(HiddenPart("leverframe-reproduce", key="[a-z0-9-]{1,60}"), ReproduceRecord)


def key(project: Project) -> str:
    """Return the key of the issue of a project."""
    return project.key("reproduce")


def subject(result: Reproduced, verified: str, project: Project) -> Subject:
    """Return what the issue should say of a run; ``verified`` is the last commit that reproduced, empty for none."""
    title = f"{project.titled('The default branch')} does not reproduce"
    if not isinstance(result.verdict, Failed):
        text = f"{code(result.head[:_COMMIT], _COMMIT)} reproduces what it commits."
        return Subject(key(project), title, text, ReproduceRecord("", result.head, result.head))
    digest = hashlib.sha256(
        repr([(violation.reason.value, violation.what) for violation in result.violations]).encode()
    ).hexdigest()
    text = _text(result, result.verdict, verified)
    return Subject(key(project), title, text, ReproduceRecord(digest, result.head, verified))


def _text(result: Reproduced, verdict: Failed, verified: str) -> str:
    reasons = ", ".join(code(reason.value, 60) for reason in verdict.reasons)
    last = (
        f"The last commit that reproduced is {code(verified[:_COMMIT], _COMMIT)}."
        if verified
        else "No commit is known to have reproduced before, so that later ones are compared wholly."
    )
    again = f"leverframe reproduce {f'--base {verified}' if verified else '--full'}"
    lines = [
        f"{code(result.head[:_COMMIT], _COMMIT)} does not reproduce what it commits: {reasons}. The "
        "workflow that verifies before it deploys deploys neither it nor a later commit until this is settled.",
        "",
        *(_line(violation) for violation in result.violations[:_SHOWN]),
        *and_more(len(result.violations) - _SHOWN),
        "",
        last,
        "",
        fenced("sh", [f"git checkout {result.head}", again]),
        "",
        "This issue closes by itself once a commit reproduces.",
    ]
    return "\n".join(lines)


def _line(violation: Violation) -> str:
    return f"- {_words(violation.what)}. Next: {_words(violation.next)}"


def _words(text: str) -> str:
    """Return a sentence with names in code spans; a backtick that is cut off from its other forms none."""
    return sentence(text if len(text) <= _SENTENCE else f"{text[:_SENTENCE].replace('`', chr(39))}…")
