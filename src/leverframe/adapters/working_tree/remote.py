"""The remote of DVC as far as it can be looked into without DVC: a folder that this machine can read."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from leverframe.adapters.working_tree.dvc_config import configured_remote, home_of


@dataclass(frozen=True)
class Remote:
    """A remote: its name, its address, and its folder where it is one; another ``place`` holds other objects."""

    name: str
    url: str
    folder: Path | None
    place: str = ""

    @classmethod
    def of(cls, root: Path, name: str = "") -> Remote | None:
        """Return a remote, by default the default one, of the repository that ``root`` is in; None where none is.

        A folder inside the working copy of git counts as none: nobody else can see it.
        """
        home = home_of(root)
        remote = None if home is None else configured_remote(home, name)
        if home is None or remote is None:
            return None
        name, url, base, place = remote
        if "://" in url:
            return cls(name, url, None, place)
        folder = Path(os.path.normpath(base / Path(url).expanduser()))
        top = next((above for above in (home, *home.parents) if (above / ".git").exists()), home)
        return None if folder.is_relative_to(top.resolve()) else cls(name, url, folder)
