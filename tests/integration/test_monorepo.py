"""Projects in folders of one repository: every lever in a folder, and nothing of one project in the way of another."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any, NoReturn

import pytest

from leverframe.adapters.git import Git
from leverframe.adapters.git.base import Base
from leverframe.application.infra_place import InfraPlace
from leverframe.application.untouched import untouched
from leverframe.application.workspace import Workspace
from leverframe.domain.pipeline.status.lock import entries
from leverframe.domain.pipeline.status.resolved import Recorded
from leverframe.local.repository import TemporaryRepository
from leverframe.settings.levers import Levers
from tests.integration import monorepo, own_pipeline
from tests.integration.monorepo import ML, OTHER, Monorepo
from tests.integration.shop import Shop
from tests.profiles import by_day
from tests.warm import WarmRepository

UNTOUCHED = f"the change touches nothing that `{ML}` reads"


@pytest.fixture
def made(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Monorepo:
    """A repository of one's own with a finished shop in a folder, on a branch."""
    repository = monorepo.copied(monorepo.of_shop(tmp_path_factory), tmp_path / "mono")
    repository.whole.git("checkout", "--quiet", "-b", "change")
    return repository


def _document(shop: Shop, *arguments: str, code: int = 0) -> dict[str, Any]:
    ended = shop.run(*arguments, "--json")
    assert ended.code == code, ended.stdout + ended.stderr
    document: dict[str, Any] = json.loads(ended.stdout)
    return document


def test_a_change_elsewhere_concerns_nobody_here(made: Monorepo) -> None:
    """Another project, and a file at the top: no stage is stale, and the card says so at once."""
    made.whole.write(f"{OTHER}/train.py", "print(1)\n")
    made.whole.write("README.md", "# Everything\n")
    made.whole.commit("The other project")
    assert made.ml.stale() == set()
    for lever in ("check", "reproduce"):
        assert UNTOUCHED in _document(made.ml, lever)["notes"]
    assert _document(made.ml, "gate")["because"] == UNTOUCHED
    shutil.rmtree(made.ml.root / ".leverframe/levers")  # the card needs none of them
    assert made.ml.run("report", "--publisher", "file").code == 0
    card = made.ml.repository.read(".leverframe/report.md")
    assert f"Leverframe (`{ML}`): no verdict" in card
    assert UNTOUCHED in card
    assert f"cd {ML}" in card


@pytest.mark.parametrize("what", ["library", "submodule"])
def test_what_a_case_imports_from_elsewhere_makes_stages_stale(made: Monorepo, what: str) -> None:
    """A library beside the project, and a submodule that goes to another commit."""
    made.doubled(library=what == "library", submodule=what == "submodule")
    document = _document(made.ml, "check", code=30)
    (stale,) = [violation["what"] for violation in document["violations"] if violation["reason"] == "lock-stale"]
    assert {"library": "scaling/steps.py", "submodule": "rates/table.py"}[what] in stale
    assert made.ml.stale() == {"train", "evaluate", "bundle"}


@pytest.mark.parametrize("remote", by_day([True, False], False))
def test_the_champion_is_that_of_the_merge_base_with_what_it_imported(made: Monorepo, *, remote: bool) -> None:
    """From the remote, else trained in a copy that has library and submodule of its commit, not those of the change."""
    champion = ("models/model.skops", "data/predictions.parquet")
    if remote:
        made.ml.repository.dvc("push", "--quiet", *champion)
    auc = json.loads(made.ml.repository.read("reports/metrics.json"))["auc"]
    for path, output in _outputs(made.ml).items():
        if path in champion:
            (made.ml.root / ".dvc/cache/files/md5" / output.md5[:2] / output.md5[2:]).unlink()
    made.doubled()
    ended = made.ml.run("gate", "--json")
    assert ended.code == 0, ended.stderr
    (metric,) = [figure for figure in json.loads(ended.stdout)["metrics"] if figure["metric"] == "auc"]
    assert metric["champion"] == pytest.approx(auc)
    assert "fetching the champion" in ended.stderr
    assert ("its pipeline is run" in ended.stderr) is not remote
    assert ("  train " in ended.stderr) is not remote


