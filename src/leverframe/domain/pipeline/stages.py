"""How the declarations become ``dvc.yaml``: which stage reads and writes what.

The dependencies of a group of partitions follow from the windows in ``star.yaml``. Written by hand,
one forgotten partition would silently give stale features; so they are derived, and `--check` holds
the file to them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from leverframe.documents import Document
from leverframe.domain import layout
from leverframe.domain.data.ingest import Source, inputs
from leverframe.domain.features.online import Span, first_of_newest, online_groups
from leverframe.domain.features.plan import Plan
from leverframe.domain.features.training_set import LabelKind
from leverframe.domain.partition import Partitions
from leverframe.domain.pipeline import installation
from leverframe.domain.pipeline.code import code_stage
from leverframe.domain.pipeline.declared import check_declared
from leverframe.domain.pipeline.installation import StageCode
from leverframe.domain.pipeline.items import Items
from leverframe.settings.params import Params

OWN_STAGES = "# Stages below this line are yours: `leverframe stages --write` keeps them."

# What YAML reads as it stands; all else is quoted.
_PLAIN = re.compile(r"(?!(true|false|null|yes|no|on|off|y|n)$)[a-z./$_][\w./${}=+@, -]*", re.IGNORECASE)
_PLAN = "leverframe.domain.features.plan"  # what reads and compiles star.yaml
# What `dvc plots` draws for each kind of label: file, column along, column up, template.
_DRAWN: Mapping[LabelKind, tuple[tuple[str, str, str, str], ...]] = {
    "binary": (
        ("precision-recall", "recall", "precision", "simple"),
        ("roc", "fpr", "tpr", "simple"),
        ("calibration", "predicted", "observed", "simple"),
        ("slices", "auc", "slice", "bar_horizontal"),
    ),
    "multiclass": (
        ("calibration", "predicted", "observed", "simple"),
        ("slices", "accuracy", "slice", "bar_horizontal"),
    ),
    "regression": (
        ("calibration", "predicted", "observed", "simple"),
        ("slices", "mae", "slice", "bar_horizontal"),
    ),
}

_HEAD = """\
# Written by `leverframe stages --write` from params.yaml, sources.py and star.yaml: which {partitions} a
# stage reads follows from the windows, and which code from its imports. `leverframe status` tells what is stale.
"""


@dataclass(frozen=True)
class StageDefinition:
    """One stage, or one a group of partitions: what it runs, reads and writes."""

    name: str
    command: str
    dependencies: tuple[str, ...]
    params: tuple[str, ...] = ()
    cached: tuple[str, ...] = ()
    in_git: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    grouped: bool = False
    installation: tuple[str, ...] = ()  # keys of `leverframe-version.yaml`


@dataclass(frozen=True)
class Pipeline:
    """All that ``dvc.yaml`` says: the stages, and what those of each group of partitions are told."""

    stages: tuple[StageDefinition, ...]
    items: Items
    kind: LabelKind
    defaults: frozenset[str] = frozenset()  # settings that stages read and params.yaml leaves out


def pipeline(params: Params, sources: Mapping[str, Source], plan: Plan, code: StageCode) -> Pipeline:
    """Return the pipeline that the declarations ask for.

    DVC sees settings that are written down. Those that params.yaml leaves out are in ``defaults``, for a file of their
    own, so that a section that comes or goes makes its stages stale.
    Raises ``DefinitionError`` for declarations that do not fit together.
    """
    check_declared(sources, plan, params.features)
    case = _Case(params, sources, plan, code)
    stages = (*_code_stages(case), *_data_stages(case), _build(case), *_online_stages(case), *_model_stages(case))
    defaults = {name for stage in stages for name in stage.params if not _is_written(params, name)}
    stages = tuple(_seen_by_dvc(stage, defaults) for stage in stages)
    kinds = {label.name: label.kind for label in plan.labels}
    kind = kinds.get(params.features.label, "binary")
    return Pipeline(stages, case.items, kind, frozenset(defaults))


@dataclass(frozen=True)
class _Case:
    """All declarations of a case, and what tells the code behind them."""

    params: Params
    sources: Mapping[str, Source]
    plan: Plan
    code: StageCode

    @cached_property
    def partitions(self) -> Partitions:
        return Partitions.of(self.params.data)

    @cached_property
    def items(self) -> Items:
        partitions = self.partitions
        back = max([partitions.history, *(partitions.back(reach) for reach in self.plan.reach().values())])
        paths = inputs(self.sources, static=False, placed=partitions.period != "none")
        return Items(partitions, back, tuple(paths))

    @property
    def folder(self) -> str:
        return self.params.data.case.replace(".", "/")

    @property
    def star(self) -> str:
        return f"{self.folder}/star.yaml"

    def module(self, file: str) -> str:
        """Return the module of one of the case's files."""
        return f"{self.params.data.case}.{file}"

    @property
    def estimator(self) -> str:
        """The module that the estimator comes from."""
        return self.params.train.estimator.partition(":")[0]

    @property
    def trainer(self) -> tuple[str, ...]:
        """The module that trains elsewhere than on this machine, if one does."""
        engine = self.params.train.engine
        return (self.code.trainers[engine],) if engine in self.code.trainers else ()

    def own(self, command: str, *modules: str) -> list[str]:
        """Return the files of a command that runs code of the case, with what the case declares."""
        return self.code(command, *modules, declared=self.params.data.dependencies)

    @cached_property
    def partition_code(self) -> Mapping[str, list[str]]:
        """The files behind each command that runs once a partition."""
        return {
            "ingest": self.own("ingest", self.module("sources")),
            "validate": self.own("validate", self.module("contracts"), self.module("sources")),
            "build": self.code("build", _PLAN, self.code.engines[self.params.features.engine]),
        }

    def code_of(self, command: str) -> list[str]:
        """Return what the stages of such a command name: Leverframe's many files would fill the lock with copies."""
        return self.partition_code[command] if self.code.installed else [_path(layout.code(command))]


