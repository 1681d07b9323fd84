"""Say what is wrong with the surroundings of a project, each finding with the line that fixes it."""

from __future__ import annotations

import click

from leverframe import output, wiring
from leverframe.domain.verdict import REFUSED


@click.command(epilog="Example: leverframe doctor --offline")
@click.option("--offline", is_flag=True, help="Ask neither GitHub nor anybody else.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def doctor(context: click.Context, offline: bool, as_json: bool) -> None:
    """Say what is wrong with the surroundings of a project, each finding with the exact line that fixes it.

    It looks at programs and versions, the history and the merge driver of git, lock and remote of DVC, settings,
    workflow files, the rules of the branch and the rights of the token on GitHub, ports and disk. It changes nothing.
    With a finding that keeps pull requests from being judged it ends with 30.
    """
    from leverframe.application.doctor import doctor as run

    diagnosis = run(wiring.workspace(), output.progress, offline=offline)
    output.result(diagnosis, diagnosis.lines(), as_json=as_json)
    context.exit(REFUSED if diagnosis.wrong else 0)