def _outputs(shop: Shop) -> dict[str, Recorded]:
    stages = entries(shop.repository.read("dvc.lock"), "dvc.lock").values()
    return {path: recorded for entry in stages for path, recorded in entry.outputs.items()}


def test_the_bundle_of_a_commit_is_fetched_for_its_project(made: Monorepo) -> None:
    """By the plan of a deployment, where neither cache nor folder has it; a record of it names the project."""
    made.ml.repository.dvc("push", "--quiet", "models/bundle")
    shutil.rmtree(made.ml.root / ".dvc/cache")
    ended = made.ml.run("deploy", "--environment", "local", "--dry-run")
    assert ended.code == 0, ended.stderr
    assert "fetching the bundle" in ended.stderr
    assert "release 1" in ended.stdout


def test_a_command_names_the_projects_where_it_is_in_none(made: Monorepo) -> None:
    """From the top a project is named; `-C` goes there, and a folder that is none is an error of its own."""
    top = Shop(WarmRepository(made.whole.root, made.whole.home))
    before = made.whole.git("status", "--porcelain", "--ignored")
    for command in ("status", "check", "gate", "init"):
        what, _, following = top.run(command).error()
        assert what
        assert following == f"`leverframe -C {ML} ...` runs in the project there"
    assert made.whole.git("status", "--porcelain", "--ignored") == before
    assert "23 stages: 23 fresh" in top.run("-C", ML, "status").stdout
    assert top.run("-C", "nowhere", "status").error()[0] == "there is no way into the folder nowhere"


def test_git_merges_the_lock_of_a_folder_stage_by_stage(made: Monorepo) -> None:
    """The attributes stand in the folder, the driver is called at the top: entries of both sides are kept."""
    assert made.ml.run("init").code == 0
    made.whole.commit("Ready")
    recorded = _outputs(made.ml)
    ours, theirs = recorded["models/model.skops"].md5, recorded["data/snapshot.bin"].md5
    for branch, md5 in (("one", ours), ("two", theirs)):
        made.whole.git("checkout", "--quiet", "-b", branch, "change")
        text = made.ml.repository.read("dvc.lock")
        made.ml.repository.write("dvc.lock", text.replace(md5, md5[::-1]))
        made.whole.commit(branch)
    made.whole.git("merge", "--quiet", "--no-edit", "one")
    merged = made.ml.repository.read("dvc.lock")
    assert "<<<" not in merged
    assert {ours[::-1], theirs[::-1]} <= {output.md5 for output in _outputs(made.ml).values()}


