"""The IDX format: arrays come back as they were written, other numbers than bytes are refused."""

from __future__ import annotations

import numpy as np
import pytest

from vae.data.dataset import DataError
from vae.data.idx import decode_idx, encode_idx


@pytest.mark.parametrize("shape", [(5,), (3, 4, 5), (0,), (2, 0, 3)])
def test_an_array_comes_back_as_it_was_written(shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    np.testing.assert_array_equal(decode_idx(encode_idx(array), "written"), array, strict=True)


@pytest.mark.parametrize(("kind", "dtype"), [(0x09, "i1"), (0x0B, ">i2"), (0x0C, ">i4"), (0x0D, ">f4"), (0x0E, ">f8")])
def test_the_numbers_of_the_format_are_read_whatever_their_type(kind: int, dtype: str) -> None:
    array = np.array([[0, 1, 100], [2, 3, 4]], dtype)
    header = bytes([0, 0, kind, 2, 0, 0, 0, 2, 0, 0, 0, 3])
    np.testing.assert_array_equal(decode_idx(header + array.tobytes(), "written"), array)
    with pytest.raises(DataError, match="truncated"):
        decode_idx(header + array.tobytes()[:-1], "short")


def test_a_type_that_the_format_does_not_have_is_refused() -> None:
    with pytest.raises(DataError, match="type 0x0a"):
        decode_idx(b"\0\0\x0a\1\0\0\0\1\0\0\0\0", "odd")
