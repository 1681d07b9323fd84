"""The plan of Terraform as plain data: which resources change and how, without any secret."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum


class ChangeKind(StrEnum):
    """What a plan does to one resource; the order is that of a reader's interest."""

    DELETE = "delete"
    REPLACE = "replace"
    FORGET = "forget"  # out of the state, and left as it is
    CREATE = "create"
    UPDATE = "update"
    IMPORT = "import"
    MOVE = "move"  # another address, nothing else
    READ = "read"


DESTRUCTIVE = (ChangeKind.DELETE, ChangeKind.REPLACE)


@dataclass(frozen=True)
class ResourceChange:
    """What happens to one resource.

    ``lines`` are the attributes that change, each a line of a diff that begins with ``+``, ``-`` or ``~``, without any
    secret. ``digest`` is of the whole normalised change, SHA-256 in hex: equal for two plans of the same reality.
    ``before`` is the address before a move, ``because`` why Terraform does it where that is not the configuration
    itself, ``forced_by`` the attributes that force a replacement, ``create_first`` whether its new object is there
    before the old one goes.
    """

    address: str
    kind: ChangeKind
    digest: str
    lines: tuple[str, ...] = ()
    before: str = ""
    because: str = ""
    forced_by: tuple[str, ...] = ()
    create_first: bool = False


def address_order(address: str) -> tuple[tuple[int, str], ...]:
    """Return the key by which addresses are sorted as people count: ``x[2]`` before ``x[10]``."""
    parts = re.split(r"([0-9]+)", address)
    return tuple((int(part[:300]) if at % 2 else 0, part) for at, part in enumerate(parts))


@dataclass(frozen=True)
class CheckOutcome:
    """A `check` block, pre- or postcondition: its address, ``pass``, ``fail``, ``error`` or ``unknown``, and why."""

    address: str
    status: str
    messages: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether it did not pass; one that is known only after the apply has not failed."""
        return self.status in ("fail", "error")


@dataclass(frozen=True)
class ToolVersion:
    """The program and its version, as ``terraform`` ``1.11.4``."""

    program: str
    version: str

    def __str__(self) -> str:
        """Return both."""
        return f"{self.program} {self.version}"


@dataclass(frozen=True)
class InfraPlan:
    """Everything of a plan that a person reviews.

    ``changes`` are in the order of their kind, then of their address; ``outputs`` have the address ``output.NAME``.
    ``outside`` is what changed outside of Terraform since the last apply. ``digest`` is of all that would happen,
    SHA-256 in hex, without times and versions: two plans of the same reality have the same.
    """

    digest: str
    tool: ToolVersion
    changes: tuple[ResourceChange, ...] = ()
    outputs: tuple[ResourceChange, ...] = ()
    outside: tuple[ResourceChange, ...] = ()
    checks: tuple[CheckOutcome, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether an apply would change nothing, the state included."""
        return self.pending == 0

    @property
    def pending(self) -> int:
        """How many resources and outputs an apply would change."""
        return len(self.outputs) + sum(change.kind is not ChangeKind.READ for change in self.changes)

    @property
    def counts(self) -> dict[ChangeKind, int]:
        """How many resources change in each way; kinds without any are left out."""
        counted = Counter(change.kind for change in self.changes)
        return {kind: counted[kind] for kind in ChangeKind if counted[kind]}

    @property
    def destructive(self) -> tuple[ResourceChange, ...]:
        """What is destroyed or replaced."""
        return tuple(change for change in self.changes if change.kind in DESTRUCTIVE)
