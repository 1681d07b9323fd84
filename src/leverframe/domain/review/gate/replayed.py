"""What a change would alter for those who ask: requests that were logged, asked of champion and candidate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from leverframe.domain.features.training_set import LabelKind
from leverframe.domain.model.bundle.schema import Schema, breaking
from leverframe.domain.release.replay import Replayed, Twice, judged
from leverframe.domain.verdict import Reason, Violation


@dataclass(frozen=True)
class Shadow:
    """The newest requests of ``log``, asked of both; ``because`` is not empty where none could be.

    ``malformed`` lines of the log were passed over, ``days`` are those of the requests, from
    ``first`` to ``last``. The ``share`` of rows with another label, requests that only the candidate
    refuses among them, is allowed up to ``maximum``. ``fault`` says why the candidate's own bundle
    cannot be used, ``left_out`` why a form of requests was not asked; both may be empty.
    """

    log: str
    maximum: float
    malformed: int = 0
    because: str = ""
    fault: str = ""
    left_out: str = ""
    kind: LabelKind = "binary"
    days: int = 0
    first: str = ""
    last: str = ""
    share: float = 0.0
    replayed: Replayed | None = None

    def line(self) -> str:
        """Return it in words; names stand between backticks."""
        if self.because or self.replayed is None:
            return f"nothing of `{self.log}` was replayed: {self.because}"
        found, lost = self.replayed, self.replayed.lost
        told = f"{found.rows:,} rows of {found.requests:,} logged requests were answered by both models; "
        other = "a number has no label that could change" if self.kind == "regression" else ""
        told += other or f"{found.disagree:,} would get another label"
        if lost:
            told += f", and {lost:,} request{'s' if lost > 1 else ''} would be refused"
        return f"{told}: {self.share:.1%}, the rule is at most {self.maximum:.1%}"


def refused_forms(served: Schema, asked: Schema) -> dict[str, str]:
    """Return the forms of a request that clients of the ``served`` schema can send no more, each with why."""
    parts = {
        "columns": breaking(replace(served, keys=()), replace(asked, keys=())),
        "keys": breaking(replace(served, columns=()), replace(asked, columns=())),
    }
    return {form: _few(wrongs) for form, wrongs in parts.items() if wrongs}


def _few(wrongs: Sequence[str]) -> str:
    more = f"; and {len(wrongs) - 2} more" if len(wrongs) > 2 else ""
    return "; ".join(wrongs[:2]) + more


def shown(empty: Shadow, schema: Schema, pairs: Sequence[Twice], days: Sequence[str]) -> Shadow:
    """Return what the pairs show together; ``days`` are those of the requests, ISO 8601."""
    found, kind = judged(schema, pairs), schema.label.kind
    if not found.rows and not found.lost:
        return replace(
            empty, kind=kind, because=f"the champion could answer none of the {found.skipped:,} requests again"
        )
    known = sorted(set(days))
    return replace(empty, kind=kind, days=len(known), first=known[0], last=known[-1], share=found.share, replayed=found)


def against(shadow: Shadow | None) -> Iterator[Violation]:
    """Yield what `deploy` would refuse for the same reason after the merge."""
    if shadow is None:
        return
    if shadow.fault:
        yield Violation(Reason.BUNDLE_DAMAGED, shadow.fault, "`dvc repro bundle` makes the bundle again")
    if shadow.share > shadow.maximum:
        yield Violation(
            Reason.REPLAY_DIFFERS,
            shadow.line(),
            "look at the flips in the card; where they are meant, allow more by `deploy.maximum_disagreement` "
            "in a change of its own: rules count once they are merged",
        )
