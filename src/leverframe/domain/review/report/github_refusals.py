"""What the words mean by which GitHub refuses something: often not a permission that the job lacks."""

from __future__ import annotations

import re

# Beginnings of GitHub's messages as bots have met them, and what to do then. Nobody could comment there.
_CLOSED = (
    (
        r"(issue|conversation|thread|pull request) (is|was|has been) locked|locked conversation",
        "unlock the conversation, or post with the token of somebody who may write there",
    ),
    (r"archived", "the repository is read-only: unarchive it"),
    (
        r"commenting is disabled|(too many|number of|limit of|than [\d,]+) comments|comment limit",
        "the pull request has all comments that GitHub takes: open another one for its branch",
    ),
    (r"\bblocked\b|suspended|flagged", "let an owner unblock the account that the token is of, or use another token"),
    (
        r"\binteractions?\b|limited the ability|collaborators? (only|can|may)|only collaborators|be a collaborator",
        "let an owner lift the limit of interactions, or post with the token of a collaborator",
    ),
)
_LACKS = re.compile(r"not accessible by|permission|must have|write access|requires? .*\b(scope|access)", re.IGNORECASE)
_OTHERS = (
    (
        r"authenticate via a github app",
        "GitHub takes checks from Apps alone: hand the built-in token, or that of an App, to the step",
    ),
    (r"no commit found", "push the commit that was looked at, or check out one that was pushed"),
    (r"saml|single sign-on", "authorise the token for the organisation, or use the built-in one"),
    (r"ip allow list", "let the addresses of the runners be on the list of the organisation"),
)


def closed(message: str) -> str:
    """Return what to do where nobody can comment, whatever the token may; empty where that is not the reason."""
    return _following(_CLOSED, message)


def following(message: str) -> str:
    """Return what to do about a refusal that is no lack of a permission; empty where nothing is known of it."""
    return closed(message) or _following(_OTHERS, message)


def lacks_permission(message: str) -> bool:
    """Tell whether a refusal says that the token may not, or says nothing at all."""
    return message.strip().lower() in ("", "forbidden", "not found") or bool(_LACKS.search(message))


def _following(known: tuple[tuple[str, str], ...], message: str) -> str:
    return next((step for words, step in known if re.search(words, message, re.IGNORECASE)), "")