def render(pipeline: Pipeline, tail: str = "") -> str:
    """Return ``dvc.yaml``; ``tail`` is what stood below the line of one's own stages."""
    lines = [_HEAD.format(partitions=pipeline.items.word) + "\n".join(pipeline.items.lines())]
    lines += ["", "plots:", *(line for drawn in _DRAWN[pipeline.kind] for line in _plot_lines(*drawn))]
    lines += ["", "stages:"]  # last, so that one's own stages are among them
    for stage in pipeline.stages:
        lines += [*_stage_lines(stage, pipeline.items.word), ""]
    return "\n".join(lines) + f"{OWN_STAGES}\n{tail}"


def own_stages(text: str) -> str:
    """Return what stands below the line of one's own stages in a ``dvc.yaml``."""
    return text.partition(f"{OWN_STAGES}\n")[2]


def _code_stages(case: _Case) -> tuple[StageDefinition, ...]:
    """Return the stages that write what those of each partition name in place of the code that they run."""
    wanted = {} if case.code.installed else case.partition_code
    return tuple(
        StageDefinition(code_stage(name), f"leverframe code {name}", tuple(files), in_git=tuple(case.code_of(name)))
        for name, files in wanted.items()
    )


def _data_stages(case: _Case) -> tuple[StageDefinition, ...]:
    static = [name for name, source in case.sources.items() if source.static]
    grouped = [name for name, source in case.sources.items() if not source.static]
    ingest, validate = case.code_of("ingest"), case.code_of("validate")
    history = [_raw(name, f"back_{n}") for name in grouped for n in range(case.partitions.history, 0, -1)]
    raw_static = [_path(layout.raw(name, layout.STATIC)) for name in static]
    raw_group = [_raw(name) for name in grouped]
    zone, keys = ("data.case", "data.timezone"), case.code.keys()
    first = ("data.first",) if case.partitions.coarse else ()  # of a group of several partitions some may not exist
    read_static = (*ingest, *inputs(case.sources, static=True, placed=False))
    read_group = (*ingest, *case.items.files())
    return (
        StageDefinition(
            "ingest-static", "leverframe ingest --partition static", read_static, zone, tuple(raw_static),
            installation=keys,
        ),
        StageDefinition(
            "ingest", case.items.command("ingest"), read_group, (*zone, *first), tuple(raw_group), grouped=True,
            installation=keys,
        ),
        StageDefinition(
            "validate-static",
            "leverframe validate --partition static",
            (*validate, *raw_static),
            ("data.case",),
            in_git=(_path(layout.contract_report(layout.STATIC)), _path(layout.sketch(layout.STATIC))),
            metrics=(_path(layout.profile(layout.STATIC)),),
            installation=keys,
        ),
        StageDefinition(
            "validate",
            case.items.command("validate"),
            (*validate, *raw_static, *history, *raw_group),
            ("data.case", "data.first", "data.timezone"),
            in_git=(_path(layout.contract_report("${key}")), _path(layout.sketch("${key}"))),
            metrics=(_path(layout.profile("${key}")),),
            grouped=True,
            installation=keys,
        ),
    )  # fmt: skip


