"""An apply: only what was reviewed, held to the rules, finished after a kill at any place."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leverframe.domain.infrastructure.infra_apply import allowed_by, apply, apply_steps, destroy_steps, in_order
from leverframe.domain.infrastructure.infra_apply_result import InfraApplied
from leverframe.domain.infrastructure.infra_executor import InfraExecutor, InfraServices
from leverframe.domain.infrastructure.infra_forge import ReviewedPull
from leverframe.domain.infrastructure.infra_plan import ChangeKind, CheckOutcome, InfraPlan
from leverframe.domain.infrastructure.infra_plan_result import plan_lines
from leverframe.domain.infrastructure.infra_planning import InfraSubject, drift_of, plan_of, plan_steps
from leverframe.domain.infrastructure.infra_ports import Planning, SavedPlan, StateLock
from leverframe.domain.infrastructure.infra_steps import Guard
from leverframe.domain.infrastructure.plan_json import _BECAUSE
from leverframe.domain.infrastructure.plan_review import HALF_DONE, ReviewedPlans, differences, half_made, review
from leverframe.domain.infrastructure.protection import Protection, in_force, violations
from leverframe.domain.infrastructure.state_lock import Unlocked, holder, wanted_lock
from leverframe.domain.plan_engine import Progress
from leverframe.domain.verdict import Failed, Passed, Reason
from leverframe.errors import InfraError, InfraLockedError
from leverframe.settings.infra import InfraEnvironmentSettings
from tests.fakes.infra import Book, KilledError, MemoryTerraform, change, plan, planned_at
from tests.profiles import examples

HEAD, BASE = "h" * 40, "b" * 40
FREE = Protection()
QUIET = Progress(lambda: 0.0)
FAILED = CheckOutcome("check.answers", "fail", ("nobody answers",))
CREATE, DELETE, REPLACE, UPDATE = ChangeKind.CREATE, ChangeKind.DELETE, ChangeKind.REPLACE, ChangeKind.UPDATE
FORGET, MOVE, READ = ChangeKind.FORGET, ChangeKind.MOVE, ChangeKind.READ


def subject(rules: Protection = FREE, *, observes: bool = False) -> InfraSubject:
    """Return the environment production under rules."""
    return InfraSubject(
        "production", HEAD, BASE, "terraform/environments/production", "default", rules, observes=observes
    )


def reviewed(*plans: InfraPlan, **more: object) -> ReviewedPlans:
    """Return plans that were reviewed in pull requests."""
    return replace(ReviewedPlans(plans, "pull request #7"), **more)  # type: ignore[arg-type]


def run(
    tool: MemoryTerraform, held: ReviewedPlans, rules: Protection = FREE, book: Book | None = None, **more: object
) -> InfraApplied:
    """Apply what is declared."""
    book = book or Book(tool.step)
    around = replace(InfraServices(reviewed=held, begin=book.begin, end=book.end), **more)  # type: ignore[arg-type]
    return apply(apply_steps(subject(rules)), (subject(rules), tool, around), (7,), lambda: "2026-11-27T00:00Z", QUIET)


def planned(tool: MemoryTerraform) -> InfraPlan:
    """Return the plan as a pull request shows it."""
    before = [*tool.calls]
    saved = tool.planned(Planning())
    tool.forget(saved)
    tool.calls = before
    return saved.plan


def different(plans: list[InfraPlan], fresh: InfraPlan, begun: Sequence[InfraPlan] = ()) -> list[str]:
    """Return the addresses that are not as reviewed."""
    return [difference.address for difference in differences(reviewed(*plans, begun=tuple(begun)), fresh)]


def reasons(result: InfraApplied) -> list[Reason]:
    """Return the reasons against a result."""
    return [violation.reason for violation in result.violations]


def test_what_was_reviewed_is_applied_confirmed_and_recorded() -> None:
    """The saved plan is applied, planned again, and nothing that is saved stays."""
    tool = MemoryTerraform({"a.x": "1", "a.y": "2"}, {"a.x": "0", "a.z": "3"})
    book = Book(tool.step)
    result = run(tool, reviewed(planned(tool)), book=book)
    assert tool.there == tool.declared
    assert (result.verdict, result.applied, result.begun, result.left) == (Passed(), True, True, 0)
    assert result.outputs == {"count": 2}
    assert [step.step for step in result.steps] == [str(step) for step in apply_steps(subject())]
    assert (book.begun, tool.saved, result.recorded) == (1, set(), ("recorded in memory",))
    assert book.ended[0].applied
    again = run(tool, ReviewedPlans())
    assert (again.verdict, again.applied, again.begun) == (Passed(), True, False)
    assert "nothing to do" in again.lines()[0]


def test_the_steps_of_a_dry_run_say_what_happens() -> None:
    """In order, observation first where there is one, and again before the apply is confirmed."""
    assert [str(step) for step in apply_steps(subject(observes=True))] == [
        "observe what runs here, for the plan to read",
        "initialise terraform/environments/production: backend, workspace, modules, providers of its lock file",
        "plan production; wait for its lock",
        "compare it with the plan that was reviewed, address by address",
        "guard protected addresses and checks",
        "record that it begins",
        "apply exactly this plan, unless it is empty",
        "observe what runs here, for the plan to read",
        "plan again: is anything left, and do checks pass?",
        "record the result",
    ]
    assert [str(step) for step in plan_steps(subject())][1:] == [
        "plan production",
        "guard protected addresses and checks",
    ]
    steps = [str(step) for step in destroy_steps(subject(), asks=True)]
    assert steps[1:4] == [
        "plan production, to destroy all of it; wait for its lock",
        "guard protected addresses and checks",
        "show it, and ask whether to destroy production",
    ]


def test_a_plan_that_changed_since_its_review_is_refused_with_the_difference() -> None:
    """Every kind of difference in words; nothing is touched, and it is recorded."""
    tool = MemoryTerraform({"a.x": "2", "a.y": "1", "a.k": "k"}, {"a.z": "3", "a.k": "0"})
    was = plan(
        change("a.x", CREATE, "", "1"), change("a.w", DELETE, "5"), change("a.y", CREATE, "", "1"),
        change("a.k", REPLACE, "0", "k"),
    )  # fmt: skip
    there = dict(tool.there)
    book = Book(tool.step)
    result = run(tool, reviewed(was), book=book)
    assert (reasons(result), result.begun, result.applied) == ([Reason.PLAN_CHANGED], False, False)
    assert "pull request #7" in result.violations[0].what
    assert f"--reviewed {planned(tool).digest}" in result.violations[0].next
    assert [line for difference in result.differences for line in difference.lines()] == [
        "a.k: reviewed to destroy and create anew, now it would change in place",
        "a.w: it was reviewed to destroy, and stays",
        "a.x: it would create otherwise than reviewed",
        '    reviewed  + value = "1"',
        '    now       + value = "2"',
        "a.z: nobody reviewed that it would destroy",
        '    now  - value = "3"',
    ]
    assert (tool.there, tool.saved, book.begun, len(book.ended)) == (there, set(), 0, 1)
    text = "\n".join(result.lines())
    assert "failed: `production` was not changed" in text
    assert "a.z: nobody reviewed that it would destroy" in text


def test_a_difference_that_is_not_shown_is_told_as_such() -> None:
    """The digest knows of a secret that no line tells."""
    known = change("a.x", CREATE, "", "1")
    (difference,) = differences(reviewed(plan(replace(known, digest="0"))), plan(replace(known, digest="1")))
    assert difference.lines() == [
        "a.x: it would create otherwise than reviewed",
        "    in what is not shown: a secret, or environment, workspace, backend or state is another one",
    ]


def test_without_a_review_nothing_but_an_empty_plan_is_applied() -> None:
    """The reason is why there is none."""
    tool = MemoryTerraform({"a.x": "1"})
    result = run(tool, ReviewedPlans(why="no pull request brought these commits"))
    assert reasons(result) == [Reason.PLAN_UNREVIEWED]
    assert result.violations[0].what == "no pull request brought these commits"
    assert tool.there == {}


def test_a_digest_stands_for_a_plan_that_somebody_read() -> None:
    """The one of the fresh plan is enough; another one is refused, whether its plan is known or not."""
    tool = MemoryTerraform({"a.x": "1"})
    fresh = planned(tool)
    known = run(tool, reviewed(plan(change("a.x", CREATE, "", "0")), digest="0" * 64))
    assert [d.address for d in known.differences] == ["a.x"]
    assert reasons(known) == [Reason.PLAN_CHANGED]
    unknown = run(tool, ReviewedPlans(digest="1" * 64))
    assert reasons(unknown) == [Reason.PLAN_CHANGED]
    assert "111111111111" in unknown.violations[0].what
    assert tool.there == {}
    assert run(tool, ReviewedPlans(digest=fresh.digest)).verdict == Passed()
    assert tool.there == {"a.x": "1"}


def test_plans_of_several_pull_requests_are_taken_together() -> None:
    """The later wins an address; what none of them showed is refused."""
    tool = MemoryTerraform({"a.x": "2", "a.y": "1"})
    first, second = (
        plan(change("a.x", CREATE, "", "1")),
        plan(change("a.x", CREATE, "", "2"), change("a.y", CREATE, "", "1")),
    )
    assert reasons(run(tool, reviewed(second, first))) == [Reason.PLAN_CHANGED]
    assert run(tool, reviewed(first, second)).verdict == Passed()
    other = MemoryTerraform({"a.x": "1", "a.y": "1", "a.z": "1"})
    apart = [plan(change(name, CREATE, "", "1")) for name in ("a.x", "a.y")]
    result = run(other, reviewed(*apart))
    assert [d.address for d in result.differences] == ["a.z"]


def test_a_failed_check_refuses_or_is_shown() -> None:
    """As the environment says; after the apply as well."""
    tool = MemoryTerraform({"a.x": "1"}, checks=(FAILED,))
    result = run(tool, reviewed(planned(tool)))
    assert reasons(result) == [Reason.INFRA_CHECK_FAILED]
    assert "`check.answers` (nobody answers)" in result.violations[0].what
    assert tool.there == {}
    shown = run(tool, reviewed(planned(tool)), replace(FREE, refuses_failed_checks=False))
    assert (shown.verdict, shown.checks) == (Passed(), (FAILED,))
    many = tuple(replace(FAILED, address=f"check.c{number}", messages=()) for number in range(7))
    read = reviewed(planned(MemoryTerraform({"a.x": "1"})))
    several = run(MemoryTerraform({"a.x": "1"}, checks=many), read)
    assert several.violations[0].what == (
        "7 checks fail: `check.c0`; `check.c1`; `check.c2`; `check.c3`; `check.c4` and 2 more"
    )
    five = run(MemoryTerraform({"a.x": "1"}, checks=many[:5]), read)
    assert "more" not in five.violations[0].what
    other = MemoryTerraform({"a.x": "1"}, checks=(replace(FAILED, status="unknown"),))
    held = reviewed(planned(other))

    def begin() -> None:
        other.checks = (FAILED,)

    after = run(other, held, begin=begin)
    assert (reasons(after), after.applied) == ([Reason.INFRA_CHECK_FAILED], True)


PROTECTED = Protection(("module.db", "a.bucket*"))


@pytest.mark.parametrize(
    ("address", "covered"),
    [
        ("module.db", True), ("module.db.a.x", True), ('module.db["eu"].a.x', True), ("module.dbs.a.x", False),
        ("a.bucket", True), ("a.bucket_logs", True), ('a.bucket["x"]', True), ("a.bucke", False),
        ("b.a.bucket", False), ("a.bucket\n", True),
    ],
)  # fmt: skip
def test_a_pattern_covers_what_is_below_its_address(address: str, covered: bool) -> None:
    """A star stands for any text, nothing else has a meaning of its own."""
    assert PROTECTED.covers(address) is covered


@given(st.text(alphabet='ab.[]"0*?_', min_size=1, max_size=12), st.text(alphabet='ab.[]"0_', max_size=6))
@settings(max_examples=examples(0.5))
def test_a_pattern_covers_itself_and_its_instances(pattern: str, more: str) -> None:
    """Whatever is in it."""
    rules = Protection((pattern,))
    literal = pattern.replace("*", more)
    assert rules.covers(literal)
    assert rules.covers(f"{literal}[0]")
    assert rules.covers(f"{literal}.b")
    assert "*" in pattern or not rules.covers(f"{literal}b")


def test_what_is_protected_is_destroyed_only_with_the_label() -> None:
    """Of the pull request whose plan showed that; replaced, or destroyed after a move, is as much."""
    tool = MemoryTerraform({}, {"module.db.a.x": "1"})
    fresh = planned(tool)
    held = reviewed(fresh)
    result = run(tool, held, PROTECTED)
    assert reasons(result) == [Reason.DESTROY_PROTECTED]
    assert "`module.db.a.x`" in result.violations[0].what
    assert "`infra-destroy`" in result.violations[0].next
    pull = ReviewedPull(7, "", HEAD, HEAD, (), planned_at(fresh))
    assert allowed_by([pull], PROTECTED) == frozenset()
    labelled = replace(pull, labels=("infra-destroy", "more"))
    other = replace(labelled, planned=planned_at(plan(change("a.y", DELETE, "1"))))
    assert allowed_by([other, pull], PROTECTED) == {"a.y"}
    allowed = allowed_by([labelled], PROTECTED)
    done = run(tool, held, PROTECTED, allowed=lambda _: allowed)
    assert (done.verdict, tool.there) == (Passed(), {})
    assert any("a label allows" in note for note in done.notes)
    for destroyed in (
        change("a.bucket", REPLACE, "1", "2"), change("b.x", DELETE, "1", moved="a.bucket"),
        change("b.x", REPLACE, "1", moved="module.db.a.x"),
    ):  # fmt: skip
        assert PROTECTED.touched(plan(destroyed)) == (destroyed,)
    for harmless in (change("a.bucket", UPDATE, "1", "2"), change("b.x", DELETE, "1"), change("a.bucket", CREATE)):
        assert PROTECTED.touched(plan(harmless)) == ()
    stays = (change("b.x", FORGET), change("b.x", MOVE, moved="b.y"), change("a.bucket_x", MOVE, moved="a.bucket"))
    assert PROTECTED.escaping(plan(*stays, change("a.bucket", UPDATE))) == ()
    for escaping in (change("b.x", MOVE, moved="a.bucket"), change("a.bucket", FORGET)):
        assert PROTECTED.escaping(plan(escaping)) == (escaping,)
        (violation,) = violations(plan(escaping), PROTECTED)
        assert (violation.reason, "`a.bucket, " in violation.what) == (Reason.DESTROY_PROTECTED, True)
        labelled = replace(pull, labels=("infra-destroy",), planned=planned_at(plan(escaping)))
        assert not [*violations(plan(escaping), PROTECTED, allowed_by([labelled], PROTECTED))]


def settings_of(*protected: str, **more: str) -> InfraEnvironmentSettings:
    """Return the settings of an environment."""
    return InfraEnvironmentSettings.model_validate({"protected": list(protected), **more})


def test_no_change_takes_a_protection_away_and_uses_that() -> None:
    """The rules of every base hold beside those of the change, and the first base says which label lifts them."""
    base = {"production": settings_of("a.x", allow_label="owners"), "other": settings_of("a.o")}
    rules = in_force("production", settings_of("a.y", allow_label="mine", failed_checks="show"), base)
    assert rules == Protection(("a.x", "a.y"), "owners", refuses_failed_checks=True)
    renamed = in_force("prod", settings_of(allow_label="mine"), base)
    assert (renamed.patterns, renamed.label) == (("a.x", "a.o"), "owners")
    assert in_force("production", settings_of(), {}, base).patterns == ("a.x",)
    loose = {"production": settings_of(failed_checks="show")}
    assert not in_force("production", settings_of(failed_checks="show"), loose).refuses_failed_checks
    assert in_force("new", settings_of("a.n", allow_label="mine"), loose) == Protection(("a.n",), "mine")


@pytest.mark.parametrize("killed", range(10))
def test_a_run_that_is_killed_anywhere_is_finished_by_the_next(killed: int) -> None:
    """Before the apply, between two resources, before and after the record; without another review."""
    tool = MemoryTerraform({"a.x": "1", "a.y": "2", "a.w": "3"}, {"a.z": "0"}, killed_at=killed)
    book = Book(tool.step)
    was = plan(change("a.z", DELETE, "0"), *(change(name, CREATE, "", value) for name, value in tool.declared.items()))
    with pytest.raises(KilledError):
        run(tool, reviewed(was), book=book)
    assert tool.saved == set()
    tool.killed_at = -1
    again = run(tool, reviewed(was, begun=(was,) if book.begun else ()), book=book)
    assert (again.verdict, tool.there) == (Passed(), tool.declared), again.lines()
    assert book.ended[-1].applied


VALUES = st.dictionaries(st.sampled_from(["a.u", "a.v", "a.w", "a.x", "a.y"]), st.sampled_from("123"), max_size=5)


@given(VALUES, VALUES, st.lists(st.integers(0, 12), max_size=3), st.sampled_from(["", "a.u", "a.x"]))
@settings(max_examples=examples(1))
def test_whatever_kills_it_nothing_but_what_was_reviewed_is_done(
    declared: dict[str, str], there: dict[str, str], kills: list[int], failing: str
) -> None:
    """Killed again and again, or refused by Terraform: the last run gets to what is declared, by the one review."""
    tool = MemoryTerraform(dict(declared), dict(there))
    was, book = planned(tool), Book(tool.step)
    for number, killed in enumerate([*kills, -1, -1]):
        tool.killed_at, tool.fails_at = killed, failing if number < len(kills) + 1 else ""
        held = reviewed(was, begun=(was,) if book.begun and not (book.ended and book.ended[-1].applied) else ())
        with suppress(KilledError):
            result = run(tool, held, book=book)
            assert result.verdict == Passed() or reasons(result) == [Reason.APPLY_FAILED]
        assert tool.saved == set()
        for address in {*declared, *there}:
            assert tool.there.get(address) in (there.get(address), declared.get(address))
    assert tool.there == declared


@given(VALUES, VALUES, VALUES)
@settings(max_examples=examples(1))
def test_a_difference_is_told_for_every_address_that_changed(
    before: dict[str, str], declared: dict[str, str], later: dict[str, str]
) -> None:
    """Of what is declared since the review; no other, and no plan with one is applied."""
    tool = MemoryTerraform(dict(declared), dict(before))
    was = planned(tool)
    tool.declared = dict(later)
    fresh = planned(tool)
    changed = {name for name in {*before, *declared, *later} if declared.get(name) != later.get(name)}
    assert set(different([was], fresh)) == changed
    result = run(tool, reviewed(was))
    assert (reasons(result) == [Reason.PLAN_CHANGED]) is (bool(changed) and not fresh.empty)


def test_the_kills_reach_every_step() -> None:
    """One more call than is killed above ends the run."""
    tool = MemoryTerraform({"a.x": "1", "a.y": "2", "a.w": "3"}, {"a.z": "0"})
    run(tool, reviewed(planned(tool)))
    assert tool.calls == ["initialise", "plan", "begin", "apply", "a.z", "a.x", "a.y", "a.w", "plan", "end"]


def test_an_apply_that_failed_half_way_goes_on_where_it_began() -> None:
    """What is done is not asked for again; what is new was not reviewed. Outputs may have got their values."""
    tool = MemoryTerraform({"a.x": "1", "a.y": "2"}, fails_at="a.y")
    was = planned(tool)
    result = run(tool, reviewed(was))
    assert (reasons(result), result.begun, result.applied) == ([Reason.APPLY_FAILED], True, False)
    assert "a.y: no such machine" in result.violations[0].what
    assert "changed in part" in result.lines()[0]
    assert tool.there == {"a.x": "1"}
    tool.fails_at = ""
    assert reasons(run(tool, reviewed(was))) == [Reason.PLAN_CHANGED], "nobody says that it began"
    tool.declared["a.n"] = "9"
    assert [d.address for d in run(tool, reviewed(was, begun=(was,))).differences] == ["a.n"]
    del tool.declared["a.n"]
    assert run(tool, reviewed(was, begun=(was,))).verdict == Passed()
    half = plan(change("output.url", CREATE, "", "known after apply"), change("a.x", CREATE, "", "1"))
    rest = plan(change("output.url", CREATE, "", "http://here"))
    assert different([half], rest, [half]) == []
    assert different([half], rest) == ["a.x", "output.url"]


def test_other_lines_beside_the_true_digest_are_another_plan() -> None:
    """A job of a pull request could show what nobody reviews."""
    fresh = plan(change("a.x", CREATE, "", "1"))
    for shown in ({"lines": ("+ harmless",)}, {"because": "nothing"}, {"before": "a.w"}, {"kind": ChangeKind.UPDATE}):
        forged = replace(fresh, changes=(replace(fresh.changes[0], **shown),))
        assert different([forged], fresh) == ["a.x"]
    assert different([fresh], fresh) == []


def test_a_later_pull_request_is_not_loosened_by_an_apply_that_began_before() -> None:
    """Only what that one was to do may be missing."""
    first, second = plan(change("a.x", CREATE, "", "1")), plan(change("a.y", DELETE, "1"), change("a.w", CREATE))
    fresh = plan(change("a.y", DELETE, "1"))
    assert different([first, second], fresh, [first]) == ["a.w"]
    later = plan(change("a.x", CREATE, "", "2"))
    assert different([first, later], plan(), [first]) == ["a.x"], "the later wins"


def test_what_does_not_settle_or_cannot_be_confirmed_is_told() -> None:
    """The apply was done all the same."""

    class Restless(MemoryTerraform):
        def applied(self, saved: SavedPlan) -> None:
            super().applied(saved)
            self.there["a.x"] = "moved on"

    restless = Restless({"a.x": "1"})
    result = run(restless, reviewed(planned(restless)))
    assert (result.applied, result.left, result.verdict) == (True, 1, Passed())
    assert result.notes == ("1 to update right after the apply: the configuration does not settle",)
    settled = MemoryTerraform({"a.x": "1"})
    assert run(settled, reviewed(planned(settled))).notes == ()

    class Gone(MemoryTerraform):
        def applied(self, saved: SavedPlan) -> None:
            super().applied(saved)
            self.held = StateLock("1", "bob")

        def planned(self, how: Planning) -> SavedPlan:
            if self.held:
                raise InfraLockedError("the state is locked", why="bob holds it", next="wait")
            return super().planned(how)

    gone = Gone({"a.x": "1"})
    unsure = run(gone, reviewed(planned(gone)))
    assert (unsure.applied, unsure.verdict) == (True, Passed())
    assert unsure.notes == ("it was applied, and cannot be confirmed: the state is locked: bob holds it",)
    assert unsure.lines()[-1] == unsure.notes[0]


def test_another_run_of_the_very_commit_finishes_what_is_half_done() -> None:
    """What is tainted, what was destroyed and not created, and values that are known by now; nothing else."""
    half_done = replace(change("a.x", REPLACE, "", "1"), because=_BECAUSE["replace_because_tainted"])
    assert half_done.because == HALF_DONE
    known = replace(change("a.y", CREATE), lines=("+ of = (known after apply)", '+ name = "b"'))
    created, replaced = plan(change("a.x", CREATE, "", "1"), known), plan(change("a.x", REPLACE, "0", "1"))
    by_now = replace(known, digest="another", lines=('+ of = "i-17"', '+ name = "b"'))
    other = replace(by_now, lines=('+ of = "i-17"', '+ name = "c"'))
    more = replace(by_now, lines=(*by_now.lines, '+ more = "c"'))
    old = change("a.x (deposed 1234)", DELETE, "0")
    for reviewed_plan, rest, left in (
        (created, plan(half_done, by_now), []), (replaced, plan(half_done), []), (replaced, plan(old), []),
        (replaced, plan(change("a.x", CREATE, "", "1")), []), (replaced, plan(old, half_done), []),
        (created, plan(half_done, other), ["a.y"]), (created, plan(more), ["a.y"]),
        (created, plan(change("a.x", REPLACE, "0", "2")), ["a.x"]),
        (created, plan(change("a.x", DELETE, "1")), ["a.x"]),
        (created, plan(old), ["a.x (deposed 1234)"]),
        (replaced, plan(old, change("a.x", DELETE, "1")), ["a.x", "a.x (deposed 1234)"]),
    ):  # fmt: skip
        held = reviewed(reviewed_plan, begun=(reviewed_plan,), resumed=True)
        assert [d.address for d in differences(held, rest)] == left, rest
        assert different([reviewed_plan], rest, [reviewed_plan]) != [], "of another commit it is not the rest"


def test_what_is_protected_and_half_made_is_made_anew() -> None:
    """By another run of the apply that was reviewed to create it; what was there before stays protected."""
    lines = ("+ id = (known after apply)",)
    created = plan(replace(change("a.bucket", CREATE), lines=lines))
    tainted = replace(change("a.bucket", REPLACE), lines=('~ id: "1" -> (known after apply)',), because=HALF_DONE)
    held = reviewed(created, begun=(created,), resumed=True)
    executor = InfraExecutor(MemoryTerraform(), InfraServices(reviewed=held), saved=SavedPlan(plan(tainted), "x"))
    assert executor.run(Guard(PROTECTED)) is None
    assert executor.notes == ["`a.bucket` is protected, but only half made: it is created anew"]
    for other in (replace(tainted, because=""), change("a.bucket", DELETE)):
        executor = InfraExecutor(MemoryTerraform(), InfraServices(reviewed=held), saved=SavedPlan(plan(other), "x"))
        refused = executor.run(Guard(PROTECTED))
        assert refused is not None
        assert refused.reason is Reason.DESTROY_PROTECTED
    assert half_made(plan(tainted), reviewed(created)) == frozenset()
    replaced = plan(change("a.bucket", REPLACE, "0", "1"))
    assert half_made(plan(tainted), reviewed(replaced, begun=(replaced,))) == frozenset()


@pytest.mark.parametrize(
    "hidden", ["(sensitive)", '"postgres://***@host"', '"a... (900 characters)', "7 more lines like these"]
)
def test_a_rest_that_is_not_shown_whole_is_not_taken_for_what_was_reviewed(hidden: str) -> None:
    """A secret that changed between the two runs reads the same; the digest of the plan in hand is a person's word."""
    lines = ("+ id = (known after apply)", f"+ pin = {hidden}")
    created = replace(change("a.x", CREATE), lines=lines)
    tainted = replace(change("a.x", REPLACE), lines=(f"~ pin: {hidden} -> {hidden}, changed",), because=HALF_DONE)
    for rest in (replace(created, digest="another", lines=('+ id = "1"', lines[1])), tainted):
        held = reviewed(plan(created), begun=(plan(created),), resumed=True)
        assert [d.address for d in differences(held, plan(rest))] == ["a.x"]
        assert review(plan(rest), replace(held, digest=plan(rest).digest))[0] is None
    assert differences(reviewed(plan(created), begun=(plan(created),), resumed=True), plan(created)) == ()


