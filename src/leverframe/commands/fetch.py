"""Fetch a bundle from a remote by its hash, and write the folder that a server starts from."""

from __future__ import annotations

from pathlib import Path

import click

from leverframe import output


@click.command(epilog="Example: leverframe fetch --remote https://data.example.org/storage --md5 ... --bundle ... "
               "--model shop --to /var/lib/leverframe")  # fmt: skip
@click.option("--remote", required=True, help="DVC remote: a folder or a URL.")
@click.option("--md5", required=True, help="MD5 of models/bundle in dvc.lock.")
@click.option("--bundle", required=True, help="SHA-256 of MANIFEST.json in the bundle.")
@click.option("--model", required=True, help="Name of the served model.")
@click.option("--release", type=click.IntRange(min=1), default=1, show_default=True, help="Number of the release.")
@click.option("--commit", default="", help="Commit of the bundle; responses name it.")
@click.option(
    "--trusted", multiple=True, help="Import path of an own type that the model may hold; it can be given again."
)
@click.option("--to", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder of the server.")
@click.option("--serve", help="Section `serve` of leverframe.yaml as JSON.  [default: the defaults of that section]")
@click.option("--log", type=click.Path(file_okay=False, path_type=Path), help="Folder of the inference log; without "
              "one the server logs no request.")  # fmt: skip
@click.option("--online", help="Section `online` of leverframe.yaml as JSON.  [default: features of the bundle]")
@click.option("--seconds", type=click.IntRange(min=1), default=1800, show_default=True, help="Time for all that is "
              "read of the remote; the next run reads the rest.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def fetch(
    remote: str, md5: str, bundle: str, model: str, release: int, commit: str, trusted: tuple[str, ...], to: Path,
    serve: str | None, log: Path | None, online: str | None, seconds: int, as_json: bool,
) -> None:  # fmt: skip
    """Read the bundle from the remote, verify every file against its manifest, and write what a server needs.

    It needs neither git nor a repository. `python -P -m leverframe.serving.server FOLDER/config.json` then
    serves the bundle; its repository API is closed to every client. A killed fetch can run again.
    """
    from leverframe.application.fetch import fetch as run
    from leverframe.domain.release.fetch import ReleaseReference

    wanted = ReleaseReference(md5=md5, bundle=bundle, model=model, release=release, commit=commit, trusted=trusted)
    fetched = run((remote, seconds), wanted, to, (serve, online), log, output.progress)
    if as_json:
        output.product_json(fetched)
    else:
        output.product(fetched.line())
