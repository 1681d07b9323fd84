"""Stale code is found: a stage depends on the code that it runs, wherever Leverframe is installed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import pytest
import yaml

from leverframe import __version__
from leverframe.application.stages import Files
from leverframe.application.status import status
from leverframe.domain.pipeline.code import Code
from leverframe.domain.pipeline.status.reasons import StageStatus
from leverframe.local.repository import TemporaryRepository
from tests.integration.shop import Shop, copied, finished, made
from tests.profiles import by_day

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src/leverframe"
ALL_STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
STAGES = {name: stage.get("do") or stage for name, stage in ALL_STAGES.items() if not name.startswith("code-")}
MONTH = "ingest@2024-01"
COMMANDS = {  # one run of each kind of stage
    "ingest-static": "ingest --partition static",
    "ingest": "ingest --partition 2024-05",
    "validate-static": "validate --partition static",
    "validate": "validate --partition 2024-05",
    "build": "build --partition 2024-05",
    "snapshot": "snapshot",
    "parity": "parity",
    "training-set": "training-set",
    "train": "train",
    "evaluate": "evaluate",
    "bundle": "bundle",
}
# What starts a stage, names its version and records how long it took; none of it can change an output.
AROUND = {
    "leverframe.adapters.git",
    "leverframe.adapters.git.base",
    "leverframe.adapters.git.branches",
    "leverframe.adapters.git.faults",
    "leverframe.adapters.git.filters",
    "leverframe.adapters.git.trees",
    "leverframe.adapters.process",
    "leverframe.adapters.stage_log",
    "leverframe.cli",
    "leverframe.domain.data.contract_markdown",
    "leverframe.domain.pipeline",
    "leverframe.domain.pipeline.code",
    "leverframe.domain.pipeline.installation",
    "leverframe.domain.pipeline.stage_log",
    "leverframe.domain.release",
    "leverframe.domain.release.tag",
    "leverframe.domain.review",
    "leverframe.domain.review.judge",
    "leverframe.domain.review.judge.tree_change",
    "leverframe.inert",
    "leverframe.inert.letters",
    "leverframe.inert.markdown",
    "leverframe.inert.terminal",
    "leverframe.output",
    "leverframe.package",
    "leverframe.redaction",  # of what git says
    "leverframe.settings.levers",
    "leverframe.wiring",
}
# The commands, and what tells a person that an input is not what the lock names: DVC runs stages without it.
BY_HAND = (
    "leverframe.commands", "leverframe.application.as_locked", "leverframe.adapters.working_tree",
    "leverframe.domain.pipeline.status",
)  # fmt: skip
RUN = """
import json, sys
from leverframe.cli import leverframe
leverframe.main(sys.argv[1:], standalone_mode=False)
names = [name for name in sys.modules if name.startswith("leverframe")]
print("\\n" + json.dumps(names))
"""


def modules_of(stage: str) -> set[str]:
    """Return the modules of Leverframe that a stage depends on by dvc.yaml of this repository, itself or by digests."""
    files = [file for path in code_of(stage) for file in ([path] if path.suffix else (ROOT / path).rglob("*.py"))]
    inside = [(ROOT / file).relative_to(ROOT / "src") for file in files if (ROOT / file).is_relative_to(PACKAGE)]
    return {".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in inside if path.suffix == ".py"}


def code_of(stage: str) -> list[Path]:
    """Return what a stage depends on, with what is behind the digests that it depends on."""
    own: list[str] = STAGES[stage]["deps"]
    behind = [ALL_STAGES[name]["deps"] for name in _digests_of(stage)]
    return [Path(path) for path in [*own, *(path for paths in behind for path in paths)]]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Return a reproduced shop of this module's own."""
    return copied(finished(tmp_path_factory), tmp_path_factory.mktemp("code"))


def test_every_kind_of_stage_is_run_here() -> None:
    """A new kind of stage needs a line in ``COMMANDS``; only those of partitions have their code apart."""
    assert set(STAGES) == set(COMMANDS)
    assert {f"code-{name}" for name, stage in ALL_STAGES.items() if "do" in stage} == set(ALL_STAGES) - set(STAGES)


