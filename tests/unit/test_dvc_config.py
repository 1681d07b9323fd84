"""How the configuration of DVC is read, and which one cannot be: no command of DVC runs beside one."""

from __future__ import annotations

from pathlib import Path

import pytest

from leverframe.adapters.working_tree.dvc_config import configured_remote, unreadable


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[core]\n    remote = x\n\n# a comment\n['remote \"x\"'] # of ours\n    url = /somewhere\n", ""),
        (b"", ""),
        (b'[core]\n    remote = """a\nb"""\n', ""),
        (b"[core\n    remote = x\n", ".dvc/config, line 1, is neither"),
        (b"[core]\n    remote x\n", ".dvc/config, line 2, is neither"),
        (b"[core]\n    remote = \xff\n", ".dvc/config is not UTF-8"),
    ],
)
def test_the_line_that_cannot_be_read_is_named(content: bytes, words: str, tmp_path: Path) -> None:
    assert unreadable(tmp_path) == ""
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_bytes(content)
    message = unreadable(tmp_path)
    assert message.startswith(words)
    assert bool(message) is bool(words)


@pytest.mark.parametrize(
    "title", ["['remote \"x\"']", "['remote \"x\"'] # a [comment]", "[ 'remote \"x\"' ]  #", 'remote "x"']
)
def test_a_remote_is_found_beside_comments(title: str, tmp_path: Path) -> None:
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text(f"[core]  # ours\n    remote = x\n{title}\n    url = s3://b/c#d\n")
    remote = configured_remote(tmp_path, "")
    assert (remote and remote[:2]) == (("x", "s3://b/c#d") if title.startswith("[") else None)
