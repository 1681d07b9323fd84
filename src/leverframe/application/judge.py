"""Judge a change with the code of the base's tip: read it as data, run its stages anew, compare, and make the card."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from leverframe.adapters.bounds import OVER
from leverframe.application.check import check
from leverframe.application.gate import gate
from leverframe.application.judged_cards import JudgedChange, beyond, card_of, conflicting, owed_by, where_of
from leverframe.application.judged_checkout import (
    JudgedCheckout,
    claimed_state,
    has_dvc,
    judged_checkout,
    kept_in_git,
    paths_of,
)
from leverframe.application.judged_model import ClaimedContents, ClaimedOutputs, overlaid
from leverframe.application.judged_objects import missing, odd_folders
from leverframe.application.report import card_of_change
from leverframe.application.report_place import branch_named
from leverframe.application.results import kept
from leverframe.application.retrain_base import levers_at
from leverframe.application.status import status
from leverframe.application.workspace import Workspace
from leverframe.documents import loaded, plain
from leverframe.domain import layout
from leverframe.domain.review.check import refused
from leverframe.domain.review.gate.gate_result import Gated
from leverframe.domain.review.judge.judged import Judged
from leverframe.domain.review.judge.judged_paths import ProjectPaths, Sorted, sorted_paths, within
from leverframe.domain.review.judge.lock_claims import ClaimRules, Claims, compared
from leverframe.domain.review.judge.tree_change import TreeChange
from leverframe.domain.review.report.card import Card
from leverframe.domain.review.report.card_markdown import render
from leverframe.domain.review.report.judge_section import unverified
from leverframe.domain.review.report.judgement import PLACE, Judgement, Plan
from leverframe.domain.review.reproduce import Reproduced, StageRun
from leverframe.domain.review.unstable import doubted, unstable
from leverframe.domain.verdict import Reason, Violation
from leverframe.errors import LeverframeError, PipelineError, RepositoryError
from leverframe.files import private_folder, write_json, write_text
from leverframe.settings import PARAMS
from leverframe.settings.levers import JudgeSettings

_SMALL = 20_000_000  # bytes of all files that are read to tell what changed in them
_AT_ONCE = 500  # pointers that one command gets, which takes so many bytes
_TOLERANCE = 1e-4  # relative, of every number that is compared
_CLAIM = 25_000_000  # bytes of the card of another run

Tell = Callable[[str], None]


@dataclass(frozen=True)
class JudgeOptions:
    """What the command line asks for."""

    head: str
    base: str | None = None
    objects: Path | None = None
    claim: Path | None = None
    out: Path | None = None


def judge(workspace: Workspace, asked: JudgeOptions, tell: Tell) -> Judgement:
    """Judge a change, and write its card."""
    change = _read(workspace, asked)
    made = conflicting(change) if change.merged.conflicts else _carded(workspace, change, asked, tell)
    base = branch_named(asked.base) or workspace.git.branch()
    judged = replace(made.judged, base=base) if made.judged else None
    card = replace(made, judged=judged, target=base, project=workspace.project.folder)
    out = asked.out or workspace.root / PLACE
    private_folder(workspace.root / layout.PRIVATE)
    write_json(out, plain(card))
    claim = _claim(asked.claim) if asked.claim else ""
    write_text(out.with_suffix(".md"), f"{render(card)}\n{claim}")
    return Judgement(card, str(out))


def _carded(workspace: Workspace, change: JudgedChange, asked: JudgeOptions, tell: Tell) -> Card:
    """Return a card whatever the change holds: what breaks the judge keeps it from being merged, with a word."""
    try:
        return _judged(workspace, change, asked, tell)
    except LeverframeError as error:
        violation = refused(error)
    except Exception as error:  # a change may hold what nobody thought of, and no card is no word to its author
        what = f"the judge could not read this change: {type(error).__name__} in {where_of(error)}"
        violation = Violation(Reason.NOT_JUDGED, what, "report it with the commit; until then an owner has to look")
    unjudged = Judged("", change.tip, change.head, change.merged.tree, found=(violation,))
    return card_of(change, unjudged, "it was not judged")


def _claim(path: Path) -> str:
    """Return what another run says, as data of a size and form; that it cannot be read is no reason to fail."""
    try:
        with path.open("rb") as handle:
            data = handle.read(_CLAIM + 1)
        return unverified(loaded(Card, data, name=str(path))) if len(data) <= _CLAIM else ""
    except (OSError, LeverframeError):
        return ""


def plan(workspace: Workspace, asked: JudgeOptions) -> Plan:
    """Return what the judge would make of each path, without running anything."""
    change = _read(workspace, asked)
    return Plan(change.tip, change.head, change.merged.conflicts, change.sorted_paths)


def _read(workspace: Workspace, asked: JudgeOptions) -> JudgedChange:
    git = workspace.git
    tip, head = git.named("HEAD"), git.named(asked.head)
    newest = git.commit_of(asked.base) if asked.base else None
    if newest and git.merge_base(tip, newest) != tip:  # one that has moved on since is judged again
        raise RepositoryError(
            f"what is checked out is not of `{asked.base}`",
            why="the judge runs the code that is here, and that has to be the code of the base",
            next=f"`git switch --detach {newest[:12]}`, then run the same command again",
        )
    merged = git.trees.merged(tip, head)
    here = has_dvc(workspace.root)
    paths = paths_of(workspace, workspace.root) if here else ProjectPaths(git.prefix())
    sorting = _sorted(workspace, git.trees.changes(tip, merged.tree) if merged.tree else [], paths)
    return JudgedChange(tip, head, merged, sorting if here else _all_owed(sorting), paths)


def _all_owed(sorting: Sorted) -> Sorted:
    """Return the paths of a change to a base without a pipeline: there is nothing to run it with."""
    known = (*sorting.inputs, *sorting.claims, *sorting.derived)
    owed = {change.path: "the base has no pipeline that could run it" for change in known}
    return Sorted(idle=sorting.idle, owed={**sorting.owed, **owed})


def _sorted(workspace: Workspace, changes: Sequence[TreeChange], paths: ProjectPaths) -> Sorted:
    read = [change for change in changes if change.path.endswith((".yaml", ".yml", ".dvc"))]
    blobs = [blob for change in read for blob in (change.before, change.after)]
    return sorted_paths(changes, paths, workspace.git.trees.read(blobs, _SMALL))


def _judged(workspace: Workspace, change: JudgedChange, asked: JudgeOptions, tell: Tell) -> Card:
    sorting, owed = change.sorted_paths, owed_by(change.sorted_paths.owed)
    judged = Judged("", change.tip, change.head, change.merged.tree, owed=owed, found=beyond(sorting.owed))
    if judged.found:
        return card_of(change, judged, "it is too large")
    if not (sorting.inputs or sorting.claims or sorting.derived or _read_by_stages(sorting, change.paths)):
        tell("the change touches nothing that a stage reads or writes")
        return card_of(change, replace(judged, notes=("no stage reads or writes what this change touches",)))
    limits = levers_at(workspace, change.tip).judge
    with judged_checkout(workspace, (change.tip, sorting), limits, asked.objects, tell) as work:
        absent = _bring(work, change)
        if absent:
            return card_of(change, replace(judged, found=(absent,)), "data are missing")
        odd = odd_folders(sorting.pointers, work.objects)
        odd |= _other_code(workspace, work.workspace, change.paths.folder)
        if odd:
            return card_of(change, replace(judged, owed=owed_by({**sorting.owed, **odd})), "it may hold code")
        return _run(work, change, judged, (limits, tell))


def _other_code(base: Workspace, here: Workspace, folder: str) -> dict[str, str]:
    """Return the settings as an owner's where a stage would read another name of code, or of a place, than the base's.

    The keys were looked at before; this reads the files as the stages do, so that no key can hide another.
    """
    try:
        one, other = (
            (place.params.data.case, place.params.data.dependencies, place.params.features.spark,
             place.params.train.estimator, place.params.train.trusted_types)
            for place in (base, here)
        )  # fmt: skip
    except LeverframeError:  # a pipeline of one's own has none of them; what does not fit is said when it is used
        return {}
    return {} if one == other else {f"{folder}{PARAMS}": "it names other code than the base"}


def _read_by_stages(sorting: Sorted, paths: ProjectPaths) -> bool:
    """Tell whether a path that is an owner's is one that stages read: what they wrote may be of the change's code."""
    names = [path.removeprefix(paths.folder) for path in sorting.owed]
    return any(name == read or name.startswith(f"{read}/") for name in names for read in paths.read)


def _bring(work: JudgedCheckout, change: JudgedChange) -> Violation | None:
    """Bring the data that pointers name; return what says that some are nowhere."""
    pointers = change.sorted_paths.pointers.values()
    absent = missing(pointers, work.objects)
    if absent:
        for first in range(0, len(absent), _AT_ONCE):
            names = (f"./{path}.dvc" for path in absent[first : first + _AT_ONCE])
            work.pipeline.data("pull", "--allow-missing", *names)
        absent = missing(pointers, work.objects)
    if not absent:
        return None
    return Violation(
        Reason.DATA_MISSING,
        f"the data of {', '.join(f'`{path}`' for path in absent[:3])} are not in the remote of the base",
        "run `dvc push`, then start the run again",
    )


def _run(work: JudgedCheckout, change: JudgedChange, judged: Judged, how: tuple[JudgeSettings, Tell]) -> Card:
    limits, tell = how
    try:
        if change.paths.star and (change.sorted_paths.inputs or change.sorted_paths.derived):
            check_definitions(work.workspace)
            work.pipeline.define()
        state = status(work.root)
    except LeverframeError as error:
        return card_of(change, replace(judged, found=(_wrong(error, limits),)), "its declarations cannot be used")
    change = _sorted_again(work, change, kept_in_git(state))
    judged = replace(judged, owed=owed_by(change.sorted_paths.owed))
    tell("running what the change made stale, with the code of the base")
    try:
        runs = work.run(stale=bool(change.sorted_paths.inputs))
    except PipelineError as error:
        ran = tuple(run.stage for run in work.pipeline.runs() if run.how == "ran")
        return card_of(change, replace(judged, ran=ran, found=(_failed(error, limits),)), "its pipeline failed")
    ran = tuple(run.stage for run in runs if run.how == "ran")
    try:
        claimed, claims = _claims(work, change, kept_in_git(state), ran, tell)
    except LeverframeError as error:  # a lock that nobody can read, or no time for a second run
        return card_of(change, replace(judged, ran=ran, found=(_wrong(error, limits),)), "its lock cannot be compared")
    judged = replace(judged, ran=ran, found=claims.violations, notes=(*judged.notes, *claims.notes))
    if claims.excused and not work.workspace.has_case:
        return _of_levers(work, change, judged, (runs, _of_own_code(claims)), tell)
    return _of_levers(work, change, judged, (runs, claimed if "train" in claims.excused else None), tell)


def _of_own_code(claims: Claims) -> str:
    """Return why nothing is scored where stages of an own pipeline ran code of the change: it may have predicted."""
    names = ", ".join(f"`{name}`" for name in claims.excused[:3])
    return f"{names} ran its code, which the judge does not, so nobody knows that its figures are what that code gives"


def _unscored(change: JudgedChange, judged: Judged, why: str) -> Gated:
    """Return that the committed model was not scored: where no owner has to approve the change, that refuses it."""
    words = f"the model of the change was not scored: {why}"
    if judged.owed is not None:
        return Gated(change.tip, change.head, because=words)
    violation = Violation(Reason.NOT_JUDGED, words, "run `dvc push`, then start the run again")
    return Gated(change.tip, change.head, (violation,), because=words)


def check_definitions(place: Workspace) -> None:
    """Raise what settings or declarations that do not fit raise: its kind names the reason."""
    _ = place.params, place.plan  # reading them is the question


def _wrong(error: LeverframeError, limits: JudgeSettings) -> Violation:
    """Return an error as a violation: by its kind, but for one that says that the time is up."""
    late = isinstance(error, PipelineError) and error.code == OVER
    return _failed(error, limits) if isinstance(error, PipelineError) and late else refused(error)


def _failed(error: PipelineError, limits: JudgeSettings) -> Violation:
    if error.code == OVER:
        return Violation(
            Reason.JUDGE_TIMEOUT,
            f"the judge ended its run: {error.what}, {error.why} (`judge.minutes` is {limits.minutes:g})",
            "make the change smaller, or raise `judge` in leverframe.yaml of the base branch",
        )
    broken = error.stage.partition("@")[0] == "validate" and "constraint" in f"{error.what} {error.why}"
    reason = Reason.CONTRACT_BROKEN if broken else Reason.STAGE_FAILED
    return Violation(reason, f"{error.what}: {error.why}", error.next)


def _sorted_again(work: JudgedCheckout, change: JudgedChange, outputs: Sequence[str]) -> JudgedChange:
    """Return the change once it is known what its declarations derive, such as outputs of new stages."""
    owed = dict(change.sorted_paths.owed)
    prefix = change.paths.folder
    trees = work.workspace.git.trees
    for derived in change.sorted_paths.derived:
        file = work.root / derived.path.removeprefix(prefix)
        written = file.read_bytes() if file.is_file() else None
        if written != trees.blob(change.merged.tree, derived.path):
            owed[derived.path] = "it is not what the declarations derive"
    written_by_stages = (path for path in owed if within(path.removeprefix(prefix), outputs))
    for path in [path for path in written_by_stages if path not in change.sorted_paths.odd]:
        del owed[path]
    return replace(change, sorted_paths=replace(change.sorted_paths, owed=owed))


def _claims(
    work: JudgedCheckout, change: JudgedChange, outputs: list[str], ran: Sequence[str], tell: Tell
) -> tuple[ClaimedOutputs, Claims]:
    """Return what the change claims, and how that compares; what differs is run twice, as training may be random."""
    owed = {path.removeprefix(change.paths.folder) for path in change.sorted_paths.owed}
    state = claimed_state(work.workspace, change.merged.tree, sorted({*outputs, *change.paths.outputs}))
    claimed, made = ClaimedOutputs(state, work.objects), work.made(outputs)
    terms = ClaimRules(_TOLERANCE, owed, ClaimedContents(work.workspace, work.pipeline, claimed))
    claims = compared(state, made, terms)
    names = doubted(state, made, {*ran} - {*claims.excused}) if claims.violations else []
    if not names:
        return claimed, claims
    tell(f"running {', '.join(names)} again, to tell training that is not deterministic from a forgery")
    second = work.again(names, outputs)
    odd = unstable(names, made, second)
    if not odd:
        return claimed, claims
    work.run()
    declared = levers_at(work.workspace, change.tip).reproduce.tolerance
    return claimed, compared(state, work.made(outputs), replace(terms, unstable=odd, declared=declared))


def _of_levers(
    work: JudgedCheckout,
    change: JudgedChange,
    judged: Judged,
    made: tuple[Sequence[StageRun], ClaimedOutputs | str | None],
    tell: Tell,
) -> Card:
    """Return the card of the judge's own outputs, by the levers as they are, for the head of the change.

    Where the code that trains is that of the change, its model is scored instead, without running that code; a text in
    the place of it says why it cannot be.
    """
    place, head = work.workspace, change.head
    runs, claimed = made
    lock = claimed_state(place, change.merged.tree, []).lock
    check(place, change.tip, tell, {path: known for entry in lock.values() for path, known in entry.outputs.items()})
    kept(work.root, "reproduce", Reproduced(place.git.named("HEAD"), tuple(runs)))
    tell("comparing the model with that of the base")
    try:
        with overlaid(place, claimed if isinstance(claimed, ClaimedOutputs) else None) as unfit:
            unscored = claimed if isinstance(claimed, str) else unfit
            if unscored:
                gated = _unscored(change, judged, unscored)
            else:
                gated = replace(gate(place, change.tip, None, tell), base=change.tip, head=head)
    except LeverframeError as error:
        gated = Gated(change.tip, head, (Violation(Reason.NOT_COMPARABLE, f"{error.what}: {error.why}", error.next),))
    card = card_of_change(place, change.tip)
    return replace(
        card,
        base=change.tip,
        head=head,
        checked=replace(card.checked, head=head) if card.checked else None,
        reproduced=replace(card.reproduced, head=head) if card.reproduced else None,
        gated=gated,
        judged=judged,
    )
