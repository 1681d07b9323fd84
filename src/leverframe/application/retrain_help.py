"""A person is asked for where attempts in a row did not help: a label on the open alerts of the model, or an issue."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from leverframe.application.alerts import issues_of
from leverframe.application.record import artifact_in
from leverframe.application.workspace import Workspace
from leverframe.domain.monitoring.alerts.alert_executor import Issues
from leverframe.domain.monitoring.alerts.alert_record import standing
from leverframe.domain.retraining.attempt import Attempt
from leverframe.domain.retraining.retrain_summary import asking
from leverframe.domain.single_issue import Edit
from leverframe.errors import LeverframeError

LABEL = "needs-human"


def ask_for_a_person(workspace: Workspace, attempt: Attempt, folder: Path) -> tuple[str, ...]:
    """Label what is open of the model, and return notes; what the forge refuses is one of them.

    It is called after an attempt alone, so that a label that a person removed stays away until the next.
    """
    note = "three attempts in a row did not help: a person should look at the model, its features and its labels"
    try:
        issues, _ = issues_of(workspace.levers.alerts, folder)
        known = replace(attempt, model=artifact_in(workspace, attempt.model))  # as alerts name it
        return note, *_asked(issues, known, workspace.levers.alerts.labels[0])
    except LeverframeError as error:
        return note, f"nobody was asked on the forge: {error.what}"


def _asked(issues: Issues, attempt: Attempt, label: str) -> tuple[str, ...]:
    alerts = [
        one.issue
        for one in standing(issues.listed(label))
        if one.issue.open and one.record and (one.record.model, one.record.environment) == _of(attempt)
    ]
    for issue in alerts:
        if LABEL not in issue.labels:
            issues.edited(issue.number, Edit(labels=(*issue.labels, LABEL)))
    title, body = asking(attempt)
    known = any(issue.open and issue.title == title for issue in issues.listed(LABEL))
    if not alerts and not known:
        issues.opened(title, body, (LABEL,), ())
    return ()


def _of(attempt: Attempt) -> tuple[str, str]:
    return attempt.model, attempt.environment
