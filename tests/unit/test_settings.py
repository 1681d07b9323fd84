"""Both files of settings: what fits is read whole, what does not is refused with the place and the nearest name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from leverframe.application.check import deciding
from leverframe.domain.pipeline.code import Code
from leverframe.errors import SettingsError
from leverframe.settings import levers, params
from leverframe.settings.levers import Levers, levers_of, read_levers
from leverframe.settings.params import DataSettings, Params, params_of, read_params, schema
from leverframe.yaml_files import parse

ROOT = Path(__file__).parents[2]
HERE = ROOT / "tests/settings"
VALID = sorted((HERE / "valid").glob("*.yaml"))
INVALID = sorted((HERE / "invalid").glob("*.yaml"))


@pytest.mark.parametrize("path", [*VALID, Path(__file__).parents[2] / "params.yaml"], ids=lambda path: path.stem)
def test_valid_settings_are_read(path: Path) -> None:
    """Each file in valid/, and the one of this repository, is accepted and frozen."""
    settings = read_params(path)
    with pytest.raises(Exception, match="frozen"):
        settings.data.first = "2020-01"


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_invalid_settings_are_refused_in_words(path: Path) -> None:
    """The first line of each file in invalid/ holds the words that the error must contain."""
    words = path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
    with pytest.raises(SettingsError) as caught:
        read_params(path)
    assert words in caught.value.render()
    assert "pydantic" not in caught.value.render()


def test_a_missing_file_is_one_clear_error(tmp_path: Path) -> None:
    """No traceback, and what to do."""
    with pytest.raises(SettingsError, match="cannot read settings file"):
        read_params(tmp_path / "params.yaml")


def test_the_schema_describes_every_section() -> None:
    """The JSON schema names each section and refuses others."""
    described = json.loads(schema())
    assert set(described["properties"]) == set(Params.model_fields)
    assert described["additionalProperties"] is False


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("gpu: {stages: [], runs_on: gpu}", "stages"),
        ("gpu: {stages: [train], runs_on: []}", "at least one label"),
        ("gpu: {stages: [train], runs_on: '${{ inputs.x }}'}", "runs_on"),
        ("gpu: {stages: [train], runs_on: [gpu, 'a, b']}", "runs_on"),
        ("gpu: {stages: [train], runs_on: gpu, minutes: 1}", "minutes"),
        ("gpu: {stages: [train], runs_on: gpu, requirements: ../x.lock}", "requirements"),
        ("'g p u': {stages: [train], runs_on: gpu}", "runners"),
        ("gpu: {stages: [train]}", "runs_on"),
        ("gpu: {stages: [train], runs-on: gpu}", "runs_on"),
    ],
)
def test_a_runner_says_what_a_workflow_can_say(text: str, words: str) -> None:
    """No label is an expression or text of a workflow, and a lock file lies in the project."""
    with pytest.raises(SettingsError) as caught:
        levers_of(f"reproduce: {{runners: {{{text}}}}}", name="leverframe.yaml")
    assert words in caught.value.render()
    runners = levers_of("reproduce: {runners: {gpu: {stages: [train], runs_on: large}}}", name="x").reproduce.runners
    assert runners["gpu"].labels == ("large",)


@pytest.mark.parametrize(
    "text", ["a: " + "[" * 100_000, "a: " + "{b: " * 100_000, "- " * 300, "a: " + "[" * 201 + "]" * 201]
)
def test_values_within_values_without_end_do_not_end_the_process(text: str) -> None:
    """The parser of YAML, compiled code, takes the stack for each; what is nested as deep as people nest is read."""
    with pytest.raises(SettingsError, match="is not YAML, line 1") as caught:
        parse(text, name="leverframe.yaml", what="the settings")
    assert caught.value.why == "values lie within more than 200 others"
    assert parse("a: " + "[" * 199 + "]" * 199 + "\nb: []", name="x", what="y")["b"] == []
    assert len(parse("a: [" + "[], " * 1000 + "]", name="x", what="y")["a"]) == 1000


@pytest.mark.parametrize("text", ["a: &a [*a]", "a: &a {b: [{c: *a}]}", "a: &a [&b [*b], 1]"])
def test_a_value_that_holds_itself_is_no_setting(text: str) -> None:
    """One that stands in several places is."""
    with pytest.raises(SettingsError, match="is not YAML, line 1") as caught:
        parse(text, name="leverframe.yaml", what="the settings")
    assert caught.value.why == "a value holds itself, by an anchor"
    shared = parse("a: &a [1, 2]\nb: [*a, *a, {c: *a}]", name="leverframe.yaml", what="the settings")
    assert shared["b"] == [[1, 2], [1, 2], {"c": [1, 2]}]


INFRA = "infra: {{environments: {{e: {{{}}}}}}}"


@pytest.mark.parametrize(
    ("setting", "words"),
    [("variables: {expires: 2024-01-01}", "2024-01-01 is neither"), ("variables: {x: .inf}", "inf is neither"),
     ("variables: {x: {y: [1, .nan]}}", "nan is neither"), ("variables: {x: {1: y}}", "1 is no text"),
     ("backend: {x: 2024-01-01}", "write it in quotes")],
)  # fmt: skip
def test_values_for_terraform_are_those_of_json(setting: str, words: str) -> None:
    """YAML has more kinds; the error says which value, what to do, and where every setting is explained."""
    with pytest.raises(SettingsError) as caught:
        levers_of(INFRA.format(setting), name="leverframe.yaml")
    assert words in caught.value.why
    assert "`infra.environments.e." in caught.value.what
    assert "more after it" not in caught.value.what
    assert "--schema --file leverframe.yaml" in caught.value.next


@pytest.mark.parametrize(
    ("first", "second", "fits"),
    [("root: infra", "root: ./infra/", False), ("root: infra", "root: infra, variables: {x: 1}", False),
     ("root: infra", "root: infra, workspace: b", True), ("root: infra", "root: infra, backend: {key: b}", True),
     ("workspace: b", "workspace: b", True), ("root: infra/b", "root: infra", True),
     ("variables: {x: 1}", "root: terraform/environments/a", False)],
)  # fmt: skip
def test_two_environments_have_two_states(first: str, second: str, fits: bool) -> None:
    """Who copies a block and forgets the workspace would have them undo each other."""
    text = f"infra: {{environments: {{a: {{{first}}}, b: {{{second}}}}}}}"
    if fits:
        assert len(levers_of(text, name="leverframe.yaml").infra.environments) == 2
        return
    with pytest.raises(SettingsError, match="infra") as caught:
        levers_of(text, name="leverframe.yaml")
    assert "`a` and `b` have one state" in caught.value.why


def test_a_backend_has_settings_as_terraform_has_them() -> None:
    """Booleans, numbers and maps stay what they are."""
    text = INFRA.format("backend: {use_lockfile: true, max_retries: 3, key: k, endpoints: {s3: http://x}}")
    backend = levers_of(text, name="leverframe.yaml").infra.environments["e"].backend
    assert backend == {"use_lockfile": True, "max_retries": 3, "key": "k", "endpoints": {"s3": "http://x"}}


def test_levers_are_read_from_their_own_file_and_default_without_it(tmp_path: Path) -> None:
    """The file of this repository is valid; no file, or an empty one, means the defaults."""
    assert read_levers(Path(__file__).parents[2] / "leverframe.yaml").gate.metrics
    assert read_levers(tmp_path / "leverframe.yaml") == Levers() == levers_of(" \n", name="leverframe.yaml")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("gaet: {}\n", "did you mean `gate`?"),
        ("gate: {metrics: {auc: {flor: 0.5}}}\n", "did you mean `floor`?"),
        ("data: {case: x}\n", "unknown setting `data`"),
        ("gate: [\n", "is not YAML"),
    ],
)
def test_a_lever_file_is_leverframes_own_and_knows_every_key(text: str, words: str, tmp_path: Path) -> None:
    """A key that nothing reads would silently change nothing."""
    (tmp_path / "leverframe.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        read_levers(tmp_path / "leverframe.yaml")
    assert words in caught.value.render()


def content() -> dict[str, Any]:
    """Return the smallest params.yaml as values."""
    read: dict[str, Any] = yaml.safe_load((HERE / "valid/smallest.yaml").read_text(encoding="utf-8"))
    return read


def test_sections_of_others_in_params_are_left_alone() -> None:
    """A stage of one's own may have its settings beside ours."""
    mine = {"my_stage": {"depth": 3}, "notes": ["a"], "threshold": 0.5}
    assert params_of(content() | mine, name="params.yaml") == params_of(content(), name="params.yaml")


