"""The remote of DVC as far as it can be looked into without DVC: a folder that this machine can read."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from leverframe.adapters.working_tree.dvc_config import configured_remote, home_of
from leverframe.domain.pipeline.status.resolved import Recorded


@dataclass(frozen=True)
class Remote:
    """The default remote: its name, its address, and its folder where it is one."""

    name: str
    url: str
    folder: Path | None

    @classmethod
    def of(cls, root: Path) -> Remote | None:
        """Return the default remote of the repository that ``root`` is in; None where none is configured.

        A folder inside the working copy of git counts as none: nobody else can see it.
        """
        home = home_of(root)
        found = None if home is None else configured_remote(home)
        if home is None or found is None:
            return None
        name, url, base = found
        if "://" in url:
            return cls(name, url, None)
        folder = Path(os.path.normpath(base / Path(url).expanduser()))
        top = next((above for above in (home, *home.parents) if (above / ".git").exists()), home)
        return None if folder.is_relative_to(top.resolve()) else cls(name, url, folder)

    def lacks(self, recorded: Recorded) -> bool:
        """Tell whether the content is not in the folder, every file of it for a directory."""
        path = self._path(recorded.md5, legacy=recorded.legacy)
        if not path.is_file():
            return True
        if not recorded.md5.endswith(".dir"):
            return recorded.size is not None and path.stat().st_size != recorded.size
        try:
            return any(
                not self._path(entry["md5"], legacy=recorded.legacy).is_file()
                for entry in json.loads(path.read_bytes())
            )
        except (OSError, ValueError, KeyError, TypeError):
            return True

    def _path(self, md5: str, *, legacy: bool) -> Path:
        folder = self.folder or Path()
        return (folder if legacy else folder / "files" / "md5") / md5[:2] / md5[2:]
