"""star.yaml: what it may say, what it refuses and in which words."""

from __future__ import annotations

import copy
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from leverframe.documents import validated
from leverframe.domain.features.build import check_columns
from leverframe.domain.features.plan import Windows, compile_star, select
from leverframe.domain.features.star import Star, duration, read_star
from leverframe.domain.features.star_picture import mermaid, plan_lines, short
from leverframe.errors import DefinitionError, LeakError, LeverframeError, SettingsError

REFERENCE = Path(__file__).parents[2] / "pipelines/flights/star.yaml"
SHOP: dict[str, Any] = {
    "entities": {"visit": ["visit_id"], "customer": ["customer_id"]},
    "spine": {"table": "visits", "key": "visit", "columns": ["device"]},
    "facts": {"orders": {"table": "visits", "known_at": "paid_at", "max_lag": "1d", "reveals": ["basket"]}},
    "measures": {"customer": {"fact": "orders", "key": "customer", "of": {"amount": ["mean"]}, "windows": ["7d"]}},
    "labels": {"big": {"fact": "orders", "column": "amount", "kind": "binary", "at_least": 100}},
}

CUSTOMER = SHOP["measures"]["customer"]


def shop(**changes: Any) -> Star:
    """Return the shop's star with some sections changed."""
    return validated(Star, copy.deepcopy(SHOP) | changes, name="star.yaml")


@pytest.mark.parametrize("column", ["amount", "basket", "paid_at"])
def test_an_outcome_cannot_be_selected_on_the_spine(column: str) -> None:
    """Whether revealed by name, used by a measure or label, or the timestamp itself: refused with the reason."""
    with pytest.raises(LeakError) as caught:
        shop(spine=SHOP["spine"] | {"columns": ["device", column]})
    assert f"`{column}` cannot be selected on the spine: it is an outcome" in caught.value.what
    assert "the fact `orders` reveals it at `paid_at`" in caught.value.why
    assert "measure of `orders`" in caught.value.next


FEE = {"customer": CUSTOMER | {"of": {"fee": ["mean"], "store": ["distinct"]}},
       "store": CUSTOMER | {"key": "store"}}  # fmt: skip


def with_fees(known: list[str], **changes: Any) -> Star:
    """Return the shop whose spine has the fee of a visit, and its store as a key; measures take both of the past."""
    entities = SHOP["entities"] | {"store": ["store"]}
    spine = SHOP["spine"] | {"columns": ["device", "fee"], "known": known}
    return shop(**{"entities": entities, "spine": spine, "measures": FEE} | changes)


def test_what_is_known_at_the_row_can_also_be_measured_over_the_past() -> None:
    """Its own fee, and the mean of the customer's earlier ones; a key is known by being asked for."""
    features = compile_star(with_fees(["fee", "store"])).features()
    assert {"fee", "customer_fee_mean_7d", "customer_store_distinct_7d"} <= set(features)
    twice = FEE | {"quick": CUSTOMER | {"fact": "arrivals", "of": {"fee": ["last"]}}}
    facts = SHOP["facts"] | {"arrivals": {"table": "visits", "known_at": "came_at", "max_lag": "1h"}}
    assert "quick_fee_last_7d" in compile_star(with_fees(["fee", "store"], facts=facts, measures=twice)).features()
    looked_up = {"own": {"table": "visits", "key": "customer", "columns": ["fee"], "as_of": {"tolerance": "1d"}}}
    assert "own_fee" in compile_star(with_fees(["fee", "store"], dimensions=looked_up)).features()


@pytest.mark.parametrize(("column", "known"), [("fee", []), ("store", ["fee"])])
def test_a_measured_column_on_the_spine_needs_a_word(column: str, known: list[str]) -> None:
    """The reason is the measure, which is all that says so, and the line to write is there."""
    with pytest.raises(LeakError, match=f"`{column}` cannot be selected on the spine") as caught:
        with_fees(known)
    assert "the measure `customer` takes it through the fact `orders`, which is known at `paid_at`" in caught.value.why
    assert f"write `known: [{', '.join([*known, column])}]` at the spine" in caught.value.next


