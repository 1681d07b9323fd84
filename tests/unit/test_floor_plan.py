"""The architecture itself: every module is found by the name of its command, and the layers hold."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from leverframe.cli import leverframe

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src/leverframe"
COMMANDS = sorted(path.stem for path in (PACKAGE / "commands").glob("*.py") if path.stem != "__init__")
# Commands whose module in the domain has another name: they share one, or have no rules of their own.
HOME_ELSEWHERE = {
    "settings": "settings",
    "rollback": "domain/release/deploy.py",
    "explain": "domain/features/star_picture.py",
    "demo": "demo",
    "infra": "domain/infrastructure",
}
LEVERS = ("check", "reproduce", "gate", "report", "judge", "deploy", "monitor", "retrain", "materialize",
          "infra-plan", "infra-apply")  # fmt: skip
HEAVY = (
    "pandera",
    "sklearn",
    "mlserver",
    "alibi_detect",
    "dvc",
    "duckdb",
    "polars",
    "pandas",
    "numpy",
    "pyarrow",
    "pyspark",
    "onnxruntime",
    "skl2onnx",
    "python_terraform",
    "importlib.metadata",  # these bring email, socket and zipfile: a tenth of the start of `status`
    "importlib.resources",
)


@pytest.mark.parametrize("word", COMMANDS)
def test_one_word_everywhere(word: str) -> None:
    """The command, its module in the domain and in the application, its tests and its page carry the same word."""
    homes = [path for path in (PACKAGE / "domain").rglob("*") if path.suffix in ("", ".py") and path.stem == word]
    assert homes or (PACKAGE / HOME_ELSEWHERE[word]).exists(), f"no module for {word}"
    assert word == "settings" or (PACKAGE / f"application/{word}.py").exists(), f"{word} is not in the application"
    tests = [path for kind in ("unit", "integration") for path in (ROOT / "tests" / kind).glob(f"test_{word}*.py")]
    assert tests, f"no test file named after {word}"
    assert f"`leverframe {word.replace('_', '-')}`" in (ROOT / "docs/commands.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("word", LEVERS)
def test_a_lever_has_its_action(word: str) -> None:
    """The action carries the word of the command, and the index of actions names it."""
    assert (ROOT / f"actions/{word}/action.yml").exists()
    assert (ROOT / f"actions/{word}/README.md").exists()
    assert f"[`{word}`]({word}/README.md)" in (ROOT / "actions/README.md").read_text(encoding="utf-8")
    assert {path.parent.name for path in (ROOT / "actions").glob("*/action.yml")} == {*LEVERS, "setup"}


@pytest.mark.parametrize("word", COMMANDS)
def test_a_command_is_a_thin_skin(word: str) -> None:
    """The body has at most 15 lines, no loop over work and no try; its help has an example."""
    tree = ast.parse((PACKAGE / f"commands/{word}.py").read_text(encoding="utf-8"))
    written = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    command = leverframe.get_command(click.Context(leverframe), word.replace("_", "-"))
    assert command is not None
    group = command.commands if isinstance(command, click.Group) else {}
    for name, subcommand in {word: command, **group}.items():
        body = written[name].body[1:]  # the docstring is the help
        assert body or name in (word if group else ""), f"{name} does nothing"
        assert not body or (body[-1].end_lineno or 0) - body[0].lineno < 15
        assert not [node for node in ast.walk(written[name]) if isinstance(node, ast.Try | ast.While)]
        assert "Example" in (subcommand.epilog or "")
        assert all(option.help for option in subcommand.params if isinstance(option, click.Option))


def test_help_loads_nothing_heavy() -> None:
    """`leverframe --help` in a fresh interpreter imports none of the heavy packages."""
    script = (
        "import sys, json\n"
        "from click.testing import CliRunner\n"
        "from leverframe.cli import leverframe\n"
        "result = CliRunner().invoke(leverframe, ['--help'])\n"
        "print(json.dumps([result.exit_code, result.output, sorted(sys.modules)]))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    code, text, modules = json.loads(done.stdout)
    assert code == 0
    assert {word.replace("_", "-") for word in COMMANDS} <= set(re.findall(r"^  ([a-z-]+) ", text, re.MULTILINE))
    assert [name for name in HEAVY if name in modules] == []


def test_no_two_modules_of_the_domain_have_one_name() -> None:
    """A name leads to one module."""
    names = [path.stem for path in (PACKAGE / "domain").rglob("*.py") if path.stem != "__init__"]
    folders = [path.name for path in (PACKAGE / "domain").rglob("*") if path.is_dir() and path.name != "__pycache__"]
    assert sorted(names + folders) == sorted(set(names + folders))


def test_no_two_files_of_tests_have_one_name() -> None:
    """Pytest collects none of them then, and a run of one file alone does not tell."""
    names = [path.name for path in (ROOT / "tests").glob("*/test_*.py")]
    assert sorted(names) == sorted(set(names))


def test_the_package_knows_nothing_of_the_reference_case() -> None:
    """Nothing in src/ speaks of flights: a new case is four files elsewhere."""
    words = re.compile(r"flight|airline|airport|tailnum|nycflights|late30|arr_delay", re.IGNORECASE)
    mentions = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in PACKAGE.rglob("*.py")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if words.search(line)
    ]
    assert mentions == []


def test_each_foreign_tool_has_one_adapter() -> None:
    """A tool is imported in exactly one file or package of adapters/, and nowhere else in the package."""
    allowed = {
        "yaml": {"yaml_files", "bounded"},  # how it is read, and how much there is before it is
        "pydantic": {"settings", "documents", "domain", "demo"},  # how declared documents are typed
        "click": {"cli", "commands", "output"},
        "scipy": {"domain"},  # quantiles of Student's t: pure functions, as numpy's are
        # the second opens models of others: stages depend on the first; the last makes models that are no good
        "onnx": {"adapters/onnx", "adapters/onnxruntime", "local"},
        "onnxruntime": {"adapters/onnx", "adapters/onnxruntime"},
        # the form in which boosted trees take categories
        "pandas": {"adapters/alibi_detect", "adapters/catboost", "adapters/lightgbm", "adapters/xgboost"},
        "jsonschema": {"local"},  # holds the fake GitHub server to GitHub's description
        "mlserver": {"serving"},  # what runs inside its process; `adapters/mlserver.py` speaks with it from outside
        "psutil": {"adapters/process", "adapters/bounds"},  # stages depend on the first, and not on what bounds them
        "fastapi": {"serving"},
        "orjson": {"serving"},
        "uvicorn": {"serving"},
        "starlette": {"serving"},
        "h11": {"serving"},
        "grpc": {"serving"},
        "prometheus_client": {"serving"},
        # pandera's checks are written in polars; stages depend on the folder, and not on what only `reproduce` needs
        "polars": {"adapters/polars", "adapters/pandera"},
        # the form in which both hand out columns, types kept; what unpacks CSV files; rows for functions of users
        "pyarrow": {"adapters/duckdb", "adapters/spark", "adapters/polars", "adapters/pyarrow"},
    }
    homes: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        home = "/".join(parts[:2]) if parts[0] == "adapters" else parts[0]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                names = [node.module]
            for top in {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) - {"leverframe", "numpy"}:
                homes.setdefault(top, set()).add(home)
    for tool, places in homes.items():
        if tool in allowed:
            assert places <= allowed[tool], f"{tool} is imported in {sorted(places)}"
        else:
            assert len(places) == 1, f"{tool} is imported in {sorted(places)}"
            assert next(iter(places)).startswith("adapters/"), f"{tool} is imported in {sorted(places)}"


def test_files_and_functions_are_read_at_one_go() -> None:
    """No file has more than 400 lines, no function more than 50."""
    long = []
    for folder in ("src", "pipelines", "actions", "benchmarks", "docs"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            long += [path.name] if text.count("\n") > 400 else []
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
                    long += [f"{path.name}: {node.name}"] if node.end_lineno - node.lineno >= 50 else []
    assert long == []


def test_a_local_is_named_after_what_it_holds() -> None:
    """No parameter or local is called after having been looped over, found, said or told."""
    words = {"each", "found", "said", "told"}
    bound = re.compile(rf"\b({'|'.join(words)})\b *([=:,)\]]| in )")  # only where it may be, a file is parsed
    bad = []
    for folder in ("src", "pipelines", "actions", "benchmarks", "docs", "tests", "terraform"):
        for path in (ROOT / folder).rglob("*.py"):
            if "node_modules" in path.parts or not bound.search(text := path.read_text(encoding="utf-8")):
                continue
            bad += [f"{path.relative_to(ROOT)}: {name}" for name in sorted(words & _locals(ast.parse(text)))]
    assert bad == []


def test_lock_file_has_hashes_and_no_address() -> None:
    """Every package is pinned by hash, and no line names a host."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in text
    pinned = re.findall(r"^([a-z0-9][^\s=]*)==", text, re.MULTILINE)
    assert len(pinned) > 100
    blocks = re.split(r"^(?=[a-z0-9][^\s=]*==)", text, flags=re.MULTILINE)[1:]
    assert [block.split("==")[0] for block in blocks if "--hash=sha256:" not in block] == []


def _locals(tree: ast.AST) -> set[str]:
    """Return the parameters and variables of functions and comprehensions; fields of classes are none."""
    scopes = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.comprehension)
    inside = [node for scope in ast.walk(tree) if isinstance(scope, scopes) for node in ast.walk(scope)]
    stored = {node.id for node in inside if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return stored | {node.arg for node in inside if isinstance(node, ast.arg)}
