"""The plan of a deployment as data: what it says, what it undoes, what it remembers, what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leverframe.documents import parsed, plain
from leverframe.domain.features.training_set import Label
from leverframe.domain.model.bundle.bundle_manifest import Manifest
from leverframe.domain.model.bundle.schema import Field, Schema
from leverframe.domain.plan_engine import Step
from leverframe.domain.release.release_manifest import ReleaseManifest, from_tag_message, refuse_other, tag_message
from leverframe.domain.release.release_state import Release, State
from leverframe.domain.release.replay import LoggedRequest, RequestPair, answers_from, body, summarised
from leverframe.domain.release.server_plan import Forget, Publish, Replay, Withdraw, planned, recovery
from leverframe.domain.release.smoke import bad_requests, differs, golden_requests
from leverframe.domain.release.steps import Adopt, Compare
from leverframe.domain.release.target import RolloutPolicy
from leverframe.errors import PromotionError

POLICY = RolloutPolicy(
    verify_seconds=1, replay=50, maximum_disagreement=0.2, maximum_slowdown=2, slowdown_floor_ms=5, keep=3
)


def manifest(bundle: str = "b", commit: str = "c", **parts: str) -> ReleaseManifest:
    """Return a release manifest whose digests are one letter over and over."""
    whole = {"lock": "l" * 64, "weights": "w" * 64, "plan": "p" * 64, "schema": "s" * 64, **parts}
    return ReleaseManifest("shop", commit * 40, bundle=bundle * 64, **whole)


DESIRED = manifest()
SCHEMA = Schema(
    "shop",
    Label("late", "binary"),
    ("0", "1"),
    columns=(Field("place", "text"), Field("size", "number")),
    keys=(Field("place", "text"), Field("as_of", "text")),
)
GOLDEN = [
    {"form": "columns", "inputs": {"place": "a", "size": 1}, "prediction": [0.25, 0.75]},
    {"form": "columns", "inputs": {"place": "b", "size": None}, "prediction": [0.5, 0.5]},
    {"form": "keys", "inputs": {"place": "a", "as_of": "2024-01-01T00:00Z"}, "prediction": [1.0, 0.0]},
]


def release(number: int, bundle: str = "a") -> Release:
    """Return a release of a bundle."""
    return Release(number, manifest(bundle), "2024-01-01T00:00:00+00:00")


def test_a_served_bundle_needs_no_step() -> None:
    """Deploying what serves is nothing to do; a newer commit that wants it is noted, and the traffic left alone."""
    state = State("shop", (release(1, "a"), release(2, "b")), 2)
    assert planned(state, DESIRED, POLICY) == ()
    newer = manifest(commit="d")
    assert planned(state, newer, POLICY) == (Step(Adopt(newer.commit)),)
    assert planned(state.wanted_by(newer), newer, POLICY) == ()
    assert state.wanted_by(newer).releases[0] == state.releases[0]


def test_the_first_release_has_nothing_to_compare_with() -> None:
    """No served schema, no logged requests: neither step is there; number 1 comes first."""
    steps = planned(State("shop"), DESIRED, POLICY)
    assert not [step for step in steps if isinstance(step.action, Compare | Replay)]
    assert [step.action.number for step in steps if isinstance(step.action, Publish)] == [1]


def test_what_can_be_undone_says_how() -> None:
    """The candidate is forgotten, the release withdrawn; a number is never given twice."""
    steps = planned(State("shop", (release(4),), highest=7), DESIRED, POLICY)
    undo = [step.undo for step in steps if step.undo]
    assert undo == [Forget("shop"), Withdraw(8)]
    names = [type(step.action).__name__ for step in steps]
    tests = ["Fetch", "Compare", "Try", "Smoke", "CompareLatency", "Replay"]
    assert names == [*tests, "Publish", "Verify", "Record", "Prune"]
    assert all(str(entry) for entry in (*steps, *undo))


def test_what_a_killed_run_left_is_undone_first() -> None:
    """Releases that nobody recorded and the candidate; nothing where nothing was left."""
    state = State("shop", (release(4),), highest=7)
    assert recovery(state, [4], candidate=False) == ()
    left = recovery(state, [4, 8], candidate=True)
    assert [str(step) for step in left] == ["undo: withdraw release 8", "undo: unload shop-candidate"]
    assert left == (Step(Withdraw(8), recovers=True), Step(Forget("shop"), recovers=True))


actions = st.lists(st.tuples(st.sampled_from(["publish", "back", "fail"]), st.integers(0, 5)), max_size=30)


@given(actions)
def test_the_state_keeps_its_invariants(taken: list[tuple[str, int]]) -> None:
    """Numbers only grow, at most three are kept, a served bundle is never a refused one, JSON loses nothing."""
    state = State("shop")
    for what, which in taken:
        bundle, highest = "abcdef"[which] * 64, state.highest
        if what == "publish" and (state.serving is None or state.serving.bundle != bundle):
            state = state.published(Release(highest + 1, manifest("abcdef"[which]), "t"), keep=3)
            assert state.highest == highest + 1
        elif what == "back" and len(state.releases) > 1:
            state = state.back_to(state.releases[-2].number, "why")
        elif what == "fail" and (state.serving is None or state.serving.bundle != bundle):
            state = state.without(bundle, "why", highest + 1)
        assert len(state.releases) <= 3
        assert state.highest >= highest
        assert [release.number for release in state.releases] == sorted(release.number for release in state.releases)
        assert state.serving is None or state.serving.bundle not in state.refused
        assert parsed(State, json.dumps(plain(state))) == state


def test_promotion_needs_the_very_manifest_before() -> None:
    """What the environment before serves may come, from whichever commit; any other part of it may not differ."""
    refuse_other(DESIRED, manifest(commit="d"), "`staging` serves", next="do")
    for recorded, words in (
        (None, "it serves nothing"),
        (manifest("a"), "bundle is bbbbbbbbbbbb here and aaaaaaaaaaaa there"),
        (manifest(lock="m"), "differ in lock"),
        (manifest(plan="q", schema="t"), "differ in plan, schema"),
    ):
        with pytest.raises(PromotionError, match="not what `staging` serves") as caught:
            refuse_other(DESIRED, recorded, "`staging` serves", next="do")
        assert words in caught.value.why


@given(st.text(max_size=80))
def test_a_manifest_in_a_tag_is_read_back(first: str) -> None:
    """Whatever the first line says; the message of a tag that somebody else wrote is none."""
    assert from_tag_message(tag_message(DESIRED, first.replace("\n", " ").strip() or "x")) == DESIRED
    assert from_tag_message(first) is None
    assert from_tag_message(f"x\n\n[{json.dumps(first)}]") is None
    assert from_tag_message('x\n\n{"model": "shop"}') is None


def test_a_manifest_names_what_opens_its_model_only_where_that_is_not_ours() -> None:
    named = replace(DESIRED, runtime="shop.runtimes.Scorer")
    assert from_tag_message(tag_message(named, "x")) == named
    assert "runtime" not in tag_message(DESIRED, "x")
    assert DESIRED.differences(named) == ["runtime"]
    with pytest.raises(PromotionError, match="not what `staging` serves") as caught:
        refuse_other(DESIRED, named, "`staging` serves", next="do")
    assert "runtime is None here and shop.runtime there" in caught.value.why


def test_golden_rows_are_asked_form_by_form() -> None:
    """One request a form, with the answers of training beside it."""
    asked = list(golden_requests(SCHEMA, GOLDEN))
    assert [len(expected) for _, expected in asked] == [2, 1]
    inputs = json.loads(asked[0][0])["inputs"]
    assert [(tensor["name"], tensor["datatype"], tensor["data"]) for tensor in inputs] == [
        ("place", "BYTES", ["a", "b"]),
        ("size", "FP64", [1, None]),
    ]


def said(*probabilities: float) -> tuple[int, dict[str, object]]:
    """Return an answer of a binary model."""
    return 200, {"outputs": [{"name": "label", "data": []}, {"name": "probability", "data": list(probabilities)}]}


PARTS = Manifest("shop", "late", "onnx", 1e-5, "spec", {}, {})


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        (said(0.75, 0.5), ""),
        (said(0.75, 0.500009), ""),
        (said(0.75, 0.5001), "golden row 1"),
        (said(0.75), "1 rows were predicted instead of 2"),
        (said(0.75, float("nan")), "not the form"),
        ((200, {"outputs": []}), "not the form"),
        ((200, {}), "not the form"),
        ((500, {"error": "it broke"}), "status 500: it broke"),
    ],
)
def test_another_answer_is_told(answer: tuple[int, dict[str, object]], wrong: str) -> None:
    """Within the tolerance it is the same answer; everything else says which row, or what came instead."""
    message = differs(SCHEMA, [[0.25, 0.75], [0.5, 0.5]], answer, PARTS)
    assert wrong.replace("not the form", "has not the form") in message if wrong else not message


def test_bad_requests_are_many_and_different() -> None:
    """At least fifteen, each with a name of its own."""
    requests = dict(bad_requests(SCHEMA, GOLDEN))
    assert len(requests) == len(list(bad_requests(SCHEMA, GOLDEN))) >= 15
    assert len(set(requests.values())) == len(requests)


def test_a_replay_counts_labels_that_change() -> None:
    """Rows that cross one half disagree; the furthest come first; what neither answered is skipped."""
    pairs = [
        RequestPair("one", ["a"], [[0.4]], [[0.6]], 1.0, 3.0),
        RequestPair("one again", ["a"], [[0.4]], [[0.6]], 1.0, 3.0),
        RequestPair("one more", ["b"], [[0.9]], [[0.9]], 1.0, 3.0),
        RequestPair("two", ["c"], [[0.1]], [[0.2]], 2.0, 2.0),
        RequestPair("lost", ["d"], [[0.1]], None, 1.0, 1.0),
        RequestPair("lost again", ["d"], [[0.1]], None, 1.0, 1.0),
        RequestPair("skipped", ["e"], None, None, 1.0, 1.0),
    ]
    replayed = summarised(SCHEMA, pairs)
    assert (replayed.requests, replayed.rows, replayed.disagree, replayed.lost, replayed.skipped) == (4, 3, 1, 1, 1)
    assert replayed.share == pytest.approx(0.5)
    assert (replayed.largest[0].request, replayed.largest[0].before, replayed.largest[0].after) == ("one", 0.4, 0.6)
    assert "1 get another label (50.0%), 1 requests are refused" in replayed.line()
    assert len(replayed.largest) == 2  # a row that was requested twice is shown once
    assert "0 get another label (0.0%), 1 requests" not in summarised(SCHEMA, pairs[4:]).line()
    assert "(100.0%)" in summarised(SCHEMA, pairs[4:]).line()
    assert "nothing was replayed" in summarised(SCHEMA, []).line()


def test_a_request_of_before_the_snapshot_is_asked_for_its_time() -> None:
    """A retrained model has a newer snapshot, which does not answer for the past: that is no lost request."""
    golden = [{"form": "columns", "inputs": {}}, {"form": "keys", "inputs": {"as_of": "2024-01-05T00:00:00.000000Z"}}]
    earliest = answers_from(golden)
    times = ["2024-01-01T00:00Z", None, "2024-01-06T00:00Z", "soon"]
    then = datetime(2024, 1, 2, tzinfo=UTC)
    logged = LoggedRequest("1", "shop", then, "keys", {"place": ["a"] * 4, "as_of": times})
    sent = json.loads(body(SCHEMA, logged, earliest))["inputs"][1]["data"]
    begins = "2024-01-05T00:00:00+00:00"
    assert sent == [begins, begins, "2024-01-06T00:00Z", "soon"]
    assert answers_from(golden[:1]) is None


def test_a_logged_request_is_asked_again_as_it_was() -> None:
    """Names, types and timestamps are those of the log; a column that is gone is left out; now is what it was then."""
    then = datetime(2024, 1, 1, tzinfo=UTC)
    logged = LoggedRequest("1", "shop", then, "keys", {"place": ["a"], "as_of": ["2023-01-01T00:00Z"], "gone": [1]})
    inputs = json.loads(body(SCHEMA, logged))["inputs"]
    assert [(tensor["name"], tensor["datatype"]) for tensor in inputs] == [("place", "BYTES"), ("as_of", "BYTES")]
    assert inputs[1]["data"] == ["2023-01-01T00:00Z"]
    without = json.loads(body(SCHEMA, LoggedRequest("1", "shop", then, "keys", {"place": ["a", "b"]})))["inputs"]
    assert without[1]["data"] == ["2024-01-01T00:00:00+00:00"] * 2
    by_columns = LoggedRequest("1", "shop", then, "columns", {"place": ["a"], "size": [1]})
    assert [tensor["name"] for tensor in json.loads(body(SCHEMA, by_columns))["inputs"]] == ["place", "size"]
