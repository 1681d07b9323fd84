"""Look at live traffic: data quality, drift and performance, as files, a dashboard and alerts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from leverframe import output, wiring
from leverframe.domain.verdict import REFUSED, Failed


@click.command(epilog="Examples: leverframe monitor; leverframe monitor --log logs --labels 'labels/*.csv' --json")
@click.option("--environment", help="Environment whose traffic is looked at.  [default: `monitor.environment`]")
@click.option("--log", help="Folder, pattern or address of closed log files.  [default: `monitor.log`]")
@click.option("--labels", help="Files with labels, a pattern or an address.  [default: `monitor.labels.path`]")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder of the results.  "
              "[default: .leverframe/monitor/ENVIRONMENT]")  # fmt: skip
@click.option("--as-of", help="Look at the windows before this timestamp, as 2026-11-02T06:00Z.  [default: now]")
@click.option("--engine", type=click.Choice(["alibi-detect", "builtin"]), help="Library that computes the statistics.  "
              "[default: `monitor.engine`]")  # fmt: skip
@click.option("--self-test", is_flag=True, help="Only replay the reference, and print how often the rule alarms there.")
@click.option("--alerts/--no-alerts", default=True, show_default=True, help="Open, update and close alerts.")
@click.option("--dry-run", is_flag=True, help="Print what is found and which alerts would change; write nothing.")
@click.option("--exit-code", "by_code", is_flag=True, help=f"Exit with {REFUSED} when the verdict is failed.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def monitor(context: click.Context, /, as_json: bool, by_code: bool, self_test: bool, **asked: Any) -> None:
    """Compare the traffic of the newest windows with what the model was evaluated on, and say what changed.

    Data quality comes first: broken data explain drift and drops. Then drift of each column and of the predictions,
    then performance: realised where labels are known, estimated where they are late.
    """
    from leverframe.application.monitor import MonitorOptions, self_tested
    from leverframe.application.monitor import monitor as run
    from leverframe.domain.monitoring.monitor_summary import lines, summary

    if self_test:
        rule = self_tested(wiring.workspace(), MonitorOptions(**asked), output.progress)
        output.result(rule, rule.lines(), as_json=as_json)
        return
    monitored, page = run(wiring.workspace(), MonitorOptions(**asked), output.progress, output.mask)
    output.step_summary(summary(monitored))
    output.verdict(monitored, as_json=as_json, report=str(page), lines=lines(monitored))
    context.exit(REFUSED if by_code and isinstance(monitored.verdict, Failed) else 0)
