"""What Redis knows of a generation, and how the keys of its values are called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from leverframe.domain.features.snapshot.packed import Form
from leverframe.domain.features.snapshot.store import SnapshotInfo

NAMESPACE = "leverframe"
FORMAT = 2


@dataclass(frozen=True)
class Layer:
    """Values of one layer: the form of those of each table, and the tables that hide what lies below."""

    id: str
    tables: Mapping[str, Form]
    whole: tuple[str, ...] = ()


@dataclass(frozen=True)
class Published:
    """What is known of a generation: its layers, the newest first; ``top`` names the delta that they amount to."""

    format: int
    about: SnapshotInfo
    layers: tuple[Layer, ...]
    top: str = ""


def marker(namespace: str, layer: str) -> str:
    """Return the key that is there as long as every value of a layer is."""
    return f"{namespace}:layer:{layer}"


def prefix_of(namespace: str, generation: str, table: str) -> bytes:
    """Return what the keys of a table\'s values begin with."""
    return f"{namespace}:{generation}:{table}:".encode()
