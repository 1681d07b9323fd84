"""The pull request of a candidate: what a plan does to it, and what people and kills change of that."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from leverframe.domain.plan_engine import Progress, execute
from leverframe.domain.retraining.attempt import Attempt, Cause, Cost, Evidence, Outcome
from leverframe.domain.retraining.pulls import pull_body
from leverframe.domain.retraining.pulls.pull_commit import CommitFacts, own, signed
from leverframe.domain.retraining.pulls.pull_executor import PullExecutor
from leverframe.domain.retraining.pulls.pull_moot import moot
from leverframe.domain.retraining.pulls.pull_plan import Proposed, PullPlan, planned
from leverframe.domain.retraining.pulls.pull_record import LONGEST, PART, PullRecord, noted, read, written
from leverframe.domain.retraining.pulls.pull_state import BRANCH, StandingPull, branch_of
from leverframe.domain.retraining.retrain_result import Retrained
from leverframe.domain.retraining.trigger import NotTriggered, Standstill
from leverframe.domain.review.gate.gate_result import Compared
from leverframe.errors import ForgeUnreachableError
from tests.fakes.alerts import KilledError
from tests.fakes.pulls import BASE, NAME, MemoryPulls, attempt, sha
from tests.profiles import examples

BETTER, NOT_WORSE = Outcome.BETTER, Outcome.NOT_WORSE
NOTE = "Please wait for Ann."


@dataclass
class Place:
    """A forge in memory, and runs over it."""

    forge: MemoryPulls = field(default_factory=MemoryPulls)
    merges: bool = False
    notes: list[str] = field(default_factory=list)

    def proposed(self, of: Attempt, word: str) -> Proposed:
        """Return what an attempt proposes: ``word`` names its commit."""
        head = sha(word)
        self.forge.evidences[head] = of.evidence
        record = PullRecord(
            of.model, of.evidence, of.at, tuple(cause.cause for cause in of.causes), of.outcome, head, "c" * 32,
            draft=of.outcome is not BETTER, dispatches=not self.forge.app,
        )  # fmt: skip
        facts = pull_body.PullFacts(NAME, "main", head, BASE)
        merges = self.merges and of.outcome is BETTER
        return Proposed(pull_body.title(of.model), pull_body.text(of, facts), record, merges=merges)

    def plan(self, of: Attempt | None, word: str = "", why: str = "") -> PullPlan:
        """Plan what an attempt proposes; without one, what a killed run left."""
        there = self.forge.standing()
        record = read(there.open.body) if there.open else None
        if of is not None and (record is None or record.evidence != of.evidence):
            return planned(there, self.proposed(of, word), "leverframe.yml")
        merges = self.merges and record is not None and not record.wants_draft
        same = Proposed("", "", replace(record, dispatches=not self.forge.app), merges=merges) if record else None
        return planned(there, same, "leverframe.yml", why)

    def run(self, of: Attempt | None, word: str = "", why: str = "") -> list[str]:
        """Run a plan and return its steps."""
        plan = self.plan(of, word, why)
        executor = PullExecutor(self.forge, self.forge, self.forge.standing())
        self.notes = [*plan.notes]
        execute(plan.steps, executor, Progress(lambda: 0.0))
        self.notes += executor.notes
        return [str(step) for step in plan.steps]

    @property
    def only(self) -> StandingPull:
        """The one pull request."""
        (pull,) = self.forge.pulls_.values()
        return pull

    @property
    def record(self) -> PullRecord:
        """Its record."""
        record = read(self.only.body)
        assert record is not None
        return record


def test_a_better_candidate_opens_a_ready_pull_request_once() -> None:
    """Outputs, branch, pull request and checks in this order; the same run again has no step."""
    place = Place()
    head = sha("one")
    assert place.run(attempt(), "one") == [
        "push the outputs of shop to the DVC remote",
        f"push {head[:12]} to {NAME}",
        "open a pull request: Retrain shop",
        f"start leverframe.yml on {NAME}",
    ]
    assert (place.only.draft, place.forge.runs, place.record.checks) == (False, [head], head)
    assert place.plan(attempt(), "one").steps == ()
    assert place.plan(attempt(), "another training of the same evidence").steps == ()
    assert place.plan(None).steps == ()


def test_a_candidate_that_is_not_worse_is_a_draft_until_one_is_better() -> None:
    """New evidence updates the one pull request in place, with a lease on the head that was read."""
    place = Place()
    place.run(attempt(NOT_WORSE), "one")
    assert place.only.draft
    steps = place.run(attempt(BETTER, "e2"), "two")
    assert "mark the pull request as ready for review" in steps
    assert (place.only.number, place.only.draft, place.forge.head) == (1, False, sha("two"))
    assert f"`{sha('two')}`" in place.only.body
    assert sha("one") not in place.only.body
    place.run(attempt(NOT_WORSE, "e3"), "three")
    assert place.only.draft
    assert place.forge.runs == [sha("one"), sha("two"), sha("three")]


def test_a_person_who_chose_draft_or_ready_keeps_it() -> None:
    """Also after they agree with us for a while."""
    place = Place()
    place.run(attempt(BETTER), "one")
    place.forge.change(1, draft=True)
    assert place.run(None) == ["update #1: its record"]
    place.run(attempt(NOT_WORSE, "e2"), "two")
    place.run(attempt(BETTER, "e3"), "three")
    assert place.only.draft
    other = Place()
    other.run(attempt(NOT_WORSE), "one")
    other.forge.change(1, draft=False)
    for number, outcome in enumerate((BETTER, NOT_WORSE)):
        other.run(attempt(outcome, f"n{number}"), f"n{number}")
        assert not other.only.draft


@pytest.mark.parametrize("draft", [True, False])
@pytest.mark.parametrize("auto", [True, False])
def test_who_replaces_the_whole_body_keeps_what_they_chose(draft: bool, auto: bool) -> None:
    """Our record is gone: draft or ready, and auto-merge that is off, are theirs; a worse model never merges itself."""
    for outcome in (BETTER, NOT_WORSE):
        place = Place(merges=True)
        place.run(attempt(), "one")
        place.forge.change(1, body="I wrote this.", draft=draft, auto_merge=auto)
        place.run(attempt(outcome, "e2"), "two")
        place.run(None)
        assert place.only.draft is draft
        assert place.only.body.startswith("I wrote this.")
        assert place.only.auto_merge is (auto and not draft and outcome is BETTER)


def test_what_nobody_knows_of_the_cost_is_left_out() -> None:
    """A pipeline of one's own does not say how many rows it learnt from; that is not none."""
    place = Place()
    place.run(replace(attempt(), cost=Cost(None, 672, 4.0, None, None)), "one")
    assert "The pipeline took 4 seconds for 672 rows to be judged on." in place.only.body
    assert "0 rows to learn" not in place.only.body
    assert "| trained on | `2025-11-01` | `2026-02-09` |  |" in place.only.body


