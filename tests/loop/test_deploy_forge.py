"""Merging is deploying, and everybody sees it: tags, deployments and the way back on the fake GitHub server."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from leverframe.adapters.github.deployments import GithubDeployments
from leverframe.domain.release.tag import Tag
from leverframe.errors import ForgeUnreachableError
from leverframe.inert.letters import as_read
from leverframe.local.github.server import Fault, LocalForge, serving
from leverframe.local.github.state import Repository, Token
from leverframe.local.repository import TemporaryRepository
from tests.fakes.bundles import wrong
from tests.integration.served import two_models
from tests.integration.shop import Shop, built_once, copied
from tests.warm import warm

NAME, SECRET = "acme/shop", "ghs_not_to_be_seen_anywhere"


@dataclass
class World:
    """The shop with two models, its repository on the fake GitHub server, and the machine of the server."""

    server: LocalForge
    shop: Shop
    machine: TemporaryRepository
    messages: list[str] = field(default_factory=list)

    @property
    def repository(self) -> Repository:
        """The repository on the fake GitHub server."""
        return self.server.repositories[NAME]

    def push(self, revision: str) -> str:
        """Let main on the forge stand at a revision, and return its commit."""
        address = self.server.address.replace("http://", f"http://x:{SECRET}@")
        self.shop.repository.git(
            "push", "--quiet", "--force", f"{address}/{NAME}", f"{revision}^{{commit}}:refs/heads/main"
        )
        return self.repository.commit("main")

    def run(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        """Run a lever on the machine of the server, at main, as the job after a merge does."""
        self.machine.git("fetch", "--quiet", "--tags", f"{self.server.address}/{NAME}", "main")
        self.machine.git("checkout", "--quiet", "--force", "--detach", "FETCH_HEAD")
        environment = {
            **{name: value for name, value in self.machine.environment.items() if not name.startswith("GITHUB_")},
            "GITHUB_REPOSITORY": NAME,
            "GITHUB_API_URL": self.server.address,
            "GITHUB_SERVER_URL": self.server.address,
            "GITHUB_TOKEN": SECRET,
        }
        done = warm().run("leverframe", [*arguments, "--json"], self.machine.root, environment)
        assert done.returncode == code, done.stderr + done.stdout
        assert SECRET not in done.stdout + done.stderr
        self.messages.append(done.stderr)
        return json.loads(done.stdout) if done.stdout else {}

    def another_machine(self) -> World:
        """Return the same with a clone elsewhere, in which no server ran."""
        home = self.machine.home.parent.with_name("another")
        home.mkdir()
        machine = TemporaryRepository(home / "repository", home / "home")
        machine.home.mkdir()
        subprocess.run(["git", "clone", "--quiet", f"{self.server.address}/{NAME}", str(machine.root)], check=True)
        shutil.copy(self.machine.root / ".dvc/config.local", machine.root / ".dvc/config.local")
        return World(self.server, self.shop, machine)

    def states(self) -> list[tuple[str, str, list[str]]]:
        """Return commit, environment and states of each deployment, oldest first."""
        return [
            (deployment.commit, deployment.environment, [state for state, _ in deployment.states])
            for deployment in self.repository.deployments
        ]

    def tags(self) -> dict[str, str]:
        """Return the tags on the forge with their commits."""
        names = self.repository.git("tag").split()
        return {name: self.repository.commit(f"refs/tags/{name}") for name in names if name not in ("one", "two")}


@pytest.fixture
def world(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Return the shop on a fake GitHub server, and a clone beside which servers run; no call violates the API."""
    shop = copied(built_once(tmp_path_factory, "two-models", two_models)[0], tmp_path)
    home = tmp_path / "machine"
    home.mkdir()
    machine = TemporaryRepository(home / "repository", home / "home")
    machine.home.mkdir()
    with serving(tmp_path / "forge") as server:
        server.tokens[SECRET] = Token("github-actions[bot]")
        server.repository(NAME)
        world = World(server, shop, machine)
        world.push("one")
        subprocess.run(["git", "clone", "--quiet", f"{server.address}/{NAME}", str(machine.root)], check=True)
        (machine.root / ".dvc/config.local").write_text(f"[cache]\n    dir = {shop.root / '.dvc/cache'}\n")
        try:
            yield world
        finally:
            for name in ("local", "production"):
                world.run("serve", "--stop", "--name", name)
        assert server.violations == []


