"""Who has approved what the judge cannot judge: the last review of each owner, of exactly the commit."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leverframe.domain.review.judge.judged import OwnerReview
from leverframe.domain.review.judge.owners import Review, ReviewContext, approvers, resolved
from leverframe.domain.verdict import Reason

HEAD, OLD = "a" * 40, "b" * 40
RULES = "*.py @ada @org/ml\n/.github/ @ops\n/free/\n/mail/ someone@example.com\n"


@dataclass
class Known:
    """People whose roles and teams are written down; a team that is not is one that the token may not read."""

    roles: dict[str, str] = field(default_factory=lambda: {"ada": "write", "ops": "admin", "mel": "write"})
    teams: dict[str, set[str]] = field(default_factory=dict)

    def role(self, login: str) -> str:
        """Return the role that is written down."""
        return self.roles.get(login.lower(), "read")

    def member(self, team: str, login: str) -> bool | None:
        """Tell whether somebody is in a team."""
        return login.lower() in self.teams[team] if team in self.teams else None


def owed(*paths: str, count: int = 0) -> OwnerReview:
    """Return what is owed before anybody looked at the reviews."""
    return OwnerReview(count or len(paths), paths, paths)


def looked(people: Known | None = None, *, own: bool = False, rules: str = RULES) -> ReviewContext:
    """Return what the reviews of a pull request of `bob` are looked at for."""
    return ReviewContext(HEAD, "bob", rules, people or Known(), own)


def approval(login: str, commit: str = HEAD, state: str = "APPROVED", body: str = "") -> Review:
    """Return a review."""
    return Review(login, state, commit, body)


def test_an_owner_who_approves_this_commit_is_enough() -> None:
    """Logins are compared without case; the verdict has no reason left."""
    review, notes = resolved(owed("src/a.py"), [approval("Ada")], looked())
    assert (review.missing, review.approved_by, notes) == ((), ("Ada",), ())
    assert review.violations == ()


@pytest.mark.parametrize(
    "reviews",
    [
        [],
        [approval("ada", OLD)],
        [approval("ada"), approval("ada", state="CHANGES_REQUESTED")],
        [approval("ada", state="DISMISSED")],
        [approval("ada", state="COMMENTED", body="approve")],
        [approval("bob")],
        [approval("eve")],
        [approval("ops")],  # an administrator who does not own the path
        [approval("")],
    ],
)
def test_nothing_else_counts(reviews: list[Review]) -> None:
    """The commit is another one, the owner changed their mind, or nobody who owns the path said it."""
    review, _ = resolved(owed("src/a.py"), reviews, looked())
    assert review.missing == ("src/a.py",)
    assert review.owners == ("ada", "org/ml")
    (violation,) = review.violations
    assert violation.reason == Reason.NEEDS_OWNER
    assert "ada" in violation.next


def test_a_comment_after_an_approval_leaves_it() -> None:
    """So does GitHub; a second approval after a refusal counts again."""
    reviews = [approval("ada", state="CHANGES_REQUESTED"), approval("ada"), approval("ada", state="COMMENTED")]
    assert approvers(reviews, HEAD, "bob") == ("ada",)


def test_each_path_needs_one_of_its_owners() -> None:
    """The last line that fits decides; who owns one path does not speak for another."""
    review, _ = resolved(owed(".github/a.py", "src/a.py"), [approval("ada")], looked())
    assert review.missing == (".github/a.py",)
    assert review.owners == ("ops",)
    review, _ = resolved(owed(".github/a.py", "src/a.py"), [approval("ada"), approval("ops")], looked())
    assert (review.missing, review.approved_by) == ((), ("ada", "ops"))


@pytest.mark.parametrize("path", ["dvc.yaml", "free/a.txt", "mail/a.txt"])
def test_what_nobody_owns_needs_a_maintainer(path: str) -> None:
    """Without a line, with a line without owners, and with one whose owner is an address nobody can look up."""
    assert resolved(owed(path), [approval("ada")], looked())[0].missing == (path,)
    assert resolved(owed(path), [approval("ops")], looked())[0].missing == ()
    assert resolved(owed(path), [approval("ada")], looked(Known({"ada": "maintain"}), rules=""))[0].missing == ()


def test_an_owner_who_may_not_write_is_none() -> None:
    """GitHub ignores such lines: somebody left the team, and the file was not edited."""
    assert resolved(owed("src/a.py"), [approval("ada")], looked(Known({})))[0].missing == ("src/a.py",)


def test_a_team_counts_where_its_members_can_be_read() -> None:
    """Where they cannot, the approval does not count, and a note says so."""
    known = Known(teams={"org/ml": {"mel"}})
    assert resolved(owed("src/a.py"), [approval("mel")], looked(known))[0].missing == ()
    review, notes = resolved(owed("src/a.py"), [approval("mel")], looked())
    assert review.missing == ("src/a.py",)
    assert "org/ml" in notes[0]


def test_paths_that_the_card_does_not_list_need_a_maintainer() -> None:
    """Nobody can tell who owns them."""
    many = owed("src/a.py", count=5_001)
    review, _ = resolved(many, [approval("ada")], looked())
    assert review.missing == ("5,000 paths that the card does not list",)
    assert resolved(many, [approval("ada"), approval("ops")], looked())[0].missing == ()


def test_an_author_approves_alone_only_where_that_is_allowed() -> None:
    """By the first line of a review comment of the commit; GitHub takes no approval of an author."""
    known = Known({"bob": "admin"})
    mine = approval("bob", state="COMMENTED", body="Approve\n\nI read it again.")
    path = "dvc.yaml"
    assert resolved(owed(path), [mine], looked(known))[0].missing == (path,)
    assert resolved(owed(path), [mine], looked(known, own=True))[0].missing == ()
    for other in (replace(mine, commit=OLD), replace(mine, body="I would approve"), replace(mine, state="PENDING")):
        assert resolved(owed(path), [other], looked(known, own=True))[0].missing == (path,)


REVIEWS = st.lists(
    st.builds(
        Review,
        st.sampled_from(["ada", "Ada", "ops", "mel", "bob", "eve", ""]),
        st.sampled_from(["APPROVED", "COMMENTED", "CHANGES_REQUESTED", "DISMISSED", "PENDING"]),
        st.sampled_from([HEAD, OLD]),
        st.sampled_from(["", "approve"]),
    ),
    max_size=8,
)
PATHS = st.lists(st.sampled_from(["src/a.py", ".github/a.yml", "dvc.yaml", "free/x"]), min_size=1, unique=True)


@given(PATHS, REVIEWS, st.sampled_from(["ada", "ops", "mel"]))
def test_another_approval_never_makes_more_missing(paths: list[str], reviews: list[Review], login: str) -> None:
    """And reviews of other commits alone, or of the author, make nothing less."""
    before = resolved(owed(*paths), reviews, looked())[0].missing
    assert set(resolved(owed(*paths), [*reviews, approval(login)], looked())[0].missing) <= set(before)
    useless = [review for review in reviews if review.commit == OLD or review.login == "bob"]
    assert resolved(owed(*paths), useless, looked())[0].missing == tuple(paths)


@given(PATHS, REVIEWS)
def test_nothing_is_missing_only_by_approvals_of_this_commit(paths: list[str], reviews: list[Review]) -> None:
    """Whoever is named as having approved has approved it, is not the author, and may write."""
    review, _ = resolved(owed(*paths), reviews, looked())
    for login in review.approved_by:
        assert approval(login) in [replace(vote, body="") for vote in reviews]
        assert login != "bob"
        assert Known().role(login) in ("admin", "write")
    assert bool(review.approved_by) >= (review.missing != tuple(paths))
