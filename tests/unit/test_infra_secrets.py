"""A secret of a plan or a state stands in no text, however the text writes it."""

from __future__ import annotations

import base64
import hashlib
import json
import time
import tracemalloc
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from leverframe.domain.infrastructure.sensitive_values import Secrets, secrets_of_plan, secrets_of_state, unmarked

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_+@/!$%^#<>&\"'\\{}é "
SECRET = st.text(ALPHABET, min_size=6, max_size=40).map(lambda text: f"Z{text.strip()}q")
WORDS = st.text("abcdefghijklmnopqrstuvwxyz .,()=\n", max_size=30)
WRITTEN: dict[str, Callable[[str], str]] = {
    "plain": lambda secret: secret,
    "json": json.dumps,
    "json in json": lambda secret: json.dumps(json.dumps({"a": secret})),
    "unicode json": lambda secret: json.dumps(secret, ensure_ascii=False),
    "jsonencode": lambda secret: (
        json.dumps(secret, ensure_ascii=False).replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    ),
    "address": lambda secret: f"https://u:{quote(secret, safe='')}@host/",
    "form": lambda secret: f"x=1&y={quote_plus(secret)}",
    "inside a word": lambda secret: f"xyz{secret}xyz",
    "configuration": lambda secret: secret.replace("${", "$${").replace("%{", "%%{"),
}


@given(st.sampled_from(sorted(WRITTEN)), SECRET, WORDS, WORDS)
@example("jsonencode", 'Z<&>"\\q', "", "")
@example("configuration", "Z${abc}%{d}q", "", "")
def test_a_secret_is_hidden_as_it_is_written(how: str, secret: str, before: str, after: str) -> None:
    """Plain, escaped once or twice, in an address or within a word: what is left of it is ``***``."""
    assume(secret not in before + after)
    form = WRITTEN[how](secret)
    text = f"{before} {form} {after}"
    shown = Secrets.of([secret]).hidden(text)
    assert form not in shown
    assert secret not in shown
    assert "***" in shown
    assert shown.startswith(before)
    assert shown.endswith(after)


@given(SECRET, st.binary(max_size=7), st.binary(max_size=7), st.booleans())
def test_a_secret_is_hidden_in_base64(secret: str, before: bytes, after: bytes, urls: bool) -> None:
    """`user:password` in base64 begins anywhere; what is left decodes to nothing that holds the secret."""
    encode = base64.urlsafe_b64encode if urls else base64.b64encode
    text = encode(before + secret.encode() + after).decode()
    shown = Secrets.of([secret]).hidden(f"Authorization {text}")
    assert text not in shown
    kept = [part for part in shown.removeprefix("Authorization ").split("***") if part]
    assert sum(map(len, kept)) <= (len(before) + len(after)) * 4 / 3 + 8


@given(st.lists(SECRET, min_size=2, max_size=5))
def test_every_line_of_a_secret_of_many_lines_is_hidden(lines: list[str]) -> None:
    """A text that holds one line of a key, indented or numbered, shows nothing of it."""
    secrets = Secrets.of(["\n".join(lines) + "\n"])
    shown = secrets.hidden("\n".join(f"  {number}: {line}" for number, line in enumerate(lines)))
    assert not [line for line in lines if line in shown]


@given(st.lists(st.text("ABCDEFGHXYZ", min_size=3, max_size=9), min_size=2, max_size=6))
def test_a_secret_that_is_wrapped_is_hidden(words: list[str]) -> None:
    """Terraform wraps its errors at spaces, behind a frame."""
    shown = Secrets.of([" ".join(words)]).hidden("Error: the value " + "\n│ ".join(words) + " is wrong")
    assert shown == "Error: the value *** is wrong"


@pytest.mark.parametrize(
    ("secret", "text", "shown"),
    [
        (8080, "port 8080 of 18080, a8080", "port *** of 18080, a8080"),
        (123456789, "1234567890 and 123456789", "1234567890 and ***"),
        (98765432, "user98765432 u_98765432x", "user*** u_***x"),
        (98765432, base64.b64encode(b"admin:98765432").decode(), "YWRtaW46***I="),
        ("pin7", "pin7 pin77 (pin7)", "*** pin77 (***)"),
        ("abc", "abc", "abc"),
        (1, "1 to add", "1 to add"),
        (True, "true", "true"),
        ("true", "true", "true"),
        ("", "anything", "anything"),
        (None, "null None", "null None"),
        ({"a": ["deep-secret"]}, "x deep-secret", "x ***"),
    ],
)
def test_short_values_and_numbers_are_hidden_where_they_stand_alone(secret: Any, text: str, shown: str) -> None:
    """From 4 characters on as a word, from 6 anywhere; below, hiding would spoil the text and show the value."""
    assert Secrets.of([secret]).hidden(text) == shown


