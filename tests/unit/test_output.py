"""Where words go: product to stdout, story to stderr, runner commands only where a runner listens."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from leverframe import output
from leverframe.errors import SourceError

HOSTILE = "100%\nname<<fence\n::error::no"


def test_outputs_reach_the_next_steps_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value with line ends, fences and commands arrives as one value."""
    target = tmp_path / "out"
    monkeypatch.setenv("GITHUB_OUTPUT", str(target))
    output.set_outputs({"verdict": "passed", "report": HOSTILE})
    lines = target.read_text(encoding="utf-8").splitlines()
    fences = [line.split("<<", 1) for line in lines if line.startswith(("verdict<<leverframe-", "report<<leverframe-"))]
    assert [name for name, _ in fences] == ["verdict", "report"]
    start = lines.index("<<".join(fences[1]))
    assert "\n".join(lines[start + 1 : lines.index(fences[1][1], start + 1)]) == HOSTILE


def test_a_failure_is_an_annotation_only_where_a_runner_listens(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Line ends and percent signs are escaped, so a text cannot start a command of its own."""
    error = SourceError("a: table", why=HOSTILE, next="look")
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    output.failure(error)
    assert "::error title" not in capsys.readouterr().err
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    output.failure(error)
    annotations = [line for line in capsys.readouterr().err.splitlines() if line.startswith("::error title")]
    assert annotations == ["::error title=a%3A table::a: table. 100%25%0Aname<<fence%0A::error::no. Next: look"]


def test_groups_masks_and_summary_stay_silent_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The runner's commands are printed for a runner alone."""
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"):
        monkeypatch.delenv(name, raising=False)
    with output.group("title"):
        output.mask("secret")
        output.step_summary("text")
        output.set_outputs({"a": "b"})
    assert capsys.readouterr() == ("", "")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    with output.group("title"):
        output.mask("secret")
        output.step_summary("text")
    assert capsys.readouterr().err == "::group::title\n::add-mask::secret\n::endgroup::\n"
    assert (tmp_path / "summary").read_text(encoding="utf-8") == "text\n"


@pytest.mark.parametrize(
    "text", ["##[stop-commands]x", "value = ##[add-mask]y", "a\r::stop-commands::x", " ::error::z"]
)
def test_no_text_is_a_command_to_a_runner(
    text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The old form counts anywhere in a line; JSON stays what it is."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    output.product(text)
    output.progress(text)
    output.product_json({"a": [text]})
    out, err = capsys.readouterr()
    printed, document = out.split("{", 1)
    assert printed == err
    for lines in (printed, document):
        assert "##[" not in lines
        assert not re.search(r"^\s*::", lines.replace("\r", "\n"), re.MULTILINE)
    assert printed.replace("\u200b", "").rstrip("\n") == text
    assert json.loads("{" + document) == {"a": [text]}
