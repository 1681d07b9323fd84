"""The jobs of a workflow for the phases of a run: one a phase, the last of which is the job `model`.

A job on another machine starts only if the newest phase before it says that it has something to run. Pull requests of
forks start none of them: their code would run on machines that are not thrown away, and no credentials could push what
it made.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from leverframe.domain.pipeline.runners.runner_phases import SMALL, Phase, Phases
from leverframe.settings.runners import OWN_PULL, RunnerSettings

HOSTED = "ubuntu-24.04"  # the small machine
_MINUTES = 60  # of a phase on the small machine
_HOLE = re.compile(r"%\{([^}]+)\}")
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9._/-]*")
_NO_TEXTS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}  # under YAML 1.1 or 1.2
_OWN = f"github.event_name != 'pull_request' || {OWN_PULL}"
_OF_PULL = "(github.event.action != 'edited' || github.event.changes.base)"
_BASE_OF_PULL = "origin/${{ github.base_ref || github.event.repository.default_branch }}"
_HEAD = "\n          ref: ${{ github.event.pull_request.head.sha || github.sha }}"
_TAKEN = """\
      - uses: actions/download-artifact@3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c # v8.0.1
        with:
          pattern: leverframe-handover%{dashed}-*
          path: %{at}.leverframe/handover
          merge-multiple: true
"""
_ISSUE = """
          full: ${{ github.event_name == 'schedule' }}
          issue: "true" # while a mismatch stands, more is compared
          token: ${{ github.token }}"""
_READ = """
      actions: read # to tell at which commit this workflow succeeded last
      issues: read # to tell whether a mismatch stands"""


@dataclass(frozen=True)
class RunnerJobs:
    """The phases of a project, the settings of its runners, and the text of a job with a hole for each value."""

    plan: Phases | None = None
    runners: Mapping[str, RunnerSettings] | None = None
    job: str = ""

    @property
    def _count(self) -> int:
        return self.plan.last if self.plan else 1

    def of_pull(self, needs: Sequence[str] = ()) -> dict[str, str]:
        """Return what stands in the workflow of pull requests for its phases; the job `model` also ``needs`` others."""
        jobs = self._jobs(f"({_OWN})\n      && {_OF_PULL}", _BASE_OF_PULL, ref=_HEAD)
        return {"phases": jobs, **self._last(needs)}

    def of_merge(self) -> dict[str, str]:
        """Return what stands in the workflow of merges for its phases."""
        more = {1: {"asked": _ISSUE, "more_permissions": _READ}}
        jobs = self._jobs("", "${{ github.event.before }}", more=more)
        divided = self._count > 1
        return {
            "phases": jobs,
            "whenever": "\n    if: ${{ !cancelled() }} # a phase that was not needed was skipped" if divided else "",
            "verified": "${{ !cancelled() && needs.model.result == 'success' && " if divided else "",
            "end": " }}" if divided else "",
            **self._last(()),
        }

    def _last(self, needs: Sequence[str]) -> dict[str, str]:
        """Return what the job `model` has of its phase."""
        every = [*needs, *(f"phase_{number}" for number in range(1, self._count))]
        needed = every[0] if len(every) == 1 else f"[{', '.join(every)}]"
        divided = self._count > 1
        return {
            "needs": f"\n    needs: {needed}" if every else "",
            "taken": _TAKEN if divided else "",
            "phase": f'\n          phase: "{self._count}/{self._count}"' if divided else "",
        }

    def _jobs(
        self, guard: str, base: str, *, ref: str = "", more: Mapping[int, Mapping[str, str]] | None = None
    ) -> str:
        phases = self.plan.phases[:-1] if self.plan else ()
        shared = {"base": base, "ref": ref, "asked": "", "more_permissions": ""}
        return "".join(
            filled(self.job, shared | self._values(phase, guard) | dict((more or {}).get(phase.number, {})))
            for phase in phases
        )

    def _values(self, phase: Phase, guard: str) -> dict[str, str]:
        """Return what differs between the jobs; the rest is that of every workflow of the project."""
        number, before = phase.number, [f"phase_{number}" for number in range(phase.number - 1, 0, -1)]
        runner = (self.runners or {}).get(phase.runner)
        expression = " || ".join([*(f"needs.{name}.outputs.phases" for name in before), "'[]'"])
        wanted = f"contains(fromJSON({expression}), {number})" if phase.runner != SMALL else f"({expression}) != '[]'"
        conditions = ["!cancelled()", "!failure()", *([guard] if guard else []), *([wanted] if before else [])]
        requirements = as_text(runner.requirements if runner else "requirements.lock")
        return {
            "number": str(number),
            "count": str(self._count),
            "on": f", {phase.runner}" if phase.runner else "",
            "after": f"\n    needs: [{', '.join(reversed(before))}]" if before else "",
            "condition": "\n      && ".join(conditions),
            "runs_on": labels_text(runner.labels if runner else (HOSTED,)),
            "minutes": str(runner.minutes if runner else _MINUTES),
            "requirements": "" if requirements == "requirements.lock" else f"\n          requirements: {requirements}",
            "taken": _TAKEN if before else "",
        }


def labels_text(labels: Sequence[str]) -> str:
    """Return the labels of a runner as a workflow names them."""
    written = [as_text(label) for label in labels]
    if "self-hosted" not in labels:
        return written[0] if len(labels) == 1 else f"[{', '.join(written)}]"
    why = "no pull request of a fork runs there"
    return f"[{', '.join(written)}] # zizmor: ignore[self-hosted-runner] {why}"


def as_text(value: str) -> str:
    """Return a text of letters, digits, `.`, `_`, `-` and `/` as YAML reads it: in quotes where it would be no text."""
    return value if _PLAIN.fullmatch(value) and value.lower() not in _NO_TEXTS else f'"{value}"'


def filled(
    template: str, values: Mapping[str, str], otherwise: Callable[[str], str] = lambda name: f"%{{{name}}}"
) -> str:
    """Return a template with its holes filled, `%{name}` each; one without a value stays, or gets ``otherwise``."""
    return _HOLE.sub(lambda hole: values[hole[1]] if hole[1] in values else otherwise(hole[1]), template)