def _is_written(settings: Document, name: str) -> bool:
    """Tell whether params.yaml has a setting."""
    section: Any = settings
    for part in name.split("."):
        if part not in section.model_fields_set:
            return False
        section = getattr(section, part)
    return True


def _seen_by_dvc(stage: StageDefinition, defaults: set[str]) -> StageDefinition:
    """Return a stage that reads the settings of ``defaults`` from the file that has them."""
    left_out = tuple(f"{installation.DEFAULTS}.{name}" for name in stage.params if name in defaults)
    written = tuple(name for name in stage.params if name not in defaults)
    return replace(stage, params=written, installation=(*stage.installation, *left_out))


def _build(case: _Case) -> StageDefinition:
    reach = case.plan.reach()
    reads, furthest = [], 0
    for table in case.plan.tables():
        if case.sources[table].static:
            reads.append(_path(layout.raw(table, layout.STATIC)))
            continue
        back = case.partitions.back(reach[table])
        furthest = max(furthest, back)
        reads += [*(_raw(table, f"back_{n}") for n in range(back, 0, -1)), _raw(table)]
    validated = [layout.STATIC, *(f"${{item.back_{n}}}" for n in range(furthest, 0, -1)), "${key}"]
    contracts = [_path(layout.contract_report(partition)) for partition in validated]
    return StageDefinition(
        "build",
        "leverframe build --partition ${key}",
        (case.star, *case.code_of("build"), *reads, *contracts),
        ("data.case", "data.first", "data.timezone", "features.engine"),
        cached=(_path(layout.features("${key}")),),
        in_git=(_path(layout.feature_sketch("${key}")),),
        metrics=(_path(layout.feature_profile("${key}")),),
        grouped=True,
        installation=case.code.keys(installation.EXTRAS),
    )


def _model_stages(case: _Case) -> tuple[StageDefinition, ...]:
    every = [_path(layout.features(str(group))) for group in case.items.groups]
    train, holdout, model = _path(layout.TRAIN), _path(layout.HOLDOUT), _path(layout.MODEL)
    described, learnt, card = (_path(path) for path in (layout.TRAINING_SET, layout.LEARNING_SET, layout.MODEL_CARD))
    keys = case.code.keys()
    return (
        StageDefinition(
            "training-set",
            "leverframe training-set",
            (case.star, *case.code("training_set", _PLAN), *every),
            ("data.case", "data.timezone", "features"),
            cached=(train, holdout),
            in_git=(described, learnt),
            installation=keys,
        ),
        StageDefinition(
            "train",
            "leverframe train",
            (*case.own("train", case.estimator, *case.trainer), learnt, train),
            installation.ON_SPARK if case.trainer else ("train",),
            cached=(model,),
            in_git=(_path(layout.MODEL_DESCRIPTION),),
            installation=case.code.keys(*((installation.EXTRAS,) if case.trainer else ())),
        ),
        StageDefinition(
            "evaluate",
            "leverframe evaluate",
            (*case.own("evaluate", case.estimator), described, holdout, model, _path(layout.MODEL_DESCRIPTION)),
            ("data.timezone", "evaluate"),
            cached=(_path(layout.PREDICTIONS),),
            in_git=(card, _path(layout.PLOTS), _path(layout.PICTURES)),
            metrics=(_path(layout.METRICS),),
            installation=keys,
        ),
        StageDefinition(
            "bundle",
            "leverframe bundle",
            (
                case.star,
                *case.own("bundle", _PLAN, case.module("contracts"), case.estimator),
                *(train, holdout, model, _path(layout.MODEL_DESCRIPTION), card, _path(layout.SNAPSHOT)),
            ),
            ("bundle", "data.case", "data.timezone"),
            cached=(_path(layout.BUNDLE),),
            metrics=(_path(layout.BUNDLE_REPORT),),
            installation=case.code.keys(installation.EXTRAS),
        ),
    )