@pytest.mark.parametrize(
    ("line", "taken"),
    [('~ size: 1 -> 2', False), ('~ size: 3 -> 1', True), ('+ more = 1', False), ('- size = 1', False),
     ('~ name: "x" -> "y -> z"', False), ('~ id: "i-1" -> (known after apply)', True), ('- output = 1', True)],
)  # fmt: skip
def test_what_is_half_done_gets_the_reviewed_values(line: str, taken: bool) -> None:
    """Destroyed and created anew, but with nothing else in it."""
    lines = ("+ id = (known after apply)", '+ name = "z"', "+ output = (known after apply)", "+ size = 1")
    created = plan(replace(change("a.x", CREATE), lines=lines))
    rest = plan(replace(change("a.x", REPLACE), lines=(line,), because=HALF_DONE))
    held = reviewed(created, begun=(created,), resumed=True)
    assert (differences(held, rest) == ()) is taken


def test_a_held_lock_is_no_refusal_of_the_change() -> None:
    """It may pass: the error goes up, nothing is recorded, nothing saved stays."""
    tool = MemoryTerraform({"a.x": "1"}, held=StateLock("1234", "ann@laptop"))
    book = Book(tool.step)
    with pytest.raises(InfraLockedError):
        run(tool, reviewed(planned(tool)), book=book)
    assert (book.begun, book.ended, tool.saved) == (0, [], set())


