"""What git knows of the repository, asked through its own program."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from leverframe.domain.release.tag import Tag
from leverframe.errors import RepositoryError
from leverframe.redaction import redacted

_TIMEOUT = 60.0  # seconds; every question asked here is answered from the local disk
_MAIN = ("origin/main", "main", "origin/master", "master")
_SET_BY_HOOKS = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY")
_SUBMODULE = "160000"  # the mode of one
_UNDERWAY = ("FETCH_HEAD", "MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "REBASE_HEAD", "ORIG_HEAD")
_OURSELVES = ["-c", "user.name=leverframe", "-c", "user.email=leverframe@users.noreply.github.com"]


class Git:
    """The git repository that ``root`` is in; every path is relative to ``root``.

    Raises ``RepositoryError`` from every method where git is missing or does not answer.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def fetch(self) -> None:
        """Fetch from all remotes; raises ``RepositoryError`` where one does not answer."""
        done = self._run("fetch", "--all", "--quiet", "--prune")
        if done.returncode != 0:
            raise RepositoryError(
                "git cannot fetch",
                why=(done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"])[-1][:200],
                next="`git fetch --all` says more",
            )

    def files(self, *patterns: str) -> list[str]:
        """Return the files of the working tree that match and are not ignored, tracked or not, sorted."""
        found = self._paths("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns)
        return sorted({path for path in found if (self.root / path).is_file()})

    def tracked(self) -> list[str]:
        """Return the files below the root that git tracks; of a submodule its folder."""
        return self._paths("ls-files", "-z", "--cached")

    def untracked(self, paths: Sequence[str]) -> list[str]:
        """Return the files at or below ``paths`` that are here and that git does not track, ignored ones as well."""
        return self._paths("ls-files", "-z", "--others", "--", *paths)

    def ignores(self, path: str) -> bool:
        """Tell whether the ignore files hide a path, whether there is something or not."""
        return self._run("check-ignore", "--quiet", "--no-index", "--", path).returncode == 0

    def tracked_below(self, folder: str) -> list[str]:
        """Return the files below a folder that git tracks."""
        return sorted(self._paths("ls-files", "-z", "--cached", "--", folder))

    def show(self, revision: str, path: str) -> bytes | None:
        """Return the content of a file at a revision, None when it was not there."""
        result = self._run("cat-file", "blob", f"{revision}:./{path}")
        return result.stdout if result.returncode == 0 else None

    def prefix(self) -> str:
        """Return the path of ``root`` in the repository, with a slash at its end; empty where it is the whole of it."""
        done = self._run("rev-parse", "--show-prefix")
        return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else ""

    def named(self, revision: str) -> str:
        """Return the full name of the commit that a revision names; raises ``RepositoryError`` where there is none."""
        found = self._commit(revision)
        if found is None:
            self.check()
            raise RepositoryError(
                f"`{revision}` names no commit of this repository",
                why=self._shallow() or "it is no branch, tag or commit that git knows here",
                next="name another revision, or `git fetch` first; in CI check out with `fetch-depth: 0`"
                if self._commit("HEAD")
                else "commit something first: `git add -A && git commit`",
            )
        return found

    def check(self) -> None:
        """Raise ``RepositoryError`` where git knows no repository here, or does not trust it."""
        done = self._run("rev-parse", "--git-dir")
        if done.returncode != 0:
            words = done.stderr.decode(errors="replace").strip().splitlines() or ["git gave no reason"]
            raise RepositoryError(
                "this folder is not in a git repository that git reads",
                why=words[0].removeprefix("fatal: ")[:200],
                next="go to the folder of the repository; or make one by `git init`, and commit",
            )

    def tip(self, main: str | None = None) -> str:
        """Return the commit of ``main``: by default of ``origin/main``, else of ``main``.

        Raises ``RepositoryError`` where there is no such branch.
        """
        tip = self.named(main) if main else next(filter(None, map(self._commit, _MAIN)), None)
        if tip is None:
            raise RepositoryError(
                "there is no main branch to compare with",
                why=f"none of {', '.join(_MAIN)} is here",
                next="name a revision with --base; in CI check out with `fetch-depth: 0`",
            )
        return tip

    def fork_point(self, revision: str, main: str | None = None) -> str:
        """Return where a revision left ``main``: by default the merge base with ``origin/main``, else with ``main``.

        Raises ``RepositoryError`` where there is no such branch or nothing in common.
        """
        tip = self.tip(main)
        result = self._run("merge-base", "--", tip, self.named(revision))
        if result.returncode != 0:
            raise RepositoryError(
                f"`{revision}` and `{main or 'main'}` have no commit in common",
                why=self._shallow() or "they began apart",
                next="name a revision with --base; in CI check out with `fetch-depth: 0`",
            )
        return result.stdout.decode().strip()

    def copied(self, commit: str, folder: Path) -> Git:
        """Check a commit out into ``folder``, which shares the objects of this repository, and return it.

        Submodules come from what this clone has of them; those that it lacks stay empty.
        """
        place, source = str(folder), str(self.top())
        self._copy("clone", "--quiet", "--shared", "--no-checkout", "--template=", "--", source, place)
        self._copy("-C", place, "checkout", "--quiet", "--detach", commit)
        settings, paths = self._submodules(folder)
        if paths:
            self._copy("-C", place, *settings, "submodule", "--quiet", "update", "--init", "--", *paths)
        return Git(folder)

    def top(self) -> Path:
        """Return the folder of the repository, of which ``root`` may be a part."""
        told = self._run("rev-parse", "--show-toplevel").stdout
        return Path(os.fsdecode(told).rstrip("\n")) if told.strip() else self.root.resolve()

    def staged(self) -> str:
        """Stage everything that is not ignored, and return the tree."""
        self._paths("add", "--all")
        return self._paths("write-tree")[0].strip()

    def blobs(self, commit: str, *paths: str) -> dict[str, str]:
        """Return the ids of the files of a commit at or below ``paths``, by path."""
        listed = self._paths("ls-tree", "-r", "-z", "--end-of-options", commit, "--", *paths)
        return {path: head.split()[2] for head, _, path in (line.partition("\t") for line in listed)}

    def _copy(self, *arguments: str) -> None:
        result = self._run(*arguments)
        if result.returncode != 0:
            raise RepositoryError(
                "a commit cannot be checked out beside this folder",
                why=(result.stderr.decode(errors="replace").strip().splitlines() or ["no word"])[-1],
                next="look whether the disk is full; `git fsck` tells whether objects are missing",
            )

    def _submodules(self, folder: Path) -> tuple[list[str], list[str]]:
        """Return the settings by which a copy in ``folder`` finds its submodules in this clone, and their paths."""
        told = self._run(
            "config", "-z", "--file", str(folder / ".gitmodules"), "--get-regexp", r"^submodule\..*\.path$"
        )
        common = self.root / self._run("rev-parse", "--git-common-dir").stdout.decode().strip()
        settings, paths = ["-c", "protocol.file.allow=always"], []
        for key, _, path in (each.partition("\n") for each in told.stdout.decode(errors="replace").split("\0")):
            name = key.removesuffix(".path")
            home = (common / "modules" / name.removeprefix("submodule.")).resolve()
            if path and home.is_dir():
                settings += ["-c", f"{name}.url={home}"]
                paths.append(path)
        return settings, paths

    def _commit(self, revision: str) -> str | None:
        result = self._run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        return result.stdout.decode().strip().splitlines()[-1] if result.returncode == 0 else None

    def _shallow(self) -> str:
        shallow = self._run("rev-parse", "--is-shallow-repository").stdout.strip() == b"true"
        return "this clone is shallow: it has only the newest commits" if shallow else ""

    def contents(self, commit: str, *paths: str) -> dict[str, bytes]:
        """Return the files of a commit at or below ``paths`` with their content; a path that is not there has none."""
        blobs = self.blobs(commit, *paths)
        told = self._run("cat-file", "--batch", given="".join(f"{blob}\n" for blob in blobs.values()).encode()).stdout
        found, at = {}, 0
        for path in blobs:
            end = told.index(b"\n", at)
            size = int(told[at:end].split()[2])
            found[path] = told[end + 1 : end + 1 + size]
            at = end + size + 2
        return found

    def changed(self, commit: str) -> dict[str, str]:
        """Return what differs between a commit and the working tree: git's letter by path, `A` for what is new.

        A submodule has an `S`, whatever changed of it.
        """
        told = self._paths(
            "diff", "--raw", "--no-renames", "--ignore-submodules=none", "--relative", "-z", commit, "--"
        )
        new = self._paths("ls-files", "-z", "--others", "--exclude-standard")
        letters = ("S" if _SUBMODULE in each.lstrip(":").split()[:2] else each[-1] for each in told[::2])
        return dict(zip(told[1::2], letters, strict=True)) | dict.fromkeys(new, "A")

    def merge_file(self, ours: Path, base: Path, theirs: Path, marker: int) -> bool:
        """Merge the lines of three files into ``ours``, with markers where they conflict; tell whether none do."""
        sides = [part for label in ("ours", "base", "theirs") for part in ("-L", label)]
        result = self._run(
            "merge-file",
            "--quiet",
            f"--marker-size={marker}",
            *sides,
            *(str(each.resolve()) for each in (ours, base, theirs)),
        )
        return result.returncode == 0

    def ever_held(self, path: str, text: str) -> bool:
        """Tell whether any version of a file holds a text: on any branch, or in what was fetched or is being merged."""
        where = ("--all", "--ignore-missing", *_UNDERWAY)
        return bool(self._run("log", "-1", "--format=%H", f"-S{text}", *where, "--", path).stdout)

    def config(self, prefix: str) -> dict[str, str]:
        """Return the keys of this clone's configuration that begin with ``prefix``."""
        told = self._run("config", "--local", "--null", "--get-regexp", f"^{prefix.replace('.', '[.]')}").stdout
        return dict(each.partition("\n")[::2] for each in told.decode(errors="replace").split("\0") if each)

    def set_config(self, key: str, value: str) -> None:
        """Set a key of this clone's configuration."""
        result = self._run("config", "--local", key, value)
        if result.returncode != 0:
            raise RepositoryError(
                f"git does not take {key}",
                why=result.stderr.decode(errors="replace").strip()[:200] or "no word",
                next="look whether `.git/config` can be written",
            )

    def changed_since_commit_of(self, path: str, within: Sequence[str]) -> list[str]:
        """Return the files in ``within`` that changed after the last commit that touched ``path``.

        Files that git does not track yet are among them; nothing is returned where ``path``
        was never committed.
        """
        commit = self._run("log", "-1", "--format=%H", "--", path).stdout.decode().strip()
        if not commit or not within:
            return []
        changed = self._paths("diff", "--name-only", "--relative", "-z", commit, "--", *within)
        new = self._paths("ls-files", "-z", "--others", "--exclude-standard", "--", *within)
        return sorted({*changed, *new})

    def tags(self, name: str) -> list[Tag]:
        """Return the tags ``name@...`` and ``name#...`` with the commits that they stand at."""
        fields = ("refname:strip=2", "objecttype", "objectname", "*objectname", "taggerdate:unix", "contents")
        form = "".join(f"%({field})%00" for field in fields)
        patterns = (f"refs/tags/{name}[@#]*", f"refs/tags/{name}[@#]*/**")
        parts = self._run("for-each-ref", f"--format={form}", *patterns).stdout.decode(errors="replace").split("\0")
        rows = zip(*(parts[place :: len(fields)] for place in range(len(fields))), strict=False)
        return [_tag([part.strip("\n") for part in row]) for row in rows]

    def tag(self, tag: Tag) -> None:
        """Add an annotated tag, in the name of who is configured here, else in ours; no earlier than it says."""
        who = [] if self._run("config", "user.email").returncode == 0 else _OURSELVES
        when = {"GIT_COMMITTER_DATE": f"@{max(int(time.time()), tag.at)} +0000"}
        words = ("tag", "--annotate", "--no-sign", "--file=-", "--", tag.name, tag.commit)
        made = self._run(*who, *words, given=tag.message.encode(), more=when)
        if made.returncode != 0:
            raise RepositoryError(
                f"git cannot add the tag {tag.name}",
                why=made.stderr.decode(errors="replace").strip()[-200:],
                next="`git fetch --tags`, then run the same command again",
            )

    def _paths(self, *arguments: str) -> list[str]:
        result = self._run(*arguments)
        if result.returncode != 0:
            raise RepositoryError(
                f"git does not answer in {self.root}",
                why=result.stderr.decode(errors="replace").strip().splitlines()[-1:][0] if result.stderr else "no word",
                next="run `git status` there and fix what it says",
            )
        return [os.fsdecode(each) for each in result.stdout.split(b"\0") if each]

    def _run(
        self,
        *arguments: str,
        given: bytes | None = None,
        more: Mapping[str, str] | None = None,
        timeout: float = _TIMEOUT,
    ) -> subprocess.CompletedProcess[bytes]:
        environment = {name: value for name, value in os.environ.items() if name not in _SET_BY_HOOKS}
        environment |= {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", **(more or {})}
        try:
            done = subprocess.run(
                ["git", *arguments],
                cwd=self.root,
                env=environment,
                stdin=subprocess.DEVNULL if given is None else None,
                input=given,
                capture_output=True,
                timeout=timeout,
                check=False,
            )
            if done.returncode != 0:  # the address of a remote may hold a token
                done.stderr = redacted(done.stderr.decode(errors="replace")).encode()
            return done
        except FileNotFoundError as error:
            raise RepositoryError("git was not found", why="it is not on PATH", next="install git") from error
        except subprocess.TimeoutExpired as error:
            raise RepositoryError(
                f"git did not answer within {timeout:.0f} seconds",
                why=f"`git {arguments[0]}` reads the disk that {self.root} is on",
                next="look whether that disk answers, then run the command again",
            ) from error


def _tag(fields: Sequence[str]) -> Tag:
    name, kind, object_name, target, at, message = fields
    if kind != "tag":
        return Tag(name, object_name, annotated=False)
    return Tag(name, target, f"{message}\n", int(at or 0))
