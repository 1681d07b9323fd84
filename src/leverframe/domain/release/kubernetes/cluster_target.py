"""A cluster as a target: a release is a set of pods, and the rolling update is the traffic switch.

Everything that a step needs is in the cluster or in the commit, so a run that was killed is simply run again: it
gets the same number, applies the same manifests, which changes nothing, and waits for the same pods.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from leverframe.domain.plan_engine import Plan
from leverframe.domain.release.kubernetes.cluster_plan import ClusterAction, Rendered, number_for, planned, recovery
from leverframe.domain.release.kubernetes.cluster_releases import ClusterReleases
from leverframe.domain.release.kubernetes.cluster_steps import ClusterExecutor
from leverframe.domain.release.kubernetes.manifests import LiveAnnotations, commit_of, digest_of, live, overlay, stamped
from leverframe.domain.release.release_manifest import ReleaseManifest
from leverframe.domain.release.release_state import State
from leverframe.domain.release.target import Candidate, DeployContext


@dataclass(frozen=True)
class ClusterTarget:
    """A cluster, a ``Target``, for one command: the record is read once."""

    context: DeployContext
    releases: ClusterReleases

    @property
    def state(self) -> State:
        """What is recorded; raises ``ClusterError``."""
        return self.releases.state

    def record(self, state: State) -> None:
        """Replace the record; raises ``ServerBusyError`` where another deployment replaced it since it was read."""
        self.releases.record(state)

    def recovery(self, desired: ReleaseManifest, *, refused: bool) -> Plan[ClusterAction]:
        """Return the step back, where a killed run left pods of the bundle that is refused.

        Pods of a bundle that may serve are left: the plan is the same as before, and takes them over.
        """
        return recovery(self.state, self._live(), desired) if refused else ()

    def repair(self, desired: ReleaseManifest) -> Plan[ClusterAction]:  # noqa: ARG002 - the cluster keeps its pods
        """Return no steps: the plan compares the pods themselves, and the cluster keeps them as they are declared."""
        return ()

    def difference(self) -> str:
        """Return how the workload of the cluster differs from what is recorded, empty where it has that bundle."""
        serving, now = self.state.serving, self._live()
        if serving is None or (now is not None and now.bundle == serving.bundle):
            return ""
        has = f"bundle {now.bundle[:12]}" if now is not None else "no release"
        return f"the cluster has {has} instead of release {serving.number}"

    def plan(self, candidate: Candidate) -> Plan[ClusterAction]:
        """Return the steps to the candidate; none where the cluster has its manifests already."""
        rendered, now = self._rendered(candidate), self._live()
        if now is not None and now.digest == rendered.digest and self.releases.cluster.differs(rendered.objects):
            now = None  # somebody changed it by hand
        return planned(self.state, now, candidate.manifest, rendered, self.context.policy.verify_seconds)

    def executor(self, candidate: Candidate) -> ClusterExecutor:
        """Return what executes the steps."""
        return ClusterExecutor(self.context, self.releases, candidate)

    def _rendered(self, candidate: Candidate) -> Rendered:
        desired, serving, template = candidate.manifest, self.state.serving, self.releases.template
        commit = desired.commit
        if serving is not None and serving.bundle == desired.bundle:  # another commit moves no pod
            commit = commit_of(self.releases.kept[serving.number].objects, template.workload) or commit
        release = replace(
            template,
            number=number_for(self.state, desired.bundle),
            bundle=desired.bundle,
            content=candidate.content,
            commit=commit,
            trusted=tuple(candidate.trusted(commit)),
        )
        objects = stamped(self.releases.cluster.render(overlay(release)), release)
        return Rendered(release, digest_of(objects, release.workload), objects)

    def _live(self) -> LiveAnnotations | None:
        template = self.releases.template
        return live(self.releases.cluster.get(template.workload, template.name))
