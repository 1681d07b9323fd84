"""The demo of the reference case fits its files: each text that it replaces stands there once; settings are valid."""

from __future__ import annotations

from pathlib import Path

import pytest

from leverframe.demo.declared import Declared, Loop
from leverframe.documents import read
from leverframe.settings.levers import levers_of
from leverframe.settings.params import params_of
from leverframe.yaml_files import parse

ROOT = Path(__file__).parents[2]
CASE = ROOT / "pipelines/flights"


@pytest.fixture(scope="module")
def loop() -> Loop:
    """Return the loop of the reference case."""
    declared = read(CASE / "demo.yaml", Declared, what="the demo").loop
    assert declared is not None
    return declared


def changed(text: str, changes: dict[str, str]) -> str:
    """Return a text with changes, each of which has one place."""
    for old, new in changes.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def test_settings_of_the_demo_are_valid(loop: Loop) -> None:
    """After the changes of the start and those of a wish; the server is one that Terraform starts."""
    text = changed((ROOT / "leverframe.yaml").read_text(encoding="utf-8"), loop.levers)
    levers = levers_of(text, name="leverframe.yaml")
    assert levers.infra.environments[loop.environment].observe == "local"
    assert loop.environment in levers.deploy.environments
    assert (ROOT / str(levers.infra.environments[loop.environment].root) / "main.tf").is_file()
    assert loop.wish is not None
    levers_of(changed(text, loop.wish.replace), name="leverframe.yaml")
    params = changed((ROOT / "params.yaml").read_text(encoding="utf-8"), loop.params)
    params_of(parse(params, name="params.yaml", what="settings file"), name="params.yaml")


def test_every_event_is_in_a_partition_that_passes(loop: Loop) -> None:
    """A bug, a wish, a slow release and an outage happen, the last two also in the quick demo."""
    events = [loop.fault, loop.wish, loop.slow, loop.outage]
    assert {event.partition for event in events if event} <= set(loop.partitions)
    assert all(event and event.partition in loop.quick for event in (loop.slow, loop.outage))
    assert set(loop.quick) <= set(loop.partitions)


def test_the_bug_of_the_demo_has_its_place(loop: Loop) -> None:
    """The lines of the case that it changes are as they were."""
    assert loop.fault is not None
    changed((CASE / loop.fault.file).read_text(encoding="utf-8"), loop.fault.replace)
