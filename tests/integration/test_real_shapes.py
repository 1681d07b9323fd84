"""Repositories in the shapes of real projects: what every lever needs to hold of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from leverframe.domain.pipeline.status.parameters import parsed
from tests.integration.real_shapes import SHAPES, RealShape, shared


def _figures(shape: RealShape) -> list[float]:
    """Return the figure of a shape in each of its files."""
    found = []
    for path in shape.metrics:
        value: Any = parsed(shape.project.repository.read(path), path)
        for part in shape.figure.split("."):
            value = value[part]
        found.append(float(value))
    return found


@pytest.mark.parametrize("name", SHAPES)
def test_each_change_makes_a_model_better_or_worse(
    name: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """In every file of metrics, by more than two percent of the figure; git and DVC have everything."""
    shape = shared(tmp_path_factory, name).copied(tmp_path)
    before = _figures(shape)
    shape.better()
    better = _figures(shape)
    shape.whole.git("reset", "--quiet", "--hard", "main")
    shape.worse()
    worse = _figures(shape)
    sign = 1 if shape.higher_is_better else -1
    for one, two, three in zip(worse, before, better, strict=True):
        assert sign * one < sign * two * (1 - sign * 0.02), (worse, before, better)
        assert sign * three > sign * two * (1 + sign * 0.02), (worse, before, better)
    assert not shape.whole.git("status", "--porcelain")
