"""Who has approved what the judge cannot judge: owners by the `CODEOWNERS` of the base's tip, for one commit.

Source of the rules: GitHub's documentation "About code owners" and "About pull request reviews".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from leverframe.domain.codeowners import Owners, owners
from leverframe.domain.review.judge.judged import OwnerReview

APPROVED, COMMENTED, PENDING = "APPROVED", "COMMENTED", "PENDING"
OWN_WORD = "approve"  # the first line by which an author approves where `judge.own_approval` allows it
_MAINTAINS, _WRITES = ("admin", "maintain"), ("admin", "maintain", "write")
_MAINTAINER = "somebody who maintains the repository"


@dataclass(frozen=True)
class Review:
    """A review of a pull request: who, in which state, of which commit, and what it says."""

    login: str
    state: str
    commit: str
    body: str = ""


class People(Protocol):
    """The port to who people are in the repository."""

    def role(self, login: str) -> str:
        """Return the role of a person: `admin`, `maintain`, `write`, `triage`, `read` or `none`."""

    def member(self, team: str, login: str) -> bool | None:
        """Tell whether a person is in a team `org/team`; None where the token may not know it."""


@dataclass(frozen=True)
class ReviewContext:
    """What the reviews are looked at for: the commit, its author, the rules of ownership, and who people are.

    ``own`` lets the author approve by a review comment that begins with ``OWN_WORD``; else the author never counts.
    """

    head: str
    author: str
    rules: str
    people: People
    own: bool = False


def resolved(owed: OwnerReview, reviews: Sequence[Review], by: ReviewContext) -> tuple[OwnerReview, tuple[str, ...]]:
    """Return what is still missing of approvals, and notes on those that could not count.

    A path needs one of its owners; one that nobody owns, and paths that the card does not list, a maintainer.
    """
    approving = approvers(reviews, by.head, by.author, own=by.own)
    counted, missing, asked, hidden = set[str](), list[str](), dict[str, None](), set[str]()
    for path in owed.paths:
        named = owners(by.rules, path)
        able = {login for login in approving if _may(named, login, by.people, hidden)}
        counted |= able
        if not able:
            missing.append(path)
            asked |= dict.fromkeys(_asked(named))
    if owed.count > len(owed.paths) and not any(by.people.role(login) in _MAINTAINS for login in approving):
        missing.append(f"{owed.count - len(owed.paths):,} paths that the card does not list")
        asked |= {_MAINTAINER: None}
    notes = [
        f"whether an approval is of the team {team} cannot be told: the token may not read its members"
        for team in sorted(hidden)
    ]
    resolved_review = replace(
        owed, missing=tuple(missing), owners=tuple(asked), approved_by=tuple(sorted(counted, key=str.lower))
    )
    return resolved_review, tuple(notes)


def approvers(reviews: Iterable[Review], head: str, author: str, *, own: bool = False) -> tuple[str, ...]:
    """Return who approves exactly this commit, by the last review of each that is more than a comment."""
    last: dict[str, Review] = {}
    for review in reviews:
        login = review.login.lower()
        if login == author.lower():
            if own and review.state == COMMENTED and _first_line(review.body) == OWN_WORD:
                last[login] = replace(review, state=APPROVED)
        elif login and review.state not in (COMMENTED, PENDING):
            last[login] = review
    return tuple(review.login for review in last.values() if review.state == APPROVED and review.commit == head)


def _first_line(body: str) -> str:
    return body.strip().partition("\n")[0].strip().lower()


def _may(named: Owners, login: str, people: People, hidden: set[str]) -> bool:
    """Tell whether an approval by a person counts for a path; ``hidden`` gets the teams that nobody may look into."""
    if not (named.logins or named.teams):
        return people.role(login) in _MAINTAINS
    if people.role(login) not in _WRITES:  # GitHub ignores owners who may not write, too
        return False
    if login.lower() in {owner.lower() for owner in named.logins}:
        return True
    for team in named.teams:
        member = people.member(team, login)
        if member:
            return True
        if member is None:
            hidden.add(team)
    return False


def _asked(named: Owners) -> tuple[str, ...]:
    return (*named.logins, *named.teams) or (_MAINTAINER,)
