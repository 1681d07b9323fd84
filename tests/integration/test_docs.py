"""Documentation is tested: links resolve, commands exist, pictures and output are the true ones."""

from __future__ import annotations

import json
import random
import re
import shlex
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest
import yaml

from leverframe import wiring
from leverframe.application.explain import picture
from leverframe.application.status import status
from leverframe.cli import leverframe
from leverframe.documents import parsed
from leverframe.domain import layout
from leverframe.domain.features.training_set import TrainingSet
from leverframe.domain.partition import Partitions
from leverframe.domain.pipeline.status.status_table import mermaid
from leverframe.domain.pipeline.summary import Results, summary
from leverframe.errors import LeverframeError
from leverframe.settings.levers import Levers, read_levers
from leverframe.settings.params import Params, read_params
from tests.warm import WarmRepository

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(path for folder in ("docs", "terraform") for path in (ROOT / folder).rglob("*.md"))]
)
BEGIN, END = "<!-- star: begin, held by a test -->", "<!-- star: end -->"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_resolve(page: Path) -> None:
    """Every relative link names a file of the repository."""
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_in_consoles_exist(page: Path) -> None:
    """Every `leverframe` line parses with the options that the command has; every make target is one."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for block in re.findall(r"```console\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        for line in block.strip().splitlines():
            program, *arguments = shlex.split(line)
            if program == "make":
                assert re.search(rf"^{arguments[0]}:", makefile, re.MULTILINE), line
            elif program == "leverframe":
                arguments = arguments[2:] if arguments[0] == "-C" else arguments
                command = leverframe.get_command(click.Context(leverframe), arguments[0])
                assert command is not None, line
                command.make_context(arguments[0], arguments[1:])
            else:
                assert program in {"curl", "dvc", "git", "uv"}, line


def test_every_extra_is_explained() -> None:
    """The page of the installation names each with what it is for; those of this repository's own work aside."""
    page = (ROOT / "docs/guides/installation.md").read_text(encoding="utf-8")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert set(re.findall(r"^\| `(\w+)` \| ", page.split("## Extras")[1].split("\n## ")[0], re.MULTILINE)) == set(
        extras
    ) - {"dev", "flights"}


def test_every_setting_and_exit_code_is_explained() -> None:
    """The guide names every key of both files, the page of commands every error class with its code."""
    guide = (ROOT / "docs/guides/settings.md").read_text(encoding="utf-8")
    for section, field in (Params.model_fields | Levers.model_fields).items():
        for key in getattr(field.annotation, "model_fields", {}):
            assert f"`{key}`" in guide, f"{section}.{key}"
    page = (ROOT / "docs/commands.md").read_text(encoding="utf-8")
    kinds = [LeverframeError]
    for kind in kinds:
        kinds += kind.__subclasses__()
        if kind is not LeverframeError:
            assert f"| {kind.exit_code} | `{kind.__name__}` |" in page


def test_the_settings_of_the_guide_are_accepted(tmp_path: Path) -> None:
    """What a newcomer copies works, in both files, with months and with the days of the later example."""
    guide = (ROOT / "docs/guides/settings.md").read_text(encoding="utf-8")
    files = dict(re.findall(r"^`([\w.]+)`:\n\n```yaml\n(.*?)```", guide, re.DOTALL | re.MULTILINE))
    assert set(files) == {"params.yaml", "leverframe.yaml"}
    for name, content in files.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    assert read_params(tmp_path / "params.yaml").features.label == "bought"
    smallest = yaml.safe_load(files["params.yaml"])
    daily = next(document for document in map(yaml.safe_load, re.findall(r"```yaml\n(.*?)```", guide, re.DOTALL))
                 if document.get("data", {}).get("period") == "day")  # fmt: skip
    daily = smallest | daily | {"features": smallest["features"] | daily["features"]}
    for content, groups in ((smallest, 3), (daily, 8)):
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
        params = read_params(tmp_path / "params.yaml")
        assert (params.features.label, len(Partitions.of(params.data).groups())) == ("bought", groups)
    assert read_levers(tmp_path / "leverframe.yaml").deploy.environments["production"].after == "staging"


