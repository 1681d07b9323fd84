"""Judge a change with the code of its base branch, and write the card that decides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from leverframe import output, wiring
from leverframe.domain.verdict import REFUSED, Failed

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command(epilog="Examples: leverframe judge origin/my-branch --dry-run; leverframe judge 1a2b3c4 --json")
@click.argument("head", envvar="LEVERFRAME_JUDGE_HEAD")
@click.option(
    "--base", help="Base branch, as origin/main; its tip is checked out.  [default: the branch that is checked out]"
)
@click.option(
    "--objects",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder with outputs of the change, laid out as the cache of DVC; each is hashed before it is used.",
)
@click.option("--claim", type=_FILE, help="Card that the run of the pull request made; shown as unverified.")
@click.option("--out", type=_FILE, help="File of the card as JSON.  [default: .leverframe/judged.json]")
@click.option("--dry-run", is_flag=True, help="Print what it would do with each path; run nothing.")
@click.option("--exit-code", "by_code", is_flag=True, help=f"Exit with {REFUSED} when the verdict is failed.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def judge(context: click.Context, /, as_json: bool, by_code: bool, dry_run: bool, **asked: Any) -> None:
    """Judge the commit HEAD as data: run anew what it made stale, with the code that is checked out, and compare.

    It names code, workflows and whatever else it cannot judge as data; an owner has to approve those.
    """
    from leverframe.application.judge import JudgeOptions, plan
    from leverframe.application.judge import judge as run

    if dry_run:
        planned = plan(wiring.workspace(), JudgeOptions(**asked))
        output.result(planned, planned.lines(), as_json=as_json)
        return
    result = run(wiring.workspace(), JudgeOptions(**asked), output.progress)
    output.verdict(result, as_json=as_json, report=result.place)
    context.exit(REFUSED if by_code and isinstance(result.verdict, Failed) else 0)
