"""Bundles that are open in this process, by digest: a version is swapped without opening anything again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection
from pathlib import Path

from leverframe.serving.opening import open_bundle
from leverframe.serving.served import ServedBundle

KEPT = 4  # the one that serves, its candidate, and what a rollback goes back to

_open: OrderedDict[str, ServedBundle] = OrderedDict()
_lock = threading.Lock()
_opening = threading.Lock()  # one at a time: who asks for a bundle that is being opened waits for it


def cached(digest: str) -> ServedBundle | None:
    """Return the open bundle of that digest, None if there is none; never waits for one that is being opened."""
    with _lock:
        bundle = _open.get(digest)
        if bundle is not None:
            _open.move_to_end(digest)
        return bundle


def opened(folder: Path, digest: str | None, trusted: Collection[str] = ()) -> ServedBundle:
    """Open the bundle in ``folder``, unless it is open already; raises ``BundleError``.

    It takes seconds and belongs into a thread. The bundle used longest ago is let go when there
    are more than ``KEPT``; a model that still serves it keeps it.
    """
    with _opening:
        bundle = cached(digest) if digest else None
        if bundle is None:
            bundle = open_bundle(folder, digest, trusted)
            with _lock:
                _open[bundle.digest] = bundle
                while len(_open) > KEPT:
                    _open.popitem(last=False)
    return bundle
