"""Whether a change is complete: its settings, definitions and lock from git, its data by what remotes hold.

A stale lock, missing data and a lock mismatch are three findings with three remedies. Nothing here runs
a stage or needs a credential: where a remote cannot be asked, as from the pull request of a fork, a note says so.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from shlex import quote
from typing import Any, Protocol

from leverframe.domain.pipeline.status.lock import entries, lock_of, lock_text, split
from leverframe.domain.pipeline.status.reasons import ABSENCE, STALE, Finding, PipelineStatus, StaleReason
from leverframe.domain.pipeline.status.resolved import Locked, Stage
from leverframe.domain.pipeline.status.status_table import phrase, repro_of
from leverframe.domain.review.dvc_settings import edited
from leverframe.domain.review.pushed import Pushed, RequiredOutput, kept_elsewhere
from leverframe.domain.review.tracked_data import Files, kept_nowhere, kept_nowhere_violations, outputs_in_git
from leverframe.domain.verdict import Reason, Verdict, Violation, judged, word
from leverframe.errors import LeakError, LeverframeError, SettingsError
from leverframe.settings import LEVERS, PARAMS
from leverframe.words import first_few
from leverframe.yaml_files import parse

LOCK = "dvc.lock"
_NO_SOURCES = ("reports/", "models/", "docs/", "tests/", ".github/", "../")  # folders that hold no data to ingest
# Data that are elsewhere make no stage stale, and no commit makes one fresh that always runs.
_NO_CAUSE = ABSENCE | {StaleReason.UPSTREAM_STALE, StaleReason.ALWAYS_RUNS}
_NAMED = 5  # stages or files that are named, the rest is counted


@dataclass(frozen=True)
class Checked:
    """The result of `check` for the commit ``head``.

    ``suspects`` are stages whose outputs changed while nothing that they declare did. ``notes`` say
    what was not checked, and why.
    """

    head: str
    violations: tuple[Violation, ...] = ()
    suspects: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Passed, or failed for the reasons of the violations."""
        return judged(self.violations)

    def lines(self) -> list[str]:
        """Return the verdict, the violations with their remedies, and what was not checked."""
        return [f"check {word(self.verdict)}", *violation_lines(self.violations), *(f"note: {n}" for n in self.notes)]


class Change(Files, Protocol):
    """The working tree of a change, beside the commit where it left its base."""

    @property
    def has_case(self) -> bool:
        """Whether `params.yaml` and `dvc.yaml` are those of a case; else both are the user's, whatever they hold."""

    @property
    def config(self) -> str:
        """The file with the settings of DVC."""

    def head(self) -> str:
        """Return the commit that is checked out."""

    def before(self, path: str) -> str:
        """Return the text of a file where the change left its base; empty where there was none."""

    def now(self, path: str) -> str:
        """Return the text of a file in the working tree; empty where there is none."""

    def changed(self) -> Mapping[str, str]:
        """Return the files that differ between the two, each with git's letter for how."""

    def uncommitted(self) -> Sequence[str]:
        """Return the files that are not as committed; none where what is here is no work of a person."""

    def read_settings(self) -> None:
        """Raise ``SettingsError`` where a file of settings is not valid."""

    def check_rules(self) -> None:
        """Raise ``SettingsError`` where a rule of the gate names a metric that the label has not."""

    def check_definition(self) -> None:
        """Raise ``PipelineError`` where `dvc.yaml` is not what the declarations ask for, or what those raise."""

    def undeclared(self) -> Sequence[str]:
        """Return notes on columns that may reveal the label, and that no declaration speaks of."""

    def status(self) -> PipelineStatus:
        """Return of each stage whether it is stale."""

    def heavy(self) -> Sequence[str]:
        """Return notes on large files that the change gives to git."""

    def pushed(self, outputs: Sequence[RequiredOutput]) -> Pushed:
        """Return which outputs their remotes lack."""