def test_a_plan_of_a_pull_request_is_judged() -> None:
    """Nothing is locked for it; what Terraform refuses is a violation."""
    tool = MemoryTerraform({}, {"a.bucket": "1"}, (FAILED,), held=StateLock("1234", "ann@laptop"))
    result = plan_of(subject(PROTECTED), tool, InfraServices(), QUIET)
    assert [v.reason for v in result.violations] == [Reason.DESTROY_PROTECTED, Reason.INFRA_CHECK_FAILED]
    allowed = plan_of(subject(PROTECTED), tool, InfraServices(allowed=lambda _: ("a.bucket",)), QUIET)
    assert [v.reason for v in allowed.violations] == [Reason.INFRA_CHECK_FAILED]
    assert tool.saved == set()


def test_drift_is_whatever_a_plan_of_main_would_change() -> None:
    """Protection does not matter for it, a failed check does; a lock that somebody left is told of."""
    failing = MemoryTerraform({"a.x": "1"}, {"a.x": "1"}, (FAILED,))
    checked = drift_of(subject(PROTECTED), failing, InfraServices(), QUIET)
    assert checked.verdict == Failed((Reason.INFRA_CHECK_FAILED,))
    shown = Protection(PROTECTED.patterns, refuses_failed_checks=False)
    assert drift_of(subject(shown), failing, InfraServices(), QUIET).verdict == Passed()
    tool = MemoryTerraform({"a.x": "1"}, {"a.x": "1"})
    assert drift_of(subject(PROTECTED), tool, InfraServices(), QUIET).verdict == Passed()
    tool.there["a.x"] = "changed by hand"
    result = drift_of(subject(PROTECTED), tool, InfraServices(), QUIET)
    assert result.verdict == Failed((Reason.INFRA_DRIFTED,))
    assert "1 difference" in result.violations[0].what
    assert result.lock is None
    tool.held = StateLock("1234", "ann@laptop")
    assert drift_of(subject(), tool, InfraServices(), QUIET).lock == tool.held


