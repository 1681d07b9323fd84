"""Files that phases leave: what is too large, damaged or leads elsewhere is refused, and nothing is written."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path

import pytest

from leverframe.application import handover_files
from leverframe.domain.pipeline.status.resolved import Artefact, Stage
from leverframe.domain.review.handover import LARGEST
from leverframe.errors import LeverframeError
from leverframe.files import md5
from leverframe.local.repository import TemporaryRepository
from tests.unit.test_handover import FIRST, SECOND, STAGES

HERE = base64.b64encode(b"1").decode()


def test_what_was_left_is_read_in_order(tmp_path: Path) -> None:
    """A phase that left nothing is left out; a later one is not looked at."""
    for handover in (SECOND, FIRST):
        handover_files.write(tmp_path, handover)
    handover_files.write(tmp_path, replace(SECOND, phase=3))
    assert handover_files.read(tmp_path, 3) == [FIRST, SECOND]
    (tmp_path / "1.json").unlink()
    assert handover_files.read(tmp_path, 3) == [SECOND]
    assert handover_files.read(tmp_path / "nothing", 3) == []


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"head": 1}', b"\xff", b"[" * 100_000])
def test_a_file_that_no_phase_wrote_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "1.json").write_bytes(content)
    with pytest.raises(LeverframeError, match="is not what Leverframe writes"):
        handover_files.read(tmp_path, 2)


def test_a_file_beyond_its_size_or_of_another_phase_is_refused(tmp_path: Path) -> None:
    """It is read up to the limit, and no further; a link leads nowhere."""
    with (tmp_path / "1.json").open("wb") as handle:
        handle.truncate(LARGEST + 1)
    with pytest.raises(LeverframeError, match="cannot be used") as caught:
        handover_files.read(tmp_path, 2)
    assert "more than 50,000,000 bytes" in caught.value.why
    handover_files.write(tmp_path, FIRST).rename(tmp_path / "2.json")
    with pytest.raises(LeverframeError) as caught:
        handover_files.read(tmp_path, 3)
    assert "is of phase 1" in caught.value.why
    (tmp_path / "2.json").rename(tmp_path / "kept")
    (tmp_path / "2.json").symlink_to(tmp_path / "kept")
    assert handover_files.read(tmp_path, 3) == []


def test_outputs_that_no_remote_gets_are_bounded(tmp_path: Path) -> None:
    """Files of a folder count together; those that the remote gets are not among them."""
    stage = Stage("train", "dvc.yaml", "fit", outputs=(Artefact("kept", "kept"), Artefact("m", "m", cached=True)))
    (tmp_path / "kept/in").mkdir(parents=True)
    (tmp_path / "kept/in/a").write_bytes(b"1")
    (tmp_path / "m").write_bytes(b"2")
    assert handover_files.files_of(tmp_path, [stage]) == {"kept/in/a": HERE}
    with (tmp_path / "kept/b").open("wb") as handle:
        handle.truncate(LARGEST // 2)
    with pytest.raises(LeverframeError, match="too large to be handed"):
        handover_files.files_of(tmp_path, [stage])


@pytest.mark.parametrize(
    ("path", "content", "words"),
    [("curves/link/x", HERE, "through a link"), ("curves/folder", HERE, "a folder"), ("curves/x", "?", "is damaged")],
)
def test_a_file_is_written_into_folders_alone(tmp_path: Path, path: str, content: str, words: str) -> None:
    """Not through a link that the checkout has, nor in the place of a folder."""
    (tmp_path / "curves/folder").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "curves/link").symlink_to(tmp_path / "outside")
    left = [replace(SECOND, entries={}, files={path: content})]
    with pytest.raises(LeverframeError) as caught, handover_files.applied(tmp_path, left, STAGES):
        pass
    assert words in caught.value.why
    assert list((tmp_path / "outside").iterdir()) == []
    assert not (tmp_path / "curves/x").exists()


LOCK = "schema: '2.0'\nstages:\n  evaluate:\n    cmd: score\n"
DEFINITION = """\
stages:
  prepare: {cmd: cut, deps: [rows.csv], outs: [train.csv]}
  evaluate: {cmd: score, deps: [train.csv], metrics: [metrics.json: {cache: false}]}
"""


def test_what_is_refused_changes_no_file(tmp_path: Path) -> None:
    """Neither lock nor outputs, be it that digests are of other files, or that something is missing afterwards."""
    repository = TemporaryRepository.create(tmp_path)
    root = repository.root
    for path, text in {"dvc.yaml": DEFINITION, "dvc.lock": LOCK, "rows.csv": "a\n"}.items():
        repository.write(path, text)
    (root / "metrics.json").symlink_to("rows.csv")
    stages = [replace(stage, parameters=()) for stage in STAGES]
    left = replace(FIRST, files={"metrics.json": HERE, "new/x": HERE})
    with pytest.raises(LeverframeError) as caught, handover_files.applied(root, [left], stages):
        pytest.fail("it is refused")
    assert "its entries are not those of the files that are here" in caught.value.why

    def unchanged() -> bool:
        link = (root / "metrics.json").is_symlink() and (root / "metrics.json").read_text() == "a\n"
        return link and repository.read("dvc.lock") == LOCK and not (root / "new/x").exists()

    assert unchanged()
    entry = FIRST.entries["prepare"].replace("0a" * 16, md5(root / "rows.csv")).replace("size: 3", "size: 2", 1)
    fitting = replace(left, entries={"prepare": entry})
    with pytest.raises(KeyError), handover_files.applied(root, [fitting], stages):
        raise KeyError
    assert unchanged()
    with handover_files.applied(root, [fitting], stages):
        pass
    assert repository.read("dvc.lock") != LOCK
    assert (root / "metrics.json").read_bytes() == (root / "new/x").read_bytes() == b"1"
    assert list(root.glob(".*.part")) == []
