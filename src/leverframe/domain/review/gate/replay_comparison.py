"""What a change would alter for clients: logged requests, replayed on the champion and on the candidate."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, Protocol

from leverframe.documents import validated
from leverframe.domain import layout
from leverframe.domain.features.training_set import LabelKind
from leverframe.domain.model.bundle.schema import Schema, breaking
from leverframe.domain.release.replay import LoggedRequest, Prediction, Replayed, RequestLog
from leverframe.domain.release.replay import replay as replay_requests
from leverframe.domain.verdict import Reason, Violation
from leverframe.errors import LeverframeError
from leverframe.settings.levers import DeploySettings
from leverframe.settings.params import BundleSettings
from leverframe.words import first_few


@dataclass(frozen=True)
class ReplayComparison:
    """The newest requests of ``log``, replayed on both models; ``because`` is not empty where none could be.

    ``malformed`` lines of the log were skipped, ``days`` are those of the requests, from
    ``first`` to ``last``. The ``share`` of rows with another label, requests that only the candidate
    refuses among them, is allowed up to ``maximum``. ``fault`` says why the candidate's own bundle
    cannot be used, ``left_out`` why a form of requests was not replayed; both may be empty.
    """

    log: str
    maximum: float
    malformed: int = 0
    because: str = ""
    fault: str = ""
    left_out: str = ""
    kind: LabelKind = "binary"
    days: int = 0
    first: str = ""
    last: str = ""
    share: float = 0.0
    replayed: Replayed | None = None

    def line(self) -> str:
        """Return it in words; names stand between backticks."""
        if self.because or self.replayed is None:
            return f"nothing of `{self.log}` was replayed: {self.because}"
        figures, lost = self.replayed, self.replayed.lost
        text = f"{figures.what} were replayed on both models; "
        numbers = self.kind == "regression"
        text += figures.moved if numbers else f"{figures.disagree:,} would get another label"
        if lost:
            text += f", and {lost:,} request{'s' if lost > 1 else ''} would be refused"
        return text if numbers and not lost else f"{text}: {self.share:.1%}; at most {self.maximum:.1%} is allowed"


class ReplayModel(Protocol):
    """A bundle that is open for requests."""

    @property
    def schema(self) -> Schema:
        """What a request may hold."""

    @property
    def golden(self) -> Sequence[LoggedRequest]:
        """The golden rows of the bundle, each a request."""

    def predict(self, request: LoggedRequest) -> Prediction:
        """Return the prediction that its server would return."""


Open = Callable[[], ReplayModel]  # raises `BundleError`


class ReplaySource(Protocol):
    """Where logged requests and both bundles come from."""

    @property
    def log(self) -> str:
        """The name of the log that was asked for, empty where none was."""

    def read(self, environment: str | None, model: str, count: int) -> RequestLog:
        """Return the newest requests that the server of an environment logged, None for the log that was asked for."""

    def has_champion(self) -> bool:
        """Tell whether a model was merged before."""

    def bundles(self) -> AbstractContextManager[tuple[Open, Open]]:
        """Yield what opens the bundle of the champion, and that of the candidate; raises where one is not available."""


def compare(
    source: ReplaySource, base: Mapping[str, Any], tell: Callable[[str], None] = lambda _: None
) -> ReplayComparison | None:
    """Return what the newest logged requests show; None where there is no log.

    ``base`` holds the settings of the merge base, which are in force. Whatever keeps the requests from being
    replayed is said in the result.
    """
    try:
        model, policy = _policy(base)
        log = _newest(source, model, policy)
    except LeverframeError as error:
        return ReplayComparison(source.log, 1.0, because=f"{error.what}: {error.why}") if source.log else None
    if log is None:
        return None
    empty = ReplayComparison(log.name, policy.maximum_disagreement, log.malformed)
    because = _nothing_to_replay(source, log, model, policy)
    if because:
        return replace(empty, because=because)
    try:
        with source.bundles() as bundles:
            return _opened(bundles, empty, log.requests, tell)
    except LeverframeError as error:
        return replace(empty, because=f"{error.what}: {error.why}")


def _nothing_to_replay(source: ReplaySource, log: RequestLog, model: str, policy: DeploySettings) -> str:
    """Return why nothing can be replayed, empty where something can."""
    if not policy.replay:
        return "`deploy.replay` of the base is 0"
    if not log.requests:
        return f"no closed file in it has a request to `{model}`"
    return "" if source.has_champion() else "no model was merged before, so there is no champion to compare with"


def _policy(base: Mapping[str, Any]) -> tuple[str, DeploySettings]:
    """Return the name of the model that serves, and by which policy it may be replaced."""
    bundle, deploy = (dict(base.get(section) or {}) for section in ("bundle", "deploy"))
    policy = validated(DeploySettings, deploy, name="`deploy` of the base branch")
    return validated(BundleSettings, bundle, name="`bundle` of the base branch").model, policy


def _newest(source: ReplaySource, model: str, policy: DeploySettings) -> RequestLog | None:
    """Return the newest requests of the log that was asked for, else of the environment nearest to users."""
    if source.log:
        return source.read(None, model, policy.replay)
    for environment in sorted(policy.environments, key=lambda name: _promotions(policy, name), reverse=True):
        part = source.read(environment, model, policy.replay)
        if part.requests:
            return part
    return None


def _promotions(policy: DeploySettings, environment: str) -> int:
    """Return how many environments a release goes through before this one."""
    before = policy.environments[environment].after
    return 0 if before is None else 1 + _promotions(policy, before)


def _opened(
    bundles: tuple[Open, Open],
    empty: ReplayComparison,
    requests: Sequence[LoggedRequest],
    tell: Callable[[str], None],
) -> ReplayComparison:
    try:
        champion = bundles[0]()
    except LeverframeError as error:  # it names a folder that nobody knows
        return replace(empty, because=f"the champion's bundle cannot be opened: {error.why}")
    try:
        candidate = bundles[1]()
    except LeverframeError as error:
        fault = f"`{layout.BUNDLE.as_posix()}` cannot be opened: {error.why}"
        return replace(empty, because=fault, fault=fault)
    refused = refused_forms(champion.schema, candidate.schema)
    left_out = "; ".join(f"those by {form} would be refused: {why}" for form, why in refused.items())
    replayable = [request for request in requests if request.form not in refused]
    if not replayable:
        return replace(empty, because=left_out)
    tell(f"replaying {len(replayable):,} logged requests on both models")
    golden = [request for request in candidate.golden if request.form not in refused]
    replayed = replay_requests(candidate.schema, replayable, champion.predict, candidate.predict, golden)
    days = [request.at.date().isoformat() for request in replayable]
    return shown(replace(empty, left_out=left_out), candidate.schema, replayed, days)


def refused_forms(served: Schema, asked: Schema) -> dict[str, str]:
    """Return the forms of a request that clients of the ``served`` schema can send no more, each with why."""
    parts = {
        "columns": breaking(replace(served, keys=()), replace(asked, keys=())),
        "keys": breaking(replace(served, columns=()), replace(asked, columns=())),
    }
    return {form: first_few(changes, 2, "; ", "; and ") for form, changes in parts.items() if changes}


def shown(empty: ReplayComparison, schema: Schema, replayed: Replayed, days: Sequence[str]) -> ReplayComparison:
    """Return what the replayed requests show; ``days`` are theirs, ISO 8601."""
    kind = schema.label.kind
    if not replayed.rows and not replayed.lost:
        because = f"the champion could predict none of the {replayed.skipped:,} requests again"
        return replace(empty, kind=kind, because=because)
    known = sorted(set(days))
    return replace(
        empty, kind=kind, days=len(known), first=known[0], last=known[-1], share=replayed.share, replayed=replayed
    )


def against(comparison: ReplayComparison | None) -> Iterator[Violation]:
    """Yield the violations for which `deploy` would refuse the candidate after the merge."""
    if comparison is None:
        return
    if comparison.fault:
        yield Violation(Reason.BUNDLE_DAMAGED, comparison.fault, "`dvc repro bundle` makes the bundle again")
    if comparison.share > comparison.maximum:
        yield Violation(
            Reason.REPLAY_DIFFERS,
            comparison.line(),
            "look at the flips in the card; where they are meant, allow more by `deploy.maximum_disagreement` "
            "in a change of its own: rules count once they are merged",
        )
