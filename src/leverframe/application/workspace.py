"""The repository that a command works in: its root, its settings, its git, and what its case declares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leverframe.domain.partition import Partitions
from leverframe.domain.project import Project
from leverframe.errors import LeverframeError
from leverframe.imports import load
from leverframe.settings import PARAMS
from leverframe.yaml_files import load as read_settings

if TYPE_CHECKING:
    from leverframe.adapters.git import Git
    from leverframe.domain.data.ingest import Source
    from leverframe.domain.features.plan import Plan
    from leverframe.settings.levers import Levers
    from leverframe.settings.params import Params


DEFINITION = "dvc.yaml"
FIRST_STAGE = "leverframe ingest"  # that of every case, as `leverframe stages --write` writes it


@dataclass(frozen=True)
class Workspace:
    """A repository with a case; settings and plan are read when first asked for, and then kept.

    Everything it is made of is handed in, so that a command knows no other place and no other way to read.
    """

    root: Path
    git: Git
    read_params: Callable[[], Params]
    read_levers: Callable[[], Levers]
    read_plan: Callable[[Path], Plan]

    @cached_property
    def params(self) -> Params:
        """What stages read, of ``params.yaml``; raises ``SettingsError``."""
        return self.read_params()

    @cached_property
    def levers(self) -> Levers:
        """What levers read, of ``leverframe.yaml``; raises ``SettingsError``."""
        return self.read_levers()

    @cached_property
    def plan(self) -> Plan:
        """The plan of the case's ``star.yaml``; raises ``SettingsError`` and ``DefinitionError``."""
        return self.read_plan(self.star)

    @cached_property
    def has_case(self) -> bool:
        """Whether the repository has a case; a pipeline of one's own has its own ``params.yaml``, whatever it holds."""
        definition, settings = self.root / DEFINITION, self.root / PARAMS
        if definition.is_file() and FIRST_STAGE in definition.read_text(encoding="utf-8", errors="replace"):
            return True
        with suppress(LeverframeError):  # whoever reads them says what is wrong with settings
            data = read_settings(settings, what="settings file").get("data") if settings.is_file() else None
            return isinstance(data, dict) and "case" in data
        return False

    @cached_property
    def partitions(self) -> Partitions:
        """The partitions that `data` in ``params.yaml`` declares; raises ``SettingsError``."""
        return Partitions.of(self.params.data)

    @cached_property
    def project(self) -> Project:
        """The folder of the repository that this is."""
        return Project(self.git.prefix().strip("/") or ".")

    @property
    def case(self) -> Path:
        """The folder of the case."""
        return self.root / self.params.data.case.replace(".", "/")

    @property
    def star(self) -> Path:
        """The file with the star schema of the case."""
        return self.case / "star.yaml"

    @cached_property
    def sources(self) -> Mapping[str, Source]:
        """What the case's ``sources.py`` declares; raises ``DefinitionError``."""
        declared: Mapping[str, Source] = self.declared("sources", "SOURCES")
        return declared

    def declared(self, file: str, name: str) -> Any:
        """Return ``name`` of one of the case's Python files.

        Raises ``DefinitionError`` when the file or the name is missing, or the file cannot be run.
        """
        return load(f"{self.params.data.case}.{file}:{name}", self.root, said_by="`data.case` in params.yaml")
