"""Alerts as issues: which are opened, changed and closed, and what people's actions change of that."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from leverframe.domain.monitoring.alerts.alert import alerts_of
from leverframe.domain.monitoring.alerts.alert_executor import AlertExecutor
from leverframe.domain.monitoring.alerts.alert_plan import AlertContext, open_alerts, planned
from leverframe.domain.monitoring.alerts.alert_record import TrackedIssue, standing
from leverframe.domain.monitoring.finding import RANK, Finding, Kind, Severity
from leverframe.domain.monitoring.monitor_result import Monitored
from leverframe.domain.plan_engine import Progress, execute
from leverframe.domain.single_issue import Issue
from leverframe.errors import ForgeUnreachableError, PublishError
from leverframe.settings.monitor import AlertSettings
from tests.fakes.alerts import (
    KilledError,
    MemoryHooks,
    MemoryIssues,
    column,
    day,
    finding,
    monitored,
    performance,
    window,
)
from tests.profiles import examples

LABEL = "leverframe-alert"
AROUND = AlertContext(assignees=("ann",), mentions=("@ann",), hooks={"HOOK": "warning", "PAGER": "critical"})
CRITICAL, WARNING, INFO = Severity.CRITICAL, Severity.WARNING, Severity.INFO


@dataclass
class Place:
    """Issues and webhooks, and runs of the monitor over them."""

    issues: MemoryIssues = field(default_factory=MemoryIssues)
    hooks: MemoryHooks = field(default_factory=MemoryHooks)
    around: AlertContext = AROUND
    settings: AlertSettings = field(default_factory=AlertSettings)
    notes: list[str] = field(default_factory=list)

    def plan(self, result: Monitored) -> list[str]:
        """Return the steps in words."""
        return [str(step) for step in planned(result, self.issues.listed(LABEL), self.settings, self.around).steps]

    def run(self, result: Monitored) -> list[str]:
        """Run the alerts of a result and return the steps."""
        known = self.issues.listed(LABEL)
        plan = planned(result, known, self.settings, self.around)
        self.notes = list(plan.notes)
        executor = AlertExecutor(self.issues, known, LABEL, self.hooks)
        execute(plan.steps, executor, Progress(lambda: 0.0))
        self.notes += executor.notes
        return [str(step) for step in plan.steps]

    def only(self) -> Issue:
        """Return the one issue."""
        (issue,) = self.issues.issues.values()
        return issue

    def change(self, number: int = 1, **values: object) -> None:
        """Let a person change an issue."""
        self.issues.issues[number] = replace(self.issues.issues[number], **values)  # type: ignore[arg-type]

    def events(self, hook: str = "HOOK") -> list[str]:
        """Return the kinds of the events that a webhook was sent."""
        return [event.kind for name, event in self.hooks.sent if name == hook]


MISSING = Kind.MISSING


def test_drifting_columns_share_an_alert_and_info_raises_none() -> None:
    """Twenty columns that drift open one issue that lists them; information opens none."""
    drifts = [finding(Kind.DRIFT, f"c{number}", 9) for number in range(20)]
    result = monitored(9, *drifts, finding(Kind.VOLUME, "", 9, INFO))
    (alert,) = alerts_of(result, [])
    assert alert.title == "[shop/production] drift"
    place = Place()
    assert place.run(result) == ["open an issue: [shop/production] drift", "notify HOOK that [shop/production] drift "
                                "opened (warning)"]  # fmt: skip
    assert all(f"`c{number}`" in place.only().body for number in range(20))
    assert (place.only().labels, place.only().assignees) == ((LABEL,), ("ann",))


def test_what_is_explained_opens_nothing_and_stands_below_its_cause() -> None:
    """A broken table silences the drift behind it, unless the explanation is information that nobody is told."""
    cause = finding(Kind.TABLE, "visits", 9, CRITICAL)
    effect = finding(Kind.DRIFT, "age", 9, explained_by=cause.key, what="`age` drifted by 0.3")
    place = Place()
    place.run(monitored(9, cause, effect))
    assert place.only().title == "[shop/production] table: visits"
    assert "### Explained by this" in place.only().body
    assert "`age` drifted by 0.3" in place.only().body.replace("&#", "")
    other = Place()
    other.run(monitored(9, replace(cause, severity=INFO), effect))
    assert other.only().title == "[shop/production] drift"


def test_what_becomes_explained_stays_open_and_silent() -> None:
    """An issue whose finding another alert explains by now says so, tells nobody, and is not closed."""
    place = Place()
    drift = finding(Kind.DRIFT, "age", 9)
    place.run(monitored(9, drift))
    cause = finding(Kind.TABLE, "visits", 10, CRITICAL)
    steps = place.run(monitored(10, cause, finding(Kind.DRIFT, "age", 10, CRITICAL, explained_by=cause.key)))
    assert [step for step in steps if "#1" in step] == ["update #1: [shop/production] drift"]
    assert "Another alert explains it" in place.issues.issues[1].body
    assert place.issues.posted[1] == []


def test_many_findings_of_a_kind_share_an_issue_and_go_on_to_share_it() -> None:
    """A source that breaks every column opens one issue; what has an issue of its own keeps it."""
    place = Place()
    place.run(monitored(8, finding(MISSING, "c0", 8)))
    many = [finding(MISSING, f"c{number}", 9) for number in range(8)]
    place.run(monitored(9, *many))
    assert [issue.title for issue in place.issues.issues.values()] == [
        "[shop/production] missing values: c0", "[shop/production] missing values",
    ]  # fmt: skip
    place.run(monitored(10, *[replace(gap, window=day(10)) for gap in many[:3]]))
    assert len(place.issues.issues) == 2


def test_an_alert_is_told_once_and_its_figures_are_kept_up_to_date() -> None:
    """The same run again has no step; later ones update the body, and say nothing until something changes."""
    place = Place()
    place.run(monitored(9, finding(MISSING, "age", 9)))
    assert place.run(monitored(9, finding(MISSING, "age", 9), hours=5)) == []
    for last in range(10, 15):
        steps = place.run(monitored(last, finding(MISSING, "age", last, since=day(9))))
        assert steps == ["update #1: [shop/production] missing values: age"]
    assert place.issues.posted[1] == []
    assert place.events() == ["opened"]
    place.run(monitored(16, finding(MISSING, "age", 16, since=day(9))))
    assert len(place.issues.posted[1]) == 1
    assert "Still warning after 7 days" in place.issues.posted[1][0]
    place.run(monitored(17, finding(MISSING, "age", 17, CRITICAL, since=day(9))))
    place.run(monitored(18, finding(MISSING, "age", 18, WARNING, since=day(9))))
    assert "Severity is critical, was warning" in place.issues.posted[1][1]
    assert "Severity is warning, was critical" in place.issues.posted[1][2]
    assert place.events() == ["opened", "changed", "changed"]
    assert place.events("PAGER") == ["changed", "changed"]


def test_an_alert_closes_after_quiet_windows_and_opens_again_in_place() -> None:
    """Three windows with traffic and without the finding close it, with the reason; coming back reopens it."""
    place = Place()
    place.run(monitored(9, finding(MISSING, "age", 9)))
    assert place.run(monitored(11)) == []
    assert place.run(monitored(12))[0] == "close #1: not found in the last 3 windows, up to 2026-03-13"
    assert (place.only().open, place.only().reason) == (False, "completed")
    assert "not found in the last 3 windows" in place.only().body.replace("&#", "")
    assert place.run(monitored(13)) == []
    assert place.run(monitored(20, finding(MISSING, "age", 20)))[0].startswith("reopen #1: it is back")
    assert place.only().open
    assert place.events() == ["opened", "closed", "reopened"]
    assert place.events("PAGER") == []


@pytest.mark.parametrize("quiet", [{"requests": 0}, {"whole": False}])
def test_windows_that_say_nothing_close_nothing(quiet: dict[str, bool]) -> None:
    """A window without traffic, or one that goes on, is not quiet."""
    place = Place()
    place.run(monitored(9, finding(MISSING, "age", 9)))
    shown = [window(number) for number in range(10)] + [window(number, **quiet) for number in range(10, 20)]
    assert place.run(monitored(19, windows=shown)) == []


def test_only_windows_that_were_judged_are_quiet() -> None:
    """A drop of performance is over once labels say so, drift once the columns were compared."""
    place = Place()
    place.run(monitored(9, finding(Kind.PERFORMANCE, "auc", 9), performance=(performance("auc", 9, judged=True),)))
    assert place.run(monitored(15, performance=(performance("auc", *range(9, 16), judged=False),))) == []
    steps = place.run(monitored(15, performance=(performance("auc", *range(9, 16), judged=True),)))
    assert steps[0].startswith("close #1")
    other = Place()
    other.run(monitored(9, finding(Kind.DRIFT, "age", 9), columns=(column("age", 9),)))
    assert other.run(monitored(15, columns=(column("age", *range(9, 16), judged=False),))) == []
    assert other.run(monitored(15, columns=(column("age", *range(9, 16)),)))[0].startswith("close #1")


def test_a_finding_of_windows_long_over_opens_nothing() -> None:
    """A result that still lists an old window neither opens an issue nor keeps one open."""
    place = Place()
    assert place.run(monitored(12, finding(MISSING, "age", 9))) == []
    place.run(monitored(10, finding(MISSING, "age", 9)))
    assert place.run(monitored(12, finding(MISSING, "age", 9)))[0].startswith("close #1")


def test_a_broken_table_is_of_now() -> None:
    """Its partition is no window of traffic: it stays open while its contract is violated, and closes afterwards."""
    place = Place()
    table = replace(finding(Kind.TABLE, "visits", 0, CRITICAL), window="2013-03", since="2013-03")
    place.run(monitored(9, table))
    assert "since `2013-03`" in place.only().body
    assert place.run(monitored(15, table)) == ["update #1: [shop/production] table: visits"]
    assert place.run(monitored(18))[0].startswith("close #1")


def test_a_snoozed_alert_is_silent_until_its_day() -> None:
    """No comment, no webhook, and it stays open; on that day it speaks again, and a label without a day is named."""
    place = Place()
    place.run(monitored(9, finding(MISSING, "age", 9)))
    place.change(labels=(LABEL, f"snooze-until:{day(15)}", "snooze-until:friday"))
    place.run(monitored(10, finding(MISSING, "age", 10, CRITICAL)))
    assert "snooze-until&#58;friday" in place.only().body or "`snooze-until:friday`" in place.only().body
    assert place.run(monitored(13)) == []
    assert (place.issues.posted[1], place.events(), place.only().open) == ([], ["opened"], True)
    (alert,) = open_alerts(list(place.issues.issues.values()), monitored(13))
    assert alert.snoozed_until == day(15)
    place.run(monitored(14, finding(MISSING, "age", 14, CRITICAL)))
    assert len(place.issues.posted[1]) == 1
    assert place.events() == ["opened", "changed"]


def test_what_a_person_closed_stays_closed_until_it_gets_worse_or_comes_back() -> None:
    """Closing is an answer; more of the same does not reopen it."""
    place = Place()
    place.run(monitored(9, finding(MISSING, "age", 9)))
    place.change(open=False, reason="not_planned")
    place.run(monitored(10, finding(MISSING, "age", 10)))
    assert not place.only().open
    worse = Place(issues=MemoryIssues(dict(place.issues.issues), {1: []}))
    assert worse.run(monitored(11, finding(MISSING, "age", 11, CRITICAL)))[0].startswith("reopen #1: it got worse")
    place.run(monitored(13))
    assert not place.only().open
    place.run(monitored(14, finding(MISSING, "age", 14)))
    assert place.only().open
    assert place.events() == ["opened", "reopened"]


def test_what_a_person_opened_again_stays_open() -> None:
    """We closed it, somebody disagrees: it is not closed once more before the finding came and went."""
    place = Place()
    place.run(monitored(9, finding(MISSING, "age", 9)))
    place.run(monitored(12))
    place.change(open=True)
    assert place.run(monitored(15)) == []
    place.run(monitored(16, finding(MISSING, "age", 16)))
    assert place.run(monitored(19))[0].startswith("close #1")


def test_what_people_write_stays() -> None:
    """Text around the markers, title, labels and assignees; carriage returns of a browser change nothing."""
    place = Place()
    place.run(monitored(9, finding(MISSING, "age", 9)))
    body = f"Seen by Ann.\n\n{place.only().body}\n\nSee also #7.".replace("\n", "\r\n")
    place.change(body=body, title="Age is missing", labels=(LABEL, "team"), assignees=("bob",))
    assert place.run(monitored(9, finding(MISSING, "age", 9))) == []
    place.run(monitored(10, finding(MISSING, "age", 10, CRITICAL)))
    issue = place.only()
    assert issue.body.startswith("Seen by Ann.\n\n<!-- leverframe-alert")
    assert issue.body.endswith("-end -->\n\nSee also #7.")
    assert (issue.title, issue.labels, issue.assignees) == ("Age is missing", (LABEL, "team"), ("bob",))


def test_a_damaged_record_opens_no_second_issue() -> None:
    """Where somebody edited the hidden record, the issue is taken as told."""
    place = Place()
    place.run(monitored(9, finding(MISSING, "age", 9)))
    place.change(body=place.only().body.replace('"severity":"warning"', '"severity":"loud"'))
    place.run(monitored(10, finding(MISSING, "age", 10)))
    assert len(place.issues.issues) == 1
    assert standing([place.only()])[0].record is not None
    assert place.run(monitored(10, finding(MISSING, "age", 10))) == []


def test_two_runs_at_once_leave_one_issue() -> None:
    """Both planned to open it: the second finds it; where the list lags, the newer is closed as a duplicate."""
    result = monitored(9, finding(MISSING, "age", 9))
    place = Place()
    known = place.issues.listed(LABEL)
    plan = planned(result, known, place.settings, place.around)
    place.run(result)
    execute(plan.steps, AlertExecutor(place.issues, known, LABEL, place.hooks), Progress(lambda: 0.0))
    assert len(place.issues.issues) == 1
    assert place.events() == ["opened"]
    place.issues.lags = True
    place.run(result)
    assert len(place.issues.issues) == 2
    place.issues.lags = False
    assert [(issue.open, issue.reason) for issue in place.issues.issues.values()] == [(True, ""), (False, "duplicate")]
    place.change(2, open=True)  # as a run leaves it that was killed in between
    assert place.run(result)[0] == "close #2, a duplicate of #1"
    assert [(issue.open, issue.reason) for issue in place.issues.issues.values()] == [(True, ""), (False, "duplicate")]
    assert place.run(result) == []


def test_an_earlier_run_changes_nothing() -> None:
    """A replay of March leaves alone what the run of today wrote."""
    place = Place()
    place.run(monitored(20, finding(MISSING, "age", 20)))
    assert place.run(monitored(9)) == []
    assert place.notes == ["#1 is left alone: a run that looked at 2026-03-21 wrote it"]


def test_environments_do_not_touch_each_other() -> None:
    """An alert of staging is another one, and a quiet staging closes nothing of production."""
    place = Place()
    place.run(monitored(9, finding(MISSING, "age", 9)))
    place.run(monitored(9, finding(MISSING, "age", 9), environment="staging"))
    assert len(place.issues.issues) == 2
    assert place.run(monitored(15, environment="staging"))[0].startswith("close #2")
    assert place.issues.issues[1].open


def test_a_webhook_that_is_down_is_told_by_the_next_run() -> None:
    """What was not delivered is a note; one that is new hears of open alerts, and not of the end of others."""
    place = Place()
    place.hooks.down = {"HOOK"}
    place.run(monitored(9, finding(MISSING, "age", 9)))
    assert place.notes == [
        "HOOK was not told that [shop/production] missing values: age opened (warning): it answered 503; the next run "
        "tries again"
    ]
    place.hooks.down = set()
    place.run(monitored(9, finding(MISSING, "age", 9)))
    assert place.events() == ["opened"]
    assert place.hooks.sent[0][1].url == "https://forge.example.org/1"
    place.run(monitored(12))
    place.around = replace(AROUND, hooks={"HOOK": "warning", "NEW": "warning"})
    assert place.run(monitored(13)) == []


def test_what_the_forge_refuses_of_one_alert_does_not_stop_others() -> None:
    """A refusal is kept for the end of the run; an outage ends it, and the next run goes on."""

    class Refusing(MemoryIssues):
        error: Exception = PublishError("GitHub refused", why="410", next="look")

        def opened(self, title: str, body: str, labels: tuple[str, ...], assignees: tuple[str, ...]) -> Issue:
            if "drift" in title:
                raise self.error
            return super().opened(title, body, labels, assignees)

    issues = Refusing()
    result = monitored(9, finding(Kind.DRIFT, "age", 9, CRITICAL), finding(MISSING, "age", 9))
    plan = planned(result, [], AlertSettings(), AROUND)
    executor = AlertExecutor(issues, [], LABEL, MemoryHooks())
    execute(plan.steps, executor, Progress(lambda: 0.0))
    assert [issue.title for issue in issues.issues.values()] == ["[shop/production] missing values: age"]
    assert [error.why for error in executor.failures.values()] == ["410"]
    issues.error = ForgeUnreachableError("GitHub does not answer", why="timeout", next="again")
    with pytest.raises(ForgeUnreachableError):
        execute(plan.steps, AlertExecutor(issues, [], LABEL, MemoryHooks()), Progress(lambda: 0.0))


@pytest.mark.parametrize(
    "wrong",
    [{"owners": ["<b>"]}, {"owners": ["a b"]}, {"labels": ["a,b"]}, {"labels": []}, {"labels": ["x" * 51]},
     {"dashboard": "javascript:alert(1)"}, {"dashboard": "https://x/> [a"}, {"webhooks": [{"url": "https://x/"}]}],
)  # fmt: skip
def test_settings_that_no_issue_could_take_are_refused(wrong: dict[str, object]) -> None:
    """They stand in issues as they are, or name the variable that holds a secret."""
    with pytest.raises(ValueError, match="|".join(wrong) + "|label"):
        AlertSettings.model_validate(wrong)


KEYS = [(Kind.DRIFT, "a"), (Kind.DRIFT, "b"), (MISSING, "a"), (Kind.TABLE, "visits")]
SEVERITIES = st.sampled_from([WARNING, CRITICAL, INFO])
FOUND = st.dictionaries(st.sampled_from(KEYS), SEVERITIES)


class Months(RuleBasedStateMachine):
    """Any sequence of runs, some of them killed after any write, among people who do as they like."""

    @initialize()
    def begin(self) -> None:
        """Start without issues."""
        self.place = Place()
        self.last = 5
        self.text: dict[int, str] = {}

    @rule(severities=FOUND, days=st.integers(0, 8), explained=st.booleans(), writes=st.none() | st.integers(0, 6))
    def run(self, severities: dict[tuple[Kind, str], Severity], days: int, explained: bool, writes: int | None) -> None:
        """Run the monitor some days later; a killed run is run again by the next."""
        self.last += days
        findings = [
            self._finding(kind, subject, severity, explained) for (kind, subject), severity in severities.items()
        ]
        result = monitored(self.last, *findings)
        before = {entry.issue.number: (entry, len(self.place.issues.posted[entry.issue.number]))
                  for entry in standing(self.place.issues.issues.values())}  # fmt: skip
        sent = len(self.place.hooks.sent)
        self.place.issues.left, done = writes, True
        try:
            self.place.run(result)
        except KilledError:
            done = False
        self.place.issues.left = None
        for there, comments in before.values():
            self._held(result, there, comments)
        snoozed = {there.issue.url for there, _ in before.values() if _snoozed(there.issue, result)}
        assert not {event.url for _, event in self.place.hooks.sent[sent:]} & snoozed
        if done:
            assert self.place.plan(result) == []
            known = {entry.key: entry.issue for entry in standing(self.place.issues.issues.values())}
            for alert in alerts_of(result, []):
                assert (
                    alert.inhibited or known[alert.key].open or alert.key in {entry.key for entry, _ in before.values()}
                )

    def _finding(self, kind: Kind, subject: str, severity: Severity, explained: bool) -> Finding:
        cause = "table:visits" if explained and kind is Kind.DRIFT else ""
        return finding(kind, subject, self.last, severity, explained_by=cause)

    def _held(self, result: Monitored, there: TrackedIssue, comments: int) -> None:
        """Hold an issue to what it was before the run."""
        issue, record = there.issue, there.record
        now = self.place.issues.issues[issue.number]
        after = standing([now])[0].record
        assert record is not None
        assert after is not None
        bodies = self.place.issues.posted[issue.number][comments:]
        assert len(bodies) <= (not _snoozed(issue, result))
        for body in bodies:
            waited = datetime.fromisoformat(result.at) - datetime.fromisoformat(record.told)
            assert "everity is" in body or ("Still" in body and waited >= timedelta(days=7))
            assert f"everity is {record.severity}," not in body
        if _snoozed(issue, result):
            assert now.open == issue.open
        if now.open and not issue.open:
            assert record.closed or record.gone or RANK[after.severity] > RANK[record.severity]

    @precondition(lambda self: self.place.issues.issues)
    @rule(data=st.data(), what=st.sampled_from(["close", "reopen", "snooze", "wake", "write", "title"]))
    def act(self, data: st.DataObject, what: str) -> None:
        """Let a person do something with an issue."""
        number = data.draw(st.sampled_from(sorted(self.place.issues.issues)))
        issue = self.place.issues.issues[number]
        if what == "write":
            self.text[number] = f"Note {len(self.text)} of a person."
            body = issue.body[issue.body.index("<!-- leverframe-alert") :]
            self.place.change(number, body=f"{self.text[number]}\n\n{body}")
        elif what == "title":
            self.place.change(number, title="Renamed")
        elif what in ("close", "reopen"):
            self.place.change(number, open=what == "reopen", reason="")
        else:
            labels = (LABEL, f"snooze-until:{day(self.last + 5)}") if what == "snooze" else (LABEL,)
            self.place.change(number, labels=labels)

    @invariant()
    def one_open_issue_a_key(self) -> None:
        """Never two open issues of one key, nor two comments or deliveries of one event; text of people stays."""
        if not hasattr(self, "place"):
            return
        alerts = standing(self.place.issues.issues.values())
        keys = [alert.key for alert in alerts]
        assert len(keys) == len(set(keys))
        assert len(alerts) == len(self.place.issues.issues)
        for number, text in self.text.items():
            assert self.place.issues.issues[number].body.startswith(f"{text}\n\n<!-- leverframe-alert ")
        for bodies in self.place.issues.posted.values():
            markers = [body.partition("\n")[0] for body in bodies]
            assert len(markers) == len(set(markers))
        sent = [(hook, event.delivery) for hook, event in self.place.hooks.sent]
        assert len(sent) == len(set(sent))


def _snoozed(issue: Issue, result: Monitored) -> bool:
    return any(label.startswith("snooze-until:") and label[13:] > result.at[:10] for label in issue.labels)


TestMonths = Months.TestCase
TestMonths.settings = settings(max_examples=examples(1.0), stateful_step_count=30, deadline=None)