def test_the_longest_secret_is_hidden_first() -> None:
    """A secret that is part of another leaves no rest of it."""
    assert Secrets.of(["hunter22", "hunter22-and-more"]).hidden("hunter22-and-more") == "***"


def test_secrets_are_not_in_their_own_representation() -> None:
    """A traceback or a log that shows the object shows nothing."""
    assert repr(Secrets.of(["hunter22"])) == "Secrets(1)"


@given(st.lists(st.text("ab -", min_size=6, max_size=9).map(lambda text: f"Z{text.strip()}qqqqq"), max_size=12), WORDS)
def test_many_secrets_are_hidden_as_one_is(secrets: list[str], words: str) -> None:
    """Where some begin alike, and where one is the beginning of another."""
    secrets += [f"{secret}more" for secret in secrets[:3]]
    shown = Secrets.of(secrets).hidden(f"{words}{', '.join(secrets)}")
    assert shown == f"{words}{', '.join('***' for _ in secrets)}"


def test_thousands_of_secrets_and_ten_megabytes_are_read_in_seconds() -> None:
    """Many secrets and a long text cost one scan, not a scan each; a secret of many pages is no matter."""
    secrets = Secrets.of([*(f"secret-{number * 7919}-{'x' * (number % 30)}" for number in range(3000)), "x y" * 3000])
    text = "resource changed; " * 550_000 + "secret-55433-xxxxxxx"
    start = time.process_time()
    assert secrets.hidden(text).endswith("changed; ***")
    assert time.process_time() - start < 60


