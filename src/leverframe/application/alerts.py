"""Alerts of what the monitor found: issues where there is a token of the forge, else a file, and webhooks."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from leverframe.adapters import runner
from leverframe.adapters.alert_file import AlertFile
from leverframe.adapters.webhook import Webhook
from leverframe.application.record import artifact_in
from leverframe.application.workspace import Workspace
from leverframe.domain import codeowners
from leverframe.domain.monitoring.alerts import notification
from leverframe.domain.monitoring.alerts.alert import alerts_of
from leverframe.domain.monitoring.alerts.alert_executor import AlertExecutor, Issues
from leverframe.domain.monitoring.alerts.alert_plan import AlertContext, open_alerts, planned
from leverframe.domain.monitoring.alerts.notification import Event
from leverframe.domain.monitoring.monitor_result import Monitored, OpenAlert
from leverframe.domain.monitoring.silence import BRANCH
from leverframe.domain.plan_engine import Progress, execute
from leverframe.errors import LeverframeError
from leverframe.settings.monitor import AlertSettings, WebhookSettings

FILE = "alerts.json"
_ASSIGNEES = 10  # of an issue on GitHub


@dataclass(frozen=True)
class Alerted:
    """The steps in words, what was not told, the alerts as they stand now, and what the forge refused."""

    steps: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    standing: tuple[OpenAlert, ...] = ()
    failure: LeverframeError | None = None


def alert(
    workspace: Workspace, monitored: Monitored, folder: Path, *, dry_run: bool, mask: Callable[[str], None]
) -> Alerted:
    """Bring issues and webhooks up to date; a dry run returns the same steps and takes none.

    ``mask`` hides a secret from the log of a runner. Errors of the forge are in the result: what was found is written
    in any case.
    """
    settings = workspace.levers.alerts
    issues, notes = issues_of(settings, folder)
    monitored = replace(monitored, model=artifact_in(workspace, monitored.model))  # other projects may have its name
    known = []
    try:
        known = issues.listed(settings.labels[0])
        around, missing = _around(workspace, monitored, issues)
        plan = planned(monitored, known, settings, around)
        notes += [*missing, *plan.notes]
        steps = tuple(str(step) for step in plan.steps)
        if dry_run or not steps:
            return Alerted(steps, tuple(notes), open_alerts(known, monitored))
        send = _Sender({webhook.url: webhook for webhook in settings.webhooks}, mask)
        executor = AlertExecutor(issues, known, settings.labels[0], send)
        execute(plan.steps, executor, Progress(time.monotonic))
        failure = next(iter(executor.failures.values()), None)
        return Alerted(steps, (*notes, *executor.notes), open_alerts(executor.known, monitored), failure)
    except LeverframeError as error:
        return Alerted((), tuple(notes), open_alerts(known, monitored), error)


def issues_of(settings: AlertSettings, folder: Path) -> tuple[Issues, list[str]]:
    """Return where alerts are kept, and why it is not where they should be."""
    if settings.issues and runner.repository() and runner.token():
        from leverframe.adapters.github.issues import GithubIssues  # noqa: PLC0415 - of an extra

        return GithubIssues(runner.api(), runner.repository(), runner.token()), []
    where = f"alerts are kept in {FILE} alone: GITHUB_REPOSITORY and GITHUB_TOKEN tell no forge to open issues on"
    kept = AlertFile(folder / FILE)
    return kept, [note for note in (where if settings.issues else "", kept.note) if note]


def _around(workspace: Workspace, monitored: Monitored, issues: Issues) -> tuple[AlertContext, list[str]]:
    """Return owners, dashboard and webhooks, and which webhooks have no address."""
    settings = workspace.levers.alerts
    hooks, missing = {}, []
    for hook in settings.webhooks:
        if os.environ.get(hook.url):
            hooks[hook.url] = hook.minimum
        else:
            missing.append(f"the webhook {hook.url} is told nothing: the environment variable is not set")
    logins, mentions = _owners(workspace, settings)
    raised = bool(alerts_of(monitored, ())) and not isinstance(issues, AlertFile)
    able = [login for login in logins[:_ASSIGNEES] if raised and issues.assignable(login)]
    refused = [login for login in logins if raised and login not in able]
    dashboard = state_page(workspace, monitored.environment)
    return AlertContext(tuple(able), tuple(mentions), tuple(refused), dashboard, hooks), missing


def state_page(workspace: Workspace, environment: str) -> str:
    """Return the address of the dashboard as set, else of the summary on the branch of the monitor; may be empty."""
    if workspace.levers.alerts.dashboard:
        return workspace.levers.alerts.dashboard
    if not (runner.repository() and runner.token()):
        return ""
    folder = workspace.git.prefix() + environment
    return f"{runner.server()}/{runner.repository()}/blob/{BRANCH}/{folder}/summary.md"


def _owners(workspace: Workspace, settings: AlertSettings) -> tuple[list[str], list[str]]:
    """Return logins to assign, and everybody to mention: as set, or of the CODEOWNERS file of the repository."""
    named = [owner.removeprefix("@") for owner in settings.owners]
    if not named:
        prefix = workspace.git.prefix()
        top = workspace.root / Path(*[".."] * len(Path(prefix).parts))
        text = next((_text(top / place) for place in codeowners.PLACES if (top / place).is_file()), "")
        owners = codeowners.owners(text, prefix + _owned(workspace))
        named = [*owners.logins, *owners.teams]
    return [name for name in named if "/" not in name], [f"@{name}" for name in named]


def _owned(workspace: Workspace) -> str:
    """Return the file whose owners are those of the model: the star schema of a case, or the settings."""
    star = workspace.star if workspace.levers.pipeline.predictions is None else None
    return star.relative_to(workspace.root).as_posix() if star and star.is_file() else "leverframe.yaml"


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


class _Sender:
    """Sends an event to a webhook: the address and the key are read of the environment when they are needed."""

    def __init__(self, hooks: Mapping[str, WebhookSettings], mask: Callable[[str], None]) -> None:
        self._hooks, self._mask, self._webhook = hooks, mask, Webhook()

    def __call__(self, name: str, event: Event) -> str:
        """Send it; return why it was not delivered, empty where it was."""
        hook = self._hooks[name]
        address, secret = os.environ.get(name, ""), os.environ.get(hook.secret or "", "")
        if hook.secret and not secret:
            return f"the environment variable {hook.secret} with its key is not set"
        self._mask(address)
        self._mask(secret)
        content = notification.body(event, hook.format)
        return self._webhook.post(address, content, lambda at: notification.headers(event, content, secret, at))
