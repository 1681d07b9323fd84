"""Whether the rules of the gate name metrics that there are: a misspelt one would be found when a model is judged."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from leverframe.domain.features.training_set import LabelKind
from leverframe.domain.model.evaluate.metrics import METRICS
from leverframe.errors import SettingsError, nearest
from leverframe.settings import LEVERS
from leverframe.settings.levers import GateSettings


def refuse_unknown_metrics(gate: GateSettings, kind: LabelKind | None, figures: Collection[str] = ()) -> None:
    """Raise ``SettingsError`` for a rule whose metric a label of this kind has not; no kind has it, where None.

    ``figures`` are further names, which a pipeline of one's own writes itself.
    """
    kinds = METRICS.values() if kind is None else [METRICS[kind]]
    known = {metric.name for metrics in kinds for metric in metrics} | set(figures)
    lacking = f"a {kind} label has not" if kind else "no label has"
    lacking += ", nor a file of metrics" if figures else ""
    for key, name in _named(gate):
        if name not in known:
            raise SettingsError(
                f"`{key}` in {LEVERS} names the metric `{name}`, which {lacking}",
                why="the rule could not be judged",
                next=nearest(name, known),
            )


def _named(gate: GateSettings) -> Iterator[tuple[str, str]]:
    """Yield where a rule names a metric, and the name."""
    yield from (("gate.metrics", name) for name in gate.metrics)
    yield from ((f"gate.slices[{n}].metric", rule.metric) for n, rule in enumerate(gate.slices) if rule.metric)
