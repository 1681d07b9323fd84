"""`leverframe demo` lets partitions pass: a decayed model is retrained, merged and deployed, broken data are not."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from leverframe import wiring
from leverframe.demo.provisioned import Provisioned
from leverframe.demo.scene import Scene
from leverframe.local.github.server import serving
from tests.integration.laptop import INFRA as INFRA_SETTINGS
from tests.integration.laptop import bare_laptop, with_terraform
from tests.integration.shop import Shop, copied, leftovers
from tests.loop.forge import finished

INFRA = "  infra "
PROGRAM = bool(shutil.which("terraform") or shutil.which("tofu"))
HEALED = [
    "planned: N to create; applied in N s: http://N:N answers, without a model yet",
    "the server is killed; planned: replace module.serving.terraform_data.server; applied in N s: release N answers "
    "again; N requests before and N after, N failed",
]
LEFT_OUT = ["left out"]
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
      infra:
        environments:
          demo:
            observe: local
            root: terraform/environments/local
            workspace: demo
            variables: {port: 0, grpc_port: 0, metrics_port: 0}
      gate:
  partitions: ["2024-03", "2024-04"]
  quick: ["2024-03"]
  outage:
    partition: "2024-03"
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
    with_terraform(shop.repository)
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


@pytest.mark.deep
def test_partitions_pass_in_the_demo(shop: Shop) -> None:
    """Every step stands in the timeline; pull requests, issues, releases and pages are there, and nothing runs on."""
    ended = shop.run("demo")
    assert ended.code == 0, ended.stderr
    _, output = ended.stdout.split("\nstart\n")
    timeline, pages = output.split("\nPages\n")
    lines = _without_figures(timeline).splitlines(keepends=True)
    assert "".join(line for line in lines if not line.startswith(INFRA)) == GOLDEN.read_text(encoding="utf-8")
    platform = [line.removeprefix(INFRA).strip() for line in lines if line.startswith(INFRA)]
    assert (platform if PROGRAM else [line.partition(",")[0] for line in platform]) == (HEALED if PROGRAM else LEFT_OUT)
    assert pages.lstrip().startswith("#1 ")
    folder = shop.root / ".leverframe/demo"
    pull, issue = (folder / name for name in ("pull-1.html", "issue-2.html"))
    assert "merged" in pull.read_text(encoding="utf-8")
    assert "violates its contract in 2024-04" in issue.read_text(encoding="utf-8")
    for name in ("timeline.html", "dashboard.html"):
        assert "2024-04" in (folder / name).read_text(encoding="utf-8")
    assert ("no process and no port is left" in (folder / "timeline.html").read_text(encoding="utf-8")) is PROGRAM
    machine = folder / "machine/repository"
    server = machine / ".leverframe/servers/demo"
    assert (server / "server.log").exists()
    assert not (server / "server.json").exists()  # it ended in order
    assert (machine / ".leverframe/infra/demo/terraform.tfstate").exists() is PROGRAM
    assert shop.repository.git("tag") == ""  # nothing is deployed of the repository itself
    assert leftovers(shop.root) == []


def test_without_terraform_the_demo_says_what_it_leaves_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line with the reason and where a program is; nothing has started."""
    laptop = bare_laptop(tmp_path / "machine")
    laptop.shop.repository.write("leverframe.yaml", INFRA_SETTINGS.replace("infra:\n", "infra:\n  tool: nowhere\n"))
    monkeypatch.chdir(laptop.root)
    with serving(tmp_path / "forge") as server:
        scene = Scene(wiring.workspace(), tmp_path, server, print)
        applied, words = Provisioned(scene, laptop.shop.repository, "local").created()
    assert not applied
    assert "`nowhere` is not on PATH" in words
    assert "https://developer.hashicorp.com/terraform/install" in words
    assert "\n" not in words
    assert not laptop.folder.exists()


def _without_figures(text: str) -> str:
    """Return the timeline without numbers, which seconds, versions of libraries and rounding move."""
    return re.sub(r"\b[0-9a-f]{12}\b|[+-]?\d[\d,.]*(?<![.,])", "N", text).rstrip() + "\n"
