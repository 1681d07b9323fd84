"""The comment on a pull request that tells how its infrastructure was applied, or why it was not."""

from __future__ import annotations

from leverframe.domain.infrastructure.infra_apply_result import InfraApplied
from leverframe.domain.infrastructure.infra_section import begun, changes_to
from leverframe.domain.verdict import Failed
from leverframe.inert.markdown import code, fenced, sentence

_LONGEST = 20_000  # characters of a difference
_VIOLATIONS = 20  # and notes
_LONG_NOTE = 600  # characters of one


def apply_comment(applied: InfraApplied) -> str:
    """Return the comment as Markdown: the result of the apply, what refused it, and the difference from the review."""
    name, plan = code(applied.environment, 60), applied.plan
    failed = isinstance(applied.verdict, Failed)
    parts = [f"### {'❌' if failed else '✅'} Infrastructure {name}: {_outcome(applied)}"]
    if plan is not None:
        parts.append(f"{changes_to(plan)}.")
    parts.append(
        "\n".join(
            f"- **`{violation.reason.value}`** {sentence(violation.what)}  \n  → {sentence(violation.next)}"
            for violation in applied.violations[:_VIOLATIONS]
        )
    )
    parts += [
        _difference(applied),
        *[sentence(note[:_LONG_NOTE]) for note in applied.notes[:_VIOLATIONS]],
        _foot(applied),
    ]
    return "\n\n".join(part for part in parts if part)


def _outcome(applied: InfraApplied) -> str:
    if applied.applied:
        return "destroyed" if applied.destroy else "applied"
    return "applied in part" if applied.begun else "not applied"


def _difference(applied: InfraApplied) -> str:
    if not applied.differences:
        return ""
    lines = [begun(line) for difference in applied.differences for line in difference.lines()]
    shown, length = [], 0
    for line in lines:
        length += len(line) + 1
        if length > _LONGEST:
            break
        shown.append(line)
    more = f"\n\nand {len(lines) - len(shown):,} more lines: the log of the job has them." if shown != lines else ""
    return f"What was reviewed, and what would happen now:\n\n{fenced('text', shown)}{more}"


def _foot(applied: InfraApplied) -> str:
    words = [f"commit {code(applied.head[:12], 12)}"]
    words += [f"plan {code(applied.plan.digest, 64)}"] if applied.plan else []
    words += [f"reviewed {', '.join(code(digest[:12], 12) for digest in applied.reviewed)}"] if applied.reviewed else []
    return f"<sub>{' · '.join(words)}</sub>"
