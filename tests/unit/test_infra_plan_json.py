"""The plan of Terraform as data: what happens to which resource, why, and each attribute on a line without secrets."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leverframe.domain.infrastructure.change_lines import change_lines, path_text
from leverframe.domain.infrastructure.concealed import Concealer
from leverframe.domain.infrastructure.infra_plan import ChangeKind, InfraPlan, ResourceChange, ToolVersion
from leverframe.domain.infrastructure.infra_plan_result import InfraPlanned, plan_lines
from leverframe.domain.infrastructure.plan_json import plan_document, read_plan
from leverframe.domain.infrastructure.sensitive_values import Secrets, secrets_of_plan


def _read(document: dict[str, Any], *secrets: str) -> InfraPlan:
    concealer = Concealer(secrets_of_plan(document) | Secrets.of(secrets))
    return read_plan(plan_document(json.dumps(document)), ToolVersion("tofu", "1.10.0"), concealer, b"key")


def _change(change: dict[str, Any], *secrets: str, **resource: Any) -> ResourceChange:
    plan = _read({"resource_changes": [{"address": "x.y", "type": "x", **resource, "change": change}]}, *secrets)
    return plan.changes[0]


@pytest.mark.parametrize(
    ("actions", "more", "kind"),
    [
        (["create"], {}, ChangeKind.CREATE),
        (["update"], {}, ChangeKind.UPDATE),
        (["delete"], {}, ChangeKind.DELETE),
        (["delete", "create"], {}, ChangeKind.REPLACE),
        (["create", "delete"], {}, ChangeKind.REPLACE),
        (["read"], {}, ChangeKind.READ),
        (["forget"], {}, ChangeKind.FORGET),
        (["create", "forget"], {}, ChangeKind.FORGET),
        (["no-op"], {"previous_address": "x.z"}, ChangeKind.MOVE),
        (["update"], {"previous_address": "x.z"}, ChangeKind.UPDATE),
        (["delete", "create"], {"previous_address": "x.z"}, ChangeKind.REPLACE),
        (["something-new"], {}, ChangeKind.UPDATE),
    ],
)
def test_actions_have_a_kind(actions: list[str], more: dict[str, Any], kind: ChangeKind) -> None:
    """Both orders of a replacement are one; what nobody knows yet is no less than an update."""
    change = _change({"actions": actions, "before": {"a": 1}, "after": {"a": 1}}, **more)
    assert change.kind is kind
    assert change.before == more.get("previous_address", "")


@pytest.mark.parametrize("actions", [["no-op"], ["update"]])
def test_an_import_is_one_whether_it_changes_or_not(actions: list[str]) -> None:
    """A replacement of what is imported destroys it, and is no import."""
    importing = {"importing": {"id": "i-1"}, "before": {"a": 1}, "after": {"a": 2}}
    assert _change({"actions": actions, **importing}).kind is ChangeKind.IMPORT
    assert _change({"actions": ["delete", "create"], **importing}).kind is ChangeKind.REPLACE


def test_a_replacement_tells_which_comes_first() -> None:
    """It decides about an outage."""
    actions = {name: {"actions": name.split(), "before": {"a": 1}, "after": {"a": 2}} for name in
               ("create delete", "delete create", "create")}  # fmt: skip
    assert [_change(change).create_first for change in actions.values()] == [True, False, False]
    shown = "\n".join(plan_lines(_read({"resource_changes": [
        {"address": "x.y", "type": "x", "change": actions["create delete"]}
    ]})))  # fmt: skip
    assert "replace  x.y (the new one is created first)" in shown


def test_addresses_stand_in_the_order_of_their_numbers() -> None:
    """As Terraform counts, and the counts stand once more below what fills a screen."""
    change = {"actions": ["create"], "after": {"a": 1}}
    names = [f'x["host{at}"].y[{at}]' for at in (10, 1, 2, 11, 0)]
    plan = _read({"resource_changes": [{"address": name, "type": "x", "change": change} for name in names]})
    assert [change.address for change in plan.changes] == [f'x["host{at}"].y[{at}]' for at in (0, 1, 2, 10, 11)]
    long = replace(plan, changes=plan.changes * 5)
    lines = InfraPlanned("e", "c" * 40, "b" * 40, "x", "default", long).lines()
    assert lines[-2:] == ["25 to create", f"digest {plan.digest}"]
    short = InfraPlanned("e", "c" * 40, "b" * 40, "x", "default", plan).lines()
    assert sum("5 to create" in line for line in short) == 1


def test_nothing_is_a_change_where_nothing_happens() -> None:
    """No-ops, and a resource that stays at its address."""
    quiet = {"actions": ["no-op"], "before": {"a": 1}, "after": {"a": 1}}
    resources = [{"address": "x.y", "type": "x", "previous_address": "x.y", "change": quiet}]
    plan = _read({"resource_changes": resources, "output_changes": {"o": quiet}})
    assert (plan.changes, plan.outputs, plan.empty) == ((), (), True)
    assert _read({}).empty


def test_a_replacement_tells_what_forces_it_and_why() -> None:
    """Paths as the configuration writes them, the reason in plain words."""
    paths = [["name"], ["rules", 0, "port"], ["tags", "a.b"]]
    change = {"actions": ["delete", "create"], "before": {}, "after": {}, "replace_paths": paths}
    replaced = _change(change, action_reason="replace_because_cannot_update")
    assert replaced.forced_by == ("name", "rules[0].port", "tags.a.b")
    assert replaced.because == "these attributes cannot change in place"
    assert _change(change, action_reason="some_later_reason").because == "some later reason"
    assert _change({"actions": ["create"], "after": {}}).because == ""


def test_a_deposed_object_has_its_key_in_the_address() -> None:
    """It is another object than the one at the address, and is destroyed."""
    change = _change({"actions": ["delete"], "before": {"a": 1}, "after": None}, deposed="b1c2")
    assert (change.address, change.kind) == ("x.y (deposed b1c2)", ChangeKind.DELETE)


def test_a_value_that_is_known_later_is_one_line() -> None:
    """Nothing of it goes, as a line for each part of it would tell; a part may be known later as well."""
    before = {
        "input": {"r": 1},
        "output": {"r": 1, "tags": {"a": "x"}, "zones": ["eu-1", None]},
        "at": {"a": [1], "b": 2},
    }
    change = {
        "actions": ["update"], "before": before, "after": {"input": {"r": 2}, "at": {"b": 2}},
        "after_unknown": {"output": True, "at": {"a": True}},
    }  # fmt: skip
    assert _change(change).lines == (
        "~ at.a: [1] -> (known after apply)",
        "~ input.r: 1 -> 2",
        '~ output: {"r": 1, "tags": {"a": "x"}, "zones": ["eu-1", null]} -> (known after apply)',
    )


def test_a_secret_that_is_new_is_added() -> None:
    """Terraform marks the value before as well, which was none."""
    change = {"actions": ["create"], "before": None, "after": "x", "before_sensitive": True, "after_sensitive": True}
    assert _read({"output_changes": {"o": change}}).outputs[0].lines == ("+ value = (sensitive)",)


def test_the_order_is_that_of_interest() -> None:
    """Destroyed before replaced before created, each by address."""
    changes = [("x.a", ["create"]), ("x.d", ["delete"]), ("x.c", ["delete"]), ("x.b", ["delete", "create"])]
    resources = [{"address": address, "type": "x", "change": {"actions": actions}} for address, actions in changes]
    plan = _read({"resource_changes": resources})
    assert [change.address for change in plan.changes] == ["x.c", "x.d", "x.b", "x.a"]
    assert [change.address for change in plan.destructive] == ["x.c", "x.d", "x.b"]


def test_each_attribute_that_differs_is_a_line() -> None:
    """Added, removed, changed, at any depth; what is known later and what is secret says so."""
    change = {
        "actions": ["update"],
        "before": {"name": "a", "tags": {"x": "1", "gone": "2"}, "ports": [1, 2], "pin": "s1", "same": True, "n": None},
        "after": {"name": "b", "tags": {"x": "1", "new": 'q"\n'}, "ports": [1, 3], "pin": "s2", "same": True, "n": 0.5},
        "after_unknown": {"id": True, "tags": {"later": True}},
        "before_sensitive": {"pin": True},
        "after_sensitive": {"pin": True},
    }
    assert _change(change).lines == (
        '~ name: "a" -> "b"',
        "~ pin: (sensitive) -> (sensitive), changed",
        "~ ports[1]: 2 -> 3",
        '- tags.gone = "2"',
        "+ id = (known after apply)",
        "+ n = 0.5",
        "+ tags.later = (known after apply)",
        '+ tags.new = "q\\"\\n"',
    )


def test_a_created_and_a_destroyed_resource_show_all_that_they_have() -> None:
    """Nulls are left out."""
    assert _change({"actions": ["create"], "before": None, "after": {"a": 1, "b": None}}).lines == ("+ a = 1",)
    assert _change({"actions": ["delete"], "before": {"a": [], "b": {}}, "after": None}).lines == (
        "- a = []",
        "- b = {}",
    )
    assert _change({"actions": ["forget"], "before": {"a": 1}, "after": None}).lines == ()


def test_the_output_of_a_marked_input_is_sensitive() -> None:
    """Terraform forgets the mark of a number, too, which no value in the text would tell."""
    change = {
        "actions": ["update"],
        "before": {"input": {"p": 7}, "output": {"p": 7}},
        "after": {"input": {"p": 8}},
        "after_unknown": {"output": True},
        "before_sensitive": {"input": {"p": True}, "output": {}},
        "after_sensitive": {"input": {"p": True}},
    }
    lines = _change(change, type="terraform_data").lines
    assert lines == (
        "~ input.p: (sensitive) -> (sensitive), changed",
        '~ output: {"p": (sensitive)} -> (known after apply)',
    )


@given(st.sampled_from(["before", "after"]), st.sampled_from(["leaf", "key", "address", "inside", "json", "message"]))
def test_a_secret_is_in_no_part_of_a_plan(when: str, where: str) -> None:
    """In an attribute, a key, an address, within a text, in JSON in a text, in the message of a check."""
    secret = "hunter22-is-secret"  # noqa: S105 - made up
    value = {"leaf": {"a": secret}, "key": {secret: 1}, "inside": {"url": f"x{secret}y"},
             "json": {"policy": json.dumps({"p": secret})}}.get(where, {"a": "b"})  # fmt: skip
    address = f'x.y["{secret}"]' if where == "address" else "x.y"
    change = {"actions": ["update"], "before": {}, "after": {}, when: value, "replace_paths": [[secret]]}
    document = {
        "resource_changes": [{"address": address, "type": "x", "previous_address": address, "change": change}],
        "resource_drift": [{"address": address, "type": "x", "change": change}],
        "output_changes": {"o": {"actions": ["update"], when: value}},
        "checks": [{"address": {"to_display": "check.c"}, "status": "fail",
                    "instances": [{"problems": [{"message": f"it is {secret}"}]}]}],
    }  # fmt: skip
    plan = _read(document, secret)
    assert "hunter22" not in repr(plan)
    assert plan.changes
    assert plan.outside


def test_two_secret_instances_stay_two_addresses_and_names_stay() -> None:
    """What is protected is known by the names of the configuration, whatever a variable calls secret."""
    change = {"actions": ["delete"], "before": {"a": 1}, "after": None}
    keys = ["hunter22", "hunter33", "open"]
    resources = [{"address": f'module.main.x.db["{key}"]', "type": "x", "change": change} for key in keys]
    plan = _read({"resource_changes": resources}, "hunter22", "hunter33", "main")
    addresses = sorted(change.address for change in plan.changes)
    assert len(set(addresses)) == 3
    assert addresses[2] == 'module.main.x.db["open"]'
    assert all(re.fullmatch(r'module\.main\.x\.db\["\*\*\*-[0-9a-f]{8}"\]', address) for address in addresses[:2])


def test_two_secret_keys_stay_two_attributes() -> None:
    """Both become ``***``, and neither hides the other."""
    change = {"actions": ["create"], "after": {"hunter22": 1, "hunter33": 2}}
    assert len(_change(change, "hunter22", "hunter33").lines) == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [("password", "plainword"), ("url", "postgres://u:plainword@db/x"), ("api_key", "plainword"),
     ("note", "Authorization: Bearer plainword")],
)  # fmt: skip
def test_what_looks_like_a_secret_is_one(name: str, value: str) -> None:
    """A provider that marks nothing does not publish a password."""
    change = _change({"actions": ["update"], "before": {name: value}, "after": {name: f"{value}2"}})
    assert "plainword" not in repr(change)
    assert len(change.lines) == 1


def _script(**lines: str) -> str:
    """Return a script of thirty lines, some of them other ones."""
    return "".join(f"{lines.get(f'at{number}', f'line {number} of a script')}\n" for number in range(1, 31))


def _updated(before: Any, after: Any, *secrets: str) -> tuple[str, ...]:
    return _change({"actions": ["update"], "before": {"doc": before}, "after": {"doc": after}}, *secrets).lines


def test_a_text_of_several_lines_shows_every_line_that_differs() -> None:
    """A harmless change in front hides none behind."""
    lines = _updated(_script(), _script(at2="FIRST", at13="EVIL", at26="CHANGED"))
    assert lines[0] == "~ doc: 31 lines -> 31 lines, 3 places differ"
    assert lines[1:] == tuple(
        f"{sign} doc line {number} = {json.dumps(text)}"
        for number, text in ((2, "FIRST"), (13, "EVIL"), (26, "CHANGED"))
        for sign, text in (("-", f"line {number} of a script"), ("+", text))
    )
    added = _change({"actions": ["create"], "after": {"doc": _script(at13="EVIL")}}).lines
    assert len(added) == 32
    assert added[:2] == ("+ doc = 31 lines", '+ doc line 1 = "line 1 of a script"')
    assert '+ doc line 13 = "EVIL"' in added


def test_a_text_that_is_json_shows_every_part_that_differs() -> None:
    """By its paths as objects are; nulls count, and so does another order of writing."""
    policy = {"Statement": [{"Action": f"s3:{number}", "Sid": None} for number in range(20)], "env": {"a.b": 1}}
    other = json.loads(json.dumps(policy))
    other["Statement"][3]["Action"], other["Statement"][17] = "s3:First", {"Action": "*"}
    other["env"] = {"a": {"b": 1}}
    assert _updated(json.dumps(policy), json.dumps(other, indent=1)) == (
        '~ doc.Statement[3].Action: "s3:3" -> "s3:First"',
        '~ doc.Statement[17].Action: "s3:17" -> "*"',
        "- doc.Statement[17].Sid = null",
        "- doc.env.a.b = 1",
        "+ doc.env.a.b = 1",
    )
    assert _updated(json.dumps(policy), json.dumps(policy, separators=(",", ":")))[0].startswith("~ doc: ")
    twice = json.dumps(policy).replace('"env":', '"env": {"evil": 1}, "env":')
    assert any("evil" in line for line in _updated(json.dumps(policy), twice)), "readers take one of two, or the other"


def test_a_secret_in_a_long_text_is_hidden_and_the_rest_is_shown() -> None:
    """In lines, in JSON, and in JSON that writes it with escapes."""
    text = _script(at5="export PW=hunter22-x")
    assert _updated(text, text.replace("line 9 ", "EVIL "), "hunter22-x")[1:] == (
        '- doc line 9 = "line 9 of a script"',
        '+ doc line 9 = "EVIL of a script"',
    )
    assert _updated(text, text.replace("22-x", "33-y"), "hunter22-x", "hunter33-y") == (
        '~ doc: "line 1 of a script line 2 of a script"'.partition('"')[0]
        + f"{' '.join(_script(at5='export PW=***').split())[:240]}... ({len(_script(at5='export PW=***').strip())} "
        "characters), changed in what is hidden of it",
    )
    document = json.dumps({"env": [{"name": str(n), "value": "x"} for n in range(20)] + [{"value": "hunter22-x"}]})
    escaped = document.replace("hunter", "\\u0068unter").replace(
        '"name": "7", "value": "x"', '"name": "7", "value": "!"'
    )
    lines = _updated(document, escaped, "hunter22-x")
    assert lines == ('~ doc.env[7].value: "x" -> "!"',)
    both = _updated(document.replace("hunter22-x", "other"), escaped, "hunter22-x")
    assert '~ doc.env[20].value: "other" -> ***' in both
    assert "hunter22" not in repr(both)


def test_an_item_that_goes_does_not_change_those_behind_it() -> None:
    """A rule in front is removed, another one gets in, a third is edited: nobody reads of the others."""
    rules = [{"cidr": f"10.0.{at}.0/24", "port": at} for at in range(5)]
    other = [*rules[1:3], {"cidr": "10.9.0.0/24", "port": 3}, rules[4], {"cidr": "0.0.0.0/0", "port": 22}]
    zones = ["a", "b", "c", "d"]
    assert _updated({"zones": zones, "rules": rules}, {"zones": zones[1:], "rules": other}) == (
        '- doc.rules[0].cidr = "10.0.0.0/24"',
        "- doc.rules[0].port = 0",
        '~ doc.rules[2].cidr: "10.0.3.0/24" -> "10.9.0.0/24"',
        '- doc.zones[0] = "a"',
        '+ doc.rules[4].cidr = "0.0.0.0/0"',
        "+ doc.rules[4].port = 22",
    )
    assert _updated(["a", "b"], ["b", "a"]) == ('- doc[1] = "b"', '+ doc[0] = "b"')
    assert _updated([{"pw": "hunter22"}], [{"pw": "hunter33"}], "hunter22", "hunter33") == (
        "~ doc[0].pw: *** -> ***, changed",
    )


_TREES = st.recursive(
    st.sampled_from(["a", "b", 1, 1.5, True, False, "", [], {}]),
    lambda parts: st.lists(parts, max_size=4) | st.dictionaries(st.sampled_from("xyz"), parts, max_size=3),
    max_leaves=12,
)


@given(_TREES, _TREES)
def test_no_difference_goes_unseen(old: Any, new: Any) -> None:
    """Of any two values, be it one of type or of order; of the same value there is none."""
    same = json.dumps(old, sort_keys=True) == json.dumps(new, sort_keys=True)
    assert (_updated(old, new) == ()) is same


_ITEMS = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from("abc"), lambda part: st.lists(part, max_size=4)
)


@given(st.lists(_ITEMS, max_size=5), st.lists(_ITEMS, max_size=5))
def test_two_lists_that_differ_never_look_equal(old: list[Any], new: list[Any]) -> None:
    """An item that is null is there, unlike an attribute that is; and equal lists never look different."""
    lines = change_lines(ChangeKind.UPDATE, {"x": old}, {"x": new})
    assert bool(lines) is (repr(old) != repr(new))


def test_a_null_that_goes_from_a_list_is_shown() -> None:
    """The place of all that follows changes."""
    assert change_lines(ChangeKind.UPDATE, {"x": [None, "a"]}, {"x": ["a"]}) == ("- x[0] = null",)


@given(
    st.lists(st.sampled_from(["a", "b", "same line", "", "x" * 500, "\u2028", "{"]), max_size=40),
    st.lists(st.sampled_from(["a", "c", "same line", "", "x" * 501, '"', "  "]), max_size=40),
    st.sampled_from(["\n", " ", ""]),
)
def test_no_part_of_a_text_that_is_new_goes_unseen(old: list[str], new: list[str], between: str) -> None:
    """The lines that a plan shows make the new text of the old one."""
    before, after = between.join(["head " * 60, *old]), between.join(["head " * 60, *new])
    lines = change_lines(ChangeKind.UPDATE, {"doc": before}, {"doc": after})
    assert (lines == ()) is (before == after)
    assert all(len(line) < 1_000 for line in lines)
    assert _patched(before, lines) == after


def _patched(text: str, lines: tuple[str, ...]) -> str:
    """Return what a text becomes by the lines of its difference."""
    by_line = any(line[2:].startswith("doc line ") for line in lines[1:])
    pieces = text.split("\n") if by_line else list(text)
    gone: dict[int, str] = {}
    come: dict[int, str] = {}
    for line in lines[1:]:
        parts = re.fullmatch(r"([+-]) doc (line|character) (\d+).*? = (.*)", line, re.DOTALL)
        assert parts is not None, line
        sign, unit, number, value = parts.groups()
        side, shown = (gone if sign == "-" else come), json.loads(value)
        for at, piece in enumerate([shown] if unit == "line" else shown):
            side[int(number) + at] = side.get(int(number) + at, "") + piece
    kept = iter([piece for at, piece in enumerate(pieces, 1) if at not in gone])
    size = len(pieces) - len(gone) + len(come)
    made = [come[at] if at in come else next(kept) for at in range(1, size + 1)]
    return ("\n" if by_line else "").join(made)


def test_a_long_word_shows_where_it_differs() -> None:
    """Ten megabytes are a few short lines; of a hundred thousand new lines the rest is counted."""
    before, after = "a" * 5_000_000 + "OLD" + "b" * 5_000_000, "a" * 5_000_000 + "NEW" + "b" * 5_000_000
    lines = change_lines(ChangeKind.UPDATE, {"doc": before}, {"doc": after})
    assert lines == (
        "~ doc: 10,000,003 characters -> 10,000,003 characters, 1 place differs",
        f'- doc character 4999981 = "{"a" * 20}OLD{"b" * 20}"',
        f'+ doc character 4999981 = "{"a" * 20}NEW{"b" * 20}"',
    )
    lines = change_lines(ChangeKind.CREATE, None, {"doc": "x\n" * 100_000})
    assert lines[-1] == "~ doc: 98,001 more lines like these are not shown: read them in the configuration"


def test_outputs_and_changes_outside_are_read_alike() -> None:
    """Outputs have an address of their own; what changed outside is no change of the plan."""
    drift = {"address": "x.y", "type": "x", "change": {"actions": ["delete"], "before": {"a": 1}, "after": None}}
    output = {"actions": ["create"], "before": None, "after": 5, "after_sensitive": False, "after_unknown": False}
    plan = _read({"resource_drift": [drift], "output_changes": {"o": output}})
    assert [(change.address, change.lines) for change in plan.outputs] == [("output.o", ("+ value = 5",))]
    assert [(change.address, change.kind) for change in plan.outside] == [("x.y", ChangeKind.DELETE)]
    assert (plan.changes, plan.empty) == ((), False)


def test_checks_tell_what_failed() -> None:
    """Every problem of every instance; one that is known later has not failed."""
    problems = [{"problems": [{"message": "a"}, {"message": "b"}]}, {"problems": [{"message": "c"}]}, {}]
    checks = [{"address": {"to_display": "check.z"}, "status": "fail", "instances": problems},
              {"address": {"to_display": "check.a"}, "status": "unknown"}]  # fmt: skip
    outcomes = _read({"checks": checks}).checks
    assert [(outcome.address, outcome.failed, outcome.messages) for outcome in outcomes] == [
        ("check.a", False, ()),
        ("check.z", True, ("a", "b", "c")),
    ]


def test_an_action_of_the_configuration_is_a_change() -> None:
    """Terraform 1.14 runs `action` blocks beside resources: a plan with one is not empty."""
    plan = _read({"action_invocations": [{"address": "action.aws_lambda_invoke.x", "config": {"a": 1}}]})
    assert [(change.address, change.kind) for change in plan.changes] == [
        ("action.aws_lambda_invoke.x", ChangeKind.UPDATE)
    ]
    assert not plan.empty


def test_paths_are_written_as_in_the_configuration() -> None:
    """Names by dots, indices in brackets; a path may be no list."""
    assert path_text(["a", 0, "b", 12]) == "a[0].b[12]"
    assert path_text("a") == "a"
    assert path_text([]) == ""


@pytest.mark.parametrize("key", ["a\ndigest 000\npassed: `shop`", "x = 1 -> 2", "", 'q"', "\u2028"])
def test_a_key_of_a_map_is_one_name_on_one_line(key: str) -> None:
    """Keys are of others: one may not look like another line of the plan."""
    (line,) = change_lines(ChangeKind.CREATE, None, {"input": {key: "v"}})
    assert line.startswith('+ input."')
    assert line.endswith('" = "v"')
    assert "\n" not in line
