"""A repository with a pipeline of its own whose traffic is monitored: on the local forge, with webhooks."""

from __future__ import annotations

import csv
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from leverframe.local.github import LocalForge, Repository, Token, serving
from leverframe.local.github.state import Issue
from leverframe.local.repository import TemporaryRepository
from tests.fakes.receiver import Receiver, receiving
from tests.warm import warm

NAME, SECRET, KEY = "acme/shop", "ghs_not_to_be_seen_anywhere", "k3y"
BOT, LABEL, BRANCH = "github-actions[bot]", "leverframe-alert", "leverframe-monitor"
FIRST = datetime(2026, 3, 1, tzinfo=UTC)
SETTINGS = """
pipeline:
  predictions: {path: eval.csv, kind: binary, model: shop, features: [amount, product]}
monitor:
  log: live/*.csv
  engine: builtin
  minimum_rows: 50
  classifier: {every: never}
alerts:
  webhooks: [{url: HOOK, secret: HOOK_KEY}]
"""


def rows(day: int, missing: float = 0.0) -> list[list[object]]:
    """Return rows of a day: time, id, two features, a prediction and a label."""
    random = Random(day)  # noqa: S311 - rows of a test
    table: list[list[object]] = []
    for number in range(120):
        amount, chance = random.gauss(0, 1), random.random()
        at = FIRST + timedelta(days=day, minutes=10 * number)
        shown = "" if random.random() < missing else f"{amount:.4f}"
        table.append([at.isoformat(), f"{day}-{number}", shown, random.choice("xyz"), f"{chance:.4f}",
                      int(random.random() < chance)])  # fmt: skip
    return table


def write(path: Path, head: list[str], lines: list[list[object]]) -> None:
    """Write a table."""
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows([head, *lines])


@dataclass
class Place:
    """A repository with a pipeline of its own, its log, the forge, and a receiver."""

    server: LocalForge
    repository: TemporaryRepository
    receiver: Receiver
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def forge(self) -> Repository:
        """The repository on the forge."""
        return self.server.repositories[NAME]

    @property
    def issues(self) -> list[Issue]:
        """The issues, oldest first."""
        return list(self.forge.issues.values())

    def serve(self, last: int, missing: Mapping[int, float]) -> None:
        """Let the log hold the days until ``last``."""
        for day in range(last + 1):
            lines = [line[:5] for line in rows(day, missing.get(day, 0.0))]
            head = ["at", "id", "amount", "product", "prediction"]
            write(self.repository.root / f"live/{day:02d}.csv", head, lines)

    def variables(self) -> dict[str, str]:
        """Return the environment of a job."""
        return {
            **{name: value for name, value in self.repository.environment.items() if not name.startswith("GITHUB_")},
            "GITHUB_REPOSITORY": NAME,
            "GITHUB_API_URL": self.server.address,
            "GITHUB_SERVER_URL": self.server.address,
            "GITHUB_TOKEN": SECRET,
            "HOOK": self.receiver.address,
            "HOOK_KEY": KEY,
            **self.environment,
        }

    def run(self, last: int, *arguments: str, code: int = 0) -> str:
        """Run the monitor one hour after a day is over, on a machine without results of earlier runs."""
        subprocess.run(["rm", "-rf", ".leverframe"], cwd=self.repository.root, check=True)
        done = warm().run("leverframe", ["monitor", "--as-of", as_of(last), *arguments], self.repository.root,
                          self.variables())  # fmt: skip
        assert done.returncode == code, done.stderr + done.stdout
        assert "Traceback" not in done.stderr
        for secret in (SECRET, KEY, "s3cret"):
            assert secret not in done.stdout + done.stderr
        return done.stdout + done.stderr

    def writes(self) -> int:
        """Return how many requests changed an issue."""
        return sum(call.method in ("POST", "PATCH") and "/issues" in call.path for call in self.server.requests)

    def kept(self, name: str) -> str:
        """Return a file of the branch."""
        return self.forge.git("show", f"{BRANCH}:local/{name}")


def as_of(last: int) -> str:
    """Return the timestamp an hour after a day is over."""
    return (FIRST + timedelta(days=last + 1, hours=1)).strftime("%Y-%m-%dT%H:%MZ")


@contextmanager
def monitored(tmp_path: Path) -> Iterator[Place]:
    """A repository with 30 days of evaluated rows; no call may violate the description of GitHub's API."""
    repository = TemporaryRepository.create(tmp_path / "author", dvc=False)
    lines = [[line[0], *line[2:]] for day in range(-30, 0) for line in rows(day)]
    write(repository.root / "eval.csv", ["at", "amount", "product", "score", "label"], lines)
    repository.write("leverframe.yaml", SETTINGS)
    repository.write(".github/CODEOWNERS", "* @nobody\nleverframe.yaml @ann @gone @acme/ml\n")
    repository.write(".gitignore", ".leverframe\nlive\n")
    repository.commit("Start")
    with serving(tmp_path / "forge") as server, receiving() as receiver:
        server.tokens[SECRET] = Token(BOT)
        server.repository(NAME).members |= {"ann"}
        repository.git("push", "--quiet", str(server.repository(NAME).path), "HEAD:main")
        yield Place(server, repository, receiver)
        assert server.violations == []
