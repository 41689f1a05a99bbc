"""Bytes that a stranger sent, to rows of pixels: the checks that every protocol shares."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from flatdense_server.errors import InvalidInput
from flatdense_server.tensors import FLOAT32, IMAGE_SHAPE, PIXELS, UINT8, DType, Rows

MAX_MAGNITUDE: Final = 1e6
"""Far outside 0..1, and small enough that no logit can overflow to infinity."""

MAX_BITS: Final = np.float32(MAX_MAGNITUDE).view(np.uint32)
"""The bits of a float are in the order of its value where it is positive. Of NaN, of infinity and
of all that is negative they are more."""

FULL_INK: Final = 255

ROW_SHAPES: Final = ([PIXELS], list(IMAGE_SHAPE))

LONGEST_SHAPE: Final = 8
"""More dimensions are not repeated to whoever sent them."""


def view_rows(field: str, data: bytes | memoryview, dtype: DType, *, max_rows: int) -> Rows:
    """A read-only view of `data` as [N, 784]; nothing is copied.

    Raises InvalidInput, naming `field`, where the length is not that of 1..max_rows rows, or a
    float is not a usable number.
    """
    row_bytes = PIXELS * dtype.itemsize
    rows, rest = divmod(len(data), row_bytes)
    if rest:
        raise InvalidInput(
            field,
            f"expected a multiple of {row_bytes} bytes ({PIXELS} {dtype.name} values a row), "
            f"got {len(data)} bytes.",
        )
    check_count(field, rows, max_rows=max_rows)
    view: Rows = np.frombuffer(data, dtype).reshape(rows, PIXELS)
    if dtype == FLOAT32:
        check_numbers(field, view)
    return view


def view_tensor(
    field: str, data: bytes | memoryview, dtype: "np.dtype[Any]", rows: int
) -> npt.NDArray[Any]:
    """A read-only view of `data` as [rows, 784], of any dtype.

    Raises InvalidInput, naming `field`, where it has another length.
    """
    expected_bytes = rows * PIXELS * dtype.itemsize
    if len(data) != expected_bytes:
        raise InvalidInput(
            field,
            f"expected {expected_bytes} bytes ({rows} x {PIXELS} {dtype.name} values), "
            f"got {len(data)} bytes.",
        )
    return np.frombuffer(data, dtype).reshape(rows, PIXELS)


def count_rows(field: str, shape: Sequence[int], *, max_rows: int) -> int:
    """The N of a shape [N, 784] or [N, 28, 28].

    Raises InvalidInput, naming `field`, for every other shape, and where N is not 1..max_rows.
    """
    if list(shape[1:]) not in ROW_SHAPES or shape[0] < 0:
        got = list(shape) if len(shape) <= LONGEST_SHAPE else f"{len(shape)} dimensions"
        raise InvalidInput(
            field,
            f"expected [N, {PIXELS}] or [N, {IMAGE_SHAPE[0]}, {IMAGE_SHAPE[1]}], got {got}.",
        )
    check_count(field, shape[0], max_rows=max_rows)
    return shape[0]


def check_count(field: str, rows: int, *, max_rows: int) -> None:
    """Raises InvalidInput, naming `field`, where a request has no rows, or too many."""
    if rows == 0:
        raise InvalidInput(field, f"expected 1 to {max_rows} rows, got 0 rows.")
    if rows > max_rows:
        raise InvalidInput(
            field,
            f"expected at most {max_rows} rows in one request, got {rows}. "
            "Cut them into several requests.",
        )


def convert_rows(field: str, values: npt.NDArray[Any]) -> Rows:
    """[N, 784] values of any number type as the network takes them.

    Floats are 0..1: float16 is exact, float64 is rounded. Integers are pixels of 0..255. Values
    that are float32 or uint8 already are not copied. Raises InvalidInput, naming `field` and the
    first value that is no usable number.
    """
    if values.dtype == UINT8:
        pixels: Rows = values
        return pixels
    if values.dtype == FLOAT32:
        numbers: Rows = values
        check_numbers(field, numbers)
        return numbers
    if values.dtype.kind in "iu":
        bad = (values < 0) | (values > FULL_INK)
        if bad.any():
            row, pixel = np.argwhere(bad)[0]
            raise InvalidInput(
                field,
                f"row {row}, value {pixel} is {values[row, pixel]}: "
                f"expected pixels of 0 to {FULL_INK}, as integers are.",
            )
        return values.astype(np.uint8)
    with np.errstate(over="ignore"):  # what is too big is told from infinity no more, nor taken
        converted: Rows = values.astype(FLOAT32)
    check_numbers(field, converted)
    return converted


def scale_rows(rows: Rows) -> Rows:
    """Rows as float32 of 0..1, as the network scales pixels by itself."""
    return rows.astype(np.float32) / np.float32(FULL_INK) if rows.dtype == UINT8 else rows


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
