"""`leverframe demo` opens the pull requests of a case on the local forge, and keeps their pages."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import psutil
import pytest
import yaml

from tests.integration.shop import Shop, copied, leftovers, wait_for
from tests.loop.forge import finished
from tests.warm import PATIENCE

DEMO = """\
changes:
  better:
    title: More trees
    replace: {"iterations: 12": "iterations: 40"}
  worse:
    title: One tree
    replace: {"iterations: 12": "iterations: 1"}
"""
LIVE = r"""
live:
  environment: demo
  merge: better
  prepare:
    "\ngate:\n": |

      deploy:
        verify_seconds: 3
        environments: {demo: {port: 0, grpc_port: 0, metrics_port: 0}}
      gate:
"""


@pytest.fixture
def shop(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A finished shop of one's own, with a gate."""
    return copied(finished(tmp_path_factory)[0], tmp_path)


@pytest.mark.deep
def test_the_demo_shows_pull_requests_and_goes_live(shop: Shop) -> None:
    """Both are judged rightly; the better one is merged and deployed under traffic, and a bad release comes back."""
    shop.repository.write("pipelines/shop/demo.yaml", DEMO + LIVE)
    shop.repository.commit("A demo")
    ended = shop.run("demo")
    assert ended.code == 0, ended.stderr
    _, output = ended.stdout.split("Pull requests, on the local forge\n")
    pulls, live = output.split("Deployments to a real MLServer\n")
    assert [line.split()[0] for line in pulls.splitlines() if "trees" in line or "tree" in line] == ["passed", "failed"]
    assert pulls.count("http://127.0.0.1:") == 2
    for branch, words in (("better", "ready to merge"), ("worse", "metric-dropped")):
        page = (shop.root / f".leverframe/demo/{branch}.html").read_text(encoding="utf-8")
        assert words in page
        assert "leverframe" in page.split("<h2>Checks</h2>")[1].split("</table>")[0]
        assert "<ins>" in page
    _went_live(live)
    back = (shop.root / ".leverframe/demo/revert.html").read_text(encoding="utf-8")
    assert "does not serve it" in back
    assert "too-slow: a prediction of 1 row by" in back  # its body says why
    assert "Merge pull request" not in back  # it reverts the push alone
    assert shop.repository.git("status", "--porcelain") == ""
    assert shop.repository.git("tag") == ""
    server = shop.root / ".leverframe/demo/machine/repository/.leverframe/servers/demo"
    assert (server / "server.log").exists()
    assert not (server / "server.json").exists()  # it ended in order
    assert leftovers(shop.root) == []
    assert _slow_runs(shop.root / ".dvc/cache") == []


def _slow_runs(cache: Path) -> list[str]:
    """Return what DVC recorded of runs that would give the slow bundle again to who trains the same model."""
    paths = []
    for path in (file for file in (cache / "runs").rglob("*") if file.is_file()):
        record = yaml.safe_load(path.read_text(encoding="utf-8"))
        for out in (entry for entry in record["outs"] if entry["path"] == "models/bundle"):
            listed = json.loads(_stored(cache, out["md5"]))
            onnx = [_stored(cache, file["md5"]) for file in listed if file["relpath"] == "model.onnx"]
            paths += [str(path) for content in onnx if b"slow_size" in content]
    return paths


def _stored(cache: Path, md5: str) -> bytes:
    return (cache / "files/md5" / md5[:2] / md5[2:]).read_bytes()


def _went_live(output: str) -> None:
    """Hold what was told of the releases, and of the clients that asked meanwhile."""
    verdicts = [line.split()[0] for line in output.splitlines() if line.startswith(("  passed", "  failed"))]
    assert verdicts == ["passed", "passed", "failed", "passed"]
    assert "too-slow: a prediction of 1 row by" in output
    assert "rolled back" not in output  # it never got traffic
    ((requests, failed),) = re.findall(r"([\d,]+) requests by entity keys, (\d+) failed", output)
    assert int(requests.replace(",", "")) > 100
    assert failed == "0"
    assert "by release 2 of commit" in output
    assert "tags      shop#demo#1, shop#demo#2, shop@v1.0.0, shop@v1.0.1" in output


@pytest.mark.deep
def test_a_demo_that_is_ended_ends_its_server(shop: Shop) -> None:
    """By SIGTERM, as `timeout` and a runner of jobs send it, while it deploys to a server of its own."""
    shop.repository.write("pipelines/shop/demo.yaml", DEMO + LIVE)
    shop.repository.commit("A demo")
    record = shop.root / ".leverframe/demo/machine/repository/.leverframe/servers/demo/server.json"
    demo = shop.start("leverframe", "demo")
    wait_for(lambda: record.exists() or demo.poll() is not None)
    server = psutil.Process(json.loads(record.read_bytes())["pid"])
    demo.terminate()
    assert demo.wait(PATIENCE) == 128 + signal.SIGTERM
    wait_for(lambda: not server.is_running())
    assert not record.exists()


@pytest.mark.deep
def test_a_demo_that_does_not_fit_the_settings_says_so(shop: Shop) -> None:
    """A text that is not there, or twice."""
    shop.repository.write("pipelines/shop/demo.yaml", DEMO.replace("iterations: 12", "iteration: 12"))
    shop.repository.commit("A demo")
    ended = shop.run("demo")
    assert ended.code == 18
    assert "params.yaml has it 0 times" in ended.stderr
