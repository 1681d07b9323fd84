"""What phases leave for one another in a folder: read and compared before a phase, written after it."""

from __future__ import annotations

import base64
import binascii
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from leverframe.application.status import status
from leverframe.documents import loaded, plain
from leverframe.domain.pipeline.status.lock import lock_of
from leverframe.domain.pipeline.status.reasons import ABSENCE, StaleReason
from leverframe.domain.pipeline.status.resolved import Artefact, Stage
from leverframe.domain.review.handover import LARGEST, Handover, merged, taken
from leverframe.errors import RepositoryError
from leverframe.files import private_folder, replacing, write_json, write_text

_NO_MISMATCH = ABSENCE | {StaleReason.ALWAYS_RUNS, StaleReason.UPSTREAM_STALE}


def read(folder: Path, number: int) -> list[Handover]:
    """Return what the phases before ``number`` left, in their order; one that left nothing is left out.

    Raises ``RepositoryError`` for a file that no phase wrote.
    """
    handovers: list[Handover] = []
    for earlier in range(1, number):
        file = folder / f"{earlier}.json"
        if not file.is_file() or file.is_symlink():
            continue
        with file.open("rb") as handle:
            data = handle.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise unfit(f"{file.name} has more than {LARGEST:,} bytes")
        handover = loaded(Handover, data, name=file.name)
        if handover.phase != earlier:
            raise unfit(f"{file.name} is of phase {handover.phase}")
        handovers.append(handover)
    return handovers


def unfit(why: str) -> RepositoryError:
    """Return the error for what cannot be taken over."""
    return RepositoryError(
        "what an earlier phase left cannot be used",
        why=why,
        next="start the whole run again, all of its jobs; where it says so again, `leverframe init --renew`",
    )


def write(folder: Path, handover: Handover) -> Path:
    """Write what a phase leaves, and return the file."""
    private_folder(folder)
    file = folder / f"{handover.phase}.json"
    write_json(file, plain(handover))
    return file


def entries_of(root: Path, stages: Sequence[Stage]) -> dict[str, str]:
    """Return the texts of the entries of some stages in the locks of a folder."""
    texts: dict[str, str] = {}
    for lock in dict.fromkeys(lock_of(stage.file) for stage in stages):
        names = {stage.name_in_file: stage.name for stage in stages if lock_of(stage.file) == lock}
        entries = taken((root / lock).read_text(encoding="utf-8"), list(names))
        texts |= {names[name]: text for name, text in entries.items()}
    return texts


def files_of(root: Path, stages: Sequence[Stage]) -> dict[str, str]:
    """Return the outputs of some stages that no remote gets, in base64; raises ``RepositoryError`` for too much."""
    contents, size = dict[str, str](), 0
    for file in _files(root, (output for stage in stages for output in stage.outputs if not output.pushed)):
        size += file.stat().st_size
        if size > LARGEST // 2:
            raise RepositoryError(
                "outputs that no remote gets are too large to be handed to the next phase",
                why=f"`cache: false` and `push: false` keep them out of the remote; together they have more than "
                f"{LARGEST // 2:,} bytes",
                next="let DVC keep them: remove `cache: false` or `push: false` in dvc.yaml",
            )
        contents[file.relative_to(root).as_posix()] = base64.b64encode(file.read_bytes()).decode()
    return contents


def _files(root: Path, outputs: Iterable[Artefact]) -> Iterator[Path]:
    for output in outputs:
        place = root / output.path
        yield from sorted(file for file in ([place] if place.is_file() else place.rglob("*")) if file.is_file())


@contextmanager
def applied(root: Path, handed: Sequence[Handover], stages: Sequence[Stage]) -> Iterator[None]:
    """Let locks and outputs that git keeps be as earlier phases left them; where the block raises, as they were before.

    Raises ``RepositoryError`` where their entries do not fit what is here.
    """
    with TemporaryDirectory(prefix="leverframe-") as folder:
        before = _Before(Path(folder))
        try:
            _apply(root, handed, stages, before)
            yield
        except BaseException:
            before.restore()
            raise


class _Before:
    """What files were before they were written, kept in ``folder``; of a link the link itself."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: dict[Path, Path] = {}

    def keep(self, place: Path) -> None:
        """Keep what is in a place, once."""
        if place not in self._kept:
            self._kept[place] = self._folder / str(len(self._kept))
            if os.path.lexists(place):
                shutil.copy2(place, self._kept[place], follow_symlinks=False)

    def restore(self) -> None:
        """Let every place be as it was; what is new is removed."""
        for place, kept in self._kept.items():
            if os.path.lexists(kept):
                sibling = place.with_name(f".{place.name}.{os.getpid()}.part")
                shutil.copy2(kept, sibling, follow_symlinks=False)
                sibling.replace(place)
            else:
                place.unlink(missing_ok=True)


def _apply(root: Path, handed: Sequence[Handover], stages: Sequence[Stage], before: _Before) -> None:
    known = {stage.name: stage for stage in stages}
    entries: dict[str, dict[str, str]] = {}
    for handover in handed:
        for path, content in handover.files.items():
            _write(root, path, content, before)
        for name, text in handover.entries.items():
            entries.setdefault(lock_of(known[name].file), {})[known[name].name_in_file] = text
    for lock, texts in entries.items():
        file = root / lock
        here = file.read_text(encoding="utf-8") if file.is_file() else ""
        before.keep(file)
        write_text(file, merged(here, texts))
    done = {name for earlier in handed for name in earlier.entries}
    for stage in status(root).stages if done else ():
        odd = [finding for finding in stage.findings if finding.reason not in _NO_MISMATCH]
        if stage.stage.name in done and odd:
            what = f"`{stage.stage.name}`: {odd[0].reason.value} {odd[0].subject}"
            raise unfit(f"its entries are not those of the files that are here ({what})")


def _write(root: Path, path: str, content: str, before: _Before) -> None:
    place = root / path
    above = [folder for folder in place.parents if folder.is_relative_to(root) and folder != root]
    if any(folder.is_symlink() for folder in above) or (place.is_dir() and not place.is_symlink()):
        raise unfit(f"the file {path} would be written through a link, or in the place of a folder")
    try:
        data = base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError) as error:
        raise unfit(f"the content of {path} is damaged") from error
    before.keep(place)
    with replacing(place) as temporary:
        temporary.write_bytes(data)
