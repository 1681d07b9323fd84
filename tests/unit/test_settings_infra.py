"""The section `infra`: values that Terraform cannot have are refused in words."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leverframe.errors import SettingsError
from leverframe.settings.infra import InfraEnvironmentSettings
from leverframe.settings.levers import levers_of


def _read(environments: str) -> dict[str, InfraEnvironmentSettings]:
    return levers_of(f"infra: {{environments: {{{environments}}}}}\n", name="leverframe.yaml").infra.environments


@pytest.mark.parametrize(
    "value",
    ["2024-01-01", "2024-01-01 10:00:00", "[2024-01-01]", "{a: {b: [2024-01-01]}}", "!!binary aGVsbG8=", "!!set {a, b}",
     ".inf", "-.inf", "[.nan]", "{2024-01-01: x}", "{1: x}", "{~: x}"],
)  # fmt: skip
def test_a_value_that_only_yaml_knows_is_refused(value: str) -> None:
    """It is a date, bytes or an infinity: the error names its place, and the way to write it."""
    with pytest.raises(SettingsError) as caught:
        _read(f"e: {{variables: {{given: {value}}}}}")
    assert "infra.environments.e.variables.given" in caught.value.what
    assert "in quotes" in caught.value.why


@pytest.mark.parametrize("value", ["&a [*a]", "&a {b: *a}"])
def test_a_value_that_holds_itself_is_refused(value: str) -> None:
    with pytest.raises(SettingsError, match="line 1") as caught:
        _read(f"e: {{variables: {{given: {value}}}}}")
    assert "holds itself" in caught.value.why


_LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()


@given(st.recursive(_LEAVES, lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(), part, max_size=3)))
def test_what_json_has_is_a_value(value: object) -> None:
    """It stays as it is; what stands in two places is no circle."""
    for given_value in (value, [value, value]):
        read = InfraEnvironmentSettings(variables={"given": given_value}).variables["given"]
        assert json.dumps(read) == json.dumps(given_value)
