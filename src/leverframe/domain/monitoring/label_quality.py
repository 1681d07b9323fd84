"""Data quality of labels: files that cannot be read, labels that fit nothing, contradict, or are overdue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from leverframe.domain.monitoring.finding import Finding, Kind, Severity
from leverframe.domain.monitoring.label_join import LabelFacts
from leverframe.domain.monitoring.window_summary import WindowSpan
from leverframe.settings.monitor import MonitorSettings

_NAMED = 3


@dataclass(frozen=True)
class _Writer:
    window: str
    since: str

    def __call__(self, kind: Kind, subject: str, severity: Severity, what: str, next: str) -> Finding:
        return Finding(kind, subject, severity, self.window, self.since, what, next)


def label_findings(
    coverage: Mapping[str, float | None], spans: Sequence[WindowSpan], facts: LabelFacts, settings: MonitorSettings,
    now: datetime,
) -> tuple[Finding, ...]:  # fmt: skip
    """Return what is wrong with labels; ``coverage`` is the share of labelled rows by window, None without rows."""
    if not spans:
        return ()
    write = _Writer(spans[-1].name, spans[0].name)
    return (*_of_files(facts, write, settings.quality.floor), *_overdue(coverage, spans, facts, settings, now))


def _of_files(facts: LabelFacts, write: _Writer, floor: float) -> Iterator[Finding]:
    if facts.unreadable:
        named = ", ".join(f"`{name}` ({why})" for name, why in list(facts.unreadable.items())[:_NAMED])
        words = f"{len(facts.unreadable):,} of {facts.files:,} files of labels cannot be read: {named}."
        yield write(Kind.LOG, "unreadable-labels", Severity.WARNING, words, "correct the files, or `monitor.labels`")
    if facts.later:
        words = f"{facts.later:,} labels became known after this run, and do not count."
        yield write(
            Kind.LOG, "later-labels", Severity.INFO, words, "nothing, if you look at the past; else set the clocks"
        )
    counts = {
        "are no records": sum(facts.malformed.values()),
        "have a label that the model does not know": facts.strange,
        "lack a column to join on": facts.keyless,
        "have no timestamp that can be read": facts.untimed,
    }
    wrong = {words: count for words, count in counts.items() if count}
    if wrong:
        words = ", ".join(f"{count:,} {reason}" for reason, count in wrong.items())
        most = max(wrong.values()) / max(1, facts.labels + counts["are no records"])
        severity = Severity.WARNING if most > floor else Severity.INFO
        yield write(Kind.LOG, "labels", severity, f"of {facts.labels:,} labels {words}.",
                    "look at what writes the labels; classes are those of the bundle's schema")  # fmt: skip
    if facts.contradicting or facts.repeated:
        words = f"{facts.contradicting:,} rows have labels that contradict one another, of which the newest counts; " \
                f"{facts.repeated:,} labels say again what another one said."  # fmt: skip
        much = facts.contradicting > floor * max(1, facts.labels)
        yield write(Kind.DUPLICATES, "labels", Severity.WARNING if much else Severity.INFO, words,
                    "does `monitor.labels.on` name all that tells rows apart?")  # fmt: skip
    if facts.early:
        yield write(Kind.LOG, "label-clock", Severity.WARNING,
                    f"{facts.early:,} labels were known before the prediction that they belong to: clocks differ, or a "
                    "model predicts what is known.",
                    "compare the clock of `monitor.labels.known_at` with that of the server")  # fmt: skip
    usable = facts.labels - facts.strange - facts.keyless
    if usable and facts.unmatched and facts.unmatched + facts.repeated + facts.contradicting >= usable:
        yield write(Kind.SCHEMA, "labels", Severity.WARNING,
                    f"none of {usable:,} labels belongs to a logged request.",
                    "do `monitor.labels.on` and the values of these columns agree with those of the log?")  # fmt: skip


def _overdue(
    coverage: Mapping[str, float | None], spans: Sequence[WindowSpan], facts: LabelFacts, settings: MonitorSettings,
    now: datetime,
) -> Iterator[Finding]:  # fmt: skip
    """Yield a finding for the newest windows in a row whose labels should be there, and are not."""
    wait, least = timedelta(days=settings.performance.label_delay_days), settings.performance.minimum_coverage
    due = [span for span in spans if span.end + wait <= now and coverage.get(span.name) is not None]
    late = []
    for span in reversed(due):
        if (coverage[span.name] or 0.0) >= least:
            break
        late.append(span)
    if not late:
        return
    known = coverage[late[0].name] or 0.0
    none = "" if facts.labels else "; there is none at all"
    words = (
        f"labels are overdue: {known:.1%} of the rows of {late[0].name} have one, {least:.0%} should after "
        f"{settings.performance.label_delay_days:g} days{none}."
    )
    yield Finding(
        Kind.FRESHNESS,
        "labels",
        Severity.WARNING,
        [span.name for span in spans if span.end <= now][-1],  # they are missing now, whenever they were due
        late[-1].name,
        words,
        "look at the job that brings labels, or set a longer `monitor.performance.label_delay_days`",
    )
