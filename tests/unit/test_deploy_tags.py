"""Tags of versions and assignments, read as GTO reads them: its own package, which DVC brings, is asked the same."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner
from dulwich.refs import Ref, check_ref_format
from gto import api
from gto.base import Artifact, BaseRegistryState
from gto.cli import app
from gto.constants import Action, VersionSort
from gto.tag import TagArtifactManager, TagStageManager, TagVersionManager, parse_name
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scmrepo.git.objects import GitTag

from leverframe.adapters.git import Git
from leverframe.domain.release.ledger import Ledger, assigned, refuse_unassigned
from leverframe.domain.release.registry import Kind, Registry, artifact_of, in_tags, read
from leverframe.domain.release.release_manifest import tag_message
from leverframe.domain.release.tag import Tag
from leverframe.errors import PromotionError
from leverframe.local.repository import TemporaryRepository
from tests.profiles import examples
from tests.unit.test_deploy import manifest
from tests.unit.test_deploy_record import Book, release

GUIDE = Path(__file__).parents[2] / "docs/guides/serving.md"
KINDS = {
    Kind.REGISTER: Action.REGISTER, Kind.WITHDRAW: Action.DEREGISTER, Kind.ASSIGN: Action.ASSIGN,
    Kind.UNASSIGN: Action.UNASSIGN, Kind.DEPRECATE: Action.DEPRECATE,
}  # fmt: skip
MODELS = ("shop", "shop-2", "services/ml:shop", "a.b/c:shop")
PARTS = ("shop", "s", "-", "/", "=", "#", "@", "v1.0.0", "v1.2.3-rc.1", "v01.0.0", "v1.0", "+b.1", "prod", "!", "1",
         "#7", "deprecated", ".", "_", " ")  # fmt: skip


@settings(max_examples=examples(4))
@given(st.lists(st.sampled_from(PARTS), max_size=8).map("".join) | st.text("shop=#@v1.0!-/", max_size=14))
@example("shop#prod!1")
@example("shop#prod!#1")
@example("shop@v1.0.0!")
@example("services/ml=shop@v1.0.0-rc.1+build#12")
def test_a_name_says_what_it_says_to_gto(name: str) -> None:
    theirs, ours = parse_name(name, raise_on_fail=False), read(Tag(name, "c" * 40))
    if not theirs or name.endswith("\n"):
        assert ours is None
        return
    assert ours is not None
    assert (ours.artifact, KINDS[ours.kind], ours.counter) == (
        theirs["name"], theirs["action"], theirs.get("counter", 0)
    )  # fmt: skip
    assert ours.subject == (theirs.get("version") or theirs.get("stage") or "")


@dataclass(frozen=True)
class Scm:
    """Tags as GTO asks for them; a lightweight one is the name of its commit."""

    known: dict[str, Tag]

    def list_tags(self) -> list[str]:
        return sorted(self.known)

    def get_tag(self, name: str) -> GitTag | str:
        tag = self.known[name]
        if not tag.annotated:
            return tag.commit
        return GitTag(name, "f" * 40, tag.commit, "A", "a@example.org", tag.at, 0, tag.message)


def by_gto(tags: Sequence[Tag], artifact: str) -> Artifact | None:
    """Return what GTO makes of tags, as `gto show` does."""
    scm, state = Scm({tag.name: tag for tag in tags}), BaseRegistryState()
    for manager in (TagArtifactManager, TagVersionManager, TagStageManager):
        state = manager.model_construct(scm=scm, config=None).update_state(state)
    return state.artifacts.get(artifact)


@st.composite
def histories(draw: st.DrawFn) -> list[Tag]:
    """Return tags of two models, each second one: versions stand at one commit each, as GTO demands."""
    tags: list[Tag] = []
    for second in range(draw(st.integers(1, 14))):
        model, version = in_tags(draw(st.sampled_from(MODELS[1:3]))), draw(st.integers(0, 3))
        counter = draw(st.sampled_from(["", f"#{second + 1}"]))
        number = ("1.0.0-rc.1", "1.0.0", "1.0.1", "0.9.0")[version]
        form = draw(st.sampled_from(["@v{}", "@v{}", "@v{}!", "#prod", "#prod", "#stage", "#prod!", "@deprecated"]))
        name = f"{model}{form.format(number)}{counter}"
        there = [tag.name for tag in tags if tag.annotated]
        registered = any(read_.kind is Kind.REGISTER and read_.subject == f"v{number}" and read_.tag.annotated
                         and in_tags(read_.artifact) == model for read_ in filter(None, map(read, tags)))  # fmt: skip
        if name in there or ("!" in form and not registered) or any(tag.name == name for tag in tags):
            continue
        tags.append(Tag(name, str(version) * 40, "", 1_000 + second, draw(st.sampled_from([True, True, True, False]))))
    return tags


@settings(max_examples=examples(3))
@given(histories())
def test_a_history_of_tags_means_what_it_means_to_gto(tags: list[Tag]) -> None:
    """Which versions stand, which one an environment serves, and whether the model is deprecated."""
    for artifact in {event.artifact for event in filter(None, map(read, tags))}:
        theirs, ours = by_gto(tags, artifact), Registry(tags, artifact)
        if theirs is None:
            assert (ours.versions, ours.assigned("prod")) == ([], [])
            continue
        assert bool(ours.deprecated) is not theirs.is_active
        if ours.deprecated:
            continue
        standing = [version.name for version in ours.versions if not version.withdrawn]
        assert standing == [version.version for version in theirs.get_versions(ascending=True)]
        stages = theirs.get_vstages(sort=VersionSort.Timestamp)
        for environment in ("prod", "stage"):
            tag = ours.serving(environment)
            assert (tag.commit if tag else None) == next((s.commit_hexsha for s in stages.get(environment, [])), None)


def test_tags_of_gto_itself_are_read_from_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Registered, assigned, unassigned and deprecated by GTO in a repository, beside lightweight tags."""
    repository = TemporaryRepository.create(tmp_path, dvc=False)
    for name, value in repository.environment.items():
        monkeypatch.setenv(name, value)
    one, two = repository.commit("One"), repository.commit("Two")
    root, model, git = str(repository.root), "services/ml:shop", Git(repository.root)
    at = iter(range(1_700_000_000, 1_700_000_100))

    def later() -> None:
        now = float(next(at))
        monkeypatch.setattr("time.time", lambda: now)

    def registry() -> Registry:
        return Registry(git.tags(in_tags(model)), model)

    steps: tuple[Callable[[], object], ...] = (
        lambda: api.register(root, model, one, version="v1.0.0"),
        lambda: api.assign(root, model, "prod", version="v1.0.0"),
        lambda: api.register(root, model, two),
        lambda: api.assign(root, model, "prod", version="v1.0.1"),
    )
    for step in steps:
        later()
        step()
    repository.git("tag", "services/ml=shop@v1.0.2", two)
    assert [(version.name, version.tag.commit) for version in registry().versions][:2] == [
        ("v1.0.0", one),
        ("v1.0.1", two),
    ]
    serving = registry().serving("prod")
    assert serving is not None
    assert serving.name == "services/ml=shop#prod#2"
    assert registry().free((1, 0, 2)) == (1, 0, 3)
    later()
    api.unassign(root, model, stage="prod", version="v1.0.1")
    serving = registry().serving("prod")
    assert serving is not None
    assert serving.commit == one == api.show(root, f"{model}#prod")[0]["commit_hexsha"]
    later()
    api.deregister(root, model, version="v1.0.0")
    assert (registry().serving("prod"), api.show(root, f"{model}#prod")) == (None, [])
    assert (
        "`services/ml=shop@v1.0.0`, which it serves, was deprecated by the tag"
        in assigned(git.tags(in_tags(model)), model, "prod").why
    )
    later()
    api.deprecate(root, model)
    assert registry().deprecated == "services/ml=shop@deprecated"
    git.tag(Tag("services/ml=shop@v2.0.0", repository.commit("Three"), "Ours.\n\nMore.\n", registry().later))
    assert registry().deprecated == ""
    assert registry().versions[-1].tag.message == "Ours.\n\nMore.\n"
    assert api.show(root, model)[0]["version"] == "v2.0.0"


