"""Logged requests as data from outside, and what they show of two models."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leverframe.domain.features.training_set import Label
from leverframe.domain.model.bundle.schema import Field
from leverframe.domain.release.replay import (
    LoggedRequest,
    Prediction,
    RequestPair,
    as_requests,
    replay,
    summarised,
)
from leverframe.domain.review.gate.replay_comparison import ReplayComparison, against, refused_forms, shown
from leverframe.domain.verdict import Reason
from leverframe.serving.inference_log import InferenceLog, LogSettings
from leverframe.serving.logged import logged_request, newest
from tests.unit.test_deploy import SCHEMA

EMPTY = ReplayComparison("logs", 0.2)
RECORD = {
    "at": "2024-05-01T10:00:00+00:00",
    "id": "a",
    "model": "shop",
    "form": "keys",
    "columns": {"place": ["a", None]},
}


def record(**changed: object) -> bytes:
    """Return a line of a log."""
    return json.dumps({**RECORD, **changed}).encode()


def log(folder: Path, name: str, *lines: bytes) -> Path:
    """Write a file of a log, and return the folder."""
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"".join(line + b"\n" for line in lines))
    return folder


probability = st.floats(0, 1)
answers = st.none() | st.lists(st.tuples(probability).map(list), min_size=1, max_size=4)


def named(request: int, rows: list[list[float]] | None) -> list[str]:
    """Return rows that no other request has."""
    return [f"{request} {row}" for row in range(len(rows or ()))]


def alone(*answers: tuple[list[float], list[float] | None]) -> list[RequestPair]:
    """Return requests of one row each, all different."""
    return [
        RequestPair(str(number), [str(number)], [before], None if after is None else [after], 1.0, 1.0)
        for number, (before, after) in enumerate(answers)
    ]


@given(st.lists(answers, max_size=12))
def test_equal_answers_never_disagree(given_answers: list[list[list[float]] | None]) -> None:
    """Whatever was asked: the same bundle twice shows nothing, and nothing stands against it."""
    pairs = [
        RequestPair(str(number), named(number, rows), rows, rows, 1.0, 1.0) for number, rows in enumerate(given_answers)
    ]
    comparison = shown(EMPTY, SCHEMA, summarised(SCHEMA, pairs), ["2024-05-01"] * len(pairs))
    assert comparison.share == 0
    assert list(against(comparison)) == []
    assert bool(comparison.because) == all(rows is None for rows in given_answers)
    if comparison.replayed is not None:
        assert (comparison.replayed.disagree, comparison.replayed.lost, comparison.replayed.largest) == (0, 0, ())


pairs = st.lists(
    st.builds(
        RequestPair,
        st.uuids().map(str),
        st.lists(st.sampled_from("abcdef"), min_size=4, max_size=4),
        answers,
        answers,
        st.floats(0, 9),
        st.floats(0, 9),
    ),
    max_size=10,
    unique_by=lambda pair: pair.request,
)


@given(pairs.flatmap(lambda requests: st.tuples(st.just(requests), st.permutations(requests))))
def test_the_order_of_the_log_does_not_matter(orders: tuple[list[RequestPair], list[RequestPair]]) -> None:
    """Two servers may have written it."""
    assert summarised(SCHEMA, orders[0]) == summarised(SCHEMA, orders[1])


def test_more_than_the_rule_allows_is_refused() -> None:
    """At the rule it passes, above it fails; a request that only the candidate refuses counts."""
    same = ([0.1], [0.1])
    for changed in (([0.1], [0.9]), ([0.1], None)):
        kept = shown(EMPTY, SCHEMA, summarised(SCHEMA, alone(*[same] * 4, changed)), ["2024-05-01"] * 5)
        assert kept.share == pytest.approx(0.2)
        assert list(against(kept)) == []
        broken = shown(EMPTY, SCHEMA, summarised(SCHEMA, alone(*[same] * 3, changed)), ["2024-05-01"] * 4)
        assert [violation.reason for violation in against(broken)] == [Reason.REPLAY_DIFFERS]
    lost = shown(EMPTY, SCHEMA, summarised(SCHEMA, alone(([0.1], None))), ["2024-05-01"])
    assert "1 request would be refused: 100.0%" in next(iter(against(lost))).what


def test_numbers_have_no_label_that_could_change() -> None:
    """A regression is shown, and only what is lost counts."""
    numbers = replace(SCHEMA, label=Label("hours", "regression"), classes=())
    comparison = shown(EMPTY, numbers, summarised(numbers, alone(([3.0], [900.0]))), ["2024-05-01"])
    assert (comparison.share, list(against(comparison))) == (0, [])
    assert "predictions differ by at most 897 (3 to 900)" in comparison.line()
    assert "label" not in comparison.line()
    assert comparison.replayed is not None
    assert "label" not in comparison.replayed.line()
    still = summarised(numbers, alone(([3.0], [3.0])))
    assert "no prediction changed" in still.line()
    assert comparison.replayed is not None
    assert comparison.replayed.largest[0].after == 900


def test_of_many_classes_the_one_that_moved_most_is_told() -> None:
    """Not the first, which may have stayed."""
    many = replace(SCHEMA, label=Label("kind", "multiclass"), classes=("a", "b", "c"))
    replayed = summarised(many, alone(([0.3, 0.6, 0.1], [0.3, 0.1, 0.6])))
    assert replayed.disagree == 1
    assert {replayed.largest[0].before, replayed.largest[0].after} == {0.6, 0.1}


def test_a_log_with_too_little_evidence_leaves_it_to_golden_rows() -> None:
    """One row in a hundred large requests, which gets another label, decides nothing; and the card says so."""
    at = datetime(2024, 5, 1, tzinfo=UTC)
    log = [LoggedRequest(str(n), "shop", at, "columns", {"size": [0] * 100}) for n in range(100)]
    golden = as_requests("shop", [{"form": "columns", "inputs": {"size": number}} for number in range(1, 11)])

    def model(most: int) -> Callable[[LoggedRequest], Prediction]:
        return lambda request: ([[0.9 if size < most else 0.1] for size in request.columns["size"]], 1.0)

    for most, refused in ((1, False), (3, False), (4, True)):
        comparison = shown(EMPTY, SCHEMA, replay(SCHEMA, log, model(0), model(most), golden), ["2024-05-01"])
        assert bool(list(against(comparison))) is refused
        assert "1 different row of 100 logged requests are too little evidence" in comparison.line()
        assert "so golden rows decide: 10 of them were replayed on both models" in comparison.line()
    log += [LoggedRequest(f"o{n}", "shop", at, "columns", {"size": [n]}) for n in range(1, 21)]
    comparison = shown(EMPTY, SCHEMA, replay(SCHEMA, log, model(0), model(1), golden), ["2024-05-01"])
    assert comparison.line().startswith("21 different rows of 120 logged requests")
    assert comparison.share == pytest.approx(1 / 21)


def test_a_form_that_clients_can_send_no_more_is_left_out() -> None:
    """A renamed column ends one form, another label both; a schema that stays ends none."""
    renamed = replace(SCHEMA, columns=(Field("place", "text"), Field("weight", "number")))
    assert refused_forms(SCHEMA, SCHEMA) == {}
    assert list(refused_forms(SCHEMA, renamed)) == ["columns"]
    assert "`size` is gone" in refused_forms(SCHEMA, renamed)["columns"]
    assert list(refused_forms(SCHEMA, replace(SCHEMA, label=Label("early", "binary")))) == ["columns", "keys"]


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"null",
        b"[" * 100_000,
        b'{"at": 1' + b"0" * 5000 + b"}",
        b"\xff\xfe",
        b"x" * 4_000_001,
        record(at="yesterday"),
        record(at="2024-05-01T10:00:00"),
        record(at=5),
        record(id=["a"]),
        record(form="smoke"),
        record(columns=[1]),
        record(columns={"place": "a"}),
        record(model=None),
    ],
)
def test_a_line_that_is_no_request_is_none(line: bytes) -> None:
    """Torn, nested, too long, of another form: counted later, never an error."""
    assert logged_request(line) is None


@given(st.lists(st.binary(max_size=60).filter(lambda line: b"\n" not in line and bool(line)), max_size=5))
@settings(deadline=None)
def test_malformed_lines_are_counted_and_passed_over(
    tmp_path_factory: pytest.TempPathFactory, noise: list[bytes]
) -> None:
    """Between them the requests are found, in their order."""
    lines = [line for number in range(3) for line in (*noise, record(id=str(number)))]
    tail = newest(log(tmp_path_factory.mktemp("log"), "dt=2024-05-01/100000-1-0001.jsonl", *lines), "shop", 10)
    assert [request.id for request in tail.requests] == ["0", "1", "2"]
    assert tail.malformed == 3 * len(noise)


def test_the_newest_of_closed_files_are_taken(tmp_path: Path) -> None:
    """Not what is still written, nor another model's, nor older ones; an id is kept short and can be written."""
    log(tmp_path, "dt=2024-04-30/100000-1-0001.jsonl", record(id="old"))
    log(tmp_path, "dt=2024-05-01/100000-1-0001.jsonl", record(id="first"), record(model="other"), record(id="second"))
    log(tmp_path, "dt=2024-05-01/110000-1-0002.jsonl", record(id="\ud800" + "x" * 500))
    log(tmp_path, "dt=2024-05-01/120000-1-0003.jsonl.part", record(id="open"))
    log(tmp_path, "dt=2024-05-02/notes.txt", record(id="text"))
    (tmp_path / "dt=2024-05-03/folder.jsonl").mkdir(parents=True)
    tail = newest(tmp_path, "shop", 3)
    assert [request.id for request in tail.requests] == ["first", "second", "?" + "x" * 99]
    assert tail.malformed == 0
    assert newest(tmp_path / "nowhere", "shop", 3).requests == ()


