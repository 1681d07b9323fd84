"""Set up a repository: data, packages of CI, stages, workflow files, and a merge driver for dvc.lock."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import click

from leverframe import output, wiring
from leverframe.application.init import init as run
from leverframe.application.init import planned
from leverframe.domain.pipeline.init import Step, described, next_steps


@click.command(
    epilog="Examples: leverframe init --dry-run; leverframe init --table raw/visits.csv --label bought --time came_at"
)
@click.option("--actions", help="Repository and commit of the actions.  [default: the commit that is installed]")
@click.option("--owner", help="Who approves code of a change, as `@login` or `@org/team`: completes CODEOWNERS.")
@click.option("--renew", is_flag=True, help="Write the workflows anew where settings or pipeline ask for others.")
@click.option("--table", "tables", multiple=True, help="Draft a case from this table, the first with the label.")
@click.option("--label", help="With --table: the column that the model is to predict.")
@click.option("--time", "time", help="With --table: the column with the timestamp of a row.")
@click.option("--key", "key", multiple=True, help="With --table: a column that identifies a row; by default guessed.")
@click.option("--dry-run", is_flag=True, help="Print what it would do, and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def init(*, tables: Sequence[str], dry_run: bool, as_json: bool, **asked: Any) -> None:
    """Make a repository ready for data and pull requests: write what is missing, and change nothing else.

    Start DVC, complete the ignore files, derive the stages where a case is declared, lock the packages of this
    environment for CI by hashes (with uv), write the workflows of pull requests and merges, and let git in this clone
    merge dvc.lock stage by stage. It needs a repository of git, with or without a commit, and can run again.

    In a repository with a pipeline of its own it looks at dvc.yaml and at what its outputs hold, and writes a first
    leverframe.yaml that says where predictions, metrics and model are; it is shown before anything is written.

    With --table it drafts a case from the table, so that `dvc repro` trains a first model: sources, contracts from the
    ranges of the data, the star schema and an estimator for the kind of the label. Further tables are joined by equal
    keys; what was guessed is said.

    With --renew it replaces workflows that it would write otherwise now, such as after `reproduce.runners` changed;
    what somebody edited in them is in git.

    With --owner it adds the lines of CODEOWNERS for what the judge cannot verify; it never changes a line.

    With a section `monitor` in leverframe.yaml it also writes the workflow of the monitor, with
    `infra.environments.local` the Terraform of an environment on this machine.
    """
    wiring.refuse_above_projects()
    drafted = _drafted(tables, asked)
    if not dry_run:
        run(wiring.workspace(), drafted)  # what follows reads it
    alone = bool(drafted) and dry_run
    how = (asked["actions"], asked["owner"], asked["renew"])
    steps = [*drafted, *([] if alone else planned(wiring.workspace(), *how))]
    if not as_json:
        output.product("\n".join(described(step, drafts=alone) for step in steps) or "nothing to do")
    if not dry_run:
        run(wiring.workspace(), steps[len(drafted) :])
    if as_json:
        output.product_json([dataclasses.asdict(step) for step in steps])
    elif following := next_steps(steps):
        output.product("\n".join(following))


def _drafted(tables: Sequence[str], asked: Mapping[str, Any]) -> list[Step]:
    """Return the files of a case drafted from tables, and tell what was guessed; nothing where no table is named."""
    from leverframe.application.drafted_case import drafted_case
    from leverframe.domain.pipeline.case_draft.case_choice import DraftOptions

    if not tables:
        return []
    if not asked["label"]:
        raise click.UsageError("--table needs --label, the column that the model is to predict")
    root = wiring.workspace(anywhere=True).root
    steps, guesses = drafted_case(root, tables, DraftOptions(asked["label"], asked["time"], tuple(asked["key"])))
    for line in guesses:
        output.progress(line)
    return steps
