"""params.yaml: what fits is read whole, what does not is refused with the place and the nearest name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from leverframe.errors import SettingsError
from leverframe.settings.params import Params, read_params, schema

HERE = Path(__file__).parents[1] / "settings"
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
