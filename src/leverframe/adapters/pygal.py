"""pygal draws charts as SVG text: no script, no font, no file from elsewhere, readable in light and dark.

pygal puts a script, the date and texts for the pointer into what it draws; a filter of its own interface
takes them out, and gives each series the classes of our style sheet.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pygal
from pygal.etree import etree

from leverframe.domain.model.charts import Axis, BarChart, Line, LineChart
from leverframe.inert.letters import one_line

LABEL_LENGTH = 26  # characters; longer ones end in an ellipsis

_TITLE = 160  # characters
_COORDINATE = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
_NUMBER = re.compile(r"(?:color|activate-serie)-(\d+)")
_LIGHT = ("#1f2328", "#59636e", "#d8dee4", "#ffffff", "#0969da", "#bc4c00", "#1a7f37", "#8250df")
_DARK = ("#e6edf3", "#9198a1", "#30363d", "#0d1117", "#4493f8", "#f0883e", "#3fb950", "#ab7df8")

etree.to_etree()  # lxml, where it is installed, writes other bytes


def _colors(theme: Sequence[str]) -> str:
    # Plain colours, not CSS variables: some viewers of SVG know no variables.
    ink, soft, rule, page, *series = theme
    return (
        f"text{{fill:{ink}}}.axis text,.legends text{{fill:{soft}}}.background{{fill:{page}}}"
        f".line,.dash *{{stroke:{soft}}}.dash *{{fill:{soft}}}.guide{{stroke:{rule}}}"
        + "".join(f".c{number} *{{fill:{color};stroke:{color}}}" for number, color in enumerate(series))
    )


_LARGEST = 1e100  # a number beyond has no place on an axis
_FINEST = 1e-9  # least length of an axis, as a share of its numbers
_STYLE = (
    "text{font:12px system-ui,sans-serif;text-anchor:middle}.plot_title{font-size:14px;font-weight:600}"
    ".axis.y text{text-anchor:end}.legends text{text-anchor:start;stroke:none}.line,.series .nofill{fill:none}"
    ".series path{stroke-width:2;stroke-linejoin:round}.series.dash path{stroke-width:1.5;stroke-dasharray:5 4}"
    ".series.band path{fill-opacity:.18;stroke:none}.series.bar path{stroke-width:14;stroke-opacity:.18}"
    f"{_colors(_LIGHT)}@media(prefers-color-scheme:dark){{{_colors(_DARK)}}}"
)


@dataclass(frozen=True)
class _Series:
    """Points in order, None where the line breaks; without a name it has no place in the legend."""

    points: Sequence[tuple[float, float] | None]
    classes: str
    name: str | None = None
    dots: bool = False
    stroke: bool = True


def draw(chart: LineChart | BarChart) -> str:
    """Return the SVG text of a chart; every text is escaped, every number is rounded."""
    return _lines(chart) if isinstance(chart, LineChart) else _bars(chart)


def _lines(chart: LineChart) -> str:
    series = [part for line, color in zip(chart.lines, _colors_of(chart.lines), strict=True)
              for part in _line(line, color)]  # fmt: skip
    x = _ends(chart.x, [point[0] for part in series for point in part.points if point])
    y = _ends(chart.y, [point[1] for part in series for point in part.points if point])
    return _drawn(
        chart.title, series, x_title=chart.x.title, y_title=chart.y.title, xrange=x, range=y,
        height=max(400, 300 + 25 * len(chart.lines)), show_legend=len(chart.lines) > 1,
    )  # fmt: skip


def _line(line: Line, color: int) -> Iterator[_Series]:
    spans = [(x, *ends) for (x, _), ends in zip(line.points, line.band, strict=False) if _finite(x, *ends)]
    if line.dots:
        yield _Series([end for x, low, high in spans for end in ((x, low), (x, high), None)], f"c{color}")
    elif spans:
        around = [(x, high) for x, _, high in spans] + [(x, low) for x, low, _ in reversed(spans)]
        yield _Series([*around, around[0]], f"c{color} band")
    points = [(x, y) if _finite(x, y) else None for x, y in line.points]
    yield _Series(points, "dash" if line.dashed else f"c{color}", _short(line.name), line.dots)


def _bars(chart: BarChart) -> str:
    count = len(chart.bars)
    rows = [(bar, count - number - 0.5) for number, bar in enumerate(chart.bars)]
    defined = [(bar, row) for bar, row in rows if _finite(bar.value)]
    spans = [((bar.low, row), (bar.high, row), None) for bar, row in defined if _finite(bar.low, bar.high)]
    fills = [((0.0, row), (bar.value, row), None) for bar, row in defined if chart.x.low == 0]
    series = [
        _Series([end for fill in fills for end in fill], "c0 bar"),
        _Series([end for span in spans for end in span], "c0"),
        _Series([(bar.value, row) for bar, row in defined], "c0", dots=True, stroke=False),
    ]
    if chart.expected is not None and _finite(chart.expected[1]):
        name, value = chart.expected
        series.append(_Series([(value, 0.0), (value, float(count))], "dash", _short(name)))
    x = _ends(chart.x, [point[0] for part in series for point in part.points if point])
    labels = [{"label": _short(bar.name) + ("" if _finite(bar.value) else ": not defined"), "value": row}
              for bar, row in rows]  # fmt: skip
    return _drawn(
        chart.title, series, x_title=chart.x.title, xrange=x, range=(0, max(count, 1)), y_labels=labels,
        height=130 + 22 * max(count, 1), show_legend=chart.expected is not None,
    )  # fmt: skip


def _drawn(title: str, series: Sequence[_Series], **options: Any) -> str:
    for name in ("x_title", "y_title"):
        options[name] = _title(options.get(name, "")) or None
    if not any(part.points for part in series):
        options["y_labels"] = None  # pygal fails at labels where there is no point
    chart = pygal.XY(
        title=_title(title), width=640, explicit_size=True, no_prefix=True, disable_xml_declaration=True, js=(), css=(),
        allow_interruptions=True, legend_at_bottom=True, legend_at_bottom_columns=3, truncate_legend=-1,
        truncate_label=-1, dots_size=3.5, **options,
    )  # fmt: skip
    for part in series:
        chart.add(part.name, part.points, show_dots=part.dots, stroke=part.stroke, fill="band" in part.classes)
    chart.add_xml_filter(lambda root: _plain(root, series))
    return str(chart.render()) + "\n"


def _plain(root: Any, series: Sequence[_Series]) -> Any:
    """Return the picture without what only serves the pointer, each series with its classes, numbers rounded."""
    for parent in list(root.iter()):
        for child in list(parent):
            if not isinstance(child.tag, str) or _for_the_pointer(child, parent, root):
                parent.remove(child)
    for node in root.iter():
        number = _NUMBER.search(f"{node.attrib.pop('id', '')} {node.get('class', '')}")
        if number:
            kind = "series " if "series" in node.get("class", "") else ""
            node.set("class", kind + series[int(number[1])].classes)
        for name in ("d", "x", "y", "cx", "cy", "r"):
            if name in node.attrib:
                node.set(name, _COORDINATE.sub(lambda match: f"{float(match[0]):.1f}", node.get(name)))
    root.find(".//style").text = _STYLE
    root.set("role", "img")
    return root


def _for_the_pointer(node: Any, parent: Any, root: Any) -> bool:
    """Tell whether a node is a script, a text that appears below the pointer, or empty; the title of all stays."""
    if node.tag == "g":
        return "tooltip" in node.get("class", "") or not len(node)
    return node.tag in {"script", "desc"} or (node.tag == "title" and parent is not root)


def _ends(axis: Axis, values: Sequence[float]) -> tuple[float, float]:
    """Return the ends of an axis: those it names, else the data with a little air."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    air = (high - low) * 0.05 or abs(high) * 0.05 or 0.5
    low = axis.low if axis.low is not None else low - air
    high = axis.high if axis.high is not None else high + air
    low, high = (low, high) if high > low else (low, low + 2 * air)
    least = max(_FINEST * max(abs(low), abs(high)), 1 / _LARGEST)  # with a smaller one pygal seeks marks without end
    return (low, high) if high - low >= least else (low - least, high + least)


def _colors_of(lines: Sequence[Line]) -> list[int]:
    """Return the number of the colour of each line; what is only expected takes none."""
    return [sum(not line.dashed for line in lines[:number]) % 4 for number in range(len(lines))]


def _finite(*values: float) -> bool:
    """Tell whether numbers can be drawn."""
    return all(abs(value) <= _LARGEST for value in values)


def _clean(text: str) -> str:
    """Return text on one line, which pygal escapes, without what XML forbids or nobody sees."""
    return unicodedata.normalize("NFC", one_line(text))


def _title(text: str) -> str:
    """Return the beginning of a title: pygal never ends where the lines of one leave no room for another."""
    shown = _clean(text)
    return shown if len(shown) <= _TITLE else shown[: _TITLE - 1] + "…"


def _short(text: str) -> str:
    text = _clean(text)
    return text if len(text) <= LABEL_LENGTH else text[: LABEL_LENGTH - 1] + "…"
