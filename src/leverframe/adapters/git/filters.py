"""Files whose bytes are others in the working tree than in git: line ends, and filters that clean and smudge."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path

from leverframe.errors import RepositoryError

_AT_ONCE = 400  # files that one call of git gets as arguments
_FILE, _LINK = "100", "120"  # how the modes of files and of symbolic links begin
_POINTER = b"version https://git-lfs.github.com/spec/"

Run = Callable[..., subprocess.CompletedProcess[bytes]]


class Filters:
    """What git does to files on their way in and out; ``run`` runs git in ``root``, which paths are relative to."""

    def __init__(self, root: Path, run: Run) -> None:
        self._root, self._run = root, run

    def as_stored(self, paths: Iterable[str]) -> dict[str, bytes]:
        """Return what git stores of the files at or below some paths, of those whose bytes here are others.

        A file that was edited since it was staged is none of them: git stores nothing of that.
        """
        blobs = {path: blob for some in _few(sorted(set(paths))) for path, blob in self._staged(some)}
        clean = {path: blob for some in _few(list(blobs)) for path, blob in self._hashed(some) if blob == blobs[path]}
        different = {}
        for path, blob in clean.items():
            content = self._run("cat-file", "blob", blob).stdout
            if content != (self._root / path).read_bytes():
                different[path] = content
        return different

    def lost_links(self, paths: Iterable[str]) -> list[str]:
        """Return the symbolic links of git at or below some paths that are plain files here."""
        listed = [entry for some in _few(sorted(set(paths))) for entry in self._index(some)]
        return [path for path, head in listed if head.startswith(_LINK) and not (self._root / path).is_symlink()]

    def checked_out(self, commit: str, contents: Mapping[str, bytes]) -> dict[str, bytes]:
        """Return the files of a commit as a filter writes them into a working tree; others are as they are.

        Raises ``RepositoryError`` for a file that the filter did not bring.
        """
        filtered = dict(contents)
        for path in self._behind_filters(contents):
            done = self._run("cat-file", "--filters", f"{commit}:./{path}")
            filtered[path] = done.stdout if done.returncode == 0 else contents[path]
        pointer = next((path for path, content in filtered.items() if content.startswith(_POINTER)), None)
        if pointer:
            raise RepositoryError(
                f"{pointer} is a pointer of Git LFS, and what it points at is not here",
                why="Git LFS is not set up in this clone, or its server did not answer",
                next="`git lfs install`, `git lfs pull`, then run the same command again",
            )
        return filtered

    def _behind_filters(self, paths: Iterable[str]) -> Iterator[str]:
        """Yield the paths that a filter is set for, where any is configured at all."""
        if not self._configured:
            return
        given = "".join(f"{path}\0" for path in paths).encode()
        fields = os.fsdecode(self._run("check-attr", "-z", "--stdin", "filter", given=given).stdout).split("\0")
        for path, _, value in zip(fields[::3], fields[1::3], fields[2::3], strict=False):
            if value not in ("unspecified", "unset", "set"):
                yield path

    @cached_property
    def _configured(self) -> bool:
        return bool(self._run("config", "--get-regexp", r"^filter\..*\.(smudge|process)$").stdout)

    def _staged(self, paths: list[str]) -> Iterator[tuple[str, str]]:
        """Yield the files in the index at or below some paths, with the ids of their blobs."""
        for path, head in self._index(paths):
            if head.startswith(_FILE) and (self._root / path).is_file():
                yield path, head.split()[1]

    def _index(self, paths: list[str]) -> Iterator[tuple[str, str]]:
        """Yield what the index has at or below some paths, with its mode, blob and number."""
        listed = self._run("--literal-pathspecs", "ls-files", "--stage", "-z", "--", *paths).stdout
        for entry in os.fsdecode(listed).split("\0"):
            head, _, path = entry.partition("\t")
            if path:
                yield path, head

    def _hashed(self, paths: list[str]) -> Iterator[tuple[str, str]]:
        """Yield files with the ids that the blobs of their content would have."""
        done = self._run("hash-object", "--", *paths) if paths else None
        yield from zip(paths, done.stdout.decode().split() if done else [], strict=False)


def _few(paths: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(paths), _AT_ONCE):
        yield paths[start : start + _AT_ONCE]


def keep_bytes(clone: Path) -> None:
    """Let a clone check files out as git stores them, whatever attributes and settings say of line ends."""
    attributes = clone / ".git/info/attributes"
    attributes.parent.mkdir(exist_ok=True)
    attributes.write_text("* -text\n", encoding="utf-8")
