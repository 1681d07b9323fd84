"""The room of the online lookup: a snapshot's tables, how their keys are found, and the port of every store."""

from __future__ import annotations

from leverframe.domain.snapshot.arrange import Arranged, arranged
from leverframe.domain.snapshot.port import About, Column, Found, Rows, Store, Table, Texts, Words

__all__ = ["About", "Arranged", "Column", "Found", "Rows", "Store", "Table", "Texts", "Words", "arranged"]
