"""Colours, shapes and dashes of lines."""

from __future__ import annotations

import pytest

from analysis.figures import style as figures


@pytest.mark.parametrize("background", ["#ffffff", "#14171a"])
def test_every_series_colour_stands_out_three_to_one(background: str) -> None:
    for colour in (*figures.OPTIMIZER_COLOURS.values(), *figures.OTHER_COLOURS):
        assert figures.contrast(colour, background) >= 3, colour


def test_contrast_is_that_of_the_wcag_whichever_colour_comes_first() -> None:
    assert figures.contrast("#ffffff", "#000000") == pytest.approx(21.0)
    assert figures.contrast("#777777", "#777777") == 1.0
    # The grey of WCAG's own examples that just misses 4.5 to 1 on white.
    assert (
        figures.contrast("#777777", "#ffffff")
        == figures.contrast("#ffffff", "#777777")
        == pytest.approx(4.48, abs=5e-3)
    )


def test_every_optimizer_has_a_colour_and_a_shape_of_its_own() -> None:
    names = list(figures.OPTIMIZER_COLOURS)
    assert len({figures.optimizer_colour(name) for name in names}) == len(names)
    assert len({figures.optimizer_shape(name) for name in names}) == len(names)


def test_a_users_optimizer_has_the_same_colour_every_time_and_a_circle() -> None:
    # zlib.crc32(b"mine:Own") is 0x7dea8474, and 4 modulo the eight colours.
    assert (figures.optimizer_colour("mine:Own"), figures.optimizer_shape("mine:Own")) == ("#8f6bd0", "circle")


def test_dashes_begin_again_after_the_last() -> None:
    assert figures.dash(0) == ()
    assert figures.dash(5) == figures.dash(1) == (10, 4)
