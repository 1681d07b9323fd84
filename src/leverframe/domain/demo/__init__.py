"""The room of the demo: what a case declares of it, and what a person reads."""

from __future__ import annotations

from leverframe.domain.demo.declared import Change, Changes, GoLive
from leverframe.domain.demo.showing import Live, Released, Showing, Shown
from leverframe.domain.demo.summary import Results, progress_line, summary

__all__ = [
    "Change", "Changes", "GoLive", "Live", "Released", "Results", "Showing", "Shown", "progress_line", "summary",
]  # fmt: skip
