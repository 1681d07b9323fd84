"""Small charts as SVG text: no script, no font, no file from elsewhere, readable in light and dark.

Every text is escaped, every number is rounded, and the same input gives the same bytes.
"""

from __future__ import annotations

import html
import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LABEL_LENGTH = 26  # characters; longer ones end in an ellipsis

_WIDTH = 640
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff\u202a-\u202e\u2066-\u2069]")
_LIGHT = ("#1f2328", "#59636e", "#d8dee4", "#ffffff", "#0969da", "#bc4c00", "#1a7f37", "#8250df")
_DARK = ("#e6edf3", "#9198a1", "#30363d", "#0d1117", "#4493f8", "#f0883e", "#3fb950", "#ab7df8")


def _colors(theme: Sequence[str]) -> str:
    # Plain colours, not CSS variables: some viewers of SVG know no variables.
    ink, soft, rule, page, *series = theme
    return (
        f".lf text{{fill:{ink}}}.lf .s{{fill:{soft}}}.lf .p{{fill:{page}}}.lf .g{{stroke:{rule}}}"
        f".lf .a,.lf .d{{stroke:{soft}}}"
        + "".join(f".lf .l{n}{{stroke:{each}}}.lf .f{n}{{fill:{each}}}" for n, each in enumerate(series))
    )


_STYLE = (
    "<style>.lf text{font:12px system-ui,sans-serif}.lf .t{font-size:14px;font-weight:600}"
    ".lf .e{text-anchor:end}.lf .m{text-anchor:middle}.lf path{fill:none;stroke-width:1}"
    ".lf .d{stroke-width:1.5;stroke-dasharray:5 4}.lf .l{stroke-width:2;stroke-linejoin:round}.lf .b{opacity:.18}"
    + _colors(_LIGHT)
    + "@media(prefers-color-scheme:dark){"
    + _colors(_DARK)
    + "}</style>"
)


@dataclass(frozen=True)
class Axis:
    """What an axis shows, and from where to where; an open end is taken from the data."""

    title: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Line:
    """One series: points in order, each with an interval or none; dashed for what is expected.

    ``band`` is empty or as long as ``points``; a point that is not finite breaks the line.
    """

    name: str
    points: Sequence[tuple[float, float]]
    band: Sequence[tuple[float, float]] = ()
    dashed: bool = False
    dots: bool = False


