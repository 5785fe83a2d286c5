"""Figures for a paper: the stated resolution, no dates, the same bytes twice."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure as Canvas

from analysis.figures.canvas import PNG_DOTS_PER_INCH, to_figure
from analysis.figures.images import Block, to_png, to_svg


def chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The kind and content of every chunk of a PNG."""
    position = 8
    while position < len(png):
        length, kind = struct.unpack(">I4s", png[position : position + 8])
        yield kind, png[position + 8 : position + 8 + length]
        position += length + 12


class DrawnLine:
    def draw(self) -> Canvas:
        canvas = Canvas(figsize=(2, 1.5))
        axes = canvas.subplots()
        axes.plot([0, 1], [0, 1], marker="o", label="measured")
        axes.set_title("A line")
        axes.legend()
        return canvas

    def explorer(self, name: str) -> None:
        return None


def drawn() -> tuple[str, bytes]:
    figure = to_figure("line", "A line", "", pd.DataFrame(), DrawnLine())
    return figure.drawing.svg, figure.drawing.png


def pictured() -> tuple[str, bytes]:
    blocks = [Block("a model", np.full((1, 2, 3, 3), 128, dtype=np.uint8))]
    return to_svg("Images", blocks), to_png("Images", blocks)


@pytest.mark.parametrize("make", [drawn, pictured])
def test_png_has_the_stated_resolution_and_no_date(make: Callable[[], tuple[str, bytes]]) -> None:
    svg, png = make()
    held = dict(chunks(png))
    across, down, unit = struct.unpack(">IIB", held[b"pHYs"])
    assert unit == 1  # the metre
    assert (round(across * 0.0254), round(down * 0.0254)) == (PNG_DOTS_PER_INCH, PNG_DOTS_PER_INCH)
    assert not {b"tIME", b"tEXt", b"iTXt", b"zTXt"} & held.keys()
    assert "<dc:date>" not in svg


@pytest.mark.parametrize("make", [drawn, pictured])
def test_a_second_drawing_has_the_same_bytes(make: Callable[[], tuple[str, bytes]]) -> None:
    assert make() == make()


@pytest.mark.parametrize("make", [drawn, pictured])
def test_a_matplotlibrc_of_the_users_changes_no_byte(make: Callable[[], tuple[str, bytes]]) -> None:
    expected = make()
    of_the_user: Any = {
        "font.weight": "bold",
        "font.family": "serif",
        "lines.markersize": 22,
        "axes.titlepad": 30,
        "xtick.major.size": 30,
        "legend.loc": "center",
        "savefig.bbox": "tight",
    }
    with mpl.rc_context(of_the_user):
        assert make() == expected
        assert mpl.rcParams["lines.markersize"] == 22, "the user's own figures are as they were"