def test_what_the_server_writes_is_read(tmp_path: Path) -> None:
    """The writer's own file, once it is closed."""
    writer = InferenceLog(LogSettings(str(tmp_path)))
    writer.put(RECORD)
    assert newest(tmp_path, "shop", 3).requests == ()
    writer.close()
    assert newest(tmp_path, "shop", 3).requests[0].columns == RECORD["columns"]


def test_counts_of_unanswered_requests_are_no_requests(tmp_path: Path) -> None:
    """They stand in the same files, and are neither requests nor malformed; what only looks like one is."""
    count = b'{"at":"2024-05-01T10:00:00+00:00","model":"shop","outcome":"refused","count":7}'
    log(tmp_path, "dt=2024-05-01/100000-1-0001.jsonl", record(id="a"), count, record(id="b"), count[:-1], b'"outcome"')
    tail = newest(tmp_path, "shop", 10)
    assert [request.id for request in tail.requests] == ["a", "b"]
    assert tail.malformed == 2


def test_a_huge_log_is_read_from_its_end(tmp_path: Path) -> None:
    """Its size does not matter: what is older than the last megabytes is left alone, a line that is cut is no line."""
    folder = log(tmp_path, "dt=2024-05-01/100000-1-0001.jsonl", b"x" * 70_000_000, record(id="last"))
    tail = newest(folder, "shop", 10)
    assert [request.id for request in tail.requests] == ["last"]
    assert tail.malformed == 0


def test_a_log_of_nothing_but_noise_ends_soon(tmp_path: Path) -> None:
    """Millions of lines that are none keep nobody waiting."""
    log(tmp_path, "dt=2024-05-01/100000-1-0001.jsonl", record(), b"x\n" * 2_000_000)
    tail = newest(tmp_path, "shop", 10)
    assert tail.requests == ()
    assert tail.malformed == 200_000