@dataclass(frozen=True)
class Bar:
    """One named value with an interval, or NaN for both ends."""

    name: str
    value: float
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True)
class _Scale:
    """Takes values to pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> str:
        share = (value - self.low) / (self.high - self.low)
        return _number(self.start + share * (self.end - self.start))


def line_chart(title: str, x: Axis, y: Axis, lines: Sequence[Line]) -> str:
    """Return a chart of lines with axes, ticks, intervals and, for several lines, a legend."""
    height, left, right, top, bottom = 400, 62, 616, 66, 346
    points = [point for line in lines for point in line.points if _finite(*point)]
    ends = [(0.0, end) for line in lines for pair in line.band for end in pair if math.isfinite(end)]
    across = _Scale(*_range(x, [point[0] for point in points]), left, right)
    up = _Scale(*_range(y, [point[1] for point in [*points, *ends]]), bottom, top)
    parts = []
    for tick, label in _labelled(across):
        parts.append(f'<path class="g" d="M{across(tick)} {top}V{bottom}"/>')
        parts.append(f'<text class="s m" x="{across(tick)}" y="{bottom + 18}">{label}</text>')
    for tick, label in _labelled(up):
        parts.append(f'<path class="g" d="M{left} {up(tick)}H{right}"/>')
        parts.append(f'<text class="s e" x="{left - 8}" y="{up(tick)}" dy=".35em">{label}</text>')
    parts.append(f'<path class="a" d="M{left} {bottom}H{right}"/>')
    for line, color in zip(lines, _series(lines), strict=True):
        parts += _drawn(line, color, across, up)
    parts.append(f'<text class="s m" x="{(left + right) // 2}" y="{bottom + 40}">{_text(x.title)}</text>')
    parts.append(f'<text class="s" x="16" y="{top - 14}">{_text(y.title)}</text>')
    return _picture(title, height, [*parts, *_legend(lines, top - 14)])


def bar_chart(title: str, x: Axis, bars: Sequence[Bar], expected: Line | None = None) -> str:
    """Return named values one below the other: bars where the axis begins at 0, dots elsewhere.

    The first point of ``expected`` is drawn as a dashed line over all of them, under its name.
    """
    left, right, top, step = 208, 616, 66, 22
    bottom = top + step * max(len(bars), 1)
    values = [each for bar in bars for each in (bar.value, bar.low, bar.high)]
    marks = [point[0] for point in expected.points[:1]] if expected else []
    across = _Scale(*_range(x, [each for each in [*values, *marks] if math.isfinite(each)]), left, right)
    parts = []
    for tick, label in _labelled(across):
        parts.append(f'<path class="g" d="M{across(tick)} {top}V{bottom}"/>')
        parts.append(f'<text class="s m" x="{across(tick)}" y="{bottom + 18}">{label}</text>')
    for at in marks:
        parts.append(f'<path class="d" d="M{across(at)} {top}V{bottom}"/>')
        name = _text(expected.name) if expected else ""
        parts.append(f'<text class="s m" x="{across(at)}" y="{top - 8}">{name}</text>')
    for number, bar in enumerate(bars):
        middle = _number(top + step * (number + 0.5))
        parts.append(f'<text class="e" x="{left - 10}" y="{middle}" dy=".35em">{html.escape(_short(bar.name))}</text>')
        parts += _bar(bar, middle, across)
    parts.append(f'<path class="a" d="M{left} {top}V{bottom}"/>')
    parts.append(f'<text class="s m" x="{(left + right) // 2}" y="{bottom + 40}">{_text(x.title)}</text>')
    return _picture(title, bottom + 54, parts)


def ticks(low: float, high: float, wanted: int = 6) -> list[float]:
    """Return about ``wanted`` round numbers from ``low`` to ``high``, steps of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(each * power for each in (1, 2, 5, 10) if each * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{number * step:.12g}") for number in range(first, last + 1)]


def _range(axis: Axis, values: Sequence[float]) -> tuple[float, float]:
    """Return the ends of an axis: those it names, else the data with a little air."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    air = (high - low) * 0.05 or abs(high) * 0.05 or 0.5
    low = axis.low if axis.low is not None else low - air
    high = axis.high if axis.high is not None else high + air
    return (low, high) if high > low else (low, low + 2 * air)


def _series(lines: Sequence[Line]) -> list[int]:
    """Return the number of the colour of each line; what is only expected takes none."""
    taken = [sum(not line.dashed for line in lines[:number]) for number in range(len(lines))]
    return [each % 4 for each in taken]


def _drawn(line: Line, color: int, across: _Scale, up: _Scale) -> Iterable[str]:
    spans = [
        (x, low, high) for (x, _), (low, high) in zip(line.points, line.band, strict=False) if _finite(x, low, high)
    ]
    if line.dots:
        for x, low, high in spans:
            yield f'<path class="l l{color}" d="M{across(x)} {up(low)}V{up(high)}"/>'
    elif spans:
        there = " ".join(f"{across(x)},{up(high)}" for x, _, high in spans)
        back = " ".join(f"{across(x)},{up(low)}" for x, low, _ in reversed(spans))
        yield f'<polygon class="b f{color}" points="{there} {back}"/>'
    style = "d" if line.dashed else f"l l{color}"
    yield f'<path class="{style}" d="{_path(line.points, across, up)}"/>'
    if line.dots:
        for x, y in line.points:
            if _finite(x, y):
                yield f'<circle class="f{color}" cx="{across(x)}" cy="{up(y)}" r="3.5"/>'


def _path(points: Sequence[tuple[float, float]], across: _Scale, up: _Scale) -> str:
    drawn, pen = [], "M"
    for x, y in points:
        if _finite(x, y):
            drawn.append(f"{pen}{across(x)} {up(y)}")
        pen = "L" if _finite(x, y) else "M"
    return "".join(drawn)


def _bar(bar: Bar, middle: str, across: _Scale) -> Iterable[str]:
    if not math.isfinite(bar.value):
        yield f'<text class="s" x="{across(across.low)}" dx="8" y="{middle}" dy=".35em">not defined</text>'
        return
    if across.low == 0:
        top, width = _number(float(middle) - 7), _number(float(across(bar.value)) - across.start)
        yield f'<rect class="b f0" x="{_number(across.start)}" y="{top}" width="{width}" height="14"/>'
    if _finite(bar.low, bar.high):
        yield f'<path class="l l0" d="M{across(bar.low)} {middle}H{across(bar.high)}"/>'
    yield f'<circle class="f0" cx="{across(bar.value)}" cy="{middle}" r="4"/>'


def _legend(lines: Sequence[Line], y: int) -> Iterable[str]:
    if len(lines) < 2:
        return
    at, colors = 616, _series(lines)
    for number, line in reversed(list(enumerate(lines))):
        name = _short(line.name)
        style = "d" if line.dashed else f"l l{colors[number]}"
        at -= 7 * len(name)  # about the width of the text; what it lacks is air before the next
        yield f'<text class="s" x="{at}" y="{y}">{html.escape(name)}</text>'
        yield f'<path class="{style}" d="M{at - 30} {y - 4}h22"/>'
        at -= 44


def _picture(title: str, height: int, parts: Iterable[str]) -> str:
    name = html.escape(_clean(title))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="lf" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" '
        f'height="{height}" role="img" aria-label="{name}">\n<title>{name}</title>{_STYLE}\n'
        f'<rect width="{_WIDTH}" height="{height}" rx="6" class="p"/>\n'
        f'<text class="t" x="16" y="28">{name}</text>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _finite(*values: float) -> bool:
    return all(math.isfinite(each) for each in values)


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _labelled(scale: _Scale) -> list[tuple[float, str]]:
    """Return the ticks of an axis with their text, all of as many decimals."""
    at = ticks(scale.low, scale.high)
    step = at[1] - at[0] if len(at) > 1 else 1.0
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    short = all(abs(each) < 1e6 for each in at) and decimals <= 6
    return [(each, f"{each:,.{decimals}f}" if short else f"{each:.3g}") for each in at]


def _clean(text: str) -> str:
    """Return text without what XML forbids or what turns the writing direction around."""
    return unicodedata.normalize("NFC", _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text))


def _short(text: str) -> str:
    text = _clean(text)
    return text if len(text) <= LABEL_LENGTH else text[: LABEL_LENGTH - 1] + "…"


def _text(text: str) -> str:
    return html.escape(_clean(text))
