"""The levers of a pull request: what each of them is given, and where what it found is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from leverframe.domain import layout
from leverframe.domain.verdict import Objection
from leverframe.errors import LeverframeError
from leverframe.files import PARAMS, private_folder, write_json
from leverframe.wiring import ROOT, check_dvc_yaml, diff, read_settings, star_plan

if TYPE_CHECKING:
    from leverframe.adapters.git import Git
    from leverframe.adapters.working_tree import WorkingTree
    from leverframe.domain.pipeline.status.resolved import Recorded
    from leverframe.domain.review.check import Checked
    from leverframe.domain.review.gate.gate_result import Gated
    from leverframe.domain.review.reproduce import Reproduced

Found = TypeVar("Found")  # what a lever found


def check(base: str | None) -> Checked:
    """Hold settings, definitions and lock of this change against what git has, and keep what was found."""
    from leverframe.adapters.git import Git
    from leverframe.adapters.working_tree import WorkingTree
    from leverframe.domain.pipeline.status.staleness import run
    from leverframe.domain.review import check as room

    forget("check")
    git, tree, objections, notes = Git(ROOT), WorkingTree.around(ROOT), list[Objection](), list[str]()
    fork = git.fork_point("HEAD", base)
    for ask in _to_check(git, fork, tree.text(str(PARAMS)) or ""):
        try:
            ask()
        except LeverframeError as error:
            objections.append(room.refused(error))
            break  # what follows reads the settings as well
    odd: tuple[str, ...] = ()
    try:
        if not objections:
            status = run(git, tree)
            objections += room.lock_objections(status)
            missing, looked = _not_pushed(tree, room.kept_elsewhere(status, status.recorded))
            objections += missing
            notes += looked
        before = git.show(fork, room.LOCK) or b""
        odd = room.suspects(before.decode(errors="replace"), tree.text(room.LOCK) or "")
    except LeverframeError as error:  # a lock or a definition that cannot be read is the change's fault
        objections.append(room.refused(error))
    notes += [f"`{name}` gives other outputs from the same inputs; `leverframe reproduce` runs it" for name in odd]
    return kept("check", room.Checked(git.named("HEAD"), tuple(objections), odd, tuple(notes)))


def _not_pushed(tree: WorkingTree, wanted: dict[str, Recorded]) -> tuple[list[Objection], list[str]]:
    """Return what is against outputs that nobody pushed, and a note where that could not be looked at."""
    from leverframe.adapters.working_tree.remote import Remote
    from leverframe.domain.review import check as room

    remote = Remote.of(tree.root)
    if remote is None or remote.folder is None:
        where = f"`{remote.name}` is not a folder" if remote else "no remote is shared"
        return [], [f"whether data were pushed was not looked at: {where}"]
    return room.data_objections([path for path in wanted if remote.lacks(wanted[path])], remote.name), []


def _to_check(git: Git, fork: str, params: str) -> list[Callable[[], object]]:
    """Return what has to be held against itself: what a change did not touch was so before it, and costs nothing."""
    from leverframe.domain.review.check import defines
    from leverframe.yaml_files import parse

    before = (git.show(fork, str(PARAMS)) or b"").decode(errors="replace")
    changed = git.changed(fork)
    redefined = any(defines(path, status) for path, status in changed.items())
    if str(PARAMS) not in changed and not redefined:
        return []
    try:
        sides = [parse(text, name=str(PARAMS), what="the settings") for text in (before, params)]
    except LeverframeError:  # reading the settings says it better
        return [_read_settings_once, check_dvc_yaml]
    same = all(sides[0].get(section) == sides[1].get(section) for section in ("data", "features"))
    return [_read_settings_once] if same and not redefined else [_read_settings_once, check_dvc_yaml]


def _read_settings_once() -> None:
    """Validate the settings, unless the same bytes were valid before: loading what does it takes a while."""
    from hashlib import sha256
    from importlib.util import find_spec

    from leverframe.files import write_text

    judges = [find_spec(f"leverframe.{name}") for name in ("settings", "documents", "yaml_files")]
    files = [ROOT / PARAMS, *(Path(each.origin) for each in judges if each and each.origin)]
    digest, kept = sha256(), ROOT / layout.VALID_SETTINGS
    for file in files:
        digest.update(file.read_bytes() if file.is_file() else b"")
    if kept.is_file() and kept.read_text(encoding="utf-8", errors="replace").strip() == digest.hexdigest():
        return
    read_settings()
    private_folder(kept.parent)
    write_text(kept, digest.hexdigest() + "\n")


def reproduce(base: str | None, full: bool, tolerance: float, tell: Callable[[str], None]) -> Reproduced:
    """Run what is stale and what vouches for the figures, and keep what was found."""
    from leverframe.adapters.git import Git
    from leverframe.adapters.working_tree.remote import Remote
    from leverframe.domain.review.check import LOCK, suspects
    from leverframe.domain.review.reproduce import Order, run
    from leverframe.wiring.pipeline import OnePipeline

    forget("reproduce")
    git = Git(ROOT)
    before = git.show(git.fork_point("HEAD", base), LOCK) or b""
    pipeline = OnePipeline(ROOT, tell)
    odd = suspects(before.decode(errors="replace"), pipeline.text(LOCK))
    order = Order(git.named("HEAD"), full, Remote.of(ROOT.resolve()) is not None, odd, tolerance, tell)
    return kept("reproduce", run(pipeline, order))


def gate(base: str | None, log: Path | None, tell: Callable[[str], None]) -> Gated:
    """Judge the model in this folder against the one at the merge base, and keep what was found.

    Both are asked the newest requests in ``log``, else those of a server of this folder.
    """
    from leverframe.adapters.disk import Disk
    from leverframe.adapters.git import Git
    from leverframe.adapters.polars import PolarsTables
    from leverframe.adapters.sklearn import SklearnModels
    from leverframe.domain.review.gate.decision import Evidence, Question, Side, bundle_sizes, run
    from leverframe.domain.review.gate.rules import rules_in_force
    from leverframe.wiring.shadow import shadow
    from leverframe.yaml_files import load, parse

    forget("gate")
    git, settings = Git(ROOT), read_settings()
    fork, head = git.fork_point("HEAD", base), git.named("HEAD")
    before = (git.show(fork, str(PARAMS)) or b"").decode(errors="replace")
    known = parse(before, name=f"{PARAMS} of the base", what="the settings") if before.strip() else {}
    rules = rules_in_force(known, load(ROOT / PARAMS, what="settings file"))
    disk = Disk(ROOT)
    contracts = {path.stem: disk.read_json(path.relative_to(ROOT)) for path in (ROOT / layout.CONTRACTS).glob("*.json")}
    parity = disk.read_json(layout.PARITY) if (ROOT / layout.PARITY).is_file() else None
    lock = ROOT / "dvc.lock"
    sizes = bundle_sizes(lock.read_bytes() if lock.is_file() else b"")
    evidence = Evidence(contracts, parity, diff(fork, None), sizes, shadow(git, fork, known, log, tell))
    question = Question(fork, head, star_plan(settings).spine_key, settings.data.timezone)
    with _champion(git, fork, tell) as folder:
        theirs = None if folder is None else Side(PolarsTables(folder), Disk(folder))
        sides = (Side(PolarsTables(ROOT), disk), theirs)
        return kept("gate", run(question, sides, SklearnModels(ROOT), rules, evidence))


def forget(name: str) -> None:
    """Take away what a lever found before: one that breaks now must not seem to have found the same again."""
    (ROOT / layout.lever(name)).unlink(missing_ok=True)


def kept(name: str, found: Found) -> Found:
    """Keep what a lever found where the report looks for it, and return it."""
    private_folder((ROOT / layout.LEVERS).parent)
    write_json(ROOT / layout.lever(name), asdict(found))  # type: ignore[call-overload] # each is a dataclass
    return found


@contextmanager
def _champion(git: Git, commit: str, tell: Callable[[str], None]) -> Iterator[Path | None]:
    """Yield a folder with the model of a commit and what it answered; None where it has no model.

    Its files come from git and the cache, else from the remote, else its pipeline is run.
    """
    from tempfile import TemporaryDirectory

    from leverframe.adapters.working_tree import WorkingTree
    from leverframe.domain.review.gate.decision import champion_files
    from leverframe.files import replacing

    if git.show(commit, layout.MODEL_DESCRIPTION.as_posix()) is None:
        yield None
        return
    tree, needed = WorkingTree.around(ROOT), champion_files(git.show(commit, "dvc.lock") or b"")
    with TemporaryDirectory(prefix="leverframe-") as place:
        folder = Path(place, "champion")
        found = {path: tree.content(recorded) for path, recorded in needed.items()}
        if None in found.values() or not found:
            _fetched_or_rebuilt(git, commit, folder, list(needed), tell)
        else:
            found |= {layout.MODEL_DESCRIPTION.as_posix(): git.show(commit, layout.MODEL_DESCRIPTION.as_posix())}
            for path, content in found.items():
                with replacing(folder / path) as temporary:
                    temporary.write_bytes(content or b"")
        yield folder


def _fetched_or_rebuilt(git: Git, commit: str, folder: Path, paths: list[str], tell: Callable[[str], None]) -> None:
    """Check a commit out into ``folder`` and bring its files there, by pulling or by running its pipeline."""
    from leverframe.adapters.working_tree import WorkingTree
    from leverframe.adapters.working_tree.remote import Remote
    from leverframe.wiring.pipeline import OnePipeline

    tell(f"fetching the champion of {commit[:12]}")
    git.copied(commit, folder)
    WorkingTree.around(ROOT).lend(folder)
    pipeline = OnePipeline(folder, tell)
    fetched = Remote.of(ROOT.resolve()) is not None and bool(paths) and pipeline.data("pull", "--force", *paths)
    if not fetched:
        tell("the champion is nowhere to be fetched from: its pipeline is run")
        pipeline.checkout()
        pipeline.repro("--no-run-cache")
