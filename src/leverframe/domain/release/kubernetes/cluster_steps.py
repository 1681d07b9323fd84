"""What each step of a deployment to a cluster does, and how it is undone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, assert_never

from leverframe.domain.model.bundle import bundle_manifest as names
from leverframe.domain.model.bundle.schema import from_json
from leverframe.domain.release.kubernetes.cluster_plan import (
    Apply,
    ClusterAction,
    Remove,
    Restore,
    Rollout,
    Validate,
    VerifyPods,
)
from leverframe.domain.release.kubernetes.cluster_record import AppliedRelease
from leverframe.domain.release.kubernetes.cluster_releases import ClusterReleases
from leverframe.domain.release.kubernetes.kustomize_patches import Manifest
from leverframe.domain.release.kubernetes.manifests import INSTANCE, RELEASE
from leverframe.domain.release.kubernetes.pods import Fault, Pod, Watch, fault
from leverframe.domain.release.refusals import damaged, incompatible
from leverframe.domain.release.release_manifest import unlike
from leverframe.domain.release.release_state import Release
from leverframe.domain.release.steps import Adopt, Compare, Fetch, GoBack, Record
from leverframe.domain.release.target import Candidate, DeployContext
from leverframe.domain.verdict import Reason, Violation
from leverframe.errors import ClusterError

_POLL = 1.0


class ClusterExecutor:
    """Executes the steps of one deployment, and keeps what later steps need of earlier ones."""

    replayed = None  # no logged request is replayed on a cluster
    latency = ()  # pods that run side by side are not asked in turn: they share no machine

    def __init__(self, context: DeployContext, releases: ClusterReleases, candidate: Candidate) -> None:
        self._context, self._releases, self._candidate = context, releases, candidate
        self._cluster, self._template = releases.cluster, releases.template
        self._blamed = False
        self._objects: Sequence[Manifest] = ()
        self._schema: Mapping[str, Any] = {}

    def run(self, action: ClusterAction) -> Violation | None:
        """Execute an action; raises ``ClusterError``, after which nothing is known of the bundle."""
        match action:
            case Fetch():
                violation = self._fetch()
            case Compare():
                violation = self._compare()
            case Rollout():
                violation = self._roll_out(action)
            case VerifyPods():
                violation = self._verify(action)
            case Restore():
                violation = self._restored(action.number)
            case GoBack():
                violation = self._go_back(action)
            case _:
                self._changed(action)
                violation = None
        return violation

    def blames_bundle(self, _: Violation) -> bool:
        """Tell whether the bundle is at fault, as far as is known: a node, an image or a remote may be, too."""
        return self._blamed

    def _changed(self, action: Validate | Apply | Record | Adopt | Remove) -> None:
        """Execute an action that no bundle can fail."""
        match action:
            case Validate():
                self._cluster.check(action.objects)
            case Apply():
                self._objects = action.objects
                self._cluster.apply(action.objects)
            case Record():
                self._record(action)
            case Adopt():
                self._releases.record(self._releases.state.wanted_by(self._candidate.manifest))
            case Remove():
                self._cluster.delete(self._template.workload, action.name)
            case _:
                assert_never(action)

    def _fetch(self) -> Violation | None:
        files, desired = self._candidate.fetch(), self._candidate.manifest
        wrong = unlike(files, desired.bundle, desired.model)
        if wrong:
            return damaged(wrong)
        self._schema = json.loads(files[names.SCHEMA])
        return None

    def _compare(self) -> Violation | None:
        serving = self._releases.state.serving
        kept = self._releases.kept.get(serving.number) if serving else None
        violation = incompatible(from_json(kept.schema), from_json(self._schema)) if kept else None
        self._blamed = violation is not None
        return violation

    def _roll_out(self, action: Rollout) -> Violation | None:
        why = self._settled(action.number)
        if why is None:
            return None
        self._blamed = why.of_the_bundle
        return Violation(Reason.LOAD_FAILED, why.why, "fix what the pod names; `leverframe deploy` tries again")

    def _verify(self, action: VerifyPods) -> Violation | None:
        clock, watch = self._context.clock, Watch(action.release)
        until, looks = clock.seconds() + action.seconds, 0
        while True:
            wrong = watch.wrong(self._pods())
            if wrong:
                self._blamed = True
                return Violation(Reason.VERIFY_FAILED, wrong, "look at the log of the pod; the release before serves")
            looks += 1
            left = until - clock.seconds()
            if left <= 0 and looks > 1:  # one look alone sees no restart
                return None
            clock.sleep(min(_POLL, max(0.0, left)))

    def _record(self, action: Record) -> None:
        state = self._releases.state
        earlier = tuple(release for release in state.releases if release.number != action.number)
        release = Release(action.number, self._candidate.manifest, self._context.clock.now())
        after = replace(state, releases=earlier).published(release, self._context.policy.keep)
        self._releases.record(after, {action.number: AppliedRelease(self._objects, self._schema)})

    def _go_back(self, action: GoBack) -> Violation | None:
        self._releases.record(self._releases.state.back_to(action.number, action.why))
        return self._restored(action.number)

    def _restored(self, number: int) -> Violation | None:
        """Apply a kept release and wait for its pods; return why they do not come up."""
        objects, workload = self._releases.kept[number].objects, self._template.workload
        if workload not in {manifest["kind"] for manifest in objects}:
            raise ClusterError(
                f"release {number} has no {workload}",
                why=f"`flavour` of `{self._context.environment}` was changed since",
                next="change it back in leverframe.yaml, or deploy the commit that should serve",
            )
        self._cluster.apply(objects)
        why = self._settled(number)
        if why is None:
            return None
        return Violation(Reason.LOAD_FAILED, why.why, "`kubectl get pods` and `kubectl describe` say more")

    def _settled(self, number: int) -> Fault | None:
        """Wait until every pod is of a release; return why they are not."""
        settings, clock, name = self._template.cluster, self._context.clock, self._template.name
        if settings.flavour == "kserve":
            name = f"{name}-predictor"
            until = clock.seconds() + settings.timeout_seconds
            while not _carries(self._cluster.get("Deployment", name), number):
                if clock.seconds() > until:
                    return Fault(f"KServe made no Deployment `{name}` of release {number}", of_the_bundle=False)
                clock.sleep(_POLL)
        why = self._cluster.rolled_out(name, settings.timeout_seconds)
        if not why:
            return None
        cause = fault(self._pods(), number)
        return replace(cause, why=f"{why}; {cause.why}")

    def _pods(self) -> list[Pod]:
        return self._cluster.pods(f"{INSTANCE}={self._template.name}")


def _carries(deployment: Mapping[str, Any] | None, number: int) -> bool:
    template = (deployment or {}).get("spec", {}).get("template", {})
    return bool(template.get("metadata", {}).get("labels", {}).get(RELEASE) == str(number))