def test_a_merge_is_deployed_promoted_and_written_down(world: World) -> None:
    """Version and assignment as annotated tags, a deployment with its states; a second run writes nothing."""
    one = world.push("one")
    report = world.run("deploy")
    assert report["recorded"]["version"] == "shop@v1.0.0"
    assert world.tags() == {"shop@v1.0.0": one, "shop#local#1": one}
    assert world.states() == [(one, "local", ["in_progress", "success"])]
    message = world.repository.git("tag", "-l", "--format=%(contents)", "shop@v1.0.0")
    assert json.loads(message.partition("\n\n")[2])["bundle"] == report["serving"]["manifest"]["bundle"]
    before = len(world.server.requests)
    again = world.run("deploy")
    assert (again["steps"], again["recorded"]) == ([], report["recorded"])
    assert world.states() == [(one, "local", ["in_progress", "success"])]
    assert {request.method for request in world.server.requests[before:]} == {"GET"}
    world.repository.git("tag", "--annotate", "--message", "Not yet.", "shop#local!", one)
    world.run("deploy", "--environment", "production", code=32)
    assert "`shop@v1.0.0` was unassigned from `local`" in world.messages[-1]
    for repository in (world.repository, world.machine):
        repository.git("tag", "--delete", "shop#local!")
    world.run("deploy", "--environment", "production")
    assert world.tags()["shop#production#2"] == one
    two = world.push("two")
    world.run("deploy")
    assert world.tags()["shop@v1.0.1"] == two
    elsewhere = world.another_machine()  # which has no server of `local`, and reads the tags
    report = elsewhere.run("deploy", "--environment", "production")
    assert report["recorded"]["version"] == "shop@v1.0.1"
    elsewhere.run("serve", "--stop", "--name", "production")
    world.push("one")
    elsewhere.run("deploy", "--environment", "production", code=32)
    assert (two, "local", ["in_progress", "success"]) in world.states()


def test_a_release_that_cannot_serve_is_taken_back_on_the_forge(world: World) -> None:
    """Failure is shown on the deployment, and one pull request with the files of before is opened, once."""
    world.push("one")
    world.run("deploy")
    world.shop.repository.git("checkout", "--quiet", "--detach", "one")
    world.shop.replace("params.yaml", "golden_rows: 16", "golden_rows: 12")
    world.shop.repository.commit("Fewer golden rows")  # without `dvc repro`: the lock still has the bundle of before
    world.push("HEAD")
    world.run("deploy")
    noted = json.loads((world.machine.root / ".leverframe/servers/local/releases/shop.json").read_text())
    assert noted["releases"][-1]["manifest"]["commit"] == world.repository.commit("main")
    golden = world.shop.root / "models/bundle/golden.jsonl"
    world.shop.repository.dvc("checkout", "--quiet", "--force", "models/bundle")
    _spoil(golden.parent)
    world.shop.repository.dvc("commit", "--force", "bundle")
    world.shop.repository.commit("A bundle that answers otherwise")
    bad = world.push("HEAD")
    report = world.run("deploy", code=30)
    assert [violation["reason"] for violation in report["violations"]] == ["load-failed"]
    assert world.states()[-1] == (bad, "local", ["in_progress", "failure"])
    (pull,) = world.repository.pulls.values()
    assert report["recorded"]["revert"].endswith(f"/pull/{pull.number}")
    assert "load-failed" in pull.body.replace("&#45;", "-")
    assert world.repository.git("diff", f"{bad}^", pull.head) == ""
    assert world.repository.git("rev-parse", f"{pull.head}^").strip() == bad
    world.run("deploy", code=30)
    assert len(world.repository.pulls) == 1
    assert world.repository.merge(pull)
    healed = world.run("deploy")
    assert healed["violations"] == []
    assert [step["step"].split()[0] for step in healed["steps"]] == ["note"]


