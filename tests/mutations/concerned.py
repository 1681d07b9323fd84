"""Which tests concern a module: those that import it, and those that run the commands that use it."""

from __future__ import annotations

import ast
from collections import deque
from pathlib import Path

SLOW = {  # what goes through the command line shows no import: the files of tests of each package, quick ones first
    "data": ("ingest", "validate_tables", "diff_shop", "broken_input"),
    "features": ("build", "training_set", "snapshot_store", "features_online", "build_corrections", "broken_input"),
    "model": ("train", "evaluate", "broken_input", "serve_server"),
    "pipeline": ("stages_dvc", "status_dvc", "init_merge", "pipeline", "demo_run", "broken_input"),
    "review": ("diff_shop", "gate_replay", "gate_champion", "loop/publishers", "loop/pull_request"),
    "infrastructure": ("infra_tool", "infra_leaks", "infra_plan_levers", "infra_apply_levers", "infra_locks"),
    "monitoring": ("monitor", "monitor_page", "monitor_log", "alerts", "loop/alerts_forge", "loop/retrain_loop"),
    "retraining": ("retrain_own", "retrain_aftercare", "loop/retrain_forge", "loop/retrain_loop"),
    "own_model": ("own_runtimes", "own_models", "own_case"),
    "release": ("rollback", "deploy_cluster", "fetch_server", "deploy_server", "loop/deploy_forge"),
}


def concerned(root: Path, path: str) -> list[list[str]]:
    """Return groups of test files for a file of the source, the quickest first: unit tests by distance, then others."""
    module = ".".join(Path(path).with_suffix("").parts[1:])
    graph = {_name(root, file): _imports(file) for file in (root / "src").rglob("*.py")}
    far = {
        file: _distance(graph, _imports(root / file), module)
        for file in (test.relative_to(root).as_posix() for test in sorted((root / "tests").rglob("test_*.py")))
        if "node_modules" not in file
    }
    unit = [file for file in far if file.startswith("tests/unit/")]
    groups = [[file for file in unit if far[file] == 0], [file for file in unit if (far[file] or 0) > 0]]
    package = Path(path).parts[3]
    slow = [_file(name) for name in SLOW.get(package, sum(SLOW.values(), ()))]
    direct = [file for file in far if far[file] == 0 and file not in unit]
    groups.extend([file] for file in dict.fromkeys(direct + slow))
    return [group for group in groups if group]


def _file(name: str) -> str:
    folder, _, word = name.rpartition("/")
    return f"tests/{folder or 'integration'}/test_{word}.py"


def _name(root: Path, file: Path) -> str:
    parts = file.relative_to(root / "src").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(file: Path) -> set[str]:
    """Return the names that a file imports, with the modules that hold them."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.update([node.module, *(f"{node.module}.{alias.name}" for alias in node.names)])
    return names


def _distance(graph: dict[str, set[str]], first: set[str], module: str) -> int | None:
    """Return over how many modules the imports ``first`` reach a module; None where they do not."""
    waiting = deque((name, 0) for name in first)
    seen = set(first)
    while waiting:
        name, steps = waiting.popleft()
        if name == module:
            return steps
        fresh = graph.get(name, set()) - seen
        seen |= fresh
        waiting.extend((neighbour, steps + 1) for neighbour in sorted(fresh))
    return None
