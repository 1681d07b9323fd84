"""What several tests over the local forge begin with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.loop.desk import Desk, opened_desk


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Desk]:
    """A pull request on the local forge, with jobs that post cards."""
    with opened_desk(tmp_path, monkeypatch, capsys) as made:
        yield made
