"""Fetch a bundle from a remote by content, and lay the folder that a server starts from."""

from __future__ import annotations

from pathlib import Path

import click

from leverframe import output


@click.command(epilog="Example: leverframe fetch --remote https://data.example.org/storage --md5 ... --bundle ... "
               "--model shop --to /var/lib/leverframe")  # fmt: skip
@click.option("--remote", required=True, help="Address of the remote of DVC, a folder or a URL.")
@click.option("--md5", required=True, help="MD5 of models/bundle, as it stands in dvc.lock.")
@click.option("--bundle", required=True, help="SHA-256 of the MANIFEST.json of the bundle.")
@click.option("--model", required=True, help="Name that the model is served under.")
@click.option("--release", type=click.IntRange(min=1), default=1, show_default=True, help="Number of the release.")
@click.option("--commit", default="", help="Commit that the bundle comes from; answers name it.")
@click.option("--to", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder of the server.")
@click.option("--serve", help="Section `serve` of leverframe.yaml as JSON.  [default: as it is without one]")
@click.option("--log", type=click.Path(file_okay=False, path_type=Path), help="Folder of the inference log; without "
              "one nothing is logged.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def fetch(
    remote: str, md5: str, bundle: str, model: str, release: int, commit: str, to: Path, serve: str | None,
    log: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Read the bundle from the remote, hold every file against its manifest, and write what a server needs.

    Neither git nor a repository is needed. `python -m leverframe.serving.server FOLDER/config.json` then
    serves it; its model repository is shut for everybody. It can be killed and run again at any moment.
    """
    from leverframe.application.fetch import fetch as run

    found = run(remote, (md5, bundle, model, release, commit), to, serve, log, output.story)
    if as_json:
        output.product_json(found)
    else:
        output.product(found.line())
