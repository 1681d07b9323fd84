"""Values of a YAML file are changed in place: nothing else of the file changes, whatever it looks like."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from leverframe.application.candidate import change, emptied, removed
from leverframe.errors import DiskError, SettingsError
from leverframe.yaml_files import leaves, load, parse, with_values

PARAMS = """\
# what stages read
data: # here
  last: "2013-08"   # the newest
features:
  train: {first: "2013-01", last: '2013-06'} # a flow
  holdout:
    first: 2013-07
    last: "2013-08"
year: 2013
day: 2013-01-05
names: [a, b]
"""
KEYS = st.text("abcdefgh_", min_size=1, max_size=6)
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-99, 9999), st.text(max_size=12), st.dates().map(str), st.lists(st.integers())
)
TREES = st.recursive(
    st.dictionaries(KEYS, LEAVES, min_size=1, max_size=4),
    lambda inner: st.dictionaries(KEYS, st.one_of(LEAVES, inner), min_size=1, max_size=4),
    max_leaves=12,
)
VALUES = st.one_of(
    st.dates().map(str), st.integers(0, 9999).map(str), st.sampled_from(["2024-W05", "2024-01", "2024-01-05T14"])
)


def test_comments_order_and_quotes_stay() -> None:
    """Only the characters of the asked values differ; each keeps its quotes."""
    asked = {"data.last": "2013-09", "features.train.last": "2013-07", "features.holdout.first": "2013-08"}
    changed = with_values(PARAMS, asked, name="params.yaml")
    lines = [(old, new) for old, new in zip(PARAMS.splitlines(), changed.splitlines(), strict=True) if old != new]
    assert lines == [
        ('  last: "2013-08"   # the newest', '  last: "2013-09"   # the newest'),
        (
            "  train: {first: \"2013-01\", last: '2013-06'} # a flow",
            "  train: {first: \"2013-01\", last: '2013-07'} # a flow",
        ),
        ("    first: 2013-07", "    first: 2013-08"),
    ]


def test_a_plain_value_stays_of_its_type() -> None:
    """A plain date stays a date and a plain number a number; what would change its type is quoted."""
    changed = with_values(PARAMS, {"year": "2014", "day": "2014-02-01"}, name="params.yaml")
    assert "year: 2014\nday: 2014-02-01\n" in changed
    assert 'year: "2014-02"\n' in with_values(PARAMS, {"year": "2014-02"}, name="params.yaml")


@given(
    tree=TREES,
    data=st.data(),
    flow=st.sampled_from([True, False, None]),
    style=st.sampled_from([None, "'", '"', "|", ">"]),
    head=st.sampled_from(["", "# a comment: x\n\n", "---\n"]),
)
def test_only_the_asked_values_change(tree: Any, data: st.DataObject, flow: bool | None, style: Any, head: str) -> None:
    """In any YAML of mappings the asked scalars have the new texts, all others what they had; else it is refused."""
    text = head + yaml.safe_dump(
        tree, default_flow_style=flow, default_style=style, sort_keys=False, allow_unicode=True
    )
    before = dict(leaves(parse(text, name="x", what="x")))
    keys = [key for key, value in before.items() if not isinstance(value, list)]
    if not keys:
        return
    asked = {key: data.draw(VALUES) for key in data.draw(st.sets(st.sampled_from(keys), min_size=1, max_size=3))}
    if style in ("|", ">"):  # blocks of text: moved, or refused
        with suppress(SettingsError):
            assert with_values(text, asked, name="x") != text
        return
    changed = with_values(text, asked, name="x")
    after = dict(leaves(parse(changed, name="x", what="x")))
    assert {key: value for key, value in after.items() if key not in asked} == {
        key: value for key, value in before.items() if key not in asked
    }
    assert {key: str(after[key]) for key in asked} == {
        key: value if isinstance(after[key], str) else str(yaml.safe_load(value)) for key, value in asked.items()
    }
    assert changed.count("#") == text.count("#")


@pytest.mark.parametrize(
    ("text", "key", "what"),
    [
        (PARAMS, "data.final", "there is no `data.final` in params.yaml"),
        (PARAMS, "data.last.more", "there is no `data.last.more` in params.yaml"),
        (PARAMS, "features.train", "`features.train` in params.yaml is no single value"),
        (PARAMS, "names", "`names` in params.yaml is no single value"),
        ("a: &x '1'\nb: *x\n", "b", "`b` in params.yaml is shared through an anchor"),
        ("a: &x {c: '1'}\nb: *x\n", "a.c", "`a.c` in params.yaml is shared through an anchor"),
        ("a: {<<: {b: '1'}}\n", "a.b", "there is no `a.b` in params.yaml"),
        ("a: [\n", "a", "params.yaml is not YAML, line 2"),
    ],
)
def test_what_cannot_be_changed_is_an_error(text: str, key: str, what: str) -> None:
    """A key that is missing, a mapping, a shared value: each is refused with its name."""
    with pytest.raises(SettingsError) as caught:
        with_values(text, {key: "2"}, name="params.yaml")
    assert caught.value.what == what


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("head", ["", "\ufeff"])
@pytest.mark.parametrize("last", ["", "END"])
def test_bytes_of_a_file_stay_but_those_of_the_values(tmp_path: Path, end: str, head: str, last: str) -> None:
    """Line ends of any system, a byte order mark, no line end at the last line, and the mode of the file."""
    path = tmp_path / "split.yaml"
    text = head + PARAMS.rstrip("\n").replace("\n", end) + last.replace("END", end)
    path.write_bytes(text.encode())
    path.chmod(0o755)
    change(path, {"data.last": "2013-09", "features.holdout.first": "2013-08"}, name="split.yaml")
    wanted = text.replace('last: "2013-08"   #', 'last: "2013-09"   #').replace("first: 2013-07", "first: 2013-08")
    assert path.read_bytes() == wanted.encode()
    assert path.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize(
    "content", [b"# one\n# \xfc\na: 1\n", "# one\na: 1\n# \u00fc".encode("utf-16"), b"a: '\xff'\n"]
)
def test_a_file_that_is_not_utf_8_is_named_with_the_line(tmp_path: Path, content: bytes) -> None:
    """By whoever reads YAML: it is neither a bug nor read with other characters."""
    path = tmp_path / "split.yaml"
    path.write_bytes(content)
    for read in (lambda: change(path, {"a": "2"}, name=str(path)), lambda: load(path, what="the settings")):
        with pytest.raises(SettingsError, match=r"split\.yaml is not UTF-8, line [12]"):
            read()
    assert path.read_bytes() == content


@pytest.mark.parametrize("kind", ["link", "broken link", "folder", "file"])
def test_nothing_that_is_not_ours_is_removed_for_a_work_folder(tmp_path: Path, kind: str) -> None:
    """What a link points to, or somebody put there, stays; it is told where the folder would be."""
    kept, work = tmp_path / "kept", tmp_path / "retrain/work"
    work.parent.mkdir()
    place = work if kind in ("folder", "file") else kept
    if kind == "file":
        place.write_text("mine")
    elif kind != "broken link":
        place.mkdir()
        (place / "mine.txt").write_text("mine")
    if place is kept:
        work.symlink_to(kept)
    with pytest.raises(DiskError, match=r"work is (a link|there already)"):
        emptied(work)
    assert work.is_symlink() is (place is kept)
    assert kind == "broken link" or (place if kind == "file" else place / "mine.txt").read_text() == "mine"


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    """Also where the folder around it is a link to a larger disk; what stands beside it stays."""
    (tmp_path / "large").mkdir()
    (tmp_path / "large/other.txt").write_text("mine")
    (tmp_path / "retrain").symlink_to(tmp_path / "large")
    for _ in range(2):  # the first is killed
        folder = emptied(tmp_path / "retrain/work")
        assert not folder.exists()
        (folder / "sub").mkdir(parents=True)
    removed(folder)
    assert [path.name for path in (tmp_path / "large").iterdir()] == ["other.txt"]
