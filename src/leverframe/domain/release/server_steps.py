"""What each step of a deployment does, and how it is undone."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from leverframe.domain.model.bundle import bundle_manifest as names
from leverframe.domain.model.bundle.bundle_manifest import read_manifest
from leverframe.domain.model.bundle.metadata import released
from leverframe.domain.model.bundle.schema import from_json
from leverframe.domain.release.ports import Clock, Metrics, Place, Server
from leverframe.domain.release.refusals import incompatible
from leverframe.domain.release.release_manifest import ReleaseManifest, unlike
from leverframe.domain.release.release_state import Release, State
from leverframe.domain.release.replay import LoggedRequest, Replayed, Twice, body, judged
from leverframe.domain.release.server_plan import (
    CANDIDATE,
    Adopt,
    Compare,
    Fetch,
    Prune,
    Publish,
    Record,
    Replay,
    Smoke,
    Step,
    Terms,
    Try,
    Undo,
    Verify,
    Withdraw,
)
from leverframe.domain.release.smoke import bad_requests, differs, golden_requests, numbers
from leverframe.domain.verdict import Reason, Violation

_READY = 60.0  # seconds in which a release must answer; opening a bundle takes two
_POLL = 0.2
_FEW, _FEWER = 30, 5  # answers, before and after, below which latencies are not compared: who is slow gives few


@dataclass(frozen=True)
class World:
    """Where a deployment happens, and by which terms.

    ``fetch`` gives the files of the desired bundle, ``logged`` the newest requests to a model, oldest first.
    """

    place: Place
    server: Server
    clock: Clock
    terms: Terms
    environment: str
    fetch: Callable[[], Mapping[str, bytes]]
    logged: Callable[[str, int], Sequence[LoggedRequest]]
    tell: Callable[[str], None] = lambda _: None


@dataclass(frozen=True)
class Took:
    """A step that was gone through, and how long it took."""

    step: str
    seconds: float
    failed: str = ""

    def line(self) -> str:
        """Return it for a terminal."""
        return f"{self.seconds:7.2f} s  {self.step}" + (f": {self.failed}" if self.failed else "")


class Work:
    """A deployment under way: goes through steps and undoes them, and keeps what they found."""

    def __init__(self, on: World, desired: ReleaseManifest, state: State) -> None:
        self.on, self.desired, self.state = on, desired, state
        self.replayed: Replayed | None = None

    def go(self, step: Step) -> Violation | None:
        """Go through a step; return what stands against going on."""
        found: Violation | None = getattr(self, f"_{type(step).__name__.lower()}")(step)
        return found

    def undo(self, steps: Sequence[Undo]) -> list[Took]:
        """Undo what was done, the last first."""
        taken = []
        for step in reversed(steps):
            began = self.on.clock.seconds()
            if isinstance(step, Withdraw):
                self._withdraw(step.number)
            else:
                self._forget(step.model)
            taken.append(Took(f"undo: {step}", round(self.on.clock.seconds() - began, 3)))
        return taken

    def _fetch(self, _: Fetch) -> Violation | None:
        files = self.on.place.bundle(self.desired.bundle)
        if files is None or unlike(files, self.desired.bundle, self.desired.model):
            fetched = self.on.fetch()
            fault = unlike(fetched, self.desired.bundle, self.desired.model)
            if fault:
                return Violation(Reason.BUNDLE_DAMAGED, fault, "`dvc repro bundle`, then `dvc push`")
            named = read_manifest(fetched[names.MANIFEST], self.desired.bundle[:12]).files
            files = {name: data for name, data in fetched.items() if name in named or name == names.MANIFEST}
            self.on.place.put_bundle(self.desired.bundle, files)
        self._files, self._manifest = files, read_manifest(files[names.MANIFEST], self.desired.bundle[:12])
        self._schema = from_json(json.loads(files[names.SCHEMA]))
        self._golden = [json.loads(line) for line in files[names.GOLDEN].splitlines()]
        return None

    def _compare(self, _: Compare) -> Violation | None:
        serving = self.state.serving
        files = self.on.place.bundle(serving.bundle) if serving else None
        if files is None:
            return None
        return incompatible(from_json(json.loads(files[names.SCHEMA])), self._schema)

    def _try(self, step: Try) -> Violation | None:
        candidate = f"{step.model}{CANDIDATE}"
        self.on.place.put_release(candidate, step.number, {**self._settings(step.number), "name": candidate})
        why = self.on.server.load(candidate)
        if not why and not self._comes_up(candidate, step.number):
            why = f"it did not answer within {_READY:.0f} seconds"
        return Violation(Reason.LOAD_FAILED, why, "`dvc repro bundle` makes it again") if why else None

    def _smoke(self, step: Smoke) -> Violation | None:
        model = f"{step.model}{CANDIDATE}"
        mend = "`leverframe serve models/bundle` and ask it the golden rows"
        for asked, expected in golden_requests(self._schema, self._golden):
            wrong = differs(self._schema, expected, self.on.server.infer(model, asked), self._manifest.tolerance)
            if wrong:
                return Violation(Reason.SMOKE_FAILED, wrong, mend)
        for what, asked in bad_requests(self._schema, self._golden):
            status, _ = self.on.server.infer(model, asked)
            if not 400 <= status < 500:
                return Violation(Reason.SMOKE_FAILED, f"a request with {what} got status {status} instead of 4xx", mend)
        return None

    def _replay(self, step: Replay) -> Violation | None:
        model, pairs = self.desired.model, []
        for request in self.on.logged(model, step.requests):
            asked = body(self._schema, request)
            before, before_ms = self._asked(model, asked)
            after, after_ms = self._asked(f"{model}{CANDIDATE}", asked)
            pairs.append(Twice(request.id, before, after, before_ms, after_ms))
        self.replayed = judged(self._schema, pairs)
        if self.replayed.share <= self.on.terms.maximum_disagreement:
            return None
        return Violation(
            Reason.REPLAY_DIFFERS,
            f"{self.replayed.line()}; the rule is {self.on.terms.maximum_disagreement:.1%}",
            "look at the flips with `--json`; `deploy.maximum_disagreement` allows more",
        )

    def _asked(self, model: str, asked: bytes) -> tuple[list[list[float]] | None, float]:
        began = self.on.clock.seconds()
        status, content = self.on.server.infer(model, asked)
        took = (self.on.clock.seconds() - began) * 1000
        return (numbers(self._schema, content) if status == 200 else None), took

    def _publish(self, step: Publish) -> Violation | None:
        model = self.desired.model
        self._before = self.on.server.metrics(model)
        self.on.place.put_release(model, step.number, self._settings(step.number))
        why = self.on.server.load(model)
        return Violation(Reason.LOAD_FAILED, why, "read the log of the server") if why else None

    def _verify(self, step: Verify) -> Violation | None:
        until = self.on.clock.seconds() + step.seconds
        asked = next(golden_requests(self._schema, self._golden))
        mend = "look at the log of the server; the release before it answers"
        while True:
            status, content = self.on.server.infer(self.desired.model, asked[0])
            told = content.get("parameters") or {}
            if (content.get("model_version"), told.get("bundle")) != (str(step.number), self.desired.bundle):
                what = f"the server answers with release {content.get('model_version')}, status {status}"
                return Violation(Reason.VERIFY_FAILED, what, mend)
            wrong = differs(self._schema, asked[1], (status, content), self._manifest.tolerance) or self._worse(step)
            if wrong:
                return Violation(Reason.VERIFY_FAILED, wrong, mend)
            if self.on.clock.seconds() >= until:
                return None
            self.on.clock.sleep(_POLL)

    def _worse(self, step: Verify) -> str:
        """Return how the release does worse under traffic than the one before it, empty where it does not."""
        now, serving = self.on.server.metrics(self.desired.model), self.state.serving
        failed = now.get(("leverframe_requests", "failed", str(step.number)), 0.0)
        if failed:
            return f"{failed:.0f} requests failed with an error of the server"
        if serving is None:
            return ""
        after = _seconds(now, step.number, _FEWER)
        before = _seconds(self._before, serving.number, _FEW)
        if after is None or before is None or after <= before * self.on.terms.maximum_slowdown:
            return ""
        return f"an answer takes {after * 1000:.1f} ms instead of {before * 1000:.1f} ms"

    def _record(self, step: Record) -> None:
        release = Release(step.number, self.desired, self.on.clock.now())
        self.state = self.state.published(release, self.on.terms.keep)
        self.on.place.record(self.state)
        self._forget(self.desired.model)

    def _adopt(self, _: Adopt) -> None:
        self.state = self.state.wanted_by(self.desired)
        self.on.place.record(self.state)

    def _prune(self, _: Prune) -> None:
        kept = {each.number for each in self.state.releases}
        stale = [number for number in self.on.place.numbers(self.desired.model) if number not in kept]
        for number in stale:
            self.on.place.remove_release(self.desired.model, number)
        if stale:
            self.on.server.load(self.desired.model)
        self.on.place.keep_bundles([each.bundle for each in self.state.releases])

    def _withdraw(self, number: int) -> None:
        self.on.place.remove_release(self.desired.model, number)
        if self.state.serving is None:
            self.on.server.unload(self.desired.model)
        else:
            self.on.server.load(self.desired.model)

    def _forget(self, model: str) -> None:
        if self.on.place.remove_model(f"{model}{CANDIDATE}"):
            self.on.server.unload(f"{model}{CANDIDATE}")

    def _settings(self, number: int) -> dict[str, Any]:
        said = json.loads(self._files[names.SETTINGS])
        return released(said, self._manifest, number, f"../../../bundles/{self.desired.bundle}", self.desired.commit)

    def _comes_up(self, model: str, number: int) -> bool:
        until = self.on.clock.seconds() + _READY
        while not self.on.server.ready(model, number):
            if self.on.clock.seconds() > until:
                return False
            self.on.clock.sleep(_POLL)
        return True


def _seconds(metrics: Metrics, number: int, enough: int) -> float | None:
    """Return how long an answer of a release took on average; None where there are not ``enough`` answers."""
    count = metrics.get(("leverframe_predict_seconds_count", str(number)), 0.0)
    return metrics.get(("leverframe_predict_seconds_sum", str(number)), 0.0) / count if count >= enough else None
