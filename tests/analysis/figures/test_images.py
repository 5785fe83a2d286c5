"""Grids of images as SVG and PNG, pixel by pixel."""

from __future__ import annotations

import base64
import io
from xml.etree import ElementTree as ET

import matplotlib.image
import numpy as np
from numpy.typing import NDArray

from analysis.figures import images as image_grid


def drawn_images(svg: str) -> list[NDArray[np.float32]]:
    addresses = [element.attrib["href"] for element in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}image")]
    assert all(address.startswith("data:image/png;base64,") for address in addresses)
    return [
        matplotlib.image.imread(io.BytesIO(base64.b64decode(address.partition(",")[2])), format="png")
        for address in addresses
    ]


def test_drawing_holds_every_pixel_of_the_grid() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 5, 4)).astype(np.uint8)
    (drawn,) = drawn_images(image_grid.to_svg("title", [image_grid.Block("label", images)]))
    assert drawn.shape[:2] == (2 * 5 + image_grid.GAP, 3 * 4 + 2 * image_grid.GAP)
    grey = np.rint(drawn[..., 0] * 255).astype(np.uint8)
    np.testing.assert_array_equal(grey[:5, :4], images[0, 0])
    np.testing.assert_array_equal(grey[-5:, -4:], images[1, 2])
    assert drawn[5, 0, -1] == 0, "the gap between images is transparent"


def test_labels_of_a_drawing_cannot_hold_markup() -> None:
    image = np.zeros((1, 1, 3, 3), dtype=np.uint8)
    svg = image_grid.to_svg('a "title" & <more>', [image_grid.Block("<script>alert(1)</script>", image)])
    root = ET.fromstring(svg)
    assert root.attrib["aria-label"] == 'a "title" & <more>'
    assert not list(root.iter("{http://www.w3.org/2000/svg}script"))


def test_picture_for_elsewhere_is_a_png_with_the_same_bytes_each_time() -> None:
    block = image_grid.Block("a $label$ that is no formula", np.zeros((2, 2, 4, 4), dtype=np.uint8))
    first, second = (image_grid.to_png("title", [block]) for _ in range(2))
    assert first.startswith(b"\x89PNG")
    assert first == second
