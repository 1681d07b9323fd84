"""Deployments to a cluster in memory: a run that ends at any call of the cluster is finished by the next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest

from leverframe.domain.model.bundle.bundle_manifest import MANIFEST, SCHEMA, sha256
from leverframe.domain.release.deploy import Deployed, deploy, planned, rollback
from leverframe.domain.release.kubernetes.cluster_releases import ClusterReleases
from leverframe.domain.release.kubernetes.cluster_target import ClusterTarget
from leverframe.domain.release.ledger import Ledger
from leverframe.domain.release.target import DeployContext
from leverframe.errors import ClusterUnreachableError
from tests.fakes.kubernetes.in_memory import NAMESPACE, InMemoryCluster
from tests.fakes.kubernetes.state import Fault, Objects
from tests.manifests import target
from tests.unit.test_deploy_record import Book, Forge
from tests.unit.test_deploy_server_target import ONE, POLICY, TWO, Clock, KilledError, Watched, bundle, candidate

BUNDLES = {"one": ONE, "two": TWO}
FIRST, SECOND = sha256(ONE[MANIFEST]), sha256(TWO[MANIFEST])


@dataclass
class Namespace:
    """A namespace of a cluster whose pods come up at once; ``before_call`` is called before each call of it."""

    objects: Objects = field(default_factory=lambda: Objects((NAMESPACE,), patience=-1))
    before_call: Callable[[str], None] = lambda _: None
    book: Book = field(default_factory=Book)
    forge: Forge = field(default_factory=Forge)

    def announce(self, name: str) -> None:
        """Let who watches know of a call."""
        self.before_call(name)

    @property
    def target(self) -> ClusterTarget:
        """The target, as a new process sees it."""
        cluster: Any = Watched(InMemoryCluster(self.objects), self.announce)
        context = DeployContext("shop", "staging", POLICY, Clock())
        return ClusterTarget(context, ClusterReleases(cluster, target()))

    @property
    def ledger(self) -> Ledger:
        """Where it is recorded, as a new process sees it."""
        return Ledger(self.book, self.forge, "shop", "staging")

    def deploy(self, name: str, *, again: bool = False) -> Deployed:
        """Deploy a bundle of a commit that has the first letter of its name."""
        return deploy(self.target, candidate(BUNDLES[name], name[0]), self.ledger, again=again)

    def carries(self) -> int:
        """Return the release that the workload carries."""
        workload = self.objects.get(("Deployment", NAMESPACE, "shop")) or {}
        return int(workload["metadata"]["labels"]["leverframe.dev/release"])


def ended_at(
    namespace: Namespace, call: int, run: Callable[[Namespace], object], by: BaseException | None = None
) -> bool:
    """Run until the ``call``-th call of the cluster, killed or ended ``by`` an error; return whether it got so far."""
    calls, error = count(), by or KilledError()

    def end(_: str) -> None:
        if next(calls) == call:
            raise error

    namespace.before_call = end
    try:
        run(namespace)
    except type(error):
        return True
    finally:
        namespace.before_call = lambda _: None
    return False


AWAY = ClusterUnreachableError("the cluster does not answer", why="a test", next="again")


@pytest.mark.parametrize("by", [None, AWAY], ids=["killed", "cluster away"])
@pytest.mark.parametrize("fault", [None, "crash"])
def test_a_run_that_ends_at_any_call_is_finished_by_the_next(fault: Fault | None, by: BaseException | None) -> None:
    """The same number again, and traffic moves once; a bundle at fault never gets any."""
    for call in count():
        namespace = Namespace()
        namespace.deploy("one")
        if fault:
            namespace.objects.faults[SECOND] = fault
        killed = ended_at(namespace, call, lambda at: at.deploy("two"), by)
        dry = [str(step) for step in planned(namespace.target, candidate(TWO, "t"))]
        done = namespace.deploy("two")
        number = 1 if fault else 2
        assert (namespace.carries(), namespace.target.state.serving and namespace.target.state.serving.number) == (
            number,
            number,
        )
        assert namespace.objects.served == ([FIRST] if fault else [FIRST, SECOND])
        assert bool(done.violations) is bool(fault)
        if not fault:
            assert [result.step for result in done.steps] == dry
            assert namespace.deploy("two").steps == ()
        if not killed:
            break
    assert call > 8


@pytest.mark.parametrize("fault", [None, "crash"])
def test_a_run_that_ends_at_any_call_is_undone_where_git_goes_back(fault: Fault | None) -> None:
    """The commit before is wanted again: its pods serve, whatever was applied."""
    for call in count():
        namespace = Namespace()
        namespace.deploy("one")
        if fault:
            namespace.objects.faults[SECOND] = fault
        killed = ended_at(namespace, call, lambda at: at.deploy("two"))
        done = namespace.deploy("one")
        assert done.violations == ()
        assert done.serving is not None
        assert (done.serving.bundle, done.serving.number) == (FIRST, namespace.carries())
        assert namespace.objects.served[-1] == FIRST
        if not killed:
            break
    assert call > 8


def test_a_rollback_that_ends_at_any_call_is_finished_by_the_next() -> None:
    """Before it is recorded nothing happened; after that, the bundle that was left is refused, and pods go back."""
    for call in count():
        namespace = Namespace()
        namespace.deploy("one")
        namespace.deploy("two")
        killed = ended_at(namespace, call, lambda at: rollback(at.target, None, "late labels", at.ledger))
        recorded = namespace.target.state.serving
        assert recorded is not None
        following = namespace.deploy("two")
        assert bool(following.violations) is (recorded.number == 1)
        assert namespace.carries() == recorded.number
        if not killed:
            assert recorded.number == 1
            break
    assert call > 2


def test_a_rollback_is_recorded_as_that_of_a_server() -> None:
    """The earlier version is assigned again, its deployment is active, and the later commit is reverted."""
    namespace = Namespace()
    namespace.deploy("one")
    namespace.deploy("two")
    back = rollback(namespace.target, None, "late labels", namespace.ledger)
    assert (back.serving and back.serving.number, back.before and back.before.number) == (1, 2)
    assert (back.rolled_back, [result.step for result in back.steps]) == (True, ["roll back to release 1"])
    assert back.recorded is not None
    assert (back.recorded.assignment, back.recorded.revert) == ("shop#staging#3", "pull/1")
    assert namespace.forge.states[-1][1] == "success"
    assert [violation.reason for violation in rollback(namespace.target, 9, "x").violations] == ["nothing-to-restore"]


def test_each_failure_is_recorded_for_what_it_is() -> None:
    """The bundle's fault reverts its commit; a cluster without room, or one that is away, does not."""
    namespace = Namespace()
    namespace.deploy("one")
    namespace.objects.faults[SECOND] = "no-node"
    assert [violation.reason for violation in namespace.deploy("two").violations] == ["load-failed"]
    assert (namespace.forge.states[-1][1], namespace.forge.reverts) == ("error", [])

    def away(name: str) -> None:
        if name == "rolled_out":
            raise ClusterUnreachableError("the cluster does not answer", why="it is gone", next="again")

    namespace.before_call = away
    with pytest.raises(ClusterUnreachableError):
        namespace.deploy("two")
    assert namespace.forge.states[-1][1] == "error"
    namespace.before_call = lambda _: None
    namespace.objects.faults[SECOND] = "crash"
    assert [violation.reason for violation in namespace.deploy("two").violations] == ["load-failed"]
    assert namespace.forge.states[-1][1] == "failure"
    assert [commit for commit, _, _ in namespace.forge.reverts] == ["t" * 40]
    assert [violation.reason for violation in namespace.deploy("two").violations] == ["refused-before"]
    namespace.objects.faults.clear()
    assert namespace.deploy("two", again=True).violations == ()


def test_a_schema_that_breaks_clients_is_refused_before_anything_is_applied() -> None:
    """Nothing reaches the cluster but what is read from it."""
    namespace = Namespace()
    namespace.deploy("one")
    narrower = TWO[SCHEMA].replace(b'"place"', b'"where"')
    assert narrower != TWO[SCHEMA]
    calls: list[str] = []
    namespace.before_call = calls.append
    other = candidate(bundle("narrower", **{SCHEMA: narrower}), "n")
    failed = deploy(namespace.target, other, namespace.ledger)
    assert [violation.reason for violation in failed.violations] == ["schema-incompatible"]
    assert calls.count("apply") == 1  # of the record, which has the bundle among the refused
    assert (failed.rolled_back, namespace.carries()) == (False, 1)