def test_a_commit_of_a_person_is_never_pushed_over() -> None:
    """Nothing at all is done to branch and pull request, whatever is found; a note says so."""
    place = Place()
    place.run(attempt(), "one")
    place.forge.head, place.forge.ours = sha("of a person"), False
    for of, why in ((attempt(BETTER, "e2"), ""), (None, "it is moot"), (None, "")):
        assert place.run(of, "two", why) == []
        assert place.notes == [f"{NAME} is left alone: it has commits that are not ours"]


def test_a_push_between_reading_and_pushing_is_held_off_by_the_lease() -> None:
    """The plan was made from another head: it ends there, and the pull request still speaks of what stands there."""
    place = Place()
    place.run(attempt(), "one")
    plan = place.plan(attempt(BETTER, "e2"), "two")
    there = place.forge.standing()
    place.forge.head = sha("of a person")
    body = place.only.body
    with pytest.raises(ForgeUnreachableError, match="was moved"):
        execute(plan.steps, PullExecutor(place.forge, place.forge, there), Progress(lambda: 0.0))
    assert (place.forge.head, place.only.body) == (sha("of a person"), body)


def test_what_somebody_closed_is_not_proposed_again_for_the_same_evidence() -> None:
    """New evidence opens another pull request; what was merged is not proposed again either."""
    place = Place()
    place.run(attempt(), "one")
    place.forge.change(1, open=False)
    assert place.run(attempt(), "one") == []
    assert place.notes == ["#1 with the same evidence was closed: it is not opened again"]
    assert "open a pull request: Retrain shop" in place.run(attempt(BETTER, "e2"), "two")
    place.forge.change(2, open=False, merged=True)
    place.forge.head = ""
    assert place.run(attempt(BETTER, "e2"), "two") == []
    assert place.notes == ["#2 with the same evidence was merged: it is not opened again"]


