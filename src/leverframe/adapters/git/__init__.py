"""What git knows of the repository, asked through its own program."""

from __future__ import annotations

import os
import posixpath
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from leverframe.adapters.git.base import Base, Bases
from leverframe.adapters.git.branches import Branches
from leverframe.adapters.git.faults import DAMAGED, NO_WORK_TREE, error_of, fault, last_line, no_program
from leverframe.adapters.git.filters import Filters, keep_bytes
from leverframe.adapters.git.trees import Trees
from leverframe.domain.release.tag import Tag
from leverframe.errors import RepositoryError
from leverframe.redaction import redacted

_TIMEOUT = 60.0  # seconds; every question asked here is answered from the local disk
_SET_BY_HOOKS = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY")
_SUBMODULE = "160000"  # the mode of one
_UNDERWAY = ("FETCH_HEAD", "MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "REBASE_HEAD", "ORIG_HEAD")
_OURSELVES = ["-c", "user.name=leverframe", "-c", "user.email=leverframe@users.noreply.github.com"]


class Git:
    """The git repository that ``root`` is in; every path is relative to ``root``.

    ``default`` returns the default branch as the event of a run has it, ``target`` the one that its pull request goes
    to; empty where there is none. Raises ``RepositoryError`` from every method where git is missing, or reads no
    repository here.
    """

    def __init__(self, root: Path, default: Callable[[], str] = str, target: Callable[[], str] = str) -> None:
        self.root = root
        self._bases = Bases(self, Branches(root, self._run), default, target)
        self._filters, self.trees = Filters(root, self._run), Trees(root, self._run)

    def fetch(self) -> None:
        """Fetch from all remotes; raises ``RepositoryError`` where one does not answer."""
        done = self._run("fetch", "--all", "--quiet", "--prune")
        if done.returncode != 0:
            raise RepositoryError(
                "git cannot fetch",
                why=last_line(done.stderr, "no reason given")[:200],
                next="`git fetch --all` says more",
            )

    def files(self, *patterns: str) -> list[str]:
        """Return the files of the working tree that match and are not ignored, tracked or not, sorted."""
        paths = self._paths("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns)
        return sorted({path for path in paths if (self.root / path).is_file()})

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
        """Return the content of a file at a revision as it is checked out, None when it was not there."""
        files = dict(self._read([path], [f"{revision}:./{path}"]))
        if path not in files and self._run("rev-parse", "--verify", "--quiet", f"{revision}:./{path}").returncode == 0:
            files |= self.contents(revision, path)  # a folder or a submodule, or an object that is damaged
        return self._filters.checked_out(revision, files).get(path)

    def prefix(self) -> str:
        """Return the path of ``root`` in the repository, with a slash at its end; empty where it is the whole of it."""
        done = self._run("rev-parse", "--show-prefix")
        return os.fsdecode(done.stdout).removesuffix("\n") if done.returncode == 0 else ""

    def named(self, revision: str) -> str:
        """Return the full name of the commit that a revision names; raises ``RepositoryError`` where there is none."""
        commit = self.commit_of(revision)
        if commit is None:
            self.check()
            self._run("log", "-1", "--format=")  # tells a branch without a commit from a damaged one
            raise RepositoryError(
                f"`{revision}` names no commit of this repository",
                why=self.shallow() or "it is no branch, tag or commit that git knows here",
                next="name another revision, or `git fetch` first; in CI check out with `fetch-depth: 0`",
            )
        return commit

    def check(self) -> None:
        """Raise ``RepositoryError`` where ``root`` is in no working tree of a repository that git reads."""
        if self._run("rev-parse", "--is-inside-work-tree").stdout.strip() != b"true":
            raise error_of(NO_WORK_TREE, "`git rev-parse --is-inside-work-tree` says so")

    def tip(self, main: str | None = None) -> str:
        """Return the newest commit of ``main``, by default of the main branch; raises as ``Bases.tip`` does."""
        return self._bases.tip(main)

    def base(self, wanted: str | None, revision: str = "HEAD") -> Base:
        """Return where a revision left ``wanted``, by default the main branch; raises as ``Bases.base`` does."""
        return self._bases.base(wanted, revision)

    def merge_base(self, one: str, other: str) -> str | None:
        """Return the last commit that two have in common; None where there is none here."""
        result = self._run("merge-base", "--", one, other)
        return result.stdout.decode().strip() if result.returncode == 0 else None

    def copied(self, commit: str, folder: Path) -> Git:
        """Check a commit out into ``folder``, which shares the objects of this repository; return ``root`` there.

        A sparse clone gives a sparse copy. Submodules come from what this clone has of them, those within one as well;
        what it lacks stays empty.
        """
        place, source = str(folder), str(self.top())
        self._copy("clone", "--quiet", "--shared", "--no-checkout", "--template=", "--", source, place)
        self._leave_out_as_here(folder)
        keep_bytes(folder)
        self._copy("-C", place, "checkout", "--quiet", "--detach", commit)
        self.fill_submodules(folder)
        return Git(folder / self.prefix())

    def _leave_out_as_here(self, folder: Path) -> None:
        """Let a copy leave out what this clone leaves out: a partial clone may lack the content of it."""
        patterns = self.root / self._run("rev-parse", "--git-path", "info/sparse-checkout").stdout.decode().strip()
        if self._run("config", "--bool", "core.sparseCheckout").stdout.strip() != b"true" or not patterns.is_file():
            return
        (folder / ".git/info").mkdir(exist_ok=True)
        shutil.copyfile(patterns, folder / ".git/info/sparse-checkout")
        self._copy("-C", str(folder), "config", "core.sparseCheckout", "true")

    def top(self) -> Path:
        """Return the folder of the repository, of which ``root`` may be a part."""
        stdout = self._run("rev-parse", "--show-toplevel").stdout
        return Path(os.fsdecode(stdout).rstrip("\n")) if stdout.strip() else self.root.resolve()

    def branch(self) -> str:
        """Return the branch that is checked out; empty where it is a commit."""
        done = self._run("symbolic-ref", "--quiet", "--short", "HEAD")
        return done.stdout.decode().strip() if done.returncode == 0 else ""

    def staged(self) -> str:
        """Stage everything below ``root`` that is not ignored, and return the tree."""
        self._paths("add", "--all", "--", ".")
        return self._paths("write-tree")[0].strip()

    def blobs(self, commit: str, *paths: str) -> dict[str, str]:
        """Return the ids of the files of a commit at or below ``paths``, by path."""
        listed = self._paths("ls-tree", "-r", "-z", "--end-of-options", commit, "--", *paths)
        entries = ((head.split(), path) for head, _, path in (line.partition("\t") for line in listed))
        return {path: head[2] for head, path in entries if head[1] == "blob"}

    def _copy(self, *arguments: str) -> None:
        result = self._run(*arguments)
        if result.returncode != 0:
            raise RepositoryError(
                "a commit cannot be checked out beside this folder",
                why=last_line(result.stderr),
                next="look whether the disk is full; `git fsck` tells whether objects are missing",
            )

    def absent_submodules(self) -> list[str]:
        """Return the submodules of the repository that are not checked out here, by paths relative to ``root``."""
        lines = self._paths("ls-files", "-z", "--stage", "--", ":/")
        paths = (path for head, _, path in (line.partition("\t") for line in lines) if head.startswith(_SUBMODULE))
        return [path for path in paths if not any((self.root / path).glob("*"))]

    def fill_submodules(self, folder: Path) -> None:
        """Check out the submodules of another clone in ``folder``, as far as this one has them."""
        common = self.root / self._run("rev-parse", "--git-common-dir").stdout.decode().strip()
        self._fill_submodules(folder, common)

    def _fill_submodules(self, folder: Path, common: Path) -> None:
        """Check out the submodules of a copy in ``folder`` from those that ``common``, a folder of git's, has."""
        listing = self._run(
            "config", "-z", "--file", str(folder / ".gitmodules"), "--get-regexp", r"^submodule\..*\.path$"
        )
        for key, _, path in (entry.partition("\n") for entry in listing.stdout.decode(errors="replace").split("\0")):
            name = key.removesuffix(".path")
            home = (common / "modules" / name.removeprefix("submodule.")).resolve()
            if not (path and home.is_dir()):
                continue
            settings = ("-c", "protocol.file.allow=always", "-c", f"{name}.url={home}")
            done = self._run("-C", str(folder), *settings, "submodule", "--quiet", "update", "--init", "--", path)
            if done.returncode != 0:
                raise RepositoryError(
                    f"the submodule {path} cannot be checked out beside this folder",
                    why=last_line(done.stderr)[:200],
                    next=f"`git -C {path} fetch --all`, so that this clone has the commit that the other one names",
                )
            self._fill_submodules(folder / path, home)

    def commit_of(self, revision: str) -> str | None:
        """Return the full name of the commit that a revision names; None where it names none."""
        result = self._run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        return result.stdout.decode().strip().splitlines()[-1] if result.returncode == 0 else None

    def shallow(self) -> str:
        """Return in words that this clone has only the newest commits; empty where it has all."""
        shallow = self._run("rev-parse", "--is-shallow-repository").stdout.strip() == b"true"
        return "this clone is shallow: it has only the newest commits" if shallow else ""

    def contents(self, commit: str, *paths: str) -> dict[str, bytes]:
        """Return the files of a commit at or below ``paths`` with their content; a path that is not there has none."""
        blobs = self.blobs(commit, *paths)
        contents = dict(self._read(blobs, blobs.values()))
        lacking = next((path for path in blobs if path not in contents), None)
        if lacking:
            raise error_of(DAMAGED, f"the object {blobs[lacking]} of {lacking} is missing or corrupt")
        return self._filters.checked_out(commit, contents)

    def as_stored(self, paths: Iterable[str]) -> dict[str, bytes]:
        """Return what git stores of the files at or below some paths, of those whose bytes here are others."""
        return self._filters.as_stored(paths)

    def lost_links(self, paths: Iterable[str]) -> list[str]:
        """Return the symbolic links of git at or below some paths that are plain files here."""
        return self._filters.lost_links(paths)

    def _read(self, paths: Iterable[str], names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Yield each file with the content of the object that is named in its turn; what is no file has none."""
        done = self._run("cat-file", "--batch", given="".join(f"{name}\n" for name in names).encode())
        if done.returncode != 0:
            raise error_of(DAMAGED, done.stderr.decode(errors="replace"))
        printed = done.stdout
        at = 0
        for path in paths:
            end = printed.index(b"\n", at)
            head = printed[at:end].split()
            if head[-1] == b"missing":
                at = end + 1
                continue
            if head[1] == b"blob":
                yield path, printed[end + 1 : end + 1 + int(head[2])]
            at = end + int(head[2]) + 2

    def changed(self, commit: str) -> dict[str, str]:
        """Return what differs between a commit and the working tree: git's letter by path, `A` for what is new.

        A submodule has an `S`, whatever changed of it.
        """
        changes = self._paths(
            "diff", "--raw", "--no-renames", "--ignore-submodules=none", "--relative", "-z", commit, "--"
        )
        return _letters(changes, self._paths("ls-files", "-z", "--others", "--exclude-standard"))

    def changed_around(self, commit: str) -> dict[str, str]:
        """Return what differs as ``changed`` does, of the whole repository: paths outside begin with two dots.

        Outside, files that git does not track yet are left out.
        """
        changes = self._paths("diff", "--raw", "--no-renames", "--ignore-submodules=none", "-z", commit, "--")
        new = self._paths("ls-files", "-z", "--others", "--exclude-standard", "--full-name", "--", ".")
        letters = _letters(changes, new)
        return dict(zip(self.from_root(letters), letters.values(), strict=True))

    def from_root(self, paths: Iterable[str]) -> list[str]:
        """Return paths from the top of the repository as they are from ``root``."""
        here = self.prefix() or "."
        return [posixpath.relpath(path, here) for path in paths]

    def merge_file(self, ours: Path, base: Path, theirs: Path, marker: int) -> bool:
        """Merge the lines of three files into ``ours``, with markers where they conflict; tell whether none do."""
        sides = [part for label in ("ours", "base", "theirs") for part in ("-L", label)]
        result = self._run(
            "merge-file",
            "--quiet",
            f"--marker-size={marker}",
            *sides,
            *(str(path.resolve()) for path in (ours, base, theirs)),
        )
        return result.returncode == 0

    def ever_held(self, path: str, text: str) -> bool:
        """Tell whether any version of a file holds a text: on any branch, or in what was fetched or is being merged."""
        where = ("--all", "--ignore-missing", *_UNDERWAY)
        return bool(self._run("log", "-1", "--format=%H", f"-S{text}", *where, "--", path).stdout)

    def touching(self, revision: str, path: str, words: str) -> list[str]:
        """Return the commits up to a revision that changed a line with ``words`` in a file, newest first, and their
        first parents: one of a pair is the version that still had the line."""
        log = self._run("log", "-50", "--format=%H %P", f"-G{words}", "--end-of-options", revision, "--", path)
        return list(dict.fromkeys(name for line in log.stdout.decode().splitlines() for name in line.split()[:2]))

    def config(self, prefix: str) -> dict[str, str]:
        """Return the keys of this clone's configuration that begin with ``prefix``."""
        stdout = self._run("config", "--local", "--null", "--get-regexp", f"^{prefix.replace('.', '[.]')}").stdout
        return dict(entry.partition("\n")[::2] for entry in stdout.decode(errors="replace").split("\0") if entry)

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
                why=last_line(result.stderr),
                next="run `git status` there and fix what it says",
            )
        return [os.fsdecode(path) for path in result.stdout.split(b"\0") if path]

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
        except FileNotFoundError as error:
            raise no_program(self.root) from error
        except subprocess.TimeoutExpired as error:
            raise RepositoryError(
                f"git did not answer within {timeout:.0f} seconds",
                why=f"`git {arguments[0]}` reads the disk that {self.root} is on",
                next="look whether that disk answers, then run the command again",
            ) from error
        if done.returncode != 0:  # the address of a remote may hold a token
            words = redacted(done.stderr.decode(errors="replace"))
            done.stderr = words.encode()
            refused = fault(words)
            if refused:
                raise refused
        return done


def _tag(fields: Sequence[str]) -> Tag:
    name, kind, object_name, target, at, message = fields
    if kind != "tag":
        return Tag(name, object_name, annotated=False)
    return Tag(name, target, f"{message}\n", int(at or 0))


def _letters(raw: Sequence[str], new: Sequence[str]) -> dict[str, str]:
    """Return the letter of each path that `git diff --raw -z` tells of, `S` for a submodule, and `A` for new files."""
    letters = ("S" if _SUBMODULE in head.lstrip(":").split()[:2] else head[-1] for head in raw[::2])
    return dict(zip(raw[1::2], letters, strict=True)) | dict.fromkeys(new, "A")
