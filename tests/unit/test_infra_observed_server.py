"""What is seen of a machine as a document that Terraform reads: its values, types, and how generations are counted."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from leverframe.domain.infrastructure.observed_server import (
    ObservedFolder,
    ObservedServer,
    first_token,
    latest_generation,
    live_state,
    recorded_generation,
    settings_digest,
)
from leverframe.domain.release.serve import Running

DIGESTS = st.text("0123456789abcdef", min_size=64, max_size=64)
RUNNING = Running(7, 70, "127.0.0.1", 8080, 8081, 8082, f"{'a' * 64}@3")


def state(running: Running | None = RUNNING, *, answers: bool = True, generation: int = 3) -> dict[str, Any]:
    """Return the document of one server and two folders."""
    folders = {
        "dvc_remote": ObservedFolder("storage"),
        "model_repository": ObservedFolder(".leverframe/servers/local", 0o700, f"{'b' * 64}@2\nTerraform made it\n"),
    }
    return live_state(
        ObservedServer("local", running, answers, "s"), folders, generation, observed_at="2026-01-02T03:04:05Z"
    )


def values(document: dict[str, Any]) -> dict[str, Any]:
    """Return the values of the outputs."""
    return {name: output["value"] for name, output in document["outputs"].items()}


def test_a_server_that_answers_is_told_with_what_it_was_started_as() -> None:
    """Neither its number nor a folder of this machine is told: two machines that do the same say the same."""
    outputs = values(state())
    assert outputs["server"] == {
        "name": "local", "alive": True, "answers": True, "mark": RUNNING.mark, "settings": "s",
        "url": "http://127.0.0.1:8080", "port": 8080, "grpc_port": 8081, "metrics_port": 8082,
    }  # fmt: skip
    assert outputs["generation"] == 3


def test_a_server_that_is_gone_has_no_port_and_no_mark() -> None:
    """What was recorded of a process that ended is not told as if it ran."""
    server = values(state(None, answers=False))["server"]
    assert (server["alive"], server["answers"], server["mark"], server["url"], server["port"]) == (
        False,
        False,
        "",
        "",
        0,
    )


def test_folders_tell_permissions_and_marker() -> None:
    """A folder that is none has neither; a marker gives the token alone."""
    folders = values(state())["folders"]
    assert folders["dvc_remote"] == {"path": "storage", "mode": "", "mark": ""}
    assert folders["model_repository"] == {
        "path": ".leverframe/servers/local", "mode": "0700", "mark": f"{'b' * 64}@2",
    }  # fmt: skip


def test_types_are_those_of_the_values() -> None:
    """Terraform reads values by their types; a truth is no number there."""
    document = state()
    outputs = document["outputs"]
    assert outputs["generation"]["type"] == "number"
    assert outputs["observed_at"]["type"] == "string"
    kind, fields = outputs["server"]["type"]
    assert kind == "object"
    assert (fields["alive"], fields["port"], fields["mark"]) == ("bool", "number", "string")
    assert list(fields) == list(outputs["server"]["value"])
    assert document["version"] == 4
    assert document["resources"] == []


@given(digest=DIGESTS, numbers=st.lists(st.integers(min_value=1, max_value=10**8), max_size=5), noise=st.text())
def test_the_latest_generation_of_any_text_counts(digest: str, numbers: list[int], noise: str) -> None:
    """Wherever a token stands, in a state, a record or a marker, what follows is later than it."""
    texts = [f'"triggers_replace": "{digest}@{number}",\n{noise}' for number in numbers]
    assert latest_generation(texts) >= max(numbers, default=0)
    assert latest_generation([f"{digest}@{number} " for number in numbers]) == max(numbers, default=0)


def test_what_is_no_token_does_not_count() -> None:
    """A shorter digest, generation 0 and text after the number are something else."""
    for text in (f"{'a' * 63}@4", f"{'a' * 64}@0", f"{'a' * 64}@x", f"{'a' * 65}@4", f"{'a' * 64}@4b", "", "@4"):
        assert latest_generation([text]) == 0, text
        assert first_token(text) == "", text
    assert first_token(f"{'a' * 64}@4\nmore") == f"{'a' * 64}@4"


@given(generation=st.integers(min_value=0, max_value=10**6))
def test_a_document_tells_its_generation_again(generation: int) -> None:
    """The next observation begins where this one stood, also where every other record is gone."""
    assert recorded_generation(json.dumps(state(generation=generation))) == generation


@given(text=st.one_of(st.text(), st.sampled_from(["", "null", "[]", "{}", '{"outputs": 3}', '{"outputs": {}}'])))
def test_a_document_of_another_kind_has_no_generation(text: str) -> None:
    """A damaged file is written anew; it does not end the observation."""
    assert recorded_generation(text) == 0


def test_settings_have_one_digest_in_any_order() -> None:
    """The order of keys is no change, a value is."""
    assert settings_digest("1", {"a": 1, "b": 2}) == settings_digest("1", {"b": 2, "a": 1})
    assert settings_digest("1", {"a": 1}) != settings_digest("2", {"a": 1})
    assert settings_digest("1", {"a": 1}) != settings_digest("1", {"a": 2})
