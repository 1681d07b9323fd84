"""Every error says what happened, why, and what to do next, and has a code of its own."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from leverframe import __version__
from leverframe.errors import LeverframeError, guide_page, nearest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src/leverframe"


def _classes(root: type[LeverframeError] = LeverframeError) -> Iterator[type[LeverframeError]]:
    yield root
    for subclass in root.__subclasses__():
        yield from _classes(subclass)


def test_exit_codes_are_unique_and_leave_the_common_ones_alone() -> None:
    """0 is success, 1 a bug, 2 click's usage error, 126 and more belong to the shell."""
    codes = [error.exit_code for error in _classes()]
    assert len(set(codes)) == len(codes)
    assert all(2 < code < 126 for code in codes)


@pytest.mark.parametrize("kind", list(_classes()), ids=lambda kind: kind.__name__)
def test_rendered_text_is_complete(kind: type[LeverframeError]) -> None:
    """Three lines, none empty, the class documented."""
    lines = kind("it broke", why="a reason", next="a step").render().splitlines()
    assert lines == ["error: it broke", "  why:  a reason", "  next: a step"]
    assert kind.__doc__
    assert isinstance(kind.transient, bool)


def test_nearest_names_one_or_lists_what_is_known() -> None:
    """A slip gets the one name that was meant, anything else the list."""
    assert nearest("resamplez", ["resamples", "seed"]) == "did you mean `resamples`?"
    assert nearest("zzz", ["a", "b"]) == "known names: `a`, `b`"
    assert nearest("zzz", [f"n{number:02}" for number in range(20)]).endswith("and 8 more")
    assert nearest("zzz", []) == "declare one first, nothing is declared here"


def _strings() -> Iterator[tuple[Path, str]]:
    """Yield every text in the code of Leverframe that is no docstring."""
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        quoted = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in quoted:
                yield path, node.value


def test_a_page_that_an_error_names_has_an_address() -> None:
    """Who installed a wheel has no folder `docs`: no text names a page by its path there."""
    page = re.compile(r"(?:^|[^\w/])(?:docs/|guides/)[\w/-]*\.md")
    assert [(path.name, text) for path, text in _strings() if page.search(text)] == []
    assert guide_page("gate.md") == f"https://github.com/leverframe/leverframe/blob/v{__version__}/docs/guides/gate.md"


def test_every_page_that_the_code_names_is_there() -> None:
    """With its anchor."""
    calls = [
        node.args[0].value
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "guide_page"
        if isinstance(node.args[0], ast.Constant)
    ]
    assert len(calls) >= 6
    for page, _, anchor in (str(call).partition("#") for call in calls):
        text = (ROOT / "docs/guides" / page).read_text(encoding="utf-8")
        titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        headings = [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles]
        assert not anchor or anchor in headings, (page, anchor)
