"""What is installed has every file that the sources have, templates among them, and each template fits its text."""

from __future__ import annotations

import ast
import importlib
import importlib.machinery
import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from leverframe import __version__
from leverframe.adapters.markdown_it import framed
from leverframe.application.init import actions_installed
from leverframe.domain.pipeline.init import WorkflowContext, workflow, workflow_file
from leverframe.domain.project import Project
from leverframe.errors import RepositoryError
from leverframe.package import extra_of, home_of, installing, local_environment, missing_package, template

ROOT = Path(__file__).parents[2]


def test_a_wheel_has_every_file(tmp_path: Path) -> None:
    """Python or not: what git tracks below src/leverframe is in the wheel."""
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, capture_output=True, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())
    listed = subprocess.run(["git", "ls-files", "src/leverframe"], cwd=ROOT, capture_output=True, text=True, check=True)
    tracked = {name.removeprefix("src/") for name in listed.stdout.splitlines() if (ROOT / name).exists()}
    assert tracked - packed == set()
    assert {"leverframe/templates/workflow.yml", "leverframe/templates/page.css"} <= packed
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert zipfile.ZipFile(wheel).read("leverframe/commit.txt").decode() == head
    assert actions_installed() == f"leverframe/leverframe/actions@{head.strip()} # v{__version__}"  # of this checkout
    assert list(tmp_path.iterdir()) == [wheel]
    written = local_environment()
    assert "terraform/environments/local/main.tf" in written
    for path, text in written.items():
        assert zipfile.ZipFile(wheel).read(f"leverframe/templates/{path}").decode() == text


def test_what_python_finds_in_the_repository_is_part_of_it_unless_it_is_an_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of the path, a package without its own file, a lone module; never the environment or what is outside."""
    repository, outside = tmp_path / "repository", tmp_path / "outside"
    environment = repository / "env"
    packages, standard = environment / "lib/site-packages", environment / "lib"
    places = {"whole": repository / "libs", "spaced": repository, "lone": repository / "libs", "foreign": outside,
              "brought": packages, "shipped": standard}  # fmt: skip
    for name, folder in places.items():
        (folder / name).mkdir(parents=True)
        (folder / name / ("module.py" if name == "spaced" else "__init__.py")).touch()
        monkeypatch.syspath_prepend(folder)
    (repository / "libs/lone").rename(repository / "libs/away")
    (repository / "libs/lone.py").touch()
    monkeypatch.setattr(sys, "prefix", str(environment))
    importlib.invalidate_caches()
    homes = {name: home_of(name, repository) for name in places}
    assert homes == {"whole": Path("libs"), "spaced": Path(), "lone": Path("libs"), "foreign": None,
                     "brought": None, "shipped": None}  # fmt: skip
    assert [home_of(name, repository) for name in ("", "none_such", "sys", "json", "__main__")] == [None] * 5
    project = repository / "services/ml"  # as a project in a folder names what lies beside it
    assert [home_of(name, project, repository) for name in ("whole", "foreign")] == [Path("../../libs"), None]
    assert home_of("whole", project) is None


def test_the_workflow_names_each_action_with_its_commit() -> None:
    """Nothing of the template is left, and expressions of GitHub stay as they are."""
    text = workflow(template("workflow.yml"), "us/them/actions@abc # v1")
    jobs = yaml.safe_load(text)["jobs"]
    used = [step["uses"] for job in jobs.values() for step in job["steps"]]
    ours = [name.removeprefix("us/them/actions/") for name in used if name.startswith("us/them/actions/")]
    assert ours == [f"{name}@abc" for name in ("setup", "check", "reproduce", "gate", "report")]
    assert text.count("@abc # v1") == len(ours)
    assert "%" not in text
    assert "${{ github.event.pull_request.head.sha || github.sha }}" in text


@pytest.mark.parametrize("folder", ["services/ml", "2024", "null", "My Models/käse", "a-b/c_d.e"])
def test_the_workflow_of_a_folder_names_it_wherever_it_is_asked_for(folder: str) -> None:
    """Whatever YAML would make of the name: each action gets it, each path begins with it, names do not collide."""
    project = Project(folder)
    for name in ("workflow.yml", "workflow-merge.yml", "workflow-monitor.yml", "workflow-infra.yml"):
        text = workflow(
            template(name), "us/them/actions@abc # v1", WorkflowContext(project, infra=True, submodules=True)
        )
        assert "%" not in text
        written = yaml.safe_load(text)
        steps = [step for job in written["jobs"].values() for step in job["steps"]]
        assert {step["with"]["folder"] for step in steps if "us/them" in step.get("uses", "")} == {folder}
        runs = [step["working-directory"] for step in steps if "run" in step]
        assert set(runs) <= {folder}
        paths = [step["with"]["path"] for step in steps if "path" in step.get("with", {})]
        assert all(path.startswith(f"{folder}/") for path in paths)
        assert written["name"].endswith(f"({folder})")
        assert re.fullmatch(rf"\.github/workflows/leverframe-{project.word}[a-z-]*\.yml", workflow_file(project, name))


@pytest.mark.parametrize("folder", ["a*b", "a: b", "x #y", "${{ github.token }}", 'a"b', "a\nb", "!x", "[x]"])
def test_a_folder_that_a_workflow_cannot_name_is_refused(folder: str) -> None:
    """Patterns, expressions and what ends a line of YAML."""
    with pytest.raises(RepositoryError, match="a workflow cannot name the folder"):
        workflow(template("workflow.yml"), "us/them/actions@abc", WorkflowContext(Project(folder)))


def test_a_template_that_lacks_a_value_is_an_error() -> None:
    with pytest.raises(KeyError, match="other"):
        workflow("uses: %{place}/%{other}", "us/them/actions@abc")


def test_a_page_shows_what_it_is_given() -> None:
    """A dollar sign of a card is no placeholder, and a title is text."""
    page = framed("</title><script>", "<p>$title costs $5</p>")
    assert "<title>&lt;/title&gt;&lt;script&gt;</title>" in page
    assert "<p>$title costs $5</p>" in page
    assert "default-src 'none'" in page
    assert "$" not in page.replace("<p>$title costs $5</p>", "")


def _imports(path: Path) -> set[str]:
    """Return the packages of others that a module imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return {name.partition(".")[0] for name in names} - {"leverframe", *sys.stdlib_module_names}