@pytest.mark.parametrize("stage", by_day(COMMANDS, "build", "train"))
def test_what_a_stage_loads_when_it_runs_is_among_its_dependencies(stage: str, shop: Shop) -> None:
    """The stage is run for real, in a process of its own that then tells which modules it has loaded."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, *COMMANDS[stage].split()],
        cwd=shop.root, env=shop.repository.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    around = {name for name in loaded if name in AROUND or name.startswith(BY_HAND)}
    assert loaded - around - modules_of(stage) == set()


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> TemporaryRepository:
    """Return a repository with what this one has in git, data left out, so that its modules can be edited."""
    repository = TemporaryRepository.create(tmp_path_factory.mktemp("sources"))
    for name in ("src", "pipelines", "reports"):
        shutil.copytree(ROOT / name, repository.root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", "dvc.lock", "params.yaml", "leverframe.yaml", ".dvcignore", ".gitignore"):
        shutil.copy2(ROOT / name, repository.root / name)
    repository.commit("As it is")
    return repository


def changed_by(repository: TemporaryRepository, *paths: str) -> dict[str, set[str]]:
    """Return the kinds of stages that an edit of each file makes stale, itself or by digests; edits are reverted.

    A finding names the file, or a folder above it that is the dependency: of such a folder one file is edited.
    """
    before = {path: (repository.root / path).read_bytes() for path in paths}
    for path, text in before.items():
        (repository.root / path).write_bytes(text + b"\n# edited\n")
    try:
        stages = status(repository.root).stages
    finally:
        for path, text in before.items():
            (repository.root / path).write_bytes(text)
    subjects: dict[str, set[str]] = {}
    for stage in stages:
        for finding in stage.findings:
            subjects.setdefault(finding.subject, set()).add(_kind(stage))
    kinds = {}
    for path in paths:
        above = (path, *(str(folder) for folder in Path(path).parents))  # any of which may be the dependency
        stale = set().union(*(subjects.get(subject, set()) for subject in above))
        kinds[path] = {name for name in STAGES if stale & {name, *_digests_of(name)}}
    return kinds


def _digests_of(stage: str) -> list[str]:
    return [f"code-{Path(path).stem}" for path in STAGES[stage]["deps"] if path.startswith("reports/code/")]


def _kind(stage: StageStatus) -> str:
    return stage.stage.name.partition("@")[0]


def test_an_edit_of_each_module_makes_the_stages_that_import_it_stale_and_no_other(
    sources: TemporaryRepository,
) -> None:
    """Every module that any stage imports is edited, and some that no stage imports.

    A status tells of many edits by their files; files of one folder that is a dependency are edited one at a time.
    """
    importers: dict[str, set[str]] = {}
    for stage in STAGES:
        for module in modules_of(stage):
            importers.setdefault(module, set()).add(stage)
    assert len(importers) > 60
    expected = {_path_of(sources, module): stages for module, stages in importers.items()}
    unrelated = ("application/gate.py", "domain/review/check.py", "adapters/redis/writing.py", "settings/levers.py")
    expected |= {f"src/leverframe/{path}": set[str]() for path in unrelated}
    folders = sorted({path.as_posix() for stage in STAGES for path in code_of(stage) if not path.suffix})
    sharing: dict[str, list[str]] = {}
    for path in sorted(expected):
        sharing.setdefault(next((folder for folder in folders if path.startswith(f"{folder}/")), path), []).append(path)
    for together in zip_longest(*sharing.values()):
        paths = [path for path in together if path]
        assert changed_by(sources, *paths) == {path: expected[path] for path in paths}


def _path_of(sources: TemporaryRepository, module: str) -> str:
    place = Path("src", *module.split("."))
    return (place / "__init__.py" if (sources.root / place).is_dir() else place.with_suffix(".py")).as_posix()


def test_a_module_of_the_case_counts_for_the_stages_that_import_it(shop: Shop, tmp_path: Path) -> None:
    """Constants in a file beside the case, imported by sources and estimator: `stages --check` wants it listed."""
    mine = copied(shop, tmp_path)
    mine.repository.write("knobs.py", "RATE = 1\n")
    for file in ("sources.py", "model.py"):
        path = f"pipelines/shop/{file}"
        mine.repository.write(path, mine.repository.read(path).replace("\nimport", "\nimport knobs\nimport", 1))
    assert mine.run("stages", "--check").code == 18
    assert mine.run("stages", "--write").code == 0
    listed = yaml.safe_load(mine.repository.read("dvc.yaml"))["stages"]
    reading = {name for name, stage in listed.items() if "knobs.py" in (stage.get("do") or stage)["deps"]}
    assert reading == {"ingest-static", "ingest", "validate-static", "validate", "train", "evaluate", "bundle"}


IMPORTS = """
import importlib

