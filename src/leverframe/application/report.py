"""The decision card: what it is made of, where it is written, and who posts it."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from leverframe.adapters import cml, runner
from leverframe.adapters.markdown_it import page
from leverframe.adapters.process import run_group
from leverframe.application.diff import diff
from leverframe.application.infra_plans import (
    infra_plans,
    infrastructure_alone,
    judged_again,
    no_longer_declared,
    pipeline_here,
)
from leverframe.application.own_card import parameters_of, read_here, with_plots
from leverframe.application.report_place import ReportTarget, branch_named
from leverframe.application.silence import silence_of_monitor
from leverframe.application.status import status
from leverframe.application.untouched import untouched
from leverframe.application.workspace import Workspace
from leverframe.documents import loaded, plain
from leverframe.domain import layout
from leverframe.domain.infrastructure.infra_changed import claims, untrusted
from leverframe.domain.project import WHOLE, Project
from leverframe.domain.review.check import Checked
from leverframe.domain.review.gate.gate_result import Gated
from leverframe.domain.review.judge.judged import Judged
from leverframe.domain.review.report import publish
from leverframe.domain.review.report.assemble import assembled, of_infrastructure, wanted
from leverframe.domain.review.report.card import Card
from leverframe.domain.review.report.card_charts import BRANCH, drawings
from leverframe.domain.review.report.card_markdown import LIMIT, Shown, marker, render
from leverframe.domain.review.report.post_card import CardPost, Others, nobody
from leverframe.domain.review.report.publish import Published, Publisher
from leverframe.domain.review.report.pull_of_run import NoPull, Pull, RunOrder, RunPull
from leverframe.domain.review.reproduce import Reproduced
from leverframe.domain.verdict import Reason, Skipped, Violation
from leverframe.errors import LeverframeError, PublishError, RepositoryError
from leverframe.files import private_folder, write_json, write_text
from leverframe.inert.letters import fitting
from leverframe.settings import LEVERS, PARAMS
from leverframe.settings.levers import ReportSettings
from leverframe.yaml_files import parse

Found = TypeVar("Found")
_CARD_LIMIT = 25_000_000  # bytes of a card that another job made; a plan of 5,000 resources has some 3,000,000
_WHOLE = 900_000  # bytes of the summary of a job, which takes a megabyte


@dataclass(frozen=True)
class ReportOptions:
    """What the command line asks for."""

    base: str | None = None
    publisher: Publisher | None = None
    card: Path | None = None
    out: Path | None = None
    html: Path | None = None
    key: str = "model"
    assets: bool = False
    dry_run: bool = False
    judged: Path | None = None
    unverified: Path | None = None
    pull: int | None = None
    pending: bool = False
    unjudged: str = ""


def report(workspace: Workspace, asked: ReportOptions, summary: Callable[[str], None]) -> Published:
    """Make the card of this change, or read one that another job made, and post it where it belongs.

    ``summary`` gets the whole of it in any case: a runner shows it on the page of the job.
    """
    settings, run = report_settings(workspace), runner.event()
    made = _as_claim(read_card(asked.card)) if asked.card else card_of_change(workspace, asked.base)
    given, project = branch_named(asked.base) or made.target, project_of(workspace, anywhere=asked.card is not None)
    place = ReportTarget(run, asked.publisher or settings.publisher, given, project)
    card, refusal = replace(made, target=place.base, project=project.folder), None
    if asked.card:
        place.hold_foreign(card, str(asked.card))
        card = replace(card, pipeline=card.pipeline or pipeline_here(workspace))  # whatever its job says that ran
    else:
        try:
            card = place.held(card, workspace.git)
        except PublishError as error:  # the card is kept all the same
            refusal = error
    if not place.trusted:
        card = replace(card, infra=tuple(map(untrusted, card.infra)))
    card = replace(card, infra=judged_again(workspace, card.infra, asked.base, place.labels))
    return shown(workspace, asked, (card, place, refusal), summary)


def shown(
    workspace: Workspace,
    asked: ReportOptions,
    of: tuple[Card, ReportTarget, PublishError | None],
    summary: Callable[[str], None],
    below: str = "",
) -> Published:
    """Write a card and post it where it belongs, with ``below`` as its last section where a comment has the room."""
    settings, (card, place, _) = report_settings(workspace), of
    body = fitting(f"{_body(asked, settings, card, place).rstrip()}\n\n{below}", LIMIT) if below else ""
    body = body or _body(asked, settings, card, place)
    _write(workspace.root, card, body, asked)
    if not asked.dry_run:
        summary(summary_of(card, _WHOLE))
    return _posted(asked, settings, of, body)


def _as_claim(card: Card) -> Card:
    """Return the card that a run of the pull request made as what it is: whatever it says of a judge, none looked."""
    violation = Violation(
        Reason.NOT_JUDGED,
        "a run made this card that executes code of the change, so it is a claim: no judge has looked",
        "let `judge.yml` judge the change: `leverframe init` writes that workflow",
    )
    return replace(card, judged=Judged("", "", card.head, found=(violation,)))


def project_of(workspace: Workspace, *, anywhere: bool) -> Project:
    """Return the folder that the card is of; a card that another job made is posted from anywhere."""
    try:
        return workspace.project
    except RepositoryError:
        if not anywhere:
            raise
        return WHOLE


def _body(asked: ReportOptions, settings: ReportSettings, card: Card, place: ReportTarget) -> str:
    mark = marker(
        place.project.key(asked.key), card.head, place.run.order if isinstance(place.run, RunPull) else RunOrder()
    )
    return f"{mark}\n{render(card, _shown(asked, settings, card, place))}"


def summary_of(card: Card, size: int) -> str:
    """Return the whole card of at most ``size`` bytes."""
    return render(card, Shown(1000, 1000), limit=size)


def _shown(asked: ReportOptions, settings: ReportSettings, card: Card, place: ReportTarget) -> Shown:
    """Return how the card is drawn: with pictures on a branch where they are asked for, else with diagrams."""
    warnings = place.warnings(card.head)
    if not isinstance(place.run, RunPull):
        return Shown(settings.slices, warnings=warnings)
    blobs = f"{runner.server()}/{place.run.repository}/blob"
    pictures = _in_git(card, f"{blobs}/{card.head}")
    if asked.assets:
        pictures |= {title: f"{blobs}/{BRANCH}/{path}?raw=true" for title, (path, _) in _pictures(card).items()}
    return Shown(settings.slices, pictures=pictures, warnings=warnings)


def _in_git(card: Card, folder: str) -> dict[str, str]:
    """Return where GitHub shows the pictures that the commit itself has, by their paths."""
    return {
        image.path: f"{folder}/{quote(posixpath.normpath(posixpath.join(card.project, image.path)))}?raw=true"
        for image in card.images
        if image.there and image.in_git
    }


def _pictures(card: Card) -> dict[str, tuple[str, str]]:
    from leverframe.adapters.pygal import draw  # noqa: PLC0415 - a sixth of the time of a card without pictures

    return drawings(card, draw)


def report_settings(workspace: Workspace) -> ReportSettings:
    """Return how cards are shown; where the settings cannot be read, `check` says so and the card is still drawn."""
    try:
        return workspace.levers.report
    except LeverframeError:
        return ReportSettings()


def card_of_change(workspace: Workspace, base: str | None) -> Card:
    """Return the card of the change in this folder, of what git and the levers left."""
    root, git = workspace.root, workspace.git
    since, head = git.base(base), git.named("HEAD")
    fork = since.commit
    unaffected = untouched(workspace, since)
    if unaffected:  # a check that is required has to report, however little there is to say
        return Card(fork, head, Checked(head), Reproduced(head), Gated(fork, head, because=unaffected))
    before = git.contents(fork, str(PARAMS), str(LEVERS), *wanted())
    after = {path: (root / path).read_bytes() for path in git.files(str(PARAMS), str(LEVERS), *wanted())}
    parameters = _parameters(before), _parameters(after)
    here = None if workspace.has_case else read_here(workspace)
    if here is not None:
        theirs, ours = parameters_of(workspace, here, fork)
        parameters = {**parameters[0], **theirs}, {**parameters[1], **ours}
    if infrastructure_alone(workspace, fork, since.tip):
        card = of_infrastructure((fork, head), parameters)
    else:
        card = assembled(
            (fork, head),
            (_left(root, "check", Checked), _left(root, "reproduce", Reproduced), _left(root, "gate", Gated)),
            (before, after),
            parameters,
            (
                lambda: here.status if here else status(root),
                lambda: None if here else diff(workspace, fork, None),
            ),
            silence_of_monitor(workspace),
        )
        card = with_plots(workspace, here, card) if here else card
    notes = (*since.notes, *no_longer_declared(workspace, fork), *card.notes)
    infra = infra_plans(workspace, (fork, head), before)
    return replace(card, infra=infra, notes=notes, not_run=_not_run(root, head) if card.pipeline else ())


def _parameters(side: dict[str, bytes]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name in (str(PARAMS), str(LEVERS)):
        text = side.get(name, b"").decode(errors="replace")
        try:
            values |= parse(text, name=name, what="the settings") if text.strip() else {}
        except LeverframeError:  # `check` says what is wrong with it
            continue
    return values


def _left(root: Path, name: str, kind: type[Found]) -> Found | None:
    """Return what a lever left; None where it left nothing that can be read."""
    path = root / layout.lever(name)
    try:
        return loaded(kind, path.read_bytes(), name=str(path))
    except (OSError, LeverframeError):
        return None


def _not_run(root: Path, head: str) -> tuple[str, ...]:
    """Return the levers that surely nobody started for this commit; a step of a workflow cannot know it."""
    if runner.in_workflow():
        return ()
    kinds: dict[str, type[Checked | Reproduced | Gated]] = {"check": Checked, "reproduce": Reproduced, "gate": Gated}
    left = {name: _left(root, name, kind) for name, kind in kinds.items()}
    return tuple(
        name
        for name, result in left.items()
        if not (root / layout.lever(name)).exists() or (result is not None and result.head != head)
    )


def read_card(path: Path) -> Card:
    """Return a card that another job made. It is data: its size and form are held here."""
    try:
        with path.open("rb") as handle:
            data = handle.read(_CARD_LIMIT + 1)
    except OSError as error:
        raise PublishError(
            f"cannot read {path}", why=str(error.strerror or error), next="name the card that the run left"
        ) from error
    if len(data) > _CARD_LIMIT:
        raise PublishError(f"{path} is no card", why=f"it has more than {_CARD_LIMIT:,} bytes", next="look at the run")
    card = loaded(Card, data, name=str(path))
    wrong = next(filter(None, (claims(planned, card.head) for planned in card.infra)), "")
    if wrong:
        raise PublishError(
            f"{path} has a plan that is not of its commit", why=wrong, next="look at the run that made it"
        )
    return card


def _write(root: Path, card: Card, body: str, asked: ReportOptions) -> None:
    """Write the card as Markdown, as data beside it, and as a page where one is asked for."""
    private_folder((root / layout.RESULTS).parent)
    out = asked.out or root / layout.REPORT
    write_text(out, body)
    write_json(out.with_suffix(".json"), plain(card))
    if asked.html:
        write_text(asked.html, page("Leverframe", body))


def _posted(
    asked: ReportOptions, settings: ReportSettings, of: tuple[Card, ReportTarget, PublishError | None], body: str
) -> Published:
    """Post the card where the publisher that was asked for, or that the surroundings allow, puts it."""
    card, place, refusal = of
    run, publisher, here = place.run, place.publisher, str(asked.out or layout.REPORT)
    if publisher in ("summary", "file") or not isinstance(run, RunPull):
        why = place.unposted() or (() if refusal is None else (refusal.why,))
        return Published(card.verdict, publisher, here, publish.WRITTEN, why)
    forge, pull = place.forge, place.pull
    if forge is None or not isinstance(pull, Pull):
        why = (pull.because,) if isinstance(pull, NoPull) else ()
        return Published(card.verdict, "file", here, publish.WRITTEN, why)
    if refusal is not None:
        raise refusal

    summary = render(card, Shown(settings.slices, warnings=place.warnings(card.head)), limit=60_000)
    summary = f"{body.partition(chr(10))[0]}\n{summary}"
    bound = (place.check(asked.key), place.base, place.tip, place.pending)
    posting = publish.Posting(place.project.key(asked.key), body, card.head, card.verdict, summary, *bound)

    if asked.assets and not asked.dry_run:
        forge.keep(BRANCH, dict(_pictures(card).values()))

    def reviewed() -> None:
        for planned in card.infra:
            forge.review(planned)

    number = None if run.queued else pull.number
    mark = cml.watermark(cml.title(posting.key), posting.head) if publisher == "cml" else ""
    try:
        ended = CardPost(forge, number, posting, _by_cml(place, pull.number, posting), reviewed, mark)(
            dry=asked.dry_run
        )
    except PublishError as error:
        raise place.explained(error) from error
    verdict = Skipped(place.pending) if place.pending else card.verdict
    instead = publisher == "cml" and ended.done in ("created", "updated") and not ended.other
    by = "github" if instead else publisher
    return Published(verdict, by, ended.place, ended.done, ended.why)


def _by_cml(place: ReportTarget, number: int, posting: publish.Posting) -> Others:
    """Return what lets CML comment where it is to; elsewhere GitHub's interface posts the card at once."""
    if place.publisher != "cml" or not isinstance(place.run, RunPull):
        return nobody
    where = (place.run.repository, number, posting.head)
    return cml.ByCml(runner.server(), where, runner.token(), posting, run_group)
