"""The folder of a server: its name is one, it is this user's alone, and one process at a time starts a server in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from leverframe import wiring
from leverframe.application.servers import server_folder
from leverframe.application.workspace import Workspace
from leverframe.errors import ServerError


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Return the workspace of an empty folder."""
    monkeypatch.chdir(tmp_path)
    return wiring.workspace(anywhere=True)


@pytest.mark.parametrize("name", ["../..", "..", ".", "", "a/b", "/tmp", "a\n", "-a", "A", "é", "a" * 33])
def test_what_is_no_name_is_refused(place: Workspace, name: str) -> None:
    """A server empties the folder of its name before it puts its releases there."""
    with pytest.raises(ServerError, match="is no name of a server"):
        server_folder(place, name)
    assert not (place.root / "models").exists()


def test_a_name_is_a_folder(place: Workspace) -> None:
    """Below the one of the settings."""
    assert server_folder(place, "local-2").folder == place.root.resolve() / ".leverframe/servers/local-2"