import knobs
import tool.deep
from lib.deep.pack import RATE
from namespace import single
from vendor.rates import table

from . import beside
from .near.inner import OTHER


def late():
    from lib import lazily

    return importlib.import_module("plugins.by_name"), lazily

"""
SEEN = (
    "knobs.py", "libs/tool/__init__.py", "libs/tool/deep.py", "lib/deep/pack/__init__.py", "namespace/single.py",
    "vendor/rates/table.py", "pipelines/shop/beside.py", "pipelines/shop/near/inner.py", "lib/lazily.py",
    "plugins/by_name.py",
)  # fmt: skip
DECLARED = ("rates.csv", "extras/loaded.py")  # read, or loaded by a name that no text has


def test_an_edit_of_whatever_the_case_runs_makes_its_stages_stale(tmp_path: Path) -> None:
    """Beside the case, packages far away, within a function, relative, by name, a submodule, installed in place."""
    mine = OwnPath(made(tmp_path), "libs")
    root, repository = mine.shop.root, mine.shop.repository
    for path in (*SEEN, *DECLARED, "unrelated.py"):
        if not path.startswith("vendor/"):
            repository.write(path, "RATE = OTHER = 1\n")
    repository.write("extras/loaded.py", "import imported_by_loaded\n")
    repository.write("imported_by_loaded.py", "")
    vendored = TemporaryRepository.create(tmp_path / "vendored", dvc=False)
    vendored.write("table.py", "RATES = {}\n")
    vendored.commit("Rates")
    repository.git(
        "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(vendored.root), "vendor/rates"
    )
    mine.shop.replace("pipelines/shop/sources.py", "\nimport os", f"{IMPORTS}\nimport os")
    mine.shop.replace(
        "params.yaml", "timezone: Europe/Paris\n\n", "timezone: Europe/Paris\n  dependencies: [rates.csv, extras]\n\n"
    )
    assert "dvc.yaml" in mine.run("stages", "--write").split()
    assert mine.ran("ingest-static") == {"ingest-static"}
    repository.commit("Ingested")
    for path in (*SEEN, *DECLARED, "imported_by_loaded.py"):
        text = (root / path).read_bytes()
        (root / path).write_bytes(text + b"# edited\n")
        stage = mine.shop.status()["ingest-static"]
        (root / path).write_bytes(text)
        listed = "extras" if path.startswith("extras/") else path
        reasons = [(finding["reason"], finding["subject"]) for finding in stage["findings"]]
        assert (stage["state"], reasons) == ("changed", [("dependency-changed", listed)]), path
    repository.write("unrelated.py", "# edited\n")
    assert mine.state("ingest-static")[0] == "fresh"
    repository.write("unrelated.py", "")
    vendored.write("table.py", "import fresh_file\n")
    vendored.commit("Rates, with an import")
    repository.write("fresh_file.py", "")
    repository.commit("A file that nothing imports yet")
    repository.git("-C", "vendor/rates", "pull", "--quiet", str(vendored.root), "main")
    repository.git("checkout", "--quiet", "-b", "bump")
    repository.commit("Newer rates")
    report = json.loads(mine.run("check", "--json"))
    assert [entry["reason"] for entry in report["violations"]] == ["definition-invalid"]
    standing = repository.read("dvc.yaml")
    repository.git("submodule", "--quiet", "deinit", "--force", "vendor/rates")  # as a clone without it has it
    report = json.loads(mine.run("check", "--json"))
    (violation,) = report["violations"]
    assert "the submodule `vendor/rates` is not checked out" in violation["what"]
    assert "`git submodule update --init vendor/rates`" in violation["next"]
    mine.run("stages", "--write")
    assert repository.read("dvc.yaml") == standing


@pytest.mark.parametrize(
    "data",
    [b"\xef\xbb\xbfimport other\n", "# coding: latin-1\nÄ = 1\nimport other\n".encode("latin-1")],
    ids=["a byte order mark", "another encoding"],
)
def test_a_module_is_read_as_python_reads_it(data: bytes, tmp_path: Path) -> None:
    """Python runs it, so what it imports counts."""
    (tmp_path / "entry.py").write_bytes(data)
    (tmp_path / "other.py").touch()
    assert Code(Files(tmp_path))("entry") == ("entry.py", "other.py")


def test_an_estimator_in_another_file_counts_with_what_it_imports(shop: Shop, tmp_path: Path) -> None:
    """`train.estimator` names any module of the repository; its edit makes training stale."""
    mine = copied(shop, tmp_path)
    mine.repository.write(
        "lib/models.py", mine.repository.read("pipelines/shop/model.py") + "\nfrom lib import steps\n"
    )
    mine.repository.write("lib/steps.py", "")
    mine.repository.git("rm", "--quiet", "pipelines/shop/model.py")
    mine.replace("params.yaml", "pipelines.shop.model:estimator", "lib.models:estimator")
    assert mine.run("stages", "--write").stdout == "dvc.yaml\n"
    assert mine.repro() == {"train", "evaluate", "bundle"}
    for path in ("lib/models.py", "lib/steps.py"):
        text = mine.repository.read(path)
        mine.repository.write(path, text + "# edited\n")
        why = {name: {finding["subject"] for finding in stage["findings"]} for name, stage in mine.status().items()}
        assert {name for name, subjects in why.items() if path in subjects} == {"train", "evaluate", "bundle"}
        mine.repository.write(path, text)
    assert mine.stale() == set()


@pytest.mark.deep
def test_a_class_of_a_library_needs_no_file_of_the_case(shop: Shop, tmp_path: Path) -> None:
    """No `model.py`, and the whole pipeline runs to its end."""
    mine = copied(shop, tmp_path)
    mine.repository.git("rm", "--quiet", "pipelines/shop/model.py")
    mine.replace("params.yaml", "pipelines.shop.model:estimator", "sklearn.ensemble:HistGradientBoostingClassifier")
    mine.replace("params.yaml", "{iterations: 5}", "{max_iter: 5, early_stopping: false, random_state: 0}")
    mine.replace("params.yaml", 'select: ["*"]', 'select: ["customer_*", amount]')
    assert mine.run("stages", "--write").stdout == "dvc.yaml\n"
    assert mine.repro() == {"training-set", "train", "evaluate", "bundle"}
    assert mine.stale() == set()
    assert mine.run("stages", "--check").code == 0


def installed_in(shop: Shop) -> dict[str, str]:
    """Install Leverframe into an environment inside the repository, caches of Python included; return how to run it."""
    packages = shop.root / ".venv/lib/python3.11/site-packages"
    shutil.copytree(PACKAGE, packages / "leverframe", ignore=shutil.ignore_patterns("__pycache__"))
    (packages / "leverframe/__pycache__").mkdir()
    (packages / "leverframe/__pycache__/cli.cpython-311.pyc").write_bytes(b"of another machine")
    return shop.repository.environment | {"PYTHONPATH": str(packages)}


def run(shop: Shop, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `leverframe` as it is installed in an environment."""
    command = [sys.executable, "-m", "leverframe", *arguments]
    return subprocess.run(command, cwd=shop.root, env=environment, capture_output=True, text=True, check=False)


