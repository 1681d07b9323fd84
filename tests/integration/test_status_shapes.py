"""`leverframe status` says what the installed DVC says, in every shape of a repository that DVC allows."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from leverframe.domain.pipeline.status.reasons import PipelineStatus, State
from leverframe.local.repository import TemporaryRepository
from tests.integration.test_status_dvc import ASK_DVC, differing, remove, replace, status_of, write
from tests.warm import WarmRepository

FILES = {
    ".gitignore": "/.leverframe/\n/scratch/\n",
    ".dvcignore": "hidden\n.leverframe\n",
    "hidden/dvc.yaml": "stages: {never: {cmd: 'false', outs: [x]}}\n",
    "scratch/dvc.yaml": "stages: {nobody: {cmd: 'false', outs: [x]}}\n",
    "params.yaml": "data: 1\ntrain: {seed: 3}\ngate: ours\n",
    "py/params.py": (
        "import os\nRATE = 0.1\nHOME = os.sep\nNAMES: list = ['a', 'b']\n"
        "class Train:\n    depth = 3\n    def __init__(self):\n        self.warm = True\n"
    ),
    "py/dvc.yaml": (
        "stages:\n  train:\n    cmd: echo 1 > out\n    params: [params.py: [RATE, NAMES, Train.depth, Train.warm]]\n"
        "    outs: [out]\n"
    ),
    "vars/shared.yaml": "sizes: {small: {n: 1}, large: {n: 2}}\nunused: {x: 1}\n",
    "vars/local.json": '{"suffix": "txt"}',
    "vars/extra.toml": "[grid]\nrates = [0.1, 0.2]\n",
    "vars/params.yaml": "base: 10\n",
    "vars/dvc.yaml": """
vars:
  - shared.yaml:sizes
  - extra.toml
  - kinds: [a, b]
stages:
  each:
    foreach: ${kinds}
    do:
      vars: [local.json]
      cmd: echo ${base} > ${item}.${suffix}
      outs: ["${item}.${suffix}"]
  sized:
    foreach: ${sizes}
    do: {cmd: "echo ${item.n} > ${key}.size", outs: ["${key}.size"]}
  grid:
    matrix: {rate: "${grid.rates}", kind: [x, y]}
    cmd: echo ${item.rate} > ${item.kind}-${item.rate}.grid
    outs: ["${item.kind}-${item.rate}.grid"]
""",
    "wd/dvc.yaml": """
stages:
  copy:
    wdir: ../lake
    cmd: cat raw/one.txt > copied.txt
    deps: [raw/one.txt]
    params: [../params.yaml: [train.seed]]
    outs: [copied.txt]
""",
    "lake/raw/one.txt": "1\n",
    "lake/raw/two.txt": "2\n",
    "lake/given.csv": "given\n",
    "flags/dvc.yaml": """
