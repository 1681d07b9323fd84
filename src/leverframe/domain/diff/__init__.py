"""What a change does to the data: rows, columns, contracts and definitions, told from what git keeps of them."""

from __future__ import annotations

from leverframe.domain.diff.compare import compared
from leverframe.domain.diff.markdown import render
from leverframe.domain.diff.result import Diff
from leverframe.domain.diff.revision import Revision, read, wanted

__all__ = ["Diff", "Revision", "compared", "read", "render", "wanted"]
