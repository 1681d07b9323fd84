"""How the declarations become ``dvc.yaml``: which stage reads and writes what.

The dependencies of a month follow from the windows in ``star.yaml``. Written by hand, one
forgotten month would silently give stale features; so they are derived, and `--check` holds the
file to them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leverframe.documents import Document
from leverframe.domain import layout
from leverframe.domain.data.ingest import Source, inputs
from leverframe.domain.features.plan import Plan
from leverframe.domain.features.training_set import LabelKind
from leverframe.domain.partition import Month, months, months_back
from leverframe.errors import SettingsError
from leverframe.settings import Settings

HISTORY = 2  # earlier months that a month's volume and null rates are compared with
OWN_STAGES = "# Stages below this line are yours: `leverframe stages --write` keeps them."

_MODEL = ("artefacts", "table", "training_set")
_ONLINE = ("features", "online", "snapshot", "snapshot_file")
_DUCKDB = ("build", "engine", "checks", "versions", "views", "sql", "connection")
_BUNDLE = ("bundle", "onnx", "pandera", "sklearn", "polars", "train", "evaluate", *_MODEL, *_ONLINE)
_DESCRIBED = ("statistics", "sketch", "sql", "connection")  # what makes profiles and sketches
_ENGINES = {"duckdb": _DUCKDB, "spark": ("build", "spark")}

# What `dvc plots` draws for each kind of label: file, column along, column up, template.
_DRAWN: Mapping[LabelKind, tuple[tuple[str, str, str, str], ...]] = {
    "binary": (
        ("precision-recall", "recall", "precision", "simple"),
        ("roc", "fpr", "tpr", "simple"),
        ("calibration", "said", "happened", "simple"),
        ("slices", "auc", "slice", "bar_horizontal"),
    ),
    "multiclass": (
        ("calibration", "said", "happened", "simple"),
        ("slices", "accuracy", "slice", "bar_horizontal"),
    ),
    "regression": (
        ("calibration", "said", "happened", "simple"),
        ("slices", "mae", "slice", "bar_horizontal"),
    ),
}

_HEAD = """\
# Written by `leverframe stages --write` from params.yaml, sources.py and star.yaml: which months a
# stage reads follows from the windows. `leverframe status` tells what is stale and why.
"""


@dataclass(frozen=True)
class Stage:
    """One stage, or one a month: what it runs, reads and writes."""

    name: str
    command: str
    dependencies: tuple[str, ...]
    params: tuple[str, ...] = ()
    cached: tuple[str, ...] = ()
    in_git: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    monthly: bool = False


@dataclass(frozen=True)
class Pipeline:
    """All that ``dvc.yaml`` says: the stages, the months, and how far back a month may read."""

    stages: tuple[Stage, ...]
    months: tuple[Month, ...]
    back: int
    kind: LabelKind


def pipeline(settings: Settings, sources: Mapping[str, Source], plan: Plan, code: Sequence[str]) -> Pipeline:
    """Return the pipeline that the declarations ask for.

    ``code`` lists the source files and folders of Leverframe in this repository; where it is
    installed from elsewhere none is, and its version counts instead.
    """
    case = settings.data.case.replace(".", "/")
    back = max([HISTORY, *(months_back(reach) for reach in plan.reach().values())])
    data, build = _data_stages(case, sources, code), _build(case, settings.features.engine, plan, sources, code)
    online = _online_stages(settings, case, plan, sources, code)
    stages = (*data, build, *online, *_model_stages(settings, case, code))
    for name in dict.fromkeys(name for stage in stages for name in stage.params):
        _refuse_default(settings, name)
    kinds = {label.name: label.kind for label in plan.labels}
    kind = kinds.get(settings.features.label, "binary")
    return Pipeline(stages, tuple(months(settings.data.first, settings.data.last)), back, kind)


def render(pipeline: Pipeline, tail: str = "") -> str:
    """Return ``dvc.yaml``; ``tail`` is what stood below the line of one's own stages."""
    lines = [_HEAD + "vars:", "  - months: # the first months have no earlier ones and name themselves"]
    first = pipeline.months[0]
    for month in pipeline.months:
        earlier = ", ".join(f'back_{n}: "{max(month.plus(-n), first)}"' for n in range(1, pipeline.back + 1))
        lines.append(f'      "{month}": {{{earlier}}}')
    lines += ["", "plots:", *(line for drawn in _DRAWN[pipeline.kind] for line in _plot_lines(*drawn))]
    lines += ["", "stages:"]  # last, so that one's own stages are among them
    for stage in pipeline.stages:
        lines += [*_stage_lines(stage), ""]
    return "\n".join(lines) + f"{OWN_STAGES}\n{tail}"


