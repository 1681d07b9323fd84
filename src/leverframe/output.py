"""The only module that prints: results to stdout, progress to stderr.

Inside GitHub Actions it also knows the files and commands of the runner.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from leverframe.errors import LeverframeError
from leverframe.inert import terminal
from leverframe.inert.letters import fitting

_SUMMARY = 1_000_000  # bytes of the summary of a step


class _Inert(logging.Formatter):
    """Formats records as every other text is printed."""

    def format(self, record: logging.LogRecord) -> str:
        return _inert(super().format(record))


def configure_logging(*, verbose: bool) -> None:
    """Send the records of ``leverframe`` loggers to stderr, once."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Inert("%(message)s"))
    logger = logging.getLogger("leverframe")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)
    logger.propagate = False


def product(text: str) -> None:
    """Print a result to stdout."""
    click.echo(_inert(text))


def product_json(content: Any) -> None:
    """Print one JSON document to stdout."""
    text = json.dumps(content, indent=2, ensure_ascii=False, default=str)
    click.echo(terminal.log_json(text))


def verdict(result: Any, *, as_json: bool, report: str = "", lines: Sequence[str] | None = None) -> None:
    """Print the result of a lever as text or JSON, and set verdict and reason as outputs of a GitHub job.

    The text is that of the result itself where no ``lines`` are given.
    """
    from leverframe.domain.verdict import Failed, word  # noqa: PLC0415

    decided = result.verdict
    reasons = [reason.value for reason in decided.reasons] if isinstance(decided, Failed) else []
    if as_json:
        first = {"verdict": word(decided), "reasons": reasons}
        product_json(first | asdict(result) | first)
    else:
        product("\n".join(result.lines() if lines is None else lines))
    set_outputs({"verdict": word(decided), "reason": " ".join(reasons), "report": _in_workspace(report)})


def result(result: Any, lines: Sequence[str], *, as_json: bool) -> None:
    """Print a result without a verdict, a dataclass, as text or JSON."""
    if as_json:
        product_json(asdict(result))
    else:
        product("\n".join(lines))


def steps(planned: Iterable[object], manifests: list[Any], *, as_json: bool) -> None:
    """Print the steps of a plan as text, or as JSON with the manifests that they would apply."""
    lines = [str(step) for step in planned]
    if as_json:
        product_json({"steps": lines, "manifests": manifests})
    else:
        product("\n".join(lines) or "nothing to do")


def progress(text: str) -> None:
    """Print progress for a person to stderr."""
    click.echo(_inert(text), err=True)


def failure(error: LeverframeError) -> None:
    """Print an error to stderr, and as an annotation in a GitHub job."""
    click.echo(_inert(error.render()), err=True)
    if in_github_actions():
        message = f"{error.what}. {error.why}. Next: {error.next}"
        click.echo(terminal.command("error", message, title=error.what), err=True)


def typed(lines: Sequence[str], name: str) -> bool:
    """Show lines, and tell whether a person at the terminal types a name; without a terminal nobody does."""
    progress("\n".join(lines))
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    return bool(click.prompt(f"Type `{name}` to go on", default="", show_default=False, err=True) == name)


def wait_for_person(text: str, without: str) -> None:
    """Print ``text`` and wait for Ctrl-C in a terminal; without a terminal print the other text and return at once."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        progress(without)
        return
    progress(text)
    with suppress(KeyboardInterrupt):
        threading.Event().wait()


def in_github_actions() -> bool:
    """Tell whether a GitHub runner started this process."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


@contextmanager
def group(title: str) -> Iterator[None]:
    """Fold what is printed inside under ``title`` in the log of a GitHub runner."""
    if in_github_actions():
        click.echo(terminal.command("group", title), err=True)
    try:
        yield
    finally:
        if in_github_actions():
            click.echo(terminal.command("endgroup", ""), err=True)


def set_outputs(outputs: Mapping[str, str]) -> None:
    """Set outputs of a step in a GitHub job; elsewhere do nothing."""
    target = os.environ.get("GITHUB_OUTPUT")
    if not target:
        return
    with Path(target).open("a", encoding="utf-8") as handle:
        for name, value in outputs.items():
            handle.write(terminal.entry(name, value))


def _in_workspace(report: str) -> str:
    """Return the path of a file, or an address, as the next step of a job finds it: a step may run in a folder."""
    place = os.environ.get("GITHUB_WORKSPACE")
    if not place or not report or "://" in report or Path(report).is_absolute():
        return report
    return os.path.relpath(Path.cwd() / report, Path(place).resolve())  # the current folder is without links


def step_summary(markdown: str) -> None:
    """Append Markdown to the summary page of a GitHub job; elsewhere do nothing."""
    target = os.environ.get("GITHUB_STEP_SUMMARY")
    if target:
        with Path(target).open("a", encoding="utf-8") as handle:
            room = _SUMMARY - handle.tell() - 1  # GitHub drops all of a larger one
            handle.write(fitting(terminal.storable(markdown), room) + "\n")


def mask(secret: str) -> None:
    """Ask a GitHub runner to hide ``secret`` in every later line."""
    if secret and in_github_actions():
        click.echo(terminal.mask(secret), err=True)


def _inert(text: str) -> str:
    return terminal.log(text, runner=in_github_actions())
