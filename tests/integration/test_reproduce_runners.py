"""Stages on two machines: outputs travel by the remote of DVC alone, and the result is that of one machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.machines import ROWS, Author, made


@pytest.fixture(scope="module")
def author(tmp_path_factory: pytest.TempPathFactory) -> Author:
    """Return the repository that machines are clones of."""
    return made(tmp_path_factory.mktemp("runners"))


def test_three_machines_make_what_one_makes(author: Author) -> None:
    """The lock is that of one `dvc repro` byte for byte; the stage of the other machine runs there alone."""
    author.propose("rows", **{"rows.csv": ROWS + "41,1\n"})
    small = author.machine("small", "rows")
    first = small.reproduce("--phase", "1/3")
    assert first.needed == [2], first
    gpu = author.machine("gpu", "rows")
    second = gpu.reproduce("--phase", "2/3", left=first.left)
    assert second.needed == []
    last = author.machine("last", "rows")
    third = last.reproduce("--phase", "3/3", left=second.left)
    assert third.how == {"prepare": "ran", "train": "ran", "evaluate": "ran"}, third
    assert (small.trained, gpu.trained, last.trained) == (0, 1, 0)
    alone = author.whole("rows")
    assert last.repository.read("dvc.lock") == alone.read("dvc.lock")
    assert last.repository.read("metrics.json") == alone.read("metrics.json")
    assert third.reasons == [], third
