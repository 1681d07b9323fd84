"""Reviewed plans, applies and drift on the local forge: what is kept, what is believed, and what a fault costs."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from leverframe.adapters.github.infra import GithubInfra
from leverframe.documents import plain
from leverframe.domain.infrastructure.infra_apply_result import InfraApplied
from leverframe.domain.infrastructure.infra_forge import BRANCH, LastApply, check_name
from leverframe.domain.infrastructure.infra_plan import ChangeKind
from leverframe.domain.infrastructure.infra_plan_result import InfraPlanned
from leverframe.domain.infrastructure.plan_review import PlanDifference
from leverframe.domain.verdict import Reason, Violation
from leverframe.errors import LeverframeError, PublishError
from leverframe.local.github import Fault, LocalForge, PullRequest, Repository, Token, serving
from leverframe.local.repository import TemporaryRepository
from tests.unit.test_infra_section import CREATE, DESTROY, HOSTILE, LARGE, change, planned

NAME, SECRET, BOT = "acme/infra", "ghs_not_to_be_seen_anywhere", "github-actions[bot]"
ENVIRONMENT = "aws-prod"


@dataclass
class Place:
    """A repository on the forge, an author who pushes, and our client."""

    server: LocalForge
    author: TemporaryRepository
    forge: GithubInfra

    @property
    def repository(self) -> Repository:
        """The repository on the forge."""
        return self.server.repositories[NAME]

    def opened(self, branch: str) -> PullRequest:
        """Open a pull request with a commit of its own."""
        self.author.git("fetch", "--quiet", str(self.repository.path), "main")
        self.author.git("checkout", "--quiet", "-B", branch, "FETCH_HEAD")
        self.author.write(f"{branch}.tf", branch)
        self.author.commit(branch)
        self.author.git("push", "--quiet", str(self.repository.path), branch)
        return self.repository.open_pull(branch, branch)

    def shown(self, pull: PullRequest, plan: InfraPlanned) -> InfraPlanned:
        """Publish a plan for the head of a pull request."""
        made = replace(plan, head=pull.head)
        self.forge.review(made)
        return made


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LocalForge, TemporaryRepository]]:
    """A fake GitHub server and an author."""
    folder = tmp_path_factory.mktemp("infra-forge")
    author = TemporaryRepository.create(folder, dvc=False)
    author.write("README.md", "infrastructure")
    author.commit("Start")
    with serving(folder / "forge") as server:
        server.tokens[SECRET] = Token(BOT)
        yield server, author
        assert server.violations == []


@pytest.fixture
def place(started: tuple[LocalForge, TemporaryRepository]) -> Place:
    """An empty repository on the forge, with a client that waits for nothing."""
    server, author = started
    server.repositories.pop(NAME, None)
    server.faults.clear()
    server.requests.clear()
    repository = Repository.create("acme", "infra", Path(tempfile.mkdtemp(dir=server.folder.parent)))
    server.repositories[NAME] = repository
    author.git("push", "--quiet", str(repository.path), "main")
    return Place(server, author, GithubInfra(server.address, NAME, SECRET))


def applied(pulls: tuple[int, ...] = (), **more: object) -> InfraApplied:
    """Return the result of an apply."""
    known = InfraApplied(
        ENVIRONMENT, "c" * 40, "b" * 40, "x", "default", "2026-11-27T03:00:00+00:00", planned(CREATE).plan
    )
    return replace(known, pulls=pulls, **{"begun": True, "applied": True, **more})  # type: ignore[arg-type]


def test_a_plan_that_was_shown_is_the_one_that_a_merge_is_held_to(place: Place) -> None:
    """Merge commit, merged commit and head lead to the pull request, its labels, and the plan of its last head."""
    pull = place.opened("one")
    made = place.shown(pull, planned(CREATE, DESTROY))
    pull.labels = ["infra-destroy"]
    check = place.repository.latest_checks(pull.head)[check_name(ENVIRONMENT)]
    assert made.plan is not None
    assert (check.external_id, check.conclusion) == (made.plan.digest, "success")
    assert check.title == "1 to destroy, 1 to create"
    assert place.forge.pulls_of(ENVIRONMENT, [pull.head]) == []  # open: nobody has to hold to it yet
    merge = place.repository.merge(pull)
    for commits in ([merge], [pull.head], [pull.head, merge, merge]):
        (reviewed,) = place.forge.pulls_of(ENVIRONMENT, commits)
        assert (reviewed.number, reviewed.head, reviewed.merged) == (pull.number, pull.head, merge)
        assert (reviewed.planned, reviewed.why, reviewed.labels) == (made, "", ("infra-destroy",))
    assert place.forge.labels(pull.number) == ("infra-destroy",)
    (other,) = place.forge.pulls_of("aws-dev", [merge])
    assert other.planned is None
    assert "no check run `leverframe infra aws-dev`" in other.why
    assert place.forge.pulls_of(ENVIRONMENT, ["e" * 40]) == []


def test_pull_requests_come_in_the_order_of_their_merges(place: Place) -> None:
    """Whatever the order of the commits is; each once."""
    pulls = [place.opened(name) for name in ("one", "two", "three")]
    for pull in pulls:
        place.shown(pull, planned(CREATE))
    merges = [place.repository.merge(pulls[at]) for at in (2, 0, 1)]
    for commits in (merges, merges[::-1]):
        reviewed = place.forge.pulls_of(ENVIRONMENT, commits)
        assert [pull.number for pull in reviewed] == [pulls[at].number for at in (2, 0, 1)]


def test_a_pull_request_into_another_one_counts_with_that(place: Place) -> None:
    """Its plan is of another base; what reaches main was planned there."""
    outer = place.opened("outer")
    inner = place.opened("inner")
    inner.base = "outer"
    place.shown(inner, planned(DESTROY))
    inner_merge = place.repository.merge(inner)
    place.repository.refresh(outer)
    made = place.shown(outer, planned(CREATE))
    merge = place.repository.merge(outer)
    reviewed = place.forge.pulls_of(ENVIRONMENT, [inner.head, inner_merge, merge])
    assert [(pull.number, pull.planned) for pull in reviewed] == [(outer.number, made)]


def test_the_newest_plan_of_a_head_counts_and_none_takes_it_away(place: Place) -> None:
    """A second run of the same commit replaces the plan; one without a plan leaves nothing reviewed."""
    pull = place.opened("one")
    place.shown(pull, planned(CREATE))
    second = place.shown(pull, planned(DESTROY))
    merge = place.repository.merge(pull)
    assert place.forge.pulls_of(ENVIRONMENT, [merge])[0].planned == second
    failed = (Violation(Reason.PLAN_FAILED, "no plan", "read the log"),)
    place.shown(pull, replace(planned(CREATE), plan=None, violations=failed))
    assert place.repository.latest_checks(pull.head)[check_name(ENVIRONMENT)].conclusion == "failure"
    (reviewed,) = place.forge.pulls_of(ENVIRONMENT, [merge])
    assert reviewed.planned is None
    assert reviewed.why


def test_what_somebody_pushes_to_the_branch_is_not_believed(place: Place) -> None:
    """Another digest, another environment, no plan, no JSON, too many bytes, or gone: nothing was reviewed."""
    pull = place.opened("one")
    made, other = place.shown(pull, planned(CREATE)), planned(DESTROY).plan
    assert made.plan is not None
    assert other is not None
    merge = place.repository.merge(pull)
    wrong = [
        json.dumps(plain(replace(made, plan=replace(made.plan, digest="e" * 64)))),
        json.dumps(plain(replace(made, plan=replace(made.plan, changes=other.changes)))),
        json.dumps(plain(replace(made, environment="aws-dev"))),
        json.dumps(plain(replace(made, plan=None))),
        json.dumps(plain(made))[:-20],
        json.dumps(plain(made) | {"more": 1}),
        "",
        " " * 20_000_001,
    ]
    place.author.git("fetch", "--quiet", str(place.repository.path), BRANCH)
    for text in wrong:
        place.author.git("checkout", "--quiet", "--force", "--detach", "FETCH_HEAD")
        place.author.write(f"{ENVIRONMENT}/{made.plan.digest}.json", text)
        place.author.commit("Forged")
        place.author.git("push", "--quiet", "--force", str(place.repository.path), f"HEAD:{BRANCH}")
        (reviewed,) = place.forge.pulls_of(ENVIRONMENT, [merge])
        assert reviewed.planned is None
        assert "no plan with the digest" in reviewed.why
    place.repository.git("update-ref", "-d", f"refs/heads/{BRANCH}")
    assert place.forge.pulls_of(ENVIRONMENT, [merge])[0].planned is None
    assert place.forge.kept(ENVIRONMENT, "../../main") is None
    assert place.forge.kept(ENVIRONMENT, "f" * 64) is None


def test_plans_of_several_pull_requests_lie_side_by_side(place: Place) -> None:
    """Two writers at once lose nothing: the slower one reads the branch again."""
    first, second = place.opened("one"), place.opened("two")
    small = place.shown(first, planned(CREATE))
    place.server.faults.append(Fault("PATCH", f"/git/refs/heads/{BRANCH}", 422, 1))
    large = place.shown(second, planned(*LARGE))
    for made in (small, large):
        assert made.plan is not None
        assert place.forge.kept(ENVIRONMENT, made.plan.digest) == made
    assert len(place.repository.git("rev-list", BRANCH).split()) == 2


def test_what_was_applied_last_and_what_was_begun(place: Place) -> None:
    """Killed, failed, healed and done again; a deployment of a model to an environment of that name is another one."""
    one, two = place.repository.commit("main"), place.opened("two").head
    assert place.forge.last(ENVIRONMENT) == LastApply()
    place.forge.begin(ENVIRONMENT, one)
    place.forge.begin(ENVIRONMENT, one)
    assert place.forge.last(ENVIRONMENT) == LastApply("", one)
    place.forge.record(applied(head=one))
    assert place.forge.last(ENVIRONMENT) == LastApply(one)
    place.forge.record(applied(head=two, begun=False, applied=False))  # refused: nothing was touched
    assert place.forge.last(ENVIRONMENT) == LastApply(one)
    place.forge.begin(ENVIRONMENT, two)
    place.forge.record(applied(head=two, applied=False))
    assert place.forge.last(ENVIRONMENT) == LastApply(one, two)
    place.forge.record(applied(head=two))
    assert place.forge.last(ENVIRONMENT) == LastApply(two)
    place.repository.deployments[-1].states.append(("inactive", ""))  # as GitHub does once another one succeeds
    assert place.forge.last(ENVIRONMENT) == LastApply(two)
    place.forge.begin(ENVIRONMENT, two)  # the same commit again, against drift
    assert place.forge.last(ENVIRONMENT) == LastApply(two, two)
    assert place.forge.last("aws-dev") == LastApply()
    assert [deployment.task for deployment in place.repository.deployments] == ["leverframe-infra"] * 2
    states = [state for state, _ in place.repository.deployments[0].states]
    assert states == ["in_progress", "success"]


def test_an_apply_is_one_comment_a_pull_request(place: Place) -> None:
    """Refused with the difference, then applied: updated in place, whoever else copies its marker."""
    pull = place.opened("one")
    hostile = change("a.b", ChangeKind.UPDATE, f"~ {HOSTILE}")
    refusal = applied(
        (pull.number,), begun=False, applied=False, differences=(PlanDifference("a.b", None, hostile),),
        violations=(Violation(Reason.PLAN_CHANGED, "`a.b` is not what was reviewed", "review it"),),
    )  # fmt: skip
    (address,) = place.forge.record(refusal)
    (comment,) = pull.comments
    assert address.endswith(str(comment.number))
    assert "plan-changed" in comment.body
    assert "nobody reviewed that it would change in place" in comment.body
    assert "not applied" in comment.body
    place.repository.say(pull, "mallory", comment.body)
    place.forge.record(refusal)
    assert comment.edits == 0
    place.forge.record(applied((pull.number,), head=pull.head))
    assert [written.author for written in pull.comments] == [BOT, "mallory"]
    assert "✅ Infrastructure `aws-prod`: applied" in comment.body
    assert "plan-changed" not in comment.body
    place.forge.record(applied((pull.number,), head=pull.head, environment="aws-dev"))
    assert len(pull.comments) == 3


def test_an_apply_is_recorded_where_nobody_can_comment(place: Place) -> None:
    """The conversation of a merged pull request is often locked: what was applied is known all the same."""
    pull = place.opened("one")
    pull.locked = True
    (note,) = place.forge.record(applied((pull.number,), head=pull.head))
    assert note == f"no comment on #{pull.number}: it answered 403: Unable to create comment because issue is locked."
    assert place.forge.last(ENVIRONMENT) == LastApply(pull.head)


def drifted(*names: str) -> InfraPlanned:
    """Return a plan that changes something of these names, or an empty one."""
    return planned(*(change(f"aws_s3_bucket.{name}", ChangeKind.UPDATE) for name in names))


def test_a_drift_has_one_issue_that_closes_by_itself(place: Place) -> None:
    """Opened, updated in place around what people wrote, closed, opened again; nothing is written twice."""
    assert place.forge.show_drift(drifted(), "infra-drift") == ""
    address = place.forge.show_drift(drifted("1"), "infra-drift")
    (issue,) = place.repository.issues.values()
    assert address.endswith(f"/issues/{issue.number}")
    assert issue.labels == ["infra-drift"]
    assert "aws_s3_bucket.1" in issue.body
    issue.body = f"Somebody looks into it.\n\n{issue.body}"
    before = len(place.server.requests)
    assert place.forge.show_drift(drifted("1"), "infra-drift") == address
    assert {request.method for request in place.server.requests[before:]} == {"GET"}
    place.forge.show_drift(drifted("2"), "infra-drift")
    assert "aws_s3_bucket.2" in issue.body
    assert issue.body.startswith("Somebody looks into it.")
    failed = replace(drifted("1"), plan=None)
    assert place.forge.show_drift(failed, "infra-drift") == address
    assert issue.state == "open"
    place.forge.show_drift(drifted(), "infra-drift")
    assert (issue.state, issue.reason) == ("closed", "completed")
    place.forge.show_drift(drifted(), "infra-drift")
    place.forge.show_drift(drifted("2"), "infra-drift")
    assert issue.state == "open"
    issue.state, issue.reason = "closed", "not_planned"
    place.forge.show_drift(drifted("2"), "infra-drift")
    assert issue.state == "closed"
    place.forge.show_drift(drifted("3"), "infra-drift")
    assert issue.state == "open"
    place.forge.show_drift(replace(drifted("1"), environment="aws-dev"), "infra-drift")
    assert len(place.repository.issues) == 2


def test_a_lost_answer_leaves_one_open_issue_of_a_drift(place: Place) -> None:
    """GitHub opened it, and the client asked again."""
    place.server.faults.append(Fault("POST", "/issues$", 502, 1, late=True))
    address = place.forge.show_drift(drifted("1"), "infra-drift")
    first, second = place.repository.issues.values()
    assert address.endswith(f"/issues/{first.number}")
    assert (first.state, second.state, second.reason) == ("open", "closed", "duplicate")


@pytest.mark.parametrize("status", [502, 500, 429])
def test_lost_answers_do_nothing_twice(place: Place, status: int) -> None:
    """The server did it and the answer was lost, for each request that writes."""
    pull = place.opened("one")
    for method, path in (
        ("POST", "/git/trees"), ("POST", "/git/commits"), ("POST", "/git/refs"), ("POST", "/check-runs"),
        ("POST", "/deployments$"), ("POST", "/statuses"), ("POST", "/comments"), ("GET", "/check-runs"),
        ("GET", "/pulls"),
    ):  # fmt: skip
        place.server.faults.append(Fault(method, path, status, 1, late=True, headers={"Retry-After": "0"}))
    made = place.shown(pull, planned(CREATE))
    merge = place.repository.merge(pull)
    assert place.forge.pulls_of(ENVIRONMENT, [merge])[0].planned == made
    place.forge.begin(ENVIRONMENT, merge)
    place.forge.record(applied((pull.number,), head=merge))
    assert place.forge.last(ENVIRONMENT) == LastApply(merge)
    assert len(pull.comments) == 1
    assert not [fault for fault in place.server.faults if fault.times]


@pytest.mark.parametrize(
    ("method", "path", "permission"),
    [
        ("POST", "/git/trees", "contents: write"),
        ("POST", "/check-runs", "checks: write"),
        ("POST", "/deployments", "deployments: write"),
    ],
)
def test_a_permission_that_lacks_is_named(place: Place, method: str, path: str, permission: str) -> None:
    """With the line that grants it."""
    pull = place.opened("one")
    place.server.faults.append(Fault(method, path, 403, 9, body={"message": "Resource not accessible by integration"}))

    def all_of_it() -> None:
        place.shown(pull, planned(CREATE))
        place.forge.begin(ENVIRONMENT, pull.head)

    with pytest.raises(PublishError) as error:
        all_of_it()
    assert permission in error.value.next


def test_a_forge_that_is_down_is_an_error_of_ours(place: Place) -> None:
    """Never an empty list: nobody may take silence for `nothing was reviewed`."""
    pull = place.opened("one")
    merge = place.repository.merge(pull)
    place.server.faults.append(Fault("GET", "/pulls", 502, 99))
    with pytest.raises(LeverframeError):
        place.forge.pulls_of(ENVIRONMENT, [merge])