def test_a_copy_leaves_out_what_a_sparse_clone_does_and_has_submodules_of_submodules(tmp_path: Path) -> None:
    """A partial clone lacks the content of what it leaves out; a library may have libraries."""
    made = monorepo.empty(tmp_path / "mono")
    inner = TemporaryRepository.create(tmp_path / "inner", dvc=False)
    inner.write("units.py", "HOUR = 3600\n")
    inner.commit("Units")
    add = ("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner.root), "units")
    made.origin.git(*add)
    made.origin.commit("Units of rates")
    made.whole.git("-C", "vendor/rates", "pull", "--quiet", str(made.origin.root), "main")
    made.whole.commit("Units")
    made.whole.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--init", "--recursive")
    for project in (made.ml, made.other):
        project.repository.write("notes.md", "here\n")
    commit = made.whole.commit("Two folders")
    for place in (inner.root, made.origin.root):
        shutil.rmtree(place)
    made.whole.git("sparse-checkout", "set", ML, "vendor")
    git = Git(made.ml.root).copied(commit, tmp_path / "copy")
    assert git.root == tmp_path / "copy" / ML
    assert (git.root / "notes.md").is_file()
    assert (tmp_path / "copy/vendor/rates/units/units.py").read_text() == "HOUR = 3600\n"
    assert not (tmp_path / "copy" / OTHER).exists()


@pytest.mark.parametrize(("path", "touched"), [("modules/store/main.tf", True), ("modules/other/main.tf", False),
                                               ("modules/keys/main.tf", True)])  # fmt: skip
def test_a_module_of_terraform_beside_a_project_concerns_it(tmp_path: Path, path: str, *, touched: bool) -> None:
    """Called by the root module, or by what that calls."""
    whole = TemporaryRepository.create(tmp_path, dvc=False)
    files = {
        f"{ML}/leverframe.yaml": "infra: {environments: {prod: {}}}\n", f"{ML}/dvc.yaml": "stages: {}\n",
        f"{ML}/.dvc/config": "",
        f"{ML}/terraform/environments/prod/main.tf": 'module "a" { source = "../../../../../modules/store" }\n',
        "modules/store/main.tf": 'module "b" { source = "../keys" }\n', "modules/keys/main.tf": "",
        "modules/other/main.tf": "",
    }  # fmt: skip
    for name, content in files.items():
        whole.write(name, content)
    base = whole.commit("Start")
    whole.write(path, f"{whole.read(path)}# changed\n")
    whole.commit("Change")
    root = whole.root / ML
    levers = Levers.model_validate({"infra": {"environments": {"prod": {}}}})
    workspace = Workspace(root, Git(root), _none, lambda: levers, _none)
    assert bool(untouched(workspace, Base(base, base))) is not touched
    concerned = InfraPlace(workspace, "prod", levers.infra.environments["prod"], "").concerned([f"../../{path}"])
    assert bool(concerned) is touched


def test_data_beside_the_project_count_by_what_dvc_recorded_of_them(tmp_path: Path) -> None:
    """Added at the top, or made by the other project: whoever has no data sees that they changed, all the same."""
    made = monorepo.empty(tmp_path / "mono", within=False)
    made.whole.write("data/rows.csv", "at\n2026\n")
    made.whole.dvc("add", "--quiet", "data/rows.csv")
    copy = "stages: {{copy: {{cmd: cp {0} {1}, deps: [{0}], outs: [{1}]}}}}\n"
    made.other.repository.write("dvc.yaml", copy.format("../../data/rows.csv", "theirs.csv"))
    made.ml.repository.write("dvc.yaml", copy.format("../other/theirs.csv", "ours.csv"))
    for project in (made.other, made.ml):
        project.repository.write("leverframe.yaml", "report: {slices: 8}\n")
        project.repository.dvc("repro", "--quiet")
    base = made.whole.commit("Reproduced")
    for path in ("data/rows.csv", f"{OTHER}/theirs.csv", f"{ML}/ours.csv"):
        (made.whole.root / path).unlink()
    assert (made.other.stale(), made.ml.stale()) == (set(), set())
    for project, file in ((made.other, "data/rows.csv.dvc"), (made.ml, f"{OTHER}/dvc.lock")):
        text = made.whole.read(file)
        md5 = re.findall(r"md5: ([0-9a-f]{32})", text)[-1]
        made.whole.write(file, text.replace(md5, md5[::-1]))
        assert project.stale() == {"copy"}
        workspace = Workspace(project.root, Git(project.root), _none, Levers, _none)
        assert untouched(workspace, Base(base, base)) == ""
        made.whole.write(file, text)


def _none(*_: object) -> NoReturn:
    raise AssertionError("nobody should ask")


@pytest.mark.parametrize("within", by_day([True, False], False))
@pytest.mark.deep
def test_a_model_is_trained_anew_in_its_folder(tmp_path: Path, *, within: bool) -> None:
    """Wherever `.dvc` is: the candidate is a commit that changes files of the folder alone, and of its own branch."""
    made = monorepo.of_scripts(tmp_path / "mono", within=within)
    made.whole.write("README.md", "not to be committed")
    own_pipeline.noticed(made.ml)
    ended = made.ml.run("retrain", "--as-of", own_pipeline.NOW)
    assert ended.code == 0, ended.stdout + ended.stderr
    (name,) = made.whole.git("for-each-ref", "--format=%(refname)", "refs/leverframe").split()
    assert name.startswith("refs/leverframe/retrain/services-ml-churn-")
    changed = made.whole.git("diff", "--name-only", "main", name).split()
    assert set(changed) == {f"{ML}/config/split.yaml", f"{ML}/dvc.lock"}
