"""What runs a program: a port of its own, as adapters that need one do not know one another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol


class RunGroup(Protocol):
    """Runs a program with all it starts; ``leverframe.adapters.process.run_group`` is one."""

    def __call__(
        self,
        arguments: Sequence[str],
        on_line: Callable[[str], None],
        *,
        folder: Path,
        environment: Mapping[str, str],
        timeout: float | None = None,
    ) -> int:
        """Run the program in ``folder``, for ``timeout`` seconds at most, and return its exit code.

        Each line that it prints goes to ``on_line``.
        """