@pytest.mark.parametrize(
    ("column", "source"), [("basket", "`reveals`"), ("amount", "the label `big`"), ("paid_at", "`known_at`")]
)
def test_a_column_cannot_be_known_and_an_outcome(column: str, source: str) -> None:
    """Two declarations that contradict each other are named, both of them."""
    with pytest.raises(LeakError, match=f"`{column}` cannot be selected on the spine: it is an outcome") as caught:
        shop(spine=SHOP["spine"] | {"columns": ["device", column], "known": [column]})
    assert f"by {source}; `known` says the contrary" in caught.value.why
    assert "out of the spine and its `known`" in caught.value.next


@pytest.mark.parametrize("column", ["known_at", "recorded_at"])
def test_the_arrival_of_a_row_cannot_be_selected_on_the_spine(column: str) -> None:
    """It is never before the row's event, whatever facts the table has."""
    spine = SHOP["spine"] | {"columns": ["device", column]}
    with pytest.raises(LeakError, match=f"`{column}` cannot be selected on the spine: it is when the row arrived"):
        shop(spine=spine, corrections={"visits": {"key": "visit", "recorded_at": "recorded_at"}})


REFUNDS = {"refunds": {"table": "refunds", "known_at": "paid_back_at", "max_lag": "1d"}}


def own(columns: dict[str, Any], key: list[str] | None = None, measure: str = "customer") -> tuple[str, ...] | None:
    """Return what a measure of refunds leaves out as a row's own."""
    entities = SHOP["entities"] | ({"visit": key} if key else {})
    refunded = {"fact": "refunds", "key": measure, "of": {"euros": ["sum"]}, "windows": ["7d"]}
    facts = {"refunds": REFUNDS["refunds"] | columns}
    plan = compile_star(shop(entities=entities, facts=SHOP["facts"] | facts, measures={"m": refunded}))
    (step,) = plan.steps
    return step.own if isinstance(step, Windows) else None


def test_own_events_of_other_tables_are_left_out_as_the_star_says() -> None:
    """Only a table that could hold some needs the word; where event_time is part of the key none can count."""
    assert own({"own": "exclude"}) == ("visit_id",)
    assert own({"own": "include"}) == ()
    assert own({}) is None
    assert own({}, key=["visit_id", "event_time"]) == ()
    with pytest.raises(DefinitionError, match="measure `m` has only a row's own events") as caught:
        own({"own": "exclude"}, measure="visit")
    assert "`own: include` at the fact `refunds`" in caught.value.next
    with pytest.raises(DefinitionError, match="says `own: include`, and its table is that of the spine"):
        shop(facts={"orders": SHOP["facts"]["orders"] | {"own": "include"}})


TIMES = dict.fromkeys(("event_time", "known_at"), "timestamp")
VISITS = {"visit_id": "number", "customer_id": "number", "device": "text", "amount": "number", "basket": "text",
          "paid_at": "timestamp"} | TIMES  # fmt: skip


@pytest.mark.parametrize("key", ["visit_id", "Visit_ID"])
@pytest.mark.parametrize("by", ["measure", "dimension"])
def test_a_table_with_the_key_of_the_spine_in_any_case_needs_a_word(key: str, by: str) -> None:
    """Its rows may be a row's own, whether they are aggregated or looked up."""

    def checked(**word: str) -> None:
        lookup = {"table": "notes", "key": "customer", "columns": ["flag"], "as_of": {"tolerance": "1d"} | word}
        fact = {"table": "notes", "known_at": "known_at", "max_lag": "1d"} | word
        measure = {"fact": "notes", "key": "customer", "of": {"flag": ["last"]}, "windows": ["7d"]}
        parts = {"dimensions": {"d": lookup}, "measures": {}} if by == "dimension" else {
            "facts": SHOP["facts"] | {"notes": fact}, "measures": {"m": measure}}  # fmt: skip
        plan = compile_star(shop(**parts))
        check_columns(
            plan, {"visits": VISITS, "notes": {key: "number", "customer_id": "number", "flag": "text"} | TIMES}
        )

    with pytest.raises(DefinitionError, match="rows of `notes` may belong to a row of the spine") as refused:
        checked()
    assert "`own: include`" in refused.value.next
    checked(own="include")


