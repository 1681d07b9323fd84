"""A cluster of Spark that is not there is told at once, before Java starts, and one that is waited for by its name."""

from __future__ import annotations

import logging
import socket
from pathlib import Path

import pytest

from leverframe.adapters.spark.session import session
from leverframe.errors import PipelineError


def refused(master: str) -> PipelineError:
    """Return why a session cannot start."""
    with pytest.raises(PipelineError) as caught, session(master, "512m"):
        pytest.fail("nothing runs there")
    return caught.value


@pytest.fixture
def java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file that a Java writes which cannot run Spark."""
    program = tmp_path / "home/bin/java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho started > {tmp_path}/started\necho 'too old' >&2\nexit 1\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(program.parents[1]))
    return tmp_path / "started"


def test_a_master_that_nobody_answers_for_is_told_before_java_starts(
    java: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spark would be silent for a minute; the port is one that was free a moment ago, the other no name of a host."""
    monkeypatch.setattr(logging.getLogger("leverframe"), "propagate", True)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with caplog.at_level(logging.INFO, logger="leverframe"):
        error = refused(f"spark://127.0.0.1:{port},nowhere.invalid:7077")
    assert f"waiting for the Spark cluster at `spark://127.0.0.1:{port},nowhere.invalid:7077`" in caplog.messages
    assert error.why.startswith("nobody answers there: no cluster runs")
    assert not java.exists()


def test_what_may_be_a_cluster_is_left_to_spark(java: Path) -> None:
    """One of several that answers is enough; where others are, only Spark knows."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        refused(f"spark://nowhere.invalid:7077,127.0.0.1:{server.getsockname()[1]}")
    assert java.exists()
    java.unlink()
    refused("yarn")
    assert java.exists()
