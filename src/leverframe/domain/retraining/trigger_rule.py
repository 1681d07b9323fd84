"""When an attempt is due: the evidence for one, what forbids it, and how long to wait after those that did not help."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from leverframe.domain.monitoring.finding import QUALITY, Finding, Severity
from leverframe.domain.monitoring.history import HistoryLine
from leverframe.domain.monitoring.monitor_result import Monitored
from leverframe.domain.partition import Partition
from leverframe.domain.retraining.attempt import PROPOSED, UNHELPFUL, Attempt, Cause, Evidence
from leverframe.domain.retraining.evidence import found_evidence, in_order
from leverframe.domain.retraining.trigger import NotTriggered, Standstill, Trigger, Triggered
from leverframe.settings.periods import period_of
from leverframe.settings.retrain import RetrainSettings

ASK_A_PERSON = 3  # attempts in a row that did not help
_MOST = 4  # times the cooldown, at most
_SILENT = 2.0  # schedules of the monitor that may pass without a result


@dataclass(frozen=True)
class ModelFacts:
    """What is known of the model that is served, and of the data since.

    ``champion`` is its digest (md5) at the base tip, ``trained_until`` the end of its newest training row, None where
    that is not known; ``new_rows`` counts rows with a label after its hold-out, None where nobody counted.
    ``every_hours`` is the schedule of the monitor, ``history`` what it found before, which tells since when.
    ``serves_since`` is when the champion began to serve, None where nobody knows.
    """

    model: str
    environment: str
    champion: str
    every_hours: float
    trained_until: datetime | None = None
    new_rows: int | None = None
    history: tuple[HistoryLine, ...] = ()
    serves_since: datetime | None = None


def trigger(
    monitored: Monitored | None,
    attempts: Sequence[Attempt],
    settings: RetrainSettings,
    facts: ModelFacts,
    now: datetime,
    *,
    forced: bool = False,
) -> Trigger:
    """Return the evidence of an attempt that is due at ``now``, or why none is.

    Attempts of another environment, of later than ``now``, or about another champion do not count.
    """
    unknown = _unmonitored(monitored, facts, now)
    findings = () if monitored is None or unknown else found_evidence(monitored, settings, facts.history)
    findings = tuple(one for one in findings if not _of_the_one_before(one, facts))
    evidence = in_order([*findings, *_of_facts(settings, facts, now)])
    if forced:
        requested = Evidence(Cause.REQUESTED, facts.model, "", "", "a person requested it")
        return Triggered(in_order([*evidence, requested]))
    broken = _broken(monitored, facts)
    if broken is not None:
        what = f"the monitor found broken data: {broken.what.rstrip('.')}. Fix them at the source first"
        return NotTriggered(Standstill.BROKEN_DATA, f"{what}: a candidate would learn the fault.")
    if not evidence:
        return NotTriggered(Standstill.UNMONITORED, unknown) if unknown else _quiet(settings, monitored)
    return _cooling_down(about(attempts, facts, now), settings, now) or Triggered(evidence)


def _of_the_one_before(one: Evidence, facts: ModelFacts) -> bool:
    """Tell whether a finding is about the model before the champion: its newest window ended before that served."""
    if facts.serves_since is None or period_of(one.window) in (None, "none"):
        return False
    return Partition.of(one.window).plus(1).begins.replace(tzinfo=UTC) <= facts.serves_since


def about(attempts: Sequence[Attempt], facts: ModelFacts, now: datetime) -> list[Attempt]:
    """Return the attempts until ``now`` that say something of the champion, oldest first.

    That is the attempts against it, and the one that trained it: what was tried against a model that has been replaced
    since, by a retraining or by a person, says nothing of the next. An attempt that does not name its champion counts.
    """
    return [
        attempt
        for attempt in sorted(attempts, key=lambda attempt: timestamp(attempt.at))
        if (attempt.model, attempt.environment) == (facts.model, facts.environment)
        and timestamp(attempt.at) <= now
        and facts.champion in (attempt.champion or facts.champion, attempt.candidate)
    ]


def unhelpful_in_row(attempts: Sequence[Attempt]) -> int:
    """Return how many of the newest did not help; one with too little evidence counts neither way."""
    count = 0
    for attempt in reversed(attempts):
        if attempt.outcome in PROPOSED:
            break
        count += attempt.outcome in UNHELPFUL
    return count


def needs_human(attempts: Sequence[Attempt], facts: ModelFacts, now: datetime) -> bool:
    """Tell whether so many attempts in a row did not help that a person should look at the model."""
    return unhelpful_in_row(about(attempts, facts, now)) >= ASK_A_PERSON


def cooldown(attempts: Sequence[Attempt], settings: RetrainSettings) -> timedelta:
    """Return how long to wait after the newest of these attempts."""
    times: int = min(_MOST, 2 ** unhelpful_in_row(attempts))
    return timedelta(days=settings.cooldown_days) * times


def timestamp(text: str) -> datetime:
    """Return an ISO 8601 timestamp, in UTC where it names no zone."""
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _unmonitored(monitored: Monitored | None, facts: ModelFacts, now: datetime) -> str:
    """Return why nothing is known of the model at present, empty where the monitor looked at it of late."""
    where = f"`{facts.model}` in `{facts.environment}`"
    if monitored is None or (monitored.model, monitored.environment) != (facts.model, facts.environment):
        return f"no result of the monitor is known of {where}: run `leverframe monitor`"
    age = now - timestamp(monitored.at)
    if age < -timedelta(hours=facts.every_hours):
        return (
            f"the newest result of the monitor of {where} is of {monitored.at[:10]}, later than {now.date()}: a clock "
            "was wrong; run `leverframe monitor`"
        )
    if age <= timedelta(hours=_SILENT * facts.every_hours):
        return ""
    return (
        f"the newest result of the monitor of {where} is {_days(age)} old, of {monitored.at[:10]} "
        f"(schedule: every {facts.every_hours:g} h): look at the runs of its workflow"
    )


def _broken(monitored: Monitored | None, facts: ModelFacts) -> Finding | None:
    """Return the finding that forbids an attempt; one of an old result holds until the monitor runs again."""
    if monitored is None or (monitored.model, monitored.environment) != (facts.model, facts.environment):
        return None
    return next((finding for finding in monitored.findings if _grave(finding)), None)


def _grave(finding: Finding) -> bool:
    return finding.kind in QUALITY and finding.severity is Severity.CRITICAL and not finding.explained_by


def _of_facts(settings: RetrainSettings, facts: ModelFacts, now: datetime) -> list[Evidence]:
    """Return what speaks for an attempt without a finding: age, and new rows."""
    listed = []
    limit, until = settings.maximum_age_days, facts.trained_until
    if limit is not None and until is not None and now - until >= timedelta(days=limit):
        what = f"the newest training row is {_days(now - until)} old, of {until.date()}. Allowed: {limit:g} days."
        listed.append(Evidence(Cause.AGE, facts.model, str(now.date()), "", what))
    if settings.new_rows is not None and facts.new_rows is not None and facts.new_rows >= settings.new_rows:
        what = f"{facts.new_rows:,} new rows with labels since the champion's hold-out. Due from {settings.new_rows:,}."
        listed.append(Evidence(Cause.NEW_ROWS, facts.model, str(now.date()), "", what))
    return listed


def _quiet(settings: RetrainSettings, monitored: Monitored | None) -> NotTriggered:
    share = f"{settings.minimum_importance:.0%}"
    judged = any(point.judged for metric in monitored.performance for point in metric.points) if monitored else False
    of_model = "no finding of performance" if judged else "performance was not judged, as too few labels are known"
    why = f"{of_model}, and no drift of columns that hold {share} of the model's importance"
    return NotTriggered(Standstill.QUIET, why)


def _cooling_down(attempts: Sequence[Attempt], settings: RetrainSettings, now: datetime) -> NotTriggered | None:
    if not attempts:
        return None
    newest, row = attempts[-1], unhelpful_in_row(attempts)
    wait = cooldown(attempts, settings)
    until = timestamp(newest.at) + wait
    if now >= until:
        return None
    why = f"the last attempt was on {newest.at[:10]} ({newest.outcome}); the next is due after {_days(wait)}"
    if row:
        why += f", as {row} in a row did not help"
    return NotTriggered(Standstill.COOLING_DOWN, f"{why}, on {until.date()}", until.isoformat(timespec="seconds"))


def _days(length: timedelta) -> str:
    days = length / timedelta(days=1)
    return f"{days:.0f} day{'' if round(days) == 1 else 's'}" if days >= 1 else f"{days * 24:.0f} hours"
