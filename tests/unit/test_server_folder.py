"""The folder of a server: its name is one, it is this user's alone, and one process at a time starts a server in it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from leverframe import wiring
from leverframe.adapters.releases import Releases
from leverframe.application.servers import server_folder
from leverframe.application.workspace import Workspace
from leverframe.domain.release.release_state import State
from leverframe.errors import ServerError
from leverframe.files import replacing
from leverframe.private_files import for_us_alone, own_folder


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Return the workspace of an empty folder."""
    monkeypatch.chdir(tmp_path)
    return wiring.workspace(anywhere=True)


@pytest.mark.parametrize("name", ["../..", "..", ".", "", "a/b", "/x", "a\n", "-a", "A", "é", "a" * 33])
def test_what_is_no_name_is_refused(place: Workspace, name: str) -> None:
    """A server empties the folder of its name before it puts its releases there."""
    with pytest.raises(ServerError, match="is no name of a server"):
        server_folder(place, name)
    assert not (place.root / "models").exists()


def test_a_name_is_a_folder(place: Workspace) -> None:
    """Below the one of the settings."""
    assert server_folder(place, "local-2").folder == place.root.resolve() / ".leverframe/servers/local-2"


def test_what_a_server_is_given_is_of_this_user_alone(tmp_path: Path) -> None:
    """Folders and files, while they are written too; what this process makes otherwise stays as it was."""
    seen: list[int] = []
    before = os.umask(0o022)
    try:
        store = Releases(own_folder(tmp_path / "servers/x"))
        with store.lock():
            store.put_bundle("d", {"model.onnx": b"x"})
            store.put_release("shop", 3, {"name": "shop"})
            store.record(State("shop"))
            store.remove_release("shop", 3)
        with for_us_alone(), replacing(tmp_path / "servers/x/key") as temporary:
            temporary.write_text("a secret")
            seen.append(stat.S_IMODE(temporary.stat().st_mode))
        (tmp_path / "other").touch()
    finally:
        os.umask(before)
    made = [tmp_path / "servers/x", *(tmp_path / "servers/x").rglob("*")]
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in made}
    assert {mode for path, mode in modes.items() if mode & 0o077} == set(), modes
    assert seen == [0o600]
    assert stat.S_IMODE((tmp_path / "other").stat().st_mode) == 0o644


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702, 0o1777])
def test_a_folder_into_which_others_write_is_refused(place: Workspace, mode: int) -> None:
    """A key or a model may have been put there; by every command that looks at a server."""
    folder = place.root / ".leverframe/servers/x"
    own_folder(folder)
    folder.chmod(mode)
    with pytest.raises(ServerError, match="cannot be the folder of a server") as caught:
        server_folder(place, "x")
    assert "others may write" in caught.value.why
    folder.chmod(0o750)  # as Terraform may declare it for a group that reads
    assert server_folder(place, "x").recorded() is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a folder to another user")
def test_the_folder_of_another_user_is_refused(place: Workspace) -> None:
    """As one in a folder that everybody may write into, such as the one of temporary files."""
    folder = own_folder(place.root / ".leverframe/servers/x")
    os.chown(folder, 65_534, -1)
    with pytest.raises(ServerError) as caught:
        server_folder(place, "x")
    assert "belongs to user 65534" in caught.value.why


def test_what_is_no_folder_is_refused(place: Workspace) -> None:
    """A file in its place."""
    own_folder(place.root / ".leverframe/servers")
    (place.root / ".leverframe/servers/x").touch()
    with pytest.raises(ServerError, match="cannot be the folder of a server"):
        server_folder(place, "x")
