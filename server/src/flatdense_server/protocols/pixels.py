"""Bytes that a stranger sent, to rows of pixels: the checks that every protocol shares."""

from typing import Final

import numpy as np

from flatdense_server.errors import InvalidInput
from flatdense_server.tensors import FLOAT32, PIXELS, DType, Rows

MAX_MAGNITUDE: Final = 1e6
"""Far outside 0..1, and small enough that no logit can overflow to infinity."""

MAX_BITS: Final = np.float32(MAX_MAGNITUDE).view(np.uint32)
"""The bits of a float are in the order of its value where it is positive. Of NaN, of infinity and
of all that is negative they are more."""


def view_rows(field: str, data: bytes | memoryview, dtype: DType, *, max_rows: int) -> Rows:
    """A read-only view of `data` as [N, 784]; nothing is copied.

    Raises InvalidInput, naming `field`, where the length is not that of 1..max_rows rows, or a
    float is not a usable number.
    """
    row_bytes = PIXELS * dtype.itemsize
    rows, rest = divmod(len(data), row_bytes)
    if not data:
        raise InvalidInput(field, f"expected 1 to {max_rows} rows, got 0 rows.")
    if rest:
        raise InvalidInput(
            field,
            f"expected a multiple of {row_bytes} bytes ({PIXELS} {dtype.name} values a row), "
            f"got {len(data)} bytes.",
        )
    if rows > max_rows:
        raise InvalidInput(
            field,
            f"expected at most {max_rows} rows in one request, got {rows}. "
            "Cut them into several requests.",
        )
    view: Rows = np.frombuffer(data, dtype).reshape(rows, PIXELS)
    if dtype == FLOAT32:
        check_numbers(field, view)
    return view


def check_numbers(field: str, rows: Rows) -> None:
    """Raises InvalidInput, naming the first row and value, where a float is not a usable number."""
    if rows.view("<u4").max() <= MAX_BITS:  # one pass for what most callers send
        return
    # NaN spreads through min and max and fails every comparison: two passes find all that is bad.
    if rows.min() >= -MAX_MAGNITUDE and rows.max() <= MAX_MAGNITUDE:
        return
    bad = ~(np.abs(rows) <= MAX_MAGNITUDE)
    row, pixel = np.argwhere(bad)[0]
    raise InvalidInput(
        field,
        f"row {row}, value {pixel} is {rows[row, pixel]}: expected finite numbers, scaled to 0..1.",
    )