@pytest.mark.parametrize("section", sorted(Levers.model_fields))
def test_a_section_of_levers_in_params_is_told_where_it_belongs(section: str) -> None:
    """It stood there once, and nothing would read it now."""
    with pytest.raises(SettingsError) as caught:
        params_of(content() | {section: {}}, name="params.yaml")
    assert f"move the section `{section}` to leverframe.yaml" in caught.value.next


def test_the_two_files_share_no_section_and_their_modules_do_not_know_each_other() -> None:
    """A change of a lever's settings makes no stage stale."""
    assert not set(Params.model_fields) & set(Levers.model_fields)
    assert set(params._OF_LEVERS) == set(Levers.model_fields)
    assert "settings.levers" not in Path(params.__file__).read_text(encoding="utf-8")
    assert "settings.params" not in Path(levers.__file__).read_text(encoding="utf-8")


def test_each_file_has_a_schema() -> None:
    """An editor that knows the schema completes keys of either."""
    described = json.loads(levers.schema())
    assert set(described["properties"]) == set(Levers.model_fields)
    assert described["additionalProperties"] is False


def test_every_module_that_decides_whether_settings_are_valid_is_known_to_the_check() -> None:
    """The check skips settings whose bytes were valid before: a module that it forgot would keep an old verdict."""

    class Files:
        def text(self, path: str) -> str | None:
            file = ROOT / path
            return file.read_text(encoding="utf-8") if file.is_file() else None

        def listing(self, folder: str) -> list[str]:
            raise AssertionError(folder)

        def home(self, package: str) -> str | None:
            return {"leverframe": "src"}.get(package)

    read = Code(Files(), ("src",))("leverframe.settings.params", "leverframe.settings.levers")
    words_alone = {"src/leverframe/__init__.py", "src/leverframe/errors.py", "src/leverframe/words.py"}
    assert set(read) - words_alone == {path.relative_to(ROOT).as_posix() for path in deciding()}


@pytest.mark.parametrize(
    ("path", "fits"),
    [("../../libs/tables", True), ("config/rates.csv", True), ("a/../b", False), ("../a/../b", False), ("..", False),
     ("../..", False), ("/etc/passwd", False), ("", False), ("../a\\b", False)],
)  # fmt: skip
def test_what_a_case_depends_on_may_lie_beside_the_project(path: str, *, fits: bool) -> None:
    """Two dots lead out of the folder at the beginning of a path alone."""
    known = {"case": "pipelines.shop", "first": "2024-01", "last": "2024-02", "timezone": "UTC"}
    try:
        settings = DataSettings.model_validate(known | {"dependencies": [path]})
    except ValidationError:
        assert not fits
    else:
        assert fits
        assert settings.dependencies == [path]
