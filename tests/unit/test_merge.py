"""Two locks become one: a side that changed a stage wins, two that did make it stale, the rest stays byte by byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leverframe.domain.pipeline.merge import Record, merged, record
from leverframe.domain.pipeline.status.lock import entries
from leverframe.errors import RepositoryError

Stages = dict[str, int]
STAGES = st.dictionaries(st.sampled_from(["ingest@2024-01", "build", "train", "evaluate"]), st.integers(0, 3))


def lock(stages: Stages) -> str:
    """Return a lock as DVC writes it."""
    entries = [f"  {name}:\n    cmd: run {number}\n    outs:\n    - path: {name}\n" for name, number in stages.items()]
    return "schema: '2.0'\nstages:" + ("\n" if entries else " {}\n") + "".join(entries)


def test_one_side_is_taken_and_both_are_dropped() -> None:
    """The three ways in which a stage can have changed."""
    base = {"ingest": 0, "train": 0, "evaluate": 0}
    result = merged(lock(base), lock(base | {"ingest": 1, "evaluate": 1}), lock(base | {"train": 2, "evaluate": 2}))
    assert result.text == lock({"ingest": 1, "train": 2})
    assert result.dropped == ("evaluate",)


def test_a_lock_of_which_nothing_is_left_is_one_that_dvc_reads() -> None:
    """Both sides ran everything: DVC refuses a lock whose stages are not a mapping."""
    result = merged(lock({"a": 0}), lock({"a": 1}), lock({"a": 2}))
    assert (result.text, result.dropped) == ("schema: '2.0'\nstages: {}\n", ("a",))
    assert merged(result.text, result.text, lock({"a": 3})).text == lock({"a": 3})


DEFINITION = """\
vars: [{months: {"2024-01": {}}}]
stages:
  draw: {cmd: x, outs: [plots: {cache: false}, model.bin]}
  profile: {foreach: "${months}", do: {cmd: x, wdir: reports, outs: ["profiles/${key}.json"]}}
  later: {cmd: x, outs: [later.json]}
"""
OUTPUT = "    outs:\n    - path: {}\n      hash: md5\n      md5: {}\n"
RECORDS = (
    "schema: '2.0'\nstages:\n  draw:\n    cmd: x\n" + OUTPUT.format("plots", "1.dir")
    + "  profile@2024-01:\n    cmd: x\n" + OUTPUT.format("profiles/2024-01.json", "2")
)  # fmt: skip


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("plots/curve.csv", (False, True)),
        ("plots.csv", None),
        ("reports/profiles/2024-01.json", (False, False)),
        ("profiles/2024-01.json", None),  # the stage works in another folder
        ("reports/profiles/2024-02.json", None),
        ("reports/notes.md", None),
        ("later.json", None),  # never ran
        ("sub/plots/curve.csv", (True, True)),
        ("sub/reports/profiles/2024-01.json", (True, False)),
        ("sub/notes.md", None),
    ],
)
def test_a_stage_owns_what_its_definition_and_its_record_name(path: str, expected: tuple[bool, bool] | None) -> None:
    """Also in a folder of its own, by its working directory, within a folder that it writes."""
    files = {"dvc.yaml": DEFINITION, "dvc.lock": RECORDS, "sub/dvc.yaml": DEFINITION, "sub/dvc.lock": RECORDS}
    location = record(path, files.get)
    assert location == (expected and Record("sub/dvc.lock" if expected[0] else "dvc.lock", expected[1]))


@pytest.mark.parametrize("damaged", ["dvc.yaml", "dvc.lock"])
def test_what_cannot_be_read_owns_nothing(damaged: str) -> None:
    """The file is then merged like one that a person wrote."""
    files = {"dvc.yaml": DEFINITION, "dvc.lock": RECORDS, damaged: "<<<<<<< ours\n"}
    assert record("plots/curve.csv", files.get) is None


def test_new_and_removed_stages() -> None:
    """A new stage stands where its side put it; one that a side removed is gone."""
    base = {"a": 0, "b": 0, "d": 0}
    result = merged(lock(base), lock({"a": 0, "b": 0}), lock({"a": 0, "b": 0, "c": 1, "d": 0}))
    assert result.text == lock({"a": 0, "b": 0, "c": 1})
    assert result.dropped == ()


@pytest.mark.parametrize("text", ["<<<<<<< ours\n", "schema: '1.0'\nstages:\n", "schema: '2.0'\nstages:\n<<<<<<< a\n"])
def test_what_is_no_lock_is_refused(text: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(RepositoryError, match="not a lock of schema"):
        merged(lock({}), text, lock({"a": 1}))


def test_a_lock_whose_stages_are_a_list_is_refused() -> None:
    """The schema is right, so the reason is another."""
    with pytest.raises(RepositoryError, match="not a lock of schema") as refused:
        entries("schema: '2.0'\nstages: [a, b]\n", "dvc.lock")
    assert "`stages` are no mapping" in refused.value.why


@given(base=STAGES, ours=STAGES, theirs=STAGES)
def test_merging_is_fair_and_loses_nothing(base: Stages, ours: Stages, theirs: Stages) -> None:
    """The same whichever side is ours; a change of one side is kept; nothing stands that no side says."""
    one, other = merged(lock(base), lock(ours), lock(theirs)), merged(lock(base), lock(theirs), lock(ours))
    assert set(one.dropped) == set(other.dropped)
    assert sorted(one.text.splitlines()) == sorted(other.text.splitlines())
    for name in {*base, *ours, *theirs}:
        was, mine, his = base.get(name), ours.get(name), theirs.get(name)
        entry = f"  {name}:\n    cmd: run {mine if mine != was else his}\n"
        if name in one.dropped:
            assert was != mine != his != was
            assert f"  {name}:\n" not in one.text
        else:
            expected = mine if mine != was else his
            assert (entry in one.text) is (expected is not None)


@given(base=STAGES, ours=STAGES)
def test_merging_with_the_base_changes_nothing(base: Stages, ours: Stages) -> None:
    """Where only one side moved, its text is the result."""
    assert merged(lock(base), lock(ours), lock(base)).text == lock(ours)
    assert sorted(merged(lock(base), lock(base), lock(ours)).text) == sorted(lock(ours))