def test_of_every_package_that_is_imported_it_is_known_what_brings_it() -> None:
    """Whatever is missing at whatever line, the error has the line to run."""
    imported = {name for path in (ROOT / "src/leverframe").rglob("*.py") for name in _imports(path)}
    assert {"mlserver", "redis", "sklearn", "yaml"} <= imported
    assert {name for name in imported if extra_of(name) is None} == set()


@pytest.mark.parametrize(
    ("error", "what", "following"),
    [
        (ModuleNotFoundError("", name="redis"), "is not installed", "pip install 'leverframe[redis]'"),
        (ModuleNotFoundError("", name="google.protobuf"), "is not installed", "pip install 'leverframe[serving]'"),
        (ModuleNotFoundError("", name="sklearn.ensemble"), "is not installed", "pip install leverframe"),
        (ModuleNotFoundError("", name="of_nobody.part"), "is not installed", "pip install of_nobody"),
        (ImportError("libgomp.so.1: no such file", name="onnx"), "cannot be imported", "--force-reinstall"),
    ],
)
def test_a_package_that_is_missing_is_never_a_bug(error: ImportError, what: str, following: str) -> None:
    """Of an extra, of Leverframe, of neither; one that is there and cannot be loaded."""
    missing = missing_package(error)
    assert missing is not None
    assert what in missing.what
    assert following in missing.next


WHEEL = "https://example.org/leverframe-0.1.0-py3-none-any.whl"


@pytest.mark.parametrize("pip", [True, False])
@pytest.mark.parametrize("active", [True, False])
@pytest.mark.parametrize(("direct", "name"), [
    (None, "'leverframe[github,serving]'"),
    ({"url": WHEEL, "archive_info": {}}, f"'leverframe[github,serving] @ {WHEEL}'"),
    ({"url": "file:///a/leverframe.whl", "archive_info": {}},
     "'leverframe[github,serving] @ file:///a/leverframe.whl'"),
    ({"url": WHEEL.replace("//", "//me:secret@"), "archive_info": {}}, "'leverframe[github,serving]'"),
    ({"url": "file:///a/leverframe", "dir_info": {}}, "'leverframe[github,serving]'"),
])  # fmt: skip
def test_the_command_installs_into_the_environment_that_runs(
    direct: dict[str, object] | None, name: str, active: bool, pip: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without `pip`, as `uv venv` makes it, by uv; elsewhere than the active one by its path; from where it came."""
    monkeypatch.setenv("VIRTUAL_ENV", sys.prefix if active else "/elsewhere")
    monkeypatch.setattr(
        "leverframe.package.find_spec", lambda _: importlib.machinery.ModuleSpec("pip", None) if pip else None
    )
    monkeypatch.setattr("leverframe.package.origin", lambda: direct)
    command = installing("leverframe", ["github", "serving"])
    here = shlex.quote(sys.executable)
    wanted = {
        (True, True): f"pip install {name}",
        (True, False): f"{here} -m pip install {name}",
        (False, True): f"uv pip install {name}",
        (False, False): f"uv pip install {name} --python {here}",
    }
    assert command == wanted[pip, active]


def test_what_is_missing_of_leverframe_itself_is_a_bug() -> None:
    """No package of others brings it; nor any other error."""
    assert missing_package(ModuleNotFoundError("", name="leverframe.nothing")) is None
    assert missing_package(ValueError("no import")) is None
