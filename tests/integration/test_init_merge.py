"""`leverframe init` on a real repository, and what git then does with what stages write and with what people write."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from leverframe.domain.pipeline.init import ATTRIBUTES
from leverframe.local.repository import CommandFailedError, TemporaryRepository
from tests.integration.shop import Shop, copied, finished
from tests.profiles import by_day
from tests.warm import WarmRepository


@pytest.fixture
def shop(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A finished shop of one's own."""
    return copied(finished(tmp_path_factory), tmp_path)


def test_init_says_what_it_would_do_does_it_and_has_nothing_left(shop: Shop) -> None:
    """A dry run changes nothing; a second run has nothing to do; what stood there is kept."""
    shop.repository.write(".gitattributes", "*.bin binary")
    before = shop.repository.git("status", "--porcelain")
    planned = shop.run("init", "--dry-run")
    assert planned.code == 0
    assert ".github/workflows/leverframe.yml" in planned.stdout
    assert shop.repository.git("status", "--porcelain") == before
    assert shop.run("init").stdout == planned.stdout
    assert shop.repository.read(".gitattributes").splitlines()[:2] == ["*.bin binary", "dvc.lock merge=leverframe"]
    assert shop.run("init").stdout == "nothing to do\n"
    assert shop.run("init", "--json").stdout == "[]\n"


def test_an_empty_repository_without_a_commit_is_made_ready(tmp_path: Path) -> None:
    """Before there is a case: DVC, ignore files and the workflow; what stands there is kept.

    What a person has to do is said. The Leverframe of the tests is a folder, which no CI can install.
    """
    repository = WarmRepository.create(tmp_path, dvc=False)
    repository.write(".gitignore", "/mine/")
    mine = Shop(repository)
    planned = mine.run("init", "--dry-run")
    assert (planned.code, repository.git("status", "--porcelain")) == (0, "?? .gitignore\n")
    assert mine.run("init").stdout == planned.stdout
    for line in ("dvc init: ", "write .gitignore: ", "write .dvcignore: ", "requirements.lock is missing: "):
        assert f"\n{line}" in f"\n{planned.stdout}"
    assert {"/mine/", "/.venv/", "__pycache__/", "/data/raw/*.parquet"} <= set(repository.read(".gitignore").split())
    assert ".venv" in repository.read(".dvcignore").split()
    repository.dvc("status")
    again = mine.run("init").stdout
    assert again.startswith("requirements.lock is missing: CI installs from it. Leverframe was installed from a folder")
    assert again.count("\n") == 2
    repository.write("requirements.lock", "# none\n")
    assert mine.run("init").stdout == "nothing to do\n"


def test_init_says_who_has_to_approve_code_and_writes_it_down_for_an_owner(shop: Shop) -> None:
    """The branch rule and the lines are told with the first workflow; with `--owner` they come to the file's end."""
    first = shop.run("init").stdout
    assert "`init` did not ask whether the branch has a rule" in first
    assert "require the check `leverframe` and a review from code owners" in first
    assert "adds `/.github/`" in first
    shop.repository.write("CODEOWNERS", "* @acme/all\n")
    assert shop.run("init", "--owner", "@LOGIN").code == 10
    assert shop.run("init", "--owner", "@acme/ml").stdout.startswith("write CODEOWNERS: the judge runs no code")
    lines = shop.repository.read("CODEOWNERS").splitlines()
    assert lines[0] == "* @acme/all"
    assert {"/.github/ @acme/ml", "/pipelines/ @acme/ml", "/dvc.yaml @acme/ml", "/CODEOWNERS @acme/ml"} <= set(lines)
    assert not (shop.root / ".github/CODEOWNERS").exists()
    assert shop.run("init", "--owner", "@acme/others").stdout == "nothing to do\n"
    shop.repository.write(
        ".github/workflows/leverframe.yml",
        "      - uses: x/report@y\n        with:\n          card: card/report.json\n",
    )
    assert shop.run("init").stdout.startswith(
        ".github/workflows/leverframe.yml was written before the judge existed: its job"
    )


