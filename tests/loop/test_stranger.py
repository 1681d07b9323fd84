"""A stranger with three tables of a clinic follows the README, from an empty folder to a prediction that is served.

Of this repository there are the wheel, the actions and what the README says; git, uv, DVC, the forge on loopback, the
jobs of the workflow file and the model server are real. What the README says of an address is told to git and curl in
their own settings, so that its lines run as they stand.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest

from leverframe.local.github.events import pull_request_event
from leverframe.local.github.server import LocalForge, serving
from leverframe.local.github.state import PullRequest, Token
from tests.integration.test_fetch_server import free_ports
from tests.loop.forge import BOT, SECRET
from tests.workflows.jobs import ROOT, Job, run

NAME = "you/clinic"
MOST_COMMANDS = 12
OURS = ("COVERAGE", "DVC_", "GIT", "LEVERFRAME_", "PYTEST", "PYTHON", "WARM_", "XDG_")  # prefixes of variables
UV = Path(sys.executable).with_name("uv")

SOURCES = '''
"""Appointments with semicolons between their fields, patients by numbers with leading zeros, and clinics."""

import polars as pl

from leverframe.case import Csv, Source

PATIENT = {"patient": pl.String}


def appointments(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Return one row an appointment; whether the patient came is known when it starts."""
    times = pl.col("booked", "starts").str.to_datetime("%Y-%m-%d %H:%M", time_zone="UTC")
    return rows.with_columns(times, no_show=(pl.col("no_show") == "yes").cast(pl.Int64))


SOURCES = {
    "appointments": Source(
        Csv("raw/appointments.csv", separator=";", types=PATIENT | {"booked": pl.String, "starts": pl.String}),
        transform=appointments, event_time="booked", known_at="starts",
    ),
    "patients": Source(Csv("raw/patients.csv", separator=";", types=PATIENT)),
    "clinics": Source(Csv("raw/clinics.csv", separator=";")),
}
'''

CONTRACTS = '''
import pandera.polars as pa

from leverframe.case import Contract, ForeignKey, UniqueKey


class Appointments(pa.DataFrameModel):
    """One row an appointment."""

    appointment: str
    patient: str = pa.Field(str_matches=r"^[0-9]{6}$")
    clinic: str
    channel: str = pa.Field(isin=("phone", "web"))
    no_show: int = pa.Field(isin=(0, 1))


class Patients(pa.DataFrameModel):
    """One row a patient."""

    patient: str
    born: int = pa.Field(in_range=(1900, 2024))
    insured: str


class Clinics(pa.DataFrameModel):
    """One row a clinic."""

    clinic: str
    rooms: int


CONTRACTS = {
    "appointments": Contract(
        Appointments, monitors=(UniqueKey(("appointment",)), ForeignKey(("patient",), "patients"))
    ),
    "patients": Contract(Patients, monitors=(UniqueKey(("patient",)),)),
    "clinics": Contract(Clinics, monitors=(UniqueKey(("clinic",)),)),
}
'''

STAR = """\
entities:
  appointment: [appointment]
  patient: [patient]
  clinic: [clinic]
spine: {table: appointments, key: appointment, columns: [channel]}
facts:
  outcome: {table: appointments, known_at: starts, max_lag: 30d, reveals: [no_show]}
dimensions:
  who: {table: patients, key: patient, columns: [born, insured]}
  where: {table: clinics, key: clinic, columns: [rooms]}
measures:
  patient: {fact: outcome, key: patient, of: {no_show: [mean, count]}, windows: [60d]}
labels:
  no_show: {fact: outcome, column: no_show, kind: binary}
"""

MODEL = '''
from collections.abc import Sequence

from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder

from leverframe.case import Feature


def estimator(features: Sequence[Feature], *, trees: int) -> Pipeline:
    """Return boosted trees over one-hot words and bare numbers."""
    words = [feature.name for feature in features if feature.kind == "categorical"]
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), words), remainder="passthrough"
    )
    return make_pipeline(columns, HistGradientBoostingClassifier(max_iter=trees, early_stopping=False, random_state=0))