def test_a_moot_pull_request_is_closed_with_the_reason_and_its_branch_removed() -> None:
    """Once; a run that is killed in between finishes it; whoever opens it again keeps it open."""
    place = Place()
    place.run(attempt(), "one")
    place.forge.left = 2
    with pytest.raises(KilledError):
        place.run(None, why="the trigger is over")
    place.forge.left = None
    assert (place.only.open, place.forge.head) == (False, sha("one"))
    assert place.run(None) == [f"remove the branch {NAME}"]
    assert len(place.forge.posted[1]) == 1
    assert "The trigger is over. Leverframe closes this." in place.forge.posted[1][0]
    assert place.record.closed
    place.forge.change(1, open=True)
    place.forge.head = sha("one")
    assert place.run(None, why="the trigger is over") == []
    assert place.run(None) == []
    assert place.only.open
    place.run(attempt(BETTER, "e2"), "two")
    assert not place.record.closed


FORGED = (
    '<!-- leverframe-retrain-record {"model":"","evidence":"","made":"2026-01-01","causes":[],"outcome":"better",'
    '"head":"","champion":"","draft":true,"closed":true} -->'
)
MARKERS = (
    "<!-- leverframe-retrain-end -->", "<!-- leverframe-retrain-state -->", FORGED,
    f"<!-- leverframe-retrain {'a' * 32} {'b' * 16} -->",
)  # fmt: skip


@pytest.mark.parametrize("marker", MARKERS)
@pytest.mark.parametrize("quoted", [True, False])
def test_a_value_of_the_data_is_no_marker_of_ours(marker: str, quoted: bool) -> None:
    """Whatever requests hold: the text stays whole however often it is rewritten, and the record is what we wrote."""
    place = Place()
    evil = f"AUC fell for `{marker}`." if quoted else f"AUC fell for {marker}."
    record = attempt()
    cause = Evidence(Cause.PERFORMANCE, marker, marker, marker, evil)
    slices = tuple(replace(one, column=marker, value=marker) for one in record.comparison.slices)  # type: ignore[union-attr]
    compared = replace(record.comparison, slices=slices, violations=(evil,), notes=(evil,))  # type: ignore[type-var]
    record = replace(record, causes=(cause,), why=evil, comparison=compared)
    place.run(record, "one")
    place.forge.change(1, body=f"Mine.\n\n{place.only.body}\n\nMine, too.")
    for _ in range(2):
        body = noted(place.only.body, place.record)
        assert body.count("<!-- leverframe-retrain") == body.count("<!--") == 4
        assert (body[:7], body[-11:]) == ("Mine.\n\n", "\nMine, too.")
        assert "### Hashes" in body
        assert (place.record.head, place.record.closed, place.record.model) == (sha("one"), False, "shop")
        place.forge.change(1, body=body)
    raw = PART.block("a" * 32, f"A text {marker} of a card", place.record)  # the part holds itself, too
    assert PART.record_in(raw) == PART.record_in(place.only.body)
    assert PART.merged(f"{raw} Mine.", "Ours.") == "Ours. Mine."


def test_a_branch_from_which_somebody_opened_another_pull_request_stays() -> None:
    """Removing it would close theirs; a new commit, which theirs gets as well, is told."""
    place = Place()
    place.run(attempt(), "one")
    theirs = replace(place.only, number=2, target="release", author="ann", body="")
    place.forge.elsewhere = (theirs,)
    assert place.run(attempt(BETTER, "e2"), "two")
    assert place.notes == [f"#2 goes to release from {NAME}, and gets the commit as well"]
    place.run(None, why="the trigger is over")
    assert (place.only.open, place.forge.head) == (False, sha("two"))
    assert place.notes == [f"{NAME} stays: #2 goes to release from it"]
    assert place.run(None) == []
    place.forge.elsewhere = ()
    assert place.run(None) == [f"remove the branch {NAME}"]


def test_a_branch_without_a_pull_request_is_finished_or_removed() -> None:
    """A killed run left it: the same attempt opens it, no attempt any more removes it."""
    place = Place()
    place.forge.left = 2
    with pytest.raises(KilledError):
        place.run(attempt(), "one")
    place.forge.left = None
    assert (place.forge.head, place.forge.pulls_) == (sha("one"), {})
    assert place.run(attempt(), "one")[0] == "open a pull request: Retrain shop"
    other = Place()
    other.forge.left = 2
    with pytest.raises(KilledError):
        other.run(attempt(), "one")
    other.forge.left = None
    assert other.run(None) == [f"remove the branch {NAME}"]


