"""What is written down of a deployment: versions that say what changed, assignments that are never written twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leverframe.domain.release.ledger import Ledger, Revert, Reverted, assigned, following
from leverframe.domain.release.registry import Registry
from leverframe.domain.release.release_state import Release
from leverframe.domain.release.tag import Tag
from leverframe.domain.verdict import Reason, Violation
from leverframe.errors import PromotionError
from tests.unit.test_deploy import manifest


@dataclass
class Book:
    """Tags in a list; one that is there may not be added again, as in git."""

    kept: list[Tag] = field(default_factory=list)

    def tags(self, model: str) -> Sequence[Tag]:
        """Return those of the model."""
        return [tag for tag in self.kept if tag.name.startswith((f"{model}@", f"{model}#"))]

    def tag(self, tag: Tag) -> None:
        """Add one."""
        assert tag.name not in {earlier.name for earlier in self.kept}
        self.kept.append(tag)

    @property
    def names(self) -> list[str]:
        """Their names, in the order in which they came."""
        return [tag.name for tag in self.kept]


@dataclass
class Forge:
    """Deployments and reverts in lists."""

    known: list[tuple[str, str]] = field(default_factory=list)
    states: list[tuple[int, str, str]] = field(default_factory=list)
    reverts: list[tuple[str, str, str]] = field(default_factory=list)

    def deployment(self, commit: str, environment: str, payload: dict[str, str]) -> int:
        """Return its number."""
        assert payload["commit"] == commit
        if (commit, environment) not in self.known:
            self.known.append((commit, environment))
        return self.known.index((commit, environment))

    def deployed(self, number: int, state: str, description: str) -> None:
        """Add a state."""
        assert len(description) <= 140
        newest = next((entry for entry in reversed(self.states) if entry[0] == number), None)
        if newest != (number, state, description):
            self.states.append((number, state, description))

    def revert(self, revert: Revert) -> Reverted:
        """Return an address."""
        self.reverts.append((revert.left.commit, revert.title, revert.text))
        return Reverted(f"pull/{len(self.reverts)}")


def release(number: int, bundle: str, commit: str = "c", **parts: str) -> Release:
    """Return a release."""
    return Release(number, manifest(bundle, commit, **parts), "2024-01-01T00:00:00+00:00")


def test_versions_say_what_changed() -> None:
    """First 1.0.0, learnt anew a patch, other features or another schema a minor version; the same bundle none."""
    book = Book()
    ledger = Ledger(book, None, "shop", "staging")
    for deployed, version in (
        (release(1, "a"), "shop@v1.0.0"),
        (release(2, "b", "d"), "shop@v1.0.1"),
        (release(3, "e", "f", plan="q"), "shop@v1.1.0"),
        (release(4, "g", "h", plan="q", schema="t"), "shop@v1.2.0"),
        (release(5, "a", "i"), "shop@v1.0.0"),
    ):
        assert ledger.served(deployed).version == version
    assert [name for name in book.names if "#" in name] == [f"shop#staging#{n}" for n in range(1, 6)]


def test_the_same_is_never_written_twice() -> None:
    """A deployment that was killed after the switch is recorded by the next one; a third adds nothing."""
    book, forge = Book(), Forge()
    for _ in range(3):
        ledger = Ledger(book, forge, "shop", "staging")
        ledger.begin(manifest("a")) if not forge.states else None
        record = ledger.served(release(1, "a"))
    assert book.names == ["shop@v1.0.0", "shop#staging#1"]
    assert (record.version, record.assignment, record.deployment) == ("shop@v1.0.0", "shop#staging#1", 0)
    assert [state for _, state, _ in forge.states] == ["in_progress", "success"]


def test_environments_share_versions_and_numbers() -> None:
    """Promotion assigns the registered version, at its commit, and takes the next number of the model."""
    book = Book()
    Ledger(book, None, "shop", "staging").served(release(1, "a", "c"))
    Ledger(book, None, "shop", "production").served(release(1, "a", "d"))
    assert book.names == ["shop@v1.0.0", "shop#staging#1", "shop#production#2"]
    assert {tag.commit for tag in book.kept} == {"c" * 40}
    registry = Registry(book.kept, "shop")
    newest = registry.serving("production")
    assert newest is not None
    assert newest.name == "shop#production#2"
    assert registry.serving("nowhere") is None


def test_a_commit_that_became_something_else_is_refused() -> None:
    """The release manifest in the tag is held against the one that is deployed; what differs is named."""
    book = Book()
    ledger = Ledger(book, None, "shop", "staging")
    ledger.served(release(1, "a"))
    ledger.check(manifest("a"))
    ledger.check(manifest("b", "d"))
    with pytest.raises(PromotionError, match=r"`shop@v1\.0\.0` registered"):
        ledger.check(manifest("b"))


def test_a_failure_is_shown_and_taken_back() -> None:
    """Once, with what is wrong; not where nothing served before, nor for a copy that was damaged on its way."""
    forge = Forge()
    ledger = Ledger(Book(), forge, "shop", "staging")
    ledger.begin(manifest("b", "d"))
    wrong = Violation(Reason.SMOKE_FAILED, "golden row 3 of <b>@all</b> " + "x" * 300, "mend it")
    record = ledger.failed(manifest("b", "d"), wrong, release(1, "a"))
    assert record.revert == "pull/1"
    assert forge.states[-1][1] == "failure"
    ((commit, title, body),) = forge.reverts
    assert commit == "d" * 40
    assert "`staging` does not serve it" in title
    assert "smoke&#45;failed" in body or "smoke-failed" in body
    assert "<b>" not in body
    assert "@all" not in body
    assert ledger.failed(manifest("b", "d"), wrong, None).revert == ""
    damaged = Violation(Reason.BUNDLE_DAMAGED, "cut short", "pull")
    assert ledger.failed(manifest("b", "d"), damaged, release(1, "a")).revert == ""
    assert Ledger(Book(), None, "shop", "staging").failed(manifest("b"), wrong, release(1, "a")).lines() == []


def test_going_back_assigns_the_earlier_version_again() -> None:
    """Its tag gets a new assignment, its deployment is active again, and the later commit is taken back."""
    book, forge = Book(), Forge()
    ledger = Ledger(book, forge, "shop", "staging")
    first, second = release(1, "a", "c"), release(2, "b", "d")
    ledger.served(first)
    ledger.served(second)
    record = ledger.rolled_back(second, first, "late labels")
    assert (record.version, record.assignment, record.revert) == ("shop@v1.0.0", "shop#staging#3", "pull/1")
    assert forge.reverts[0][0] == "d" * 40
    assert "late labels" in forge.reverts[0][2]
    assert [line for line in record.lines() if "pull/1" in line]


@given(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=12))
def test_numbers_of_versions_only_grow(bundles: list[str]) -> None:
    """Whatever is deployed in whichever order; the environment's newest assignment is what it serves."""
    book = Book()
    ledger = Ledger(book, None, "shop", "staging")
    for number, bundle in enumerate(bundles, 1):
        plan = "q" if bundle in "abc" else "p"
        ledger.served(release(number, bundle, bundle, plan=plan))
        newest = Registry(book.kept, "shop").serving("staging")
        assert newest is not None
        assert newest.commit == bundle * 40
    known = Registry(book.kept, "shop").versions
    assert len(known) == len(set(bundles))
    assert following(known, manifest("z")) > known[-1].number


def test_tags_of_others_are_left_alone() -> None:
    """Another model, another form, a message of somebody else."""
    tags = [
        Tag("shop-2@v9.0.0", "c" * 40, ""),
        Tag("shop@9.0", "c" * 40, ""),
        Tag("shop@v2.0.0", "c" * 40, "made by hand"),
        Tag("shop#staging", "c" * 40, ""),
    ]
    (only,) = Registry(tags, "shop").versions
    assert (only.name, only.manifest) == ("v2.0.0", None)
    assert following([only], manifest("a")) == (2, 1, 0)
    assert assigned(tags, "shop", "staging").manifest is None
