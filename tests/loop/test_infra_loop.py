"""Infrastructure through a pull request, with real Terraform: shown, merged, applied, refused, drifted, and healed."""

from __future__ import annotations

import itertools
import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from leverframe.documents import plain
from leverframe.domain.infrastructure.infra_forge import BRANCH, check_name
from leverframe.domain.review.judge.judged import Judged
from leverframe.local.github import Fault, LocalForge, PullRequest, Repository, Token, serving
from leverframe.local.github.events import pull_request_event, workflow_run_event
from leverframe.local.repository import TemporaryRepository
from tests.unit.test_infra_section import CREATE, planned
from tests.warm import warm

NAME, SECRET, BOT = "acme/platform", "ghs_not_to_be_seen_anywhere", "github-actions[bot]"
ROOT = "terraform/environments/demo"
MODULE = """
terraform {
  backend "local" {}
}
variable "names" {
  type = set(string)
}
module "items" {
  source = "../../modules/items"
  names  = var.names
}
output "count" {
  value = length(var.names)
}
"""
ITEMS = """
variable "names" {
  type = set(string)
}
resource "terraform_data" "item" {
  for_each = var.names
  input    = each.key
}
"""
SETTINGS = """
infra:
  environments:
    demo:
      variables: {{names: [{names}]}}
      backend: {{path: {state}}}
      protected: ['module.items.terraform_data.item["db"]']
"""