def test_auto_merge_is_for_a_ready_and_better_candidate_alone() -> None:
    """It is taken off before a head that is not better gets there, and put on again for one that is."""
    place = Place(merges=True)
    assert place.run(attempt(), "one")[3] == "let GitHub merge it once every required check has passed"
    assert (place.only.auto_merge, place.record.auto) == (True, "on")
    assert place.plan(None).steps == ()
    steps = place.run(attempt(NOT_WORSE, "e2"), "two")
    assert steps[:2] == ["stop GitHub from merging it by itself", "mark the pull request as a draft"]
    assert (place.only.auto_merge, place.record.auto) == (False, "none")
    place.run(attempt(BETTER, "e3"), "three")
    assert place.only.auto_merge


def test_auto_merge_that_github_refuses_is_a_sentence() -> None:
    """It is tried once for each head, and nothing is merged by us."""
    place = Place(merges=True)
    place.forge.refuses = "Pull request is in clean status"
    place.run(attempt(), "one")
    assert (place.record.auto, place.only.auto_merge) == ("refused", False)
    assert "**It does not merge by itself.** GitHub refused to: Pull request is in clean status" in place.only.body
    assert place.plan(None).steps == ()
    place.forge.refuses = ""
    place.run(attempt(BETTER, "e2"), "two")
    assert (place.record.auto, place.only.auto_merge) == ("on", True)
    assert "does not merge by itself" not in place.only.body


def test_auto_merge_of_people_stays_and_what_they_switch_off_stays_off() -> None:
    """`propose` never turns it on, and takes off only what we turned on."""
    place = Place()
    place.run(attempt(), "one")
    place.forge.change(1, auto_merge=True)
    place.run(attempt(NOT_WORSE, "e2"), "two")
    place.run(None)
    assert place.only.auto_merge
    other = Place(merges=True)
    other.run(attempt(), "one")
    other.forge.change(1, auto_merge=False)
    other.run(None)
    other.run(attempt(BETTER, "e2"), "two")
    assert not other.only.auto_merge
    third = Place(merges=True)
    third.run(attempt(), "one")
    third.merges = False
    third.run(None)
    assert not third.only.auto_merge


def test_an_app_dispatches_nothing() -> None:
    """What it opens starts checks by itself; a token that changes takes effect with the next head."""
    place = Place(MemoryPulls(app=True))
    assert not any("start " in step for step in place.run(attempt(), "one"))
    assert "starts no workflows" not in place.only.body


def test_what_people_write_stays() -> None:
    """Title, labels, and what stands around our part, with the line ends of a browser."""
    place = Place()
    place.run(attempt(), "one")
    mine = place.only.body.replace("\n", "\r\n")
    place.forge.change(1, title="Mine", labels=("x",), body=f"{NOTE}\r\n\r\n{mine}\r\nPS: mine")
    assert place.plan(attempt(), "one").steps == ()
    place.run(attempt(BETTER, "e2"), "two")
    assert (place.only.title, place.only.labels) == ("Mine", ("x",))
    assert place.only.body.startswith(f"{NOTE}\n\n<!-- leverframe-retrain ")
    assert place.only.body.endswith("PS: mine")
    assert place.only.body.count("leverframe-retrain-record") == 1


def test_a_damaged_body_is_written_anew() -> None:
    """Somebody cut our part: the next evidence writes it again below what is left."""
    place = Place()
    place.run(attempt(), "one")
    place.forge.change(1, body="Nothing here.")
    place.run(attempt(BETTER, "e2"), "two")
    assert place.only.body.startswith("Nothing here.\n\n<!-- leverframe-retrain ")
    assert len(place.forge.pulls_) == 1


RETRAINED = Retrained("shop", "production", "2026-03-12T06:00:00+00:00", None, None)
QUIET = replace(RETRAINED, waiting=NotTriggered(Standstill.QUIET, "no finding speaks for it"))
RECORD = PullRecord("shop", "e" * 32, "2026-03-10T06:00:00+00:00", (Cause.DRIFT,), BETTER, sha("one"), "c" * 32, False)


