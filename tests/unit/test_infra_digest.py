"""Two plans of the same reality have the same digest, any other plan has another, and nobody reads secrets from it."""

from __future__ import annotations

import copy
import json
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from leverframe.domain.infrastructure.concealed import Concealer
from leverframe.domain.infrastructure.infra_plan import InfraPlan, ToolVersion
from leverframe.domain.infrastructure.plan_digest import digest_key, plan_digest
from leverframe.domain.infrastructure.plan_json import plan_document, read_plan
from leverframe.domain.infrastructure.sensitive_values import Secrets, secrets_of_plan
from tests.profiles import examples

LINEAGE = "0e3bcf63-0b2c-4a4f-a0a7-3b2a8a2b8c11"
LEAF = st.one_of(
    st.none(), st.booleans(), st.integers(-1000, 10**20), st.text(max_size=8), st.decimals(-9, 9, places=2).map(float)
)
VALUE = st.recursive(
    LEAF,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abcd"), inner, max_size=3)),
    max_leaves=6,
)
ACTIONS = st.sampled_from([["create"], ["update"], ["delete"], ["delete", "create"], ["create", "delete"], ["forget"]])
ATTRIBUTES = st.dictionaries(st.sampled_from(["name", "size", "tags", "rules"]), VALUE, min_size=1, max_size=4)


@st.composite
def _resources(draw: st.DrawFn) -> list[dict[str, Any]]:
    names = draw(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=4, unique=True))
    return [
        {
            "address": f"aws_thing.{name}",
            "mode": "managed",
            "type": "aws_thing",
            "provider_name": "registry.terraform.io/hashicorp/aws",
            "change": {
                "actions": draw(ACTIONS),
                "before": draw(ATTRIBUTES),
                "after": draw(ATTRIBUTES),
                "after_unknown": draw(st.sampled_from([{}, {"id": True}])),
                "before_sensitive": draw(st.sampled_from([{}, {"name": True}])),
                "after_sensitive": draw(st.sampled_from([{}, {"name": True}])),
            },
        }
        for name in names
    ]


DOCUMENTS = st.builds(
    lambda resources, after: {
        "format_version": "1.2",
        "terraform_version": "1.11.4",
        "resource_changes": resources,
        "output_changes": {"o": {"actions": ["update"], "before": 1, "after": after, "after_unknown": False}},
        "timestamp": "2026-01-01T00:00:00Z",
        "applyable": True,
        "complete": True,
    },
    _resources(),
    VALUE,
)


def _read(document: dict[str, Any], lineage: str = LINEAGE, known: Secrets | None = None) -> InfraPlan:
    text = json.dumps(document)
    secrets = secrets_of_plan(document)
    concealer = Concealer(secrets, known or Secrets())
    return read_plan(plan_document(text), ToolVersion("terraform", "1.11.4"), concealer, digest_key(lineage, secrets))


def _shuffled(value: Any, order: random.Random) -> Any:
    """Return the same document with its keys in another order."""
    if isinstance(value, dict):
        names = list(value)
        order.shuffle(names)
        return {name: _shuffled(value[name], order) for name in names}
    return [_shuffled(item, order) for item in value] if isinstance(value, list) else value


@given(DOCUMENTS, st.randoms(use_true_random=False))
def test_order_times_and_versions_do_not_count(document: dict[str, Any], order: random.Random) -> None:
    """Nor do the serial, whether it may be applied, why it happens, what no change is, and empty marks."""
    other = _shuffled(copy.deepcopy(document), order)
    order.shuffle(other["resource_changes"])
    other |= {"timestamp": "2027-02-02T02:02:02Z", "terraform_version": "1.12.0", "format_version": "1.3"}
    other |= {"relevant_attributes": [{"resource": "x"}], "prior_state": {"terraform_version": "1.0"}, "errored": False}
    del other["applyable"], other["complete"]  # OpenTofu does not write both
    for resource in other["resource_changes"]:
        resource["action_reason"] = "replace_by_triggers"
        change = resource["change"]
        change["after_unknown"] = {**change["after_unknown"], "deep": {"x": False, "y": [False]}}
        change["before_sensitive"] = change["before_sensitive"] or False
    quiet = {"actions": ["no-op"], "before": {"a": 1}, "after": {"a": 1}, "after_unknown": {}}
    other["resource_changes"].append({"address": "x.quiet", "type": "x", "change": quiet})
    other["checks"] = [{"address": {"to_display": "check.c"}, "status": "fail"}]
    first, second = _read(document), _read(other)
    assert first.digest == second.digest
    assert [change.digest for change in first.changes] == [change.digest for change in second.changes]