Edit = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass
class World:
    """A repository on the forge, its author, and the machine on which jobs run; the state lies beside all of them."""

    server: LocalForge
    folder: Path
    author: TemporaryRepository
    counter: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def repository(self) -> Repository:
        """The repository on the forge."""
        return self.server.repositories[NAME]

    @property
    def state(self) -> Path:
        """The state of Terraform."""
        return self.folder / "state" / "demo.tfstate"

    def write(self, *names: str) -> None:
        """Declare these items on top of main."""
        self.author.git("fetch", "--quiet", str(self.repository.path), "main")
        self.author.git("checkout", "--quiet", "--force", "--detach", "FETCH_HEAD")
        self.author.write("leverframe.yaml", SETTINGS.format(names=", ".join(names), state=self.state))

    def opened(self, *names: str) -> PullRequest:
        """Open a pull request that declares these items."""
        self.write(*names)
        return self.pushed(f"change-{next(self.counter)}")

    def pushed(self, branch: str) -> PullRequest:
        """Commit, push to a branch, and open its pull request."""
        self.author.commit(branch)
        self.author.git("push", "--quiet", str(self.repository.path), f"HEAD:refs/heads/{branch}")
        return self.repository.open_pull(branch, branch)

    def job(self, revision: str, event: str, payload: dict[str, Any], token: str = "") -> tuple[Path, dict[str, str]]:
        """Return a fresh checkout and the environment of a job in it."""
        number = next(self.counter)
        place = self.folder / f"job-{number}"
        place.mkdir()
        subprocess.run(["git", "clone", "--quiet", str(self.repository.path), str(place / "clone")], check=True)
        clone = TemporaryRepository(place / "clone", place)
        clone.git("fetch", "--quiet", "origin", "+refs/pull/*/head:refs/remotes/origin/pull/*")
        clone.git("checkout", "--quiet", "--detach", revision)
        (place / "event.json").write_text(json.dumps(payload), encoding="utf-8")
        known = {
            name: value for name, value in clone.environment.items() if not name.startswith(("GITHUB_", "LEVERFRAME_"))
        }
        return clone.root, known | {
            "GITHUB_ACTIONS": "true",
            "GITHUB_EVENT_NAME": event,
            "GITHUB_EVENT_PATH": str(place / "event.json"),
            "GITHUB_REPOSITORY": NAME,
            "GITHUB_RUN_ID": str(number),
            "GITHUB_API_URL": self.server.address,
            "GITHUB_SERVER_URL": self.server.address,
            "GITHUB_STEP_SUMMARY": str(place / "summary"),
            **({"GITHUB_TOKEN": token} if token else {}),
        }

    def shown(self, pull: PullRequest, forge: Edit | None = None, code: int = 0, *, plans: bool = True) -> str:
        """Run both workflows for the head of a pull request, and return our comment; ``forge`` edits the artifact."""
        root, environment = self.job(pull.head, "pull_request", pull_request_event(self.repository, pull))
        if plans:
            self.run(root, environment, "infra-plan", "--base", "origin/main", codes=(0, 30))
        card = root / ".leverframe/report.json"
        self.run(root, environment, "report", "--base", "origin/main", "--publisher", "summary")
        content = json.loads(card.read_text(encoding="utf-8"))
        card.write_text(json.dumps(forge(content) if forge else content), encoding="utf-8")
        event = workflow_run_event(self.repository, pull, next(self.counter))
        base, environment = self.job("origin/main", "workflow_run", event, SECRET)
        given: tuple[str, ...] = ("--card", str(card))
        if code == 0:  # the judge makes no plans: those of the claim are shown, and held to the rules of the base
            judgement = plain(Judged(pull.base, self.repository.commit(pull.base), pull.head))
            verdict = card.with_name("judged.json")
            verdict.write_text(json.dumps(content | {"infra": [], "judged": judgement}), encoding="utf-8")
            given = ("--judged", str(verdict), "--unverified", str(card), "--pull", str(pull.number))
        self.run(base, environment, "report", *given, "--publisher", "github", codes=(code,))
        mine = [comment.body for comment in pull.comments if "leverframe:report:model" in comment.body]
        return mine[0] if mine else ""

    def applied(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        """Run `infra-apply` at main, as the job after a merge does; return what it printed."""
        event = {"ref": "refs/heads/main"}
        root, environment = self.job("origin/main", "push", event, SECRET)
        printed = self.run(root, environment, "infra-apply", *arguments, "--json", codes=(code,))
        return json.loads(printed) if code in (0, 30) else {}

    def holding(self, *names: str) -> set[str]:
        """Return what there is, at least these items, which are brought without a pull request where they are not."""
        if not set(names) <= self.items():
            self.write(*(self.items() | set(names)))
            self.author.commit("Bring what a test needs")
            self.author.git("push", "--quiet", str(self.repository.path), "HEAD:refs/heads/main")
            self.applied("--reviewed", self.applied(code=30)["plan"]["digest"])
        return self.items()

    def drift(self) -> None:
        """Run the nightly look."""
        root, environment = self.job("origin/main", "schedule", {"schedule": "47 3 * * *"}, SECRET)
        self.run(root, environment, "infra", "drift")

    def run(self, root: Path, environment: dict[str, str], *arguments: str, codes: tuple[int, ...] = (0,)) -> str:
        """Run a command and return what it printed."""
        done = warm().run("leverframe", arguments, root, environment)
        assert done.returncode in codes, done.stdout + done.stderr
        assert SECRET not in done.stdout + done.stderr
        return done.stdout

    def items(self) -> set[str]:
        """Return what there is, as the state says."""
        if not self.state.is_file():
            return set()
        resources = json.loads(self.state.read_text(encoding="utf-8"))["resources"]
        return {instance["index_key"] for resource in resources for instance in resource["instances"]}

    def lose(self, name: str) -> None:
        """Let an item get lost behind Terraform's back."""
        address = f'module.items.terraform_data.item["{name}"]'
        subprocess.run(
            ["terraform", "state", "rm", f"-state={self.state}", address], check=True, capture_output=True,
            cwd=self.folder, env=self.author.environment,
        )  # fmt: skip

    def comment(self, pull: PullRequest) -> str:
        """Return the comment on the apply."""
        (body,) = [comment.body for comment in pull.comments if "leverframe:report:infra-demo" in comment.body]
        return body


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A repository with an environment of infrastructure, empty at first; each test leaves what main declares."""
    folder = tmp_path_factory.mktemp("infra-loop")
    author = TemporaryRepository.create(folder, dvc=False)
    with serving(folder / "forge") as server:
        server.tokens[SECRET] = Token(BOT)
        server.repository(NAME)
        place = World(server, folder, author)
        place.state.parent.mkdir()
        author.write(f"{ROOT}/main.tf", MODULE)
        author.write("terraform/modules/items/main.tf", ITEMS)
        author.write(".gitignore", ".leverframe/\n")
        author.write("leverframe.yaml", SETTINGS.format(names="", state=place.state))
        author.commit("Start")
        author.git("push", "--quiet", str(place.repository.path), "HEAD:refs/heads/main")
        yield place
        assert server.violations == []


def reasons(result: dict[str, Any]) -> list[str]:
    """Return the reasons of a result."""
    return [violation["reason"] for violation in result["violations"]]


def test_what_a_pull_request_shows_is_applied_after_its_merge(world: World) -> None:
    """The card begins with the plan, a check run names it; two pull requests before one apply count together."""
    first = world.opened("db", "web")
    body = world.shown(first)
    assert "2 to create, 1 output." in body
    assert '`module.items.terraform_data.item["db"]`' in body
    check = world.repository.latest_checks(first.head)[check_name("demo")]
    assert (check.conclusion, check.title) == ("success", "2 to create, 1 output")
    assert f"demo/{check.external_id}.json" in world.repository.git("ls-tree", "-r", "--name-only", BRANCH)
    world.repository.merge(first)
    result = world.applied()
    assert (result["violations"], result["applied"], result["reviewed"]) == ([], True, [check.external_id])
    assert world.items() == {"db", "web"}
    assert "✅ Infrastructure `demo`: applied" in world.comment(first)
    second, third = world.opened("db", "web", "cache"), None
    world.shown(second)
    world.repository.merge(second)
    third = world.opened("db", "cache", "queue")
    assert "destroys 1 resource" in world.shown(third)
    world.repository.merge(third)
    result = world.applied()
    assert result["violations"] == []
    assert world.items() == {"db", "cache", "queue"}
    again = world.applied()
    assert (again["applied"], again["begun"]) == (True, False)
    assert [deployment.task for deployment in world.repository.deployments] == ["leverframe-infra"] * 2


@pytest.mark.deep
def test_a_plan_that_changed_since_its_review_waits_for_another_one(world: World) -> None:
    """Refused with the difference in the comment; applied once a person names the digest that they have read."""
    now = world.holding("db")
    pull = world.opened(*now, "mail")
    world.shown(pull)
    world.repository.merge(pull)
    world.lose("db")  # behind Terraform's back
    result = world.applied(code=30)
    assert reasons(result) == ["plan-changed"]
    assert world.items() == now - {"db"}
    comment = world.comment(pull)
    assert "not applied" in comment
    assert 'module.items.terraform_data.item["db"]: nobody reviewed that it would create' in comment
    digest = result["plan"]["digest"]
    assert f"--reviewed {digest}" in comment
    assert reasons(world.applied("--reviewed", "f" * 64, code=30)) == ["plan-changed"]
    assert world.applied("--reviewed", digest)["applied"]
    assert world.items() == now | {"mail"}
    assert "✅ Infrastructure `demo`: applied" in world.comment(pull)


@pytest.mark.deep
def test_what_is_protected_is_destroyed_with_a_label_alone(world: World) -> None:
    """Refused in the card and at the apply; the label of the merged pull request allows what it was reviewed to do."""
    rest = world.holding("db", "web") - {"db"}
    pull = world.opened(*rest)
    body = world.shown(pull)
    assert body.partition("\n")[2].startswith("## ❌")
    assert "`destroy-protected`" in body
    assert world.repository.latest_checks(pull.head)[check_name("demo")].conclusion == "failure"
    world.repository.merge(pull)
    assert reasons(world.applied(code=30)) == ["destroy-protected"]
    assert "db" in world.items()
    pull.labels.append("infra-destroy")
    assert world.applied()["applied"]
    assert world.items() == rest


def test_drift_has_one_issue(world: World) -> None:
    """Opened, updated, and closed by itself once what was lost is there again."""
    now = sorted(world.holding("one", "two"))
    world.drift()
    assert world.repository.issues == {}
    world.lose(now[0])
    world.drift()
    (issue,) = world.repository.issues.values()
    assert (issue.state, issue.labels) == ("open", ["infra-drift"])
    assert f'item["{now[0]}"]' in issue.body
    world.lose(now[1])
    world.drift()
    assert f'item["{now[1]}"]' in issue.body
    result = world.applied(code=30)
    assert reasons(result) == ["plan-unreviewed"]
    assert world.applied("--reviewed", result["plan"]["digest"])["applied"]
    world.drift()
    assert (issue.state, len(world.repository.issues)) == ("closed", 1)


def forged(change: Callable[[dict[str, Any]], None]) -> Edit:
    """Return what edits the plan in a card."""

    def edit(card: dict[str, Any]) -> dict[str, Any]:
        change(card["infra"][0])
        return card

    return edit


def test_a_forged_artifact_applies_nothing(world: World) -> None:
    """Other lines under the true digest, a plan that looks empty, none at all; and one of another commit is refused."""
    now = world.items()

    def other_lines(planned: dict[str, Any]) -> None:
        for change in planned["plan"]["changes"]:
            change["lines"] = ["+ input = harmless"]

    def other_names(planned: dict[str, Any]) -> None:
        for change in planned["plan"]["changes"]:
            change["address"] = "module.items.terraform_data.harmless"

    def no_change(planned: dict[str, Any]) -> None:
        planned["plan"] |= {"changes": [], "outputs": []}

    pull = world.opened(*now, "evil")
    for forge in (other_names, no_change):
        assert world.shown(pull, forged(forge), code=26) == ""
    assert check_name("demo") not in world.repository.latest_checks(pull.head)
    assert "harmless" in world.shown(pull, forged(other_lines))
    world.repository.merge(pull)
    result = world.applied(code=30)
    assert reasons(result) == ["plan-changed"]
    assert "+ input = harmless" in world.comment(pull)
    assert world.items() == now
    assert world.applied("--reviewed", result["plan"]["digest"])["applied"]
    now = world.items()
    victim, attacker = world.opened(*now, "x"), world.opened(*now, "y")
    world.shown(attacker, forged(lambda planned: planned.update(head=victim.head)), code=26)
    world.shown(attacker, forged(lambda planned: planned.update(environment="../../x")), code=26)
    assert world.repository.latest_checks(victim.head) == {}
    assert check_name("demo") not in world.repository.latest_checks(attacker.head)


def test_a_change_without_a_plan_says_so(world: World) -> None:
    """Its job crashed, or was never set up: the card does not look like one without changes."""
    pull = world.opened(*world.items(), "unplanned")
    body = world.shown(pull, plans=False)
    assert "the change concerns the infrastructure of `demo`, and no plan was made" in body
    check = world.repository.latest_checks(pull.head)[check_name("demo")]
    assert (check.conclusion, check.external_id) == ("failure", "")


def test_a_fork_can_claim_no_plan(world: World) -> None:
    """Its artifact says that all was planned: nothing is kept, no check run names it, and the card says why."""
    world.write(*world.items(), "stranger")
    world.author.commit("From a fork")
    fork = world.server.repository("stranger/platform")
    world.author.git("push", "--quiet", "--force", str(fork.path), "HEAD:refs/heads/change")
    pull = world.repository.open_pull("A change", "change", source=fork)

    def claimed(card: dict[str, Any]) -> dict[str, Any]:
        return card | {"infra": [plain(replace(planned(CREATE), environment="demo", head=pull.head))]}

    body = world.shown(pull, claimed, plans=False)
    assert "is not planned for a pull request from a fork" in body
    assert "aws_s3_bucket.models" not in body
    assert world.repository.latest_checks(pull.head)[check_name("demo")].external_id == ""


@pytest.mark.deep
def test_faults_of_the_forge_lose_nothing(world: World) -> None:
    """Before the apply nothing happens; after it the record is written by the next run."""
    now = world.items()
    pull = world.opened(*now, "late")
    world.shown(pull)
    world.repository.merge(pull)
    world.server.faults.append(Fault("GET", "/commits/.*/pulls", 403, 1, body={"message": "Resource not accessible"}))
    world.applied(code=26)
    assert world.items() == now
    world.server.faults.append(Fault("POST", "/statuses", 502, 1, late=True))
    world.server.faults.append(Fault("POST", "/comments", 403, 1, body={"message": "Resource not accessible"}))
    world.applied(code=26)
    assert world.items() == now | {"late"}
    assert world.applied()["applied"]
    world.server.faults.clear()
