"""The engine of alibi-detect: its detectors compute the statistics, from the numbers of the bins that rows fall into.

Missing values and unseen levels never reach it: its detectors pass a column of NaN as undrifted and end on a missing
level. It is imported when it is first asked, which takes seconds.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from leverframe.domain.model.evaluate.ranking import Ranking
from leverframe.domain.monitoring.batch import Floats, Ints
from leverframe.domain.monitoring.engine import Pair
from leverframe.package import missing_package

_FOLDS = 3
MOST = 20_000  # rows of a side that are handed over; more are thinned in proportion
_NOTICE = (
    "alibi-detect is under the Business Source License 1.1: its use in production needs a licence of Seldon "
    "Technologies, except by non-profit educational institutions. `monitor.engine: builtin` computes the same "
    "statistics without it."
)


class AlibiDetectEngine:
    """Kolmogorov-Smirnov and chi-square of alibi-detect's ``TabularDrift``, in its single precision."""

    name = "alibi-detect"
    notice = _NOTICE

    def statistics(self, pairs: Sequence[Pair]) -> Floats:
        """Return the statistic of each pair, shape (pairs,), NaN where a side has no row.

        Raises ``InstallationError`` where alibi-detect is not installed.
        """
        statistics = np.full(len(pairs), np.nan)
        alike: dict[tuple[bool, int, int], list[int]] = {}
        for number, pair in enumerate(pairs):
            if pair.reference.any() and pair.window.any():
                alike.setdefault((pair.ordered, *_sizes(pair)), []).append(number)
        with _quiet():
            detector = _detectors().TabularDrift if alike else None
            for (_, *sizes), numbers in alike.items():
                statistics[numbers] = _computed(detector, [pairs[number] for number in numbers], sizes)
        return statistics


class AlibiDetectDiscriminator:
    """The ``ClassifierDrift`` of alibi-detect with the classifier, and the weights of features, that are handed in."""

    def __init__(self, model: Any, weights: Callable[[Floats, Floats], Floats]) -> None:
        self._model = model
        self.weights = weights

    def auc(self, reference: Floats, live: Floats) -> float:
        """Return the area under ROC over all rows, each scored by a model that did not learn from it.

        Raises ``InstallationError`` where alibi-detect is not installed.
        """
        with _quiet():
            drift = _detectors().ClassifierDrift(reference, self._model, backend="sklearn", n_folds=_FOLDS, seed=0)
            detection = drift.predict(live, return_model=False)["data"]
        sides = [np.asarray(detection[side], np.float64) for side in ("probs_ref", "probs_test")]
        scores, is_live = np.concatenate(sides), np.repeat([False, True], [len(side) for side in sides])
        return Ranking(scores, is_live).area()[0]


def _computed(detector: Any, pairs: Sequence[Pair], sizes: Sequence[int]) -> Floats:
    """Return the statistics of pairs of one kind whose sides have as many rows each, as features of one detector.

    One more row on each side with a level of its own leaves chi-square as it is, and keeps scipy from correcting
    tables of two levels for continuity.
    """
    ordered = pairs[0].ordered
    sides = [
        np.stack([_codes(getattr(pair, side), size, ordered=ordered) for pair in pairs], axis=1)
        for side, size in zip(("reference", "window"), sizes, strict=True)
    ]
    drift = detector(sides[0], categories_per_feature={} if ordered else dict.fromkeys(range(len(pairs))))
    given = drift.predict(sides[1], return_distance=True)["data"]["distance"]
    distances: Floats = np.asarray(given, np.float64)
    return np.clip(distances if ordered else np.sqrt(distances / (2 * sizes[0])), 0.0, 1.0)


def _sizes(pair: Pair) -> tuple[int, int]:
    """Return how many rows of each side are handed over; those without an order must be as many on both."""
    rows = min(MOST, int(pair.reference.sum())), min(MOST, int(pair.window.sum()))
    return rows if pair.ordered else (max(rows), max(rows))


def _codes(counts: Ints, size: int, *, ordered: bool) -> Ints:
    """Return the number of the bin of each of ``size`` rows, in proportion to ``counts``, and one row more."""
    wanted = counts * (size / counts.sum())
    rows = np.floor(wanted + 1e-9).astype(np.int64)
    rest = np.argsort(rows - wanted, kind="stable")[: size - int(rows.sum())]
    rows[rest] += 1
    bins = np.repeat(np.arange(len(counts)), rows)
    return bins if ordered else np.concatenate([bins, [len(counts)]])


def _detectors() -> Any:
    try:
        import alibi_detect.cd  # noqa: PLC0415 - takes seconds and has a licence of its own
    except ImportError as error:
        raise missing_package(error, ", or set `monitor.engine: builtin` in leverframe.yaml") or error from error
    return alibi_detect.cd


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the import of its packages says of absent frameworks away from the user."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
