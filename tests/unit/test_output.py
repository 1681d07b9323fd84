"""Where words go: product to stdout, story to stderr, runner commands only where a runner listens."""

from __future__ import annotations

import io
import json
import logging
import re
import unicodedata
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from leverframe import output
from leverframe.domain.review.check import Checked
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


@pytest.mark.parametrize(
    ("report", "path"),
    [(".leverframe/levers/gate.json", "services/ml/.leverframe/levers/gate.json"), ("", ""),
     ("https://example.org/1", "https://example.org/1"), ("/elsewhere/card.md", "/elsewhere/card.md")],
)  # fmt: skip
def test_a_step_in_a_folder_names_its_file_from_the_top(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, report: str, path: str
) -> None:
    """As the next step finds it, which runs at the top; also where the folder of the job is a link."""
    folder, link = tmp_path / "work/services/ml", tmp_path / "link"
    folder.mkdir(parents=True)
    link.symlink_to(tmp_path / "work")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(link))
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    monkeypatch.chdir(folder)
    output.verdict(Checked("0" * 40), as_json=False, report=report)
    text = (tmp_path / "output").read_text(encoding="utf-8")
    assert re.findall(r"^report<<(\S+)\n(.*)\n\1$", text, re.MULTILINE)[0][1] == path


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


PIECES = st.sampled_from(["::", "##[", "#", "[", "]", "stop-commands", "error", " ", "\t", "\n", "\r", "\r\n", "\u2028",
                          "\x1b[0m", "\x1b", "\u200b", "x", "\u00a0", '"', "\\\\"])  # fmt: skip


def _command(line: str) -> bool:
    """Whether a runner takes a line for a command, as actions/runner reads it."""
    old = re.search(r"##\[(?:stop-commands|error)[ \]]", line)
    return bool(old or re.match(r"\s*::(?:stop-commands|error)( [^:]*)?::", line))


@given(st.lists(PIECES, max_size=12).map("".join))
@example("hi ##[stop-commands]pwned")
@example("a\r::stop-commands::x")
@example("#\x1b[0m#[stop-commands]x")
@example(":\x1b[0m:stop-commands::x")
def test_no_text_is_a_command_of_a_runner(text: str) -> None:
    """In results, progress, errors, titles of groups, records of loggers and JSON, which stays the same document."""
    error = SourceError("what " + text, why=text, next=text)
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as out, redirect_stderr(out):
        patch.setenv("GITHUB_ACTIONS", "true")
        output.product(text)
        output.progress(text)
        output.failure(error)
        output.configure_logging(verbose=False)
        logging.getLogger("leverframe.test").warning("%s", text)
        shown = out.getvalue()
        output.product_json({text: [text]})
        document = out.getvalue()[len(shown) :]
    mine = [line for line in re.split(r"\r\n|\r|\n", shown) if not line.startswith("::error title=what ")]
    assert not [line for line in [*mine, *document.split("\n")] if _command(line)]
    assert json.loads(document) == {text: [text]}


@pytest.mark.parametrize("text", ["\x1b[20A\x1b[0J", "a\rb", "\u009b2J", "\u202e", "\u2066x", "\u2028", "\x08", "\x00"])
def test_no_text_moves_the_cursor_of_a_terminal(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Nor turns its direction: a value would forge or hide the lines that somebody reads before an apply."""
    output.product(f"one {text}\n\ttwo \x1b[31mred\x1b[0m\r\n")
    output.product_json({"a": text})
    shown = capsys.readouterr().out
    assert not [letter for letter in shown if unicodedata.category(letter)[0] == "C" and letter not in "\n\t"]
    assert shown.startswith("one ")
    assert "\n\ttwo red\n" in shown
    assert json.loads(shown[shown.index("{") :]) == {"a": text}


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


def test_the_summary_of_a_step_stays_below_a_megabyte(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Counted in bytes, and with what is there already: GitHub drops all of a larger one."""
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    for _ in range(4):
        output.step_summary("数\n" * 100_000)
    text = (tmp_path / "summary").read_bytes()
    assert 900_000 < len(text) <= 1_000_000
    assert text.decode().count("left out here") == 1


@pytest.mark.parametrize("text", ["##[stop-commands]x", "value = ##[add-mask]y", " ::error::z"])
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
    assert printed.replace("\u2060", "").rstrip("\n") == text
    assert json.loads("{" + document) == {"a": [text]}


def test_nobody_waits_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """What ends is said, with where it stays."""
    output.wait_for_person("up; press Ctrl-C", "it ends now; copies are in the folder x")
    assert capsys.readouterr() == ("", "it ends now; copies are in the folder x\n")
