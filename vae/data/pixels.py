"""Pixels and labels as bytes: by the range of the numbers, never by their type alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vae.data.idx import DataError

LEAST_BRIGHTEST = 128
"""The brightest pixel of a set of images is at least this: where it is less, the images are on another scale."""

_FULL_SCALES = (1_023, 4_095, 16_383, 65_535)
"""Of images with 10, 12, 14 and 16 bits."""

_TO_BYTES = "become so by"
_CAST = ".round().astype(numpy.uint8)"


def image_bytes(what: str, array: Any) -> NDArray[np.uint8]:
    """Whole numbers from 0 to 255, of any type, as uint8; true as 255. Bytes are not copied.

    Raises DataError, with what makes bytes of them, for numbers that are on another scale or may be: intensities in
    [0, 1] and [-1, 1], more than 8 bits, and 0 and 1 (or 0 to 16) as whole numbers, which would be taken as black.
    """
    if not isinstance(array, np.ndarray):
        raise DataError(f"{what} are of type {type(array).__name__}; they must be a numpy array of uint8.")
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype.kind in "iuf" and (fault := scale_fault(array)):
        raise DataError(f"{what} are {array.dtype}{fault}")
    return _cast(what, array)


def label_bytes(what: str, array: Any) -> NDArray[np.uint8]:
    """Labels [n] or [n, 1], whole numbers from 0 to 255 of any type, as uint8 [n]."""
    labels = _cast(what, array)
    return labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels


def scale_fault(images: NDArray[Any]) -> str:
    """Why numbers are no pixels from 0 to 255, and what makes them so, as the end of a sentence; empty for pixels."""
    if not images.size:
        return ""
    low, high = float(images.min()), float(images.max())
    is_whole = images.dtype.kind in "iu" or bool((images == np.trunc(images)).all())
    seen = f" from {low:g} to {high:g}; they must be uint8, from 0 to 255"
    if not np.isfinite([low, high]).all():
        return f" and hold {low if not np.isfinite(low) else high}; they must be uint8, from 0 to 255."
    if -1 <= low < 0 and high <= 1:
        return f"{seen}. Intensities in [-1, 1] {_TO_BYTES} (127.5 * (images + 1)){_CAST}."
    if low < 0:
        return f"{seen}. Give them as they were before they were standardised."
    if high <= 1 and images.dtype.kind == "f":
        return f"; they must be uint8, from 0 to 255. Intensities in [0, 1] {_TO_BYTES} (255 * images){_CAST}."
    if 0 < high < LEAST_BRIGHTEST:
        black = ", where these would be nearly black"
        return f"{seen}{black}. On a scale from 0 to {high:g} they {_TO_BYTES} (images * (255 / {high:g})){_CAST}."
    if high > 255:
        scale = next((full for full in _FULL_SCALES if is_whole and high <= full), high)
        return f"{seen}. On a scale from 0 to {scale:g} they {_TO_BYTES} (images * (255 / {scale:g})){_CAST}."
    return "" if is_whole else f"{seen}, whole numbers. They {_TO_BYTES} images{_CAST}."


def _cast(what: str, array: Any) -> NDArray[np.uint8]:
    """A read-only contiguous view of whole numbers from 0 to 255, or of a copy where they are of another type."""
    if not isinstance(array, np.ndarray):
        raise DataError(f"{what} are of type {type(array).__name__}; they must be a numpy array of uint8.")
    if array.dtype != np.uint8:
        with np.errstate(invalid="ignore"):
            cast = array.astype(np.uint8) if array.dtype.kind in "biuf" else None
        if cast is None or not np.array_equal(cast, array):
            raise DataError(f"{what} are {array.dtype}; they must be uint8, whole numbers from 0 to 255.")
        array = cast
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view
