"""A command without a package that it needs names the extra to install; each extra is blocked in its own process."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.shop import Shop, copied, finished
from tests.profiles import by_day

WITHOUT = """
import os, sys
from leverframe.package import _module, _requirements

extra, commands = sys.argv[1], sys.argv[2:]
blocked = {_module(name).partition(".")[0] for name, of in _requirements() if of == extra}

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())
from leverframe.cli import main
for command in commands:
    if os.fork() == 0:
        sys.argv = ["leverframe", *command.split()]
        main()
    print("::", os.waitstatus_to_exitcode(os.wait()[1]), file=sys.stderr, flush=True)
"""
REDIS = "--redis redis://127.0.0.1:1"
NEEDED = {
    "serving": ("serve --bare --port 0", "bundle", "deploy"),
    "monitoring": ("monitor",),
    "infrastructure": ("infra-plan",),
    "github": ("report --publisher github", "retrain"),
    "s3": ("fetch --remote s3://nobody/store --md5 0 --bundle 0 --model m --to fetched",),
    "spark": ("build --partition 2024-01", "train"),
    "redis": (f"snapshot {REDIS}", f"features get --as-of 2024-05-01T00:00:00Z -e customer=c1 -e product=desk {REDIS}"),
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Return a reproduced shop that declares something for every extra, and the event of a pull request."""
    shop = copied(finished(tmp_path_factory), tmp_path_factory.mktemp("missing"))
    shop.repository.write("leverframe.yaml", "infra: {environments: {local: {root: terraform}}}\n")
    shop.repository.write("terraform/main.tf", "")
    shop.replace("params.yaml", "engine: duckdb", "engine: spark")
    shop.replace("params.yaml", "train:\n  estimator", "train:\n  engine: spark\n  estimator")
    pull = {"number": 1, "head": {"sha": "0" * 40, "ref": "change"}, "base": {"ref": "main"}}
    shop.repository.write("event.json", json.dumps({"pull_request": pull, "repository": {"full_name": "acme/shop"}}))
    shop.repository.commit("Everything declared")
    return shop


@pytest.mark.parametrize("extra", by_day(NEEDED, "serving"))
def test_a_command_names_the_extra_that_it_lacks(extra: str, shop: Shop, tmp_path: Path) -> None:
    """Never a bug, never another reason; and it ends with the code of a missing installation."""
    program = tmp_path / "without.py"
    program.write_text(WITHOUT, encoding="utf-8")
    event = {
        "GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": str(shop.root / "event.json"), "GITHUB_TOKEN": "t",
        "GITHUB_REPOSITORY": "acme/shop", "GITHUB_SHA": "0" * 40, "GITHUB_API_URL": "http://127.0.0.1:1",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, str(program), extra, *NEEDED[extra]], cwd=shop.root, capture_output=True, text=True,
        env=shop.repository.environment | (event if extra == "github" else {}), check=True,
    )  # fmt: skip
    ends = re.split(r"^:: (\d+)\n", done.stderr, flags=re.MULTILINE)
    for command, text, code in zip(NEEDED[extra], ends[::2], ends[1::2], strict=False):
        assert "a bug in leverframe" not in text, (command, text)
        assert f"leverframe[{extra}]" in text or f"leverframe[{extra}," in text or f",{extra}]" in text, (command, text)
        assert code in ("33", "28"), (command, text)
