"""Run the stale stages of a change, and recompute its metrics."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from leverframe import output, wiring
from leverframe.domain import layout
from leverframe.domain.verdict import REFUSED, Failed

if TYPE_CHECKING:
    from leverframe.application.reproduce_phase import PhaseOptions

_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command(epilog="Examples: leverframe reproduce; leverframe reproduce --full")
@click.option("--base", help="Target branch or commit, by its merge base.  [default: of the pull request, else main]")
@click.option("--full", is_flag=True, help="Run every stage, fresh ones too, and compare every output.")
@click.option(
    "--tolerance", type=float, default=1e-4, show_default=True, help="Allowed relative difference of a metric."
)
@click.option("--issue", is_flag=True, help="Tell in one issue whether this commit of the default branch reproduces.")
@click.option(
    "--phase", metavar="N/M", help="Run one of the phases that `reproduce.runners` makes, as a workflow does."
)
@click.option(
    "--handover",
    type=_FOLDER,
    help="Folder in which a phase leaves its results for the next.  [default: .leverframe/handover]",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def reproduce(
    context: click.Context,
    /,
    base: str | None,
    full: bool,
    tolerance: float,
    issue: bool,
    phase: str | None,
    handover: Path | None,
    as_json: bool,
) -> None:
    """Pull only what is needed, run the stale stages, and always run the evaluation, which finds forged metrics."""
    from leverframe.application.reproduce import ReproduceOptions
    from leverframe.application.reproduce_main import reproduce_main
    from leverframe.application.reproduce_phase import asked

    workspace, turn, report = wiring.workspace(), _phase(phase, handover), str(layout.lever("reproduce"))
    if issue:
        phased, report = reproduce_main(workspace, base, full, tolerance, output.progress, turn)
    else:
        phased = asked(workspace, ReproduceOptions(base, full, tolerance, output.progress), turn)
    output.verdict(phased.result, as_json=as_json, report=report)
    output.set_outputs(phased.outputs)
    context.exit(REFUSED if isinstance(phased.result.verdict, Failed) else 0)


def _phase(text: str | None, folder: Path | None) -> PhaseOptions | None:
    """Return which phase is asked for; none where no text says one."""
    from leverframe.application.reproduce_phase import HANDOVER, PhaseOptions

    if not text:
        return None
    match = re.fullmatch(r"([1-9][0-9]?)/([1-9][0-9]?)", text)
    number, count = map(int, match.groups()) if match else (1, 0)
    if number > count:
        raise click.BadParameter("a phase is written as 2/3, the second of three", param_hint="--phase")
    return PhaseOptions(number, count, folder or HANDOVER)