@dataclass(frozen=True)
class OwnPath:
    """A shop whose commands look for modules in a folder of the repository first, by PYTHONPATH."""

    shop: Shop
    folder: str

    def run(self, *arguments: str, module: str = "leverframe") -> str:
        """Run a command in that environment and return what it printed."""
        environment = self.shop.repository.environment | {"PYTHONPATH": str(self.shop.root / self.folder)}
        command = [sys.executable, "-m", module, *arguments]
        done = subprocess.run(command, cwd=self.shop.root, env=environment, capture_output=True, text=True, check=False)
        assert "Traceback" not in done.stderr, done.stderr
        return done.stdout

    def ran(self, target: str) -> set[str]:
        """Return the stages that `dvc repro` of a target runs; all of its stages are fresh afterwards."""
        printed = self.run("repro", "--no-run-cache", target, module="dvc")
        stages = set(re.findall(r"^Running stage '(.+)':$", printed, re.MULTILINE))
        assert self.state(target)[0] == "fresh", printed
        return stages

    def state(self, stage: str) -> tuple[str, list[tuple[str, str, str]]]:
        """Return the state of a stage, with what it is stale for: reason, subject and detail."""
        (status,) = json.loads(self.run("status", "--stage", stage, "--json"))["stages"]
        return status["state"], [(cause["reason"], cause["subject"], cause["detail"]) for cause in status["findings"]]

    @property
    def digests(self) -> dict[str, str]:
        """What stands in git of the code of `ingest`."""
        content: dict[str, str] = json.loads(self.shop.repository.read("reports/code/ingest.json"))
        return content


