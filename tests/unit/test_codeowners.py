"""Owners of a path as GitHub's documentation describes them."""

from __future__ import annotations

import pytest

from leverframe.domain.codeowners import Owners, owners

# The rules that the documentation of GitHub explains, one owner each.
RULES = """
# comment
*       @everything @org/all   # inline
*.js    @js
/build/logs/ @logs
docs/*  docs@example.com @docs
apps/ @apps
/docs/ @top-docs
/scripts/ @scripts @second
**/deep @deep
/apps/free
/path\\ with\\ space/ @space
"""


@pytest.mark.parametrize(
    ("path", "logins"),
    [
        ("README.md", ("everything",)),
        ("src/app.js", ("js",)),
        ("build/logs/a/b.txt", ("logs",)),
        ("x/build/logs/a.txt", ("everything",)),
        ("docs/a.md", ("top-docs",)),
        ("x/apps/y/z.py", ("apps",)),
        ("apps", ("everything",)),
        ("scripts/run.sh", ("scripts", "second")),
        ("a/b/deep/c.txt", ("deep",)),
        ("apps/free/star.yaml", ()),
        ("path with space/a", ("space",)),
    ],
)
def test_the_last_pattern_that_matches_counts(path: str, logins: tuple[str, ...]) -> None:
    """A pattern without owners takes them away again."""
    assert owners(RULES, path).logins == logins


def test_a_folder_star_holds_its_own_files_alone() -> None:
    """`docs/*` is not `docs/a/b`, `/docs/**` is."""
    assert owners("docs/* @a", "docs/x/y.md") == Owners()
    assert owners("docs/* @a", "docs/y.md").logins == ("a",)
    assert owners("/docs/** @a", "docs/x/y.md").logins == ("a",)
    assert owners("/a?c/ @a", "abc/x").logins == ("a",)


def test_teams_are_no_logins_and_mail_addresses_neither() -> None:
    """A team can be mentioned, not assigned; nobody is assigned by mail."""
    result = owners("* @ann ann@example.com @org/ml-team @ann", "x")
    assert result == Owners(("ann",), ("org/ml-team",))


@pytest.mark.parametrize("line", ["!x @bob", "[Section] @bob", "x[0-9] @bob", "* bob", "* @-bob", "\\#x @bob"])
def test_what_github_does_not_read_counts_for_nothing(line: str) -> None:
    """Such a line is skipped, and the one before it holds."""
    assert owners(f"* @ann\n{line}\n", "x1").logins == ("ann",)


def test_line_ends_and_a_mark_at_the_start() -> None:
    """As editors on Windows write it."""
    assert owners("\ufeff* @ann\r\n/x/ @bob\r\n", "x/y").logins == ("bob",)