def own_stages(text: str) -> str:
    """Return what stands below the line of one's own stages in a ``dvc.yaml``."""
    return text.partition(f"{OWN_STAGES}\n")[2]


def _data_stages(case: str, sources: Mapping[str, Source], code: Sequence[str]) -> tuple[Stage, ...]:
    static = [name for name, source in sources.items() if source.static]
    monthly = [name for name, source in sources.items() if not source.static]
    ingest = [f"{case}/sources.py", *_only(code, "ingest", "polars")]
    promises = _only(code, "validate", "verdict", "pandera", *_DESCRIBED)
    validate = [f"{case}/contracts.py", *promises]
    history = [_raw(name, f"back_{n}") for name in monthly for n in range(HISTORY, 0, -1)]
    raw_static = [_path(layout.raw(name, layout.STATIC)) for name in static]
    raw_month = [_raw(name) for name in monthly]
    zone = ("data.case", "data.timezone")
    read_static = (*ingest, *inputs(sources, static=True))
    read_month = (*ingest, *(path.replace("{month}", "${key}") for path in inputs(sources, static=False)))
    return (
        Stage("ingest-static", "leverframe ingest --partition static", read_static, zone, cached=tuple(raw_static)),
        Stage("ingest", "leverframe ingest --partition ${key}", read_month, zone, tuple(raw_month), monthly=True),
        Stage(
            "validate-static",
            "leverframe validate --partition static",
            (*validate, *raw_static),
            ("data.case",),
            in_git=(_path(layout.contract_report(layout.STATIC)), _path(layout.sketch(layout.STATIC))),
            metrics=(_path(layout.profile(layout.STATIC)),),
        ),
        Stage(
            "validate",
            "leverframe validate --partition ${key}",
            (*validate, *raw_static, *history, *raw_month),
            ("data.case", "data.first", "data.timezone"),
            in_git=(_path(layout.contract_report("${key}")), _path(layout.sketch("${key}"))),
            metrics=(_path(layout.profile("${key}")),),
            monthly=True,
        ),
    )


def _refuse_default(settings: Document, name: str) -> None:
    """Raise ``SettingsError`` for a setting that a stage depends on and that is not written down."""
    found: Any = settings
    for part in name.split("."):
        written = part in found.model_fields_set
        found = getattr(found, part)
        if not written:
            value = "{}" if isinstance(found, Document) else found
            raise SettingsError(
                f"`{name}` is not in params.yaml",
                why="DVC runs a stage again when a setting changes, and sees only what is written down",
                next=f"write it down as `{part}: {value}`, which changes nothing",
            )


def _build(case: str, engine: str, plan: Plan, sources: Mapping[str, Source], code: Sequence[str]) -> Stage:
    reach = plan.reach()
    reads, furthest = [], 0
    for table in plan.tables():
        if sources[table].static:
            reads.append(_path(layout.raw(table, layout.STATIC)))
            continue
        back = months_back(reach[table])
        furthest = max(furthest, back)
        reads += [*(_raw(table, f"back_{n}") for n in range(back, 0, -1)), _raw(table)]
    promised = [layout.STATIC, *(f"${{item.back_{n}}}" for n in range(furthest, 0, -1)), "${key}"]
    contracts = [_path(layout.contract_report(each)) for each in promised]
    return Stage(
        "build",
        "leverframe build --partition ${key}",
        (f"{case}/star.yaml", *_only(code, "validate", *_DESCRIBED, *_ENGINES[engine]), *reads, *contracts),
        ("data.case", "data.first", "data.timezone", "features.engine"),
        cached=(_path(layout.features("${key}")),),
        in_git=(_path(layout.feature_sketch("${key}")),),
        metrics=(_path(layout.feature_profile("${key}")),),
        monthly=True,
    )


