"""Where the features of a request come from: one snapshot, of the bundle or of one generation of the online store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from leverframe.domain.features.online import EPOCH, attribute_delivered, attribute_since
from leverframe.domain.features.snapshot.store import Store
from leverframe.serving.row import RowByRow


@dataclass(frozen=True)
class FeatureSource:
    """A snapshot that stays the same while a request looks into it; ``remote`` ones may keep it waiting.

    ``rows`` is the fast path, None where there is none.
    """

    store: Store
    rows: RowByRow | None
    online: bool = False
    remote: bool = False

    @property
    def as_of(self) -> int:
        """Before when it knows things, in microseconds since the epoch."""
        return self.store.about().as_of

    @property
    def delivered(self) -> int:
        """Before when the sources had rows for it, in microseconds since the epoch: ``as_of``, or earlier."""
        return attribute_delivered(self.store.about())

    @property
    def since(self) -> int:
        """The first timestamp that it answers for, in microseconds since the epoch."""
        return attribute_since(self.store.about().attributes)

    @property
    def written(self) -> str:
        """The same timestamp as ``delivered``, in ISO 8601: what responses and the log say."""
        return (EPOCH + timedelta(microseconds=self.delivered)).isoformat()
