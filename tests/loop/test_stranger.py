"""A stranger with three tables of a clinic follows the README, from an empty folder to a prediction that is served.

Of this repository there are the wheel, the actions and what the README says; git, uv, DVC, the forge on loopback, the
jobs of the workflow file and the model server are real. What the README says of an address is told to git and curl in
their own settings, so that its lines run as they stand.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest

from leverframe.local.github.events import pull_request_event
from leverframe.local.github.server import LocalForge, serving
from leverframe.local.github.state import PullRequest, Token
from leverframe.local.repository import TemporaryRepository
from tests.loop.clinic import FILES, tables
from tests.loop.forge import BOT, SECRET
from tests.workflows.jobs import ROOT, Job, run
from tests.workflows.judging import RUN, Judgement, Judging, after

NAME = "you/clinic"
COMMANDS = 12  # that somebody types
OURS = ("COVERAGE", "DVC_", "GIT", "LEVERFRAME_", "PYTEST", "PYTHON", "WARM_", "XDG_")  # prefixes of variables
UV = Path(sys.executable).with_name("uv")

PREDICT = """
import json
from pathlib import Path

import polars as pl
import skops.io

described, model = json.loads(Path("models/model.json").read_text()), Path("models/model.skops")
rows = pl.read_parquet("data/training/holdout.parquet").head(1).select([each["name"] for each in described["features"]])
estimator = skops.io.load(model, trusted=skops.io.get_untrusted_types(file=model))
print(json.dumps([rows.to_dict(as_series=False), estimator.predict_proba(rows).tolist()]))
"""


def blocks_of_the_readme(language: str) -> list[str]:
    """Return the blocks of the section "Your own data" in a language, in order."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = re.split(r"^## (?=[A-Z])", readme, flags=re.MULTILINE)
    (text,) = [part for part in section if part.startswith("Your own data\n")]
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def digits_aside(text: str) -> str:
    """Return a text without its numbers and digests, which another processor may round and cut another way."""
    return re.sub(r"\b[0-9a-f]{12}\b|[0-9]+(\.[0-9]+)?", "0", text)


def request_of(columns: dict[str, list[Any]]) -> str:
    """Return a request of the V2 protocol for rows by their columns."""
    kinds = {str: "BYTES", int: "INT64", float: "FP64"}
    inputs = [{"name": name, "shape": [len(values)], "datatype": kinds[type(values[0])], "data": values}
              for name, values in columns.items()]  # fmt: skip
    return json.dumps({"inputs": inputs})


@dataclass(frozen=True)
class Stranger:
    """Somebody with an environment of Python, a home, a folder, and an account of the forge."""

    place: Path
    forge: LocalForge

    @property
    def folder(self) -> Path:
        """The folder of the case."""
        return self.place / "clinic"

    def environment(self, python: Path | None = None) -> dict[str, str]:
        """Return the environment of a shell in which an environment of Python is active, by default the stranger's."""
        active = python or self.place / "env"
        theirs = [folder for folder in os.environ["PATH"].split(os.pathsep) if not Path(folder, "leverframe").exists()]
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "uv"
        return {
            "UV_CACHE_DIR": str(cache),
            **{name: value for name, value in os.environ.items() if not name.startswith(OURS)},
            "PATH": os.pathsep.join([str(active / "bin"), str(self.place / "tools"), *theirs]),
            "HOME": str(self.place / "home"),
            "VIRTUAL_ENV": str(active),
            "UV_FIND_LINKS": str(self.place / "index"),
            "LC_ALL": "C.UTF-8",
            "DVC_NO_ANALYTICS": "1",
            "OMP_NUM_THREADS": "1",
        }

    def run(self, line: str, *, folder: Path | None = None, **variables: str) -> str:
        """Run a line of a shell and return what it printed; it has to end well."""
        done = subprocess.run(
            ["bash", "-c", line], cwd=folder or self.folder, env=self.environment() | variables, capture_output=True,
            text=True, check=False, timeout=600,
        )  # fmt: skip
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    def write(self, path: str, text: str) -> None:
        """Write a file of the case."""
        file = self.folder / path
        file.parent.mkdir(exist_ok=True)
        file.write_text(text.lstrip(), encoding="utf-8")


