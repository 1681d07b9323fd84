"""Redis: a snapshot that many machines share, one packed value a key.

A snapshot is a generation of layers, each with keys of its own: a base, and above it the keys that changed.
One pointer names the generation in force; it is set last, so a reader sees the old snapshot or the new one. Every
question reads the pointer, or what marks the layers, in the same round trip as the values, and both expire before the
values do: what expired is never taken for an unknown key. Eviction would break that, so the server needs `noeviction`:
nothing is written to another, and a layer from before an eviction is written anew.
"""

from __future__ import annotations

from leverframe.adapters.redis.connection import ready, redacted
from leverframe.adapters.redis.reading import Generations, RedisStore
from leverframe.adapters.redis.writing import Pushed, publish, push

__all__ = ["Generations", "Pushed", "RedisStore", "publish", "push", "ready", "redacted"]
