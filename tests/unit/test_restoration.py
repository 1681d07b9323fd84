"""Files of a release on a tip that went on: whatever changed where, the outputs are those of the release again."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from leverframe.domain.release.restoration import (
    CHANGED_SINCE,
    WORKFLOW,
    Commit,
    Restoration,
    Scope,
    Sides,
    described,
    restore,
)
from tests.profiles import examples

BUNDLE = "models/bundle"
PATHS = ("params.yaml", "code/model.py", "reports/metrics.json", "README.md", "docs/a.md", ".github/workflows/w.yml",
         "raw.dvc")  # fmt: skip
DESCRIBED = {"params.yaml", "code/model.py", "reports/metrics.json", "raw.dvc", "dvc.lock", "dvc.yaml"}
NOTHING = "000000 0"

Tree = dict[str, str]


def lock(model: str, other: str) -> str:
    """Return a lock with the stage of the bundle, and one that another stage wrote."""
    return (
        "schema: '2.0'\nstages:\n"
        f"  bundle:\n    cmd: b\n    deps:\n    - path: code\n      hash: md5\n      md5: {model}\n"
        "    params:\n      params.yaml:\n        a: 1\n"
        f"    outs:\n    - path: {BUNDLE}\n      hash: md5\n      md5: {model}\n"
        f"  other:\n    cmd: o\n    deps:\n    - path: raw\n      hash: md5\n      md5: {other}\n"
        f"    outs:\n    - path: reports/metrics.json\n      hash: md5\n      md5: {other}\n"
    )


@dataclass
class Store:
    """Content by entries; texts merge by lines where each line was changed by one side alone."""

    kept: dict[str, bytes] = field(default_factory=dict)

    def content(self, entry: str) -> bytes:
        return b"" if entry == NOTHING else self.kept[entry]

    def entry_of(self, mode: str, content: bytes) -> str:
        entry = f"{mode} {content.hex()}"
        self.kept[entry] = content
        return entry

    def lines_merged(self, base: bytes, ours: bytes, theirs: bytes) -> bytes | None:
        sides = [side.split(b"\n") for side in (base, ours, theirs)]
        if len({len(side) for side in sides}) > 1:
            return None
        rows = zip(*sides, strict=True)
        lines = [mine if other in (was, mine) else other if mine == was else None for was, mine, other in rows]
        return None if None in lines else b"\n".join(line for line in lines if line is not None)


def entries(store: Store, tree: Tree) -> Tree:
    return {path: store.entry_of("100644", text.encode()) for path, text in tree.items()}


def differing(one: Tree, other: Tree) -> dict[str, tuple[str, str]]:
    paths = sorted({*one, *other})
    sides = {path: (one.get(path, NOTHING), other.get(path, NOTHING)) for path in paths}
    return {path: pair for path, pair in sides.items() if pair[0] != pair[1]}


def restored(trees: tuple[Tree, Tree, Tree]) -> tuple[Restoration, Tree, Store]:
    """Return the restoration and the tree that it makes, as texts."""
    store = Store()
    released, left, tip = (entries(store, tree) for tree in trees)
    scope = Scope.of("", (BUNDLE,), [tree.get("dvc.lock", "") for tree in trees])
    done = restore(Sides(differing(released, left), differing(left, tip)), scope, store)
    made = {path: entry for path, entry in {**tip, **done.files}.items() if entry != NOTHING}
    return done, {path: store.content(entry).decode() for path, entry in made.items()}, store


@st.composite
def histories(draw: st.DrawFn) -> tuple[Tree, Tree, Tree]:
    """Return the files of a release, of the commit that replaced it by another bundle, and of the tip."""
    text = st.sampled_from(["a\nb", "x\nb", "a\ny", "x\ny", None])
    trees: list[Tree] = []
    for number in range(3):
        tree = dict(trees[-1]) if trees else {}
        for path in PATHS:
            if not trees or draw(st.booleans()):
                content = draw(text)
                tree.pop(path, None)
                if content is not None:
                    tree[path] = content
        model = draw(st.sampled_from("mno")) if number else "m"
        other = draw(st.sampled_from("pqr"))
        trees.append(tree | {"dvc.lock": lock("n" if number == 1 else model, other)})
    return trees[0], trees[1], trees[2]


@settings(max_examples=examples(6))
@given(histories())
def test_the_restored_tree_has_the_outputs_of_the_release(trees: tuple[Tree, Tree, Tree]) -> None:
    """Later work stays, or is named; what no stage reads or writes never stands in the way."""
    released, left, tip = trees
    done, made, _ = restored(trees)
    scope = Scope.of("", (BUNDLE,), [])
    assert scope.same(made["dvc.lock"], released["dvc.lock"])
    if done.already:
        assert made == tip
        return
    if done.undone:
        assert {path: made.get(path) for path in DESCRIBED} == {path: released.get(path) for path in DESCRIBED}
        assert set(done.undone) <= DESCRIBED
    for path in {*released, *left, *tip}:
        before, was, now = (tree.get(path) for tree in trees)
        if now == was and path not in done.kept and (before != was or done.undone):
            assert made.get(path) == before
        elif now == was:
            assert made.get(path) == now
        elif path in done.undone:
            assert made.get(path) == before != now
        elif before == was:
            assert made.get(path) == now  # what the release has no part in stays as somebody changed it
        elif path in done.kept:
            assert made.get(path) == now
    assert set(done.kept) <= {"README.md", "docs/a.md", ".github/workflows/w.yml"}
    for path, why in done.kept.items():
        assert why == (WORKFLOW if path.startswith(".github/") else CHANGED_SINCE)


def test_a_lock_that_nobody_can_read_is_taken_from_the_release() -> None:
    """As a whole: conflict markers of somebody's merge are no release."""
    torn = "<<<<<<< ours\n" + lock("o", "p")
    trees = ({"dvc.lock": lock("m", "p")}, {"dvc.lock": lock("n", "p")}, {"dvc.lock": torn})
    done, made, _ = restored(trees)
    assert made["dvc.lock"] == lock("m", "p")
    assert done.undone == ("dvc.lock",)


def test_only_what_belongs_to_the_project_goes_back() -> None:
    scope = Scope.of("services/shop/", (BUNDLE,), [lock("m", "p").replace("path: raw", "path: ../../common/raw")])
    assert scope.lock == "services/shop/dvc.lock"
    assert scope.covers("services/shop/README.md")
    assert scope.covers("common/raw/a.csv")
    assert scope.covers("common/raw.dvc")
    assert not scope.covers("services/shopping/README.md")
    assert not scope.describes("services/shop/README.md")


def test_the_text_names_files_and_commits_and_forms_no_markup() -> None:
    done = Restoration({"a`b.md": "", "dvc.lock": ""}, ("dvc.lock",), {"<i>.md": CHANGED_SINCE})
    body = described(done, [Commit("c" * 40, "<b>Go</b> @deep")], [Commit("d" * 40, "Tune"), Commit("e" * 40, "Fix")])
    assert "<b>" not in body
    assert "@deep" not in body
    assert f"git cherry-pick --no-commit {'e' * 12} {'d' * 12}" in body
    assert "`dvc.lock`" in body
    assert "### What stays as it is" in body
    many = described(Restoration({f"{number:03}.md": "" for number in range(50)}), [], [])
    assert "and 30 more" in many