def run(change: Change) -> Checked:
    """Return whether the change can be judged; what it did not touch was so before it, and costs nothing."""
    violations, odd = list[Violation](), tuple[str, ...]()
    notes = list(edited(change.before(change.config), change.now(change.config)))
    questions = _questions(change)
    for question in questions:
        try:
            question()
        except LeverframeError as error:
            violations.append(refused(error))
            break  # what follows reads the settings as well
    try:
        if not violations:
            notes += change.undeclared() if change.check_definition in questions else ()
            status = change.status()
            nowhere = kept_nowhere(status, change)
            violations += [*outputs_in_git(status, change, of_case=change.has_case)]
            violations += kept_nowhere_violations(nowhere, change)
            violations += [*lock_violations(status, nowhere, change.uncommitted()), *deleted(status, change)]
            pushed = change.pushed(kept_elsewhere(status))
            violations += [gap for remote, paths in pushed.missing.items() for gap in data_violations(paths, remote)]
            notes += [*pushed.notes, *change.heavy(), *always_notes(status)]
            odd = all_suspects(change, status)
    except LeverframeError as error:  # a lock or a definition that cannot be read is the change's fault
        violations.append(refused(error))
    notes += [f"`{name}` gives other outputs from the same inputs; `leverframe reproduce` runs it" for name in odd]
    return Checked(change.head(), tuple(violations), odd, tuple(notes))


def _questions(change: Change) -> list[Callable[[], None]]:
    """Return what has to be looked at, of settings and definitions; of files of a case only where there is one."""
    changed = change.changed()
    if not change.has_case:
        return [change.read_settings, change.check_rules] if str(LEVERS) in changed else []
    rules = [change.check_rules] if str(LEVERS) in changed else []
    return [*_defining(change, changed), *rules]


def _defining(change: Change, changed: Mapping[str, str]) -> list[Callable[[], None]]:
    if any(defines(path, status) for path, status in changed.items()):
        return [change.read_settings, change.check_definition]
    if str(PARAMS) not in changed:
        return [change.read_settings] if str(LEVERS) in changed else []
    try:
        texts = (change.before(str(PARAMS)), change.now(str(PARAMS)))
        before, now = (parse(text, name=str(PARAMS), what="the settings") for text in texts)
    except LeverframeError:  # reading the settings says it better
        return [change.read_settings, change.check_definition]
    same = all(before.get(section) == now.get(section) for section in ("data", "features", "train"))
    return [change.read_settings] if same else [change.read_settings, change.check_definition]


def violation_lines(violations: Sequence[Violation]) -> list[str]:
    """Return violations for a terminal, two lines each."""
    return [
        line
        for violation in violations
        for line in (f"{violation.reason.value}: {violation.what}", f"  next: {violation.next}")
    ]


def defines(path: str, status: str) -> bool:
    """Tell whether a changed file may change what `dvc.yaml` has to say; ``status`` is git's letter for the change.

    Code, the star, packages, submodules, and whatever came or went where sources may look. Outside of the project,
    where paths begin with two dots, code and submodules alone.
    """
    if status == "S" or (status in "AD" and not path.startswith(_NO_SOURCES)):
        return True
    return path in ("dvc.yaml", "requirements.lock") or path.endswith((".py", "star.yaml"))


def refused(error: LeverframeError) -> Violation:
    """Return an error of settings or definitions as a violation."""
    kinds = ((LeakError, Reason.LEAK_FOUND), (SettingsError, Reason.SETTINGS_INVALID))
    reason = next((reason for kind, reason in kinds if isinstance(error, kind)), Reason.DEFINITION_INVALID)
    return Violation(reason, f"{error.what}: {error.why}", error.next)


