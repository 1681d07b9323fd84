"""Trees of git, merged and compared as objects: nothing of a change is checked out, and no filter of its runs."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from leverframe.adapters.git.faults import last_line
from leverframe.domain.review.judge.tree_change import TreeChange
from leverframe.errors import RepositoryError

Run = Callable[..., subprocess.CompletedProcess[bytes]]
_WHO = {f"GIT_{who}_{part}": text for who in ("AUTHOR", "COMMITTER")
        for part, text in (("NAME", "leverframe"), ("EMAIL", "leverframe@users.noreply.github.com"))}  # fmt: skip


@dataclass(frozen=True)
class Merged:
    """The tree of two commits merged; ``conflicts`` are the paths that git could not merge, of which it has markers."""

    tree: str
    conflicts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trees:
    """The trees of the repository that ``root`` is in, paths from its top; ``run`` runs git there."""

    root: Path
    run: Run

    def merged(self, ours: str, theirs: str) -> Merged:
        """Return the tree of both sides, as a merge of the pull request would write it."""
        done = self.run("merge-tree", "--write-tree", "--no-messages", "--name-only", "-z", ours, theirs)
        parts = [part for part in done.stdout.decode(errors="surrogateescape").split("\0") if part]
        if done.returncode > 1 or not parts:
            why = last_line(done.stderr)
            if "unrelated histories" in why:
                return Merged("", ("all files: both sides began apart",))
            raise RepositoryError(
                f"git cannot merge {theirs[:12]} into {ours[:12]}",
                why=why[:200],
                next="`git merge-tree --write-tree` needs git 2.38, and both commits with `fetch-depth: 0`",
            )
        return Merged(parts[0].strip(), tuple(dict.fromkeys(parts[1:])))

    def changes(self, before: str, after: str) -> list[TreeChange]:
        """Return every path that differs between two trees, with modes and blobs of both sides."""
        done = self.run("diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", "--no-ext-diff", before, after)
        if done.returncode != 0:
            raise RepositoryError(
                "git cannot compare both sides of the change",
                why=last_line(done.stderr)[:200],
                next="`git fsck` tells whether objects are missing",
            )
        parts = [part.decode(errors="surrogateescape") for part in done.stdout.split(b"\0") if part]
        heads = (head.lstrip(":").split() for head in parts[::2])
        return [TreeChange(path, *head[:4]) for head, path in zip(heads, parts[1::2], strict=True)]

    def read(self, blobs: Iterable[str], limit: int) -> dict[str, bytes]:
        """Return the contents of blobs as git stores them, ``limit`` bytes in all: those beyond it are left out."""
        wanted = [blob for blob in dict.fromkeys(blobs) if blob.strip("0")]
        checked = self.run("cat-file", "--batch-check", given="".join(f"{blob}\n" for blob in wanted).encode())
        sizes = (line.split() for line in checked.stdout.decode().splitlines())
        small, left = list[str](), limit
        for fields in sizes:
            if len(fields) == 3 and fields[1] == "blob" and int(fields[2]) <= left:
                small.append(fields[0])
                left -= int(fields[2])
        printed = self.run("cat-file", "--batch", given="".join(f"{blob}\n" for blob in small).encode()).stdout
        contents, at = {}, 0
        for blob in small:
            end = printed.index(b"\n", at)
            size = int(printed[at:end].split()[2])
            contents[blob] = printed[end + 1 : end + 1 + size]
            at = end + size + 2
        return contents

    def files(self, revision: str, paths: Sequence[str]) -> dict[str, str]:
        """Return the blobs of the plain files at or below some paths of a tree or commit, by path from the top."""
        if not paths:
            return {}
        done = self.run("ls-tree", "-r", "-z", "--full-tree", revision, "--", *paths)
        listed = (part.decode(errors="surrogateescape").partition("\t") for part in done.stdout.split(b"\0") if part)
        return {path: head.split()[2] for head, _, path in listed if head.startswith("100")}

    def blob(self, revision: str, path: str) -> bytes | None:
        """Return a file of a tree or commit as git stores it, by its path from the top; None where there is none."""
        done = self.run("cat-file", "blob", f"{revision}:{path}")
        return done.stdout if done.returncode == 0 else None

    def committed(self, parent: str, entries: Mapping[str, tuple[str, str]], message: str) -> str:
        """Commit the tree of ``parent`` with other modes and blobs at some paths; mode 000000 removes one."""
        with TemporaryDirectory(prefix="leverframe-") as place:
            index = {"GIT_INDEX_FILE": str(Path(place, "index"))}
            lines = "".join(f"{mode} {blob}\t{path}\0" for path, (mode, blob) in entries.items())
            self._done("read-tree", parent, more=index)
            given = lines.encode(errors="surrogateescape")
            self._done("update-index", "-z", "--index-info", given=given, more=index)
            tree = self._done("write-tree", more=index)
        when = {f"GIT_{who}_DATE": "@0 +0000" for who in ("AUTHOR", "COMMITTER")}
        return self._done("commit-tree", "--no-gpg-sign", "-p", parent, "-m", message, tree, more={**_WHO, **when})

    def _done(self, *arguments: str, given: bytes | None = None, more: Mapping[str, str]) -> str:
        done = self.run(*arguments, given=given, more=more)
        if done.returncode != 0:
            raise RepositoryError(
                f"`git {arguments[0]}` failed",
                why=last_line(done.stderr)[:200],
                next="look whether the disk is full; `git fsck` tells whether objects are missing",
            )
        return done.stdout.decode().strip()