'''

PARAMS = """\
data: {case: clinic, period: none, first: "2024-01-01", last: "2024-05-04", timezone: Europe/Vienna}
features:
  engine: duckdb
  label: no_show
  select: ["*"]
  train: {first: "2024-01-01", last: "2024-03-25"}
  holdout: {first: "2024-03-26", last: "2024-05-04"}
train:
  estimator: clinic.model:estimator
  params: {trees: 3}
evaluate: {slices: [channel]}
bundle: {model: no-show}
"""

LEVERS = """\
gate:
  metrics:
    log_loss: {{maximum_drop: 0.05}}
deploy: {{verify_seconds: 1}}
serve: {{port: {0}, grpc_port: {1}, metrics_port: {2}}}
"""

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


def tables(folder: Path) -> None:
    """Write the three tables: who missed often misses again, and those who book on the web a little more."""
    draw = random.Random(7)  # noqa: S311 - data, not a secret
    patients = {f"{number:06d}": draw.random() ** 2 for number in range(240)}
    clinics = ("North", "Harbour", "St. Anne")
    begin, rows = datetime(2024, 1, 1, 8, tzinfo=UTC), ["appointment;patient;clinic;booked;starts;channel;no_show"]
    for number in range(2392):
        booked = begin + timedelta(minutes=75 * number)
        starts = booked + timedelta(days=draw.randint(1, 20))
        patient, channel = draw.choice(list(patients)), draw.choice(("phone", "web"))
        missed = draw.random() < 0.05 + 0.7 * patients[patient] + 0.1 * (channel == "web")
        times = f"{booked:%Y-%m-%d %H:%M};{starts:%Y-%m-%d %H:%M}"
        rows.append(f"A-{number:05d};{patient};{draw.choice(clinics)};{times};{channel};{'yes' if missed else 'no'}")
    people = [f"{patient};{draw.randint(1930, 2010)};{draw.choice(('public', 'private'))}" for patient in patients]
    places = [f"{clinic};{number + 4}" for number, clinic in enumerate(clinics)]
    raw = folder / "raw"
    raw.mkdir()
    for name, text in {"appointments": rows, "patients": ["patient;born;insured", *people],
                       "clinics": ["clinic;rooms", *places]}.items():  # fmt: skip
        (raw / f"{name}.csv").write_text("\n".join(text) + "\n", encoding="utf-8")


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
            text=True, check=False, timeout=300,
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
    versions = sorted(f"{found.name}=={found.version}" for found in distributions() if found.name != "leverframe")
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
        """Run a job; its environment of Python is `.venv` in the checkout, as the action for the set-up makes it."""
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
        repository, address = self.mine.forge.repositories[NAME], self.mine.forge.address
        event = pull_request_event(repository, pull)
        (self.mine.place / "event.json").write_text(json.dumps(event), encoding="utf-8")
        environment = self.mine.environment(self.work / ".venv") | {
            "GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "pull_request", "GITHUB_REPOSITORY": NAME,
            "GITHUB_EVENT_PATH": str(self.mine.place / "event.json"), "GITHUB_RUN_ID": "7",
            "GITHUB_API_URL": address, "GITHUB_SERVER_URL": address, "GITHUB_REF": f"refs/pull/{pull.number}/merge",
        }  # fmt: skip
        github: dict[str, Any] = {
            "event_name": "pull_request", "event": event, "repository": NAME, "token": SECRET, "base_ref": "main",
            "head_ref": pull.branch, "ref": f"refs/pull/{pull.number}/merge",
        }  # fmt: skip
        return run(
            str(self.work / ".github/workflows/leverframe.yml"), job, workspace=self.work, github=github,
            environment=environment, folder=self.mine.place / "runner", root=self.mine.place,
        )  # fmt: skip


def test_the_readme_takes_a_stranger_from_an_empty_folder_to_a_prediction(tmp_path: Path) -> None:
    """Every command of the section, in its order, and a pull request between them."""
    lines = [line for block in blocks_of_the_readme("console") for line in block.splitlines()]
    assert 10 <= len(lines) <= MOST_COMMANDS
    with stranger(tmp_path) as mine:
        repository, ports = mine.forge.repositories[NAME], free_ports()

        # An empty environment and an empty folder; then the tables and what is declared of them.
        mine.run(lines[0], UV_CONSTRAINT=str(mine.place / "versions"))
        mine.run(lines[1])
        tables(mine.folder)
        for path, text in {"clinic/sources.py": SOURCES, "clinic/contracts.py": CONTRACTS, "clinic/star.yaml": STAR,
                           "clinic/model.py": MODEL, "params.yaml": PARAMS,
                           "leverframe.yaml": LEVERS.format(*ports)}.items():  # fmt: skip
            mine.write(path, text)

        # The first model: init, run, commit, push.
        for line in lines[2:7]:
            mine.run(line)
        assert mine.run("git ls-files data models '*.pyc' .venv").split() == ["models/model.json"]
        assert str(tmp_path) not in (mine.folder / "requirements.lock").read_text(encoding="utf-8")

        # A change on a branch, and its pull request: the jobs of the workflow file that `init` wrote.
        params = (mine.folder / "params.yaml").read_text(encoding="utf-8")
        mine.write("params.yaml", params.replace("trees: 3", "trees: 25"))
        for line in lines[7:10]:
            mine.run(line)
        pull = repository.open_pull("More trees", "more-trees")
        shutil.copytree(ROOT / "actions", mine.place / "actions")
        runner = Runner(mine)
        for job, revision in (("model", "more-trees"), ("card", "main")):
            ended = runner.run(job, pull, revision)
            assert ended.status == "success", ended.log
        (card,) = [comment.body for comment in pull.comments]
        assert "`train.params.trees` | `3` | `25`" in card
        assert "differ" not in card  # what CI ran beside its `.venv` is what the author ran, to the last byte
        assert repository.latest_checks(pull.head)["leverframe"].conclusion == "success"

        # The merge, the deployment, a request.
        assert repository.merge(pull)
        try:
            connected = f'connect-to = "127.0.0.1:8080:127.0.0.1:{ports[0]}"\n'
            (mine.place / "home/.curlrc").write_text(connected, encoding="utf-8")
            deployed = mine.run(lines[10])
            (mine.place / "predict.py").write_text(PREDICT, encoding="utf-8")
            columns, expected = json.loads(mine.run(f"python {mine.place}/predict.py"))
            mine.write("request.json", request_of(columns))
            answer = mine.run(lines[11])
            outputs = {each["name"]: each["data"] for each in json.loads(answer)["outputs"]}
            assert outputs["probability"] == pytest.approx([row[1] for row in expected], abs=1e-6)
            assert outputs["label"] == [round(row[1]) for row in expected]
        finally:
            mine.run("leverframe serve --stop --name local")
        shown = [*blocks_of_the_readme("markdown"), *blocks_of_the_readme("text")]
        for text, printed in zip(shown, (card, deployed + answer), strict=True):
            missing = [line for line in text.splitlines() if digits_aside(line) not in digits_aside(printed)]
            assert missing == [], printed

        # From a wheel file that no index has: it comes along, and who clones the repository installs from the lock.
        (wheel,) = (mine.place / "index").glob("*.whl")
        filed, cloned = mine.place / "filed", mine.place / "cloned"
        mine.run(
            f"uv pip install --quiet --no-deps --reinstall {wheel} && git init --quiet {filed} && cd {filed}"
            f" && leverframe init && git add . && git commit --quiet --message Ready && git clone --quiet . {cloned}",
            UV_FIND_LINKS="",
        )
        assert str(tmp_path) not in (cloned / "requirements.lock").read_text(encoding="utf-8")
        active = mine.environment(runner.work / ".venv") | {"UV_FIND_LINKS": ""}
        mine.run("uv pip uninstall --quiet leverframe", folder=cloned, **active)
        mine.run("uv pip sync --quiet --require-hashes requirements.lock", folder=cloned, **active)
        assert "leverframe, version" in mine.run("leverframe --version", folder=cloned, **active)
