"""What Terraform prints, read: lines for a person, and errors that say what to do next."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from leverframe.domain.infrastructure.infra_ports import StateLock
from leverframe.domain.infrastructure.state_lock import holder
from leverframe.errors import InfraError, InfraLockedError

_LOCK = re.compile(r"^[ \t│]*(ID|Who|Operation|Created):[ \t]*(.*?)[ \t]*$", re.MULTILINE)
# The http backend puts the lock that it wanted itself below "Lock Info", and tells only the id of the one in the way.
_ONLY_ID = re.compile(r"already locked: ID=([^\s;]+)")
_PREAMBLE = "Terraform encountered problems during initialisation"  # which says nothing of them
_BOX = re.compile(r"^[╷╵│ \t]+", re.MULTILINE)
_PLACE = re.compile(r"^[ \t]*on (\S.*?) line (\d+)(?:,.*)?:[ \t]*$", re.MULTILINE)
_CODE = re.compile(r"^[ \t]*\d+: ")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_LONGEST = 2000  # characters of the cause that an error repeats
KILLED = "it was ended by signal"
_LOCAL = "resource temporarily unavailable"  # what the system says of a file that another process locked
_LOCAL_LOCK = "wait for its end, or end the process that holds it: the lock of a local state ends with it"
# What Terraform calls an error, and the step that fixes it.
_NEXT = (
    (KILLED, "look whether what it was making is there without being in the state, then run it again"),
    ("stale", "the state changed after this plan was made: make a new plan, and have it reviewed"),
    ("does not match the current", "the plan is of another state: make a new plan, and have it reviewed"),
    ("different state lineage", "the plan is of another state: make a new plan, and have it reviewed"),
    ("applying a saved plan", "a variable changed after this plan was made: make a new plan, and have it reviewed"),
    ("No value for required variable", "give it under `variables` or `secrets` of the environment in leverframe.yaml"),
    (
        "checksums previously recorded",
        "run `providers lock -platform=linux_amd64` of Terraform by hand in the root module, with each platform that "
        "plans it, and commit `.terraform.lock.hcl`",
    ),
    ("dependency lock file", "run `init` of Terraform by hand in the root module and commit `.terraform.lock.hcl`"),
    ("Provider dependency changes", "run `init` of Terraform by hand in the root module, commit its lock file"),
    ("Local state cannot be unlocked", _LOCAL_LOCK),
    ("LocalState not locked", _LOCAL_LOCK),
)


@dataclass(frozen=True)
class Message:
    """One line of Terraform: the text of it, and whether it is the diagnosis of an error, held back and told as such.

    ``quiet`` lines are of no interest while a command runs; ``fault`` is empty but for a diagnosis of severity error.
    """

    text: str
    quiet: bool = False
    diagnosis: bool = False
    fault: str = ""


def read_message(line: str) -> Message:
    """Read a line of the JSON that `-json` prints; any other line is text."""
    try:
        document: Any = json.loads(line)
    except ValueError:
        return Message(line)
    if not isinstance(document, dict) or "@message" not in document:
        return Message(line)
    text = str(document["@message"])
    diagnosis = document.get("diagnostic")
    if not isinstance(diagnosis, dict):
        return Message(text, quiet=document.get("type") in ("version", "outputs"))
    whole = _diagnosis_text(diagnosis)
    fault = whole if diagnosis.get("severity") == "error" else ""
    return Message(f"{diagnosis.get('severity', 'note')}: {whole}", diagnosis=True, fault=fault)


def _diagnosis_text(diagnosis: dict[str, Any]) -> str:
    """Return summary, place and detail; the values that Terraform shows beside its code are left out."""
    place = diagnosis.get("range") or {}
    start = place.get("start") or {}
    where = f" ({place.get('filename')}:{start.get('line')})" if place else ""
    address = f" [{diagnosis['address']}]" if diagnosis.get("address") else ""
    detail = str(diagnosis.get("detail") or "").strip()
    return f"{diagnosis.get('summary', '')}{address}{where}" + (f": {detail}" if detail else "")


def plain(text: str) -> str:
    """Return text for people without colours and frames."""
    return _BOX.sub("", _COLOUR.sub("", text)).strip()


def faults_of(text: str) -> list[str]:
    """Return the errors in what a command prints without JSON, in words: an error each, without its lines of code."""
    faults = []
    for part in re.split(r"^Error: ", plain(text), flags=re.MULTILINE)[1:]:
        summary, _, rest = part.partition("\n")
        place = _PLACE.search(rest)
        lines = [line.strip() for line in rest.splitlines() if not (_PLACE.match(line) or _CODE.match(line))]
        where = f" ({place[1]}:{place[2]})" if place else ""
        detail = " ".join(filter(None, lines))
        if _PREAMBLE not in part:
            faults.append(f"{summary}{where}" + (f": {detail}" if detail else ""))
    return list(dict.fromkeys(faults))


def read_lock(text: str) -> StateLock | None:
    """Return the lock that an error tells of; None where it tells of none."""
    only = _ONLY_ID.search(text)
    if only:
        return StateLock(id=only[1])
    fields = {name: value for name, value in _LOCK.findall(text) if value}
    if "ID" not in fields:
        return None
    created = fields.get("Created", "")
    at = _at(created)
    return StateLock(
        id=fields["ID"],
        who=fields.get("Who", ""),
        operation=fields.get("Operation", "").removeprefix("OperationType").lower(),
        created=at.isoformat(timespec="seconds") if at else created,
    )


def freed_meanwhile(out: str) -> bool:
    """Tell whether a command failed since S3 had no lock any more when Terraform asked whose it is."""
    return "acquiring the state lock" in out and "NoSuchKey" in out


def _at(text: str) -> datetime | None:
    """Return a time as Go prints it, with up to nine digits of a second, or as ISO 8601."""
    parts = re.match(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)", text)
    return datetime.fromisoformat(f"{parts[1]}T{parts[2]}").replace(tzinfo=UTC) if parts else None


def failure(command: str, faults: Iterable[str], now: datetime) -> InfraError:
    """Return the error of a command of Terraform that failed for the reasons that it gave; no secret is in them."""
    cause = "; ".join(dict.fromkeys(fault for fault in faults if fault)) or "Terraform gave no reason"
    if "state lock" in cause or "Lock Info" in cause:
        lock = read_lock(cause)
        if lock:
            return locked(command, lock, now, local=_LOCAL in cause)
    step = next((step for words, step in _NEXT if words in cause), "fix what Terraform names, then run it again")
    return InfraError(f"`{command}` of Terraform failed", why=_cut(cause), next=step)


def locked(command: str, lock: StateLock, now: datetime, *, local: bool = False) -> InfraLockedError:
    """Return the error that tells who holds the lock of the state, for what and how long; a ``local`` one is a file."""
    return InfraLockedError(
        f"`{command}` of Terraform did not get the lock of the state",
        why=holder(lock, now),
        next=_LOCAL_LOCK
        if local
        else "wait for its end; if its process is gone, free it by "
        f"`leverframe infra unlock {lock.id} --reason TEXT`, then run it again",
        lock=lock,
    )


def _cut(text: str) -> str:
    joined = " ".join(text.split())
    return joined if len(joined) <= _LONGEST else f"{joined[:_LONGEST]} ... ({len(joined) - _LONGEST} more characters)"


def stopped(command: str, how: str, killed: bool, minutes: int) -> InfraError:
    """Return the error of a command that was interrupted: by its time, a signal, or an exception."""
    cause = f"it took longer than {minutes} minutes" if how == "timeout" else f"{how} reached this process"
    lock = "; it did not end by itself, so that the lock of the state may be left" if killed else ""
    return InfraError(
        f"`{command}` of Terraform was interrupted",
        why=cause + lock,
        next="run it again, which plans anew from what there is"
        + ("; a lock that is left is named then, and freed by `leverframe infra unlock`" if killed else "")
        + ("; or raise `timeout_minutes` of the environment" if how == "timeout" else ""),
    )