@pytest.mark.parametrize(
    ("record", "retrained", "champion", "words"),
    [
        (RECORD, QUIET, "c" * 32, "what triggered it is over"),
        (replace(RECORD, causes=(Cause.DRIFT, Cause.REQUESTED)), QUIET, "c" * 32, ""),
        (replace(RECORD, causes=(Cause.AGE,)), QUIET, "c" * 32, ""),
        (RECORD, RETRAINED, "d" * 32, "another model now"),
        (RECORD, RETRAINED, "", ""),
        (RECORD, replace(RETRAINED, at="2026-04-20T06:00:00+00:00"), "c" * 32, "41 days old"),
        (RECORD, replace(RETRAINED, at="2026-04-09T06:00:00"), "c" * 32, ""),
        (RECORD, replace(RETRAINED, attempt=attempt(Outcome.WORSE)), "c" * 32, "gave a model that is worse"),
        (RECORD, replace(RETRAINED, attempt=attempt(Outcome.UNDECIDED)), "c" * 32, ""),
        (RECORD, replace(RETRAINED, waiting=NotTriggered(Standstill.COOLING_DOWN, "x")), "c" * 32, ""),
        (RECORD, replace(RETRAINED, waiting=NotTriggered(Standstill.UNMONITORED, "x")), "c" * 32, ""),
    ],
)
def test_when_a_pull_request_is_moot(record: PullRecord, retrained: Retrained, champion: str, words: str) -> None:
    """Only for what was decided; waiting, too few labels and an unknown base close nothing."""
    why = moot(record, retrained, champion, 30.0)
    assert words in why
    assert bool(words) is bool(why)


@dataclass
class Commits:
    """A history in memory: trees of merges are those of ``merges``."""

    commits: dict[str, CommitFacts]
    merges: dict[tuple[str, str], str] = field(default_factory=dict)

    def commit_facts(self, commit: str) -> CommitFacts:
        return self.commits[commit]

    def merged_tree(self, ours: str, theirs: str) -> str:
        return self.merges.get((ours, theirs), "")

    def contains(self, tip: str, commit: str) -> bool:
        return commit in ("base", "newer") and tip == "newer"


def test_only_our_one_commit_and_pure_merges_of_the_base_are_ours() -> None:
    """An amended tree, another parent, a second commit, an edited merge and a foreign merge are of a person."""
    message = signed("Retrain shop", "Why.", tree="t", parent="base", evidence="e" * 32)
    commits = {
        "ours": CommitFacts("t", ("base",), message),
        "amended": CommitFacts("t2", ("base",), message),
        "rebased": CommitFacts("t", ("newer",), message),
        "more": CommitFacts("t3", ("ours",), "More"),
        "copied": CommitFacts("t", ("ours",), message),
        "updated": CommitFacts("m", ("ours", "newer"), "Merge branch 'main'"),
        "again": CommitFacts("m2", ("updated", "newer"), "Merge branch 'main'"),
        "edited": CommitFacts("m-edited", ("ours", "newer"), "Merge branch 'main'"),
        "foreign": CommitFacts("m3", ("ours", "more"), "Merge branch 'x'"),
    }
    merges = {("ours", "newer"): "m", ("updated", "newer"): "m2", ("ours", "more"): "m3"}
    history = Commits(commits, merges)
    known = {name: own(history, name, "newer") for name in commits}
    assert {name for name, (ours, _) in known.items() if ours} == {"ours", "updated", "again"}
    assert known["again"] == (True, "e" * 32)


def test_a_branch_for_any_name_of_a_model() -> None:
    """What no branch can be called gets a hash, so that two names share none."""
    assert branch_of(BRANCH, "shop-2") == "leverframe/retrain-shop-2"
    odd = ["a b", "a~b", "A b", "..", "a/b", "ä", "x" * 200, "a.lock"]
    assert len({branch_of(BRANCH, model) for model in odd}) == len(odd)


GOLDEN = Path(__file__).parents[1] / "golden/retrain/pull-request.md"


def test_the_text_is_the_golden_one() -> None:
    """Evidence, data, comparison, slices, cost, what merging does, the way back, and the hashes."""
    dashboard = "https://example.org/dashboard"
    facts = pull_body.PullFacts(NAME, "main", sha("one"), BASE, "c" * 32, dashboard, watch_days=28)
    record = replace(RECORD, auto="on", dispatches=True, checks=sha("one"), causes=(Cause.PERFORMANCE, Cause.DRIFT))
    assert written("", pull_body.text(attempt(), facts), record) + "\n" == GOLDEN.read_text(encoding="utf-8")


