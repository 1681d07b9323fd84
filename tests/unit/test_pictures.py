"""Pictures are well-formed, small, the same every time, and say only what they are told."""

from __future__ import annotations

import math
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leverframe.domain.model.charts import Axis, Bar, Line, bar_chart, line_chart, ticks

GOLDEN = Path(__file__).parents[1] / "golden/pictures"
NUMBERS = st.floats(-1e9, 1e9) | st.just(math.nan) | st.just(math.inf)
LINES = [
    Line("as it should be", [(0, 0), (0.6, 0.6)], dashed=True),
    Line("model", [(0.05, 0.04), (0.2, 0.22), (0.4, 0.5)], [(0.03, 0.05), (0.2, 0.25), (0.45, 0.55)], dots=True),
]
BARS = [Bar("gate = A", 0.75, 0.71, 0.8), Bar("gate = a very long name of a gate", 0.81), Bar("gate = C", math.nan)]


@pytest.mark.parametrize(
    ("name", "drawn"),
    [
        ("lines", line_chart("Calibration", Axis("said", 0, 0.6), Axis("happened", 0, 0.6), LINES)),
        (
            "band",
            line_chart("Over time", Axis("month"), Axis("error"), [Line("e", [(1, 2), (2, 3)], [(1, 3), (2, 4)])]),
        ),
        ("dots", bar_chart("Slices", Axis("area under ROC"), BARS, Line("all rows", [(0.78, 0)]))),
        ("bars", bar_chart("Slices", Axis("error", 0), [Bar("A", 4, 3, 5), Bar("B", 2)])),
    ],
)
def test_pictures_are_as_they_were_seen(name: str, drawn: str) -> None:
    """The whole file, so that every change is looked at."""
    assert drawn == (GOLDEN / f"{name}.svg").read_text(encoding="utf-8")


@given(
    st.text(),
    st.lists(st.tuples(st.text(max_size=40), st.lists(st.tuples(NUMBERS, NUMBERS), max_size=5)), max_size=5),
)
def test_any_text_and_any_number_give_a_well_formed_picture(
    text: str, lines: list[tuple[str, list[tuple[float, float]]]]
) -> None:
    """No text becomes markup and no number becomes nan."""
    series = [Line(name, points, [(y, y) for _, y in points], dots=number % 2 == 0)
              for number, (name, points) in enumerate(lines)]  # fmt: skip
    bars = [Bar(name, y, x, x) for name, points in lines for x, y in points]
    for picture in (line_chart(text, Axis(text), Axis(text), series), bar_chart(text, Axis(text), bars)):
        tags = {each.tag.rpartition("}")[2] for each in ET.fromstring(picture).iter()}  # noqa: S314 - our own file
        assert tags <= {"svg", "title", "style", "rect", "text", "path", "polygon", "circle"}
        for each in ET.fromstring(picture).iter():  # noqa: S314
            numbers = [each.get(name, "") for name in ("d", "x", "y", "cx", "cy", "width", "points")]
            assert "nan" not in "".join(numbers)
            assert "inf" not in "".join(numbers)


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_are_few_round_and_inside(low: float, width: float) -> None:
    """Between two and thirteen, all within the axis."""
    found = ticks(low, low + width)
    assert 2 <= len(found) <= 13
    slack = width * 1e-6
    assert low - slack <= found[0]
    assert found[-1] <= low + width + slack


def test_pictures_are_small_and_need_nothing_from_elsewhere() -> None:
    """150 points with intervals stay below 20 kB; no address but the name of the format."""
    points = [(each / 150, math.sin(each)) for each in range(150)]
    picture = line_chart("x", Axis("x"), Axis("y"), [Line("y", points, [(y - 1, y + 1) for _, y in points])])
    assert len(picture.encode()) < 20_000
    assert picture.count("http") == 1
    assert "prefers-color-scheme:dark" in picture