@pytest.fixture
def monorepo(tmp_path: Path) -> OwnPath:
    """Return one that holds Leverframe's source too; one month has been ingested, and everything is committed."""
    shop = made(tmp_path)
    shutil.copytree(PACKAGE, shop.root / "src/leverframe", ignore=shutil.ignore_patterns("__pycache__"))
    repository = OwnPath(shop, "src")
    assert "dvc.yaml" in repository.run("stages", "--write").split()
    assert repository.ran(MONTH) == {"code-ingest", MONTH}
    shop.repository.commit("One month")
    return repository


@pytest.mark.deep
def test_an_edit_of_code_reaches_the_stages_of_partitions_through_its_digests(monorepo: OwnPath) -> None:
    """The edited file is what they are stale for, before and after the digests are written; DVC runs just them."""
    file = monorepo.shop.root / "src/leverframe/files.py"
    text = file.read_text(encoding="utf-8")
    file.write_text(text + "\n# edited\n", encoding="utf-8")
    changed = ("dependency-changed", "src/leverframe/files.py", "")
    assert monorepo.state("code-ingest") == ("changed", [changed])
    assert monorepo.state(MONTH) == ("downstream", [("upstream-stale", "code-ingest", "src/leverframe/files.py")])
    assert "because of code-ingest (src/leverframe/files.py)" in monorepo.run("status")
    assert monorepo.ran("code-ingest") == {"code-ingest"}
    why = ("dependency-changed", "reports/code/ingest.json", "src/leverframe/files.py")
    assert monorepo.state(MONTH) == ("changed", [why])
    assert monorepo.ran(MONTH) == {MONTH}
    file.write_text(text, encoding="utf-8")
    assert monorepo.ran(MONTH) == {"code-ingest", MONTH}
    assert monorepo.shop.repository.git("status", "--porcelain") == ""  # the same code, the same bytes


@pytest.mark.deep
def test_a_file_of_code_that_comes_or_goes_reaches_the_stages_of_partitions(monorepo: OwnPath) -> None:
    """`stages --write` lists it, the digests follow, and the stages run."""
    sources = "pipelines/shop/sources.py"
    before = monorepo.shop.repository.read(sources)
    monorepo.shop.replace(sources, "\nimport", "\nimport knobs\nimport")
    monorepo.shop.repository.write("knobs.py", "RATE = 1\n")
    assert monorepo.run("stages", "--write") == "dvc.yaml\n"
    assert ("dependency-added", "knobs.py", "") in monorepo.state("code-ingest")[1]
    assert monorepo.ran(MONTH) == {"code-ingest", MONTH}
    assert set(monorepo.digests) >= {"knobs.py", sources, "src/leverframe/application/ingest.py"}
    monorepo.shop.repository.write(sources, before)
    (monorepo.shop.root / "knobs.py").unlink()
    assert monorepo.run("stages", "--write") == "dvc.yaml\n"
    assert monorepo.ran(MONTH) == {"code-ingest", MONTH}
    assert "knobs.py" not in monorepo.digests


@pytest.mark.deep
def test_digests_that_were_edited_do_not_pass_the_check(monorepo: OwnPath) -> None:
    """They are outputs like others: what git holds is what the lock says that the stage wrote."""
    monorepo.shop.replace("reports/code/ingest.json", monorepo.digests["pipelines/shop/sources.py"], "0" * 32)
    monorepo.shop.repository.commit("Not what the stage wrote")
    report = json.loads(monorepo.run("check", "--json"))
    mismatch = [violation["what"] for violation in report["violations"] if violation["reason"] == "lock-mismatch"]
    assert mismatch == ["`reports/code/ingest.json` in git does not match `dvc.lock`"]


