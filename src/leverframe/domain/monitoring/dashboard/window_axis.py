"""Where windows and deployments are on a picture, and which of them are named below it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from leverframe.domain.monitoring.dashboard.inline_svg import label
from leverframe.domain.monitoring.monitor_result import ReleaseMarker, WindowFacts
from leverframe.domain.monitoring.monitor_words import instant, short, stamp
from leverframe.domain.monitoring.retrain_facts import TriedCandidate
from leverframe.inert.markup import text

_DAY = re.compile(r"\d{4}-\d\d-(\d\d)(T\d\d)?\Z")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True)
class Marker:
    """A deployment or an attempt to retrain: its window as a number with a fraction, and its escaped words."""

    where: float
    words: str
    kind: Literal["deployed", "retrained"] = "deployed"


@dataclass(frozen=True)
class WindowAxis:
    """Windows side by side, oldest first, all equally wide; ``names`` are as the monitor names them."""

    names: tuple[str, ...]
    markers: tuple[Marker, ...] = ()

    @classmethod
    def of(
        cls,
        windows: Sequence[WindowFacts],
        releases: Sequence[ReleaseMarker],
        most: int,
        tried: Sequence[TriedCandidate] = (),
    ) -> WindowAxis:
        """Return the axis of windows with the newest ``most`` deployments, and attempts, that fall into them."""
        deployments = [(where, release) for release in releases if (where := _where(release.at, windows)) is not None]
        deployments.sort(key=lambda pair: pair[0])
        markers = tuple(
            Marker(
                where,
                f"{text(short(release.release), 80)} serves since {text(stamp(release.at), 40)}",
            )
            for where, release in deployments[-most:]
        )
        attempts = [(where, one) for one in tried if (where := _where(one.at, windows)) is not None]
        attempts.sort(key=lambda pair: pair[0])
        retrained = tuple(
            Marker(where, f"retraining of {text(stamp(one.at), 40)}: {text(one.title, 40)}", "retrained")
            for where, one in attempts[-most:]
        )
        return cls(tuple(window.name for window in windows), markers + retrained)

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.names)

    def labels(self, start: float, width: float, y: float, room: float) -> str:
        """Return the names of some windows below a picture, each at least ``room`` wide."""
        count = len(self)
        if not count:
            return ""
        slot = width / count
        most = max(1, min(count, int(width // room)))
        chosen = sorted({round(number * (count - 1) / max(1, most - 1)) for number in range(most)})
        parts = []
        for number in chosen:
            first, last = number == 0 and count > 1, number == count - 1 and count > 1
            x = start if first else start + width if last else start + (number + 0.5) * slot
            parts.append(label(x, y, self.short(number), "" if first else "e" if last else "m"))
        return "".join(parts)

    def short(self, number: int) -> str:
        """Return the name of a window in few letters, escaped: a day as day and month."""
        given = self.names[number]
        match = _DAY.match(given)
        if not match or not 1 <= int(given[5:7]) <= 12:
            return text(given, 12)
        hour = f" {given[11:13]}h" if match[2] else ""
        return f"{int(match[1])} {_MONTHS[int(given[5:7]) - 1]}{hour}"

    def full(self, number: int) -> str:
        """Return the name of a window, escaped."""
        return text(self.names[number], 24)


def _where(at: str, windows: Sequence[WindowFacts]) -> float | None:
    when = instant(at)
    if when is None:
        return None
    for number, window in enumerate(windows):
        start, end = instant(window.start), instant(window.end)
        if start is not None and end is not None and start <= when < end:
            return number + (when - start) / (end - start)
    return None
