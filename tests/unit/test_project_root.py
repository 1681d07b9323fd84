"""Which folder is the project of a command: one with settings of levers or a case, else what one `.dvc` keeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from leverframe import wiring

CASE = "data: {case: pipelines.shop}\n"


@pytest.mark.parametrize(
    ("files", "start", "root"),
    [
        (["a/params.yaml", "a/dvc.yaml", ".dvc/config"], "a", "."),
        (["a/dvc.yaml", ".dvc/config", "leverframe.yaml"], "a/b", "."),
        (["a/leverframe.yaml", "a/x/dvc.yaml", ".dvc/config"], "a/x", "a"),
        (["a/.dvc/config", "a/dvc.yaml", "leverframe.yaml"], "a", "a"),
        (["a/params.yaml"], "a/b", "a"),
        (["a/dvc.yaml"], "a", "a"),
    ],
)
def test_the_project_is_the_nearest_that_says_so(
    files: list[str], start: str, root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parameters beside one of several definitions make no project of their own."""
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("{}\n")
    (tmp_path / start).mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(tmp_path / start)
    assert wiring.workspace(anywhere=True).root.resolve() == (tmp_path / root).resolve()


@pytest.mark.parametrize(("file", "text"), [("params.yaml", CASE), ("dvc.yaml", "cmd: leverframe ingest\n")])
def test_a_case_is_a_project_below_a_dvc_that_others_share(
    file: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its settings, or by the stages that Leverframe wrote."""
    (tmp_path / ".dvc").mkdir()
    (tmp_path / "ml").mkdir()
    (tmp_path / "ml" / file).write_text(text)
    monkeypatch.chdir(tmp_path / "ml")
    assert wiring.workspace(anywhere=True).root.resolve() == (tmp_path / "ml").resolve()