def _model_stages(settings: Settings, case: str, code: Sequence[str]) -> tuple[Stage, ...]:
    every = [_path(layout.features(str(month))) for month in months(settings.data.first, settings.data.last)]
    train, holdout, model = _path(layout.TRAIN), _path(layout.HOLDOUT), _path(layout.MODEL)
    described, learnt, card = (_path(each) for each in (layout.TRAINING_SET, layout.LEARNING_SET, layout.MODEL_CARD))
    judge = _only(code, "evaluate", "train", "pictures", "sklearn", *_MODEL)
    estimator = [f"{case}/model.py", *_only(code, "train", "sklearn", *_MODEL)]
    return (
        Stage(
            "training-set",
            "leverframe build --training-set",
            (f"{case}/star.yaml", *_only(code, *_DUCKDB, "splits"), *every),
            ("data.case", "data.timezone", "features"),
            cached=(train, holdout),
            in_git=(described, learnt),
        ),
        Stage(
            "train",
            "leverframe train",
            (*estimator, learnt, train),
            ("train",),
            cached=(model,),
            in_git=(_path(layout.MODEL_DESCRIPTION),),
        ),
        Stage(
            "evaluate",
            "leverframe evaluate",
            (*judge, described, holdout, model, _path(layout.MODEL_DESCRIPTION)),
            ("data.timezone", "evaluate"),
            cached=(_path(layout.PREDICTIONS),),
            in_git=(card, _path(layout.PLOTS), _path(layout.PICTURES)),
            metrics=(_path(layout.METRICS),),
        ),
        Stage(
            "bundle",
            "leverframe bundle",
            (
                f"{case}/star.yaml",
                f"{case}/contracts.py",
                *_only(code, "build", *_BUNDLE, *_DESCRIBED),
                *(train, holdout, model, _path(layout.MODEL_DESCRIPTION), card, _path(layout.SNAPSHOT)),
            ),
            ("bundle", "data.case", "data.timezone"),
            cached=(_path(layout.BUNDLE),),
            metrics=(_path(layout.BUNDLE_REPORT),),
        ),
    )


def _online_stages(
    settings: Settings, case: str, plan: Plan, sources: Mapping[str, Source], code: Sequence[str]
) -> tuple[Stage, ...]:
    """Return the stages of what is looked up at request time: the snapshot as of the end, and its parity."""
    every, holdout = months(settings.data.first, settings.data.last), settings.features.holdout
    compared = months(holdout.first, holdout.last)
    star = (f"{case}/star.yaml", *_only(code, *_DUCKDB, *_ONLINE))
    return (
        Stage(
            "snapshot",
            "leverframe build --snapshot",
            (*star, *_seen(plan, sources, [every[-1].plus(1)], every)),
            ("data",),
            cached=(_path(layout.SNAPSHOT),),
        ),
        Stage(
            "parity",
            "leverframe parity",
            (
                *star,
                *_only(code, "parity", "polars"),
                *_seen(plan, sources, [*compared, compared[-1].plus(1)], every),
                *(_path(layout.features(str(month))) for month in compared),
            ),
            ("data", "features.holdout"),
            metrics=(_path(layout.PARITY),),
        ),
    )


def _seen(plan: Plan, sources: Mapping[str, Source], asked: Sequence[Month], every: Sequence[Month]) -> tuple[str, ...]:
    """Return the raw files among ``every`` month that a snapshot for moments of the months ``asked`` reads."""
    found, reach = [], plan.reach()
    for table in dict.fromkeys(step.table for step in plan.steps):
        if sources[table].static:
            found.append(_path(layout.raw(table, layout.STATIC)))
            continue
        back = months_back(reach[table])
        read = [month for month in every if asked[0].plus(-back) <= month <= asked[-1]]
        found += [_path(layout.raw(table, str(month))) for month in read]
    spine = _path(layout.raw(plan.spine, str(every[-1])))  # tells the kinds of the fields
    return tuple(dict.fromkeys([*found, spine]))


def _stage_lines(stage: Stage) -> list[str]:
    body = [f"cmd: {stage.command}", *_listed("deps", stage.dependencies), *_listed("params", stage.params)]
    outs: list[str] = [f"- {path}" for path in stage.cached]
    outs += [line for path in stage.in_git for line in (f"- {path}:", "    cache: false")]
    body += ["outs:", *(f"  {line}" for line in outs)] if outs else []
    kept = [line for path in stage.metrics for line in (f"- {path}:", "    cache: false")]
    body += ["metrics:", *(f"  {line}" for line in kept)] if kept else []
    if not stage.monthly:
        return [f"  {stage.name}:", *(f"    {line}" for line in body)]
    return [f"  {stage.name}:", "    foreach: ${months}", "    do:", *(f"      {line}" for line in body)]


def _plot_lines(name: str, along: str, up: str, template: str) -> list[str]:
    file = _path(layout.PLOTS / f"{name}.csv")
    axes = [f"      {axis}: {{{file}: {column}}}" for axis, column in (("x", along), ("y", up))]
    return [f"  - {name}:", *axes, f"      template: {template}"]


def _listed(section: str, entries: Iterable[str]) -> list[str]:
    listed = list(dict.fromkeys(entries))
    return [f"{section}:", *(f"  - {entry}" for entry in listed)] if listed else []


def _raw(table: str, back: str | None = None) -> str:
    return _path(layout.raw(table, f"${{item.{back}}}" if back else "${key}"))


def _only(code: Sequence[str], *rooms: str) -> list[str]:
    """Return the files and folders of ``code`` that are named after one of ``rooms``."""
    return [path for path in code if Path(path).stem in rooms]


def _path(path: Path) -> str:
    return path.as_posix()