def test_a_row_never_sees_its_own_label() -> None:
    """The table of a label belongs to the spine without a word; a lookup in it would show whole rows."""
    facts = SHOP["facts"] | REFUNDS
    labels = {"refunded": {"fact": "refunds", "column": "euros", "kind": "regression"}}
    measures = {"m": {"fact": "refunds", "of": {"euros": ["sum"]}, "windows": ["7d"]}}
    (step,) = compile_star(shop(facts=facts, labels=labels, measures=measures)).steps
    assert isinstance(step, Windows)
    assert step.own == ("visit_id",)
    lookup = {"table": "refunds", "key": "customer", "columns": ["state"], "as_of": {"tolerance": "1d"}}
    with pytest.raises(LeakError, match="dimension `d` looks up `refunds`, whose rows belong to rows of the spine"):
        shop(facts=facts, labels=labels, dimensions={"d": lookup})


def test_an_outcome_cannot_be_part_of_a_key() -> None:
    """A key is read from the spine too, so it must be known at the timestamp as well."""
    with pytest.raises(LeakError, match="`basket` cannot be selected on the spine"):
        shop(entities=SHOP["entities"] | {"customer": ["basket"]})


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"measures": {"m": CUSTOMER | {"fact": "order"}}}, DefinitionError, "did you mean `orders`?"),
        ({"measures": {"m": CUSTOMER | {"key": "custmer"}}}, DefinitionError, "`customer`?"),
        ({"measures": {"m": CUSTOMER | {"windows": ["7 days"]}}}, SettingsError, "a whole number and a unit"),
        ({"measures": {"m": CUSTOMER | {"windows": ["0d"]}}}, SettingsError, "longer than nothing"),
        ({"measures": {"m": CUSTOMER | {"of": {"amount": ["median"]}}}}, SettingsError, "median"),
        ({"measures": {"m": CUSTOMER | {"window": ["7d"]}}}, SettingsError, "did you mean `windows`?"),
        ({"labels": {"l": SHOP["labels"]["big"] | {"kind": "regression"}}}, SettingsError, "the kind is binary"),
        ({"facts": {"orders": {"table": "visits", "max_lag": "1d"}}}, SettingsError, "known_at"),
        (
            {"dimensions": {"c": {"table": "t", "key": "customer", "columns": ["a"], "match": {"id": "x"}}}},
            DefinitionError,
            "which the entity `customer` does not have",
        ),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], error: type[LeverframeError], words: str) -> None:
    """Each slip gets one error with the place and the nearest name."""
    with pytest.raises(error) as caught:
        compile_star(shop(**changes))
    assert words in caught.value.render()


def test_known_at_is_mandatory_and_names_are_unique() -> None:
    """Two steps that would make the same column are refused."""
    twice = {"customer": CUSTOMER | {"of": {"amount": ["mean", "mean"]}}}
    with pytest.raises(DefinitionError, match="two columns would be called `customer_amount_mean_7d`"):
        compile_star(shop(measures=twice))


def test_the_digest_changes_with_the_meaning_only() -> None:
    """The order of sections is nothing; a window is everything."""
    reordered = {name: SHOP[name] for name in reversed(SHOP)}
    assert validated(Star, reordered, name="star.yaml").digest() == shop().digest()
    other = CUSTOMER | {"windows": ["8d"]}
    assert shop(measures={"customer": other}).digest() != shop().digest()


def test_reach_is_window_and_lag_and_ahead() -> None:
    """The furthest row that a feature can depend on decides which months are read."""
    plan = compile_star(shop(spine=SHOP["spine"] | {"lead_time": "12h"}))
    assert plan.reach() == {"visits": timedelta(days=8, hours=12)}


def test_select_matches_patterns_and_refuses_those_that_match_nothing() -> None:
    """A feature that silently stays away would go unnoticed for long."""
    known = ["device", "customer_amount_mean_7d"]
    assert select(["customer_*", "device"], known) == known
    with pytest.raises(DefinitionError, match=r"`devise` in features\.select matches no feature") as caught:
        select(["devise"], known)
    assert caught.value.next == "did you mean `device`?"


