"""The names that tell a project from the others of its repository."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from leverframe.domain.project import Project

_PARTS = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=12).filter(
    lambda part: part not in (".", "..")
)
FOLDERS = st.lists(_PARTS, min_size=1, max_size=4).map("/".join)
ALIKE = ["a/b", "a-b", "a_b", "A/b", "a/b-c", "a-b/c", "a b", "a/ b", "a.b", "a//b", "x" * 50, "x" * 51, "ä", "ö"]


def test_the_whole_repository_has_the_names_it_always_had() -> None:
    """Nothing is added where there is one project."""
    whole = Project()
    assert (whole.titled("leverframe"), whole.key("model")) == ("leverframe", "model")
    assert (whole.word, whole.dashed, whole.prefix) == ("", "", "")


def test_a_folder_is_named_as_people_read_it() -> None:
    """A plain folder reads well."""
    project = Project("services/ml")
    assert (project.word, project.dashed, project.prefix) == ("services-ml", "-services-ml", "services/ml/")
    assert project.titled("leverframe") == "leverframe (services/ml)"


def test_folders_that_look_alike_have_other_names() -> None:
    """Case, dashes, blanks and length do not make two projects one."""
    for names in ([Project(folder).word for folder in ALIKE], [Project(folder).key("model") for folder in ALIKE]):
        assert len(set(names)) == len(ALIKE)


@given(FOLDERS, FOLDERS)
def test_no_two_folders_share_a_name(one: str, two: str) -> None:
    """A word is of a-z, 0-9 and dashes, short, and that of one folder alone; so are keys."""
    here, there = Project(one), Project(two)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", here.word)
    assert len(here.key("x" * 60)) <= 60
    for name in ("word", "prefix"):
        assert (getattr(here, name) == getattr(there, name)) == (one == two)
    for call in (Project.key, Project.titled):
        assert (call(here, "model") == call(there, "model")) == (one == two)
