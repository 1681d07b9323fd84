"""What levers of infrastructure leave in the folder of an environment: the last plan and the last apply."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from leverframe.documents import parsed, plain
from leverframe.domain.infrastructure.infra_apply_result import InfraApplied
from leverframe.domain.infrastructure.infra_plan_result import InfraPlanned
from leverframe.files import write_json

PLAN, APPLIED = "plan.json", "applied.json"

Kind = TypeVar("Kind")


def planned_here(folder: Path) -> InfraPlanned | None:
    """Return the plan that was made here last; None where there is none that can be read."""
    return _read(InfraPlanned, folder / PLAN)


def applied_here(folder: Path) -> InfraApplied | None:
    """Return the last apply of this machine; None where there is none that can be read."""
    return _read(InfraApplied, folder / APPLIED)


def keep(path: Path, result: object) -> None:
    """Write a result for this user alone."""
    write_json(path, plain(result))
    path.chmod(0o600)


def _read(kind: type[Kind], path: Path) -> Kind | None:
    try:
        return parsed(kind, path.read_bytes())
    except (OSError, ValueError):
        return None