def test_init_derives_the_stages_of_a_case_and_overwrites_none(shop: Shop) -> None:
    """Where there is no dvc.yaml yet: the same as `stages --write` writes."""
    before = shop.repository.read("dvc.yaml")
    (shop.root / "dvc.yaml").unlink()
    assert "write dvc.yaml: the stages of the case" in shop.run("init").stdout
    assert shop.repository.read("dvc.yaml") == before
    shop.repository.write("dvc.yaml", "stages: {}\n")
    assert shop.run("init").stdout == "nothing to do\n"


def test_a_pipeline_of_ones_own_gets_no_lines_for_outputs_that_it_does_not_have(written: TemporaryRepository) -> None:
    """Its data may be in git as it likes; environments and caches are nobody's."""
    assert "/.venv/" in written.read(".gitignore").split()
    assert "/data/raw/*.parquet" not in written.read(".gitignore")


def test_a_workflow_that_is_there_is_kept(shop: Shop) -> None:
    """A file that somebody edited is theirs."""
    shop.repository.write(".github/workflows/leverframe.yml", "name: mine\n")
    shop.run("init")
    assert shop.repository.read(".github/workflows/leverframe.yml") == "name: mine\n"


def test_a_repository_that_is_monitored_gets_a_second_workflow(shop: Shop) -> None:
    """Where leverframe.yaml has a section for it; the file is written once, and never without."""
    path = ".github/workflows/leverframe-monitor.yml"
    shop.run("init")
    assert not (shop.root / path).exists()
    shop.repository.write("leverframe.yaml", shop.repository.read("leverframe.yaml") + "\nmonitor: {every_hours: 24}\n")
    assert shop.run("init").stdout == f"write {path}: the traffic is looked at every morning\n"
    assert "actions/monitor@" in shop.repository.read(path)
    assert shop.run("init").stdout == "nothing to do\n"


def test_a_repository_with_infrastructure_gets_it_planned_applied_and_looked_at(shop: Shop) -> None:
    """A job more in the workflow of pull requests, and a workflow of its own; what one machine has needs neither."""
    card, path = ".github/workflows/leverframe.yml", ".github/workflows/leverframe-infra.yml"
    levers = shop.repository.read("leverframe.yaml")
    shop.repository.write("leverframe.yaml", f"{levers}\ninfra: {{environments: {{prod: {{}}}}}}\n")
    assert f"write {path}: reviewed infrastructure is applied after a merge" in shop.run("init").stdout
    assert {"*.tfstate", "*.tfstate.*"} <= set(shop.repository.read(".gitignore").splitlines())
    assert "actions/infra-plan@" in shop.repository.read(card)
    assert "actions/infra-apply@" in shop.repository.read(path)
    assert "# infra: " not in shop.repository.read(card)
    for name in (card, path):
        (shop.root / name).unlink()
    shop.repository.write("leverframe.yaml", f"{levers}\ninfra: {{environments: {{here: {{observe: local}}}}}}\n")
    shop.run("init")
    assert "infra-plan" not in shop.repository.read(card)
    assert not (shop.root / path).exists()


def test_a_repository_that_declares_the_local_environment_gets_its_terraform(shop: Shop) -> None:
    """Root module and modules are its own files from then on; without the declaration there are none."""
    assert shop.run("init").code == 0
    assert not (shop.root / "terraform").exists()
    levers = shop.repository.read("leverframe.yaml")
    shop.repository.write("leverframe.yaml", f"{levers}\ninfra: {{environments: {{local: {{observe: local}}}}}}\n")
    first = shop.run("init").stdout.splitlines()
    assert "write terraform/environments/local/main.tf: the local environment that leverframe.yaml declares" in first
    assert (shop.root / "terraform/modules/local_serving/main.tf").is_file()
    shop.repository.write("terraform/modules/local_store/main.tf", "# mine\n")
    (shop.root / "terraform/environments/local/README.md").unlink()
    assert shop.run("init").stdout == "nothing to do\n"
    assert shop.repository.read("terraform/modules/local_store/main.tf") == "# mine\n"


