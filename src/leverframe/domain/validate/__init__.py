"""The room of promises: what a table must keep, what it keeps, and how that is told."""

from __future__ import annotations

from leverframe.domain.validate.contract import Checker, Contract, Monitor
from leverframe.domain.validate.markdown import render
from leverframe.domain.validate.promise import Promise, Severity
from leverframe.domain.validate.report import Report
from leverframe.domain.validate.run import Validation, run
from leverframe.domain.validate.shape import ForeignKey, SchemaDiff, UniqueKey
from leverframe.domain.validate.statistics import Statistician, Survey, TableStatistics
from leverframe.domain.validate.trend import Freshness, NullRate, Volume

__all__ = [
    "Checker",
    "Contract",
    "ForeignKey",
    "Freshness",
    "Monitor",
    "NullRate",
    "Promise",
    "Report",
    "SchemaDiff",
    "Severity",
    "Statistician",
    "Survey",
    "TableStatistics",
    "UniqueKey",
    "Validation",
    "Volume",
    "render",
    "run",
]
