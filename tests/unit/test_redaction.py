"""What other processes are not given, and what their words may not hold."""

from __future__ import annotations

import os
import time
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from leverframe.adapters import dvc, mlserver
from leverframe.redaction import _RULES, FORGE_TOKENS, redacted, without_forge

WORDS = st.text("abcdefghijklmnopqrstuvwxyz .,()", max_size=20)
SECRET = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_+@/!$%^#,)}]", min_size=6, max_size=40).map(
    lambda text: "Z" + text
)
PLACES = (
    "postgresql://admin:{}@db.internal:5432/x",
    "redis://:{}@cache:6379/0",
    "'https://x-access-token:{}@github.com/o/r.git/'",
    "https://bucket.s3.amazonaws.com/x?X-Amz-Signature={}",
    "/x?a=1&sig={}",
    "host=db password={} user=x",
    "{{'password': '{}', 'user': 'x'}}",
    '{{"access_token": "{}"}}',
    '{{\\"client_secret\\": \\"{}\\"}}',
    "db_password: {}",
    "PASSWORD2 = {}",
    "AccountKey={};EndpointSuffix=x",
    "Driver=x;UID=sa;PWD={};",
    "curl --token {} -v",
    "Authorization: Basic {}",
    "authorization=Bearer {}",
    "{{'Authorization': 'token {}'}}",
    "X-Api-Key: {}",
    "cookie: session={}",
    "key={}",
)


@given(st.sampled_from(PLACES), SECRET, WORDS, WORDS)
def test_a_secret_is_hidden_wherever_it_stands(place: str, secret: str, before: str, after: str) -> None:
    shown = redacted(f"{before} {place.format(secret)} {after}", {})
    assert secret not in shown
    assert "***" in shown
    assert shown.startswith(before)
    assert redacted(shown, {}) == shown


@given(
    st.sampled_from(("GITHUB_TOKEN", "DB_PASSWORD", "PGPASSWORD", "MYSQL_PWD", "CLIENT_SECRET_V2", "API_KEY",
                     "AWS_ACCESS_KEY_ID", "SLACK_WEBHOOK", "SIGNING_KEY", "DB_PASS", "SMTP_AUTH", "PRIVATE_KEY_PEM")),
    SECRET,
    st.sampled_from(("{}", "it was {}, no more", "a{}b")),
)  # fmt: skip
@example("DEPLOY_KEY", "-----BEGIN KEY-----\nabcdefgh\n", "{}")
def test_the_value_of_a_secret_variable_is_hidden(name: str, secret: str, sentence: str) -> None:
    for form in (secret, quote(secret, safe=""), *secret.splitlines()):
        assert form not in redacted(sentence.format(form), {name: secret, "HOME": "/root"})


def test_the_password_of_an_address_in_the_environment_is_hidden_alone() -> None:
    assert redacted("wrong password hunter2!", {"DATABASE_URL": "postgresql://a:hunter2!@db/x"}) == "wrong password ***"


@pytest.mark.parametrize(
    "token",
    ["ghp_abcdefgh1234", "github_pat_11AA_bb", "xoxb-123456-abc", "AKIAIOSFODNN7EXAMPLE", "eyJhbGciOi.eyJzdWI.x"],
)
def test_a_token_that_says_what_it_is_is_hidden(token: str) -> None:
    assert redacted(f"got {token}", {}) == "got ***"


@given(WORDS)
@example("mail ann@example.org or git@github.com:owner/repo.git")
@example("the model at models/x@2024-01 is missing; stage features@2024-01-01/b@x failed")
@example("failed to reproduce 'features@2024-01': exited with 1; passes: 4, bypass=3, compass: north")
@example('Duplicate key "id: 5" violates primary key constraint at 2026-01-01 10:00:00')
@example("the token of a stage; its password is missing; a secret to no one")
def test_other_words_stay(text: str) -> None:
    assert (
        redacted(text, {"SHORT_KEY": "ab", "EMPTY_TOKEN": "", "PWD": "/stage", "TOKENIZERS_PARALLELISM": "stages"})
        == text
    )


@pytest.mark.parametrize(
    "line",
    ["://", "a:", "token", "?a", "'\\", "-", "a.", "password='", "://a?", "--token ", "://a:b", "eyJaaaa", "-token"],
)
def test_a_long_line_takes_no_longer_than_its_length(line: str) -> None:
    began = time.perf_counter()
    redacted(line * (20_000 // len(line)), {})
    assert time.perf_counter() - began < 5


def test_no_child_gets_a_token_of_the_forge_and_dvc_keeps_what_opens_its_remote(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tokens = {name.replace("*", "TOKEN") for name in FORGE_TOKENS}
    assert {"GITHUB_TOKEN", "GH_TOKEN", "REPO_TOKEN", "CML_TOKEN", "ACTIONS_RUNTIME_TOKEN"} <= tokens
    for name in (*tokens, "AWS_SECRET_ACCESS_KEY", "DB_PASSWORD", "HTTPS_PROXY", "FEATURES_REDIS", "MLSERVER_DEBUG"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("LC_TIME", "C")
    monkeypatch.setenv("PYTHONPATH", f"{os.pathsep}.{os.pathsep}relative{os.pathsep}/absolute")
    stage, server = dvc._environment(""), mlserver._environment([*tokens, "FEATURES_REDIS", "MLSERVER_DEBUG"])
    assert not tokens & {*stage, *server, *without_forge(dict.fromkeys(tokens, "x"))}
    assert {"AWS_SECRET_ACCESS_KEY", "FEATURES_REDIS"} <= set(stage)
    assert "FEATURES_REDIS" in server
    assert not {"AWS_SECRET_ACCESS_KEY", "DB_PASSWORD", "HTTPS_PROXY", "MLSERVER_DEBUG"} & set(server)
    assert (server["PYTHONPATH"], server["LC_TIME"]) == ("/absolute", "C")


PIECES = st.sampled_from(
    ["pa\u017f\u017fword", "PASSWORD", "To\u212aen", "api_key", "Authorization", "BEARER", "://", "u:p@h", "?", "&a=",
     "key", "GHP_abcdefxy", "GITHUB_PAT_abcdefxy", "sk-abcdefxy", "AKIAABCDEFGHIJKL", "eyJabcdef.abc", " ", "=", ": ",
     "'x'", "word", "--secret", "\u0130", "\n"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=12).map("".join))
def test_a_rule_is_passed_over_only_where_it_changes_nothing(text: str) -> None:
    """What a rule looks for first is in every text that the rule changes, in whatever letters."""
    expected = text
    for _, pattern, into in _RULES:
        expected = pattern.sub(into, expected)
    assert redacted(text, {}) == expected
