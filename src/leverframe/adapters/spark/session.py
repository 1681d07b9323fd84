"""How a Spark session is opened: quiet, in UTC, on this machine's loopback, and always stopped."""

from __future__ import annotations

import logging
import os
import re
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from leverframe.errors import PipelineError
from leverframe.words import first_line

_LOCAL = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    # A table that a join sends to every task lies in a page of its own for as long as the session, however small it
    # is. By default a page takes up to 64 MB of the heap, which Spark does not count: 20 joins would fill it.
    "spark.buffer.pageSize": "2m",
}
_ALWAYS = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.catalogImplementation": "in-memory",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.caseSensitive": "true",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    # Timestamps are those of today's calendar at any age, as every other reader of the files has it.
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.int96RebaseModeInRead": "CORRECTED",
}


@dataclass(frozen=True)
class SparkChoice:
    """Which settings ask for Spark, and what to choose instead; for errors."""

    section: str
    instead: str


_log = logging.getLogger(__name__)
_ADDRESS = re.compile(r"\[?([^\[\]]+)\]?:([0-9]{1,5})")
_SECONDS = 10.0  # for a connection to a master; Spark itself takes a minute to give up

BUILD = SparkChoice("features", "set `features.engine: duckdb`")


@contextmanager
def session(master: str, memory: str, chosen: SparkChoice = BUILD) -> Iterator[SparkSession]:
    """Yield a session on ``master`` and stop it at the end; raises ``PipelineError`` where none can start."""
    _need_java(chosen)
    if not master.startswith("local"):
        _look_for(master, chosen)
    spark = _started(master, memory, chosen)
    try:
        yield spark
    finally:
        spark.stop()


def _started(master: str, memory: str, chosen: SparkChoice) -> SparkSession:
    local = master.startswith("local")
    builder = SparkSession.Builder().appName("leverframe").master(master)
    sizes = {"spark.driver.memory" if local else "spark.executor.memory": memory}
    for key, value in {**_ALWAYS, **(_LOCAL if local else {}), **sizes}.items():
        builder = builder.config(key, value)
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # workers are of the same environment
    if local:
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    with tempfile.TemporaryFile() as noise:
        try:
            with _terminal_into(noise.fileno()):
                spark = builder.getOrCreate()
        except Py4JError as error:  # Java runs, and refuses the master
            raise _cannot_start(master, _told(error), chosen) from error
        except (PySparkException, OSError) as error:
            raise _cannot_start(master, _last_line(noise.fileno()) or str(error), chosen) from error
    spark.sparkContext.setLogLevel("ERROR")
    if local:  # a few cores need few parts; what a cluster needs, Spark finds out from the size
        spark.conf.set("spark.sql.shuffle.partitions", str(2 * spark.sparkContext.defaultParallelism))
    return spark


def _look_for(master: str, chosen: SparkChoice) -> None:
    """Tell that a cluster is waited for; raises ``PipelineError`` where its address is known and nobody answers."""
    _log.info("waiting for the Spark cluster at `%s`", master)
    addresses = _addresses(master)
    if addresses and not any(map(_answers, addresses)):
        raise _cannot_start(master, "nobody answers there: no cluster runs, or the network does not lead to it", chosen)


def _addresses(master: str) -> list[tuple[str, int]]:
    """Return hosts and ports of a standalone cluster; none for others, and for what Java refuses better."""
    kind, _, places = master.partition("://")
    matches = [_ADDRESS.fullmatch(place) for place in places.split(",")] if kind == "spark" else []
    return [(place[1], int(place[2])) for place in matches if place] if all(matches) else []


def _answers(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=_SECONDS).close()
    except (OSError, ValueError, OverflowError):  # of a name or a port that is none as well
        return False
    return True


@contextmanager
def _terminal_into(target: int) -> Iterator[None]:
    """Let what is started here write its warnings into ``target``; errors reach us as exceptions."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        os.dup2(target, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _told(error: Py4JError) -> str:
    """Return what Java says, without where it says it."""
    messages = [line.strip() for line in str(error).splitlines() if "Exception: " in line]
    return (messages[0].partition("Exception: ")[2] if messages else first_line(error))[:300]


def _last_line(written: int) -> str:
    os.lseek(written, 0, os.SEEK_SET)
    lines = os.read(written, 100_000).decode(errors="replace").splitlines()
    messages = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("at ")]
    return messages[-1][:300] if messages else ""


def _need_java(chosen: SparkChoice) -> None:
    home = os.environ.get("JAVA_HOME")
    if not (shutil.which("java") or (home and (Path(home) / "bin/java").exists())):
        raise PipelineError(
            "the engine `spark` cannot start",
            why="Spark runs on Java, and no `java` is on PATH or under JAVA_HOME",
            next=f"install Java 17 or later, or {chosen.instead}",
        )


def _cannot_start(master: str, why: str, chosen: SparkChoice) -> PipelineError:
    return PipelineError(
        f"the engine `spark` cannot start on `{master}`",
        why=why,
        next=f"fix `{chosen.section}.spark` in params.yaml or the cluster, or {chosen.instead}",
    )
