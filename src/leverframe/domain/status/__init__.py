"""Which stages of the pipeline are stale, and why."""

from leverframe.domain.status.reasons import Finding, PipelineStatus, Reason, StageStatus, State
from leverframe.domain.status.render import document, mermaid, table
from leverframe.domain.status.run import run, selected

__all__ = [
    "Finding",
    "PipelineStatus",
    "Reason",
    "StageStatus",
    "State",
    "document",
    "mermaid",
    "run",
    "selected",
    "table",
]