def test_a_destroy_asks_or_is_held_to_a_digest() -> None:
    """The rules for what is protected hold; who answers no destroys nothing."""
    tool = MemoryTerraform({"a.x": "1"}, {"a.x": "1"}, (FAILED,))

    def destroy(*, agree: bool | None, rules: Protection = FREE, digest: str = "") -> InfraApplied:
        around = InfraServices(reviewed=ReviewedPlans(digest=digest), agree=lambda _: bool(agree), how="keep it")
        steps = destroy_steps(subject(rules), asks=agree is not None)
        return apply(steps, (subject(rules), tool, around), (), lambda: "", QUIET)

    assert reasons(destroy(agree=False)) == [Reason.PLAN_UNREVIEWED]
    assert reasons(destroy(agree=None, digest="0" * 64)) == [Reason.PLAN_CHANGED]
    assert reasons(destroy(agree=None)) == [Reason.PLAN_UNREVIEWED]
    assert reasons(destroy(agree=True, rules=Protection(("a.*",)))) == [Reason.DESTROY_PROTECTED]
    assert tool.there == {"a.x": "1"}
    result = destroy(agree=True)
    assert (result.verdict, result.destroy, result.left, tool.there) == (Passed(), True, 0, {})
    assert "is destroyed" in result.lines()[0]


