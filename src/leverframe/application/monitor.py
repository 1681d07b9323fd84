"""Look at live traffic: data quality, drift and performance, with everything that is written of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from leverframe import __version__
from leverframe.adapters.alibi_detect import AlibiDetectEngine
from leverframe.adapters.disk import Disk
from leverframe.adapters.duckdb.labels import Labels
from leverframe.adapters.duckdb.requests import Requests
from leverframe.adapters.dvc.remotes import RemoteFiles
from leverframe.adapters.git import Git
from leverframe.application.alerts import alert
from leverframe.application.environments import as_of, watched
from leverframe.application.log_files import NO_LABELS, log_files
from leverframe.application.monitor_results import DASHBOARD, Results
from leverframe.application.monitor_state import KeptState
from leverframe.application.record import artifact_in, tags_of
from leverframe.application.reference import reference
from leverframe.application.servers import server_folder
from leverframe.application.serving_skew import serving_skew
from leverframe.application.weekly import classifier_of_weeks, is_due
from leverframe.application.workspace import Workspace
from leverframe.domain import layout
from leverframe.domain.model.bundle.bundle_manifest import MANIFEST, sha256
from leverframe.domain.monitoring.drift import judged
from leverframe.domain.monitoring.engine import BuiltinEngine, Engine
from leverframe.domain.monitoring.finding import Kind
from leverframe.domain.monitoring.log_query import LogFile, LogQuery
from leverframe.domain.monitoring.monitor import Run, Sources, Upstream
from leverframe.domain.monitoring.monitor import run as monitor_run
from leverframe.domain.monitoring.monitor_result import Monitored, Provenance, RuleFacts
from leverframe.domain.monitoring.reference import Reference
from leverframe.domain.monitoring.upstream_tables import lineage, upstream_tables
from leverframe.domain.monitoring.window_summary import WindowSpan
from leverframe.domain.partition import Partition
from leverframe.domain.release.registry import Registry
from leverframe.errors import LeverframeError, RepositoryError
from leverframe.files import private_folder
from leverframe.package import check_extras
from leverframe.settings.monitor import LabelSettings, MonitorSettings

Tell = Callable[[str], None]


@dataclass(frozen=True)
class MonitorOptions:
    """What the command line asks for; what is None is as the settings say."""

    environment: str | None = None
    log: str | None = None
    labels: str | None = None
    engine: str | None = None
    as_of: str | None = None
    out: Path | None = None
    alerts: bool = True
    dry_run: bool = False


def monitor(workspace: Workspace, asked: MonitorOptions, tell: Tell, mask: Tell) -> tuple[Monitored, Path]:
    """Return what is found in the newest windows, and the page of it, written into the folder of results.

    ``mask`` hides a secret from the log of a runner. Raises ``MonitorBusyError`` while another run writes there, and
    ``PublishError`` where the forge refuses alerts or results, once everything is written here.
    """
    settings = _settings(workspace, asked)
    now = as_of(asked.as_of)
    results = Results(_folder(workspace, asked), workspace.levers.retrain)
    engine = engine_of(settings.engine)
    state = KeptState(workspace, _environment(workspace, asked), results.folder)
    with results.lock():
        if not asked.dry_run:
            state.fetch()
        if engine.notice and not results.profile():
            tell(engine.notice)
        known = reference(workspace, engine, results.profile(), tell)
        run = _run(workspace, (settings, _environment(workspace, asked)), known, now)
        monitored, known = _observed(workspace, asked, (run, engine), results.previous(), tell)
        monitored, failure = _alerted(workspace, asked, (monitored, results, known), (tell, mask))
        if not asked.dry_run:
            state.push()
        if failure:
            raise failure
        return monitored, results.folder / DASHBOARD


def _observed(
    workspace: Workspace, asked: MonitorOptions, of: tuple[Run, Engine], before: Monitored | None, tell: Tell
) -> tuple[Monitored, Reference]:
    """Return what the log and the labels show, and the reference with what was learned of its weeks."""
    (run, engine), known, settings = of, of[0].reference, of[0].settings
    query = _query(run, known, settings)
    with ExitStack() as stack:
        files = stack.enter_context(
            log_files(_log(workspace, asked), workspace.root, RemoteFiles, (query.since, run.clock))
        )
        labels = None
        if settings.labels is not None:
            late = stack.enter_context(log_files(settings.labels.path, workspace.root, RemoteFiles, nothing=NO_LABELS))
            keys = replace(query, columns=())  # a second look at the log, for what labels are joined on
            labels = Labels(late, settings.labels, Requests(files, keys), keys, run.spans, run.now)
        upstream = _upstream(workspace, run, files)
        classifier = None
        # What was said of weeks is of the reference of that run: another model is looked at anew.
        same = before is not None and before.provenance.reference == known.profile.digest
        if is_due(settings, known.timezone, before.at if before and same else "", run.now):
            classifier, known, why = classifier_of_weeks(workspace, known, settings, tell)
            upstream = replace(upstream, notes=(*upstream.notes, *([why] if why else [])))
        elif before is not None:  # until the next week is over, what was said of the last one holds
            drifts = [finding for finding in before.findings if finding.kind is Kind.MULTIVARIATE_DRIFT]
            upstream = replace(upstream, findings=(*upstream.findings, *drifts))
        sources = Sources(Requests(files, replace(query, keys=())), labels, engine, upstream, classifier)
        return monitor_run(run, sources, tell), known


def _alerted(
    workspace: Workspace, asked: MonitorOptions, of: tuple[Monitored, Results, Reference], how: tuple[Tell, Tell]
) -> tuple[Monitored, LeverframeError | None]:
    """Write what was found, bring alerts up to date, and write it again with them and with what was not told."""
    (monitored, results, known), (tell, mask) = of, how
    if not asked.dry_run:
        results.write(known, monitored)
    if not asked.alerts:
        return monitored, None
    alerts = alert(workspace, monitored, results.folder, dry_run=asked.dry_run, mask=mask)
    for step in alerts.steps:
        tell(step)
    monitored = replace(monitored, alerts=alerts.standing, notes=(*monitored.notes, *alerts.notes))
    if not asked.dry_run:
        results.write(known, monitored)
    return monitored, alerts.failure


def self_tested(workspace: Workspace, asked: MonitorOptions, tell: Tell) -> RuleFacts:
    """Return the rule of drift for the reference, and how often it raises an alarm on the reference itself."""
    settings, results = _settings(workspace, asked), Results(_folder(workspace, asked))
    engine = engine_of(settings.engine)
    with results.lock():
        known = reference(workspace, engine, results.profile(), tell)
    return judged(known.profile, (), settings, engine).rule


def engine_of(name: str) -> Engine:
    """Return who computes the statistics; raises ``InstallationError`` where that is not installed."""
    if name != AlibiDetectEngine.name:
        return BuiltinEngine()
    check_extras(("monitoring",), f"the engine `{name}`", ", or set `monitor.engine: builtin` in leverframe.yaml")
    return AlibiDetectEngine()


def _settings(workspace: Workspace, asked: MonitorOptions) -> MonitorSettings:
    """Return the settings in force: those of the file, and what the command line says otherwise."""
    settings = workspace.levers.monitor
    if not settings.performance.metrics:  # those that decide in a pull request decide here
        metrics = settings.performance.model_copy(update={"metrics": list(workspace.levers.gate.metrics)})
        settings = settings.model_copy(update={"performance": metrics})
    if asked.engine is not None:
        settings = settings.model_copy(update={"engine": asked.engine})
    if asked.labels is not None:
        known = settings.labels or LabelSettings(path=asked.labels)
        settings = settings.model_copy(update={"labels": known.model_copy(update={"path": asked.labels})})
    return settings


def _environment(workspace: Workspace, asked: MonitorOptions) -> str:
    return watched(workspace, asked.environment)


def _folder(workspace: Workspace, asked: MonitorOptions) -> Path:
    private_folder(workspace.root / layout.PRIVATE)
    return asked.out or workspace.root / layout.MONITOR / _environment(workspace, asked)


def _log(workspace: Workspace, asked: MonitorOptions) -> str:
    """Return where the log is: as asked, as set, or that of the server of this machine."""
    given = asked.log or workspace.levers.monitor.log
    return given or str(server_folder(workspace, _environment(workspace, asked)).folder / "log")


def _run(workspace: Workspace, of: tuple[MonitorSettings, str], known: Reference, now: datetime) -> Run:
    settings, environment = of
    local = now.astimezone(ZoneInfo(known.timezone)).replace(tzinfo=None)
    newest = Partition.at(local, settings.window)
    spans = [WindowSpan.of(newest.plus(back), known.timezone) for back in range(-settings.lookback, 1)]
    lock, git = workspace.root / "dvc.lock", workspace.git
    provenance = Provenance(
        commit=_commit(git),
        lock=sha256(lock.read_bytes()) if lock.is_file() else "",
        reference=known.profile.digest,
        leverframe=__version__,
        engine=settings.engine,
        log=settings.log or "the log of the server",
        labels=settings.labels.path if settings.labels else "",
    )
    manifest = workspace.root / layout.BUNDLE / MANIFEST
    own = manifest.is_file() and workspace.levers.pipeline.predictions is None
    bundle = sha256(manifest.read_bytes()) if own else ""
    return Run(environment, known, settings, spans, now, max(now, datetime.now(UTC)), provenance, bundle)


def _commit(git: Git) -> str:
    """Return the commit that is checked out; empty in a repository that has none yet."""
    try:
        return git.named("HEAD")
    except RepositoryError:
        return ""


def _query(run: Run, known: Reference, settings: MonitorSettings) -> LogQuery:
    return LogQuery(
        known.model,
        known.columns,
        known.label.kind,
        known.classes,
        since=run.spans[0].start,
        until=run.clock,
        names=settings.columns,
        format=settings.format,
        keys=tuple(settings.labels.on) if settings.labels else (),
    )


def _upstream(workspace: Workspace, run: Run, files: Sequence[LogFile]) -> Upstream:
    """Return what is known beside the log: contracts, recomputed features and versions. Without a case, the last."""
    model = run.reference.model
    artifact = artifact_in(workspace, model)
    releases = {
        version.manifest.bundle: (version.manifest.commit, version.name)
        for version in Registry(tags_of(workspace, artifact), artifact).versions
        if version.manifest is not None
    }
    if workspace.levers.pipeline.predictions is not None:
        return Upstream(versions=releases)
    skew = serving_skew(workspace, model, files, run.settings, (run.spans[0].name, run.spans[-1].name))
    built, disk, folder = lineage(workspace.plan), Disk(workspace.root), workspace.root / layout.CONTRACTS
    reports = {path.stem: disk.read_json(path.relative_to(workspace.root)) for path in sorted(folder.glob("*.json"))}
    try:
        tables, findings = upstream_tables(reports, built)
    except ValueError as error:
        notes = (*skew.notes, f"the tables were not looked at: {error}")
        return Upstream(skew=skew.skew, findings=skew.findings, versions=releases, notes=notes)
    return Upstream(tables, skew.skew, (*findings, *skew.findings), built, releases, skew.notes)