@contextmanager
def stranger(place: Path) -> Iterator[Stranger]:
    """Give a stranger an empty environment, an index that has the wheel, and an empty repository on a forge."""
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(place / "index")]
    subprocess.run(build, cwd=ROOT, capture_output=True, check=True)
    for name in ("home", "clinic", "tools"):
        (place / name).mkdir()
    (place / "tools/uv").symlink_to(UV)
    # What this machine was set up with is in the cache of uv: hardly anything is downloaded, and no newer version.
    versions = sorted(f"{dist.name}=={dist.version}" for dist in distributions() if dist.name != "leverframe")
    (place / "versions").write_text("\n".join(versions) + "\n", encoding="utf-8")
    subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, str(place / "env")], check=True)
    with serving(place / "forge") as server:
        server.tokens[SECRET] = Token(BOT)
        server.repository(NAME)
        address = server.address.replace("http://", f"http://x:{SECRET}@")
        (place / "home/.gitconfig").write_text(
            f'[user]\n\tname = You\n\temail = you@example.org\n[url "{address}/"]\n\tinsteadOf = https://github.com/\n'
            "[init]\n\tdefaultBranch = main\n",
            encoding="utf-8",
        )
        try:
            yield Stranger(place, server)
        finally:
            for environment in ("env", "runner/work/.venv"):  # a gigabyte each
                shutil.rmtree(place / environment, ignore_errors=True)
        assert server.violations == []


@dataclass
class Runner:
    """A machine that runs the jobs of a workflow file one after another, each in a fresh checkout at the same place."""

    mine: Stranger
    jobs: int = 0

    @property
    def work(self) -> Path:
        """The checkout of the job that runs."""
        return self.mine.place / "runner/work"

    def run(self, job: str, pull: PullRequest, revision: str) -> Job:
        """Run a job of the workflow that runs the code of a pull request."""
        event = pull_request_event(self.mine.forge.repositories[NAME], pull)
        variables = self.machine(revision, "pull_request", event, RUN)[1]
        github: dict[str, Any] = {
            "event_name": "pull_request", "event": event, "repository": NAME, "token": SECRET, "base_ref": "main",
            "head_ref": pull.branch, "ref": f"refs/pull/{pull.number}/merge",
        }  # fmt: skip
        return run(
            str(self.work / ".github/workflows/leverframe.yml"), job, workspace=self.work, github=github,
            environment=variables, folder=self.mine.place / "runner", root=self.mine.place,
        )  # fmt: skip

    def judge(self, pull: PullRequest) -> Judgement:
        """Run the jobs of the workflow that judges, after that run."""
        place = self.mine.place
        judge = Judging(
            lambda _, name, event, number: self.machine("main", name, event, number), place / "judge",
            {str(RUN): place / "runner/artifacts"}, str(self.mine.folder / ".github/workflows/leverframe-judge.yml"),
            root=place, repository=NAME,
        )  # fmt: skip
        return judge(*after(self.mine.forge.repositories[NAME], pull, "success"))

    def machine(
        self, revision: str, name: str, event: dict[str, Any], number: int
    ) -> tuple[TemporaryRepository, dict[str, str]]:
        """Return a fresh checkout, whose `.venv` is as the action for the set-up makes it, and variables of a job."""
        self.jobs += 1
        kept = self.work.with_name("venv")
        if self.work.exists():
            (self.work / ".venv").rename(kept)  # a second environment would be the same
            shutil.rmtree(self.work)
        self.mine.run(f"git clone --quiet https://github.com/{NAME} {self.work}", folder=self.mine.place)
        self.mine.run(
            f"git fetch --quiet origin {revision} && git checkout --quiet --detach FETCH_HEAD", folder=self.work
        )
        if kept.exists():
            kept.rename(self.work / ".venv")
        else:
            subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, str(self.work / ".venv")], check=True)
        address, file = self.mine.forge.address, self.mine.place / "event.json"
        file.write_text(json.dumps(event), encoding="utf-8")
        variables = self.mine.environment(self.work / ".venv") | {
            "GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": name, "GITHUB_REPOSITORY": NAME,
            "GITHUB_EVENT_PATH": str(file), "GITHUB_RUN_ID": str(number), "GITHUB_RUN_ATTEMPT": "1",
            "GITHUB_API_URL": address, "GITHUB_SERVER_URL": address,
            "GITHUB_REF": "refs/heads/main" if name == "workflow_run" else f"refs/pull/{event['number']}/merge",
        }  # fmt: skip
        return TemporaryRepository(self.work, self.mine.place / "home"), variables


