"""The plots of a card as Markdown: curves as diagrams, classes as tables, pictures where git has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from leverframe.domain.review.report.card import Card, Confusion, Curve, Image
from leverframe.domain.review.report.curve_points import Even
from leverframe.inert.markdown import code, folded, plain
from leverframe.inert.mermaid import label

_MOST_IMAGES = 6


def plots_section(card: Card, pictures: Mapping[str, str]) -> str:
    """Return the section, empty where there is no plot; ``pictures`` are addresses by title of a curve, or by path."""
    drawn = [
        f"![{label(curve.title)}]({pictures[curve.title]})" if curve.title in pictures else _curve(curve)
        for curve in card.curves
        if curve.head
    ]
    drawn += [_confusion(confusion) for confusion in card.confusions]
    drawn += list(_images(card.images, pictures))
    return folded("Plots", "this change and the base", "\n\n".join(drawn)) if drawn else ""


def _curve(curve: Curve) -> str:
    low, high = limits(curve)
    within = (low, high) == (0.0, 1.0)

    def line(points: Even) -> str:
        return f"  line [{', '.join(f'{y:.4f}' if within else f'{y:.6g}' for _, y in points)}]"

    small = curve.head[-1][0] <= 1
    axis = ", ".join(f'"{x:.2f}"' if small else f'"{x:.4g}"' for x, _ in curve.head)
    bodies = [line(curve.head)] + ([line(curve.base)] if len(curve.base) == len(curve.head) != 0 else [])
    return "\n".join(
        [
            "```mermaid",
            "xychart-beta",
            f'  title "{label(curve.title)}"',
            f'  x-axis "{label(curve.x)}" [{axis}]',
            f'  y-axis "{label(curve.y)}" {low:.6g} --> {high:.6g}',
            *bodies,
            "```",
        ]
    )


def limits(curve: Curve) -> tuple[float, float]:
    """Return the lowest and the highest value of an axis that shows both sides: shares from 0 to 1."""
    values = [y for side in (curve.base, curve.head) for _, y in side]
    low, high = min(values, default=0.0), max(values, default=1.0)
    if low >= 0 and high <= 1:
        return 0.0, 1.0
    return (low, high) if low < high else (low - 1, high + 1)


def _confusion(confusion: Confusion) -> str:
    names = [plain(name, 40) for name in confusion.classes]
    lines = [f"{plain(confusion.title, 80)}: actual classes down, predicted ones across, base to this change", ""]
    lines += [f"| | {' | '.join(names)} |", f"|---|{'---:|' * len(names)}"]
    for row, name in enumerate(names):
        before = confusion.base[row] if confusion.base else ()
        cells = [_cell(before[place] if before else None, count) for place, count in enumerate(confusion.head[row])]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(before: int | None, after: int) -> str:
    return f"{after:,}" if before is None or before == after else f"{before:,} → {after:,}"


def _images(images: tuple[Image, ...], pictures: Mapping[str, str]) -> Iterator[str]:
    there = [image for image in images if image.there]
    for image in there[:_MOST_IMAGES]:
        state = "changed" if image.changed else "as on the base"
        shown = f"\n\n![{label(image.path)}]({pictures[image.path]})" if image.path in pictures else ""
        yield f"{code(image.path, 120)}: {state}{shown}"
    gone = [code(image.path, 120) for image in images if not image.there]
    yield from [f"No longer there: {', '.join(gone[:_MOST_IMAGES])}"] if gone else []
