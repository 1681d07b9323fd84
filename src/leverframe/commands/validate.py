"""Check the tables of one partition against their contracts, and profile them."""

from __future__ import annotations

import click

from leverframe import output, wiring


@click.command(epilog="Example: leverframe validate --partition 2013-03 --history 2013-02 --history 2013-01")
@click.option("--partition", required=True, help="Such as 2013-01, or `static` for lookup tables without a time.")
@click.option("--history", multiple=True, help="Earlier partition to compare with; repeatable.")
@click.option("--through", help="Last partition of data that exists, where several share a file.  [default: data.last]")
@click.option("--json", "as_json", is_flag=True, help="Print every constraint and its result as JSON.")
@click.option("--markdown", is_flag=True, help="Print the failed constraints as Markdown, at most 4 KB.")
def validate(partition: str, history: tuple[str, ...], through: str | None, as_json: bool, markdown: bool) -> None:
    """Check the tables of one partition against their contracts, and write a report and a profile.

    Exits with code 14 when a constraint of severity error fails; it writes the report all the same.
    """
    from leverframe.application.validate import validate as run
    from leverframe.domain.data.contract_markdown import render

    with wiring.stage("validate", partition) as (workspace, record):
        report = run(workspace, partition, history, through)
        record.rows(sum(table.current.rows for table in report.tables))
    if as_json:
        output.product_json(report.to_json())
    else:
        output.product(render(report) if markdown else report.to_text())
    report.raise_if_failed()
