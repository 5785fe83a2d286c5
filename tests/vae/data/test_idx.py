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


def test_idx_of_other_numbers_than_bytes_is_refused() -> None:
    with pytest.raises(DataError, match="type 0x0d"):
        decode_idx(b"\0\0\x0d\1\0\0\0\1\0\0\0\0", "floats")