@pytest.mark.parametrize(("letters", "whole"), [(64, 60_000), (500_000, 500_000)])
def test_a_secret_may_be_a_large_file(letters: int, whole: int) -> None:
    """Of many lines, or half a megabyte in one, as it is and in base64: neither memory nor time is much."""
    digits = hashlib.shake_256(b"x").hexdigest(whole // 2)
    secret = "\n".join(digits[at : at + letters] + "&<>" for at in range(0, len(digits), letters))
    tracemalloc.start()
    start = time.process_time()
    shown = Secrets.of([secret]).hidden(f"a {secret} b {base64.b64encode(secret.encode()).decode()} c")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert shown.startswith("a *** b ***")
    assert len(shown) < 20
    assert peak < 400 * whole
    assert time.process_time() - start < 10


@pytest.mark.parametrize("between", [" ", " |", "| ", "\n", "\n| ", "│ "])
@pytest.mark.parametrize("end", ["secretvalue", ""])
def test_no_text_makes_the_search_last(between: str, end: str) -> None:
    """Runs of blanks and of what frames them are read once, whoever writes more of them than the secret has."""
    secret = f"key:{between * 30} {end or 'x'}"
    start = time.process_time()
    text = f"key:{between * 5000} other, {secret}"
    assert Secrets.of([secret]).hidden(text).endswith(" other, ***")
    assert time.process_time() - start < 5


def test_keys_of_a_secret_map_are_secret() -> None:
    """A token may be a key. What has the form of a name, or is written in the configuration, is none."""
    value = {"tokenkey-ABCDEF": "value-of-it", "user_name": "value-of-user", "clientId": "value-of-id"}
    reference = {"expressions": {"input": {"references": ["var.m.clientId", "var.m"]}}}
    module = {"variables": {"m": {"sensitive": True}}, "resources": [reference]}
    plan = {"configuration": {"root_module": module}, "variables": {"m": {"value": value}}}
    assert secrets_of_plan(plan).values == {*value.values(), "tokenkey-ABCDEF"}


def test_a_variable_that_the_settings_call_secret_is_secret() -> None:
    """Also where the module does not mark it; one that is too short for that has to be marked."""
    variables = {"long": {"value": {"deep": "value-of-it"}}, "tiny": {"value": "z9q"}, "none": {"value": "None"}}
    marks = {"long": {}, "tiny": {}, "none": {"sensitive": True}, "ephemeral": {}}
    plan = {"configuration": {"root_module": {"variables": marks}}, "variables": variables}
    assert secrets_of_plan(plan, list(marks)).values == {"value-of-it", "z9q", "None"}
    assert unmarked(plan, list(marks)) == ["tiny"]


PLAN: dict[str, Any] = {
    "configuration": {
        "root_module": {
            "variables": {"password": {"sensitive": True}, "token": {"sensitive": True, "default": "default-token"},
                          "open": {}},
            "module_calls": {
                "inner": {
                    "expressions": {"key": {"constant_value": "constant-of-a-call"}},
                    "module": {"variables": {"key": {"sensitive": True, "default": "default-of-a-call"}}},
                }
            },
        }
    },
    "variables": {"password": {"value": {"user": "name-in-a-map"}}, "open": {"value": "open-value"}},
    "output_changes": {"o": {"before": "output-before", "after": "output-after", "before_sensitive": True,
                             "after_sensitive": True},
                       "p": {"before": None, "after": "open-output", "after_sensitive": False}},
    "resource_changes": [
        {"type": "aws_db", "change": {"before": None, "after": {"a": ["open-item", "marked-item"], "b": "open-leaf"},
                                      "after_sensitive": {"a": [False, True]}}},
        {"type": "terraform_data", "change": {"before": {"input": "data-in", "output": "data-out"}, "after": None,
                                              "before_sensitive": {"input": True}, "after_sensitive": False}},
    ],
    "resource_drift": [{"type": "x", "change": {"before": {"v": "drift-before"}, "after": {"v": "drift-after"},
                                                "before_sensitive": {"v": True}, "after_sensitive": {"v": True}}}],
    "prior_state": {"values": {"outputs": {"o": {"sensitive": True, "value": "state-output"}},
                               "root_module": {"child_modules": [{"resources": [
                                   {"type": "x", "values": {"v": "state-value", "w": "open-state"},
                                    "sensitive_values": {"v": True}}]}]}}},
}  # fmt: skip
SECRETS_OF_PLAN = {
    "name-in-a-map", "default-token", "constant-of-a-call", "default-of-a-call", "output-before", "output-after",
    "marked-item", "data-in", "data-out", "drift-before", "drift-after", "state-output", "state-value",
}  # fmt: skip


def test_every_marked_value_of_a_plan_is_collected() -> None:
    """Variables, outputs, attributes before and after, drift, the state; and the output of a marked input."""
    assert secrets_of_plan(PLAN).values == SECRETS_OF_PLAN
    assert secrets_of_plan({}).values == frozenset()


def test_every_marked_value_of_a_state_is_collected() -> None:
    """`show -json` of a state has the same marks."""
    assert secrets_of_state(PLAN["prior_state"]).values == {"state-output", "state-value"}
    assert secrets_of_state({"format_version": "1.0"}).values == frozenset()


def test_a_document_loses_its_secrets_at_any_depth() -> None:
    """Keys too."""
    secrets = Secrets.of(["hunter22", 4711])
    document = {"a": ["hunter22", {"b-hunter22": 5}], "c": None, "d": [4711, 14711, True, 47.11]}
    assert secrets.hidden_in(document) == {"a": ["***", {"b-***": 5}], "c": None, "d": ["***", 14711, True, 47.11]}


def test_secrets_that_begin_alike_are_found_among_thousands_of_texts_that_do() -> None:
    """A list of tokens with one prefix, in a plan with a text of that prefix for each resource."""
    secrets = Secrets.of([f"arn:aws:iam::123456789012:role/{number:06}" for number in range(0, 10_000, 2)])
    text = " ".join(f"arn:aws:iam::123456789012:role/{number:06}" for number in range(10_000))
    start = time.process_time()
    assert secrets.hidden(text).count("***") == 5_000
    assert time.process_time() - start < 10


@given(SECRET, st.sampled_from(["", "a", "ab"]))
@example('a<b>&c;dEf"', "")
@example("pass\tword\\q", "")
def test_a_secret_is_hidden_in_base64_of_json(secret: str, before: str) -> None:
    """As a configuration of docker, or user data, has it."""
    for document in (json.dumps({before: secret}), WRITTEN["jsonencode"](secret)):
        text = base64.b64encode(document.encode()).decode()
        shown = Secrets.of([secret]).hidden(text)
        assert "***" in shown
        assert len(shown) < 40


def test_a_key_of_letters_alone_is_hidden_unless_it_is_short() -> None:
    """A short one may be the name of an attribute of a secret object, which looks the same."""
    value = {"plainalphakeytoken": "", "token-of-a-customer": "", "connection_string": ""}
    plan = {"output_changes": {"o": {"after": value, "after_sensitive": True}}}
    assert secrets_of_plan(plan).values >= {"plainalphakeytoken", "token-of-a-customer"}
    assert "connection_string" not in secrets_of_plan(plan).values