def test_init_outside_of_git_is_one_clear_error(tmp_path: Path, shop: Shop) -> None:
    """No traceback, and nothing written."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "params.yaml").write_text("{}", encoding="utf-8")
    environment = shop.repository.environment
    ended = subprocess.run(
        ["leverframe", "init"], cwd=elsewhere, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 19
    assert "Traceback" not in ended.stderr
    assert list(elsewhere.iterdir()) == [elsewhere / "params.yaml"]


def test_two_branches_that_trained_merge_without_markers(shop: Shop) -> None:
    """Git takes what one side ran, drops what both ran, and `dvc repro` runs just that."""
    repository = shop.repository
    shop.run("init")
    repository.commit("Ready for pull requests")
    repository.git("branch", "other")
    shop.replace("params.yaml", "iterations: 5", "iterations: 7")
    repository.dvc("repro")
    repository.commit("More trees")
    repository.git("checkout", "--quiet", "other")
    shop.replace("params.yaml", "minimum_slice_rows: 50", "minimum_slice_rows: 60")
    repository.dvc("repro")
    repository.commit("Larger slices")
    repository.git("merge", "--quiet", "--no-edit", "main")
    assert "<<<<<<<" not in repository.read("dvc.lock") + repository.read("reports/metrics.json")
    states = {name: stage["state"] for name, stage in shop.status().items()}
    assert states["evaluate"] == "new"
    assert {state for name, state in states.items() if name not in ("evaluate", "train", "bundle")} == {"fresh"}
    ran = shop.repro()
    assert "evaluate" in ran
    assert ran <= {"evaluate", "train", "bundle"}
    assert {stage["state"] for stage in shop.status().values()} == {"fresh"}


NOTES, OWNERS = "reports/notes.md", "models/owners.json"
LINES = [f"line {number}" for number in range(12)]
FORMER = "dvc.lock merge=leverframe\nreports/** merge=leverframe\nmodels/*.json merge=leverframe\n"
PIPELINE = """\
vars:
  - months: {"2024-01": {}, "2024-02": {}}
stages:
  evaluate:
    cmd: cp in.json reports/metrics.json
    deps: [in.json]
    metrics: [{reports/metrics.json: {cache: false}}]
  draw:
    cmd: mkdir -p reports/plots && cp in.json reports/plots/curve.csv
    deps: [in.json]
    outs: [{reports/plots: {cache: false}}]
  profile:
    foreach: ${months}
    do:
      cmd: cp ../in.json profiles/${key}.json
      wdir: reports
      deps: [../in.json]
      outs:
        - profiles/${key}.json: {cache: false}
"""
WRITTEN = ("reports/metrics.json", "reports/plots/curve.csv", "reports/profiles/2024-01.json")


@pytest.fixture(scope="module", params=["as init writes them", "as init wrote them once"])
def start(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a repository with stages that have run, a page, and the merge driver; nobody changes it."""
    folder = tmp_path_factory.mktemp("start")
    repository = WarmRepository.create(folder)
    page = "\n".join(LINES) + "\n"
    texts = {
        "params.yaml": "{}\n",
        "requirements.lock": "# none\n",
        "dvc.yaml": PIPELINE,
        "reports/profiles/.keep": "",
        "in.json": "0\n",
    }
    for path, text in {**texts, NOTES: page, OWNERS: page.upper()}.items():
        repository.write(path, text)
    repository.dvc("repro")
    assert Shop(repository).run("init").code == 0
    if request.param == "as init wrote them once":
        repository.write(".gitattributes", FORMER)
    repository.commit("Start")
    return folder


@pytest.fixture
def written(start: Path, tmp_path: Path) -> TemporaryRepository:
    """Return a repository of one's own with three stages that have run, a page that somebody wrote, and the driver."""
    shutil.copytree(start, tmp_path, symlinks=True, dirs_exist_ok=True)
    return WarmRepository(tmp_path / "repository", tmp_path / "home")


def edited(repository: TemporaryRepository, number: int, text: str, path: str = NOTES) -> str:
    """Replace one line of a page, and return the commit."""
    lines = repository.read(path).splitlines()
    lines[number] = text
    repository.write(path, "\n".join(lines) + "\n")
    return repository.commit(f"{path}: {text}")


