"""Where the data of a pipeline are kept: outputs by DVC and not in git, what stages read by one of the two."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Protocol

from leverframe.domain.pipeline.status.reasons import PipelineStatus
from leverframe.domain.verdict import Reason, Violation
from leverframe.words import first_few

HEAVY = 10_000_000  # bytes of a file from which on git is the wrong place
_NAMED = 5  # files that are named, the rest is counted
_CODE = (".py", ".yaml", ".yml", ".toml", ".json", ".sql")  # what people write belongs into git, whatever its size


class Files(Protocol):
    """What git and the working tree know of files; every path is relative to the root of the pipeline."""

    def tracked(self) -> Collection[str]:
        """Return the files that git tracks, a submodule by its folder."""

    def untracked(self, paths: Sequence[str]) -> Sequence[str]:
        """Return the files at or below ``paths`` that are here, that git does not track and DVC does not leave out."""

    def git_ignores(self, path: str) -> bool:
        """Tell whether git would ignore a file at a path."""


def outputs_in_git(status: PipelineStatus, files: Files, *, of_case: bool = True) -> list[Violation]:
    """Return the violation for outputs that DVC keeps and git tracks as well: `dvc repro` refuses to write them.

    The definition ``of_case`` has a command that completes `.gitignore`; in any other one DVC does when it runs.
    """
    cached = {output.path for stage in status.stages for output in stage.stage.outputs if output.cached}
    tracked = sorted(path for path in files.tracked() if any(above in cached for above in _upwards(path)))
    if not tracked:
        return []
    few = len(tracked) <= _NAMED
    places = tracked if few else sorted({PurePosixPath(path).parts[0] for path in tracked})
    names = " ".join(map(shlex.quote, places))
    untrack = f"git rm --cached {names}" if few else f"git rm -r -q --cached {names} && git add {names}"
    return [
        Violation(
            Reason.DATA_IN_GIT,
            f"git tracks {len(tracked)} file{'' if len(tracked) == 1 else 's'} that a stage writes and DVC keeps: "
            f"{_named(tracked)}",
            f"`leverframe stages --write`, which completes .gitignore; then `{untrack}`, and commit"
            if of_case
            else f"`{untrack}`, and commit; `dvc repro` then writes .gitignore",
        )
    ]


def heavy_notes(sizes: Mapping[str, int]) -> list[str]:
    """Return a note on large files that a change gives to git, by their bytes."""
    if not sizes:
        return []
    names = [f"`{path}` ({sizes[path] / 1e6:,.0f} MB)" for path in sorted(sizes, key=lambda path: -sizes[path])]
    return [f"every clone gets {first_few(names, _NAMED)} from git for ever; `dvc add` keeps large files out of it"]


def kept_nowhere(status: PipelineStatus, files: Files) -> list[str]:
    """Return what stages read, no stage writes, and neither git nor DVC keeps, sorted: nobody else has it.

    Files that are here are named one by one, or by a folder of which nothing is kept; what is not here by its
    declared path.
    """
    made = {output.path for stage in status.stages for output in stage.stage.outputs}
    read = {dependency.path for stage in status.stages for dependency in stage.stage.dependencies
            if not stage.stage.is_source}  # fmt: skip
    tracked = set(files.tracked())
    kept = {above for path in (*tracked, *made) for above in _upwards(path)}  # of these something is kept
    everything = tracked | made
    leaves = sorted(path for path in read - tracked if _held(path, everything) is None and not path.startswith("../"))
    unsure = [path for path in leaves if path in kept]  # folders of which a part is kept
    here = files.untracked(unsure) if unsure else ()
    missing = [path for path in here if _held(path, made) is None]
    return sorted({*missing, *(path for path in leaves if path not in kept)})


def kept_nowhere_violations(paths: Sequence[str], files: Files) -> list[Violation]:
    """Return the violation for what nobody else has, with the lines that hand it to DVC, or code to git."""
    if not paths:
        return []
    code = [path for path in paths if path.endswith(_CODE)]
    data = [path for path in paths if path not in code]
    places = list(dict.fromkeys(_addable(path, files) for path in data))
    ignoring = dict.fromkeys(PurePosixPath(path).with_name(".gitignore").as_posix() for path in places)
    added = _quoted([*(f"{path}.dvc" for path in places), *ignoring])
    steps = [f"`dvc add {_quoted(places)}`, `git add {added}`, commit, `dvc push`"] if places else []
    small = [path for path in data if not files.git_ignores(path)]
    steps += [f"or let git have what is small: `git add {_quoted(small)}`, commit"] if small else []
    force = "--force " if any(map(files.git_ignores, code)) else ""
    steps += [f"`git add {force}{_quoted(code)}`, commit"] if code else []
    return [
        Violation(
            Reason.DATA_MISSING,
            f"stages read what neither git nor DVC keeps, so that only one machine has it: {_named(paths)}",
            f"where {'it is' if len(paths) == 1 else 'they are'}: {'; '.join(steps)}",
        )
    ]


def _addable(path: str, files: Files) -> str:
    """Return what `dvc add` takes for a path: the folder above it whose `.dvc` file git does not ignore."""
    for above in _upwards(path):
        if not files.git_ignores(f"{above}.dvc"):
            return above
    return path


def _held(path: str, places: Collection[str]) -> str | None:
    """Return which of some files or folders a path is, or is in."""
    return next((above for above in _upwards(path) if above in places), None)


def _upwards(path: str) -> Iterator[str]:
    """Yield a path and every folder above it, but not the root."""
    yield path
    yield from (str(parent) for parent in PurePosixPath(path).parents if str(parent) != ".")


def _quoted(paths: Iterable[str]) -> str:
    return " ".join(map(shlex.quote, paths))


def _named(paths: Sequence[str]) -> str:
    return first_few([f"`{path}`" for path in paths], _NAMED, last=", and ")
