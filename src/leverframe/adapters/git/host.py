"""Git with a forge: commits made without a working tree, and branches fetched and pushed with a one-off credential."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from leverframe.adapters.git import Git
from leverframe.adapters.git.faults import last_line
from leverframe.domain.retraining.pulls.pull_commit import AUTHOR, CommitFacts
from leverframe.errors import ForgeUnreachableError, PublishError, RepositoryError
from leverframe.redaction import redacted

_NO_FILE = "000000"  # the mode of one that is not there
_PATHS = 500  # of one command line
_TRANSFER = 600.0  # seconds of a fetch or push
_FAULTS = (
    "RPC failed",
    "early EOF",
    "unable to access",
    "timed out",
    "Could not resolve",
    "hung up",
    "returned error: 5",
)
_DENIED = ("returned error: 403", "returned error: 401", "Authentication failed", "could not read Username", "denied")


@dataclass(frozen=True)
class Host:
    """A repository on a forge by address, and the token that opens it.

    The token goes to git as a setting in the environment: it is in no file, no argument and no output.
    """

    address: str
    token: str = field(repr=False)

    @property
    def environment(self) -> dict[str, str]:
        """Return the settings; headers that other settings have for the same site are left out."""
        site = "/".join(self.address.split("/")[:3])
        basic = base64.b64encode(f"x-access-token:{self.token}".encode()).decode()
        settings = [(f"http.{site}/.extraheader", ""), ("credential.helper", "")]
        settings += [(f"http.{site}/.extraheader", f"Authorization: Basic {basic}")] if self.token else []
        pairs = {f"GIT_CONFIG_KEY_{at}": key for at, (key, _) in enumerate(settings)}
        pairs |= {f"GIT_CONFIG_VALUE_{at}": value for at, (_, value) in enumerate(settings)}
        quiet = {"GIT_TRACE_CURL": "0", "GIT_TRACE_REDACT": "1"}  # else what is sent could be written down
        return {"GIT_CONFIG_COUNT": str(len(settings)), **pairs, **quiet}


class HostedGit(Git):
    """The repository of a clone, and what is sent to and from a forge."""

    def content(self, entry: str) -> bytes:
        """Return the content of a file by its mode and blob; none for mode 000000."""
        mode, blob = entry.split()
        return b"" if mode == _NO_FILE else self._asked("cat-file", "blob", blob)

    def entry_of(self, mode: str, content: bytes) -> str:
        """Store a content, and return mode and blob."""
        return f"{mode} {self._asked('hash-object', '-w', '--stdin', given=content).decode().strip()}"

    def lines_merged(self, base: bytes, ours: bytes, theirs: bytes) -> bytes | None:
        """Return both changes of a text; None where they conflict, or a side is no text."""
        with TemporaryDirectory(prefix="leverframe-") as place:
            files = [Path(place, name) for name in ("ours", "base", "theirs")]
            for file, content in zip(files, (ours, base, theirs), strict=True):
                file.write_bytes(content)
            return files[0].read_bytes() if self.merge_file(files[0], files[1], files[2], 7) else None

    def commits(self, before: str, after: str, paths: Iterable[str], *, merges: bool) -> list[tuple[str, str]]:
        """Return the commits of ``after`` that ``before`` does not have and that touch files, with subjects.

        They come newest first. ``paths`` are from the top of the repository. With ``merges`` a merge stands for what it
        brought, else its commits do.
        """
        files = [f":(top,literal){path}" for path in paths][:_PATHS]
        which = ("--first-parent",) if merges else ("--no-merges",)
        shown = self._asked("log", "-z", "--format=%H %s", *which, f"{before}..{after}", "--", *files)
        lines = (line.partition(" ") for line in shown.decode(errors="replace").split("\0") if line)
        return [(name, subject) for name, _, subject in lines]

    def before_merge(self, merged: str, head: str) -> str:
        """Return what a branch was at before a pull request was merged, whichever way; ``head`` is its last commit.

        ``merged`` is the commit of the merge: one with two parents, one of all its changes, or the last of those that
        were put onto the branch one by one, which keep author, time and message.
        """
        of_pull = {self._identity(name) for name in self._asked("rev-list", head, f"^{merged}").decode().split()}
        commit = merged
        while True:
            parents = self.commit_facts(commit).parents
            if not parents:
                return commit
            if len(parents) > 1 or self._identity(parents[0]) not in of_pull:
                return parents[0]
            commit = parents[0]

    def _identity(self, commit: str) -> bytes:
        return self._asked("show", "--no-patch", "--format=%an%x00%ae%x00%at%x00%B", commit)

    def commit_facts(self, commit: str) -> CommitFacts:
        """Return tree, parents and message of a commit."""
        shown = self._asked("show", "--no-patch", "--format=%T%x00%P%x00%B", commit).decode(errors="replace")
        tree, parents, message = shown.split("\0", 2)
        return CommitFacts(tree, tuple(parents.split()), message)

    def contains(self, tip: str, commit: str) -> bool:
        """Tell whether a commit is the tip or before it."""
        return self._run("merge-base", "--is-ancestor", commit, tip).returncode == 0

    def since(self, before: str, tip: str, most: int) -> list[str]:
        """Return the commits of ``tip`` that ``before`` does not have, of merges the one alone, oldest first.

        Of more than ``most`` they are the newest; where ``before`` is empty or unknown here, only ``tip`` is returned.
        """
        if not (before and self.commit_of(before)):
            return [tip]
        names = self._asked("rev-list", "--first-parent", f"--max-count={most}", tip, f"^{before}", "--")
        return names.decode().split()[::-1]

    def brought_by(self, commit: str) -> list[str]:
        """Return the files that a commit changes, of a merge those that it brings, as they are from ``root``."""
        shown = ("--first-parent", "-m", "--name-only", "--no-renames", "--format=", "-z")
        return self.from_root(path for path in self._paths("log", "-1", *shown, commit, "--") if path.strip())

    def merged_tree(self, ours: str, theirs: str) -> str:
        """Return the tree of a merge; empty where there is a conflict."""
        result = self._run("merge-tree", "--write-tree", ours, theirs)
        return result.stdout.decode().split("\n", 1)[0] if result.returncode == 0 else ""

    def between(self, before: str, after: str) -> dict[str, tuple[str, str]]:
        """Return the files that differ between two commits: mode and blob of each, before and after.

        The mode of a file that is not there is 000000.
        """
        raw = self._paths("diff-tree", "-r", "-z", "--raw", "--no-renames", before, after)
        heads = (header.lstrip(":").split() for header in raw[::2])
        return {path: (f"{h[0]} {h[2]}", f"{h[1]} {h[3]}") for h, path in zip(heads, raw[1::2], strict=True)}

    def with_files(self, base: str, files: Mapping[str, str]) -> str:
        """Return the tree of a commit with other files: mode and blob by path, mode 000000 for none."""
        with TemporaryDirectory(prefix="leverframe-") as place:
            index = {"GIT_INDEX_FILE": str(Path(place, "index"))}
            self._asked("read-tree", base, more=index)
            lines = "".join(f"{entry}\t{path}\0" for path, entry in files.items())
            self._asked("update-index", "-z", "--index-info", given=lines.encode(), more=index)
            return self._asked("write-tree", more=index).decode().strip()

    def committed(self, tree: str, parent: str, message: str) -> str:
        """Return a commit of ours with a tree: the same for the same tree, parent and message."""
        when = self._asked("show", "--no-patch", "--format=%ct", parent).decode().strip()
        who = {f"GIT_{role}_{part}": value for role in ("AUTHOR", "COMMITTER")
               for part, value in zip(("NAME", "EMAIL", "DATE"), (*AUTHOR, f"{when} +0000"), strict=True)}  # fmt: skip
        return self._asked("commit-tree", tree, "-p", parent, given=message.encode(), more=who).decode().strip()

    def keep(self, name: str, commit: str) -> None:
        """Let a reference of this clone be at a commit; empty removes it."""
        self._asked("update-ref", *([name, commit] if commit else ["-d", name]))

    def kept(self, name: str) -> str:
        """Return the commit of a reference; empty where there is none."""
        return self.commit_of(name) or ""

    def hand_over(self, folder: Path, commit: str, name: str) -> None:
        """Let a reference of another clone on this machine be at a commit of this one."""
        self._asked("push", "--quiet", "--no-verify", "--force", "--", str(folder.resolve()), f"{commit}:{name}")

    def heads(self, host: Host, *branches: str) -> dict[str, str]:
        """Return the commits of branches of a repository on a forge; one that is not there has none."""
        names = [f"refs/heads/{branch}" for branch in branches]
        result = self._sent(host, "ls-remote", "--quiet", "--", host.address, *names)
        if result.returncode != 0:
            raise _refusal(result.stderr, "read the branches", "contents: read")
        heads = dict(line.split("\t")[::-1] for line in result.stdout.decode(errors="replace").splitlines())
        return {branch: heads[f"refs/heads/{branch}"] for branch in branches if f"refs/heads/{branch}" in heads}

    def brought(
        self, host: Host, commits: Mapping[str, str], *, whole: bool = False, below: str = "refs/heads/"
    ) -> None:
        """Fetch branches, each at its commit, into this clone; no reference is moved.

        What a shallow clone lacks comes with them where the ``whole`` history is needed. Names are ``below`` what
        branches are below, or another place of references.
        """
        deepened = ["--unshallow"] if whole and self.shallow() else []
        wanted = [f"{below}{name}" for name, commit in commits.items() if deepened or not self.commit_of(commit)]
        if not wanted:
            return
        quietly = ("--quiet", "--no-tags", "--no-write-fetch-head", *deepened)
        result = self._sent(host, "fetch", *quietly, "--", host.address, *wanted)
        if result.returncode != 0:
            raise _refusal(result.stderr, "fetch the branches", "contents: read")

    def push(self, host: Host, commit: str, branch: str, expected: str) -> bool:
        """Let a branch on a forge be at a commit, empty for none; false where it is not at ``expected`` any more.

        What was lost on the way back is looked up: the branch may be there already.
        """
        name = f"refs/heads/{branch}"
        lease = f"--force-with-lease={name}:{expected}"
        result = self._sent(
            host, "push", "--quiet", "--no-verify", "--porcelain", lease, "--", host.address, f"{commit}:{name}"
        )
        if result.returncode == 0:
            return True
        there = self.heads(host, branch).get(branch, "")
        if there == commit:
            return True
        if there != expected:
            return False
        raise _refusal(result.stderr + result.stdout, f"push to {branch}", "contents: write")

    def _sent(self, host: Host, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return self._run(*arguments, more=host.environment, timeout=_TRANSFER)

    def _asked(self, *arguments: str, given: bytes | None = None, more: Mapping[str, str] | None = None) -> bytes:
        result = self._run(*arguments, given=given, more=more)
        if result.returncode != 0:
            raise RepositoryError(
                f"`git {arguments[0]}` failed",
                why=last_line(result.stderr)[:200],
                next="`git fsck` tells whether objects are missing; in CI check out with `fetch-depth: 0`",
            )
        return result.stdout


def _refusal(output: bytes, what: str, permission: str) -> PublishError:
    """Return the error of a transfer that failed, with the permission where one lacks."""
    text = redacted(output.decode(errors="replace").strip())
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    why = next((line for line in lines if "refus" in line or "error" in line or "fatal" in line), "no reason given")[
        :300
    ]
    if "workflow" in text and "permission" in text:
        return PublishError(
            f"GitHub refused to {what}", why=why,
            next="a candidate changes no workflow; give the token of the App the permission `workflows: write`",
        )  # fmt: skip
    if any(word in text for word in _DENIED):
        return PublishError(f"GitHub refused to {what}", why=why, next=f"give the job `permissions: {{{permission}}}`")
    if any(word in text for word in _FAULTS):
        return ForgeUnreachableError(f"GitHub did not {what}", why=why, next="run the job again; nothing was lost")
    if "cannot lock ref" in text or "exists; cannot create" in text:
        return PublishError(
            f"GitHub refused to {what}", why=why,
            next="a branch has the name of its first part, as `leverframe`: rename or remove that one",
        )  # fmt: skip
    return PublishError(
        f"GitHub refused to {what}", why=why, next="look at the rules of that branch, then run it again"
    )
