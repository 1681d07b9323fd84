"""The releases that are loaded: an error that a request provokes on the release before, too, is not the newer's."""

from __future__ import annotations

from datetime import datetime

from leverframe.domain.model.bundle.input_check import checked
from leverframe.errors import RequestError
from leverframe.serving.served import ServedBundle
from leverframe.serving.v2_request import V2Request

_loaded: dict[str, list[tuple[int, ServedBundle]]] = {}  # one that is loaded anew is unloaded after: it is there twice


def loaded(model: str, version: str, bundle: ServedBundle) -> None:
    """Take note of a release."""
    _loaded.setdefault(model, []).append((int(version), bundle))


def unloaded(model: str, version: str, bundle: ServedBundle) -> None:
    """Forget a release that was loaded."""
    _loaded[model].remove((int(version), bundle))


def fails_too(model: str, version: str, asked: V2Request, now: datetime) -> bool:
    """Tell whether a request fails on the release before ``version``, too; one that it answers or refuses does not."""
    before = [release for release in _loaded.get(model, []) if release[0] < int(version)]
    if not before:
        return False
    _, bundle = max(before, key=lambda release: release[0])
    try:
        predicted = bundle.predict(checked(bundle.schema, asked.plain()), now)
        bundle.outputs(predicted.predictions, asked.outputs)
    except RequestError:
        return False
    except Exception:
        return True
    return False
