"""Which files a snapshot is made of: all that a window of its span can look back into, and none that does not exist."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from leverframe.domain.features.online import Span, online_groups
from leverframe.domain.partition import Partitions
from leverframe.settings.params import DataSettings

PARTITIONS = Partitions.of(DataSettings(case="x", first="2024-01", last="2024-05", timezone="UTC"))


@pytest.mark.parametrize(
    ("days", "since", "until", "groups"),
    [
        (0, (2, 3), (2, 10), ["2024-02"]),
        (14, (3, 20), (3, 25), ["2024-02", "2024-03"]),
        (200, (2, 3), (2, 10), ["2024-01", "2024-02"]),
        (40, (4, 1), (6, 1), ["2024-02", "2024-03", "2024-04", "2024-05"]),
        (1, (6, 1), (6, 1), ["2024-05"]),
    ],
    ids=["no window", "into the month before", "before the data begin", "to the end of the data", "after the data"],
)
def test_a_snapshot_reads_the_groups_that_its_span_can_look_into(
    days: int, since: tuple[int, int], until: tuple[int, int], groups: list[str]
) -> None:
    """From the first that the look back of the earliest timestamp reaches, to the one of the latest."""
    span = Span(datetime(2024, *since, tzinfo=UTC), datetime(2024, *until, tzinfo=UTC))
    assert [str(group) for group in online_groups(timedelta(days=days), span, PARTITIONS)] == groups
