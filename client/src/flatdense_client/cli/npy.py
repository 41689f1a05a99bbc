"""NumPy's .npy files, read without ever unpickling."""

import io
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from flatdense_client._errors import InvalidInput

MAGIC = b"\x93NUMPY"


def read_npy(data: bytes) -> npt.NDArray[Any]:
    """The array of an .npy file, a view of the bytes.

    Raises InvalidInput: the header is damaged, the array holds Python objects, or it is cut short.
    """
    shape, is_fortran, dtype, offset = _read_header(data)
    if dtype.hasobject:
        msg = "this .npy file holds Python objects; expected an array of uint8 or float"
        raise InvalidInput(msg)
    expected_bytes, came_bytes = math.prod(shape) * dtype.itemsize, len(data) - offset
    if came_bytes < expected_bytes:
        msg = (
            f"this .npy file is cut short: {dtype} of the shape {shape} needs "
            f"{expected_bytes:,} bytes, and there are {came_bytes:,}"
        )
        raise InvalidInput(msg)
    values = np.frombuffer(data, dtype, count=math.prod(shape), offset=offset)
    return values.reshape(shape, order="F" if is_fortran else "C")


def _read_header(data: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    file = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(file)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, is_fortran, dtype = read(file)
    except Exception:  # noqa: BLE001  # a Python literal: damaged bytes make its parsers raise anything
        raise InvalidInput("the header of this .npy file is damaged") from None
    if min(shape, default=0) < 0 or dtype.itemsize == 0:
        raise InvalidInput("the header of this .npy file is damaged")
    return shape, is_fortran, dtype, file.tell()