def test_a_rollback_is_written_down_and_asks_git_to_agree(world: World) -> None:
    """Traffic first; then the assignment of the earlier version, and the pull request that takes the later one back.

    Merged, although something landed since, main wants what serves, and there is nothing to deploy.
    """
    one = world.push("one")
    before = world.run("deploy")["serving"]["manifest"]["bundle"]
    two = world.push("two")
    world.run("deploy")
    world.shop.repository.git("checkout", "--quiet", "--detach", "two")
    world.shop.repository.write("docs/notes.md", "Notes.\n")
    world.shop.repository.commit("Notes")
    world.push("HEAD")
    report = world.run("rollback", "--because", "late labels")
    assert report["recorded"]["assignment"] == "shop#local#3"
    assert world.tags()["shop#local#3"] == one
    (pull,) = world.repository.pulls.values()
    assert "late labels" in pull.body
    assert two[:12] in as_read(pull.title)  # the commit is named, and not linked
    assert world.repository.merge(pull)
    assert world.repository.git("diff", "--name-only", one, "main").split() == ["docs/notes.md"]
    again = world.run("deploy")
    assert [step["step"].split()[0] for step in again["steps"]] == ["note"]
    assert again["serving"]["manifest"]["bundle"] == before


def test_a_forge_that_does_not_answer_loses_nothing(world: World) -> None:
    """What could not be written down after the switch is written by the next run; the release serves meanwhile."""
    one = world.push("one")
    world.server.faults.append(Fault("POST", "/git/tags", status=403, times=1))
    world.run("deploy", code=26)
    assert world.tags() == {}
    report = world.run("deploy")
    assert report["steps"] == []
    assert world.tags() == {"shop@v1.0.0": one, "shop#local#1": one}
    assert world.states() == [(one, "local", ["in_progress", "success"])]


def test_a_tag_that_somebody_made_meanwhile_is_named_for_what_it_is(tmp_path: Path) -> None:
    """A lightweight one, or one at another commit; ours is dated no earlier than it says, whoever's clock is ahead."""
    author = TemporaryRepository.create(tmp_path, dvc=False)
    before, commit = author.commit("One"), author.commit("Two")
    with serving(tmp_path / "forge") as server:
        server.tokens[SECRET] = Token("github-actions[bot]")
        author.git("push", "--quiet", str(server.repository(NAME).path), "main")
        forge, repository = GithubDeployments(server.address, NAME, SECRET), server.repositories[NAME]
        repository.git("tag", "shop@v1.0.0", commit)
        with pytest.raises(ForgeUnreachableError, match="is there already, as a lightweight tag") as refused:
            forge.tag(Tag("shop@v1.0.0", commit, "Ours.\n"))
        assert "it takes the next number" in refused.value.next
        ahead = 4_000_000_000
        forge.tag(Tag("shop@v1.0.1", commit, "Ours.\n", ahead))
        forge.tag(Tag("shop@v1.0.1", commit, "Ours.\n", ahead))
        assert repository.git("for-each-ref", "--format=%(taggerdate:unix)", "refs/tags/shop@v1.0.1").strip() == str(
            ahead
        )
        with pytest.raises(ForgeUnreachableError, match=f"is there already, at {commit[:12]}"):
            forge.tag(Tag("shop@v1.0.1", before, "Ours.\n"))
        assert server.violations == []


def _spoil(bundle: Path) -> None:
    """Let the bundle expect another answer than its model gives."""
    for name, data in wrong({path.name: path.read_bytes() for path in bundle.iterdir()}).items():
        (bundle / name).unlink()
        (bundle / name).write_bytes(data)