def test_every_example_of_levers_is_accepted(tmp_path: Path) -> None:
    """A block of YAML that begins with a section of ``leverframe.yaml`` is a valid file, digits of digests aside."""
    for page in sorted((ROOT / "docs/guides").glob("*.md")):
        for block in re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            if block.partition(":")[0] in Levers.model_fields:
                (tmp_path / "leverframe.yaml").write_text(block.replace("<64 digits>", "0" * 64), encoding="utf-8")
                read_levers(tmp_path / "leverframe.yaml")


def test_the_page_of_an_own_case_builds_and_runs(tmp_path: Path) -> None:
    """A newcomer who copies every block of the page gets a model."""
    page = (ROOT / "docs/guides/your-own-case.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^`([\w./]+)`:.*?```\w+\n(.*?)```", page, re.DOTALL | re.MULTILINE)
    repository = WarmRepository.create(tmp_path)
    for name, content in blocks:
        repository.write(name, content)
    assert len(blocks) == 5
    numbers = random.Random(0)  # noqa: S311 - data, not a secret
    start = datetime(2024, 1, 2, tzinfo=UTC)
    visits = ["visit,customer,channel,came_at,bought"]
    for visit in range(900):
        who, channel = f"{numbers.randrange(40):03d}", numbers.choice(["web", "shop"])
        bought = int(numbers.random() < (0.7 if channel == "shop" else 0.2))
        visits.append(f"{visit},{who},{channel},{start + timedelta(hours=2 * visit):%Y-%m-%dT%H:%M:%SZ},{bought}")
    repository.write("raw/visits.csv", "\n".join(visits) + "\n")
    people = [f"{who:03d},{20 + who}" for who in range(40)]
    repository.write("raw/customers.csv", "\n".join(["customer,age", *people]) + "\n")
    repository.run("leverframe", "stages", "--write")
    output = repository.run("leverframe", "demo")
    assert "Model on the hold-out" in output
    assert json.loads(repository.read("reports/metrics.json"))["auc"] > 0.6


def test_the_picture_of_the_star_is_the_one_of_the_declaration(monkeypatch: pytest.MonkeyPatch) -> None:
    """The guide shows what `leverframe explain --mermaid` prints."""
    monkeypatch.chdir(ROOT)
    guide = (ROOT / "docs/guides/star-schema.md").read_text(encoding="utf-8")
    shown = guide.split(BEGIN)[1].split(END)[0].strip()
    assert shown == f"```mermaid\n{picture(wiring.workspace())}\n```"


def test_the_picture_of_the_stages_is_the_one_of_the_pipeline() -> None:
    """The guide shows what `leverframe status --graph` draws, states left aside."""
    guide = (ROOT / "docs/guides/star-schema.md").read_text(encoding="utf-8")
    shown = guide.split("<!-- stages: begin, held by a test -->")[1].split("<!-- stages: end -->")[0].strip()
    drawn = mermaid(status(ROOT)).splitlines()
    bare = [re.sub(r'<br/>[^"]*', "", line) for line in drawn if not line.strip().startswith("class")]
    assert shown == "\n".join(["```mermaid", *bare, "```"])


def test_the_output_in_the_readme_is_the_true_one() -> None:
    """The blocks of the summary stand in the README as `make demo` prints them from the committed reports."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.findall(r"```text\n(.*?)```", readme, re.DOTALL)[0].strip()
    settings = read_params(ROOT / "params.yaml")
    reports = {path.stem: json.loads(path.read_bytes()) for path in (ROOT / "reports/contracts").glob("*.json")}
    results = Results(
        contracts=reports,
        training_set=parsed(TrainingSet, (ROOT / layout.TRAINING_SET).read_bytes()),
        metrics=json.loads((ROOT / layout.METRICS).read_bytes()),
        records=(),
        pictures=(),
    )
    text = "\n".join(summary(results, settings.data.last)).split("\nTime\n")[0].strip()
    assert shown == text
