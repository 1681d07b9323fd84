"""How a deployment to a cluster goes: step by step, and back again where a step fails.

Everything that a step needs is in the cluster or in the commit, so a run that was killed is simply begun anew: it
gets the same number, applies the same manifests, which changes nothing, and waits for the same pods.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

from leverframe.domain.release.deploy import Deployed
from leverframe.domain.release.kubernetes import cluster_plan as way
from leverframe.domain.release.kubernetes.cluster_record import KIND, Record, read_record, record_name
from leverframe.domain.release.kubernetes.cluster_steps import Wanted, Work
from leverframe.domain.release.kubernetes.manifests import (
    INSTANCE,
    RELEASE,
    Manifest,
    Target,
    digest_of,
    live,
    overlay,
    stamped,
)
from leverframe.domain.release.kubernetes.pods import Fault, Pod, fault
from leverframe.domain.release.ledger import Ledger
from leverframe.domain.release.ports import Clock
from leverframe.domain.release.refusals import nothing_to_restore, refused_before
from leverframe.domain.release.release_manifest import ReleaseManifest
from leverframe.domain.release.release_state import State
from leverframe.domain.release.server_plan import Terms
from leverframe.domain.release.server_steps import Took
from leverframe.domain.verdict import Reason, Violation
from leverframe.errors import ClusterError, LeverframeError

_POLL = 1.0


class Cluster(Protocol):
    """What a deployment needs of a cluster; every method raises ``ClusterError``."""

    def render(self, overlay: Manifest) -> list[Manifest]:
        """Return the objects that an overlay over the manifests of the package comes to."""

    def get(self, kind: str, name: str) -> Mapping[str, Any] | None:
        """Return an object, None where there is none."""

    def pods(self, selector: str) -> list[Pod]:
        """Return the pods with those labels."""

    def check(self, objects: Sequence[Manifest]) -> None:
        """Let the API server go through the objects without keeping them."""

    def differs(self, objects: Sequence[Manifest]) -> bool:
        """Tell whether applying the objects would change anything."""

    def apply(self, objects: Sequence[Manifest]) -> None:
        """Apply the objects; raises ``ServerBusyError`` where one has another version than it was read with."""

    def delete(self, kind: str, name: str) -> None:
        """Delete an object, if it is there."""

    def rolled_out(self, deployment: str, seconds: int) -> str:
        """Wait until a Deployment is rolled out; return why it is not."""


@dataclass(frozen=True)
class Rollouts:
    """Deployments of one model to one cluster; ``template`` is the target but for what a release adds.

    With a ``ledger`` each is written down where others see it.
    """

    cluster: Cluster
    clock: Clock
    terms: Terms
    environment: str
    template: Target
    tell: Callable[[str], None] = lambda _: None
    ledger: Ledger | None = None

    def plan(self, wanted: Wanted) -> tuple[tuple[way.Step, ...], list[Manifest]]:
        """Return the steps to what is wanted, and the objects that they would apply; nothing is changed."""
        record = self.record()
        target, objects = self._rendered(record.state, wanted)
        return self._steps(record.state, wanted, target, objects), objects

    def run(self, wanted: Wanted, *, again: bool = False) -> Deployed:
        """Bring the cluster to what is wanted; what fails is undone, and told as a violation.

        Raises ``ClusterError`` where the cluster goes away or refuses, the next run mends what is left then;
        and ``PromotionError`` where the commit was registered as something else.
        """
        if self.ledger is None:
            return self._run(wanted, again)[0]
        self.ledger.check(wanted.manifest)
        try:
            found, at_fault = self._run(wanted, again)
        except LeverframeError as error:
            with suppress(LeverframeError):  # a forge that does not answer hides nothing of the cluster
                self.ledger.broke(error.what)
            raise
        if found.violations and not at_fault:  # the commit is as good as before: no pull request takes it back
            self.ledger.broke(found.violations[0].what)
            return found
        if found.violations:
            return replace(found, recorded=self.ledger.failed(wanted.manifest, found.violations[0], found.serving))
        return replace(found, recorded=self.ledger.served(found.serving)) if found.serving else found

    def _run(self, wanted: Wanted, again: bool) -> tuple[Deployed, bool]:
        """Return what came of it, and whether the bundle was at fault."""
        record, desired = self.record(), wanted.manifest
        refused = record.state.refused
        if again:
            refused = {bundle: why for bundle, why in refused.items() if bundle != desired.bundle}
            record = replace(record, state=replace(record.state, refused=refused))
        if desired.bundle in refused:
            return self._refused(record, desired), True
        target, objects = self._rendered(record.state, wanted)
        work, taken, undo = Work(self, target, objects, record, wanted), list[Took](), list[way.Undo]()
        steps = self._steps(record.state, wanted, target, objects)
        if self.ledger is not None and steps:
            self.ledger.begin(desired)
        for step in steps:
            undo += [step.undone_by] if isinstance(step, way.Apply) else []
            took, against = self._gone(str(step), partial(work.go, step))
            taken.append(took)
            if against is not None:
                return self._undone(work, undo, taken, against), work.at_fault
        after = work.record.state.serving
        return Deployed(desired.model, self.environment, after, record.state.serving, tuple(taken)), False

    def rollback(self, number: int | None, why: str) -> Deployed:
        """Apply the manifests of an earlier release, by default the one before; the bundle that is left is refused."""
        record, model = self.record(), self.template.model
        known = [each.number for each in record.state.releases]
        goal = number if number is not None else (known[-2] if len(known) > 1 else None)
        before = record.state.serving
        if goal is None or goal not in known[:-1]:
            violation = nothing_to_restore(self.environment, goal, known)
            return Deployed(model, self.environment, before, before, violations=(violation,))
        after = replace(record, state=record.state.back_to(goal, why))
        self.keep(after)  # first: a rollback that is killed here is finished by the next run
        took, against = self._gone(f"go back to release {goal}", lambda: self._restored(after, goal))
        violations = (against,) if against else ()
        written = None
        if self.ledger and not against and before is not None:
            written = self.ledger.went_back(before, after.state.releases[-1], why)
        return Deployed(model, self.environment, after.state.serving, before, (took,), violations, None, True, written)

    def record(self) -> Record:
        """Return what the cluster keeps of the releases."""
        return read_record(self.template.model, self.cluster.get(KIND, record_name(self.template.name)))

    def keep(self, record: Record) -> None:
        """Replace the record in the cluster."""
        self.cluster.apply([record.manifest(self.template.name, self.template.cluster.namespace)])

    def _rendered(self, state: State, wanted: Wanted) -> tuple[Target, list[Manifest]]:
        number, serving, desired = way.number_for(state, wanted.manifest.bundle), state.serving, wanted.manifest
        same = serving is not None and serving.bundle == desired.bundle
        commit = serving.manifest.commit if serving and same else desired.commit  # another commit moves no pod
        target = replace(self.template, number=number, bundle=desired.bundle, content=wanted.content, commit=commit)
        return target, stamped(self.cluster.render(overlay(target)), target)

    def _steps(self, state: State, wanted: Wanted, target: Target, objects: list[Manifest]) -> tuple[way.Step, ...]:
        now, digest = live(self.cluster.get(target.workload, target.name)), digest_of(objects, target.workload)
        if now is not None and now.digest == digest and self.cluster.differs(objects):
            now = None  # somebody changed it by hand
        rendered = way.Rendered(target, digest, len(objects))
        return way.planned(state, now, wanted.manifest, rendered, self.terms.verify_seconds)

    def _gone(self, step: str, work: Callable[[], Violation | None]) -> tuple[Took, Violation | None]:
        self.tell(step)
        began = self.clock.seconds()
        violation = work()
        took = round(self.clock.seconds() - began, 3)
        return Took(step, took, violation.what if violation else ""), violation

    def _refused(self, record: Record, desired: ReleaseManifest) -> Deployed:
        """Say that a bundle was refused before; where its pods were left by a run that was killed, mend that first."""
        serving, taken = record.state.serving, list[Took]()
        now = live(self.cluster.get(self.template.workload, self.template.name))
        if serving is not None and now is not None and now.bundle == desired.bundle:
            took, _ = self._gone(f"undo: {way.Restore(serving.number)}", lambda: self._restored(record, serving.number))
            taken.append(took)
        violation = refused_before(desired.bundle, record.state.refused[desired.bundle])
        return Deployed(desired.model, self.environment, serving, serving, tuple(taken), (violation,))

    def _undone(self, work: Work, undo: Sequence[way.Undo], taken: Sequence[Took], violation: Violation) -> Deployed:
        """Go back to what was recorded, and remember a bundle that was at fault, and why."""
        back = []
        for step in undo:
            took, _ = self._gone(f"undo: {step}", partial(self._undo, work.record, step))
            back.append(took)
        state, desired = work.record.state, work.wanted.manifest
        serving = state.serving
        if work.at_fault and (serving is None or serving.bundle != desired.bundle):
            why = f"{violation.reason}: {violation.what}"
            self.keep(replace(work.record, state=state.without(desired.bundle, why, work.target.number)))
        return Deployed(
            desired.model, self.environment, serving, serving, (*taken, *back), (violation,), rolled_back=bool(back)
        )

    def _undo(self, record: Record, step: way.Undo) -> Violation | None:
        if isinstance(step, way.Remove):
            self.cluster.delete(self.template.workload, step.name)
            return None
        return self._restored(record, step.number)

    def _restored(self, record: Record, number: int) -> Violation | None:
        """Apply a kept release and wait for its pods; return why they do not come."""
        objects = record.kept[number].objects
        if self.template.workload not in {each["kind"] for each in objects}:
            raise ClusterError(
                f"release {number} has no {self.template.workload}",
                why=f"`flavour` of `{self.environment}` was changed since",
                next="change it back in leverframe.yaml, or deploy the commit that should serve",
            )
        self.cluster.apply(objects)
        why = self.settled(number)
        return (
            Violation(Reason.LOAD_FAILED, why.why, "`kubectl get pods` and `kubectl describe` say more")
            if why
            else None
        )

    def settled(self, number: int) -> Fault | None:
        """Wait until every pod is of a release; return why they are not."""
        of, seconds = self.template.cluster, self.template.cluster.timeout_seconds
        name = self.template.name
        if of.flavour == "kserve":
            name = f"{name}-predictor"
            until = self.clock.seconds() + seconds
            while not _carries(self.cluster.get("Deployment", name), number):
                if self.clock.seconds() > until:
                    return Fault(f"KServe made no Deployment `{name}` of release {number}", of_the_bundle=False)
                self.clock.sleep(_POLL)
        why = self.cluster.rolled_out(name, seconds)
        if not why:
            return None
        found = fault(self.pods(), number)
        return replace(found, why=f"{why}; {found.why}")

    def pods(self) -> list[Pod]:
        """Return the pods of the model."""
        return self.cluster.pods(f"{INSTANCE}={self.template.name}")


def _carries(deployment: Mapping[str, Any] | None, number: int) -> bool:
    template = (deployment or {}).get("spec", {}).get("template", {})
    return bool(template.get("metadata", {}).get("labels", {}).get(RELEASE) == str(number))
