"""Workflows that show an action, and the action for the set-up: templates whose holes, `%{name}` each, are filled.

A hole with the name of a third party's action is that action by commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from actions.permissions import permission_lines
from leverframe.domain.pipeline.runners.runner_jobs import filled

TEMPLATES = Path(__file__).parent / "templates"
_OF_THEIR_OWN = ("deploy", "infra-apply", "infra-plan", "judge", "materialize", "monitor", "retrain")
_PINS = {
    "actions/checkout": ("3d3c42e5aac5ba805825da76410c181273ba90b1", "v7.0.1"),
    "actions/cache": ("27d5ce7f107fe9357f9df03efb73ab90386fccae", "v5.0.5"),
    "actions/upload-artifact": ("bbbca2ddaa5d8feaa63e36b76fdaad77386f024f", "v7.0.0"),
    "astral-sh/setup-uv": ("20cfd1bf945f4377ade1205e4dbc17946fc9a30d", "v10.0.1"),
    "iterative/setup-cml": ("f12ea7685438c1fc438d50f77519b3860cf5fa98", "v2.0.1"),
    "hashicorp/setup-terraform": ("dfe3c3f87815947d99a8997f908cb6525fc44e9e", "v4.0.1"),
}


def workflow(name: str, before: Sequence[str]) -> str:
    """Return a whole workflow that uses an action: of its own, or for a pull request, behind those ``before`` it."""
    if name in _OF_THEIR_OWN:
        return template(name, permissions=permission_lines(name))
    shown = "check" if name == "setup" else name
    levers = [*(_lever(lever, goes_on=True) for lever in before), _lever(shown, goes_on=False)]
    claim = template("claim") if name == "report" else ""
    asked = "check" if name == "report" else name  # code of the pull request runs here
    return template("pull-request", permissions=permission_lines(asked), levers="".join(levers) + claim)


def template(name: str, **values: str) -> str:
    """Return a template with its holes filled."""
    return filled(_text(name), values, pinned)


def pinned(action: str) -> str:
    """Return a third party's action by commit, with its version as a comment."""
    commit, version = _PINS["/".join(action.split("/")[:2])]
    return f"{action}@{commit} # {version}"


def _text(name: str) -> str:
    return (TEMPLATES / f"{name}.yml").read_text(encoding="utf-8")


def _lever(name: str, *, goes_on: bool) -> str:
    """Return the step of a lever, after which the job goes on or ends where it failed."""
    on = "        continue-on-error: true # the card lists the violations\n" if goes_on else ""
    step = f"      - uses: OWNER/leverframe/actions/{name}@COMMIT # vX.Y.Z\n"
    return f"{step}{on}        with:\n          base: origin/${{{{ github.base_ref }}}}\n"