def ran(repository: TemporaryRepository, value: int) -> str:
    """Change what all stages read, run them, and return the commit."""
    repository.write("in.json", f"{value}\n")
    repository.dvc("repro")
    return repository.commit(f"Ran with {value}")


def branched(repository: TemporaryRepository) -> None:
    """Leave the branch `main` for one named `mine`."""
    repository.git("checkout", "--quiet", "-b", "mine")


def conflict(repository: TemporaryRepository, *command: str) -> str:
    """Run git, which has to end with a conflict, and return the paths that have one."""
    with pytest.raises(CommandFailedError):
        repository.git(*command)
    return repository.git("diff", "--name-only", "--diff-filter=U").strip()


@pytest.mark.parametrize("path", [NOTES, OWNERS])
@pytest.mark.parametrize("how", ["merge", "rebase", "cherry-pick"])
def test_lines_of_a_page_that_two_people_wrote_are_all_kept(how: str, path: str, written: TemporaryRepository) -> None:
    """A file below reports or models that no stage owns is merged by its lines."""
    before = written.read(path).splitlines()
    branched(written)
    mine = edited(written, 1, "mine", path)
    written.git("checkout", "--quiet", "main")
    edited(written, 9, "theirs", path)
    if how == "rebase":
        written.git("checkout", "--quiet", "mine")
    command = {"merge": ["merge", "--quiet", "--no-edit", "mine"], "rebase": ["rebase", "--quiet", "main"],
               "cherry-pick": ["cherry-pick", mine]}[how]  # fmt: skip
    written.git(*command)
    expected = [{1: "mine", 9: "theirs"}.get(number, line) for number, line in enumerate(before)]
    assert written.read(path).splitlines() == expected
    assert f"{path}: mine" in written.git("log", "--format=%s")


def test_a_revert_of_a_page_takes_its_lines_away_and_no_others(written: TemporaryRepository) -> None:
    """Also where other lines changed since."""
    first = edited(written, 1, "wrong")
    edited(written, 9, "right")
    written.git("revert", "--no-edit", first)
    assert written.read(NOTES).splitlines() == [{9: "right"}.get(number, line) for number, line in enumerate(LINES)]


@pytest.mark.parametrize("how", ["merge", "rebase", "cherry-pick", "revert"])
def test_lines_that_clash_are_marked(how: str, written: TemporaryRepository) -> None:
    """Git stops, and the file shows both sides."""
    branched(written)
    mine = edited(written, 4, "mine")
    if how == "revert":
        edited(written, 4, "theirs")
    else:
        written.git("checkout", "--quiet", "main")
        edited(written, 4, "theirs")
        if how == "rebase":
            written.git("checkout", "--quiet", "mine")
    command = [how, {"rebase": "main", "merge": "mine"}.get(how, mine)]
    assert conflict(written, *command, *(["--no-edit"] if how == "revert" else [])) == NOTES
    text = written.read(NOTES)
    assert [text.count(marker) for marker in ("<<<<<<< ", "=======\n", ">>>>>>> ")] == [1, 1, 1]
    assert "theirs\n" in text
    assert ("line 4\n" if how == "revert" else "mine\n") in text


def test_a_page_that_was_renamed_or_deleted_is_merged_as_git_does(written: TemporaryRepository) -> None:
    """An edit follows the new name; one of a deleted file is a conflict that keeps it."""
    branched(written)
    edited(written, 1, "mine")
    edited(written, 1, "mine", OWNERS)
    written.git("checkout", "--quiet", "main")
    edited(written, 9, "theirs")
    written.git("mv", NOTES, "reports/pages.md")
    written.git("rm", "--quiet", OWNERS)
    written.commit("Renamed, and deleted")
    assert conflict(written, "merge", "mine") == OWNERS
    assert "mine\n" in written.read(OWNERS)
    expected = [{1: "mine", 9: "theirs"}.get(number, line) for number, line in enumerate(LINES)]
    assert written.read("reports/pages.md").splitlines() == expected


