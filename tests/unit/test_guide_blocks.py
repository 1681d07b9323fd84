"""Every block of code in the guides works: it is read, run here, or run by the test that is named."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pytest
import yaml

from leverframe.case import Csv, Source
from leverframe.domain.data.ingest import check_sources
from leverframe.domain.features.star import Star
from leverframe.settings.levers import Levers, read_levers
from leverframe.settings.params import Params, read_params

ROOT = Path(__file__).parents[2]
GUIDES = ROOT / "docs/guides"
FENCE = re.compile(r"(?:^`([\w./-]+)`:[^\n]*\n\n)?^```(yaml|python|bash|console)\n(.*?)^```", re.DOTALL | re.MULTILINE)
ELSEWHERE = {  # by page, language and first line: the test that runs it, or why none does
    (
        "engines.md",
        "python",
        '"""Which estimator learns: a logistic regression of scaled numbers."""',
    ): "tests/integration/test_train_spark.py",
    ("monitor-alerts.md", "python", "import hashlib"): "tests/integration/test_webhook.py",
    ("own-model.md", "yaml", "stages:"): "tests/integration/test_own_models.py",
    ("scaling.md", "yaml", "scrape_configs:"): "tests/unit/test_guides.py",
    (
        "gate-guarantees.md",
        "bash",
        "sed -i 's|uses: \\$/|uses: ./|' .github/workflows/*.yml",
    ): "tests/workflows/test_definitions.py",
    ("from-a-table.md", "bash", "git init"): "tests/integration/test_init_table.py",
    (
        "from-a-table.md",
        "bash",
        "leverframe init --table raw/visits.csv --table raw/customers.csv --table raw/clicks.csv --label bought "
        "--time came_at",
    ): "tests/integration/test_init_table.py",
    (
        "own-model.md",
        "bash",
        "leverframe bundle --model model.ubj --sample rows.parquet --label churned --name churn",
    ): "tests/integration/test_own_models.py",
    (
        "own-model.md",
        "bash",
        "leverframe bundle --model model.pkl --sample rows.parquet --label churned --kind binary "
        "--runtime shop.scoring:predict",
    ): "tests/integration/test_own_runtimes.py",
    ("own-model.md", "python", "import pickle"): "tests/integration/test_gate_own.py",
    ("own-pipeline.md", "python", "import pickle"): "tests/integration/test_gate_own.py",
    ("runners.md", "yaml", "launch:"): "tests/workflows/test_runner_definitions.py",
}
UNRUN_PAGES = {"installation.md": "a package index: CI installs the wheel that it builds in an empty environment"}
UNRUN = {  # what reaches a network, with what it reaches
    ("first-pull-request.md", "bash", "dvc remote add --default store s3://rides-data/dvc"): "a bucket",
    ("gate.md", "bash", "git fetch origin my-branch"): "a forge; tests/integration/test_judge_changes.py runs the same",
}
CASES = {"your-own-case.md", "settings.md", "declarations.md"}  # their files are those of tests/integration/own_case.py


class Block(NamedTuple):
    """A block of a page, with the name of the file above it, if there is one."""

    page: str
    name: str
    language: str
    text: str

    @property
    def key(self) -> tuple[str, str, str]:
        """Tell it from the others."""
        return self.page, self.language, self.text.strip().splitlines()[0]


BLOCKS = [
    Block(page.name, name, language, text)
    for page in sorted(GUIDES.glob("*.md"))
    for name, language, text in FENCE.findall(page.read_text(encoding="utf-8"))
]
YAML = [block for block in BLOCKS if block.language == "yaml" and block.key not in ELSEWHERE]
PYTHON = [block for block in BLOCKS if block.language == "python" and block.key not in ELSEWHERE]


def test_no_block_is_left_out() -> None:
    """Consoles are parsed by `test_docs`; a shell's lines and what is run elsewhere are listed, and still there."""
    keys = {block.key for block in BLOCKS}
    assert keys >= {*ELSEWHERE, *UNRUN}
    shell = {block.key for block in BLOCKS if block.language == "bash" and block.page not in UNRUN_PAGES}
    assert shell - {*ELSEWHERE, *UNRUN} == set()
    assert [path for path in ELSEWHERE.values() if not (ROOT / path).exists()] == []
    assert len(YAML) > 20
    assert {page for page, *_ in BLOCKS} >= CASES


