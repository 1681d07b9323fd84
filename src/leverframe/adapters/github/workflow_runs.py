"""Runs of a workflow on GitHub: which commits it ended well at."""

from __future__ import annotations

from itertools import islice

from github import UnknownObjectException
from github.Repository import Repository

from leverframe.adapters.github.calls import Calls

_RUNS = 100


class GithubRuns(Calls):
    """What a workflow file of the default branch did after each push."""

    def succeeded(self, workflow: str, branch: str) -> list[str]:
        """Return the commits of a branch at which the newest runs after a push succeeded as a whole, newest first."""

        def ask(repository: Repository) -> list[str]:
            try:
                runs = repository.get_workflow(workflow).get_runs(branch=branch, event="push", status="success")
                return [run.head_sha for run in islice(runs, _RUNS)]
            except UnknownObjectException:  # a file that is new on this branch
                return []

        return self.asked(ask, "list the runs of this workflow", "actions: read")
