"""Train the model anew where that is due, and propose the candidate as a pull request where it is better."""

from __future__ import annotations

from typing import Any

import click

from leverframe import output, wiring
from leverframe.domain.verdict import REFUSED, Failed


@click.command(epilog="Examples: leverframe retrain; leverframe retrain --environment production --dry-run --json")
@click.option("--environment", help="Environment whose model is trained anew.  [default: `monitor.environment`]")
@click.option("--as-of", help="Decide as at this timestamp, as 2026-11-02T06:00Z.  [default: now]")
@click.option("--force", is_flag=True, help="Train without evidence, or before the cooldown is over.")
@click.option("--dry-run", is_flag=True, help="Print whether an attempt is due and what it would do; write nothing.")
@click.option("--exit-code", "by_code", is_flag=True, help=f"Exit with {REFUSED} when the attempt did not help.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def retrain(context: click.Context, /, as_json: bool, by_code: bool, **asked: Any) -> None:
    """Train a candidate if the monitor found that the model got worse, and compare it with the champion.

    Both are judged on the newest rows with labels, which neither saw. A better candidate becomes a ready pull request,
    one that is not worse a draft; of any other only the figures are recorded.
    """
    from leverframe.application.retrain import RetrainOptions
    from leverframe.application.retrain import retrain as run
    from leverframe.domain.retraining.retrain_summary import lines, summary

    retrained, report = run(wiring.workspace(), RetrainOptions(**asked), output.progress, output.mask)
    output.step_summary(summary(retrained))
    output.verdict(retrained, as_json=as_json, report=report, lines=lines(retrained))
    context.exit(REFUSED if by_code and isinstance(retrained.verdict, Failed) else 0)