def test_the_commands_of_gto_in_the_guide_make_the_tags_that_it_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are those of the `gto` that is here, and what they take back is taken back to us."""
    guide = " ".join(GUIDE.read_text(encoding="utf-8").split())
    named = re.findall(r"`gto (deprecate [^`]+)`, the tag `([^`]+)`", guide)
    assert len(named) == 2
    for command, tag in named:
        repository = TemporaryRepository.create(tmp_path / tag, dvc=False)
        for name, value in repository.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(repository.root)
        root = str(repository.root)
        _, model, version, *_ = command.split()
        api.register(root, model, repository.commit("One"), version=version)
        api.assign(root, model, "staging", version=version)
        done = CliRunner().invoke(app, command.split())
        assert done.exit_code == 0, done.output
        tags = Git(repository.root).tags(in_tags(model))
        assert tag in {made.name for made in tags}
        assert Registry(tags, model).serving("staging") is None


@given(st.lists(st.text(max_size=6), max_size=4).map("/".join), st.sampled_from(["shop", "a"]))
@example("services/ml", "shop")
@example(".hidden/a..b/c.lock/d", "shop")
@example("Données du mois", "shop")
def test_the_model_of_any_folder_has_a_name_that_git_and_gto_take(folder: str, model: str) -> None:
    name = artifact_of(model, folder)
    tag = f"{in_tags(name)}@v1.0.0"
    assert check_ref_format(Ref(f"refs/tags/{tag}".encode()))
    assert parse_name(tag)["name"] == name
    event = read(Tag(tag, "c" * 40))
    assert event is not None
    assert event.artifact == name


def test_models_of_two_folders_share_no_tag() -> None:
    book = Book()
    for folder in ("", "services/a", "services/b", "services/a b", "services/a-b"):
        Ledger(book, None, artifact_of("shop", folder), "prod").served(release(1, "a"))
    assert len(set(book.names)) == 10
    assert "services/a=shop@v1.0.0" in book.names
    assert "services/a=shop#prod#1" in book.names


def test_a_lightweight_tag_is_no_version_and_keeps_its_name() -> None:
    """The next number is taken, whichever kind of tag stands at it; counters go on after it as well."""
    book = Book([Tag("shop@v1.0.0", "e" * 40, annotated=False), Tag("shop#staging#4", "e" * 40, annotated=False)])
    book.kept.append(Tag("shop@v1.0.1!#2", "e" * 40))
    recorded = Ledger(book, None, "shop", "staging").served(release(1, "a"))
    assert (recorded.version, recorded.assignment) == ("shop@v1.0.2", "shop#staging#5")


@pytest.mark.parametrize("tag", ["shop@v1.0.0!#3", "shop@v1.0.0!", "shop@deprecated"])
def test_what_was_deprecated_is_deployed_and_promoted_no_more(tag: str) -> None:
    """Also by its bundle at another commit; what serves already goes on, and so does what is registered again."""
    book = Book()
    ledger = Ledger(book, None, "shop", "production")
    Ledger(book, None, "shop", "staging").served(release(1, "a"))
    book.kept.append(Tag(tag, "c" * 40, "", 50))
    for commit in "cd":
        with pytest.raises(PromotionError, match="was deprecated") as refused:
            ledger.check(manifest("a", commit))
        assert f"the tag `{tag}` says so" in refused.value.why
        assert tag in refused.value.next
    ledger.check(manifest("a"), release(1, "a"))
    standing = assigned(book.kept, "shop", "staging")
    assert standing.manifest is None
    assert f"`{tag}`" in standing.why
    book.kept.append(Tag("shop@v1.0.0#9", "c" * 40, "Registered again by GTO.", 60))
    ledger.check(manifest("a"))
    assert assigned(book.kept, "shop", "staging").manifest == manifest("a")


def test_an_unassigned_version_is_not_promoted() -> None:
    """Nor one of another tool, whose bundle nobody knows; one at the commit that is deployed is taken as it is."""
    book = Book()
    Ledger(book, None, "shop", "staging").served(release(1, "a"))
    book.kept.append(Tag("shop#staging!#2", "c" * 40, "", 50))
    assert assigned(book.kept, "shop", "staging").why == "the tag `shop#staging!#2` took the assignment back"
    with pytest.raises(PromotionError, match="was unassigned from `staging`") as refused:
        refuse_unassigned(book.kept, "shop", "staging", manifest("a", "d"))
    assert "`shop#staging!#2`" in refused.value.why
    refuse_unassigned(book.kept, "shop", "production", manifest("a"))
    refuse_unassigned(book.kept, "shop", "staging", manifest("b"))
    Ledger(book, None, "shop", "staging").served(release(1, "a"))
    refuse_unassigned(book.kept, "shop", "staging", manifest("a"))
    assert book.names[-1] == "shop#staging#3"
    assert assigned(book.kept, "shop", "staging").manifest == manifest("a")
    book.kept += [Tag("shop@v2.0.0", "d" * 40, "By hand.", 70), Tag("shop#staging", "d" * 40, "", 71)]
    assert "`shop@v2.0.0` was registered by another tool" in assigned(book.kept, "shop", "staging").why
    assert Ledger(book, None, "shop", "production").served(release(1, "z", "d")).version == "shop@v2.0.0"
    book.kept.append(Tag("shop#staging#90", "9" * 40, "", 80))
    assert "where no version is registered" in assigned(book.kept, "shop", "staging").why


def test_what_is_written_counts_after_every_tag_there_is() -> None:
    """A tag of a machine whose clock is ahead, or of the same second, is no later than what is recorded now."""
    book = Book(
        [
            Tag("shop@v1.0.0", "c" * 40, tag_message(manifest("a"), "x"), 9_000),
            Tag("shop#staging#1", "c" * 40, "", 9_000),
        ]
    )
    ledger = Ledger(book, None, "shop", "staging")
    for number, bundle in enumerate("baba", 2):
        ledger.served(release(number, bundle, "d" if bundle == "b" else "c"))
        assert assigned(book.kept, "shop", "staging").manifest == manifest(bundle, "d" if bundle == "b" else "c")
    times = [tag.at for tag in book.kept[1:]]
    assert times == sorted(set(times))
