"""The working tree as DVC sees it: what exists, whether it is as recorded, and what the local cache holds.

The hash rules are those of DVC 3: the MD5 of a file's bytes, and for a directory the MD5 of
the JSON list of its files; for what DVC 2 recorded, those of DVC 2. An integration test holds
them against the installed DVC.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

from leverframe.adapters.working_tree.digests import Digests, legacy_md5, unreadable
from leverframe.adapters.working_tree.dvc_config import DvcConfig, home_of, lent
from leverframe.adapters.working_tree.ignore import Ignore
from leverframe.adapters.working_tree.remote import Remote
from leverframe.domain.pipeline.status.compare import Comparison, Presence
from leverframe.domain.pipeline.status.resolved import Recorded
from leverframe.domain.pipeline.status.template import FlagStyle
from leverframe.errors import DefinitionError, RepositoryError, SettingsError

_PROTECTED = 0o444  # the mode by which DVC marks a cache file as verified
_DIGESTS = ".leverframe/digests.json"


class WorkingTree:
    """The files of the project in ``root``; ``home``, which it may be a folder of, holds `.dvc`."""

    def __init__(self, root: Path, home: Path | None = None) -> None:
        self.root = root
        self.home = home or root
        self._config = DvcConfig.read(self.home)
        self._ignore = Ignore(self.home)
        self._digests = Digests(root, root / _DIGESTS)
        self._looks: dict[tuple[str, Recorded | None], Comparison] = {}
        self._lists: dict[tuple[str, bool], tuple[str, int, int]] = {}
        self._stored: dict[str, bytes] = {}

    @classmethod
    def around(cls, root: Path) -> WorkingTree:
        """Return the tree of the project in ``root``; raises ``RepositoryError`` where no `.dvc` is around it."""
        home = home_of(root)
        if home is not None:
            return cls(Path(os.path.normpath(root.absolute())), home)
        raise RepositoryError(
            f"{root} is not in a DVC repository",
            why="neither it nor any folder above it holds `.dvc`",
            next="go to the repository with the pipeline, or `git init`, `dvc init` and `leverframe stages --write`",
        )

    def flag_style(self) -> FlagStyle:
        """Return how the configuration of DVC wants mappings in commands."""
        return self._config.flag_style

    def text(self, path: str) -> str | None:
        """Return the content of a text file, None when there is none; raises ``SettingsError`` for bytes."""
        try:
            return (self.root / path).read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        except UnicodeDecodeError as error:
            raise SettingsError(f"cannot read {path}", why="it is not UTF-8 text", next=f"restore {path}") from error

    def ignored(self, path: str) -> bool:
        """Tell whether `.dvcignore` hides a file, itself or through a folder above it."""
        located = self._from_home(path)
        return not located.startswith("../") and self._ignore.hides(located)

    def shared(self, path: str) -> bool:
        """Tell whether the folder that holds `.dvc` is around a path."""
        return not self._from_home(path).startswith("../")

    def look(self, path: str, recorded: Recorded | None) -> Comparison:
        """Compare a path with its record, by size first, each path once; whatever exists differs from no record."""
        question = (path, recorded)
        if question not in self._looks:
            self._looks[question] = self._look(path, recorded)
        return self._looks[question]

    def cached(self, recorded: Recorded) -> bool:
        """Tell whether the local cache holds the content, every file of it for a directory."""
        if not self._sound(recorded):
            return False
        if not recorded.md5.endswith(".dir"):
            return True
        try:
            entries = json.loads(self._in_cache(recorded).read_bytes())
            return all(self._sound(Recorded(entry["md5"], legacy=recorded.legacy)) for entry in entries)
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def take(self, stored: Mapping[str, bytes]) -> None:
        """Compare some files as git stores them from now on, whatever their bytes are here."""
        self._stored |= stored
        self._looks.clear()
        self._lists.clear()

    def known(self, path: str) -> bool:
        """Tell whether the local cache holds what is at a path, so that some run wrote it and nobody edited it."""
        try:
            status = (self.root / path).stat()
        except OSError:
            return False
        if not stat.S_ISDIR(status.st_mode):
            return self.cached(Recorded(self._digests.of(path, status)))
        return self.cached(Recorded(self._listing(path)[0]))

    def content(self, recorded: Recorded) -> bytes | None:
        """Return the content of a file from the local cache, of a folder its listing as DVC writes it.

        None where the cache lacks it or holds another.
        """
        try:
            data = self._in_cache(recorded).read_bytes()
        except OSError:
            return None
        listing = recorded.md5.endswith(".dir")
        digest = _md5_of(data, legacy=recorded.legacy and not listing)
        return data if digest == recorded.md5.removesuffix(".dir") else None

    def place_of(self, md5: str) -> Path:
        """Return where the local cache keeps what has that digest."""
        return self._in_cache(Recorded(md5))

    def lend(self, folder: Path, *, remote: bool = True) -> None:
        """Let another checkout of the repository in ``folder`` use this one's cache and, unless told not to, remotes.

        What opens them here, such as keys in `.dvc/config.local`, opens them there. A remote inside this working copy
        is nobody else's, so it is not lent.
        """
        default = Remote.of(self.root)
        changes = {"cache": {"dir": str(self._config.cache.resolve())}}
        if default and not remote:  # one that is inside that checkout is nobody's
            changes[f'remote "{default.name}"'] = {"url": "../.leverframe/storage"}
        elif default and default.folder:  # a relative address starts from the folder of its configuration
            changes[f'remote "{default.name}"'] = {"url": str(default.folder.resolve())}
        home = folder / os.path.relpath(self.home, os.path.normpath(self.root.absolute()))
        file = home / ".dvc" / "config.local"
        file.touch(mode=0o600)
        file.write_text(lent(self.home, home, changes, remotes=remote), encoding="utf-8")

    def keep(self) -> None:
        """Store what was computed for the next time."""
        self._digests.save()

    def _look(self, path: str, recorded: Recorded | None) -> Comparison:
        try:
            status = (self.root / path).stat()
        except OSError:
            return Comparison(Presence.ABSENT)
        if recorded is None:
            return Comparison(Presence.DIFFERENT)
        if stat.S_ISDIR(status.st_mode) != recorded.md5.endswith(".dir"):
            return Comparison(Presence.DIFFERENT)
        if stat.S_ISDIR(status.st_mode):
            return self._look_inside(path, recorded)
        size = len(self._stored[path]) if path in self._stored else status.st_size
        if not recorded.legacy and recorded.size not in (None, size):
            return Comparison(Presence.DIFFERENT, size)
        same = self._md5(path, status, legacy=recorded.legacy) == recorded.md5
        return Comparison(Presence.SAME if same else Presence.DIFFERENT, size)

    def _md5(self, path: str, status: os.stat_result, *, legacy: bool) -> str:
        if path in self._stored:
            return _md5_of(self._stored[path], legacy=legacy)
        return self._digests.of(path, status, legacy=legacy)

    def _look_inside(self, path: str, recorded: Recorded) -> Comparison:
        md5, size, files = self._listing(path, legacy=recorded.legacy)
        if recorded.files not in (None, files):
            return Comparison(Presence.DIFFERENT, size)
        return Comparison(Presence.SAME if md5 == recorded.md5 else Presence.DIFFERENT, size)

    def _listing(self, folder: str, *, legacy: bool = False) -> tuple[str, int, int]:
        """Return the digest, the bytes and the number of files of a directory, computed once."""
        if (folder, legacy) not in self._lists:
            self._lists[folder, legacy] = self._listed(folder, legacy=legacy)
        return self._lists[folder, legacy]

    def _listed(self, folder: str, *, legacy: bool) -> tuple[str, int, int]:
        entries, size = [], 0
        for path, status in self._files_in(folder):
            entries.append({"md5": self._md5(path, status, legacy=legacy), "relpath": path[len(folder) + 1 :]})
            size += len(self._stored[path]) if path in self._stored else status.st_size
        entries.sort(key=lambda entry: entry["relpath"])
        listing = json.dumps(entries, sort_keys=True).encode()
        return f"{_md5_of(listing)}.dir", size, len(entries)

    def _files_in(self, folder: str) -> list[tuple[str, os.stat_result]]:
        files: list[tuple[str, os.stat_result]] = []
        waiting = [folder]
        while waiting:
            current = waiting.pop()
            for entry in self._entries(current):
                path = f"{current}/{entry.name}"
                if entry.is_dir():
                    if not entry.is_symlink() and not self._leaves_out(path, folder=True):
                        waiting.append(path)
                elif not self._leaves_out(path, folder=False):
                    files.append((path, _checked(entry, path)))
        return files

    def _leaves_out(self, path: str, *, folder: bool) -> bool:
        located = self._from_home(path)
        return not located.startswith("../") and self._ignore.leaves_out(located, folder=folder)

    def _from_home(self, path: str) -> str:
        """Return a path as it is from the folder that holds `.dvc`; what is outside begins with two dots."""
        if self.home == self.root and not path.startswith("../"):
            return path
        return Path(os.path.relpath(self.root / path, self.home)).as_posix()

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self.root / folder) as entries:
                return list(entries)
        except OSError as error:
            raise unreadable(folder, error) from error

    def _in_cache(self, recorded: Recorded) -> Path:
        place = self._config.cache if recorded.legacy else self._config.cache / "files" / "md5"
        return place / recorded.md5[:2] / recorded.md5[2:]

    def _sound(self, recorded: Recorded) -> bool:
        path, listing = self._in_cache(recorded), recorded.md5.endswith(".dir")
        try:
            status = path.stat()
        except OSError:
            return False
        if stat.S_IMODE(status.st_mode) == _PROTECTED:
            return True
        digest = self._digests.of(os.path.relpath(path, self.root), status, legacy=recorded.legacy and not listing)
        return digest == recorded.md5.removesuffix(".dir")


def _md5_of(content: bytes, *, legacy: bool = False) -> str:
    return legacy_md5(BytesIO(content)) if legacy else hashlib.md5(content, usedforsecurity=False).hexdigest()


def _checked(entry: os.DirEntry[str], path: str) -> os.stat_result:
    if entry.name == ".dvcignore":
        raise DefinitionError(
            f"{path} stands inside a directory that a stage reads or writes",
            why="DVC refuses that, as the rules would change what the directory holds",
            next="move its lines to the .dvcignore at the root of the repository",
        )
    try:
        return entry.stat()
    except OSError as error:
        raise unreadable(path, error) from error
