"""Check whether a change can be judged at all: settings, definitions and lock, from git alone."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from leverframe.adapters.working_tree import WorkingTree
from leverframe.adapters.working_tree.remote import Remote
from leverframe.application.results import forget, kept
from leverframe.application.workspace import Workspace
from leverframe.domain import layout
from leverframe.domain.pipeline.status.resolved import Recorded
from leverframe.domain.pipeline.status.staleness import run
from leverframe.domain.review import check as rules
from leverframe.domain.verdict import Violation
from leverframe.errors import LeverframeError
from leverframe.files import private_folder, write_text
from leverframe.settings import LEVERS, PARAMS
from leverframe.yaml_files import parse

_JUDGES = ("settings.params", "settings.levers", "documents", "yaml_files")  # what decides whether settings are valid


def check(workspace: Workspace, base: str | None) -> rules.Checked:
    """Compare settings, definitions and lock of this change with what git has, and keep the result."""
    root, git, violations, notes = workspace.root, workspace.git, list[Violation](), list[str]()
    forget(root, "check")
    tree = WorkingTree.around(root)
    fork = git.fork_point("HEAD", base)
    for ask in _to_check(workspace, fork, tree.text(str(PARAMS)) or ""):
        try:
            ask()
        except LeverframeError as error:
            violations.append(rules.refused(error))
            break  # what follows reads the settings as well
    odd: tuple[str, ...] = ()
    try:
        if not violations:
            status = run(git, tree)
            violations += rules.lock_violations(status)
            missing, looked = _not_pushed(tree, rules.kept_elsewhere(status, status.recorded))
            violations += missing
            notes += looked
        before = git.show(fork, rules.LOCK) or b""
        odd = rules.suspects(before.decode(errors="replace"), tree.text(rules.LOCK) or "")
    except LeverframeError as error:  # a lock or a definition that cannot be read is the change's fault
        violations.append(rules.refused(error))
    notes += [f"`{name}` gives other outputs from the same inputs; `leverframe reproduce` runs it" for name in odd]
    return kept(root, "check", rules.Checked(git.named("HEAD"), tuple(violations), odd, tuple(notes)))


def _not_pushed(tree: WorkingTree, wanted: dict[str, Recorded]) -> tuple[list[Violation], list[str]]:
    """Return what is against outputs that nobody pushed, and a note where that could not be looked at."""
    remote = Remote.of(tree.root)
    if remote is None or remote.folder is None:
        where = f"`{remote.name}` is not a folder" if remote else "no remote is shared"
        return [], [f"whether data were pushed was not looked at: {where}"]
    return rules.data_violations([path for path in wanted if remote.lacks(wanted[path])], remote.name), []


def _to_check(workspace: Workspace, fork: str, params: str) -> list[Callable[[], object]]:
    """Return what has to be compared: what a change did not touch was so before it, and costs nothing."""
    before = (workspace.git.show(fork, str(PARAMS)) or b"").decode(errors="replace")
    changed = workspace.git.changed(fork)
    redefined = any(rules.defines(path, status) for path, status in changed.items())
    if not {str(PARAMS), str(LEVERS)} & changed.keys() and not redefined:
        return []

    def settings() -> None:
        _read_settings_once(workspace)

    def definition() -> None:
        from leverframe.application.stages import check_definition  # noqa: PLC0415 - loads sources, and what they use

        check_definition(workspace)

    try:
        sides = [parse(text, name=str(PARAMS), what="the settings") for text in (before, params)]
    except LeverframeError:  # reading the settings says it better
        return [settings, definition]
    same = all(sides[0].get(section) == sides[1].get(section) for section in ("data", "features"))
    return [settings] if same and not redefined else [settings, definition]


def _read_settings_once(workspace: Workspace) -> None:
    """Validate the settings, unless the same bytes were valid before: loading what does it takes a while."""
    judges = [find_spec(f"leverframe.{name}") for name in _JUDGES]
    files = [
        *(workspace.root / name for name in (PARAMS, LEVERS)),
        *(Path(each.origin) for each in judges if each and each.origin),
    ]
    digest, known = sha256(), workspace.root / layout.VALID_SETTINGS
    for file in files:
        digest.update(file.read_bytes() if file.is_file() else b"")
        digest.update(b"\0")
    if known.is_file() and known.read_text(encoding="utf-8", errors="replace").strip() == digest.hexdigest():
        return
    _: Any = (workspace.params, workspace.levers)
    private_folder(known.parent)
    write_text(known, digest.hexdigest() + "\n")