@pytest.mark.parametrize("author", by_day(["outside", "inside"], "outside"))
def test_where_leverframe_is_installed_does_not_matter(author: str, shop: Shop, tmp_path: Path) -> None:
    """One has it in an environment inside the repository, the other elsewhere: both say the same, check passes."""
    mine = copied(shop, tmp_path)
    outside, inside = mine.repository.environment, installed_in(mine)
    writes, checks = (outside, inside) if author == "outside" else (inside, outside)
    written = run(mine, writes, "stages", "--write")
    assert (written.returncode, written.stdout) == (0, "nothing to write\n"), written.stderr
    definition = mine.repository.read("dvc.yaml")
    assert "site-packages" not in definition
    assert "leverframe/" not in definition
    assert mine.repository.git("status", "--porcelain") == ""  # the environment is ignored
    mine.repository.git("checkout", "--quiet", "-b", "readme")
    mine.repository.write("README.md", "A shop\n")
    mine.repository.commit("README only")
    assert run(mine, checks, "stages", "--check").returncode == 0
    checked = run(mine, checks, "check", "--json")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert run(mine, checks, "status", "--exit-code").returncode == 0


def test_another_version_makes_every_stage_stale_and_is_refused_until_it_is_written_down(
    shop: Shop, tmp_path: Path
) -> None:
    """The version is an input: DVC sees it change, and no stage runs under another one than the file names."""
    mine = copied(shop, tmp_path)
    mine.replace("leverframe-version.yaml", f"version: {__version__}", "version: 0.0.7")
    stale = {name for name, stage in mine.status().items() if stage["state"] == "changed"}
    assert stale == set(mine.status())
    ended = mine.run("ingest", "--partition", "static")
    assert ended.code == 18
    what, _, following = ended.error()
    assert what == f"this pipeline is written for Leverframe 0.0.7, and {__version__} runs"
    assert "leverframe stages --write" in following
    assert mine.run("stages", "--check").code == 18
    assert mine.run("stages", "--write").code == 0
    assert mine.stale() == set()


BLOCK = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
"""


def without(shop: Shop, folder: Path, *names: str) -> dict[str, str]:
    """Return an environment in which some packages are not installed."""
    (folder / "sitecustomize.py").write_text(BLOCK.format(names=set(names)), encoding="utf-8")
    return shop.repository.environment | {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT / "src")])}


def test_the_first_stage_says_which_extra_is_missing(shop: Shop, tmp_path: Path) -> None:
    """Before anything has run, although only the last stage would need it; nothing is written."""
    before = shop.outputs()
    done = run(shop, without(shop, tmp_path, "onnx", "skl2onnx"), "ingest", "--partition", "static")
    assert done.returncode == 33
    assert "onnx, skl2onnx" in done.stderr
    assert "pip install 'leverframe[serving]'" in done.stderr
    assert shop.outputs() == before


def test_a_stage_needs_no_package_of_an_extra_that_it_does_not_use(shop: Shop, tmp_path: Path) -> None:
    """Redis is an extra: the snapshot goes into a file without it."""
    environment = without(shop, tmp_path, "redis", "github", "pyspark", "alibi_detect", "python_terraform")
    done = run(shop, environment, "snapshot")
    assert done.returncode == 0, done.stderr
    refused = run(shop, environment, "snapshot", "--redis", "redis://127.0.0.1:1/0")
    assert refused.returncode == 33
    assert "pip install 'leverframe[redis]'" in refused.stderr
    assert "bug" not in refused.stderr


def test_the_ignore_files_exist_before_data_do(tmp_path: Path) -> None:
    """`stages --write` completes both files, and after a run that fails half way git sees no data."""
    mine = made(tmp_path)
    mine.repository.write(".gitignore", "/mine/")  # no line end, and none of what is needed
    mine.repository.write(".dvcignore", "")
    assert "dvc.yaml" not in mine.run("stages", "--write").stdout.split()
    assert mine.repository.read(".gitignore").startswith("/mine/\n/.venv/\n")
    assert ".venv\n" in mine.repository.read(".dvcignore")
    assert mine.run("stages", "--write").stdout == "nothing to write\n"
    assert (
        mine.run("ingest", "--partition", "2024-01").code == 0
    )  # and then the stage is killed: DVC has ignored nothing
    seen = mine.repository.git("status", "--porcelain", "--untracked-files=all").split("\n")
    assert [line for line in seen if "data/" in line] == []
