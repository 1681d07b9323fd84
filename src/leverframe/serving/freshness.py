"""The online store of this process: a new generation is taken up within seconds, between two requests.

A thread looks at the pointer, opens what is new of a generation, prepares it for the fast path, and puts one
reference in place of another. A request takes the reference once, so it never mixes two generations.
"""

from __future__ import annotations

import importlib
import logging
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from leverframe.adapters.snapshot_file import opened_layer
from leverframe.adapters.store_folder import StoreFolder
from leverframe.domain.features.plan import Plan
from leverframe.domain.features.snapshot.layers import Layer
from leverframe.errors import LeverframeError, StoreUnreachableError
from leverframe.serving import metrics
from leverframe.serving.feature_source import FeatureSource
from leverframe.serving.online_config import OnlineConfig
from leverframe.serving.row import RowByRow

LOOKS = 1.0  # seconds between two looks at a pointer
_log = logging.getLogger("mlserver")


@dataclass
class _Watched:
    """The store of one spec as it was found last."""

    plan: Plan
    source: FeatureSource | None = None
    why: str = ""  # the last look failed
    stamp: Any = None
    files: Mapping[str, Layer] = field(default_factory=dict)


class Freshness:
    """The newest features of the definitions that are served here; ends with the process."""

    def __init__(self, config: OnlineConfig, *, looks: float = LOOKS) -> None:
        self.config = config
        self._watched: dict[str, _Watched] = {}
        self._looks, self._ended = looks, threading.Event()
        self._thread = threading.Thread(target=self._look, name="online store", daemon=True)
        if config.store != "bundle":
            self._thread.start()

    def watches(self, spec: str) -> bool:
        """Tell whether a definition is looked after, or need not be."""
        return self.config.store == "bundle" or spec in self._watched

    def watch(self, plan: Plan) -> None:
        """Look after the store of a definition from now on; returns after the first look."""
        if not self.watches(plan.spec):
            watched = _Watched(plan)
            self._refresh(watched)
            self._watched[plan.spec] = watched

    def source(self, spec: str) -> FeatureSource | None:
        """Return the newest features, None where the store has none of that definition.

        Raises ``StoreUnreachableError`` while nobody knows whether it has.
        """
        watched = self._watched.get(spec)
        if watched is None:
            return None
        if watched.source is None and watched.why:
            raise StoreUnreachableError(
                "the online store cannot be read", why=watched.why, next="see that it runs, then send the request again"
            )
        return watched.source

    def end(self) -> None:
        """Stop looking."""
        self._ended.set()

    def _look(self) -> None:
        while not self._ended.wait(self._looks):
            for watched in list(self._watched.values()):
                self._refresh(watched)

    def _refresh(self, watched: _Watched) -> None:
        """Take up what is in force; what cannot be read leaves the generation before in place."""
        try:
            (self._from_folder if self.config.store == "file" else self._from_redis)(watched)
            watched.why = ""
        except Exception as error:  # this thread must not end: the next look may succeed
            metrics.STORE_FAILURES.inc()
            why = error.why if isinstance(error, LeverframeError) else f"{type(error).__name__}: {error}"
            if why != watched.why:
                _log.exception("the online store cannot be read; the features that were looked up last stay")
            # What is known to be damaged is no reason to refuse requests: the bundle's own snapshot is whole.
            watched.why = why if isinstance(error, StoreUnreachableError) or watched.source else ""

    def _from_folder(self, watched: _Watched) -> None:
        folder = StoreFolder(Path(self.config.folder), watched.plan.spec, opened_layer)
        stamp = folder.stamp()
        if stamp == watched.stamp:
            return
        opened = folder.opened(watched.files)
        before = watched.source.rows if watched.source else None
        rows = RowByRow(watched.plan, opened.store, before) if opened else None
        watched.source = FeatureSource(opened.store, rows, online=True) if opened else None
        watched.files, watched.stamp = opened.files if opened else {}, stamp

    def _from_redis(self, watched: _Watched) -> None:
        redis = importlib.import_module("leverframe.adapters.redis")
        url = os.environ.get(self.config.redis, "")
        if not url:
            raise StoreUnreachableError(
                "the address of Redis is not known",
                why=f"the environment variable {self.config.redis} is not set",
                next="set it for the server, then start it again",
            )
        client = watched.stamp or redis.Generations(url, watched.plan.spec)
        watched.stamp = client
        store = client.newest()
        if store is not (watched.source.store if watched.source else None):
            watched.source = FeatureSource(store, None, online=True, remote=True) if store else None