@pytest.mark.parametrize("text", ["", "7", "d", "-1d", "1.5h", "7 d", "1y"])
def test_a_duration_is_a_whole_number_and_a_unit(text: str) -> None:
    """Anything else is refused."""
    with pytest.raises(ValueError, match="a length of time"):
        duration(text)


def test_lengths_are_shown_as_they_are_written() -> None:
    """The largest unit without a fraction."""
    assert [short(duration(text)) for text in ("90s", "15m", "3h", "28d", "2w")] == ["90s", "15m", "3h", "28d", "14d"]


def test_the_reference_case_is_told_and_drawn_completely() -> None:
    """Every feature stands in the plan's words, and every step in the picture."""
    plan = compile_star(read_star(REFERENCE))
    text, drawn = "\n".join(plan_lines(plan)), mermaid(plan)
    assert [name for name in plan.features() if name not in text] == []
    assert drawn.count("==> l") == len(plan.labels)
    assert drawn.count("---|") == len(plan.steps)


LEAKS: dict[str, tuple[dict[str, Any], str]] = {
    "a lookup on the spine's own outcomes": (
        {"dimensions": {"own": {"table": "visits", "key": "visit", "columns": ["basket"]}}},
        "dimension `own` cannot show `basket`: it is an outcome",
    ),
    "an as-of lookup on outcomes": (
        {
            "dimensions": {
                "own": {"table": "visits", "key": "customer", "columns": ["amount"], "as_of": {"tolerance": "1d"}}
            }
        },
        "dimension `own` cannot show `amount`: it is an outcome",
    ),
    "a measure through an earlier fact": (
        {
            "facts": SHOP["facts"] | {"arrivals": {"table": "visits", "known_at": "came_at", "max_lag": "1h"}},
            "measures": {
                "quick": {"fact": "arrivals", "key": "customer", "of": {"basket": ["last"]}, "windows": ["7d"]}
            },
        },
        "measure `quick` takes `basket` through `arrivals`, and other facts reveal it too",
    ),
    "a measure of the label's column through an earlier fact": (
        {
            "facts": SHOP["facts"] | {"arrivals": {"table": "visits", "known_at": "came_at", "max_lag": "1h"}},
            "measures": {
                "quick": {"fact": "arrivals", "key": "customer", "of": {"amount": ["last"]}, "windows": ["7d"]}
            },
        },
        "takes `amount` through `",
    ),
}


@pytest.mark.parametrize("door", LEAKS)
def test_no_other_door_lets_an_outcome_in(door: str) -> None:
    """Dimensions and measures are held to the same rule as the spine."""
    changes, words = LEAKS[door]
    with pytest.raises(LeakError) as caught:
        shop(**changes)
    assert words in caught.value.what


def test_names_that_the_compiler_makes_are_refused() -> None:
    """A feature or label cannot take the place of the timestamp, nor of a label's timestamp."""
    with pytest.raises(DefinitionError, match="`as_of` is a reserved name"):
        compile_star(shop(spine=SHOP["spine"] | {"columns": ["as_of"]}))
    labels = SHOP["labels"] | {"big_known_at": SHOP["labels"]["big"]}
    with pytest.raises(DefinitionError, match="two columns would be called `big_known_at`"):
        compile_star(shop(labels=labels))


@pytest.mark.parametrize(
    ("value", "name"), [(29, "29"), (0.5, "0_5"), (-1, "minus_1"), (1234567, "1234567"), (1e30, "1e30")]
)
def test_a_threshold_is_part_of_the_name(value: float, name: str) -> None:
    """Different thresholds give different names that SQL and file systems can carry."""
    measure = CUSTOMER | {"of": {"amount": [{"share_above": value}]}}
    plan = compile_star(shop(measures={"customer": measure}))
    assert plan.features()[-1] == f"customer_amount_share_above_{name}_7d"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_threshold_is_a_number(value: float) -> None:
    """What nothing can exceed, or be compared with, is refused."""
    with pytest.raises(SettingsError):
        shop(measures={"customer": CUSTOMER | {"of": {"amount": [{"share_above": value}]}}})