def test_a_plan_made_after_a_merge_speaks_of_it() -> None:
    """Its pull request alone counts then, as where it reverts the one before."""
    first, second, third = (
        ReviewedPull(number, "", name * 40, name * 40, (), planned_at(plan(), base=base))
        for number, name, base in ((1, "1", "0"), (2, "2", "0"), (3, "3", "2"))
    )
    history = {"0": "0", "2": "012", "3": "0123"}

    def contains(tip: str, commit: str) -> bool:
        return commit[0] in history[tip[0]]

    assert in_order([first, second], contains) == [first, second]
    assert in_order([first, second, third], contains) == [third]
    nothing = replace(third, planned=None)
    assert in_order([first, nothing], contains) == [first, nothing]


def test_a_lock_is_freed_by_its_very_id_and_its_holder_is_told() -> None:
    """With its age, as far as the backend tells."""
    now = datetime(2026, 11, 27, 3, tzinfo=UTC)
    lock = StateLock("6d5f", "ann@laptop", "apply", "2026-11-27T00:55:00+00:00")
    assert wanted_lock(lock, "6d5f", now) == lock
    assert holder(lock, now) == (
        "ann@laptop holds it for apply since 2026-11-27T00:55:00+00:00, 2 hours ago; its id is 6d5f"
    )
    for created, age in (
        ("2026-11-25T00:00:00+00:00", ", 2 days ago"), ("2026-11-27T02:59:00", ", 1 minute ago"),
        ("2026-11-27T02:59:59+00:00", ", 1 seconds ago"), ("2026-11-27T03:00:09+00:00", ", 0 seconds ago"),
        ("yesterday", ""),
    ):  # fmt: skip
        assert f"since {created}{age};" in holder(replace(lock, created=created), now)
    assert "does not tell who" in holder(StateLock("6d5f"), now)
    with pytest.raises(InfraError) as other:
        wanted_lock(lock, "6d5", now)
    assert "its id is 6d5f" in other.value.why
    with pytest.raises(InfraError) as none:
        wanted_lock(None, "6d5f", now)
    assert "nobody holds" in none.value.why
    freed = Unlocked("production", lock, "its job died", "")
    assert freed.lines() == ["the lock 6d5f of `production` is free: its job died"]
    assert replace(freed, freed=False).lines() == ["the lock 6d5f of `production` would be freed: its job died"]


def test_what_a_terminal_shows_of_a_plan_and_of_outputs() -> None:
    """What forces a replacement by its name; outputs as Terraform writes them, and where they are cut."""
    forced = replace(
        change("a.x", REPLACE), because=_BECAUSE["replace_because_cannot_update"], forced_by=("ami", "zone")
    )
    assert plan_lines(plan(forced))[1] == "  replace  a.x (ami, zone cannot change in place)"
    outputs: dict[str, object] = {
        "all": {"on": True, "none": None},
        "url": "http://a",
        "lines": "a\nb",
        "long": ["x" * 300],
    }
    result = InfraApplied("e", "h" * 40, "", ".", "default", "", outputs=outputs)
    shown = [line.removeprefix("  output ") for line in result.lines() if line.startswith("  output ")]
    assert shown[:3] == ['all = {"on": true, "none": null}', "url = http://a", 'lines = "a\\nb"']
    assert shown[3].endswith("xxx... (304 characters)")
