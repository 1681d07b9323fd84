"""The only module that knows where words go: product to stdout, story to stderr.

Inside GitHub Actions it also knows the files and commands of the runner.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from leverframe.errors import LeverframeError

_COMMAND = re.compile(r"^(?=\s*(?:::|##\[))", re.MULTILINE)  # what a runner takes for a command


def configure_logging(*, verbose: bool) -> None:
    """Send the story of ``leverframe`` loggers to stderr, once."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("leverframe")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)
    logger.propagate = False


def product(text: str) -> None:
    """Print what the command was asked for to stdout."""
    click.echo(_inert(text))


def product_json(content: Any) -> None:
    """Print one JSON document to stdout."""
    click.echo(json.dumps(content, indent=2, ensure_ascii=False, default=str))


def verdict(found: Any, *, as_json: bool, report: str = "") -> None:
    """Print what a lever found, with ``lines()`` or as JSON, and hand verdict and reason to a GitHub job."""
    from leverframe.domain.verdict import Failed, word  # noqa: PLC0415

    decided = found.verdict
    if as_json:
        product_json({"verdict": word(decided), **asdict(found)})
    else:
        product("\n".join(found.lines()))
    reasons = [reason.value for reason in decided.reasons] if isinstance(decided, Failed) else []
    set_outputs({"verdict": word(decided), "reason": " ".join(reasons), "report": report})


def steps(planned: Iterable[object], manifests: list[Any], *, as_json: bool) -> None:
    """Print the steps of a plan in words, as JSON with what they would apply."""
    told = [str(each) for each in planned]
    if as_json:
        product_json({"steps": told, "manifests": manifests})
    else:
        product("\n".join(told) or "nothing to do")


def story(text: str) -> None:
    """Print progress for a person to stderr."""
    click.echo(_inert(text), err=True)


def failure(error: LeverframeError) -> None:
    """Print an error to stderr, and as an annotation where a GitHub runner reads along."""
    click.echo(_inert(error.render()), err=True)
    if in_github_actions():
        message = _escaped(f"{error.what}. {error.why}. Next: {error.next}")
        click.echo(f"::error title={_escaped_property(error.what)}::{message}", err=True)


def wait_for_person(text: str) -> None:
    """Say ``text`` and wait for Ctrl-C where a person watches; go on at once where nobody does, or nothing is said."""
    if not text:
        return
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        story("no terminal is watching, so this ends now; the copies stay")
        return
    story(text)
    with suppress(KeyboardInterrupt):
        threading.Event().wait()


def in_github_actions() -> bool:
    """Tell whether a GitHub runner started this process."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


@contextmanager
def group(title: str) -> Iterator[None]:
    """Fold what is printed inside under ``title`` in the log of a GitHub runner."""
    if in_github_actions():
        click.echo(f"::group::{_escaped(title)}", err=True)
    try:
        yield
    finally:
        if in_github_actions():
            click.echo("::endgroup::", err=True)


def set_outputs(outputs: Mapping[str, str]) -> None:
    """Hand ``outputs`` to the next steps of a GitHub job; elsewhere nothing happens."""
    target = os.environ.get("GITHUB_OUTPUT")
    if not target:
        return
    with Path(target).open("a", encoding="utf-8") as handle:
        for name, value in outputs.items():
            fence = f"leverframe-{os.urandom(16).hex()}"  # a value cannot guess its own end
            handle.write(f"{name}<<{fence}\n{value}\n{fence}\n")


def step_summary(markdown: str) -> None:
    """Append Markdown to the summary page of a GitHub job; elsewhere nothing happens."""
    target = os.environ.get("GITHUB_STEP_SUMMARY")
    if target:
        with Path(target).open("a", encoding="utf-8") as handle:
            handle.write(markdown + "\n")


def mask(secret: str) -> None:
    """Ask a GitHub runner to hide ``secret`` in every later line."""
    if secret and in_github_actions():
        click.echo(f"::add-mask::{_escaped(secret)}", err=True)


def _inert(text: str) -> str:
    """Return text in which a GitHub runner finds no command of its own: names and values may come from anybody."""
    return _COMMAND.sub("\u200b", text) if in_github_actions() else text


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escaped_property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")
