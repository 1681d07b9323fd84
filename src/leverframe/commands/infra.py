"""Look for drift of infrastructure, destroy an environment, free a lock, or observe this machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from leverframe import output, wiring
from leverframe.domain.verdict import REFUSED, Failed

_ENVIRONMENT = click.option(
    "--environment", help="Name in `infra.environments` of leverframe.yaml.  [default: the only one]"
)
_ROLE = click.option("--role", help="Role of AWS to act as by the identity of the job; its ARN.")
_REGION = click.option("--region", help="Region of AWS; `--role` needs one.")
_DRY_RUN = click.option("--dry-run", is_flag=True, help="Print the steps and run none.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def _options(command: Callable[..., None]) -> Callable[..., None]:
    return _ENVIRONMENT(_ROLE(_REGION(_DRY_RUN(_JSON(command)))))


@click.group(epilog="Example: leverframe infra drift --environment aws-prod")
def infra() -> None:
    """Look after infrastructure; `infra-plan` and `infra-apply` change it."""


@infra.command(epilog="Example: leverframe infra drift --environment aws-prod --exit-code")
@_options
@click.option("--exit-code", "by_code", is_flag=True, help=f"Exit with {REFUSED} when there is drift.")
@click.pass_context
def drift(context: click.Context, /, dry_run: bool, as_json: bool, by_code: bool, **asked: Any) -> None:
    """Look for what this commit does not declare. With a GitHub token it is told in one issue."""
    from leverframe.application import infra as application
    from leverframe.application.infra_place import Channels
    from leverframe.domain.infrastructure.infra_plan_result import drift_lines

    place, question = wiring.workspace(), application.InfraOptions(**asked)
    if dry_run:
        output.steps(application.steps(place, question, destroys=False), [], as_json=as_json)
        return
    planned, report = application.drift(place, question, Channels(output.progress, output.mask))
    output.verdict(planned, as_json=as_json, report=report, lines=drift_lines(planned))
    failed = isinstance(planned.verdict, Failed) and (by_code or planned.plan is None)
    context.exit(REFUSED if failed else 0)


@infra.command(epilog="Example: leverframe infra destroy --environment local")
@_options
@click.option("--reviewed", help="Digest of the plan to destroy, which nobody is asked about "
              "then.")  # fmt: skip
@click.pass_context
def destroy(context: click.Context, /, dry_run: bool, as_json: bool, **asked: Any) -> None:
    """Destroy all of an environment. The plan is shown, a person asked, and what is protected refused."""
    from leverframe.application import infra as application
    from leverframe.application.infra_place import Channels

    place, question = wiring.workspace(), application.InfraOptions(**asked)
    if dry_run:
        output.steps(application.steps(place, question, destroys=True), [], as_json=as_json)
        return
    words = Channels(output.progress, output.mask)
    applied, report = application.destroy(place, question, words, output.typed)
    output.verdict(applied, as_json=as_json, report=report)
    context.exit(REFUSED if isinstance(applied.verdict, Failed) else 0)


@infra.command(epilog="Example: leverframe infra unlock 6d5f1a52-9b21-4a3e-8f02-1c55d1a6a3f1 --reason 'its job died'")
@click.argument("lock", metavar="ID")
@click.option("--reason", required=True, help="Why its owner does not need it any more; it is part of the result.")
@_options
def unlock(lock: str, reason: str, dry_run: bool, as_json: bool, **asked: Any) -> None:
    """Free a lock that a killed run left. It is told whose it is and how old; only its very id frees it."""
    from leverframe.application import infra as application
    from leverframe.application.infra_place import Channels

    words = Channels(output.progress, output.mask)
    unlocked = application.unlock(
        wiring.workspace(), application.InfraOptions(**asked), (lock, reason), words, dry_run=dry_run
    )
    output.result(unlocked, unlocked.lines(), as_json=as_json)


@infra.command(epilog="Example: leverframe infra observe --environment local")
@_ENVIRONMENT
def observe(environment: str | None) -> None:
    """Write down what runs on this machine. Terraform reads it; a plan does so by itself."""
    from leverframe.application import infra as application

    output.product(str(application.observed(wiring.workspace(), environment)))
