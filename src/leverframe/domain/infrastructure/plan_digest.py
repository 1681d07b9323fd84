"""The digest of a plan: equal for two plans of the same reality, published, and no way to what it was made of."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from leverframe.domain.infrastructure.infra_plan import ResourceChange
from leverframe.domain.infrastructure.sensitive_values import Secrets

_PURPOSE = b"leverframe infra"
_COST = {"n": 2**15, "r": 8, "p": 1, "maxmem": 2**26}  # of one guess, where there is no lineage: 32 MiB and 0.1 s


def digest_key(lineage: str, secrets: Secrets, place: str = "") -> bytes:
    """Return the key of ``change_digest``: the same wherever the same state and the same secrets are read.

    ``place`` says which environment it is and where its state is, so that no plan is taken for one of another place.

    Without a key, a short secret could be guessed from its digest, as the rest of the change is public. The lineage of
    a state is random, and known to exactly those who may read the state, where the secrets stand in clear. Before the
    first apply there is none: then the key is of all secrets of the plan together, and each guess is made slow (scrypt,
    RFC 7914). Neither is written anywhere.
    """
    purpose = b"\0".join([_PURPOSE, place.encode()])
    if lineage:
        return hmac.digest(purpose, lineage.encode(), "sha256")
    if not secrets.values:
        return purpose
    return hashlib.scrypt(_canonical(sorted(secrets.values)), salt=purpose, **_COST)


def change_digest(key: bytes, resource: Mapping[str, Any], runs: Mapping[str, Any] | None = None) -> str:
    """Return the HMAC-SHA256, in hex, of what happens to a resource: a part of ``resource_changes`` of a plan.

    ``runs`` is what that runs beside it, see ``InfraRuns``.

    In it are address, object, provider, actions, and all values before and after. Left out is what differs between two
    plans of the same reality, and why Terraform does it.
    """
    change = resource.get("change") or {}
    happens = {
        **{name: resource.get(name) for name in ("address", "previous_address", "deposed", "provider_name")},
        **{name: change.get(name) for name in ("actions", "before", "after", "importing")},
        **({"runs": runs} if runs else {}),
        **{name: _marked(change.get(name)) for name in ("after_unknown", "before_sensitive", "after_sensitive")},
    }
    return hmac.new(key, _canonical(happens), hashlib.sha256).hexdigest()


def plan_digest(changes: Iterable[ResourceChange], outputs: Iterable[ResourceChange]) -> str:
    """Return the SHA-256, in hex, of all that would happen; anybody who has the changes can verify it."""
    parts = [
        sorted((change.address, change.kind.value, change.digest) for change in part) for part in (changes, outputs)
    ]
    return hashlib.sha256(_canonical(parts)).hexdigest()


def _marked(marks: Any) -> Any:
    """Return marks without the parts that mark nothing, which Terraform writes or leaves out as it likes."""
    if isinstance(marks, Mapping):
        kept = {name: mark for name, part in marks.items() if (mark := _marked(part))}
        return kept or None
    if isinstance(marks, list):
        items = [_marked(part) for part in marks]
        return items if any(items) else None
    return marks or None


def _canonical(value: Any) -> bytes:
    """Return a value as JSON in which the order of keys does not matter."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=_fraction).encode()


def _fraction(value: Any) -> Any:
    if isinstance(value, Decimal):
        return {"\0number": str(value)}  # no text of Terraform holds the character 0
    raise TypeError(f"{type(value).__name__} is not in a plan")
