"""A first ``leverframe.yaml`` for a pipeline of one's own, from what its definition and its outputs show.

Names and values of columns suggest their roles. What is suggested is written with its reason, so that a person can
tell at a glance whether it is right; what nothing suggests is left out.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from leverframe.settings.pipeline import Kind

_WORD = re.compile(r"[a-z]+|[0-9]+")
_LABELS = ("y", "label", "target", "truth", "actual", "class", "observed", "true", "gold", "outcome")
_SCORES = ("p", "prob", "proba", "probability", "score", "prediction", "pred", "predicted", "yhat", "estimate")
_BLOCKS = ("day", "date", "week", "user", "customer", "patient", "session", "group", "household", "account")
_KEYS = ("id", "key", "uuid", "index")
_TRAINING = ("train", "training", "fit")
_MOST_SLICE_VALUES, _MOST_SLICES, _MOST_RULES = 20, 3, 2
_FIRST_METRIC: dict[Kind, str] = {"binary": "auc", "multiclass": "accuracy", "regression": "mae"}
_SHARE = 0.02  # of a figure without bounds that it may drop by, to begin with


@dataclass(frozen=True)
class SeenColumn:
    """A column as a look at some rows shows it: what it holds, how many values differ, and the range of numbers."""

    name: str
    holds: Literal["numbers", "whole numbers", "texts", "times", "other"]
    distinct: int
    rows: int
    low: float = math.nan
    high: float = math.nan
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class SeenTable:
    """A table among the outputs."""

    path: str
    columns: tuple[SeenColumn, ...]


@dataclass(frozen=True)
class SeenModel:
    """A file among the outputs that looks like a model; ``form`` is its format, `pickle` for what is never opened."""

    path: str
    form: str


@dataclass(frozen=True)
class Figure:
    """A number in a file of metrics, and which direction of it is better where its name tells."""

    name: str
    value: float
    direction: str | None


@dataclass(frozen=True)
class ColumnRoles:
    """The columns of a table of predictions by their roles."""

    path: str
    kind: Kind
    label: str
    score: str
    key: str = ""
    block: str = ""
    time: str = ""
    slices: tuple[str, ...] = ()


def draft(
    metrics: Sequence[str], tables: Sequence[SeenTable], models: Sequence[SeenModel], figures: Sequence[Figure]
) -> str:
    """Return the text of a ``leverframe.yaml`` with comments."""
    roles = next((guess for table in tables if (guess := roles_of(table))), None)
    lines = [
        "# Written by `leverframe init` from dvc.yaml and what its outputs hold: correct what is not so.",
        "pipeline:",
    ]
    if metrics:
        lines.append(f"  # metrics: {_flow(metrics)} # all that dvc.yaml calls metrics, so it need not be said")
    lines += _predictions(roles) if roles else _no_predictions(tables)
    lines += _model(models)
    if len(lines) == 2 or all(line.lstrip().startswith("#") for line in lines[2:]):
        lines[1] = "pipeline: {}"
    return "\n".join([*lines, "", *_gate(roles, figures), ""])


def roles_of(table: SeenTable) -> ColumnRoles | None:
    """Return what the columns of a table are, None where it does not look like predictions with labels."""
    label = _named(table.columns, _LABELS) or _lone_bits(table.columns)
    if label is None:
        return None
    rest = [column for column in table.columns if column is not label]
    classes = _per_class(label, rest)
    kind: Kind
    kind, score = ("multiclass", classes) if classes else _single(label, rest)
    if not score:
        return None
    scores = {column.name for column in rest if column.name.startswith(score)} if classes else {score}
    rest = [column for column in rest if column.name not in scores]
    key = _named([column for column in rest if column.distinct == column.rows], _KEYS)
    block = _named([column for column in rest if 1 < column.distinct < column.rows], _BLOCKS)
    time = next((column for column in rest if column.holds == "times" and column is not block), None)
    slices = [column.name for column in rest if column.holds == "texts" and 1 < column.distinct <= _MOST_SLICE_VALUES]
    return ColumnRoles(
        table.path,
        kind,
        label.name,
        score,
        key.name if key else "",
        block.name if block else "",
        time.name if time and not block else "",
        tuple(name for name in slices if not block or name != block.name)[:_MOST_SLICES],
    )


def _lone_bits(columns: Sequence[SeenColumn]) -> SeenColumn | None:
    """Return the one column of 0 and 1, a label that is called by what it tells, such as `churned`; None for several.

    Whoever has one calls the label anything, and the predictions by one of a few names: without such a column nothing
    comes of it.
    """
    bits = [column for column in columns if column.holds == "whole numbers" and column.distinct == 2]
    bits = [column for column in bits if (column.low, column.high) == (0.0, 1.0)]
    return bits[0] if len(bits) == 1 else None


def _single(label: SeenColumn, rest: Sequence[SeenColumn]) -> tuple[Kind, str]:
    """Return the kind of a label with one column of predictions, and that column; no column where none fits."""
    numbers = [column for column in rest if column.holds in ("numbers", "whole numbers")]
    score = _named(numbers, _SCORES)
    if score is None:
        return "regression", ""
    if label.holds in ("numbers", "whole numbers") and {label.low, label.high} <= {0.0, 1.0} and label.distinct <= 2:
        return ("binary", score.name) if score.low >= 0 and score.high <= 1 else ("binary", "")
    return "regression", score.name if label.holds in ("numbers", "whole numbers") else ""


def _per_class(label: SeenColumn, rest: Sequence[SeenColumn]) -> str:
    """Return the prefix of the columns that hold the probability of each class; empty where there are none."""
    if not (2 < label.distinct == len(label.values)) and not (label.holds == "texts" and len(label.values) > 1):
        return ""
    names = {column.name for column in rest if column.holds in ("numbers", "whole numbers")}
    first = label.values[0]
    prefixes = [name.removesuffix(first) for name in names if name.endswith(first) and name != first]
    return next((prefix for prefix in sorted(prefixes) if all(f"{prefix}{text}" in names for text in label.values)), "")


def _named(columns: Sequence[SeenColumn], words: Sequence[str]) -> SeenColumn | None:
    """Return the column whose name is, ends in, or begins with the earliest of some words."""
    parts = {column.name: _WORD.findall(column.name.lower()) for column in columns}
    for word in words:
        for place in (slice(None), slice(-1, None), slice(0, 1)):
            fitting = [column for column in columns if parts[column.name][place] == [word]]
            if fitting:
                return fitting[0]
    return None


def _predictions(roles: ColumnRoles) -> Iterator[str]:
    how = {"binary": "a label of 0 and 1", "multiclass": "a column for each class", "regression": "a label of numbers"}
    yield f"  predictions: # {how[roles.kind]}; the models of both revisions are compared on these rows"
    given = {"path": roles.path, "kind": roles.kind, "label": roles.label, "score": roles.score}
    notes = {"score": "prefix of the columns"} if roles.kind == "multiclass" else {}
    for name, value in given.items():
        yield f"    {name}: {_text(value)}" + (f" # {notes[name]}" if name in notes else "")
    if roles.key:
        yield f"    key: {_flow([roles.key])} # identifies a row: by it the rows of both revisions are paired"
    else:
        yield "    # key: [id] # columns that identify a row; without one the rows are paired by position"
    if roles.block:
        yield f"    block: {_text(roles.block)} # rows that belong together, so that intervals are not too narrow"
    elif roles.time:
        yield f"    time: {_text(roles.time)} # its days are what intervals rest on"
    else:
        yield "    # block: user # rows that belong together, where they do; else intervals are too narrow"
    if roles.slices:
        yield f"    slices: {_flow(roles.slices)} # shown on the card by their values"


def _no_predictions(tables: Sequence[SeenTable]) -> Iterator[str]:
    looked = f"looked at {_flow([table.path for table in tables[:4]])}" if tables else "no output is a table"
    yield f"  # No file with labels and predictions was found ({looked}): only figures are compared, without intervals."
    yield "  # If one of your files has both, name it, and its columns; if none has, let your evaluation write one:"
    yield "  # predictions: {path: eval/test.parquet, kind: binary, label: y, score: p, key: [id]}"


def _model(models: Sequence[SeenModel]) -> Iterator[str]:
    native = next((model for model in models if model.form != "pickle"), None)
    pickled = next((model for model in models if model.form == "pickle"), None)
    if native:
        yield f"  model: {{path: {_text(native.path)}}} # {native.form}"
        yield "  # holdout: {path: data/test.parquet, label: y} # then both models predict the same rows"
    elif pickled:
        yield f"  # {pickled.path} is a pickle, which is never opened; a function of yours that predicts will do:"
        yield "  # model: {predict: package.module:function}"


def _gate(roles: ColumnRoles | None, figures: Sequence[Figure]) -> Iterator[str]:
    rules = list(_rules(roles, figures))
    if not rules:
        yield "# gate: {metrics: {NAME: {maximum_drop: 0.01}}} # a rule for a figure: without one nothing can fail"
        return
    yield "gate: # a pull request that breaks a rule is not to be merged; the rules of the base branch are in force"
    yield "  metrics:"
    yield from rules


def _rules(roles: ColumnRoles | None, figures: Sequence[Figure]) -> Iterator[str]:
    if roles and roles.kind != "regression":
        yield f"    {_FIRST_METRIC[roles.kind]}: {{maximum_drop: 0.01}} # even the lower bound must stay within it"
        return
    known = [figure for figure in figures if figure.direction and math.isfinite(figure.value)]
    held_out = [figure for figure in known if not set(_WORD.findall(figure.name.lower())) & set(_TRAINING)]
    if roles:
        yield f"    {_FIRST_METRIC['regression']}: {{maximum_drop: {_drop(_error(known))}}} # in the unit of the label"
        return
    for figure in (held_out or known)[:_MOST_RULES]:
        better = "" if figure.direction == "higher" else ", lower is better"
        yield f"    {_text(figure.name)}: {{maximum_drop: {_drop(figure.value)}}} # {figure.value:.4g} now{better}"


def _error(figures: Sequence[Figure]) -> float:
    return next((figure.value for figure in figures if "mae" in _WORD.findall(figure.name.lower())), 0.5)


def _drop(value: float) -> str:
    if 0 <= value <= 1:
        return "0.01"
    return f"{float(f'{abs(value) * _SHARE:.1g}'):g}"


def _flow(names: Sequence[str]) -> str:
    return f"[{', '.join(map(_text, names))}]"


def _text(text: str) -> str:
    """Return a text as YAML: plain where that cannot be read as anything else."""
    plain = re.fullmatch(r"[A-Za-z_][\w./-]*", text) and text.lower() not in _NOT_PLAIN
    if plain:
        return text
    quoted = json.dumps(text, ensure_ascii=False)  # a surrogate pair, which JSON escapes to, is none in YAML
    return "".join(letter if letter.isprintable() else f"\\U{ord(letter):08x}" for letter in quoted)


_NOT_PLAIN = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
