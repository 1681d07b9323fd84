"""The composition root: from settings to adapters, and from a case's four files to declarations."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leverframe.domain import layout
from leverframe.domain.partition import Month, months
from leverframe.errors import PipelineError
from leverframe.imports import load

if TYPE_CHECKING:
    from leverframe.adapters.stage_log import Recording
    from leverframe.domain.data.contract_report import Report
    from leverframe.domain.data.ingest import Ingested, Source
    from leverframe.domain.features.build import Built, Engine
    from leverframe.domain.features.online import Span
    from leverframe.domain.features.parity import Parity
    from leverframe.domain.features.plan import Plan
    from leverframe.domain.features.snapshot.store import About, Table
    from leverframe.domain.features.star_picture import Origin
    from leverframe.domain.features.training_set import TrainingSet
    from leverframe.domain.features.vector import Answer
    from leverframe.domain.model.bundle.packing import Bundle
    from leverframe.domain.model.evaluate.evaluation import Evaluation
    from leverframe.domain.model.train import ModelDescription
    from leverframe.domain.pipeline.status.reasons import PipelineStatus
    from leverframe.domain.review.diff.diff_result import Diff
    from leverframe.domain.review.diff.revision import Revision
    from leverframe.settings import FeaturesSettings, Settings

ROOT = Path()


def read_settings() -> Settings:
    """Return the settings of the repository; pydantic is loaded only by commands that need them."""
    from leverframe import settings

    return settings.read_settings(ROOT / settings.PARAMS)


def ingest(partition: str) -> list[Ingested]:
    """Ingest the tables of one month, or the static ones."""
    from leverframe.adapters.duckdb.query import arrow_table
    from leverframe.adapters.polars import PolarsFrames
    from leverframe.domain.data.ingest import run

    settings = read_settings()
    month = None if partition == layout.STATIC else Month.of(partition)
    with stage("ingest", partition) as record:
        frames = PolarsFrames(ROOT, arrow_table)
        written = run(sources(settings), month, settings.data.timezone, frames, ROOT)
        record.rows(sum(each.rows for each in written))
    return written


def validate(partition: str, history: Sequence[str] = ()) -> Report:
    """Hold the tables of a partition against their contracts, and write their report and profile.

    Without ``history`` a month is compared with the ``HISTORY`` months before it that exist.
    """
    from leverframe.adapters.duckdb.sketch import DuckDBSketcher
    from leverframe.adapters.duckdb.statistics import DuckDBStatistician
    from leverframe.adapters.pandera import PanderaChecker
    from leverframe.domain.data.contract import key_of
    from leverframe.domain.data.sketch import summed
    from leverframe.domain.data.validate import Validation, run
    from leverframe.domain.pipeline.stages import HISTORY
    from leverframe.files import write_json

    settings = read_settings()
    if not history and partition != layout.STATIC:
        earlier = [Month.of(partition).plus(-back) for back in range(1, HISTORY + 1)]
        history = [str(month) for month in earlier if month >= Month.of(settings.data.first)]
    with stage("validate", partition) as record:
        validation = Validation(
            contracts=declared(settings, "contracts", "CONTRACTS"),
            tables={name: source.static for name, source in sources(settings).items()},
            timezone=settings.data.timezone,
            checker=PanderaChecker(),
            statistician=DuckDBStatistician(),
            root=ROOT,
        )
        report = run(validation, partition, history)
        record.rows(sum(each.current.rows for each in report.tables))
        write_json(ROOT / layout.contract_report(partition), report.to_json())
        write_json(ROOT / layout.profile(partition), report.profile())
        sketches = {
            each.table: summed(
                DuckDBSketcher(),
                ROOT / layout.raw(each.table, partition),
                key_of(validation.contracts.get(each.table)),
                each.current.columns,
            )
            for each in report.tables
        }
        write_json(ROOT / layout.sketch(partition), {"partition": partition, "tables": sketches})
    return report


def build(partition: str) -> Built:
    """Build the features of one month, and write their profile and sketch."""
    from leverframe.adapters.duckdb.sketch import DuckDBSketcher
    from leverframe.adapters.duckdb.statistics import DuckDBStatistician
    from leverframe.domain.data.profile import table_profile
    from leverframe.domain.data.sketch import summed
    from leverframe.domain.data.statistics import Survey
    from leverframe.domain.features.build import run
    from leverframe.domain.review.diff.revision import FEATURES
    from leverframe.files import write_json

    settings = read_settings()
    plan, month, first = star_plan(settings), Month.of(partition), Month.of(settings.data.first)
    with stage("build", partition) as record:
        built = run(plan, month, first, engine(settings.features), ROOT)
        path = ROOT / built.path
        found = DuckDBStatistician().measure(Survey(FEATURES, partition, path, settings.data.timezone))
        sketch = summed(DuckDBSketcher(), path, plan.spine_key, found.current.columns)
        profiles = {"partition": partition, "tables": {FEATURES: table_profile(found)}}
        write_json(ROOT / layout.feature_profile(partition), profiles)
        write_json(ROOT / layout.feature_sketch(partition), {"partition": partition, "tables": {FEATURES: sketch}})
        record.rows(built.rows)
    return built


def diff(base: str | None, head: str | None) -> Diff:
    """Compare what git keeps of the data at two revisions: by default the merge base with main, and this folder."""
    from leverframe.adapters.git import Git
    from leverframe.domain.review.diff.comparison import compared
    from leverframe.domain.review.diff.revision import WORKING_TREE, read, star_path, wanted

    git = Git(ROOT)

    def at(revision: str | None) -> Revision:
        if revision is None:
            paths = git.files(*wanted())
            files = {path: (ROOT / path).read_bytes() for path in paths}
            star = star_path(files)
            more = {star: (ROOT / star).read_bytes()} if star and (ROOT / star).is_file() else {}
            return read(WORKING_TREE, files | more)
        files = git.contents(revision, *wanted())
        star = star_path(files)
        return read(revision[:12], files | (git.contents(revision, star) if star else {}))

    after = git.named(head) if head else None
    return compared(at(git.named(base) if base else git.fork_point(after or "HEAD")), at(after))


def engine(settings: FeaturesSettings) -> Engine:
    """Return the engine that the settings name."""
    if settings.engine == "spark":
        from leverframe.adapters.spark import spark_engine

        return spark_engine(settings.spark.master, settings.spark.memory)
    from leverframe.adapters.duckdb.engine import DuckDBEngine

    return DuckDBEngine()


def training_set() -> TrainingSet:
    """Write both sides of the training set and its description."""
    from leverframe.adapters.duckdb.splits import DuckDBSplitter
    from leverframe.domain.features.split import run
    from leverframe.files import write_json

    settings = read_settings()
    with stage("training-set") as record:
        found = run(star_plan(settings), settings.features, settings.data.timezone, DuckDBSplitter(), ROOT)
        write_json(ROOT / layout.TRAINING_SET, found.to_json())
        write_json(ROOT / layout.LEARNING_SET, found.learning.to_json())
        record.rows(found.train.rows + found.holdout.rows)
    return found


def snapshot(as_of: str | None, since: str | None, out: Path, url: str | None, ttl: int) -> str:
    """Write the snapshot for lookup, into a file or into Redis, and return where it is.

    It is as of a moment, by default the end of the last month. Redis keeps it for ``ttl`` seconds.
    """
    from leverframe.adapters.duckdb.engine import DuckDBEngine
    from leverframe.adapters.redis import publish, redacted
    from leverframe.adapters.snapshot_file import write
    from leverframe.domain.features.online import Span
    from leverframe.domain.features.request import moment

    settings = read_settings()
    with stage("snapshot"):
        until = moment(as_of) if as_of else Month.of(settings.data.last).plus(1).start(settings.data.timezone)
        span = Span(moment(since) if since else until, until)
        about, tables = _snapshot(settings, span, DuckDBEngine())
        if url:
            return f"{redacted(url)}  generation {publish(url, about, tables, ttl=ttl)}, kept for {ttl:,} seconds"
        write(ROOT / out, about, tables)
    return str(out)


def parity(months_asked: Sequence[str] = ()) -> Parity:
    """Compare built months, by default those of the hold-out, with what a snapshot gives for their rows."""
    from tempfile import TemporaryDirectory

    from leverframe.adapters.duckdb.engine import DuckDBEngine
    from leverframe.adapters.polars import PolarsTables
    from leverframe.adapters.snapshot_file import SnapshotFile, write
    from leverframe.domain.features.online import Span
    from leverframe.domain.features.parity import run
    from leverframe.files import write_json

    settings = read_settings()
    plan, holdout = star_plan(settings), settings.features.holdout
    chosen = [Month.of(each) for each in months_asked] or months(holdout.first, holdout.last)
    with stage("parity") as record, TemporaryDirectory() as folder:

        def opened(month: Month) -> SnapshotFile:
            path, zone = Path(folder, f"{month}.bin"), settings.data.timezone
            span = Span(month.start(zone) - plan.ahead, month.plus(1).start(zone))
            write(path, *_snapshot(settings, span, DuckDBEngine()))
            return SnapshotFile(path, spec=plan.spec)

        found = run(plan, chosen, PolarsTables(ROOT), opened)
        record.rows(found.rows)
        if not months_asked:
            write_json(ROOT / layout.PARITY, found.to_json())
    return found


def request_origins(fields: Mapping[str, str], as_of: str, path: Path, url: str | None) -> Answer:
    """Return the vector of one request, written as text, and where each of its features came from."""
    from leverframe.adapters.redis import RedisStore
    from leverframe.adapters.snapshot_file import SnapshotFile
    from leverframe.domain.features.request import moment, parsed
    from leverframe.domain.features.vector import answered

    plan = star_plan(read_settings())
    store = RedisStore(url, spec=plan.spec) if url else SnapshotFile(ROOT / path, spec=plan.spec)
    try:
        return answered(plan, store, parsed(plan, fields, moment(as_of), store.about()))
    finally:
        store.close()


def _snapshot(settings: Settings, span: Span, engine: Engine) -> tuple[About, Iterator[Table]]:
    """Return what a snapshot of ``span`` is of, and its tables, read one by one."""
    from leverframe.adapters.duckdb.online import DuckDBSnapshooter
    from leverframe.domain.features.online import about, online_files
    from leverframe.domain.features.request import required

    plan, last = star_plan(settings), Month.of(settings.data.last)
    files = online_files(plan, span, (Month.of(settings.data.first), last), settings.data.timezone, ROOT)
    kinds = engine.columns([ROOT / layout.raw(plan.spine, str(last))])
    fields = about(plan, span, {name: kinds[name] for name in required(plan)})
    return fields, DuckDBSnapshooter().tables(plan, files, span)


def train() -> ModelDescription:
    """Fit the estimator to the training rows; write the model and its description."""
    from leverframe.adapters.disk import Disk
    from leverframe.adapters.polars import PolarsTables
    from leverframe.adapters.sklearn import SklearnModels
    from leverframe.domain.model.train import run

    settings = read_settings()
    with stage("train") as record:
        model = run(PolarsTables(ROOT), Disk(ROOT), SklearnModels(ROOT), settings.train)
        record.rows(model.rows)
    return model


def evaluate() -> Evaluation:
    """Judge the stored model on the hold-out; write metrics, plots, pictures, predictions and the card."""
    from leverframe.adapters.disk import Disk
    from leverframe.adapters.polars import PolarsTables
    from leverframe.adapters.sklearn import SklearnModels
    from leverframe.domain.model.evaluate.evaluation import run

    settings = read_settings()
    with stage("evaluate") as record:
        artefacts, models = Disk(ROOT), SklearnModels(ROOT)
        evaluation = run(PolarsTables(ROOT), artefacts, models, settings.evaluate, settings.data.timezone)
        record.rows(len(evaluation.holdout.labels))
    return evaluation


def bundle() -> Bundle:
    """Pack the trained model for serving, and write the folder and its report."""
    from leverframe.adapters.disk import Disk
    from leverframe.adapters.duckdb.statistics import DuckDBStatistician
    from leverframe.adapters.onnx import Onnx
    from leverframe.adapters.pandera.fields import fields
    from leverframe.adapters.polars import PolarsTables
    from leverframe.adapters.sklearn import SklearnModels
    from leverframe.adapters.snapshot_file import SnapshotFile
    from leverframe.domain.data.profile import table_profile
    from leverframe.domain.data.statistics import Survey
    from leverframe.domain.model.bundle.packing import Packed, run
    from leverframe.files import write_folder, write_json

    settings = read_settings()
    plan = star_plan(settings)
    with stage("bundle") as record:
        survey = Survey("train", "train", ROOT / layout.TRAIN, settings.data.timezone)
        contract = declared(settings, "contracts", "CONTRACTS").get(plan.spine)
        packed = Packed(
            plan,
            SnapshotFile(ROOT / layout.SNAPSHOT, spec=plan.spec),
            star_file(settings).read_bytes(),
            fields(contract.schema) if contract else {},
            table_profile(DuckDBStatistician().measure(survey)),
        )
        made = run(PolarsTables(ROOT), Disk(ROOT), SklearnModels(ROOT), Onnx(), packed, settings.bundle)
        write_folder(ROOT / layout.BUNDLE, made.files)
        write_json(ROOT / layout.BUNDLE_REPORT, made.to_json())
        record.rows(made.conversion.rows)
    return made


def origins(partition: str, row: int) -> list[Origin]:
    """Return where each feature of one row of a built month came from."""
    from leverframe.adapters.duckdb.provenance import provenance
    from leverframe.domain.features.build import needed_files

    settings = read_settings()
    plan, month = star_plan(settings), Month.of(partition)
    files = needed_files(plan, month, Month.of(settings.data.first), ROOT)
    return provenance(plan, ROOT / layout.features(partition), files, row)


def demo(tell: Callable[[str], None]) -> list[str]:
    """Reproduce the pipeline, telling of each stage as it ends, and return the summary."""
    from leverframe.adapters.disk import Disk
    from leverframe.adapters.dvc import LOG, Repro, StageFinished, StageSkipped
    from leverframe.adapters.process import run_group
    from leverframe.adapters.stage_log import records
    from leverframe.demo.summary import Results, progress_line, summary
    from leverframe.domain.features.training_set import TrainingSet
    from leverframe.domain.pipeline.status.reasons import State

    found = pipeline_status(ROOT)
    total, ended = len(found.stages), 0
    to_run = sum(each.state is not State.FRESH for each in found.stages)
    tell(f"{total} stages, {to_run} of them to run; the full output goes to {LOG}")

    def on_event(event: object) -> None:
        nonlocal ended
        if isinstance(event, StageFinished | StageSkipped):
            ended += 1
            took = f"{event.seconds:5.1f} s" if isinstance(event, StageFinished) else "  unchanged"
            tell(progress_line(ended, total, event.stage, took))

    Repro(ROOT, run_group)(on_event=on_event)
    disk, settings = Disk(ROOT), read_settings()
    parts = [layout.STATIC, *map(str, months(settings.data.first, settings.data.last))]
    results = Results(
        contracts={part: disk.read_json(layout.contract_report(part)) for part in parts},
        training_set=TrainingSet.from_json(disk.read_json(layout.TRAINING_SET)),
        metrics=disk.read_json(layout.METRICS),
        records=records(ROOT / layout.STAGE_LOGS),
        pictures=sorted(map(str, (ROOT / layout.PICTURES).glob("*.svg"))),
    )
    return summary(results, settings.data.last)


def pipeline_status(start: Path) -> PipelineStatus:
    """Return of each stage of the repository around ``start`` whether it is stale, and why."""
    from leverframe.adapters.git import Git
    from leverframe.adapters.working_tree import WorkingTree
    from leverframe.domain.pipeline.status.staleness import run

    tree = WorkingTree.around(start)
    return run(Git(tree.root), tree)


@contextmanager
def stage(name: str, partition: str = "") -> Iterator[Recording]:
    """Record what a stage does, and end it with the process that started it."""
    from leverframe.adapters.process import end_with_parent
    from leverframe.adapters.stage_log import recording

    end_with_parent()
    with recording(name, partition, folder=ROOT / layout.STAGE_LOGS) as record:
        yield record


def star_picture() -> str:
    """Return the star schema of the case as a Mermaid picture."""
    from leverframe.domain.features.star_picture import mermaid

    return mermaid(star_plan(read_settings())).rstrip()


def explained(partition: str | None, row: int | None) -> str:
    """Return the plan in words or, given a row of a built month, where each of its features came from."""
    from leverframe.domain.features.star_picture import origin_lines, plan_lines

    if partition is not None and row is not None:
        return "\n".join(origin_lines(origins(partition, row)))
    return "\n".join(plan_lines(star_plan(read_settings())))


def star_plan(settings: Settings) -> Plan:
    """Return the plan of the case's ``star.yaml``."""
    from leverframe.domain.features.plan import compile_star
    from leverframe.domain.features.star import read_star

    return compile_star(read_star(star_file(settings)))


