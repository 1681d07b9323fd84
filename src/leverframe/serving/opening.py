"""How the bundle in a folder is opened: that of a case, or that of a model that was trained elsewhere."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from leverframe.serving.bundle_folder import manifest_in
from leverframe.serving.served import ServedBundle


def open_bundle(folder: Path, digest: str | None = None, trusted: Collection[str] = ()) -> ServedBundle:
    """Open the bundle in ``folder``; with ``digest``, only the one of that name; raises ``BundleError``.

    ``trusted`` are own types that its model may hold.
    """
    if manifest_in(folder).own:
        from leverframe.serving.own_bundle import OwnBundle  # noqa: PLC0415 - a bundle needs one of the two

        return OwnBundle(folder, digest, trusted)
    from leverframe.serving.bundle import OpenBundle  # noqa: PLC0415 - as above

    return OpenBundle(folder, digest, trusted)
