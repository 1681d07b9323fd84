"""A server that is started in a hostile place: it imports nothing there, gets no secret, and nobody reads its files."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.integration.shop import Shop, copied, finished

FREE = ("--port", "0", "--grpc-port", "0", "--metrics-port", "0", "--json")
OWN = """

from sklearn.base import BaseEstimator, TransformerMixin


class Same(TransformerMixin, BaseEstimator):
    def fit(self, rows, labels=None):
        self.fitted_ = True
        return self

    def transform(self, rows):
        return rows
"""
PLANTED = "from pathlib import Path\nPath(r'{}').touch()\nraise ImportError('planted')\n"
SECRETS = {"GITHUB_TOKEN": "g", "AWS_SECRET_ACCESS_KEY": "a", "DB_PASSWORD": "p", "SOME_SETTING": "s", "WANTED": "w"}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Return a shop with modules in its root that have the names of installed ones, and settings of the server."""
    shop = copied(finished(tmp_path_factory), tmp_path_factory.mktemp("isolated"))
    shop.repository.write("leverframe.yaml", "serve:\n  environment: [WANTED, GITHUB_TOKEN, MLSERVER_DEBUG]\n")
    for name in ("orjson", "mlserver", "uvicorn", "onnxruntime", "grpc"):
        shop.repository.write(f"{name}.py", PLANTED.format(shop.root / f"ran-{name}"))
    yield shop
    shop.run("serve", "--stop")


def test_of_two_that_start_one_server_comes(shop: Shop) -> None:
    """The other one says who is at it, and no process is left of it; both are killed and started like any."""
    environment = {**shop.repository.environment, **SECRETS, "MLSERVER_DEBUG": "true", "PYTHONPATH": f":.{os.pathsep}"}
    command = [sys.executable, "-P", "-m", "leverframe", "serve", *FREE]
    both = [
        subprocess.Popen(
            command, cwd=shop.root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    ended = [(*process.communicate(timeout=200), process.returncode) for process in both]
    assert sorted(code for _, _, code in ended) in ([0, 0], [0, 31]), ended  # or one came when the other had started
    for _, error, code in ended:
        assert code == 0 or "another command starts the server `default`" in error, error
    programs = {process.pid: " ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])}
    serving = [pid for pid, words in programs.items() if str(shop.root) in words and "leverframe.serving" in words]
    assert serving == [json.loads(shop.run("serve", "--status", "--json").stdout)["running"]["pid"]]


def test_nothing_is_imported_from_where_it_is_started(shop: Shop) -> None:
    """Whatever has the name of an installed package there."""
    status = json.loads(shop.run("serve", "--status", "--json").stdout)
    assert status["models"] == {"shop": [1]}
    assert sorted(path.name for path in shop.root.glob("ran-*")) == []
    assert Path(f"/proc/{status['running']['pid']}/cwd").readlink() == Path(status["folder"])


def test_it_is_given_no_secret(shop: Shop) -> None:
    """Only what a program needs, and what the settings pass; of that no token of the forge."""
    status = json.loads(shop.run("serve", "--status", "--json").stdout)
    given = psutil.Process(status["running"]["pid"]).environ()
    assert {name: given[name] for name in (*SECRETS, "MLSERVER_DEBUG", "PYTHONPATH") if name in given} == {
        "WANTED": "w"
    }
    assert {"PATH", "OMP_NUM_THREADS"} <= set(given)


def test_nobody_else_reads_its_files(shop: Shop) -> None:
    """Folder, key, configuration, logs and releases, with the request of a client in the log."""
    status = json.loads(shop.run("serve", "--status", "--json").stdout)
    made = [Path(status["folder"]), *Path(status["folder"]).rglob("*")]
    open_to_others = {path.name: oct(path.stat().st_mode) for path in made if stat.S_IMODE(path.stat().st_mode) & 0o077}
    assert open_to_others == {}
    assert {"key", "config.json", "server.log", "server.json", "models"} <= {path.name for path in made}


def test_own_types_come_from_the_case_that_trusts_them(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Wherever the server is started; a copy of bundle and settings in another folder is trusted in nothing."""
    shop = copied(finished(tmp_path_factory), tmp_path / "shop")
    model = shop.repository.read("pipelines/shop/model.py")
    shop.repository.write("pipelines/shop/model.py", model.replace("(columns, ", "(columns, Same(), ") + OWN)
    shop.replace(
        "params.yaml", "train:\n  estimator", "train:\n  trusted_types: [pipelines.shop.model.Same]\n  estimator"
    )
    for stage in ("train", "bundle"):
        ended = shop.run(stage)
        assert ended.code == 0, ended.stderr
    assert json.loads((shop.root / "models/bundle/MANIFEST.json").read_bytes())["engine"] == "skops"
    foreign = tmp_path / "foreign"
    shutil.copytree(shop.root / "models/bundle", foreign / "shop/1")
    shutil.copytree(shop.root / "pipelines", foreign / "pipelines")
    shutil.copy(shop.root / "params.yaml", foreign)
    try:
        served = shop.run("serve", "--as-is", *FREE)
        assert served.code == 0, served.stderr
        refused = subprocess.run(
            [sys.executable, "-P", "-m", "leverframe", "serve", ".", *FREE],
            cwd=foreign, env=shop.repository.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert refused.returncode == 28, refused.stdout
        assert "not trusted" in refused.stderr
    finally:
        shop.run("serve", "--stop")
