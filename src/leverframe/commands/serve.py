"""Start, inspect or stop a model server on this machine."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from leverframe import output, wiring
from leverframe.domain.release.serve import NAME


@click.command(
    epilog="Examples: leverframe serve; leverframe serve models/bundle --port 0; "
    "leverframe serve --bare --name local; leverframe serve --stop"
)
@click.argument("bundle", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--name", default=NAME, show_default=True, help="Name of the server; each has its own folder.")
@click.option("--port", type=int, help="Port of REST, 0 for a free one.  [default: `serve.port` of leverframe.yaml]")
@click.option("--grpc-port", type=int, help="Port of gRPC, 0 for a free one.  [default: `serve.grpc_port`]")
@click.option("--metrics-port", type=int, help="Port of metrics, 0 for a free one.  [default: `serve.metrics_port`]")
@click.option("--bare", is_flag=True, help="Need no bundle: serve what is deployed there, or nothing yet.")
@click.option("--as-is", is_flag=True, help="Serve what lies in models/bundle, whatever dvc.lock names.")
@click.option("--mark", default="", help="What it is started as; one that runs as something else is stopped first.")
@click.option("--status", "action", flag_value="status", help="Print what runs, and start nothing.")
@click.option("--stop", "action", flag_value="stop", help="Answer the requests that are running, then stop the server.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def serve(
    bundle: Path | None, name: str, port: int | None, grpc_port: int | None, metrics_port: int | None,
    bare: bool, as_is: bool, mark: str, action: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Serve BUNDLE, a folder written by `leverframe bundle` or a repository of such folders; print a working request.

    The server runs in the background. Without BUNDLE it serves the releases deployed to the server of
    that name, or else the bundle that dvc.lock names, checked out or fetched. With --bare and without a
    deployed release it serves nothing, until `leverframe deploy` brings a model.
    """
    from leverframe.application import serve as application

    place = wiring.workspace(anywhere=bare or action is not None or bundle is not None)
    how = application.Start((port, grpc_port, metrics_port), bare, mark, as_is)
    if action == "stop":
        ended = application.stop(place, name)
        words = f"stopped the server `{name}`" if ended else f"no server `{name}` is running"
        output.product_json({"ended": ended}) if as_json else output.product(words)
        return
    start = partial(application.serve, place, bundle, name, how, output.progress)
    server = application.look(place, name) if action == "status" else start()
    output.product_json(server.to_json()) if as_json else output.product("\n".join(server.lines()))