def test_bytes_that_are_no_text_are_a_conflict(written: TemporaryRepository) -> None:
    """Nothing is guessed of a picture that two people drew."""
    branched(written)
    written.write("reports/mine.png", b"\x89PNG\0\1")
    written.commit("Drawn")
    written.git("checkout", "--quiet", "main")
    written.write("reports/mine.png", b"\x89PNG\0\2")
    written.commit("Drawn, too")
    assert conflict(written, "merge", "mine") == "reports/mine.png"
    assert (written.root / "reports/mine.png").read_bytes() == b"\x89PNG\0\2"


@pytest.mark.parametrize("how", by_day(["merge", "rebase", "cherry-pick", "revert"], "merge"))
def test_what_both_sides_ran_stays_as_on_this_side_and_is_stale(how: str, written: TemporaryRepository) -> None:
    """No conflict but the one of the input, which a person resolves; `dvc repro` then writes all of it again."""
    branched(written)
    mine = ran(written, 1)
    if how == "revert":
        ran(written, 2)
    else:
        written.git("checkout", "--quiet", "main")
        ran(written, 2)
        if how == "rebase":
            written.git("checkout", "--quiet", "mine")
    assert conflict(written, how, {"rebase": "main", "merge": "mine"}.get(how, mine)) == "in.json"
    assert {path: written.read(path) for path in WRITTEN} == dict.fromkeys(WRITTEN, "2\n")
    written.write("in.json", "3\n")
    assert Shop(written).stale() == {"evaluate", "draw", "profile@2024-01", "profile@2024-02"}
    written.dvc("repro")
    assert {path: written.read(path) for path in WRITTEN} == dict.fromkeys(WRITTEN, "3\n")


def test_what_a_fork_ran_is_known_although_no_branch_here_has_it(written: TemporaryRepository, tmp_path: Path) -> None:
    """`git pull` from an address: its lock is in what was fetched."""
    fork = WarmRepository(tmp_path / "fork", written.home)
    written.git("clone", "--quiet", str(written.root), str(fork.root))
    ran(fork, 1)
    ran(written, 2)
    assert conflict(written, "pull", "--quiet", "--no-rebase", "--no-edit", str(fork.root), "main") == "in.json"
    assert {path: written.read(path) for path in WRITTEN} == dict.fromkeys(WRITTEN, "2\n")


@pytest.mark.parametrize("edits", ["mine", "theirs"])
def test_what_somebody_edited_of_a_stage_is_not_dropped(edits: str, written: TemporaryRepository) -> None:
    """No lock has it, so no stage would write it again: both sides are shown."""
    branched(written)
    ran(written, 1) if edits == "theirs" else edited(written, 0, "by hand", WRITTEN[0])
    written.git("checkout", "--quiet", "main")
    ran(written, 2) if edits == "mine" else edited(written, 0, "by hand", WRITTEN[0])
    assert WRITTEN[0] in conflict(written, "merge", "mine").split()
    assert "by hand\n" in written.read(WRITTEN[0])
    assert "<<<<<<< " in written.read(WRITTEN[0])


def test_a_lock_that_cannot_be_merged_shows_both_sides(written: TemporaryRepository) -> None:
    """One side has a lock of another schema: nothing is guessed, git stops, and the markers are there."""
    branched(written)
    ran(written, 1)
    written.git("checkout", "--quiet", "main")
    ran(written, 2)
    written.write("dvc.lock", written.read("dvc.lock").replace("schema: '2.0'", "schema: '3.0'"))
    written.commit("Of another time")
    assert "dvc.lock" in conflict(written, "merge", "mine").split()
    assert "<<<<<<< " in written.read("dvc.lock")


def test_init_leaves_no_pattern_that_takes_what_people_write(written: TemporaryRepository) -> None:
    """It replaces the lines that it wrote once, and keeps those of others."""
    written.write(".gitattributes", "*.bin binary\n" + written.read(".gitattributes"))
    assert Shop(written).run("init").code == 0
    assert written.read(".gitattributes").splitlines() == ["*.bin binary", *ATTRIBUTES]
    lines = written.git("check-attr", "merge", NOTES, OWNERS, *WRITTEN, "dvc.lock").splitlines()
    assert [line.rpartition(" ")[2] for line in lines] == ["unspecified"] * 2 + ["leverframe"] * 4
