"""Whether the jobs of a workflow file are those that settings and pipeline ask for now."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from leverframe.yaml_files import parse

_OURS = re.compile(r"(?:^|/)actions/(reproduce|judge)@")
_JUDGE, _LAST = "judge", "model"


@dataclass(frozen=True)
class _Seen:
    """A job that runs `reproduce`, or the judge: which phase, on which labels, under which condition."""

    phase: str
    labels: tuple[str, ...]
    condition: str


def differing(written: str, wanted: str, name: str) -> str:
    """Return how the jobs of a workflow ``written`` differ from the ``wanted`` one; empty where they do not.

    What jobs have beside phase, runner and condition is left to people, as are other jobs. Raises ``SettingsError`` for
    a text that is no YAML.
    """
    ours, theirs = _jobs(written, name), _jobs(wanted, name)
    if not ours:
        return ""  # a workflow of one's own
    for job, asked in theirs.items():
        own = ours.get(job)
        if own is None:
            return f"it has no job `{job}`, which runs {_phase(asked.phase)}"
        if own.phase != asked.phase:
            return f"its job `{job}` runs {_phase(own.phase)}, and {_phase(asked.phase)} is asked for"
        divided = bool(asked.phase) and job != _LAST
        if (divided or job == _JUDGE) and own.labels != asked.labels:
            return f"its job `{job}` runs on `{', '.join(own.labels)}`, and `{', '.join(asked.labels)}` is asked for"
        if divided and own.condition != asked.condition:
            return f"the condition of its job `{job}` is another one, and that keeps forks and idle machines out"
    left = [job for job, entry in ours.items() if job not in theirs and entry.phase]
    return f"its job `{left[0]}` runs {_phase(ours[left[0]].phase)}, which no stage needs" if left else ""


def _phase(text: str) -> str:
    return f"phase {text}" if text else "all stages"


def _jobs(text: str, name: str) -> dict[str, _Seen]:
    jobs = parse(text, name=name, what="a workflow").get("jobs")
    bodies = jobs.items() if isinstance(jobs, dict) else ()
    return {str(job): _Seen(phase, _labels(body.get("runs-on")), " ".join(str(body.get("if", "")).split()))
            for job, body in bodies if isinstance(body, dict) for phase in _phases(body)}  # fmt: skip


def _phases(body: Mapping[str, Any]) -> Iterator[str]:
    """Yield the phase of a job that runs one of both; an empty text where it runs all stages."""
    steps = body.get("steps")
    for step in steps if isinstance(steps, list) else ():
        if isinstance(step, dict) and _OURS.search(str(step.get("uses", ""))):
            given = step.get("with")
            yield str(given.get("phase", "")) if isinstance(given, dict) else ""


def _labels(given: Any) -> tuple[str, ...]:
    return tuple(map(str, given)) if isinstance(given, list) else (str(given),)
