"""Bytes of a stranger: what becomes rows, and what is refused in which words."""

import re

import numpy as np
import pytest
from flatdense_server.errors import InvalidInput
from flatdense_server.protocols.pixels import MAX_MAGNITUDE, view_rows
from flatdense_server.tensors import FLOAT32, PIXELS, UINT8, DType
from hypothesis import given
from hypothesis import strategies as st

MAX_ROWS = 6
BEYOND = float(np.nextafter(np.float32(MAX_MAGNITUDE), np.float32(np.inf)))
LARGEST = float(np.finfo(np.float32).max)

dtypes = st.sampled_from([UINT8, FLOAT32])


def numbers(rows: int) -> np.ndarray:
    """Rows of float32 in 0..1 that can be written to."""
    return np.linspace(0, 1, rows * PIXELS, dtype=np.float32).reshape(rows, PIXELS)


@given(dtype=dtypes, rows=st.integers(1, MAX_ROWS), byte=st.integers(0, 60))
def test_whole_rows_become_a_read_only_view(dtype: DType, rows: int, byte: int) -> None:
    """1 to max_rows whole rows are accepted, with the caller's bytes as their memory."""
    data = bytes([byte]) * (rows * PIXELS * dtype.itemsize)
    view = view_rows("images", data, dtype, max_rows=MAX_ROWS)
    assert view.shape == (rows, PIXELS)
    assert view.dtype == dtype
    assert view.tobytes() == data
    assert np.shares_memory(view, np.frombuffer(data, np.uint8))
    assert not view.flags.writeable


@given(dtype=dtypes, length=st.integers(1, 5 * PIXELS))
def test_a_length_that_is_no_whole_number_of_rows_is_refused(dtype: DType, length: int) -> None:
    """Any other length is refused with the row's length, the type, and the length that came."""
    row_bytes = PIXELS * dtype.itemsize
    if length % row_bytes == 0:
        length += 1
    with pytest.raises(InvalidInput) as caught:
        view_rows("images", bytes(length), dtype, max_rows=MAX_ROWS)
    assert caught.value.field == "images"
    assert f"multiple of {row_bytes} bytes (784 {dtype.name} values a row)" in str(caught.value)
    assert f"got {length} bytes" in str(caught.value)


@pytest.mark.parametrize("dtype", [UINT8, FLOAT32])
def test_no_rows_are_refused(dtype: DType) -> None:
    """An empty tensor says that it has 0 rows and how many are taken."""
    with pytest.raises(InvalidInput, match=r"expected 1 to 6 rows, got 0 rows\."):
        view_rows("images", b"", dtype, max_rows=MAX_ROWS)


@pytest.mark.parametrize("dtype", [UINT8, FLOAT32])
def test_more_rows_than_the_limit_are_refused(dtype: DType) -> None:
    """One row above the limit is refused naming the limit, the number that came, and a way on."""
    data = bytes((MAX_ROWS + 1) * PIXELS * dtype.itemsize)
    with pytest.raises(InvalidInput, match=r"at most 6 rows in one request, got 7\. Cut them"):
        view_rows("images", data, dtype, max_rows=MAX_ROWS)


@given(
    value=st.one_of(
        st.sampled_from([float("nan"), float("inf"), float("-inf")]),
        st.floats(BEYOND, LARGEST, width=32),
        st.floats(-LARGEST, -BEYOND, width=32),
    ),
    row=st.integers(0, MAX_ROWS - 1),
    pixel=st.integers(0, PIXELS - 1),
)
def test_a_float_that_is_no_usable_number_is_named(value: float, row: int, pixel: int) -> None:
    """NaN, infinity and what could overflow a logit are refused with row, position and value."""
    rows = numbers(MAX_ROWS)
    rows[row, pixel] = value
    position = re.escape(f"row {row}, value {pixel} is {rows[row, pixel]}: expected finite numbers")
    with pytest.raises(InvalidInput, match=position):
        view_rows("images", rows.tobytes(), FLOAT32, max_rows=MAX_ROWS)


def test_the_first_bad_float_is_the_one_that_is_named() -> None:
    """Of several bad values the message has the first in row-major order."""
    rows = numbers(4)
    rows[3, 1], rows[2, 700], rows[2, 9] = np.inf, np.nan, -np.inf
    with pytest.raises(InvalidInput, match="row 2, value 9 is -inf"):
        view_rows("images", rows.tobytes(), FLOAT32, max_rows=MAX_ROWS)


@pytest.mark.parametrize("value", [MAX_MAGNITUDE, -MAX_MAGNITUDE, -0.5, 1e-45, 0.0])
def test_a_float_outside_0_to_1_is_the_callers_choice(value: float) -> None:
    """Finite values up to the limit pass: scaling is asked for, not enforced."""
    rows = numbers(1)
    rows[0, 5] = value
    assert view_rows("images", rows.tobytes(), FLOAT32, max_rows=1)[0, 5] == np.float32(value)
