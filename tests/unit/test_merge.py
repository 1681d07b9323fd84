"""Two locks become one: a side that changed a stage wins, two that did make it stale, the rest stays byte by byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leverframe.domain.pipeline.merge import merged
from leverframe.errors import RepositoryError

Stages = dict[str, int]
STAGES = st.dictionaries(st.sampled_from(["ingest@2024-01", "build", "train", "evaluate"]), st.integers(0, 3))


def lock(stages: Stages) -> str:
    """Return a lock as DVC writes it."""
    entries = (f"  {name}:\n    cmd: run {number}\n    outs:\n    - path: {name}\n" for name, number in stages.items())
    return "schema: '2.0'\nstages:\n" + "".join(entries)


def test_one_side_is_taken_and_both_are_dropped() -> None:
    """The three ways in which a stage can have changed."""
    base = {"ingest": 0, "train": 0, "evaluate": 0}
    found = merged(lock(base), lock(base | {"ingest": 1, "evaluate": 1}), lock(base | {"train": 2, "evaluate": 2}))
    assert found.text == lock({"ingest": 1, "train": 2})
    assert found.dropped == ("evaluate",)


def test_new_and_removed_stages() -> None:
    """A new stage stands where its side put it; one that a side removed is gone."""
    base = {"a": 0, "b": 0, "d": 0}
    found = merged(lock(base), lock({"a": 0, "b": 0}), lock({"a": 0, "b": 0, "c": 1, "d": 0}))
    assert found.text == lock({"a": 0, "b": 0, "c": 1})
    assert found.dropped == ()


@pytest.mark.parametrize("text", ["<<<<<<< ours\n", "schema: '1.0'\nstages:\n", "schema: '2.0'\nstages:\n<<<<<<< a\n"])
def test_what_is_no_lock_is_refused(text: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(RepositoryError, match="not a lock of schema"):
        merged(lock({}), text, lock({"a": 1}))


@given(base=STAGES, ours=STAGES, theirs=STAGES)
def test_merging_is_fair_and_loses_nothing(base: Stages, ours: Stages, theirs: Stages) -> None:
    """The same whichever side is ours; a change of one side is kept; nothing stands that no side says."""
    one, other = merged(lock(base), lock(ours), lock(theirs)), merged(lock(base), lock(theirs), lock(ours))
    assert set(one.dropped) == set(other.dropped)
    assert sorted(one.text.splitlines()) == sorted(other.text.splitlines())
    for name in {*base, *ours, *theirs}:
        was, mine, his = base.get(name), ours.get(name), theirs.get(name)
        told = f"  {name}:\n    cmd: run {mine if mine != was else his}\n"
        if name in one.dropped:
            assert was != mine != his != was
            assert f"  {name}:\n" not in one.text
        else:
            expected = mine if mine != was else his
            assert (told in one.text) is (expected is not None)


@given(base=STAGES, ours=STAGES)
def test_merging_with_the_base_changes_nothing(base: Stages, ours: Stages) -> None:
    """Where only one side moved, its text is the result."""
    assert merged(lock(base), lock(ours), lock(base)).text == lock(ours)
    assert sorted(merged(lock(base), lock(base), lock(ours)).text) == sorted(lock(ours))