HOSTILE = st.text(st.sampled_from("a|`<>@#-\n\\[](){}*_&…é\u202e\0"), max_size=400)


@settings(max_examples=examples(0.3), deadline=None)
@given(HOSTILE, st.integers(0, 2000), st.integers(0, 70_000))
def test_the_body_fits_whatever_is_found(word: str, many: int, people: int) -> None:
    """At most 60,000 characters with what people wrote, as far as that leaves room; data form no marker."""
    base = attempt()
    assert base.comparison is not None
    causes = tuple(Evidence(Cause.DRIFT, word, word, word, word) for _ in range(many))
    metrics = tuple(Compared(word, word, "higher", 0.1, 0.2, 0.1, 0.0, 0.2) for _ in range(many))
    slices = tuple(replace(base.comparison.slices[0], column=word, value=word, metric=word) for _ in range(many))
    comparison = replace(
        base.comparison, metric=word, metrics=metrics, old_metrics=metrics, slices=slices, old_how=word,
        violations=(word,) * many, notes=(word,) * many,
    )  # fmt: skip
    large = replace(base, causes=causes, comparison=comparison, why=word)
    facts = pull_body.PullFacts(NAME, "main", sha("one"), BASE)
    body = written("x" * people, pull_body.text(large, facts), replace(RECORD, causes=(Cause.DRIFT,) * 7))
    assert len(body) <= max(LONGEST, people + 4_000)
    record = read(body)
    assert record is not None
    assert record.evidence == RECORD.evidence
    assert body.count("<!-- leverframe-retrain-end -->") == 1


