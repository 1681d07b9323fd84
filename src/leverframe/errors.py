"""Every expected error, one class with one exit code per kind: what happened, why, what to do next.

Exit code 0 is success, 1 a bug in Leverframe, 2 wrong use of the command line (click), 20 a
stale pipeline with `status --exit-code`, 30 a lever whose verdict is failed, and 130 an interruption.
Every class below has its own code, so that a workflow can branch on it without parsing text.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from leverframe import __version__
from leverframe.words import first_few


class LeverframeError(Exception):
    """Base of every error that a user can act on.

    ``what`` names the failure in one line, ``why`` the cause as far as it is known, ``next``
    the step that fixes it. ``transient`` tells whether the same call may succeed later.
    """

    exit_code: ClassVar[int] = 9
    transient: ClassVar[bool] = False

    def __init__(self, what: str, *, why: str, next: str) -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.next = next

    def render(self) -> str:
        """Return the error as three lines."""
        return f"error: {self.what}\n  why:  {self.why}\n  next: {self.next}"


class SettingsError(LeverframeError):
    """A settings or definition file is invalid."""

    exit_code = 10


class DefinitionError(LeverframeError):
    """A declared feature, table, label or estimator is invalid."""

    exit_code = 11


class InstallationError(LeverframeError):
    """Leverframe is installed without an extra that this command or pipeline needs."""

    exit_code = 33


class LeakError(DefinitionError):
    """A feature would use data that are not known at its timestamp."""

    exit_code = 12


class SourceError(LeverframeError):
    """A table or one of its partitions is missing, empty, damaged or of the wrong type.

    ``absent`` tells that nothing is there: no file, or no row.
    """

    exit_code = 13

    def __init__(self, what: str, *, why: str, next: str, absent: bool = False) -> None:
        super().__init__(what, why=why, next=next)
        self.absent = absent


class ContractError(LeverframeError):
    """The data violate a constraint of severity error."""

    exit_code = 14


class LabelError(LeverframeError):
    """The labels do not match the rows or the declared kind."""

    exit_code = 15


class EstimatorError(LeverframeError):
    """The estimator cannot be built, fitted, stored or trusted."""

    exit_code = 16


class DiskError(LeverframeError):
    """The file system refused a write; earlier files are unchanged."""

    exit_code = 17
    transient = True


class PipelineError(LeverframeError):
    """A stage of the pipeline failed, or the pipeline cannot run.

    ``stage`` is the one that failed and ``code`` its exit code; empty and 0 where none is to blame.
    """

    exit_code = 18

    def __init__(self, what: str, *, why: str, next: str, stage: str = "", code: int = 0) -> None:
        super().__init__(what, why=why, next=next)
        self.stage = stage
        self.code = code


class PipelineBusyError(PipelineError):
    """Another DVC process holds the lock of the repository."""

    exit_code = 21
    transient = True


class RepositoryError(LeverframeError):
    """This folder is not a git repository with the history or the pipeline that the command needs."""

    exit_code = 19


class SnapshotError(LeverframeError):
    """A snapshot cannot be built, opened or verified, or lacks what a request needs."""

    exit_code = 22


class StoreUnreachableError(SnapshotError):
    """The online store did not respond; the same call may succeed later."""

    exit_code = 23
    transient = True


class RequestError(LeverframeError):
    """A request for features lacks a field, has a wrong one, or has a timestamp outside the snapshot."""

    exit_code = 24


class ParityError(LeverframeError):
    """Training-serving skew: a feature at request time differs from the training set."""

    exit_code = 25


class PublishError(LeverframeError):
    """The card cannot be posted: the event, the token or GitHub does not allow it.

    ``closed`` tells that nobody could, whatever the token may: a locked conversation, too many comments.
    """

    exit_code = 26

    def __init__(self, what: str, *, why: str, next: str, closed: bool = False) -> None:
        super().__init__(what, why=why, next=next)
        self.closed = closed


class ForgeUnreachableError(PublishError):
    """GitHub did not respond; the same call may succeed later."""

    exit_code = 27
    transient = True


class BundleError(LeverframeError):
    """A bundle is damaged, incomplete, or not the expected one, so no server may load it."""

    exit_code = 28


class ServerError(LeverframeError):
    """A model server did not start or did not respond; the same call may succeed later."""

    exit_code = 29
    transient = True


class ServerBusyError(ServerError):
    """Another deployment to the same server is running."""

    exit_code = 31


class PromotionError(LeverframeError):
    """A bundle may not be promoted: the previous environment does not serve it."""

    exit_code = 32


class RemoteUnreachableError(BundleError):
    """The DVC remote of a bundle did not respond; the same call may succeed later."""

    exit_code = 36
    transient = True


class ClusterError(LeverframeError):
    """A cluster refused a request, or `kubectl` cannot send it."""

    exit_code = 37


class ClusterUnreachableError(ClusterError):
    """A cluster did not respond; the same call may succeed later."""

    exit_code = 38
    transient = True


class MonitorBusyError(LeverframeError):
    """Another run of the monitor writes into the same folder; the same call may succeed later."""

    exit_code = 39
    transient = True


class RetrainBusyError(LeverframeError):
    """Another run of ``retrain`` works in the same folder; the same call may succeed later."""

    exit_code = 40
    transient = True


class MaterializeBusyError(LeverframeError):
    """Another run brings the same online store up to date; the same call may succeed later."""

    exit_code = 41
    transient = True


class InfraError(LeverframeError):
    """Terraform refused a command, or ended in the middle of one."""

    exit_code = 42


class InfraLockedError(InfraError):
    """Somebody else holds the lock of a Terraform state; the same call may succeed later.

    ``lock`` is the ``StateLock`` that stands in the way.
    """

    exit_code = 43
    transient = True

    def __init__(self, what: str, *, why: str, next: str, lock: object = None) -> None:
        super().__init__(what, why=why, next=next)
        self.lock = lock


def guide_page(path: str) -> str:
    """Return the address of a page of the guides, as it is for the version that runs; ``path`` may have an anchor."""
    return f"https://github.com/leverframe/leverframe/blob/v{__version__}/docs/guides/{path}"


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint that names the most similar of ``known``, or lists them all."""
    import difflib  # noqa: PLC0415 - only needed for a misspelt name

    names = sorted(set(known))
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean `{close[0]}`?"
    shown = first_few([f"`{candidate}`" for candidate in names], 12)
    return f"known names: {shown}" if names else "declare one first, nothing is declared here"