def _online_stages(case: _Case) -> tuple[StageDefinition, ...]:
    """Return the stages of what is looked up at request time: the snapshot as of the end, and its parity."""
    partitions, holdout = case.partitions, case.params.features.holdout
    compared = partitions.groups(holdout.first, holdout.last)
    start, end = partitions.bounds(compared[0])[0], partitions.bounds(compared[-1])[1]
    newest = Span(first_of_newest(partitions), partitions.end)
    return (
        StageDefinition(
            "snapshot",
            "leverframe snapshot",
            (case.star, *case.code("snapshot", _PLAN), *_seen(case, newest)),
            ("data",),
            cached=(_path(layout.SNAPSHOT),),
            installation=case.code.keys(),
        ),
        StageDefinition(
            "parity",
            "leverframe parity",
            (
                case.star,
                *case.code("parity", _PLAN),
                *_seen(case, Span(start - case.plan.lead_time, end)),
                *(_path(layout.features(str(group))) for group in compared),
            ),
            ("data", "features.holdout"),
            metrics=(_path(layout.PARITY),),
            installation=case.code.keys(),
        ),
    )


def _seen(case: _Case, span: Span) -> tuple[str, ...]:
    """Return the raw files that a snapshot for timestamps of ``span`` reads."""
    paths, reach = [], case.plan.reach()
    for table in dict.fromkeys(step.table for step in case.plan.steps):
        if case.sources[table].static:
            paths.append(_path(layout.raw(table, layout.STATIC)))
            continue
        groups = online_groups(reach[table], span, case.partitions)
        paths += [_path(layout.raw(table, str(group))) for group in groups]
    spine = _path(layout.raw(case.plan.spine, str(case.items.groups[-1])))  # tells the kinds of the fields
    return tuple(dict.fromkeys([*paths, spine]))


def _stage_lines(stage: StageDefinition, items: str) -> list[str]:
    body = [f"cmd: {stage.command}", *_listed("deps", stage.dependencies), *_listed("params", stage.params)]
    if stage.installation:
        body += [f"  - {installation.FILE}:", *(f"    - {key}" for key in stage.installation)]
    outs: list[str] = [f"- {path}" for path in stage.cached]
    outs += [line for path in stage.in_git for line in (f"- {path}:", "    cache: false")]
    body += ["outs:", *(f"  {line}" for line in outs)] if outs else []
    kept = [line for path in stage.metrics for line in (f"- {path}:", "    cache: false")]
    body += ["metrics:", *(f"  {line}" for line in kept)] if kept else []
    if not stage.grouped:
        return [f"  {stage.name}:", *(f"    {line}" for line in body)]
    return [f"  {stage.name}:", f"    foreach: ${{{items}}}", "    do:", *(f"      {line}" for line in body)]


def _plot_lines(name: str, along: str, up: str, template: str) -> list[str]:
    file = _path(layout.PLOTS / f"{name}.csv")
    axes = [f"      {axis}: {{{file}: {column}}}" for axis, column in (("x", along), ("y", up))]
    return [f"  - {name}:", *axes, f"      template: {template}"]


def _listed(section: str, entries: Iterable[str]) -> list[str]:
    listed = list(dict.fromkeys(entries))
    texts = (entry if _PLAIN.fullmatch(entry) else json.dumps(entry, ensure_ascii=False) for entry in listed)
    return [f"{section}:", *(f"  - {text}" for text in texts)] if listed else []


def _raw(table: str, back: str | None = None) -> str:
    return _path(layout.raw(table, f"${{item.{back}}}" if back else "${key}"))


def _path(path: Path) -> str:
    return path.as_posix()
