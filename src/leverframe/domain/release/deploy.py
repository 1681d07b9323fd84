"""How a deployment goes: step by step, and back again where a step fails.

A deployment that was killed is begun anew: first what it left unrecorded is taken away, then
the plan runs from its start. What is open in the server stays open, so the second time is quick.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from leverframe.domain.release.ledger import Ledger, Recorded
from leverframe.domain.release.refusals import nothing_to_restore, refused_before
from leverframe.domain.release.release_manifest import ReleaseManifest
from leverframe.domain.release.release_state import Release
from leverframe.domain.release.replay import Replayed
from leverframe.domain.release.server_plan import CANDIDATE, Publish, Try, Undo, Withdraw, planned
from leverframe.domain.release.server_steps import Took, Work, World
from leverframe.domain.verdict import Reason, Verdict, Violation, judged, word
from leverframe.errors import LeverframeError


@dataclass(frozen=True)
class Deployed:
    """What a deployment came to: what serves now, the steps, and what stood against it."""

    model: str
    environment: str
    serving: Release | None
    before: Release | None
    steps: tuple[Took, ...] = ()
    violations: tuple[Violation, ...] = ()
    replayed: Replayed | None = None
    rolled_back: bool = False
    recorded: Recorded | None = None

    @property
    def verdict(self) -> Verdict:
        """Return passed where the desired bundle serves."""
        return judged(self.violations)

    def lines(self) -> list[str]:
        """Return it for a terminal."""
        at = self.serving
        now = f"release {at.number} of {self.model}, bundle {at.bundle[:12]}" if at else f"no release of {self.model}"
        head = f"{word(self.verdict)}: `{self.environment}` serves {now}"
        written = [f"  {each}" for each in self.recorded.lines()] if self.recorded else []
        if not self.steps and not self.violations:
            return [f"{head}; it did already, so there was nothing to do", *written]
        told = [
            f"  {each.seconds:7.2f} s  {each.step}{f': {each.failed}' if each.failed else ''}" for each in self.steps
        ]
        told += [f"  {self.replayed.line()}"] if self.replayed else []
        against = [f"{each.reason}: {each.what}\n  next: {each.next}" for each in self.violations]
        back = ["the release before it answers again"] if self.rolled_back and self.before else []
        return [head, *told, *against, *back, *written]


class Deployment:
    """Deployments to one server; with a ``ledger`` each is written down where others see it."""

    def __init__(self, world: World, ledger: Ledger | None = None) -> None:
        self.world, self.place, self.server, self.clock = world, world.place, world.server, world.clock
        self.environment, self.ledger = world.environment, ledger

    def run(self, desired: ReleaseManifest) -> Deployed:
        """Bring the server to ``desired``; what fails is undone, and told as a violation.

        Raises ``ServerError`` where the server goes away, the next run mends what is left then; and
        ``PromotionError`` where the commit was registered as something else.
        """
        if self.ledger is None:
            return self._run(desired)
        self.ledger.check(desired)
        if planned(self.place.state(desired.model), desired, self.world.terms):
            self.ledger.begin(desired)
        try:
            found = self._run(desired)
        except LeverframeError as error:
            with suppress(LeverframeError):  # a forge that does not answer hides nothing of the server
                self.ledger.broke(error.what)
            raise
        if found.violations:
            return replace(found, recorded=self.ledger.failed(desired, found.violations[0], found.serving))
        return replace(found, recorded=self.ledger.served(found.serving)) if found.serving else found

    def _run(self, desired: ReleaseManifest) -> Deployed:
        self._recover(desired.model)
        state = self.place.state(desired.model)
        before = state.serving
        if desired.bundle in state.refused:
            why = state.refused[desired.bundle]
            return Deployed(
                desired.model, self.environment, before, before, violations=(refused_before(desired.bundle, why),)
            )
        work = Work(self.world, desired, state)
        taken: list[Took] = []
        undo: list[Undo] = []
        for step in planned(state, desired, self.world.terms):
            self.world.tell(str(step))
            undo += [step.undone_by] if isinstance(step, Try | Publish) else []
            began = self.clock.seconds()
            try:
                violation = work.go(step)
            except LeverframeError as error:
                if error.transient:  # the server or the disk: nothing is known of the bundle
                    raise
                violation = Violation(Reason.BUNDLE_DAMAGED, f"{error.what}: {error.why}", error.next)
            taken.append(Took(str(step), round(self.clock.seconds() - began, 3), violation.what if violation else ""))
            if violation is not None:
                return self._undone(work, undo, taken, violation)
        serving = work.state.serving
        return Deployed(desired.model, self.environment, serving, before, tuple(taken), replayed=work.replayed)

    def _undone(self, work: Work, undo: Sequence[Undo], taken: Sequence[Took], violation: Violation) -> Deployed:
        """Go back to the release that served, and remember which bundle failed, and why."""
        back, state = work.undo(undo), work.state
        if violation.reason is not Reason.BUNDLE_DAMAGED:  # a good copy of the same bundle may come yet
            why = f"{violation.reason}: {violation.what}"
            self.place.record(state.without(work.desired.bundle, why, state.highest + 1))
        return Deployed(
            work.desired.model,
            self.environment,
            state.serving,
            state.serving,
            (*taken, *back),
            (violation,),
            work.replayed,
            rolled_back=any(isinstance(each, Withdraw) for each in undo),
        )

    def rollback(self, model: str, number: int | None, why: str) -> Deployed:
        """Go back to release ``number``, by default the one before; its bundle is open still, so it takes no time."""
        self._recover(model)
        state = self.place.state(model)
        before, known = state.serving, [each.number for each in state.releases]
        target = number if number is not None else (known[-2] if len(known) > 1 else None)
        if before is None or target not in known[:-1]:
            violation = nothing_to_restore(self.environment, target, known)
            return Deployed(model, self.environment, before, before, violations=(violation,))
        began = self.clock.seconds()
        after = state.back_to(target, why)
        self.place.record(after)  # first: a rollback that is killed here is finished by the next run
        for each in known:
            if each > target:
                self.place.remove_release(model, each)
        failed = self.server.load(model)
        took = Took(f"go back to release {target}", round(self.clock.seconds() - began, 3), failed)
        violations = (Violation(Reason.LOAD_FAILED, failed, "read the log of the server"),) if failed else ()
        written = self.ledger.went_back(before, after.releases[-1], why) if self.ledger and not failed else None
        return Deployed(
            model, self.environment, after.serving, before, (took,), violations, rolled_back=True, recorded=written
        )

    def _recover(self, model: str) -> None:
        """Take away what a deployment that was killed left: a candidate, and releases that nobody recorded."""
        recorded = {each.number for each in self.place.state(model).releases}
        unknown = [number for number in self.place.numbers(model) if number not in recorded]
        for number in unknown:
            self.place.remove_release(model, number)
        if unknown and recorded:
            self.server.load(model)
        elif unknown:
            self.server.unload(model)
        if self.place.remove_model(f"{model}{CANDIDATE}"):
            self.server.unload(f"{model}{CANDIDATE}")
