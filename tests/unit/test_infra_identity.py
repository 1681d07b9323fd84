"""A job of GitHub as a role of AWS: one token in a private file, renewed, and gone at the end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from leverframe.adapters.oidc import Asking, aws_identity
from leverframe.errors import ForgeUnreachableError, InfraError
from tests.fakes.identities import BEARER, Issuer, issuing

ROLE, REGION = "arn:aws:iam::123456789012:role/leverframe-plan", "eu-central-1"
QUICK = Asking(timeout=2.0, tries=3, pause=0.01, least=0.02)


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with issuing() as state:
        yield state


def identity(environment: dict[str, str], tell: list[str] | None = None, masked: list[str] | None = None):  # type: ignore[no-untyped-def]
    """Return the block under test."""
    tell, masked = [] if tell is None else tell, [] if masked is None else masked
    return aws_identity(ROLE, REGION, environment, tell=tell.append, mask=masked.append, asking=QUICK)


def test_a_program_gets_a_file_that_only_this_user_reads(issuer: Issuer) -> None:
    """The audience is that of AWS; other keys of AWS are left out, the token is masked, and nothing stays."""
    messages: list[str] = []
    masked: list[str] = []
    others = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_PROFILE": "mine", "PATH": "/bin", "GITHUB_RUN_ID": "77"}
    with identity(issuer.environment | others, messages, masked) as given:
        file = Path(given["AWS_WEB_IDENTITY_TOKEN_FILE"])
        assert file.read_text() == issuer.tokens[0]
        assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
        assert {name for name in given if name.startswith("AWS")} == {
            "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_SESSION_NAME", "AWS_REGION", "AWS_DEFAULT_REGION",
        }  # fmt: skip
        assert (given["AWS_ROLE_ARN"], given["AWS_REGION"], given["PATH"]) == (ROLE, REGION, "/bin")
        assert given["AWS_ROLE_SESSION_NAME"] == "leverframe-77"
        assert issuer.tokens[0] not in given.values()
    assert not file.parent.exists()
    assert (issuer.asked, masked, messages) == ([("sts.amazonaws.com", f"bearer {BEARER}")], issuer.tokens, [])


def test_a_token_is_renewed_while_the_command_runs(issuer: Issuer) -> None:
    """Long before it ends, also after the runner did not answer for a while; that is told once."""
    issuer.lives = 0.2
    messages: list[str] = []
    with identity(issuer.environment, messages) as given:
        file = Path(given["AWS_WEB_IDENTITY_TOKEN_FILE"])
        issuer.answers += [(503, b"busy")] * 3
        _wait(lambda: len(issuer.tokens) >= 3)
        _wait(lambda: file.read_text() == issuer.tokens[-1])
    count = len(issuer.tokens)
    time.sleep(0.15)
    assert len(issuer.tokens) == count, "nobody asks after the end"
    assert len(messages) == 1
    assert "answered 503" in messages[0]


def test_a_job_without_the_permission_is_told_which_one_it_needs(issuer: Issuer) -> None:
    """Where the runner gives no address, where it refuses, and on a machine of one's own."""
    for status in (401, 403):
        issuer.answers = [(status, b"secret words of the runner")]
        with pytest.raises(InfraError) as refused, identity(issuer.environment):
            pass
        assert "id-token: write" in refused.value.next
        assert str(status) in refused.value.why
        assert "secret words" not in refused.value.render()
    for name in issuer.environment:
        less = {key: value for key, value in issuer.environment.items() if key != name}
        with pytest.raises(InfraError) as missing, identity(less):
            pass
        assert name in missing.value.why
        assert "id-token: write" in missing.value.next
        assert "leave `--role` out" in missing.value.next


@pytest.mark.parametrize(
    "answer",
    [(503, b""), (429, b""), (200, b"{}"), (200, b"no json"), (200, b'{"value": "a\\nb"}'), (200, b'{"value": 7}')],
)
def test_a_runner_that_does_not_answer_is_asked_again(issuer: Issuer, answer: tuple[int, bytes]) -> None:
    """And named where it never does, without its address or the bearer."""
    issuer.answers = [answer] * 2
    with identity(issuer.environment) as given:
        assert Path(given["AWS_WEB_IDENTITY_TOKEN_FILE"]).read_text() == issuer.tokens[0]
    issuer.answers = [answer] * 3
    with pytest.raises(ForgeUnreachableError) as error, identity(issuer.environment):
        pass
    assert BEARER not in error.value.render()
    assert "127.0.0.1" not in error.value.render()


def test_nothing_is_sent_in_clear_or_to_another_place(issuer: Issuer) -> None:
    """A redirect is not followed; http is for this machine alone; a closed port is no traceback."""
    issuer.answers = [(302, b"")]
    with pytest.raises(InfraError), identity(issuer.environment):
        pass
    assert len(issuer.asked) == 1
    clear = issuer.environment | {"ACTIONS_ID_TOKEN_REQUEST_URL": "http://runner.example/token"}
    with pytest.raises(InfraError, match="not encrypted"), identity(clear):
        pass
    closed = issuer.environment | {"ACTIONS_ID_TOKEN_REQUEST_URL": "http://127.0.0.1:9/token"}
    with pytest.raises(ForgeUnreachableError), identity(closed):
        pass


@pytest.mark.parametrize(
    ("role", "region"),
    [("leverframe", REGION), ("arn:aws:iam::1:role/x", REGION), (ROLE, ""), ("", REGION), (ROLE, "eu"),
     (f"{ROLE}\n", REGION)],
)  # fmt: skip
def test_a_role_and_a_region_have_their_form(role: str, region: str) -> None:
    """They are refused before anybody is asked."""
    with (
        pytest.raises(InfraError) as wrong,
        aws_identity(role, region, {}, tell=print, mask=print, asking=QUICK),
    ):
        pass
    assert "such as" in wrong.value.next


def _wait(done: object) -> None:
    until = time.monotonic() + 5
    while not done():  # type: ignore[operator]
        assert time.monotonic() < until
        time.sleep(0.01)
