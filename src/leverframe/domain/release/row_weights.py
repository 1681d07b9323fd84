"""How much each row of a log may weigh as evidence: no row that is repeated and no large request decides alone.

A log does not know its clients: behind a proxy all have one address, and a name that a client gives itself is none.
So the limits hold for what it does know, the rows and the requests.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence, Set

ENOUGH = 20.0  # of evidence, from where no row and no request has more than `_MOST` of it
_MOST = 0.05


def weights(requests: Sequence[Set[str]]) -> dict[str, float]:
    """Return the weight of each different row of requests, at most 1.

    The rows of one request together weigh at most a twentieth of everything, or 1 where there are few requests. A row
    of several requests has the weight that it has in the smallest of them.
    """
    smallest: dict[str, int] = {}
    for rows in requests:
        for row in rows:
            smallest[row] = min(smallest.get(row, len(rows)), len(rows))
    limit = _limit(Counter(smallest.values()))
    return {row: min(1.0, limit / size) for row, size in smallest.items()}


def _limit(sizes: Counter[int]) -> int:
    """Return what one request may weigh, where so many rows are in requests of a size."""
    for limit in range(max(sizes, default=1), 1, -1):
        if limit <= _MOST * sum(rows * min(1.0, limit / size) for size, rows in sizes.items()):
            return limit
    return 1
