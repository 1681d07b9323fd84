"""What can go wrong, one class and one exit code a kind: what happened, why, what to do next.

Exit code 0 is success, 1 a bug in Leverframe, 2 wrong use of the command line (click), 20 a
stale pipeline for who asked to be told by code, and 130 an interruption; every class below has
a code of its own, so that a workflow can branch on it without reading text.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar


class LeverframeError(Exception):
    """Base of every failure that a person can act on.

    ``what`` names the failure in one line, ``why`` the cause as far as it is known, ``next``
    the step that mends it. ``transient`` tells whether the same call may succeed later.
    """

    exit_code: ClassVar[int] = 9
    transient: ClassVar[bool] = False

    def __init__(self, what: str, *, why: str, next: str) -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.next = next

    def render(self) -> str:
        """Return the three lines that a person reads."""
        return f"error: {self.what}\n  why:  {self.why}\n  next: {self.next}"


class SettingsError(LeverframeError):
    """A settings or definition file cannot be read as it stands."""

    exit_code = 10


class DefinitionError(LeverframeError):
    """A declared feature, table, label or estimator does not make sense."""

    exit_code = 11


class InstallationError(LeverframeError):
    """Leverframe is installed without something that this pipeline needs."""

    exit_code = 33


class LeakError(DefinitionError):
    """A feature would see something that is not known at its moment."""

    exit_code = 12


class SourceError(LeverframeError):
    """A table or one of its partitions is missing, empty, damaged or of the wrong form."""

    exit_code = 13


class ContractError(LeverframeError):
    """The data violate a constraint of severity error."""

    exit_code = 14


class LabelError(LeverframeError):
    """The labels do not fit the rows or the kind that was declared."""

    exit_code = 15


class EstimatorError(LeverframeError):
    """The estimator cannot be built, fitted, stored or trusted."""

    exit_code = 16


class DiskError(LeverframeError):
    """The file system refused a write; what was there before is untouched."""

    exit_code = 17
    transient = True


class PipelineError(LeverframeError):
    """A stage of the pipeline failed or the pipeline cannot be run."""

    exit_code = 18


class PipelineBusyError(PipelineError):
    """Another DVC process works in the same repository."""

    exit_code = 21
    transient = True


class RepositoryError(LeverframeError):
    """This folder is not the git repository with the pipeline that the command needs."""

    exit_code = 19


class SnapshotError(LeverframeError):
    """A snapshot for lookup cannot be built, opened or trusted, or is asked for what it does not have."""

    exit_code = 22


class StoreUnreachableError(SnapshotError):
    """The server that holds the snapshot did not answer; the same call may succeed later."""

    exit_code = 23
    transient = True


class RequestError(LeverframeError):
    """A request for features lacks a field, has a wrong one, or asks for a moment that cannot be answered."""

    exit_code = 24


class ParityError(LeverframeError):
    """A feature at request time is not the one of the training set."""

    exit_code = 25


class PublishError(LeverframeError):
    """The card cannot be posted: the event, the token or the forge does not allow it."""

    exit_code = 26


class ForgeUnreachableError(PublishError):
    """The forge did not answer; the same call may succeed later."""

    exit_code = 27
    transient = True


class BundleError(LeverframeError):
    """A bundle is damaged, incomplete, or not the one that was asked for, so it must not be served."""

    exit_code = 28


class ServerError(LeverframeError):
    """A model server did not start, or did not answer; the same call may succeed later."""

    exit_code = 29
    transient = True


class ServerBusyError(ServerError):
    """Another deployment to the same server is under way."""

    exit_code = 31


class PromotionError(LeverframeError):
    """A bundle may not go to an environment, because the one before it does not serve it."""

    exit_code = 32


class RemoteUnreachableError(BundleError):
    """The remote that a bundle is fetched from did not answer; the same call may succeed later."""

    exit_code = 36
    transient = True


class ClusterError(LeverframeError):
    """A cluster refuses what it is asked for, or `kubectl` cannot ask it."""

    exit_code = 37


class ClusterUnreachableError(ClusterError):
    """A cluster did not answer; the same call may succeed later."""

    exit_code = 38
    transient = True


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint that names the most similar of ``known``, or lists them all."""
    import difflib  # noqa: PLC0415 - only a person who slipped needs it

    names = sorted(set(known))
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean `{close[0]}`?"
    shown = ", ".join(f"`{each}`" for each in names[:12])
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return f"known names: {shown}{more}" if names else "nothing is declared here"