def lock_violations(
    status: PipelineStatus, nowhere: Sequence[str] = (), uncommitted: Sequence[str] = ()
) -> list[Violation]:
    """Return the violations of the lock: reports that differ from what it recorded, and stale stages.

    That data are kept ``nowhere`` is said for itself: no run of a stage brings them. Of the files ``uncommitted``,
    those that stages read are to be committed with the lock, which would be stale without them.
    """
    edited = [
        (stage.stage.name, finding.subject)
        for stage in status.stages
        for finding in stage.findings
        if finding.reason is StaleReason.OUTPUT_CHANGED and finding.subject in _in_git(stage.stage.outputs)
    ]
    violations = []
    if edited:
        stages = tuple(dict.fromkeys(stage for stage, _ in edited))
        files, locks = _named([f"`{path}`" for _, path in edited]), _locks(status, stages)
        violations.append(
            Violation(
                Reason.LOCK_MISMATCH,
                f"{files} in git {'does' if len(edited) == 1 else 'do'} not match {locks}",
                f"run `dvc repro -f -s {' '.join(stages[:_NAMED])}`; commit what it writes, and {locks}",
            )
        )
    stale = [
        (stage.stage.name, finding)
        for stage in status.stages
        if stage.state in STALE
        for finding in stage.findings
        if finding.reason not in _NO_CAUSE
        and (stage.stage.name, finding.subject) not in edited
        and not (finding.reason is StaleReason.DEPENDENCY_MISSING and finding.subject in nowhere)
    ]
    if stale:
        names = list(dict.fromkeys(name for name, _ in stale))
        violations.append(
            Violation(Reason.LOCK_STALE, f"{_named(names)}: {_phrases(stale)}", f"`{_remedy(status, uncommitted)}`")
        )
    return violations


def always_notes(status: PipelineStatus) -> list[str]:
    """Return a note on stages of which no lock can be fresh."""
    names = [stage.stage.name for stage in status.stages if stage.stage.always_runs]
    tell = f"{_named(names)}: runs always, so a lock says of one run only; `leverframe reproduce` runs it"
    return [tell] if names else []


def uncommitted_notes(status: PipelineStatus, edited: Sequence[str]) -> list[str]:
    """Return a note on those among ``edited`` files that are definitions, locks, parameters or inputs of stages.

    What is fresh here is stale in a pull request, which has only what is committed.
    """
    paths = _of_stages(status, edited)
    if not paths:
        return []
    tell = (
        f"{_named([f'`{path}`' for path in paths])} here is not as committed, and a pull request has what is committed"
    )
    return [f"{tell}: `git add {' '.join(map(quote, paths))}`, and commit"]


def _of_stages(status: PipelineStatus, paths: Sequence[str]) -> list[str]:
    """Return those of some files that are definitions, locks, parameters or inputs of stages."""
    stages = [stage.stage for stage in status.stages]
    files = {name for stage in stages for name in (stage.file, lock_of(stage.file))}
    files |= {used.path for stage in stages for used in stage.dependencies}
    files |= {used.path for stage in stages for used in stage.parameters}
    return [path for path in paths if path in files or any(path.startswith(f"{folder}/") for folder in files)]


def _remedy(status: PipelineStatus, uncommitted: Sequence[str]) -> str:
    """Return the commands that run what is stale, and commit inputs, locks and what git keeps of the outputs."""
    stale = [stage.stage for stage in status.stages if stage.state in STALE and not stage.stage.is_source]
    locks = sorted({lock_of(stage.file) for stage in stale})
    places = sorted({place.partition("/")[0] for stage in stale for place in _in_git(stage.outputs)})
    inputs = [path for path in _of_stages(status, uncommitted) if path.partition("/")[0] not in {*locks, *places}]
    added = dict.fromkeys((*inputs, *locks, *places))
    return f"{repro_of(stale)} && git add {' '.join(map(quote, added))} && git commit -m 'Reproduce'"


def _locks(status: PipelineStatus, names: Collection[str]) -> str:
    """Return the locks of some stages in words."""
    files = {stage.stage.file for stage in status.stages if stage.stage.name in names and not stage.stage.is_source}
    return _named([f"`{lock_of(file)}`" for file in sorted(files)])


