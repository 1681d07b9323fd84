"""What each step of a deployment to a cluster does."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from leverframe.domain.model.bundle import bundle_manifest as names
from leverframe.domain.model.bundle.schema import from_json
from leverframe.domain.release.kubernetes import cluster_plan as way
from leverframe.domain.release.kubernetes.cluster_record import Kept, Record
from leverframe.domain.release.kubernetes.manifests import Manifest, Target
from leverframe.domain.release.kubernetes.pods import Watch
from leverframe.domain.release.refusals import incompatible
from leverframe.domain.release.release_manifest import ReleaseManifest, unlike
from leverframe.domain.release.release_state import Release
from leverframe.domain.release.server_plan import Adopt, Compare, Fetch
from leverframe.domain.release.server_plan import Record as RecordIt
from leverframe.domain.verdict import Reason, Violation

if TYPE_CHECKING:
    from leverframe.domain.release.kubernetes.cluster_deploy import Rollouts

_POLL = 1.0


@dataclass(frozen=True)
class Wanted:
    """The release that should serve, the MD5 by which DVC knows its folder, and how its files are got."""

    manifest: ReleaseManifest
    content: str
    fetch: Callable[[], Mapping[str, bytes]]


class Work:
    """A deployment under way: goes through steps and keeps what they found."""

    def __init__(self, on: Rollouts, target: Target, objects: list[Manifest], record: Record, wanted: Wanted) -> None:
        self.on, self.target, self.objects, self.record, self.wanted = on, target, objects, record, wanted
        self.at_fault = False  # whether the bundle is, as far as is known

    def go(self, step: way.Step) -> Violation | None:
        """Go through a step; return what stands against going on."""
        found: Violation | None = getattr(self, f"_{type(step).__name__.lower()}")(step)
        return found

    def _fetch(self, _: Fetch) -> Violation | None:
        files, desired = self.wanted.fetch(), self.wanted.manifest
        wrong = unlike(files, desired.bundle, desired.model)
        if wrong:
            return Violation(Reason.BUNDLE_DAMAGED, wrong, "`dvc repro bundle`, then `dvc push`")
        self._schema = json.loads(files[names.SCHEMA])
        return None

    def _compare(self, _: Compare) -> Violation | None:
        serving = self.record.state.serving
        kept = self.record.kept.get(serving.number) if serving else None
        found = incompatible(from_json(kept.schema), from_json(self._schema)) if kept else None
        self.at_fault = found is not None
        return found

    def _validate(self, _: way.Validate) -> None:
        self.on.cluster.check(self.objects)

    def _apply(self, _: way.Apply) -> None:
        self.on.cluster.apply(self.objects)

    def _rollout(self, step: way.Rollout) -> Violation | None:
        why = self.on.settled(step.number)
        if why is None:
            return None
        self.at_fault = why.of_the_bundle
        return Violation(Reason.LOAD_FAILED, why.why, "mend what the pod names; `leverframe deploy` tries again")

    def _verifypods(self, step: way.VerifyPods) -> Violation | None:
        clock, watch = self.on.clock, Watch(self.target)
        until, looks = clock.seconds() + step.seconds, 0
        while True:
            wrong = watch.wrong(self.on.pods())
            if wrong:
                self.at_fault = True
                return Violation(Reason.VERIFY_FAILED, wrong, "look at the log of the pod; the release before answers")
            looks += 1
            left = until - clock.seconds()
            if left <= 0 and looks > 1:  # one look alone sees no restart
                return None
            clock.sleep(min(_POLL, max(0.0, left)))

    def _record(self, step: RecordIt) -> None:
        state, desired = self.record.state, self.wanted.manifest
        earlier = tuple(each for each in state.releases if each.number != step.number)
        release = Release(step.number, desired, self.on.clock.now())
        kept = {**self.record.kept, step.number: Kept(self.objects, self._schema)}
        after = replace(state, releases=earlier).published(release, self.on.terms.keep)
        self.record = replace(self.record, state=after, kept=kept)
        self.on.keep(self.record)

    def _adopt(self, _: Adopt) -> None:
        self.record = replace(self.record, state=self.record.state.wanted_by(self.wanted.manifest))
        self.on.keep(self.record)