def first_model(mine: Stranger, lines: list[str]) -> None:
    """Install, clone, write the tables and what is declared of them; then init, run, commit and push."""
    mine.run(lines[0], UV_CONSTRAINT=str(mine.place / "versions"))
    mine.run(lines[1])
    tables(mine.folder)
    for path, text in FILES.items():
        mine.write(path, text)
    for line in lines[2:7]:
        mine.run(line)
    assert mine.run("git ls-files data models '*.pyc' .venv").split() == ["models/model.json"]
    for path in ("requirements.lock", "dvc.yaml", "dvc.lock"):
        text = (mine.folder / path).read_text(encoding="utf-8")
        assert str(mine.place) not in text
        assert "site-packages" not in text


def reviewed(mine: Stranger, lines: list[str], runner: Runner) -> str:
    """Change a parameter, push a branch, open its pull request and merge it; return the card.

    The jobs are those of the workflow file that `init` wrote.
    """
    repository = mine.forge.repositories[NAME]
    params = (mine.folder / "params.yaml").read_text(encoding="utf-8")
    mine.write("params.yaml", params.replace("trees: 3", "trees: 25"))
    for line in lines:
        mine.run(line)
    pull = repository.open_pull("More trees", "more-trees")
    shutil.copytree(ROOT / "actions", mine.place / "actions")
    ended = runner.run("model", pull, "more-trees")
    assert ended.status == "success", ended.log
    judged = runner.judge(pull)
    assert [job.status for job in judged.publish.values()] == ["success"], judged.log
    (card,) = [comment.body for comment in pull.comments]
    assert "`train.params.trees` | `3` | `25`" in card
    # What CI ran beside its `.venv` is what the author ran, to the last byte.
    assert not re.search("(contents|bytes) differ", card)
    assert repository.latest_checks(pull.head)["leverframe"].conclusion == "success"
    assert repository.merge(pull)
    return card


def served(mine: Stranger, deploys: str, asks: str) -> str:
    """Deploy what was merged, and ask for a prediction, which is that of scikit-learn; return what was printed."""
    try:
        deployed = mine.run(deploys)
        port = json.loads(mine.run("leverframe serve --status --json --name local"))["running"]["port"]
        connected = f'connect-to = "127.0.0.1:8080:127.0.0.1:{port}"\n'
        (mine.place / "home/.curlrc").write_text(connected, encoding="utf-8")
        (mine.place / "predict.py").write_text(PREDICT, encoding="utf-8")
        columns, expected = json.loads(mine.run(f"python {mine.place}/predict.py"))
        mine.write("request.json", request_of(columns))
        answer = mine.run(asks)
    finally:
        mine.run("leverframe serve --stop --name local")
    outputs = {output["name"]: output["data"] for output in json.loads(answer)["outputs"]}
    assert outputs["probability"] == pytest.approx([row[1] for row in expected], abs=1e-6)
    assert outputs["label"] == [round(row[1]) for row in expected]
    return deployed + answer


def locked_from_a_wheel_file(mine: Stranger, python: Path) -> None:
    """Install the wheel as a file: `init` takes it along, and who clones the repository installs from the lock."""
    (wheel,) = (mine.place / "index").glob("*.whl")
    filed, cloned = mine.place / "filed", mine.place / "cloned"
    mine.run(
        f"uv pip install --quiet --no-deps --reinstall {wheel} && git init --quiet {filed} && cd {filed}"
        f" && leverframe init && git add . && git commit --quiet --message Ready && git clone --quiet . {cloned}",
        UV_FIND_LINKS="",
    )
    assert str(mine.place) not in (cloned / "requirements.lock").read_text(encoding="utf-8")
    active = mine.environment(python) | {"UV_FIND_LINKS": ""}
    mine.run("uv pip uninstall --quiet leverframe", folder=cloned, **active)
    mine.run("uv pip sync --quiet --require-hashes requirements.lock", folder=cloned, **active)
    assert "leverframe, version" in mine.run("leverframe --version", folder=cloned, **active)


@pytest.mark.deep
def test_the_readme_takes_a_stranger_from_an_empty_folder_to_a_prediction(tmp_path: Path) -> None:
    """Every command of the section, in its order, with a pull request between them; it shows what is printed."""
    lines = [line for block in blocks_of_the_readme("console") for line in block.splitlines()]
    assert len(lines) == COMMANDS
    with stranger(tmp_path) as mine:
        runner = Runner(mine)
        first_model(mine, lines[:7])
        card = reviewed(mine, lines[7:10], runner)
        printed = served(mine, *lines[10:])
        shown = [*blocks_of_the_readme("markdown"), *blocks_of_the_readme("text")]
        for text, whole in zip(shown, (card, printed), strict=True):
            missing = [line for line in text.splitlines() if digits_aside(line) not in digits_aside(whole)]
            assert missing == [], whole
        locked_from_a_wheel_file(mine, runner.work / ".venv")
