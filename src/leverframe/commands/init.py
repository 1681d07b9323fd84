"""Set up a repository: data, packages of CI, stages, workflow files, and a merge driver for dvc.lock."""

from __future__ import annotations

import dataclasses

import click

from leverframe import output, wiring
from leverframe.application.init import init as run
from leverframe.application.init import planned
from leverframe.domain.pipeline.init import described, next_steps


@click.command(epilog="Examples: leverframe init --dry-run; leverframe init")
@click.option("--actions", help="Repository and commit of the actions.  [default: the commit that is installed]")
@click.option("--owner", help="Who approves code of a change, as `@login` or `@org/team`: completes CODEOWNERS.")
@click.option("--dry-run", is_flag=True, help="Print what it would do, and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def init(actions: str | None, owner: str | None, dry_run: bool, as_json: bool) -> None:
    """Make a repository ready for data and pull requests: write what is missing, and change nothing else.

    Start DVC, complete the ignore files, derive the stages where a case is declared, lock the packages of this
    environment for CI by hashes (with uv), write the workflows of pull requests and merges, and let git in this clone
    merge dvc.lock stage by stage. It needs a repository of git, with or without a commit, and can run again.

    In a repository with a pipeline of its own it looks at dvc.yaml and at what its outputs hold, and writes a first
    leverframe.yaml that says where predictions, metrics and model are; it is shown before anything is written.

    With --owner it adds the lines of CODEOWNERS for what the judge cannot verify; it never changes a line.

    With a section `monitor` in leverframe.yaml it also writes the workflow of the monitor, with
    `infra.environments.local` the Terraform of an environment on this machine.
    """
    wiring.refuse_above_projects()
    workspace = wiring.workspace()
    steps = planned(workspace, actions, owner)
    if not as_json:
        output.product("\n".join(map(described, steps)) or "nothing to do")
    if not dry_run:
        run(workspace, steps)
    if as_json:
        output.product_json([dataclasses.asdict(each) for each in steps])
    elif following := next_steps(steps):
        output.product("\n".join(following))