@pytest.mark.parametrize("block", YAML, ids=lambda block: f"{block.page}-{block.text[:20].strip()}")
def test_every_yaml_is_what_the_page_says(block: Block, tmp_path: Path) -> None:
    """Settings, a star, or steps of a workflow with inputs that the actions have."""
    text = re.sub(r"<\d+ digits>", "0" * 64, block.text)
    content = yaml.safe_load(text)
    if isinstance(content, list):
        assert_steps(content)
    elif set(content) <= {*Levers.model_fields}:
        (tmp_path / "leverframe.yaml").write_text(text, encoding="utf-8")
        read_levers(tmp_path / "leverframe.yaml")
    elif set(content) <= {*Params.model_fields, "dependencies"}:
        part = {"data": content} if set(content) == {"dependencies"} else content
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(with_smallest(part)), encoding="utf-8")
        read_params(tmp_path / "params.yaml")
    else:
        Star.model_validate(with_star(content))


def with_smallest(part: dict[str, Any]) -> dict[str, Any]:
    """Return the smallest settings of the guide with those of a part."""
    blocks = {block.name: block.text for block in BLOCKS if block.page == "settings.md"}
    smallest: dict[str, Any] = yaml.safe_load(blocks["params.yaml"])
    return smallest | {name: smallest.get(name, {}) | section for name, section in part.items()}


def with_star(part: dict[str, Any]) -> dict[str, Any]:
    """Return a star that has what a part names and does not declare."""
    names = {part.get("spine", {}).get("key", "flight"), *(spec["key"] for spec in part.get("dimensions", {}).values())}
    names |= {spec["key"] for spec in (*part.get("measures", {}).values(), *part.get("corrections", {}).values())}
    table = part.get("spine", {}).get("table", "flights")
    base: dict[str, Any] = {
        "entities": {name: [name] for name in names},
        "spine": {"table": table, "key": "flight"},
        "facts": {"fact": {"table": table, "known_at": "at", "max_lag": "1d"}},
        "labels": {"label": {"fact": "fact", "column": "value", "kind": "binary"}},
    }
    merged = {**base, **part}
    return merged | {"facts": base["facts"] | part.get("facts", {}), "labels": part.get("labels", base["labels"])}


def assert_steps(steps: list[dict[str, Any]]) -> None:
    """Assert that the actions of this repository exist and have the inputs that steps give them."""
    for step in steps:
        assert "uses" in step or "run" in step
        match = re.search(r"/actions/([\w-]+)@", step.get("uses", ""))
        if match:
            action = yaml.safe_load((ROOT / "actions" / match[1] / "action.yml").read_text(encoding="utf-8"))
            assert set(step.get("with") or {}) <= set(action["inputs"]), step


def test_every_python_is_run() -> None:
    """Files of a case are run by `test_own_case`; the rest here."""
    loose = [block for block in PYTHON if not (block.name and block.page in CASES)]
    assert {block.page for block in loose} == {"settings.md", "time.md"}
    space: dict[str, Any] = {"pl": pl, "Csv": Csv, "Source": Source}
    (sources,) = [block.text for block in loose if block.page == "settings.md"]
    exec(sources, space)  # noqa: S102 - the guide's own lines
    check_sources(space["SOURCES"])
    clock, dates = (block.text for block in loose if block.page == "time.md")
    if clock.startswith("frame"):
        clock, dates = dates, clock
    exec(clock, space)  # noqa: S102
    texts = ["2024-03-31T01:30:00", "2024-03-31T02:30:00", "2024-10-27T02:30:00", None]
    read = pl.DataFrame({"at": texts}).select(space["of_paris"]("at"))["at"].to_list()
    assert [timestamp and timestamp.astimezone(UTC) for timestamp in read] == [
        datetime(2024, 3, 31, 0, 30, tzinfo=UTC), datetime(2024, 3, 31, 1, 30, tzinfo=UTC),
        datetime(2024, 10, 27, 1, 30, tzinfo=UTC), None,
    ]  # fmt: skip
    space["frame"] = pl.DataFrame({"settled_on": [date(2024, 1, 5)]})
    made = eval(dates.strip(), space)  # noqa: S307
    assert made["settled_on"][0].astimezone(UTC) == datetime(2024, 1, 5, 22, 59, tzinfo=UTC)
