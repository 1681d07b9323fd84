"""`leverframe demo` lets partitions pass: a decayed model is retrained, merged and deployed, broken data are not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.integration.shop import Shop, copied, leftovers
from tests.loop.forge import finished

GOLDEN = Path(__file__).parents[1] / "golden" / "demo" / "loop.txt"
DEMO = r"""
loop:
  environment: demo
  params:
    "  last: \"2024-05\"\n  timezone": "  last: \"2024-02\"\n  timezone"
    'train: {first: "2024-01", last: "2024-03"}': 'train: {first: "2024-01", last: "2024-01"}'
    'holdout: {first: "2024-04", last: "2024-05"}': 'holdout: {first: "2024-02", last: "2024-02"}'
  levers:
    "\ngate:\n": |

      deploy:
        verify_seconds: 3
        replay: 0
        maximum_slowdown: 8
        environments: {demo: {port: 0, grpc_port: 0, metrics_port: 0}}
      serve:
        log: {seconds: 0.5}
      monitor:
        environment: demo
        engine: builtin
        minimum_rows: 10
        columns: {time: as_of}
        labels: {path: .leverframe/labels/*.csv, on: [id, row], known_at: known_at}
        performance: {label_delay_days: 7, metrics: [auc]}
        classifier: {every: never}
      retrain:
        maximum_age_days: 60
        minimum_rows: 100
        checks: event
      gate:
  partitions: ["2024-03", "2024-04"]
  quick: ["2024-03"]
  fault:
    partition: "2024-04"
    title: Take the orders from another system
    file: sources.py
    replace:
      "    return timed.with_columns(": "    return timed.with_columns(amount=pl.col(\"amount\") * 100).with_columns("
"""


@pytest.fixture
def shop(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A finished shop whose lamps are late from February on, and no longer its desks."""
    shop = copied(finished(tmp_path_factory)[0], tmp_path)
    for month in ("2024-02", "2024-03", "2024-04"):
        shop.edit("orders", month, _swap)
    shop.repository.write("pipelines/shop/demo.yaml", DEMO)
    shop.repository.commit("A demo")
    return shop


def _swap(rows: list[dict[str, str]]) -> None:
    """Let an order of a lamp be one of a desk, and the other way round: what was late arrives in time."""
    names, prices = {"desk": "lamp", "lamp": "desk"}, {"desk": 180.0, "lamp": 25.25}
    for row in rows:
        row["product"] = names.get(row["product"], row["product"])
        if row["product"] in prices:
            price = prices[row["product"]]
            row["price"], row["amount"] = f"{price:.2f}", f"{price * int(row['quantity']):.2f}"


def test_partitions_pass_in_the_demo(shop: Shop) -> None:
    """Every step stands in the timeline; pull requests, issues, releases and pages are there, and nothing runs on."""
    ended = shop.run("demo")
    assert ended.code == 0, ended.stderr
    _, told = ended.stdout.split("\nstart\n")
    timeline, pages = told.split("\nPages\n")
    assert _without_figures(timeline) == GOLDEN.read_text(encoding="utf-8")
    assert pages.lstrip().startswith("#1 ")
    folder = shop.root / ".leverframe/demo"
    pull, issue = (folder / name for name in ("pull-1.html", "issue-2.html"))
    assert "merged" in pull.read_text(encoding="utf-8")
    assert "violates its contract in 2024-04" in issue.read_text(encoding="utf-8")
    for name in ("timeline.html", "dashboard.html"):
        assert "2024-04" in (folder / name).read_text(encoding="utf-8")
    machine = folder / "machine/repository"
    server = machine / ".leverframe/servers/demo"
    assert (server / "server.log").exists()
    assert not (server / "server.json").exists()  # it ended in order
    assert shop.repository.git("tag") == ""  # nothing is deployed of the repository itself
    assert leftovers(shop.root) == []


def _without_figures(text: str) -> str:
    """Return the timeline without numbers, which seconds, versions of libraries and rounding move."""
    return re.sub(r"\b[0-9a-f]{12}\b|[+-]?\d[\d,.]*(?<![.,])", "N", text).rstrip() + "\n"
