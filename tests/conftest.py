"""In which order the files run: those that take minutes first, so that no worker is left alone with one at the end."""

from __future__ import annotations

import pytest

FOLDERS = ("loop", "workflows", "integration", "unit")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort by folder; within one the order stays."""
    items.sort(key=lambda item: FOLDERS.index(item.path.parent.name) if item.path.parent.name in FOLDERS else 0)