class Weeks(RuleBasedStateMachine):
    """Any sequence of attempts, some of them killed after any write, among people who do as they like."""

    @initialize(merges=st.booleans(), app=st.booleans())
    def begin(self, merges: bool, app: bool) -> None:
        """Start without a pull request."""
        self.place = Place(MemoryPulls(app=app), merges)
        self.number, self.person = 0, False
        self.drafts: dict[int, bool] = {}
        self.off: set[int] = set()
        self.closed: set[str] = set()
        self.words: dict[str, str] = {}

    @rule(outcome=st.sampled_from([BETTER, NOT_WORSE]), new=st.booleans(), writes=st.none() | st.integers(0, 9))
    def attempt(self, outcome: Outcome, new: bool, writes: int | None) -> None:
        """Propose a candidate, perhaps the last one again."""
        self.number += new
        word = f"e{self.number}"
        of = attempt(outcome, word)
        if self.words.setdefault(word, outcome) != outcome:  # the same evidence has the same outcome
            of = replace(of, outcome=Outcome(self.words[word]))
        self._run(of, word, "", writes)

    @rule(why=st.sampled_from(["", "the trigger is over"]), writes=st.none() | st.integers(0, 4))
    def nothing(self, why: str, writes: int | None) -> None:
        """Run without an attempt; perhaps the pull request is moot."""
        self._run(None, "", why, writes)

    def _run(self, of: Attempt | None, word: str, why: str, writes: int | None) -> None:
        forge = self.place.forge
        head, ours, there = forge.head, forge.ours, forge.standing().open
        before = {number: pull.open for number, pull in forge.pulls_.items()}
        forge.left = writes
        try:
            self.place.run(of, word, why)
            done = True
        except KilledError:
            done = False
        forge.left = None
        if head and not ours:
            assert (forge.head, forge.standing().open) == (head, there)
        for number, was in before.items():
            assert was or not forge.pulls_[number].open  # nothing is opened again
        if done:
            assert self.place.plan(of, word, "").steps == ()
            now = forge.standing().open
            record = read(now.body) if now else None
            half = bool(forge.head) and record is not None and record.evidence != forge.evidences.get(forge.head)
            assert not (half and of and forge.ours)  # what a killed run pushed is finished by the next attempt
            if now and record and forge.ours and not record.closed and not half:
                self._whole(now, record)

    def _whole(self, now: StandingPull, record: PullRecord) -> None:
        """Hold a pull request after a run to the end to what it should be."""
        forge = self.place.forge
        assert record.evidence == forge.evidences[forge.head]
        assert now.draft == self.drafts.get(now.number, record.wants_draft)
        assert forge.app or record.checks == record.head
        if self.place.merges and now.number not in self.off:
            assert now.auto_merge == (record.outcome is BETTER and not now.draft)

    @precondition(lambda self: self.place.forge.standing().open)
    @rule(what=st.sampled_from(["close", "merge", "draft", "ready", "write", "title", "push", "drop", "off"]))
    def act(self, what: str) -> None:
        """Let a person do something."""
        forge = self.place.forge
        pull = forge.standing().open
        assert pull is not None
        record = read(pull.body)
        if what in ("draft", "ready") and record and pull.draft == (what == "ready"):
            states = {record.draft, record.wants_draft, pull.draft}
            half = len(states) > 1 or record.turning  # a killed run is not finished yet
            if half and pull.number not in self.drafts:
                return
            forge.change(pull.number, draft=what == "draft", auto_merge=False if what == "draft" else pull.auto_merge)
            self.drafts[pull.number] = what == "draft"
            if not record.chosen(draft=what == "draft"):  # back before any run saw it
                del self.drafts[pull.number]
            self.off.add(pull.number)  # of which nothing is asked any more here
        elif what in ("close", "merge"):
            forge.change(pull.number, open=False, merged=what == "merge", auto_merge=False)
            if record:
                self.closed.add(record.evidence)
        elif what == "write":
            body = pull.body[pull.body.index("<!-- leverframe-retrain ") :]
            forge.change(pull.number, body=f"{NOTE}\n\n{body}")
        elif what == "title":
            forge.change(pull.number, title="Mine")
        elif what == "push":
            forge.head, forge.ours = sha(f"person {self.number}"), False
        elif what == "off" and pull.auto_merge:
            forge.change(pull.number, auto_merge=False)
            self.off.add(pull.number)

    @rule(first=st.booleans())
    def two_at_once(self, first: bool) -> None:
        """Let a run go on from what it read before another one ran: the lease ends it, or it finds the same done."""
        self.number += first
        word = f"e{self.number}"
        of = attempt(Outcome(self.words.setdefault(word, BETTER)), word)
        place = self.place
        plan, there = place.plan(of, word), place.forge.standing()
        self.number += 1
        other = f"e{self.number}"
        place.run(attempt(Outcome(self.words.setdefault(other, NOT_WORSE)), other), other)
        with contextlib.suppress(ForgeUnreachableError):
            execute(plan.steps, PullExecutor(place.forge, place.forge, there), Progress(lambda: 0.0))
        now = place.forge.standing().open
        self.off |= {now.number} if now else set()  # which of the two it was for is not asked here

    @precondition(lambda self: self.place.forge.pulls_ and self.place.forge.head and self.place.forge.ours)
    @rule()
    def open_again(self) -> None:
        """Let a person open the newest pull request again, where it speaks of what stands on the branch."""
        forge = self.place.forge
        there = forge.standing()
        newest = there.pulls[0]
        if there.open or newest.merged or newest.evidence != there.evidence:
            return
        forge.change(newest.number, open=True)
        self.closed.discard(newest.evidence)
        self.off.add(newest.number)

    @precondition(lambda self: not self.place.forge.ours)
    @rule()
    def take_back(self) -> None:
        """Let the person remove their branch; GitHub closes the pull request."""
        forge = self.place.forge
        pull = forge.standing().open
        forge.head, forge.ours = "", True
        if pull:
            forge.change(pull.number, open=False)

    @invariant()
    def one_pull_request(self) -> None:
        """Never two open, nothing of a closed evidence opened, no comment or dispatch twice, no text of people lost."""
        if not hasattr(self, "place"):
            return
        forge = self.place.forge
        opened = [pull for pull in forge.pulls_.values() if pull.open]
        assert len(opened) <= 1
        assert not opened or forge.head
        assert not {pull.evidence for pull in opened} & self.closed
        assert len(forge.runs) == len(set(forge.runs))
        for comments in forge.posted.values():
            assert len(comments) == len(set(comments))
        for pull in forge.pulls_.values():
            assert pull.title in ("Mine", "Retrain shop")
            assert pull.body.count("<!-- leverframe-retrain ") == 1
            assert not (pull.auto_merge and pull.draft)


TestWeeks = Weeks.TestCase
TestWeeks.settings = settings(max_examples=examples(1.0), stateful_step_count=30, deadline=None)
