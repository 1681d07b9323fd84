"""What the jobs that run actions may do, and what the token of an action is for."""

from __future__ import annotations

from dataclasses import dataclass

TOKENS = {
    "reproduce": "token that may open the issue that `issue` asks for, with the permissions `issues: write` and "
    "`actions: read`; give one only where the code of the default branch runs",
    "report": "token that may comment and add check runs; the built-in token is enough",
    "deploy": "token that may push tags, add deployments and open a revert pull request; without one the action "
    "writes only local tags",
    "monitor": "token that may open issues and write the branch with the results; without one alerts and results "
    "stay in a folder, which a runner of GitHub's does not keep",
    "retrain": "token that may push the branch of a candidate and open its pull request; that of an App starts the "
    "checks by itself, the built-in one dispatches them; without one the candidate stays in this clone",
    "infra-plan": "token that may read the labels of the pull request; without one the "
    "labels are those of when the run began",
    "infra-apply": "token that may read the plans that were reviewed, add deployments and comment; without one only a "
    "digest says what was reviewed",
}
TOKEN_GIVEN = {"reproduce": ""}  # the code of a pull request runs there, which gets none; others have the built-in one


@dataclass(frozen=True)
class Permission:
    """A permission of the job that runs an action, and why it is needed."""

    name: str
    level: str
    reason: str


PERMISSIONS: dict[str, tuple[Permission, ...]] = {
    "check": (Permission("contents", "read", "to check out the repository"),),
    "reproduce": (Permission("contents", "read", "to check out the repository"),),
    "gate": (Permission("contents", "read", "to check out the repository"),),
    "judge": (Permission("contents", "read", "to check out the base, and to fetch the commit that is judged"),),
    "report": (
        Permission("pull-requests", "write", "to post the card as a comment; not needed with `publisher: summary`"),
        Permission("checks", "write", "to add the check run with the verdict of the gate"),
        Permission("contents", "read", "to check out the repository; `write` where `assets` is used"),
    ),
    "deploy": (
        Permission("contents", "write", "to push the tags of version and deployment"),
        Permission("deployments", "write", "to report the deployment and its status"),
        Permission("pull-requests", "write", "to open a revert pull request after a failed deployment"),
    ),
    "monitor": (
        Permission("contents", "write", "to keep the results of the last run on the branch leverframe-monitor"),
        Permission("issues", "write", "to open, update and close the issues of alerts"),
    ),
    "retrain": (
        Permission("contents", "write", "to push the branch of a candidate, and to keep the record of attempts"),
        Permission("pull-requests", "write", "to open, update and close the pull request of a candidate"),
        Permission("actions", "write", "to dispatch the checks of the pull request, with the built-in token"),
        Permission("issues", "write", "to ask for a person after three attempts that did not help"),
    ),
    "materialize": (Permission("contents", "read", "to check out the repository"),),
    "infra-plan": (
        Permission("contents", "read", "to check out the repository"),
        Permission("id-token", "write", "to act as the role that reads, with no key kept anywhere"),
        Permission("pull-requests", "read", "to read the labels that allow destroying protected resources"),
        Permission("deployments", "read", "to tell which commit was applied last"),
    ),
    "infra-apply": (
        Permission("contents", "read", "to check out the repository, and to read the plans that were reviewed"),
        Permission("id-token", "write", "to act as the role that applies, with no key kept anywhere"),
        Permission("checks", "read", "to read which plan a card showed"),
        Permission("deployments", "write", "to record that an apply began, and how it ended"),
        Permission("pull-requests", "write", "to comment on the pull requests that are applied"),
    ),
    "setup": (Permission("contents", "read", "to check out the repository"),),
}


def permission_lines(name: str) -> str:
    """Return the permissions of the job that runs an action, as lines of a workflow."""
    return "\n".join(
        f"      {permission.name}: {permission.level} # {permission.reason}" for permission in PERMISSIONS[name]
    )
