"""Charts are well-formed, small, the same every time, and say only what they are told."""

from __future__ import annotations

import hashlib
import math
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leverframe.adapters.pygal import LABEL_LENGTH, draw
from leverframe.domain.model.charts import Axis, Bar, BarChart, Line, LineChart

GOLDEN = Path(__file__).parents[1] / "golden/pictures"
NUMBERS = st.floats(-1e9, 1e9) | st.just(math.nan) | st.just(math.inf)
LINES = [
    Line("as it should be", [(0, 0), (0.6, 0.6)], dashed=True),
    Line("model", [(0.05, 0.04), (0.2, 0.22), (0.4, 0.5)], [(0.03, 0.05), (0.2, 0.25), (0.45, 0.55)], dots=True),
]
BARS = [Bar("gate = A", 0.75, 0.71, 0.8), Bar("gate = a very long name of a gate", 0.81), Bar("gate = C", math.nan)]
CHARTS: dict[str, LineChart | BarChart] = {
    "lines": LineChart("Calibration", Axis("said", 0, 0.6), Axis("happened", 0, 0.6), LINES),
    "band": LineChart("Over time", Axis("month"), Axis("error"), [Line("e", [(1, 2), (2, 3)], [(1, 3), (2, 4)])]),
    "dots": BarChart("Slices", Axis("area under ROC"), BARS, ("all rows", 0.78)),
    "bars": BarChart("Slices", Axis("error", 0), [Bar("A", 4, 3, 5), Bar("B", 2)]),
}
TAGS = {"svg", "defs", "title", "style", "g", "rect", "text", "tspan", "path", "circle"}


def parsed(picture: str) -> list[ET.Element]:
    return list(ET.fromstring(picture).iter())  # noqa: S314 - our own file


@pytest.mark.parametrize("name", CHARTS)
def test_charts_are_as_they_were_seen(name: str) -> None:
    """The whole file, so that every change is looked at."""
    assert draw(CHARTS[name]) == (GOLDEN / f"{name}.svg").read_text(encoding="utf-8")


def test_another_process_draws_the_same_bytes() -> None:
    """Another hash seed, another place for settings, another day as far as the file knows: nothing is left of them."""
    code = (
        "import hashlib\nfrom tests.unit.test_charts import CHARTS\nfrom leverframe.adapters.pygal import draw\n"
        "print(hashlib.sha256(''.join(map(draw, CHARTS.values())).encode()).hexdigest())"
    )
    environment = os.environ | {"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "LC_ALL": "C", "NO_LXML": "1"}
    process = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert process.stdout.strip() == hashlib.sha256("".join(map(draw, CHARTS.values())).encode()).hexdigest()


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a machine may be busy
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
    charts: list[LineChart | BarChart] = [
        LineChart(text, Axis(text), Axis(text), series),
        BarChart(text, Axis(text), bars, (text, math.nan)),
        BarChart(text, Axis(text, 0), bars),
    ]
    for chart in charts:
        nodes = parsed(draw(chart))
        assert {node.tag.rpartition("}")[2] for node in nodes} <= TAGS
        for node in nodes:
            assert set(node.attrib) <= {
                "class", "d", "x", "y", "cx", "cy", "r", "width", "height", "transform", "type", "viewBox", "role",
            }  # fmt: skip
            numbers = "".join(node.get(name, "") for name in ("d", "x", "y", "cx", "cy", "width"))
            assert "nan" not in numbers
            assert "inf" not in numbers


HOSTILE = "</text><script>alert(1)</script>&lt;\x00\x1b[31m\u202e\ud800 ]]> \"'<!-- -->"


def test_hostile_text_is_shown_as_text() -> None:
    """Markup is escaped, what XML forbids is replaced; long labels are cut, the title is not."""
    picture = draw(LineChart(HOSTILE, Axis(HOSTILE), Axis(HOSTILE), [Line(HOSTILE, [(0, 1)]), Line("b", [(1, 2)])]))
    shown = "</text><script>alert(1)</script>&lt;��[31m�� ]]> \"'<!-- -->"
    texts = [node.text for node in parsed(picture) if node.text]
    assert shown in texts
    assert f"{shown[: LABEL_LENGTH - 1]}…" in texts
    assert "<script" not in picture
    assert "<!--" not in picture


@pytest.mark.parametrize(
    "chart",
    [
        LineChart("none", Axis("x"), Axis("y"), []),
        LineChart("nothing in it", Axis("x", 0, 1), Axis("y"), [Line("a", []), Line("b", [(math.nan, 1)])]),
        BarChart("no bars", Axis("x"), []),
        BarChart("undefined", Axis("x", 0), [Bar("a", math.nan)], ("all rows", math.nan)),
    ],
)
def test_a_chart_of_nothing_is_a_picture_without_marks(chart: LineChart | BarChart) -> None:
    """The title stands, and no dot is drawn."""
    nodes = parsed(draw(chart))
    assert chart.title in [node.text for node in nodes]
    assert "circle" not in {node.tag.rpartition("}")[2] for node in nodes}


@settings(deadline=None)
@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_are_few_and_inside(low: float, width: float) -> None:
    """Between two and twenty labels on each axis, all within the picture."""
    ends = (low, low + width)
    picture = draw(LineChart("", Axis("", *ends), Axis("", *ends), [Line("", [(low, low), (low + width, low)])]))
    root = ET.fromstring(picture)  # noqa: S314 - our own file
    for axis in ("axis x", "axis y always_show"):
        labels = root.findall(f".//{{*}}g[@class='{axis}']/{{*}}g/{{*}}text")
        assert 2 <= len(labels) <= 20
        assert all(-80 <= float(label.get("x", "")) <= 640 for label in labels)


def test_an_interval_and_a_broken_line_are_drawn() -> None:
    """A point that is not finite breaks the line; each interval is a stroke of its own."""
    points = [(0, 0), (1, 1), (2, math.nan), (3, 3), (4, 4)]
    picture = draw(
        LineChart("", Axis("x"), Axis("y"), [Line("a", points, [(y - 1, y + 1) for _, y in points], dots=True)])
    )
    strokes = [node.get("d") for node in parsed(picture) if node.get("class") == "line reactive nofill"]
    assert len(strokes) == 4 + 2
    assert len([node for node in parsed(picture) if node.tag.endswith("circle")]) == 4


def test_pictures_are_small_and_need_nothing_from_elsewhere() -> None:
    """150 points with intervals stay below 20 kB; no address but the name of the format."""
    points = [(number / 150, math.sin(number)) for number in range(150)]
    picture = draw(LineChart("x", Axis("x"), Axis("y"), [Line("y", points, [(y - 1, y + 1) for _, y in points])]))
    assert len(picture.encode()) < 20_000
    assert picture.count("http") == 1
    assert "prefers-color-scheme:dark" in picture


@pytest.mark.parametrize("title", ["W" * 5000, "word " * 1000])
def test_a_long_title_over_many_lines_leaves_room_for_the_axes(title: str) -> None:
    """pygal looked for a line break without end where titles and legend left no room."""
    picture = draw(LineChart(title, Axis(title), Axis(title), [Line(title, [(0, 1)])] * 40))
    assert "…" in "".join(node.text or "" for node in parsed(picture))
