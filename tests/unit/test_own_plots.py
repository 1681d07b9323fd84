"""Plots that a definition declares: curves on one axis, tables of classes, pictures, and what cannot be drawn."""

from __future__ import annotations

import json
from typing import Any

import pytest

from leverframe.domain.pipeline.status.resolved import View
from leverframe.domain.review.report.card import Card, Confusion, Curve, Image
from leverframe.domain.review.report.own_plots import OwnPlots, PlotFile, own_plots
from leverframe.domain.review.report.plots_section import limits, plots_section

LOSS = "epoch,loss\n1,4.0\n2,2.0\n3,1.0\n"


def plotted(path: str, after: str | None, before: str | None = None, **shown: Any) -> OwnPlots:
    theirs, ours = (None if text is None else text.encode() for text in (before, after))
    return own_plots([PlotFile(View(path, shown), theirs, ours)])


def section(plots: OwnPlots, pictures: dict[str, str] | None = None) -> str:
    card = Card("b", "h", curves=tuple(plots.curves), confusions=tuple(plots.confusions), images=tuple(plots.images))
    return plots_section(card, pictures or {})


def test_columns_become_curves_as_dvc_draws_them() -> None:
    (curve,) = plotted("loss.csv", LOSS, LOSS, x="epoch", y="loss").curves
    assert (curve.title, curve.x, curve.y) == ("loss.csv", "epoch", "loss")
    assert (curve.head[0], curve.head[-1], curve.base == curve.head) == ((1.0, 4.0), (3.0, 1.0), True)
    assert limits(curve) == (1.0, 4.0)
    (bare,) = plotted("loss.csv", LOSS).curves  # the last column by its position
    assert (bare.x, bare.y, bare.head[0], bare.base) == ("step", "loss", (0.0, 4.0), ())
    several = plotted("loss.csv", "a,b\n1,2\n3,4\n", y=["a", "b"], title="Both").curves
    assert [curve.title for curve in several] == ["Both a", "Both b"]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("loss.tsv", LOSS.replace(",", "\t")),
        ("loss.json", json.dumps({"train": [{"epoch": 1, "loss": 4}, {"epoch": 3, "loss": 1}]})),
        ("loss.json", json.dumps([{"epoch": 1, "loss": 4}, {"epoch": 3, "loss": 1}])),
        ("loss.jsonl", '{"epoch": 1, "loss": 4}\n{"epoch": 3, "loss": 1}\n'),
    ],
)
def test_every_kind_of_file_is_read(path: str, text: str) -> None:
    (curve,) = plotted(path, text, x="epoch", y="loss").curves
    assert (curve.head[0], curve.head[-1]) == ((1.0, 4.0), (3.0, 1.0))


@pytest.mark.parametrize("text", ["", "a,b\nx,y\nz,w\n", "[1, 2]", '{"a": 1}', "\x00", "[" * 10_000])
def test_what_cannot_be_drawn_is_said_or_left_out(text: str) -> None:
    for path in ("p.csv", "p.json"):
        plots = plotted(path, text)
        assert not plots.curves
        assert all("`p." in note for note in plots.notes)


def test_a_confusion_shows_how_counts_moved() -> None:
    before = "actual,predicted\ncat,cat\ncat,dog\ndog,dog\n"
    after = "actual,predicted\ncat,cat\ncat,cat\ndog,dog\n"
    plots = plotted("c.csv", after, before, template="confusion", x="actual", y="predicted", title="Pets")
    assert plots.confusions == [Confusion("Pets", ("cat", "dog"), ((1, 1), (0, 1)), ((2, 0), (0, 1)))]
    assert "| cat | 1 → 2 | 1 → 0 |" in section(plots)
    many = "a,b\n" + "".join(f"{number},{number}\n" for number in range(40))
    assert "cannot be drawn" in plotted("c.csv", many, template="confusion").notes[0]


def test_pictures_are_named_and_shown_where_git_has_them() -> None:
    sides = {"same.png": (b"1", b"1"), "new.png": (None, b"2"), "gone.png": (b"3", None), "never.png": (None, None)}
    plots = own_plots([PlotFile(View(path), *contents, in_git=True) for path, contents in sides.items()])
    assert plots.images == [
        Image("same.png", changed=False, in_git=True),
        Image("new.png", changed=True, in_git=True),
        Image("gone.png", changed=True, there=False, in_git=True),
    ]
    text = section(plots, {"new.png": "https://example.org/new.png?raw=true"})
    assert "![new.png](https://example.org/new.png?raw=true)" in text
    assert "`same.png`: as on the base" in text
    assert "No longer there: `gone.png`" in text


def test_a_curve_of_one_value_has_an_axis() -> None:
    assert limits(Curve("t", "x", "y", (), ((0.0, 5.0), (1.0, 5.0)))) == (4.0, 6.0)


def test_of_many_plots_the_first_are_shown() -> None:
    plots = own_plots([PlotFile(View(f"{number}.csv"), None, LOSS.encode()) for number in range(20)])
    assert (len(plots.curves), plots.notes) == (12, ["8 more plots are not shown; `dvc plots diff` draws them"])
