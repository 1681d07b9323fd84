"""What CI can install of the Leverframe that runs here: by its name, by a file in the repository, by an address."""

from __future__ import annotations

import pytest

from leverframe.domain.pipeline.requirements import Requirement, Unavailable, pinned, requirement, with_build_tool

EXTRAS = ("serving", "github")
WHEEL = "leverframe-0.1.0-py3-none-any.whl"


def test_what_an_index_has_is_named() -> None:
    result = requirement(None, EXTRAS)
    assert result == Requirement("leverframe[github,serving]")
    assert isinstance(result, Requirement)
    assert result.vendored is None
    assert "\nleverframe[github,serving]\n" in result.text()


@pytest.mark.parametrize("text", ["polars", "polars\n", "polars\nSetuptools>=80\n", Requirement("leverframe").text()])
def test_what_builds_packages_is_in_the_lock(text: str) -> None:
    """It is named once, also where somebody wrote the file without it; a package of a similar name is another one."""
    lines = [line for line in with_build_tool(text).lower().splitlines() if line.startswith("setuptools")]
    assert len(lines) == 1
    assert with_build_tool("setuptools-scm\n") == "setuptools-scm\nsetuptools\n"


def test_a_wheel_file_has_to_be_in_the_repository() -> None:
    """By a path within it, never that of this machine; blanks of the path are not those of an address."""
    direct = {"url": f"file:///home/me/my%20wheels/{WHEEL}", "archive_info": {}}
    result = requirement(direct, EXTRAS)
    assert isinstance(result, Requirement)
    assert result.wheel == f"/home/me/my wheels/{WHEEL}"
    assert result.vendored == f"vendor/{WHEEL}"
    assert result.line == f"leverframe[github,serving] @ ./vendor/{WHEEL}"
    assert "home" not in result.text()


def test_an_address_is_one_for_everybody() -> None:
    address = f"https://example.org/{WHEEL}"
    assert requirement({"url": address, "archive_info": {}}, EXTRAS) == Requirement(
        f"leverframe[github,serving] @ {address}"
    )


@pytest.mark.parametrize(
    ("direct", "words"),
    [
        ({"url": "file:///home/me/leverframe", "dir_info": {"editable": True}}, "from a folder"),
        ({"dir_info": {}}, "from a folder"),
        ({"url": "https://example.org/us/leverframe", "vcs_info": {"vcs": "git", "commit_id": "a"}}, "no wheel"),
        ({"url": "file:///tmp/leverframe-0.1.0.tar.gz", "archive_info": {}}, "no wheel"),
        ({"url": f"https://me:secret@example.org/{WHEEL}", "archive_info": {}}, "secret"),
        ({"url": f"https://example.org/{WHEEL}?sig=abc", "archive_info": {}}, "secret"),
        ({}, "no wheel"),
    ],
)
def test_what_nobody_else_can_install_is_said(direct: dict[str, object], words: str) -> None:
    """A folder, a commit, a source archive, and what would put a secret into git."""
    result = requirement(direct, EXTRAS)
    assert isinstance(result, Unavailable)
    assert words in result.why
    assert "abc" not in result.why


def test_builds_of_ones_own_pin_nothing() -> None:
    assert pinned({"b": "2.0", "a": "1.0+cu121", "c": "3"}) == ["b==2.0", "c==3"]
