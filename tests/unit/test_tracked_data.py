"""What DVC keeps is not in git, what stages read is in one of the two; each finding has the command that fixes it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leverframe.domain.pipeline.status.reasons import PipelineStatus, StageStatus, State
from leverframe.domain.pipeline.status.resolved import Artefact, Stage
from leverframe.domain.review.tracked_data import kept_nowhere, kept_nowhere_violations, outputs_in_git
from leverframe.domain.verdict import Reason

OUTPUTS = ("data/raw/visits/2024-01.parquet", "data/features/2024-01.parquet", "models/bundle")
NAMES = st.text("ab. '$\u00e4", min_size=1, max_size=4).filter(lambda name: name.strip(". ") == name)


@dataclass
class Tree:
    """A working tree: what git tracks, what else is here, and the patterns of .gitignore."""

    in_git: tuple[str, ...] = ()
    here: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    asked: list[str] = field(default_factory=list)

    def tracked(self) -> tuple[str, ...]:
        return self.in_git

    def untracked(self, paths: object) -> list[str]:
        assert isinstance(paths, list)
        self.asked += paths
        return [path for path in self.here if any(path == above or path.startswith(f"{above}/") for above in paths)]

    def git_ignores(self, path: str) -> bool:
        return any(fnmatchcase(path, pattern) for pattern in self.patterns)


def pipeline(reads: tuple[str, ...] = (), sources: tuple[str, ...] = ()) -> PipelineStatus:
    """Return a pipeline that ingests ``reads``, of which ``sources`` have a file of `dvc add`."""
    ingest = Stage("ingest", "dvc.yaml", "run", dependencies=tuple(Artefact(path, path) for path in reads),
                   outputs=tuple(Artefact(path, path, cached=True) for path in OUTPUTS))  # fmt: skip
    train = Stage("train", "dvc.yaml", "run", dependencies=(Artefact(OUTPUTS[1], OUTPUTS[1]),))
    added = [Stage(f"{path}.dvc", f"{path}.dvc", outputs=(Artefact(path, path, cached=True),)) for path in sources]
    return PipelineStatus(tuple(StageStatus(stage, State.FRESH) for stage in (ingest, train, *added)))


def test_reports_and_code_in_git_are_as_they_should_be() -> None:
    files = Tree(in_git=("reports/metrics.json", "raw/visits.csv", "data/raw/.gitignore", "models/model.json"))
    assert outputs_in_git(pipeline(), files) == []
    assert kept_nowhere(pipeline(("raw/visits.csv",)), files) == []


def test_outputs_in_git_are_named_with_the_line_that_takes_them_out() -> None:
    """A few by name, files of an output that is a folder as well; of many the folders, and git takes the rest again."""
    (breach,) = outputs_in_git(pipeline(), Tree(in_git=(OUTPUTS[0], "models/bundle/model.onnx", "models/model.json")))
    assert breach.reason is Reason.DATA_IN_GIT
    assert "2 files" in breach.what
    assert f"`git rm --cached {OUTPUTS[0]} models/bundle/model.onnx`" in breach.next
    many = tuple(f"models/bundle/{number}" for number in range(9))
    (breach,) = outputs_in_git(pipeline(), Tree(in_git=(*many, OUTPUTS[0])))
    assert "and 5 more" in breach.what
    assert "`git rm -r -q --cached data models && git add data models`" in breach.next


def test_data_that_dvc_added_and_git_tracks_are_found_too() -> None:
    status = pipeline(("raw/visits.csv",), sources=("raw/visits.csv",))
    (violation,) = outputs_in_git(status, Tree(in_git=("raw/visits.csv", "raw/visits.csv.dvc")))
    assert "git rm --cached raw/visits.csv" in violation.next


@pytest.mark.parametrize("here", [(), ("raw/visits.csv",)], ids=["in a clone", "on the author's machine"])
def test_raw_data_that_nobody_keeps_are_named_with_what_dvc_takes(here: tuple[str, ...]) -> None:
    """Where git would ignore the `.dvc` file as well, it is the folder above that `dvc add` takes."""
    status = pipeline(("raw/visits.csv", "rates.csv"))
    files = Tree(in_git=("rates.csv", "params.yaml"), here=here, patterns=("raw/*",))
    assert kept_nowhere(status, files) == ["raw/visits.csv"]
    (violation,) = kept_nowhere_violations(["raw/visits.csv"], files)
    assert violation.reason is Reason.DATA_MISSING
    assert "`dvc add raw`, `git add raw.dvc .gitignore`, commit, `dvc push`" in violation.next
    (violation,) = kept_nowhere_violations(["raw/visits.csv"], Tree(patterns=("raw/*.csv",)))
    assert "`dvc add raw/visits.csv`, `git add raw/visits.csv.dvc raw/.gitignore`" in violation.next


def test_a_folder_is_named_as_a_whole_only_where_nothing_of_it_is_kept() -> None:
    """Else the files that are here and that neither has; what a `.dvc` file holds is held."""
    status = pipeline(("raw", "more", "old"), sources=("raw/b.csv", "old"))
    files = Tree(in_git=("raw/a.csv", "raw/b.csv.dvc"), here=("raw/b.csv", "raw/c.csv", "more/d.csv", "old/e.csv"))
    assert kept_nowhere(status, files) == ["more", "raw/c.csv"]
    assert files.asked == ["raw"]


def test_a_submodule_keeps_what_is_in_it_and_paths_outside_are_nobodys_to_judge() -> None:
    assert kept_nowhere(pipeline(("vendor/rates/table.py", "../elsewhere.csv")), Tree(in_git=("vendor/rates",))) == []


def test_code_goes_into_git() -> None:
    (violation,) = kept_nowhere_violations(["knobs.py", "raw/visits.csv"], Tree())
    assert "`git add knobs.py`" in violation.next
    assert "`dvc add raw/visits.csv`" in violation.next
    assert "`git add raw/visits.csv`" in violation.next
    (violation,) = kept_nowhere_violations(["lib/knobs.py", "raw/visits.csv"], Tree(patterns=("lib/*", "raw/*.csv")))
    assert "`git add --force lib/knobs.py`" in violation.next
    assert "small" not in violation.next
    assert kept_nowhere_violations([], Tree()) == []


@given(names=st.lists(NAMES, min_size=1, max_size=8, unique=True))
def test_each_line_has_every_path_as_one_word_of_a_shell(names: list[str]) -> None:
    """Blanks, quotes and dollar signs in a name change no command."""
    paths = [f"raw/{name}" for name in names]
    (violation,) = kept_nowhere_violations(paths, Tree())
    assert shlex.split(violation.next.split("`")[1]) == ["dvc", "add", *paths]
    (violation,) = outputs_in_git(pipeline(tuple(paths), sources=tuple(paths)), Tree(in_git=tuple(paths)))
    command = next(part for part in violation.next.split("`") if part.startswith("git rm"))
    assert set(shlex.split(command)) >= (set(paths) if len(paths) <= 5 else {"raw"})
