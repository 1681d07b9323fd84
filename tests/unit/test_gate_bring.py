"""Where the champion comes from: the cheapest place that has all of it, and its pipeline where none has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from leverframe.domain import layout
from leverframe.domain.pipeline.status.resolved import Recorded
from leverframe.domain.review.gate.champion import bring

DESCRIPTION = layout.MODEL_DESCRIPTION.as_posix()
OUTPUTS = (layout.MODEL.as_posix(), layout.PREDICTIONS.as_posix(), layout.HOLDOUT.as_posix())
LOCK = "schema: '2.0'\nstages:\n  train:\n    cmd: t\n    outs:\n" + "".join(
    f"    - path: {path}\n      hash: md5\n      md5: '{number:032d}'\n      size: 1\n"
    for number, path in enumerate(OUTPUTS)
)


@dataclass
class Places:
    """A commit whose files are where the test wants them; what is done is written down."""

    git: Mapping[str, bytes]
    cache: frozenset[str] = frozenset()
    remote: bool = False
    done: list[str] = field(default_factory=list)

    def show(self, commit: str, path: str) -> bytes | None:
        assert commit == "c0ffee"
        return self.git.get(path)

    def cached(self, recorded: Recorded) -> bytes | None:
        return b"data" if recorded.md5 in self.cache else None

    def write(self, files: Mapping[str, bytes]) -> None:
        self.done.append("write " + " ".join(sorted(files)))

    def check_out(self, commit: str) -> None:
        self.done.append(f"check out {commit}")

    def pull(self, paths: Sequence[str]) -> bool:
        self.done.append("pull " + " ".join(sorted(paths)))
        return self.remote

    def run_pipeline(self) -> None:
        self.done.append("run")


COMMITTED = {DESCRIPTION: b"{}", "dvc.lock": LOCK.encode()}
ALL = frozenset(f"{number:032d}" for number in range(len(OUTPUTS)))


def needed() -> list[str]:
    """Return the outputs that a champion is made of, as a pull asks for them."""
    places = Places(COMMITTED)
    bring("c0ffee", places, lambda _: None)
    return places.done[1].split()[1:]


def test_a_commit_without_a_model_has_no_champion() -> None:
    """Nothing is fetched and nothing run."""
    places = Places({"dvc.lock": LOCK.encode()}, ALL, remote=True)
    assert bring("c0ffee", places, print) is False
    assert places.done == []


def test_what_the_cache_has_is_only_written() -> None:
    """The description comes from git, the rest from the cache; no checkout, no DVC."""
    places = Places(COMMITTED, ALL)
    assert bring("c0ffee", places, print) is True
    assert places.done == ["write " + " ".join(sorted([DESCRIPTION, *needed()]))]


@pytest.mark.parametrize("missing", range(len(OUTPUTS)))
def test_one_file_that_the_cache_lacks_is_pulled_with_the_rest(missing: int) -> None:
    """A champion in part is none: predictions of another model would be compared."""
    places = Places(COMMITTED, ALL - {f"{missing:032d}"}, remote=True)
    assert bring("c0ffee", places, print) is True
    assert places.done == ["check out c0ffee", "pull " + " ".join(needed())]


@pytest.mark.parametrize("lock", [LOCK, "schema: '2.0'\nstages: {}\n"], ids=["not pushed", "not in the lock"])
def test_what_is_nowhere_is_run_and_said(lock: str) -> None:
    """A lock that names no output is not asked of the remote."""
    messages: list[str] = []
    places = Places({**COMMITTED, "dvc.lock": lock.encode()})
    assert bring("c0ffee", places, messages.append) is True
    assert places.done[0] == "check out c0ffee"
    assert places.done[-1] == "run"
    assert len(messages) == 2
    assert any(step.startswith("pull") for step in places.done) == (lock == LOCK)
