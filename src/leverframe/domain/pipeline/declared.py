"""Whether what a case declares fits together, asked before the first stage runs: its sources and its star."""

from __future__ import annotations

from collections.abc import Mapping

from leverframe.domain.data.ingest import Source, check_sources
from leverframe.domain.features.build import changes_over_time
from leverframe.domain.features.plan import AsOfLookup, Lookup, Plan, Windows, select
from leverframe.errors import DefinitionError, guide_page, nearest
from leverframe.settings.params import FeaturesSettings

_GUIDE = f"{guide_page('declarations.md#data-without-time')} shows how"


def check_declared(sources: Mapping[str, Source], plan: Plan, features: FeaturesSettings) -> None:
    """Raise ``DefinitionError`` for the first declaration that a later stage could not use.

    A table that nobody declares, one without the times that its use needs, one with times where a lookup shows whole
    rows, and a label or features that star.yaml does not have.
    """
    check_sources(sources)
    for table in plan.tables():
        if table not in sources:
            raise DefinitionError(
                f"star.yaml uses the table `{table}`, which no source makes",
                why="SOURCES of sources.py has no table of that name",
                next=nearest(table, sources),
            )
    for what, table in _timed(plan):
        if sources[table].static:
            raise DefinitionError(
                f"{what} is the table `{table}`, whose source declares no event_time",
                why="what was known for a row is decided by the times of rows: event_time and known_at",
                next=f"name both columns in `Source(...)` of `{table}`; where rows have no time at all, give them one "
                f"in its transform: {_GUIDE}",
            )
    for step in plan.steps:
        if isinstance(step, Lookup) and not isinstance(step, AsOfLookup) and not sources[step.table].static:
            raise changes_over_time(step.name, step.table)
    labels = [label.name for label in plan.labels]
    if features.label not in labels:
        raise DefinitionError(
            f"`{features.label}` in features.label is not declared",
            why="star.yaml has no label of that name",
            next=nearest(features.label, labels),
        )
    select(features.select, plan.features())


def _timed(plan: Plan) -> list[tuple[str, str]]:
    """Return the uses of tables that need times, each with its table."""
    uses = [("the spine", plan.spine)]
    uses += [(f"the fact behind measure `{step.name}`", step.table) for step in plan.steps if isinstance(step, Windows)]
    uses += [(f"dimension `{step.name}` with as_of", step.table) for step in plan.steps if isinstance(step, AsOfLookup)]
    return uses + [(f"the fact behind label `{label.name}`", label.table) for label in plan.labels]
