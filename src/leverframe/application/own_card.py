"""What the card of a pipeline of one's own shows beside the results of levers: its parameters and its plots."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from leverframe.application.own_revision import OwnRevision, own_revision, revision_of
from leverframe.application.workspace import Workspace
from leverframe.domain.pipeline.status.parameters import parsed
from leverframe.domain.pipeline.status.reasons import PipelineStatus
from leverframe.domain.pipeline.status.resolved import View
from leverframe.domain.review.report.card import Card
from leverframe.domain.review.report.own_plots import PlotFile, own_plots
from leverframe.errors import LeverframeError
from leverframe.settings import PARAMS
from leverframe.settings.pipeline import PipelineSettings

_MOST_FILES = 200  # of a folder of plots


def own_parameters(read: Callable[[str], bytes | None], status: PipelineStatus) -> dict[str, Any]:
    """Return the parameters that stages of a revision read, of every file but ``params.yaml`` under its name."""
    values: dict[str, Any] = {}
    for path in dict.fromkeys(file.path for stage in status.stages for file in stage.stage.parameters):
        content = read(path)
        if content is None:
            continue
        try:
            parameters = parsed(content.decode(errors="replace"), path)
        except LeverframeError:  # `check` says what is wrong with it
            continue
        values |= parameters if path == str(PARAMS) else {f"{path}:{name}": value for name, value in parameters.items()}
    return values


def read_here(workspace: Workspace) -> OwnRevision:
    """Return the working tree; what one reader asked of it is there for the next."""
    return own_revision(workspace, _quietly, PipelineSettings())


def _quietly(_: str) -> None:
    """Tell nothing, as nothing here takes long."""


def with_plots(workspace: Workspace, here: OwnRevision, card: Card) -> Card:
    """Return the card with the plots that the definition declares; none is pulled for it."""
    try:
        views = here.status.plots
        if not views:
            return card
        tracked = set(workspace.git.tracked())
        with revision_of(workspace, card.base, PipelineSettings(), _quietly) as base:
            shown = own_plots([_plot(view, here, base, tracked) for view in _files(views, here)])
    except LeverframeError as error:
        return replace(card, notes=(*card.notes, f"the plots cannot be shown: {error.what}"))
    return replace(
        card,
        curves=(*card.curves, *shown.curves),
        confusions=tuple(shown.confusions),
        images=tuple(shown.images),
        notes=(*card.notes, *shown.notes),
    )


def _files(views: Iterable[View], here: OwnRevision) -> Iterable[View]:
    """Yield the plots, of a folder each file in it."""
    for view in views:
        place = here.root / view.path
        if not place.is_dir():
            yield view
            continue
        for file in sorted(place.rglob("*"))[:_MOST_FILES]:
            if file.is_file():
                yield View(file.relative_to(here.root).as_posix(), view.shown)


def _plot(view: View, here: OwnRevision, base: OwnRevision | None, tracked: Collection[str]) -> PlotFile:
    before = None if base is None else base.content(view.path)
    return PlotFile(view, before, here.content(view.path), view.path in tracked)


def parameters_of(workspace: Workspace, here: OwnRevision, commit: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return the parameters of a commit and of the working tree, read by the stages that the latter has."""
    try:
        status = here.status
    except LeverframeError:
        return {}, {}

    def now(path: str) -> bytes | None:
        place: Path = workspace.root / path
        return place.read_bytes() if place.is_file() else None

    return own_parameters(lambda path: workspace.git.show(commit, path), status), own_parameters(now, status)
