"""`leverframe demo`: progress while it goes on, a summary at the end, and no stage that survives it."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import psutil
import pytest

from tests.integration.shop import Shop, alive, copied, demonstrated, family, finished, leftovers, wait_for

LINE = re.compile(r"^\[ ?(\d+)/23\] ([\w@-]+) +(unchanged|\d+\.\d s)$")


@pytest.fixture
def shop(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Return a reproduced shop that the test may change."""
    return copied(finished(tmp_path_factory), tmp_path)


def progress(stderr: str) -> list[tuple[int, str, str]]:
    """Return number, stage and end of every line of progress."""
    matches = [LINE.match(line) for line in stderr.splitlines()[1:]]
    assert all(matches), stderr
    return [(int(match[1]), match[2], match[3]) for match in matches if match]


def test_a_first_run_tells_each_stage_and_sums_up(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Progress goes to stderr with a counter and seconds, the summary to stdout, in the order a person asks."""
    shop, ended = demonstrated(tmp_path_factory)
    assert ended.code == 0, ended.stderr
    assert ended.stderr.startswith("23 stages, 23 of them to run; the full output goes to .leverframe/repro.log\n")
    stages = progress(ended.stderr)
    assert [number for number, *_ in stages] == list(range(1, 24))
    assert {name for _, name, _ in stages} == set(shop.status())
    assert all(took.endswith(" s") for *_, took in stages)
    titles = [line for line in ended.stdout.splitlines() if line and not line.startswith(" ")]
    assert titles == [
        "Data",
        "Contracts",
        "Training set",
        "Model on the hold-out",
        "Time",
        "Pictures",
        "Try next, after `. .venv/bin/activate`",
    ]
    for words in (
        "orders       2,415 rows in 5 partitions",
        "14 features for the label `late` (binary)",
        "train    2024-01 to 2024-03  1,386 rows",
        "937 rows of 61 days",
        "0 failed, 0 warnings",
        "reports/pictures/",
        "leverframe explain --partition 2024-05 --row 0",
    ):
        assert words in ended.stdout, words
    assert re.search(r"^  ingest +\d+\.\d s +6 x +\d+ MB  █", ended.stdout, re.MULTILINE)
    assert shop.run("explain", "--partition", "2024-05", "--row", "0").code == 0
    assert shop.stale() == set()


def test_a_second_run_has_nothing_to_do(shop: Shop) -> None:
    """Every stage is told as unchanged, the summary is the same, and nothing is written again."""
    before = shop.outputs()
    ended = shop.run("demo")
    assert ended.code == 0, ended.stderr
    assert ended.stderr.startswith("23 stages, 0 of them to run;")
    assert {took for *_, took in progress(ended.stderr)} == {"unchanged"}
    assert "937 rows of 61 days" in ended.stdout
    assert shop.outputs() == before


def test_a_failing_stage_ends_it_with_the_words_of_the_stage(shop: Shop) -> None:
    """Exit 18, one message that names stage and cause, no summary of results that do not belong together."""
    shop.replace("params.yaml", "{iterations: 5}", "{iterations: 5, leaves: 3}")
    ended = shop.run("demo")
    assert ended.code == 18
    assert ended.stdout == ""
    what, why, _ = ended.error()
    assert what.startswith("stage `train` failed: ")
    assert "leaves" in what + why
    own = shop.run("train")
    assert own.code == 11
    assert what == f"stage `train` failed: {own.error()[0]}"


def test_an_interrupted_demo_leaves_no_process_behind(shop: Shop) -> None:
    """Ctrl-C while a stage works: exit 130, and DVC and the stage are gone with it."""
    shop.edit("orders", "2024-03", lambda rows: rows.pop())
    before, hold = shop.outputs(), shop.hold("2024-03")
    demo = shop.start("leverframe", "demo")
    stage = shop.held("2024-03")
    processes = family(psutil.Process(demo.pid))
    assert stage in processes
    demo.send_signal(signal.SIGINT)
    _, stderr = demo.communicate(timeout=20)
    assert demo.returncode == 130
    assert stderr.rstrip().endswith("interrupted")
    assert "Traceback" not in stderr
    wait_for(lambda: not alive(processes))
    assert leftovers(shop.root) == []
    hold.unlink()
    assert shop.repro("ingest@2024-03") == {"ingest@2024-03"}
    assert len(before) == len(shop.outputs())
