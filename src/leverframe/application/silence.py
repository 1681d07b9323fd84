"""Whether the monitor that is configured has been silent: asked by the report and after a deployment."""

from __future__ import annotations

from datetime import UTC, datetime

from leverframe.application.monitor_results import RESULT
from leverframe.application.workspace import Workspace
from leverframe.domain import layout
from leverframe.domain.monitoring.silence import BRANCH, silence
from leverframe.errors import LeverframeError


def silence_of_monitor(workspace: Workspace) -> str:
    """Return a sentence where it has been silent; nothing where it has not, or none is configured.

    Read are the folder of this machine, and the branch as the clone knows it: no token is needed for that.
    """
    try:
        levers = workspace.levers
        if "monitor" not in levers.model_fields_set:
            return ""
        environment = levers.monitor.environment or [*levers.deploy.environments][-1]
        here = workspace.root / layout.MONITOR / environment / RESULT
        results = [here.read_bytes()] if here.is_file() else []
        kept = workspace.git.show(f"origin/{BRANCH}", f"{environment}/{RESULT}")
        results += [kept] if kept else []
        return silence(results, environment, levers.monitor.every_hours, datetime.now(UTC))
    except (LeverframeError, OSError):
        return ""  # whatever is wrong with settings or git is said by those who need them