@given(DOCUMENTS, st.data())
def test_any_change_of_what_happens_counts(document: dict[str, Any], data: st.DataObject) -> None:
    """A value before or after, sensitive or not, an action, an address, a provider, what is unknown or secret."""
    other = copy.deepcopy(document)
    resource = data.draw(st.sampled_from(other["resource_changes"]))
    change = resource["change"]
    what = data.draw(st.sampled_from(["before", "after", "actions", "address", "provider_name", "after_unknown",
                                      "after_sensitive", "output", "gone"]))  # fmt: skip
    if what in ("before", "after"):
        name = data.draw(st.sampled_from(sorted(change[what])))
        change[what][name] = data.draw(VALUE)
    elif what == "actions":
        change["actions"] = data.draw(ACTIONS)
    elif what in ("address", "provider_name"):
        resource[what] += "x"
    elif what in ("after_unknown", "after_sensitive"):
        change[what] = {"size": True}
    elif what == "output":
        other["output_changes"]["o"]["after"] = data.draw(VALUE)
    else:
        other["resource_changes"].remove(resource)
    assume(json.dumps(other, sort_keys=True) != json.dumps(document, sort_keys=True))
    assert _read(document).digest != _read(other).digest


@settings(max_examples=examples(0.15))  # scrypt is slow by design
@given(st.text(min_size=1, max_size=8), st.text(min_size=1, max_size=8), st.sampled_from([LINEAGE, ""]))
def test_another_secret_is_another_digest(first: str, second: str, lineage: str) -> None:
    """Before the first apply, where there is no lineage, too; the same secret has the same digest."""
    assume(first != second)
    assert _read(_secret_document(first), lineage).digest != _read(_secret_document(second), lineage).digest
    assert _read(_secret_document(first), lineage).digest == _read(_secret_document(first), lineage).digest


def _secret_document(secret: str) -> dict[str, Any]:
    change = {"actions": ["update"], "before": {"pin": "0"}, "after": {"pin": secret}, "after_unknown": {},
              "before_sensitive": {"pin": True}, "after_sensitive": {"pin": True}}  # fmt: skip
    return {"resource_changes": [{"address": "x.y", "type": "x", "change": change}]}


def test_a_short_secret_is_not_guessed_from_a_digest() -> None:
    """Who has everything but the state tries every PIN, and meets no digest of the plan."""
    published = _read(_secret_document("4711"))
    seen = {published.digest, *(change.digest for change in published.changes)}
    for guess in range(10_000):
        document = _secret_document(f"{guess:04}")
        plan = read_plan(document, published.tool, Concealer(Secrets()), b"leverframe infra")
        assert plan.digest not in seen
        assert plan.changes[0].digest not in seen


def test_a_guess_is_slow_where_there_is_no_state_yet() -> None:
    """The key is of all secrets together, and another lineage is another key."""
    one, both = Secrets.of(["4711"]), Secrets.of(["4711", "hunter22"])
    assert len({digest_key("", one), digest_key("", both), digest_key(LINEAGE, one), digest_key("x", one)}) == 4
    assert digest_key(LINEAGE, one) == digest_key(LINEAGE, both)
    assert digest_key("", Secrets()) == digest_key("", Secrets())


@pytest.mark.parametrize("lineage", ["", LINEAGE])
@pytest.mark.parametrize("secrets", [Secrets(), Secrets.of(["4711"])])
def test_a_plan_of_one_place_is_not_one_of_another(lineage: str, secrets: Secrets) -> None:
    """Of another environment, root module, workspace or backend: a review of it counts for nothing here."""
    keys = {digest_key(lineage, secrets, place) for place in ("", "shop live staging", "shop live production")}
    assert len(keys) == 3


@given(DOCUMENTS)
def test_what_this_machine_hides_does_not_count(document: dict[str, Any]) -> None:
    """A runner knows more secrets of its environment than a laptop, and the plan is the same."""
    known = Secrets.of(["aws_thing", "hashicorp", "1000"])
    first, second = _read(document), _read(document, known=known)
    assert first.digest == second.digest
    assert [change.address for change in first.changes] == [change.address for change in second.changes]


@given(DOCUMENTS)
def test_the_digest_of_a_plan_is_verified_from_its_changes(document: dict[str, Any]) -> None:
    """Who reads a published plan needs no key for that, and sees a change that was taken out or altered."""
    plan = _read(document)
    assert plan_digest(plan.changes, plan.outputs) == plan.digest
    assert plan_digest(reversed(plan.changes), plan.outputs) == plan.digest
    assert plan_digest(plan.changes[1:], plan.outputs) != plan.digest
    assert plan_digest([replace(plan.changes[0], address="z"), *plan.changes[1:]], plan.outputs) != plan.digest


@pytest.mark.parametrize(("one", "two"), [(1, 1.5), (1, "1"), (1.5, "1.5"), (True, 1), (None, ""), ([], {}),
                                          (0.1, 0.10000000000000001234), (10**17, 10**17 + 1)])  # fmt: skip
def test_values_that_look_alike_differ(one: Any, two: Any) -> None:
    """Numbers keep all their digits, and are no text."""
    texts = [
        json.dumps(_secret_document("x")).replace('{"pin": "x"}', '{"pin": VALUE}').replace("VALUE", written)
        for written in (json.dumps(one), "0.10000000000000001234" if isinstance(two, float) and two < 1
                        else json.dumps(two))
    ]  # fmt: skip
    plans = [read_plan(plan_document(text), ToolVersion("t", "1"), Concealer(Secrets()), b"k") for text in texts]
    assert plans[0].digest != plans[1].digest
