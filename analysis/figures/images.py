"""Grids of images as a picture: an SVG for the page, a PNG for elsewhere. It is given bytes and draws them as they
are."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from numpy.typing import NDArray

from analysis.document.sections import Drawing, Figure
from analysis.figures.canvas import matplotlib_defaults

Bytes = NDArray[np.uint8]

GAP = 2
WIDTH = 400.0
LABEL_SIZE = 12.0
OUTLINE = "#c2570c"  # 4.5 to 1 on white and on near-black alike


@dataclass(frozen=True)
class Block:
    """A labelled grid of images [rows, columns, height, width]; the columns and rows named hold data, not a model's
    output."""

    label: str
    images: Bytes
    original_columns: tuple[int, ...] = ()
    original_rows: tuple[int, ...] = ()


def grid_figure(name: str, title: str, caption: str, frame: pd.DataFrame, blocks: Sequence[Block]) -> Figure:
    """The blocks as a figure; it is looked at, not explored."""
    return Figure(name, title, caption, frame, partial(drawing_of_grid, title, blocks))


def drawing_of_grid(title: str, blocks: Sequence[Block]) -> Drawing:
    """The blocks in both their forms."""
    return Drawing(to_svg(title, blocks), to_png(title, blocks))


def grid_bytes(images: Bytes) -> Bytes:
    """Grey and opacity, [height, width, 2], of a grid of images [rows, columns, height, width] with transparent
    gaps."""
    rows, columns, height, width = images.shape
    grid = np.zeros((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 2), dtype=np.uint8)
    for row in range(rows):
        for column in range(columns):
            top, left = row * (height + GAP), column * (width + GAP)
            grid[top : top + height, left : left + width, 0] = images[row, column]
            grid[top : top + height, left : left + width, 1] = 255
    return grid


def encode_png(pixels: Bytes) -> bytes:
    """A PNG of grey and opacity [height, width, 2]: the same bytes for the same pixels, and no date in them."""
    height, width, _ = pixels.shape

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    differences = np.diff(
        pixels, axis=0, prepend=np.zeros((1, width, 2), dtype=np.uint8)
    )  # modulo 256: PNG's filter 2, "up"
    lines = b"".join(b"\2" + line.tobytes() for line in differences)
    header = struct.pack(">IIBBBBB", width, height, 8, 4, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines, 9)) + chunk(b"IEND", b"")


def to_svg(title: str, blocks: Sequence[Block]) -> str:
    """The blocks below one another, each under its label, as wide as the widest; text has the colour of the text
    around it."""
    scale = WIDTH / max(grid_bytes(block.images).shape[1] for block in blocks)
    parts, top = [], 0.0
    for block in blocks:
        top += LABEL_SIZE * 1.4
        parts.append(
            f'<text x="0" y="{top - LABEL_SIZE * 0.35:.1f}" font-size="{LABEL_SIZE:g}"'
            f' fill="currentColor">{escape(block.label)}</text>'
        )
        pixels = grid_bytes(block.images)
        height, width = pixels.shape[0] * scale, pixels.shape[1] * scale
        address = "data:image/png;base64," + base64.b64encode(encode_png(pixels)).decode()
        parts.append(f'<image x="0" y="{top:.2f}" width="{width:.2f}" height="{height:.2f}" href="{address}"/>')
        parts.append(_outlines(block, top, scale))
        top += height + LABEL_SIZE * 0.6
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-2 0 {WIDTH + 4:g} {top:.1f}" role="img"'
        f" aria-label={quoteattr(title)} "
    )
    return opening + 'font-family="system-ui, sans-serif" class="image-grid">' + "".join(parts) + "</svg>"


def _outlines(block: Block, top: float, scale: float) -> str:
    rows, columns, height, width = block.images.shape
    boxes = []
    for row, column in np.ndindex(rows, columns):
        if column in block.original_columns or row in block.original_rows:
            x, y = column * (width + GAP) * scale, top + row * (height + GAP) * scale
            geometry = (
                f'x="{x - 0.6:.2f}" y="{y - 0.6:.2f}" width="{width * scale + 1.2:.2f}"'
                f' height="{height * scale + 1.2:.2f}"'
            )
            boxes.append(f'<rect {geometry} fill="none" stroke="{OUTLINE}" stroke-width="1.6"/>')
    return "".join(boxes)


def to_png(title: str, blocks: Sequence[Block]) -> bytes:
    """The same picture on white, 200 pixels to the inch, with the title above it."""
    with matplotlib_defaults():
        return _png(title, blocks)


def _png(title: str, blocks: Sequence[Block]) -> bytes:
    widest = max(grid_bytes(block.images).shape[1] for block in blocks)
    heights = [grid_bytes(block.images).shape[0] / widest for block in blocks]
    inches, label = 7.0, 0.28
    total = sum(height * inches + label + 0.08 for height in heights) + 0.5
    canvas = Canvas(figsize=(inches + 0.4, total), dpi=200, facecolor="white")
    canvas.text(0.2 / (inches + 0.4), 1 - 0.3 / total, title, fontsize=12, fontweight="bold", parse_math=False)
    top = 0.5
    for block, height in zip(blocks, heights, strict=True):
        canvas.text(0.2 / (inches + 0.4), 1 - (top + label * 0.7) / total, block.label, fontsize=9, parse_math=False)
        top += label
        pixels = grid_bytes(block.images)
        width = pixels.shape[1] / widest * inches
        axes = canvas.add_axes(
            (0.2 / (inches + 0.4), 1 - (top + height * inches) / total, width / (inches + 0.4), height * inches / total)
        )
        axes.imshow(
            np.where(pixels[..., 1] > 0, pixels[..., 0], 255),
            cmap="gray",
            vmin=0,
            vmax=255,
            aspect="auto",
            interpolation="nearest",
        )
        axes.set_axis_off()
        top += height * inches + 0.08
    buffer = io.BytesIO()
    FigureCanvasAgg(canvas)
    canvas.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
