"""`leverframe status` says of every stage what the installed DVC says, and why."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from leverframe.adapters.git import Git
from leverframe.adapters.working_tree import WorkingTree
from leverframe.domain.pipeline.status.reasons import PipelineStatus, State
from leverframe.domain.pipeline.status.staleness import run
from leverframe.errors import DefinitionError, RepositoryError, SettingsError
from leverframe.local.repository import TemporaryRepository
from leverframe.yaml_files import parse

PIPELINE = r"""
vars:
  - extra.yaml:shared
  - months.yaml
  - folders: {raw: data/raw, built: data/built}
stages:
  ingest:
    foreach: [jan, feb]
    do:
      cmd: mkdir -p ${folders.raw} && cat source.csv > ${folders.raw}/${item}.txt
      deps: [source.csv]
      params: [data.first]
      outs: ["${folders.raw}/${item}.txt"]
  build:
    foreach: ${months}
    do:
      cmd:
        mkdir -p ${folders.built} &&
        cat ${folders.raw}/${key}.txt ${folders.raw}/${item.before}.txt > ${folders.built}/${key}.txt
      deps: ["${folders.raw}/${key}.txt", "${folders.raw}/${item.before}.txt", src/lib]
      params: [features]
      outs:
        - ${folders.built}/${key}.txt:
            desc: features of a month
  grid:
    matrix: {size: [1, 2.5], deep: [{x: a, y: [1, 2]}, {x: b, y: [3]}]}
    cmd: mkdir -p grid && echo ${item.size} ${item.deep.x} ${item.deep.y[0]} > grid/${key}.txt
    outs: ["grid/${key}.txt"]
  folder:
    cmd:
      - mkdir -p made/inner
      - cp source.csv made/one.csv
      - cp source.csv made/inner/"two é".csv
    deps: [source.csv]
    outs: [made]
  inside:
    cmd: mkdir -p out && cat ../made/inner/*.csv > out/inside.txt
    wdir: work
    deps: [../made/inner]
    params:
      - local.yaml: [a.b, a.list.1]
    outs: [out/inside.txt: {cache: false}]
  train:
    vars: [{depth: 3}]
    cmd:
      - echo ${train} --depth=${depth} '\${HOME}' ${shared.on} > model.bin
      - echo '{"auc":0.5}' > metrics.json && echo 'a,b' > plot.csv
    deps: ["${folders.built}/jan.txt", "${folders.built}/feb.txt", added.csv, addeddir]
    params:
      - train.rate
      - train
      - whole.yaml:
      - values.json: [a]
      - values.toml: [t.b]
    outs: [model.bin: {persist: true}]
    metrics: [metrics.json: {cache: false}]
    plots:
      - plot.csv:
          cache: false
          x: a
  kept:
    cmd: cat model.bin > kept.txt
    frozen: true
    deps: [model.bin]
    outs: [kept.txt]
  tail:
    cmd: cat kept.txt > tail.txt
    deps: [kept.txt]
    outs: [tail.txt]
"""
FILES = {
    "dvc.yaml": PIPELINE,
    "params.yaml": (
        "data: {first: '2013-01', last: 1}\nfeatures: {windows: [1, 2]}\n"
        "train: {rate: 1e-3, name: 'a b', flag: true, off: false, list: [1, x y], inner: {k: null}}\n"
    ),
    "extra.yaml": "shared: {on: true}\nmonths: {never: loaded}\n",
    "months.yaml": "months: {jan: {before: jan}, feb: {before: jan}}\n",
    "work/local.yaml": "a: {b: 1, list: [1, 2, 3]}\n",
    "whole.yaml": "x: 1\ny: {z: 2}\n",
    "values.json": '{"a": [1, 2]}',
    "values.toml": "[t]\nb = 0.5\n",
    "source.csv": "1,2\n",
    "added.csv": "added\n",
    "addeddir/one": "1",
    "addeddir/sub/two": "2",
    "src/lib/a.py": "x = 1\n",
    "src/lib/sub/b.py": "y = 1\n",
    "src/lib/__pycache__/a.pyc": "compiled",
    "src/lib/notes/keep.tmp": "kept by the later rule",
    "src/lib/notes/drop.tmp": "dropped",
    ".dvcignore": "# comment\n__pycache__\n*.pyc\n.leverframe\n*.tmp\n!keep.tmp\n/src/lib/only/\n",
    "nested/dvc.yaml": "stages:\n  small:\n    cmd: cat in.txt > out.txt\n    deps: [in.txt]\n    outs: [out.txt]\n",
    "nested/in.txt": "in",
}


@dataclass(frozen=True)
class Change:
    """A change of the repository, and the reasons that it gives to stages."""

    name: str
    apply: Callable[[Path], object]
    expected: dict[str, set[str]]
    downstream: frozenset[str] = frozenset()


def replace(path: str, old: str, new: str) -> Callable[[Path], object]:
    def apply(root: Path) -> None:
        text = (root / path).read_text()
        assert old in text
        (root / path).write_text(text.replace(old, new))

    return apply


def write(path: str, content: str) -> Callable[[Path], object]:
    def apply(root: Path) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)

    return apply


def remove(*paths: str) -> Callable[[Path], object]:
    def apply(root: Path) -> None:
        for path in paths:
            shutil.rmtree(root / path) if (root / path).is_dir() else (root / path).unlink()

    return apply


def forget(stage: str) -> Callable[[Path], object]:
    def apply(root: Path) -> None:
        content = parse((root / "dvc.lock").read_text(), name="dvc.lock", what="a lock")
        del content["stages"][stage]
        (root / "dvc.lock").write_text(yaml.safe_dump(content, sort_keys=False))

    return apply


def empty_cache(root: Path) -> None:
    shutil.rmtree(root / ".dvc/cache")


def fresh_clone(root: Path) -> None:
    empty_cache(root)
    remove("data", "grid", "made", "model.bin", "kept.txt", "tail.txt", "added.csv", "addeddir", "nested/out.txt")(root)


def damage_cache(root: Path) -> None:
    for path in (root / ".dvc/cache/files/md5").rglob("*"):
        if path.is_file() and path.read_bytes().startswith(b"1 a 1"):
            path.chmod(0o644)
            path.write_text("2 a 1\n")


BUILT = {"build@jan", "build@feb"}


def both(reason: str) -> dict[str, set[str]]:
    return {stage: {reason} for stage in BUILT}


DEPENDENCY, OUTPUT = "dependency-changed", "output-changed"
CHANGES = [
    Change("nothing", lambda _: None, {}),
    Change("touched", lambda root: os.utime(root / "source.csv"), {}),
    Change("comment in parameters", replace("params.yaml", "data:", "# a comment\ndata:"), {}),
    Change("unread parameter", replace("params.yaml", "last: 1", "last: 2"), {}),
    Change("same value, other spelling", replace("params.yaml", "rate: 1e-3", "rate: 0.001"), {}),
    Change("yes is a text", replace("params.yaml", "windows: [1, 2]", "windows: [1, 2, yes, on]"),
           both("parameter-changed"), frozenset({"train"})),
    Change("parameter", replace("params.yaml", "windows: [1, 2]", "windows: [1, 3]"),
           both("parameter-changed"), frozenset({"train"})),
    Change("parameter in a command", replace("params.yaml", "rate: 1e-3", "rate: 2e-3"),
           {"train": {"parameter-changed", "command-changed"}}),
    Change("parameter gone", replace("params.yaml", "data: {first: '2013-01', last: 1}", "data: {last: 1}"),
           {"ingest@jan": {"parameter-missing"}, "ingest@feb": {"parameter-missing"}}, frozenset({*BUILT, "train"})),
    Change("parameter of a list", replace("work/local.yaml", "[1, 2, 3]", "[1, 9, 3]"),
           {"inside": {"parameter-changed"}}),
    Change("unread parameter of a list", replace("work/local.yaml", "[1, 2, 3]", "[1, 2, 9]"), {}),
    Change("new parameter in a whole file", replace("whole.yaml", "x: 1", "x: 1\nw: 5"),
           {"train": {"parameter-added"}}),
    Change("parameter gone from a whole file", replace("whole.yaml", "x: 1\n", ""), {"train": {"parameter-removed"}}),
    Change("JSON parameter", replace("values.json", "2", "3"), {"train": {"parameter-changed"}}),
    Change("TOML parameter", replace("values.toml", "0.5", "0.25"), {"train": {"parameter-changed"}}),
    Change("parameter file gone", remove("whole.yaml"), {"train": {"parameter-file-missing"}}),
    Change("parameter asked for anew", replace("dvc.yaml", "params: [data.first]", "params: [data.first, data.last]"),
           {"ingest@jan": {"parameter-added"}, "ingest@feb": {"parameter-added"}}, frozenset({*BUILT, "train"})),
    Change("source file", write("source.csv", "3,4\n"),
           {"ingest@jan": {DEPENDENCY}, "ingest@feb": {DEPENDENCY}, "folder": {DEPENDENCY}},
           frozenset({*BUILT, "train", "inside"})),
    Change("source file grown", write("source.csv", "3,4,5\n"),
           {"ingest@jan": {DEPENDENCY}, "ingest@feb": {DEPENDENCY}, "folder": {DEPENDENCY}},
           frozenset({*BUILT, "train", "inside"})),
    Change("source file gone", remove("source.csv"),
           {stage: {"dependency-missing"} for stage in ("ingest@jan", "ingest@feb", "folder")},
           frozenset({*BUILT, "train", "inside"})),
    Change("code", write("src/lib/sub/b.py", "y = 2\n"), both(DEPENDENCY), frozenset({"train"})),
    Change("code added", write("src/lib/c.py", ""), both(DEPENDENCY), frozenset({"train"})),
    Change("code ignored", write("src/lib/sub/__pycache__/b.pyc", "z"), {}),
    Change("ignored by a rule with a folder", write("src/lib/only/x.py", "z"), {}),
    Change("ignored by a later rule", write("src/lib/new.tmp", "z"), {}),
    Change("not ignored after all", write("src/lib/keep.tmp", "z"), both(DEPENDENCY),
           frozenset({"train"})),
    Change("rules change", write(".dvcignore", "__pycache__\n"), both(DEPENDENCY),
           frozenset({"train"})),
    Change("code renamed", lambda root: (root / "src/lib/a.py").rename(root / "src/lib/b.py"),
           both(DEPENDENCY), frozenset({"train"})),
    Change("dependency asked for anew", replace("dvc.yaml", "deps: [kept.txt]", "deps: [kept.txt, source.csv]"),
           {"tail": {"dependency-added"}}),
    Change("dependency dropped", replace("dvc.yaml", ", added.csv, addeddir]", ", addeddir]"), {}),
    Change("command", replace("dvc.yaml", "cat kept.txt > tail.txt", "cat kept.txt  > tail.txt"),
           {"tail": {"command-changed"}}),
    Change("command list", replace("dvc.yaml", "- mkdir -p made/inner", "- mkdir -p made/inner ."),
           {"folder": {"command-changed"}}, frozenset({"inside"})),
    Change("template value", replace("extra.yaml", "on: true", "on: false"), {"train": {"command-changed"}}),
    Change("command of a frozen stage", replace("dvc.yaml", "cat model.bin > kept.txt", "cat model.bin  > kept.txt"),
           {"kept": {"command-changed"}}, frozenset({"tail"})),
    Change("output changed", write("tail.txt", "other"), {"tail": {OUTPUT}}),
    Change("output changed that a frozen stage reads", write("model.bin", "other"), {"train": {OUTPUT}}),
    Change("metrics forged", write("metrics.json", '{"auc":0.9}\n'), {"train": {OUTPUT}}),
    Change("metrics gone", remove("metrics.json"), {"train": {"output-absent"}}),
    Change("output gone", remove("tail.txt"), {"tail": {"output-absent"}}),
    Change("output gone that others read", remove("data/raw/feb.txt"),
           {"ingest@feb": {"output-absent"}, "build@feb": {"dependency-absent"}}),
    Change("file in an output folder", write("made/inner/three.csv", "x"),
           {"folder": {OUTPUT}, "inside": {DEPENDENCY}}),
    Change("output folder gone", remove("made"), {"folder": {"output-absent"}, "inside": {"dependency-absent"}}),
    Change("output asked for anew", replace("dvc.yaml", "outs: [tail.txt]", "outs: [tail.txt, more.txt]"),
           {"tail": {"output-added"}}),
    Change("new stage", replace("nested/dvc.yaml", "stages:", "stages:\n  other: {cmd: echo, outs: [other.txt]}"),
           {"nested/dvc.yaml:other": {"stage-new"}}),
    Change("new month", replace("dvc.yaml", "foreach: [jan, feb]", "foreach: [jan, feb, mar]"),
           {"ingest@mar": {"stage-new"}}),
    Change("entry gone", forget("tail"), {"tail": {"lock-entry-gone"}}),
    Change("stage gone", replace("dvc.yaml", "  tail:\n    cmd: cat kept.txt > tail.txt\n    deps: [kept.txt]\n"
           "    outs: [tail.txt]\n", ""), {}),
    Change("always", replace("dvc.yaml", "    deps: [kept.txt]\n", "    deps: [kept.txt]\n    always_changed: true\n"),
           {"tail": {"always-runs"}}),
    Change("nothing to compare", replace("nested/dvc.yaml", "stages:", "stages:\n  hello: {cmd: echo hello}"),
           {"nested/dvc.yaml:hello": {"stage-new"}}),
    Change("thawed", replace("dvc.yaml", "    frozen: true\n", ""), {}),
    Change("added file changed", write("added.csv", "other\n"), {"added.csv.dvc": {OUTPUT}, "train": {DEPENDENCY}}),
    Change("added file gone", remove("added.csv"),
           {"added.csv.dvc": {"output-absent"}, "train": {"dependency-absent"}}),
    Change("added folder changed", write("addeddir/three", "3"), {"addeddir.dvc": {OUTPUT}, "train": {DEPENDENCY}}),
    Change("nested", write("nested/in.txt", "out"), {"nested/dvc.yaml:small": {DEPENDENCY}}),
    Change("damaged cache", damage_cache, {"grid@1-deep0": {"output-not-cached"}}),
    Change("another flag style", write(".dvc/config", "[parsing]\n    bool = boolean_optional\n"),
           {"train": {"command-changed"}}),
]  # fmt: skip
WITHOUT_DATA = [Change("empty cache", empty_cache, {}), Change("fresh clone", fresh_clone, {})]

ASK_DVC = """
import json, os, sys
from dvc.repo import Repo, lock_repo
found = {}
for name, root in json.load(sys.stdin).items():
    os.chdir(root)
    try:
        with Repo(root) as repo, lock_repo(repo):
            found[name] = repo.status()
    except Exception as error:
        found[name] = {"DVC failed": repr(error)}
json.dump(found, sys.stdout)
"""


def built(folder: Path) -> TemporaryRepository:
    repository = TemporaryRepository.create(folder)
    for path, content in FILES.items():
        repository.write(path, content)
    repository.dvc("add", "--quiet", "added.csv", "addeddir")
    repository.write("dvc.yaml", PIPELINE.replace("    frozen: true\n", ""))  # a frozen stage never runs
    repository.dvc("repro", "--all-pipelines")
    repository.write("dvc.yaml", PIPELINE)
    repository.commit("Run the pipeline")
    return repository


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[PipelineStatus, dict[str, object]]]:
    """Apply every change to a copy of one repository, and ask both tools; DVC in one process, for the time."""
    folder = tmp_path_factory.mktemp("status")
    base = built(folder / "base")
    roots = {}
    for change in [*CHANGES, *WITHOUT_DATA]:
        root = folder / change.name.replace(" ", "-").replace(",", "")
        shutil.copytree(base.root, root, symlinks=True)
        change.apply(root)
        roots[change.name] = root
    ours = {name: status_of(root) for name, root in roots.items()}
    answer = subprocess.run(
        [sys.executable, "-c", ASK_DVC],
        input=json.dumps({name: str(root) for name, root in roots.items()}),
        env=base.environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    theirs = json.loads(answer.stdout)
    return {name: (ours[name], theirs[name]) for name in roots}


def status_of(root: Path) -> PipelineStatus:
    tree = WorkingTree.around(root)
    return run(Git(tree.root), tree)


def differing(status: PipelineStatus) -> set[str]:
    return {entry.stage.name for entry in status.stages if entry.state in {State.CHANGED, State.NEW, State.MISSING}}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_agrees_with_dvc_and_names_the_reason(
    change: Change, cases: dict[str, tuple[PipelineStatus, dict[str, object]]]
) -> None:
    ours, theirs = cases[change.name]
    assert differing(ours) == set(theirs), theirs
    reasons = {
        entry.stage.name: {finding.reason.value for finding in entry.findings} - {"upstream-stale"}
        for entry in ours.stages
        if entry.findings and entry.state is not State.DOWNSTREAM
    }
    assert reasons == change.expected
    downstream = {entry.stage.name for entry in ours.stages if entry.state is State.DOWNSTREAM}
    assert downstream >= change.downstream


@pytest.mark.parametrize("change", WITHOUT_DATA, ids=lambda change: change.name)
def test_absent_data_are_missing_and_never_stale(
    change: Change, cases: dict[str, tuple[PipelineStatus, dict[str, object]]]
) -> None:
    ours, theirs = cases[change.name]
    assert differing(ours) == set(theirs)
    assert not ours.stale
    assert ours.count(State.MISSING) == len(theirs) > 10


def small(tmp_path: Path) -> TemporaryRepository:
    repository = TemporaryRepository.create(tmp_path)
    repository.write("dvc.yaml", "stages:\n  one: {cmd: cat lib/* > one.txt, deps: [lib], outs: [one.txt]}\n")
    repository.write("lib/a.txt", "1")
    repository.write(".gitignore", "/.leverframe/\n")
    repository.dvc("repro", "--quiet")
    repository.commit("Run")
    return repository


def leverframe(repository: TemporaryRepository, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "leverframe", *arguments],
        cwd=repository.root, env=repository.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_command_and_its_exit_codes(tmp_path: Path) -> None:
    repository = small(tmp_path)
    fresh = leverframe(repository, "status", "--exit-code")
    assert (fresh.returncode, fresh.stdout.splitlines()[-1]) == (0, "next: nothing to do"), fresh.stderr
    repository.write("lib/b.txt", "2")
    assert leverframe(repository, "status").returncode == 0
    stale = leverframe(repository, "status", "--exit-code", "--json")
    assert stale.returncode == 20
    (stage,) = json.loads(stale.stdout)["stages"]
    assert stage["findings"][0]["text"] == "lib changed: 1 bytes -> 2 bytes (b.txt)"
    assert leverframe(repository, "status", "--graph").stdout.startswith("flowchart LR\n")
    assert leverframe(repository, "status", "--stage", "two").returncode == DefinitionError.exit_code
    repository.write("dvc.lock", "<<<<<<< ours\n" + repository.read("dvc.lock"))
    broken = leverframe(repository, "status")
    assert broken.returncode == SettingsError.exit_code
    assert "unresolved merge in dvc.lock, line 1" in broken.stderr
    (repository.root / "dvc.yaml").unlink()
    assert leverframe(repository, "status").returncode == RepositoryError.exit_code


def test_nothing_heavy_is_imported(tmp_path: Path) -> None:
    repository = small(tmp_path)
    code = (
        "import sys; sys.argv = ['leverframe', 'status']\n"
        "from leverframe.cli import main\n"
        "try: main()\n"
        "except SystemExit: print([m for m in ('dvc', 'pydantic', 'numpy', 'pathspec', 'duckdb') if m in sys.modules])"
    )
    assert repository.run(sys.executable, "-c", code).splitlines()[-1] == "[]"


def test_sums_are_used_again_and_a_damaged_store_only_costs_time(tmp_path: Path) -> None:
    repository = small(tmp_path)
    store = repository.root / ".leverframe/digests.json"
    for path in ("one.txt", "lib/a.txt"):
        os.utime(repository.root / path)
    status_of(repository.root)
    assert not store.exists()  # everything was written a moment ago, and could be written again unseen
    time.sleep(2.1)
    assert not differing(status_of(repository.root))
    kept = json.loads(store.read_text())["files"]
    assert set(kept) == {"lib/a.txt", "one.txt"}
    repository.write("one.txt", "2")
    assert differing(status_of(repository.root)) == {"one"}
    repository.write("one.txt", "1")
    store.parent.mkdir(exist_ok=True)
    store.write_text('{"version": 1, "files": {"one.txt": 3, "lib/a.txt": [1, 2]}}')
    assert not differing(status_of(repository.root))
    store.write_text("{")
    assert not differing(status_of(repository.root))


def test_outside_of_a_repository(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="not in a DVC repository"):
        WorkingTree.around(tmp_path)
    (tmp_path / ".dvc").mkdir()
    with pytest.raises(RepositoryError, match="not in a git repository"):
        status_of(tmp_path)


def test_a_rule_file_inside_a_dependency_is_refused(tmp_path: Path) -> None:
    repository = small(tmp_path)
    repository.write("lib/.dvcignore", "a.txt\n")
    with pytest.raises(DefinitionError, match="inside a directory"):
        status_of(repository.root)
    (repository.root / "lib/.dvcignore").unlink()
    (repository.root / "lib/link").symlink_to("nowhere")
    with pytest.raises(RepositoryError, match="link"):
        status_of(repository.root)