stages:
  folder:
    cmd:
      - mkdir -p made
      - cat ../lake/raw/*.txt > made/all.txt
      - cp ../lake/copied.txt made/copied.txt
    desc: >
      several words
    meta: {owner: me, list: [1, 2]}
    deps: [../lake/raw, ../lake/copied.txt, ../bought]
    outs: [made: {persist: true, desc: a folder}]
  score:
    cmd: cat made/all.txt > rows.csv && echo '{"a":{"b":1}}' > score.json
    deps: [made]
    outs: [rows.csv: {cache: false}, score.json: {cache: false}]
  clock: {cmd: echo now > clock.txt, always_changed: true, outs: [clock.txt]}
  kept: {cmd: cat rows.csv > kept.txt, frozen: true, deps: [rows.csv], outs: [kept.txt]}
params: [../params.yaml]
metrics: [score.json]
plots:
  - rows.csv: {x: a}
  - a title: {x: {rows.csv: a}, y: {rows.csv: b}, template: simple}
artifacts:
  model: {path: made, type: model, labels: [a], meta: {framework: none}}
""",
    "crlf/dvc.yaml": "stages:\r\n  one:\r\n    cmd: echo 1 > o\r\n    params: [k]\r\n    outs: [o]\r\n",
    "crlf/params.yaml": "k: 1\r\n",
}
CHANGES: dict[str, tuple[Callable[[Path], object], set[str]]] = {
    "nothing": (lambda _: None, set()),
    "a section that no stage reads": (replace("params.yaml", "gate: ours", "gate: {}"), set()),
    "a literal of Python": (replace("py/params.py", "RATE = 0.1", "RATE = 0.2"), {"py/dvc.yaml:train"}),
    "a list of Python": (replace("py/params.py", "'b'", "'c'"), {"py/dvc.yaml:train"}),
    "an attribute": (replace("py/params.py", "depth = 3", "depth = 4"), {"py/dvc.yaml:train"}),
    "an attribute of self": (replace("py/params.py", "warm = True", "warm = False"), {"py/dvc.yaml:train"}),
    "an expression for a literal": (replace("py/params.py", "RATE = 0.1", "RATE = 1 / 10"), {"py/dvc.yaml:train"}),
    "an expression that nobody reads": (replace("py/params.py", "os.sep", "os.linesep"), set()),
    "a key of vars": (replace("vars/shared.yaml", "n: 1", "n: 3"), {"vars/dvc.yaml:sized@small"}),
    "a key beside those of vars": (replace("vars/shared.yaml", "x: 1", "x: 2"), set()),
    "one more of a mapping": (
        replace("vars/shared.yaml", "large:", "huge: {n: 9}, large:"), {"vars/dvc.yaml:sized@huge"},
    ),
    "local vars": (
        replace("vars/local.json", "txt", "csv"), {"vars/dvc.yaml:each@a", "vars/dvc.yaml:each@b"},
    ),
    "TOML in a matrix": (
        replace("vars/extra.toml", "0.2", "0.3"), {"vars/dvc.yaml:grid@0.3-x", "vars/dvc.yaml:grid@0.3-y"},
    ),
    "params.yaml beside a definition": (
        replace("vars/params.yaml", "10", "11"), {"vars/dvc.yaml:each@a", "vars/dvc.yaml:each@b"},
    ),
    "a parameter from another folder": (replace("params.yaml", "seed: 3", "seed: 4"), {"wd/dvc.yaml:copy"}),
    "a file of a folder": (write("lake/raw/two.txt", "3\n"), {"lake/raw.dvc", "flags/dvc.yaml:folder"}),
    "a file more in a folder": (write("lake/raw/six.txt", "6\n"), {"lake/raw.dvc", "flags/dvc.yaml:folder"}),
    "data that were imported": (write("bought", "other"), {"bought.dvc", "flags/dvc.yaml:folder"}),
    "data of an address": (write("fetched.csv", "other"), {"fetched.csv.dvc"}),
    "an import that is not frozen": (replace("bought.dvc", "frozen: true\n", ""), set()),
    "an output in git": (write("flags/score.json", "{}"), {"flags/dvc.yaml:score"}),
    "an output in git is gone": (remove("flags/rows.csv"), {"flags/dvc.yaml:score"}),
    "a command of a list": (replace("flags/dvc.yaml", "mkdir -p made", "mkdir -p ./made"), {"flags/dvc.yaml:folder"}),
    "meta and descriptions": (replace("flags/dvc.yaml", "owner: me", "owner: you"), set()),
    "what is at the top": (replace("flags/dvc.yaml", "template: simple", "template: linear"), set()),
    "what a frozen stage reads": (write("flags/rows.csv", "x"), {"flags/dvc.yaml:score"}),
    "no lines but others' ends": (replace("crlf/params.yaml", "k: 1", "k: 1 "), set()),
    "a value with others' ends": (replace("crlf/params.yaml", "k: 1", "k: 2"), {"crlf/dvc.yaml:one"}),
    "a new definition": (write("new/dvc.yaml", "stages: {s: {cmd: echo, outs: [x]}}\n"), {"new/dvc.yaml:s"}),
    "a lock is gone": (remove("py/dvc.lock"), {"py/dvc.yaml:train"}),
    "a definition is gone": (remove("crlf/dvc.yaml", "crlf/dvc.lock"), set()),
    "ignored by git": (write("scratch/other/dvc.yaml", "stages: {s: {cmd: echo, outs: [x]}}\n"), set()),
}  # fmt: skip
ALWAYS = {"flags/dvc.yaml:clock"}


def built(folder: Path) -> TemporaryRepository:
    """Return a repository with all these shapes, which was run and committed."""
    origin = WarmRepository.create(folder / "origin")
    origin.write("goods", "goods\n")
    origin.dvc("add", "--quiet", "goods")
    origin.commit("Goods")
    (folder / "table.csv").write_text("a\n1\n")
    whole = WarmRepository.create(folder)
    for path, content in FILES.items():
        whole.write(path, content.encode())
    whole.dvc("add", "--quiet", "lake/raw", "lake/given.csv")
    whole.dvc("import", "--quiet", str(origin.root), "goods", "--out", "bought")
    whole.dvc("import-url", "--quiet", str(folder / "table.csv"), "fetched.csv")
    frozen = "frozen: true, "
    whole.write("flags/dvc.yaml", FILES["flags/dvc.yaml"].replace(frozen, ""))  # a frozen stage never runs
    whole.dvc("repro", "--quiet", "--all-pipelines")
    whole.write("flags/dvc.yaml", FILES["flags/dvc.yaml"])
    whole.commit("All shapes")
    return whole


def of_dvc(environment: dict[str, str], roots: dict[str, Path]) -> dict[str, dict[str, object]]:
    """Return what DVC says of each root, from one process."""
    answer = subprocess.run(
        [sys.executable, "-c", ASK_DVC],
        input=json.dumps({name: str(root) for name, root in roots.items()}),
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    statuses: dict[str, dict[str, object]] = json.loads(answer.stdout)
    return statuses


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[PipelineStatus, dict[str, object]]]:
    """Apply every change to a copy of one repository, and ask both tools."""
    folder = tmp_path_factory.mktemp("shapes")
    base = built(folder / "base")
    roots = {}
    for name, (apply, _) in CHANGES.items():
        root = folder / name.replace(" ", "-").replace("'", "")
        shutil.copytree(base.root, root, symlinks=True)
        apply(root)
        roots[name] = root
    theirs = of_dvc(base.environment, roots)
    return {name: (status_of(root), theirs[name]) for name, root in roots.items()}


@pytest.mark.deep
@pytest.mark.parametrize("name", CHANGES)
def test_every_shape_is_told_as_dvc_tells_it(
    name: str, cases: dict[str, tuple[PipelineStatus, dict[str, object]]]
) -> None:
    """The same stages are fresh, and the expected ones are not; what nobody can tell is a note."""
    ours, theirs = cases[name]
    assert differing(ours) == set(theirs), theirs
    assert differing(ours) - ALWAYS == CHANGES[name][1]
    assert {"hidden/dvc.yaml:never", "scratch/dvc.yaml:nobody"}.isdisjoint(entry.stage.name for entry in ours.stages)
    imports = ["bought.dvc is an import", "fetched.csv.dvc is an import"]
    assert [note for note in ours.notes if any(note.startswith(prefix) for prefix in imports)]


@pytest.mark.deep
def test_an_expression_is_said_with_its_line(cases: dict[str, tuple[PipelineStatus, dict[str, object]]]) -> None:
    """And one that no stage reads is not."""
    ours, _ = cases["an expression for a literal"]
    assert [note for note in ours.notes if note.startswith("py/params.py, line 2: `RATE` is an expression")]
    assert not [note for note in cases["nothing"][0].notes if "expression" in note]


# What DVC 2 wrote


@pytest.mark.deep
def test_a_lock_of_dvc_2_is_compared_by_its_own_hashes(tmp_path: Path) -> None:
    """Without the name of a hash, of texts with the line ends of Unix, from a cache with another folder."""
    whole = WarmRepository.create(tmp_path / "base")
    whole.write("in.csv", "a\r\n1\r\n")
    whole.write("lib/one.txt", "1\r\n")
    whole.write("lib/two.bin", b"\0\r\n")
    deps = "deps: [in.csv, lib], outs: [made]"
    whole.write("dvc.yaml", f"stages: {{s: {{cmd: mkdir made && cp in.csv lib/two.bin made/, {deps}}}}}\n")
    whole.dvc("repro", "--quiet")
    lock = whole.read("dvc.lock")
    table, one, two = b"a\n1\n", b"1\n", b"\0\r\n"
    lib = _listing([{"md5": _md5(one), "relpath": "one.txt"}, {"md5": _md5(two), "relpath": "two.bin"}])
    made = _listing([{"md5": _md5(table), "relpath": "in.csv"}, {"md5": _md5(two), "relpath": "two.bin"}])
    new = iter([_md5(table), f"{_md5(lib)}.dir", f"{_md5(made)}.dir"])
    old = re.sub(r"md5: \S+\n", lambda _: f"md5: {next(new)}\n", lock.replace("      hash: md5\n", ""))
    whole.write("dvc.lock", old)
    shutil.rmtree(whole.root / ".dvc/cache")
    for name, content in ((_md5(table), b"a\r\n1\r\n"), (_md5(two), two), (f"{_md5(made)}.dir", made)):
        whole.write(f".dvc/cache/{name[:2]}/{name[2:]}", content)
    whole.commit("As DVC 2 leaves it")
    roots = {}
    for change, apply in {
        "nothing": lambda _: None, "line ends": write("in.csv", "a\n1\n"), "a value": write("in.csv", "a\n2\n"),
        "a file": write("lib/one.txt", "2\n"), "no cache": remove(".dvc/cache"), "binary": write("lib/two.bin", "\0\n"),
        "an output": write("made/in.csv", "a\n3\n"),
    }.items():  # fmt: skip
        shutil.copytree(whole.root, tmp_path / change)
        apply(tmp_path / change)
        roots[change] = tmp_path / change
    theirs = of_dvc(whole.environment, roots)
    ours = {name: differing(status_of(root)) for name, root in roots.items()}
    assert ours == {name: set(stages) for name, stages in theirs.items()}, theirs
    assert {name for name, stages in ours.items() if not stages} == {"nothing", "line ends"}


def _listing(files: list[dict[str, str]]) -> bytes:
    """Return a folder as the cache keeps it."""
    return json.dumps(files, sort_keys=True).encode()


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


# Where the repository is


def project(repository: TemporaryRepository, place: str = ".") -> TemporaryRepository:
    """Write a small pipeline of two definitions, with `.dvc` in its folder, run and commit it."""
    here = WarmRepository(repository.root / place, repository.home)
    for path, content in {
        ".dvc/config": "", ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n", ".dvcignore": "", "in.txt": "1\n",
        "params.yaml": "k: 1\n", "a/dvc.yaml": "stages: {a: {cmd: cat ../in.txt > o, deps: [../in.txt], outs: [o]}}\n",
        "dvc.yaml": "stages: {b: {cmd: cat a/o > o, deps: [a/o], params: [k], outs: [o]}}\n",
    }.items():  # fmt: skip
        here.write(path, content)
    here.dvc("repro", "--quiet", "--all-pipelines")
    repository.commit("A project")
    return here


def test_wherever_the_project_is_dvc_and_status_agree(tmp_path: Path) -> None:
    """In a subfolder, in a submodule, in a worktree, in a clone with the newest commit only: fresh and stale."""
    whole = WarmRepository.create(tmp_path / "mono", dvc=False)
    folder = project(whole, "services/ml").root
    origin = WarmRepository.create(tmp_path / "origin")
    project(origin)
    around = WarmRepository.create(tmp_path / "around", dvc=False)
    around.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(origin.root), "models/ml")
    around.commit("A submodule")
    origin.git("worktree", "add", "--quiet", str(tmp_path / "tree"))
    origin.git("clone", "--quiet", "--depth=1", origin.root.as_uri(), str(tmp_path / "shallow"))
    places = {
        "subfolder": folder, "submodule": around.root / "models/ml", "worktree": tmp_path / "tree",
        "shallow": tmp_path / "shallow",
    }  # fmt: skip
    for state in ("fresh", "stale"):
        theirs = of_dvc(whole.environment, places)
        for name, root in places.items():
            ours = status_of(root)
            assert differing(ours) == set(theirs[name]), (name, state, theirs[name])
            assert {entry.stage.name for entry in ours.stages} == {"b", "a/dvc.yaml:a"}
            stale = {entry.stage.name for entry in ours.stages if entry.state is State.CHANGED}
            assert stale == ({"b"} if state == "stale" else set()), (name, state)
            (root / "params.yaml").write_text("k: 2\n")