def star_file(settings: Settings) -> Path:
    """Return the file with the star schema of the case."""
    return ROOT / settings.data.case.replace(".", "/") / "star.yaml"


def sources(settings: Settings) -> Mapping[str, Source]:
    """Return what the case's ``sources.py`` declares."""
    found: Mapping[str, Source] = declared(settings, "sources", "SOURCES")
    return found


def dvc_yaml() -> str:
    """Return the ``dvc.yaml`` that the declarations ask for, one's own stages kept."""
    from leverframe.domain.pipeline.stages import own_stages, pipeline, render

    settings = read_settings()
    path = ROOT / "dvc.yaml"
    tail = own_stages(path.read_text(encoding="utf-8")) if path.exists() else ""
    return render(pipeline(settings, sources(settings), star_plan(settings), _code()), tail)


def write_dvc_yaml() -> None:
    """Replace ``dvc.yaml`` by what the declarations ask for, one's own stages kept."""
    from leverframe.files import write_text

    write_text(ROOT / "dvc.yaml", dvc_yaml())


def check_dvc_yaml() -> None:
    """Raise ``PipelineError`` when ``dvc.yaml`` is not what the declarations ask for."""
    path = ROOT / "dvc.yaml"
    if not path.exists() or path.read_text(encoding="utf-8") != dvc_yaml():
        raise PipelineError(
            "dvc.yaml is not what the declarations ask for",
            why="a window, a source, a month or a stage changed, so its dependencies are others now",
            next="run `leverframe stages --write` and commit dvc.yaml",
        )


def declared(settings: Settings, file: str, name: str) -> Any:
    """Return ``name`` of one of the case's Python files.

    Raises ``DefinitionError`` when the file or the name is missing, or the file cannot be run.
    """
    return load(f"{settings.data.case}.{file}:{name}", ROOT, said_by="`data.case` in params.yaml")


def _code() -> list[str]:
    """Return the files and folders of Leverframe that lie in this repository, for stages to depend on."""
    package = Path(__file__).parents[1]
    try:
        inside = package.relative_to(ROOT.resolve())
    except ValueError:  # installed from elsewhere: its version is in the lock file
        return []
    rooms = ("domain", "adapters", "adapters/duckdb")
    entries = [entry for room in rooms for entry in sorted((package / room).iterdir())]
    return [Path(inside, os.path.relpath(entry, package)).as_posix() for entry in entries]