def deleted(status: PipelineStatus, files: Files) -> list[Violation]:
    """Return the violation for outputs that the lock names, that belong in git, and that git does not have.

    A contract report that is deleted would take the constraints that failed with it.
    """
    absent = [
        (stage.stage.name, finding.subject)
        for stage in status.stages
        for finding in stage.findings
        if finding.reason is StaleReason.OUTPUT_ABSENT and finding.subject in _in_git(stage.stage.outputs)
    ]
    tracked = files.tracked() if absent else ()
    gone = [
        (stage, path)
        for stage, path in absent
        if not any(file == path or file.startswith(f"{path}/") for file in tracked) and not files.git_ignores(path)
    ]
    if not gone:
        return []
    names = _named([f"`{path}`" for _, path in gone])
    stages = tuple(dict.fromkeys(stage for stage, _ in gone))
    locks = _locks(status, stages)
    return [
        Violation(
            Reason.LOCK_MISMATCH,
            f"git lacks {names}, of which {locks} has a digest",
            f"run `dvc repro -f -s {' '.join(stages[:_NAMED])}`; commit what it writes, and {locks}",
        )
    ]


def _in_git(outputs: Sequence[Any]) -> set[str]:
    return {output.path for output in outputs if not output.cached}


def _phrases(stale: Sequence[tuple[str, Finding]]) -> str:
    return _named(list(dict.fromkeys(phrase(finding) for _, finding in stale)), "; ")


def _named(names: Sequence[str], between: str = ", ") -> str:
    return first_few(names, _NAMED, between, f"{between}and ")


def suspects(before: str, after: str) -> tuple[str, ...]:
    """Return the stages whose outputs differ between two locks while command, dependencies and parameters do not.

    A new version of a library can cause that, and so can a forged report: only running the stage tells.
    """
    ours, theirs = split(before), split(after)
    # Parsing takes time, so only entries whose text differs are parsed.
    differing = [name for name, text in theirs.items() if name in ours and ours[name] != text]
    sides = (lock_text([side[name] for name in differing]) for side in (ours, theirs))
    one, other = (entries(side, LOCK) for side in sides)
    return tuple(name for name in differing if other_outputs(one[name], other[name]))


def all_suspects(change: Change, status: PipelineStatus) -> tuple[str, ...]:
    """Return the suspects of every lock of the pipeline, by the names that DVC gives their stages here."""
    files = {stage.stage.file: stage.stage for stage in status.stages if not stage.stage.is_source}
    return tuple(
        _named_here(name, stage)
        for file, stage in files.items()
        for name in suspects(change.before(lock_of(file)), change.now(lock_of(file)))
    )


def lock_of_stage(name: str) -> str:
    """Return the lock that has the entry of a stage, by the name that DVC gives the stage here."""
    folder, definition, _ = name.partition("dvc.yaml:")
    return f"{folder}{LOCK}" if definition else LOCK


def _named_here(name: str, sibling: Stage) -> str:
    """Return the name of a stage of the same definition as another one, of which it has the path."""
    return sibling.name.removesuffix(sibling.name_in_file) + name


def other_outputs(before: Locked, after: Locked) -> bool:
    """Tell whether a stage is claimed to give other outputs than before from the same inputs."""
    return before.inputs == after.inputs and before.outputs != after.outputs


def data_violations(missing: Sequence[str], remote: str) -> list[Violation]:
    """Return the violation for outputs that nobody pushed."""
    if not missing:
        return []
    names = _named([f"`{path}`" for path in missing])
    return [
        Violation(
            Reason.DATA_MISSING,
            f"the remote `{remote}` lacks {len(missing)} output{'' if len(missing) == 1 else 's'} of `{LOCK}`: {names}",
            "run `dvc push` on the machine that ran the stages",
        )
    ]
