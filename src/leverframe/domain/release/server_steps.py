"""What each step of a deployment to a server does, and how it is undone."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from random import Random
from typing import Any, assert_never

from leverframe.bounded import json_of
from leverframe.domain.model.bundle import bundle_manifest as names
from leverframe.domain.model.bundle.bundle_manifest import read_manifest
from leverframe.domain.model.bundle.golden_rows import golden_row
from leverframe.domain.model.bundle.metadata import released
from leverframe.domain.model.bundle.schema import from_json
from leverframe.domain.release.latency import Pace, Paced, PaceRule
from leverframe.domain.release.latency_probes import compared, probes
from leverframe.domain.release.ports import ReleaseStore, Server
from leverframe.domain.release.refusals import damaged, incompatible, replay_differs, too_slow
from leverframe.domain.release.release_manifest import unlike
from leverframe.domain.release.release_state import Release, State
from leverframe.domain.release.replay import (
    LoggedRequest,
    Prediction,
    Replayed,
    answers_from,
    as_requests,
    body,
    replay,
)
from leverframe.domain.release.server_plan import (
    CANDIDATE,
    CompareLatency,
    Forget,
    Prune,
    Publish,
    Replay,
    Restore,
    ServerAction,
    Smoke,
    Try,
    Verify,
    Withdraw,
)
from leverframe.domain.release.server_reality import damage, difference, set_aside, still_different
from leverframe.domain.release.smoke import bad_requests, differs, golden_requests, numbers
from leverframe.domain.release.steps import Adopt, Compare, Fetch, GoBack, Record
from leverframe.domain.release.target import Candidate, DeployContext
from leverframe.domain.verdict import Reason, Violation
from leverframe.errors import LeverframeError

_READY = 60.0  # seconds in which a release must get ready; opening a bundle takes two
_POLL = 0.2
_READ_LOG = "read the log of the server"

Log = Callable[[str, int], Sequence[LoggedRequest]]  # the newest requests to a model, oldest first


class ServerExecutor:
    """Executes the steps of one deployment, and keeps what later steps need of earlier ones."""

    def __init__(
        self, context: DeployContext, store: ReleaseStore, server: Server, log: Log, candidate: Candidate
    ) -> None:
        self._context, self._store, self._server, self._log = context, store, server, log
        self._candidate, self._desired = candidate, candidate.manifest
        self.replayed: Replayed | None = None
        self.latency: tuple[Paced, ...] = ()

    def run(self, action: ServerAction) -> Violation | None:
        """Execute an action.

        An error that is not transient is a fault of the bundle. Raises the transient ones: of the server or
        the disk, after which nothing is known of the bundle.
        """
        try:
            return self._tested(action)
        except LeverframeError as error:
            if error.transient:
                raise
            return Violation(Reason.BUNDLE_DAMAGED, f"{error.what}: {error.why}", error.next)

    def blames_bundle(self, violation: Violation) -> bool:
        """Tell whether the bundle is at fault; of a damaged one a whole copy may still come."""
        return violation.reason is not Reason.BUNDLE_DAMAGED

    def _tested(self, action: ServerAction) -> Violation | None:
        match action:
            case Fetch():
                violation = self._fetch()
            case Compare():
                violation = self._compare()
            case Try():
                violation = self._try(action)
            case Smoke():
                violation = self._smoke(action)
            case CompareLatency():
                violation = self._compare_latency()
            case Replay():
                violation = self._replay(action)
            case Publish():
                violation = self._publish(action)
            case Verify():
                violation = self._verify(action)
            case GoBack():
                violation = self._go_back(action)
            case Restore():
                violation = self._restore()
            case _:
                self._changed(action)
                violation = None
        return violation

    def _changed(self, action: Record | Adopt | Prune | Forget | Withdraw) -> None:
        """Execute an action that no bundle can fail."""
        match action:
            case Record():
                self._record(action)
            case Adopt():
                self._store.record(self._state.wanted_by(self._desired))
            case Prune():
                self._prune()
            case Forget():
                self._forget(action.model)
            case Withdraw():
                self._withdraw([action.number])
            case _:
                assert_never(action)

    @property
    def _state(self) -> State:
        return self._store.state(self._desired.model)

    def _fetch(self) -> Violation | None:
        desired = self._desired
        files = self._store.bundle(desired.bundle)
        if files is None or unlike(files, desired.bundle, desired.model):
            fetched = self._candidate.fetch()
            fault = unlike(fetched, desired.bundle, desired.model)
            if fault:
                return damaged(fault)
            listed = read_manifest(fetched[names.MANIFEST], desired.bundle[:12]).files
            files = {name: data for name, data in fetched.items() if name in listed or name == names.MANIFEST}
            self._store.put_bundle(desired.bundle, files)
        self._files, self._manifest = files, read_manifest(files[names.MANIFEST], desired.bundle[:12])
        try:
            self._schema = from_json(json_of(files[names.SCHEMA]))
            self._golden = [golden_row(line) for line in files[names.GOLDEN].splitlines()]
            self._described = json_of(files[names.SETTINGS])
        except (ValueError, TypeError, KeyError) as error:
            return damaged(f"a file in it is invalid: {error!r}"[:300])
        return None

    def _compare(self) -> Violation | None:
        serving = self._state.serving
        files = self._store.bundle(serving.bundle) if serving else None
        if files is None:
            return None
        return incompatible(from_json(json.loads(files[names.SCHEMA])), self._schema)

    def _try(self, action: Try) -> Violation | None:
        model = f"{action.model}{CANDIDATE}"
        self._store.put_release(model, action.number, {**self._settings(action.number), "name": model})
        why = self._server.load(model)
        if not why and not self._comes_up(model, action.number):
            why = f"it did not get ready within {_READY:.0f} seconds"
        return Violation(Reason.LOAD_FAILED, why, "`dvc repro bundle` makes it again") if why else None

    def _smoke(self, action: Smoke) -> Violation | None:
        model = f"{action.model}{CANDIDATE}"
        fix = "`leverframe serve models/bundle` and send it the golden rows"
        for request, expected in golden_requests(self._schema, self._golden):
            wrong = differs(self._schema, expected, self._server.infer(model, request), self._manifest)
            if wrong:
                return Violation(Reason.SMOKE_FAILED, wrong, fix)
        for what, request in bad_requests(self._schema, self._golden):
            status, _ = self._server.infer(model, request)
            if not 400 <= status < 500:
                return Violation(Reason.SMOKE_FAILED, f"a request with {what} got status {status} instead of 4xx", fix)
        return None

    def _compare_latency(self) -> Violation | None:
        """Compare while the one serves, so that its traffic delays both alike; the candidate's would delay it, too."""
        policy, serving = self._context.policy, self._state.serving
        files = self._store.bundle(serving.bundle) if serving else None
        golden = [golden_row(line) for line in files[names.GOLDEN].splitlines()] if files else self._golden
        rule, draw = PaceRule(policy.maximum_slowdown, policy.slowdown_floor_ms / 1000), Random(self._desired.bundle)  # noqa: S311
        for probe in probes(self._schema, golden, answers_from(self._golden)):
            comparison = compared(probe, self._timed, rule, draw)
            if comparison is None:
                self._context.tell(f"the latency of {probe.what} is not compared: one release does not answer it")
                continue
            self.latency += (comparison,)
            if comparison.pace is Pace.SLOWER:
                return too_slow(comparison, rule)
        return None

    def _timed(self, request: bytes, candidate: bool) -> float | None:
        start = self._context.clock.seconds()
        status, _ = self._server.infer(f"{self._desired.model}{CANDIDATE if candidate else ''}", request)
        return self._context.clock.seconds() - start if status == 200 else None

    def _replay(self, action: Replay) -> Violation | None:
        model = self._desired.model
        earliest = answers_from(self._golden)
        before, after = (partial(self._predict, name, earliest) for name in (model, f"{model}{CANDIDATE}"))
        golden = as_requests(model, self._golden)
        self.replayed = replay(self._schema, self._log(model, action.requests), before, after, golden)
        allowed = self._context.policy.maximum_disagreement
        return replay_differs(self.replayed, allowed) if self.replayed.share > allowed else None

    def _predict(self, model: str, earliest: datetime | None, logged: LoggedRequest) -> Prediction:
        request, start = body(self._schema, logged, earliest), self._context.clock.seconds()
        status, content = self._server.infer(model, request)
        milliseconds = (self._context.clock.seconds() - start) * 1000
        return (numbers(self._schema, content) if status == 200 else None), milliseconds

    def _publish(self, action: Publish) -> Violation | None:
        model = self._desired.model
        self._store.put_release(model, action.number, self._settings(action.number))
        return _loaded(self._load())

    def _verify(self, action: Verify) -> Violation | None:
        clock = self._context.clock
        until = clock.seconds() + action.seconds
        request, expected = next(golden_requests(self._schema, self._golden))
        fix = "look at the log of the server; the release before it serves"
        while True:
            status, content = self._server.infer(self._desired.model, request)
            parameters = content.get("parameters") or {}
            if (content.get("model_version"), parameters.get("bundle")) != (str(action.number), self._desired.bundle):
                what = f"the server predicts with release {content.get('model_version')}, status {status}"
                return Violation(Reason.VERIFY_FAILED, what, fix)
            wrong = differs(self._schema, expected, (status, content), self._manifest) or self._worse(action)
            if wrong:
                return Violation(Reason.VERIFY_FAILED, wrong, fix)
            if clock.seconds() >= until:
                return None
            clock.sleep(_POLL)

    def _worse(self, action: Verify) -> str:
        """Return how the release does worse under traffic than the one before it, empty where it does not."""
        now, number = self._server.metrics(self._desired.model), str(action.number)
        failed = now.get(("leverframe_requests", "failed", number), 0.0)
        own = failed - now.get(("leverframe_failed_before", number), 0.0)
        return f"{own:.0f} requests failed with an error of the server" if own > 0 else ""

    def _record(self, action: Record) -> None:
        release = Release(action.number, self._desired, self._context.clock.now())
        self._store.record(self._state.published(release, self._context.policy.keep))
        self._forget(self._desired.model)

    def _prune(self) -> None:
        state = self._state
        kept = {release.number for release in state.releases}
        stale = [number for number in self._store.numbers(self._desired.model) if number not in kept]
        if stale:
            self._withdraw(stale)
        self._store.keep_bundles([release.bundle for release in state.releases])

    def _restore(self) -> Violation | None:
        """Load what is recorded; raises ``ServerError`` where the server does not answer with it then."""
        serving = self._state.serving
        if serving is not None:
            self._put_back(serving)
            why = self._load() or difference(self._store, self._server, serving)
            if why:
                raise still_different(serving, why)
        return None

    def _put_back(self, release: Release) -> str:
        """Write the settings of a recorded release again; return why its files do not allow that, empty if they do.

        Its own types are those that the settings of its own commit trust.
        """
        files, model = self._store.bundle(release.bundle), release.manifest.model
        fault = damage(self._store, release)
        if files is None or fault:
            return fault
        manifest, uri = read_manifest(files[names.MANIFEST], release.bundle[:12]), _uri(release.bundle)
        ours = release.bundle == self._desired.bundle
        if ours or release.number not in self._store.numbers(model):
            trusted = self._candidate.trusted(release.manifest.commit)
            content = json_of(files[names.SETTINGS])
            settings = released(content, manifest, release.number, uri, release.manifest.commit, trusted)
            self._store.put_release(model, release.number, settings)
        return ""

    def _go_back(self, action: GoBack) -> Violation | None:
        state = self._state
        goal = next(release for release in state.releases if release.number == action.number)
        fault = self._put_back(goal)
        if fault:  # nothing is changed yet
            return damaged(f"release {goal.number} cannot serve again: {fault}")
        self._store.record(state.back_to(action.number, action.why))
        return _loaded(self._withdraw([release.number for release in state.releases if release.number > action.number]))

    def _withdraw(self, numbers: Sequence[int]) -> str:
        """Let the server serve without some releases; return why it cannot.

        They are discarded last: a run that ends before finds that the server may have them loaded.
        """
        model, why = self._desired.model, ""
        for number in numbers:
            self._store.remove_release(model, number)
        if self._state.serving is None:
            self._server.unload(model)
        else:
            why = self._load()
        for number in numbers if not why else ():
            self._store.discard_release(model, number)
        return why

    def _load(self) -> str:
        """Let the server load what is in its folder; return why it cannot.

        A recorded release whose files are damaged is set aside first: it would keep all others from it, and they
        would be blamed. What serves stays as long as the server has it loaded.
        """
        model, serving = self._desired.model, self._state.serving
        for release in self._state.releases:
            number, fault = release.number, damage(self._store, release)
            loaded = release == serving and self._server.ready(model, number)
            if fault and not loaded and number in self._store.numbers(model):
                set_aside(self._store, release, fault, self._context.tell)
        return self._server.load(model)

    def _forget(self, model: str) -> None:
        candidate = f"{model}{CANDIDATE}"
        if self._store.has_model(candidate):
            self._server.unload(candidate)  # first: a run that ends here finds the folder
            self._store.remove_model(candidate)

    def _settings(self, number: int) -> dict[str, Any]:
        settings, uri = self._described, _uri(self._desired.bundle)
        trusted = self._candidate.trusted(self._desired.commit)
        return released(settings, self._manifest, number, uri, self._desired.commit, trusted)

    def _comes_up(self, model: str, number: int) -> bool:
        clock = self._context.clock
        until = clock.seconds() + _READY
        while not self._server.ready(model, number):
            if clock.seconds() > until:
                return False
            clock.sleep(_POLL)
        return True


def _uri(bundle: str) -> str:
    return f"../../../bundles/{bundle}"


def _loaded(why: str) -> Violation | None:
    return Violation(Reason.LOAD_FAILED, why, _READ_LOG) if why else None
