"""Leverframe as an input of stages: its files, or where it is installed its version and never where they lie.

Settings that params.yaml leaves out are an input, too: their defaults stand in the same file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from leverframe.errors import PipelineError
from leverframe.settings.params import Params

FILE = "leverframe-version.yaml"
VERSION, EXTRAS = "leverframe.version", "leverframe.extras"  # keys that stages depend on
DEFAULTS = "defaults"  # before the name of a setting
# The settings that a model which was trained on Spark depends on: not where, which the rest of `train.spark` says.
ON_SPARK = tuple(
    f"train.{name}" for name in ("engine", "estimator", "params", "spark.megabytes", "threads", "trusted_types")
)
_EXPONENT = re.compile(r"\b(\d+)e")  # without a point YAML reads a text
_VERSION = re.compile(r"^  version: (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class StageCode:
    """What tells which code a stage runs; ``engines`` and ``trainers`` are the modules of engines by name.

    ``of`` returns the files in the repository behind modules, Leverframe's own among them only
    where it is part of the repository: elsewhere ``installed`` is true and its version counts.
    """

    of: Callable[..., Iterable[str]]
    engines: Mapping[str, str]
    installed: bool
    trainers: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, command: str, *modules: str, declared: Sequence[str] = ()) -> list[str]:
        """Return the files that a command of the application layer runs, with those of further modules."""
        every = (f"leverframe.application.{command}", "leverframe.settings.params", *modules)
        return [*self.of(*every, declared=declared)]

    def keys(self, *more: str) -> tuple[str, ...]:
        """Return what a stage reads of the file that names the installed version."""
        return (VERSION, *more) if self.installed else ()


def needed_extras(params: Params) -> tuple[str, ...]:
    """Return the extras of Leverframe that the stages of a pipeline need."""
    return ("serving", *(("spark",) if "spark" in (params.features.engine, params.train.engine) else ()))


def described(version: str, params: Params, defaults: Iterable[str], *, installed: bool) -> str:
    """Return the file that stages depend on; empty where there is nothing for it.

    It has the version and the extras of Leverframe where that is installed from elsewhere, and ``defaults`` are names
    of settings that params.yaml leaves out.
    """
    text = ""
    if installed:
        text += f"leverframe:\n  version: {version}\n  extras: [{', '.join(needed_extras(params))}]\n"
    content = params.model_dump(mode="json")
    sections: dict[str, list[str]] = {}
    for name in sorted(defaults):
        section, _, key = name.partition(".")
        value = content[section]
        for part in key.split(".") if key else ():
            value = value[part]
        outer, _, inner = key.partition(".")
        shown = _EXPONENT.sub(r"\1.0e", json.dumps(value))
        shown = f"{{{inner}: {shown}}}" if inner else shown
        sections.setdefault(section, []).append(f"{outer}: {shown}" if key else shown)
    if sections:
        text += f"{DEFAULTS}: # of settings that params.yaml leaves out\n"
    for section, values in sections.items():
        text += f"  {section}: {values[0] if values[0].startswith('{') else '{' + ', '.join(values) + '}'}\n"
    return f"# Written by `leverframe stages --write`: another version makes the stages stale.\n{text}" if text else ""


def refuse_other(text: str, version: str) -> None:
    """Raise ``PipelineError`` where the file names another version than the one that runs."""
    written = _VERSION.search(text)
    if written and written[1] != version:
        raise PipelineError(
            f"this pipeline is written for Leverframe {written[1]}, and {version} runs",
            why=f"{FILE} names the version that the stages depend on",
            next=f"`pip install leverframe=={written[1]}`, or `leverframe stages --write` to go on with {version}",
        )
