"""A run of the stages of one phase: what other machines have to run is left alone, and what they wrote is pulled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from leverframe.application.rerun import Rerun
from leverframe.application.status import status, tree_around
from leverframe.domain.pipeline.runners.runner_phases import Phases
from leverframe.domain.pipeline.runners.runner_share import Needs, Share, needs, share, stale
from leverframe.domain.pipeline.status.compare import Presence
from leverframe.domain.pipeline.status.reasons import PipelineStatus
from leverframe.domain.pipeline.status.resolved import Locked
from leverframe.domain.review.handover import Handover
from leverframe.domain.review.reproduce import StageRun
from leverframe.errors import PipelineError


@dataclass(frozen=True)
class PhaseTurn:
    """Which phase of a plan it is, and what earlier ones handed over; ``remote`` is that of outputs, empty the default.

    ``base`` is the lock that the change started from, ``metrics`` are the files of metrics; ``full`` runs every stage.
    """

    plan: Phases
    number: int
    base: Mapping[str, Locked]
    metrics: Sequence[str]
    full: bool
    remote: str = ""
    handed: Sequence[Handover] = ()

    @property
    def last(self) -> bool:
        """Tell whether it is the last phase, which compares everything."""
        return self.number == self.plan.last

    @property
    def done(self) -> set[str]:
        """Return the stages that earlier phases ran."""
        return {name for handover in self.handed for name in handover.entries}


class PhasedRun(Rerun):
    """Runs what one phase has to; it is asked for as the run of one machine, and leaves out what is not its own."""

    turn: PhaseTurn
    _mine: frozenset[str] = frozenset()
    _begun = False

    @property
    def mine(self) -> frozenset[str]:
        """Return the stages that this phase may run."""
        return self._mine

    def repro(self, *arguments: str) -> None:
        """Run the stages of this phase that are named, else those of it that have to run.

        Raises ``PipelineError`` naming the stage that failed.
        """
        names = [argument for argument in arguments if not argument.startswith("-")]
        if "--single-item" in arguments:
            mine = [name for name in names if name in self._mine]
            if mine:
                super().repro("--no-run-cache", "--force", "--single-item", *mine)
            return
        state = status(self.root)
        needed, part = self.due(state) if not self._begun else self._again(state)
        if not self._begun:
            self._begin(needed, part)
        run = in_order(state, needed.stale & part.mine)
        if run:
            self._require(run, self._inputs(state, part.mine))
            flags = [flag for flag in ("--allow-missing", "--force") if flag in arguments]
            super().repro("--no-run-cache", "--single-item", *flags, *run)

    def again(self, names: Sequence[str]) -> None:
        """Run fresh stages of this phase all the same, writers before their readers."""
        state = status(self.root)
        run = [name for name in in_order(state, names) if name in self._mine]
        if run:
            self._require(run, self._inputs(state, run))
            super().repro("--no-run-cache", "--force", "--single-item", *run)

    def claims(self, paths: Sequence[str]) -> None:
        """Bring what the commit claims of some outputs into the cache, where what others wrote takes their place."""
        missing = self._missing(paths)
        if missing:
            self.data("pull", "--allow-missing", *missing)

    def due(self, state: PipelineStatus, ran: Iterable[str] = ()) -> tuple[Needs, Share]:
        """Return what has to run yet, and the part of this phase; ``ran`` are stages that it has run."""
        turn = self.turn
        done = turn.done | {*ran}
        needed = needs(state, turn.plan, (self.lock(), turn.base), turn.metrics, done, full=turn.full)
        return needed, share(turn.plan, turn.number, needed.all)

    def _again(self, state: PipelineStatus) -> tuple[Needs, Share]:
        """Return what became stale in this phase, of its own stages: by a second run of what they read."""
        turn = self.turn
        needed = Needs(stale(state, turn.plan, turn.done))
        part = share(turn.plan, turn.number, needed.all)
        self._mine |= part.mine
        return needed, part

    def _begin(self, needed: Needs, part: Share) -> None:
        """Tell of the stages that ran before, and of those that are to be verified here."""
        self._begun, self._mine = True, part.mine
        self._events += [run for handover in self.turn.handed for run in handover.runs]
        self._events += [StageRun(name, "unchanged") for name in sorted(needed.verifying & part.mine)]

    def fetch(self, paths: Sequence[str]) -> None:
        """Bring what is missing of some outputs: what this commit has from its remote, the rest as ``bring`` does."""
        super().fetch(paths)
        self.bring(paths)

    def bring(self, paths: Sequence[str]) -> list[str]:
        """Pull the outputs, or files of them, that are not here as the lock says; return those that still are not.

        What phases handed over is looked for first, then what the commit has. The bytes are hashed here: DVC trusts
        what it pulled by the mode of a file.
        """
        remotes = [("--remote", self.turn.remote)] if self.turn.remote else []
        for remote in (*remotes, ()):
            missing = self._missing(paths)
            if missing:
                self.data("pull", "--force", "--allow-missing", *remote, *missing)
        return self._missing(paths)

    def _require(self, names: Sequence[str], inputs: Sequence[str]) -> None:
        """Bring what stages read; raises ``PipelineError`` where something is nowhere."""
        absent = self.bring(inputs)
        if absent:
            raise PipelineError(
                f"stage `{names[0]}` was not run",
                why=f"{', '.join(absent[:3])}: not in the remote, or not with the bytes that the lock has",
                next="run `dvc push` where they are, or start the whole run again, all of its jobs",
                stage=names[0],
            )

    def _missing(self, paths: Sequence[str]) -> list[str]:
        tree, recorded = tree_around(self.root), status(self.root).recorded if paths else {}
        return [
            path
            for path in paths
            if not (self.root / path).exists()
            or (path in recorded and tree.look(path, recorded[path]).presence is not Presence.SAME)
        ]

    def leave(self, paths: Sequence[str]) -> bool:
        """Push some outputs to where the next phase finds them; tell whether all are there."""
        remote = ("--remote", self.turn.remote) if self.turn.remote else ()
        return not paths or self.data("push", *remote, *paths)

    def _inputs(self, state: PipelineStatus, names: Iterable[str]) -> list[str]:
        """Return what some stages read of the outputs of others, and of data beside them."""
        wanted, inside = set(names), dict[str, list[str]]()  # folder -> the outputs at any depth in it
        others = {
            other.path for stage in state.stages if stage.stage.name not in wanted for other in stage.stage.outputs
        }
        for output in sorted(others):
            for folder in PurePosixPath(output).parents:
                inside.setdefault(str(folder), []).append(output)
        stages = [stage.stage for stage in state.stages if stage.stage.name in wanted]
        read: dict[str, None] = {}
        for path in dict.fromkeys(dependency.path for stage in stages for dependency in stage.dependencies):
            within = not others.isdisjoint([path, *map(str, PurePosixPath(path).parents)])
            read |= dict.fromkeys([path] if within else inside.get(path, []))
        return list(read)


def in_order(state: PipelineStatus, names: Iterable[str]) -> list[str]:
    """Return some stages, writers before their readers."""
    wanted = set(names)
    return [stage.stage.name for stage in state.stages if stage.stage.name in wanted]
