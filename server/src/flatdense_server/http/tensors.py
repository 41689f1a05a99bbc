"""Numbers in JSON to the bytes of a tensor, and back, each of them exact."""

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from flatdense_server.http.documents import read_document
from flatdense_server.http.errors import refuse

Number: TypeAlias = np.integer[Any] | np.floating[Any]
Numbers: TypeAlias = npt.NDArray[Number]
NumberType: TypeAlias = np.dtype[Number]
Wide: TypeAlias = npt.NDArray[Any]
"""int64 or float64."""

DATATYPES: Final[Mapping[str, NumberType]] = MappingProxyType(
    {
        "UINT8": np.dtype("u1"),
        "UINT16": np.dtype("<u2"),
        "UINT32": np.dtype("<u4"),
        "INT8": np.dtype("i1"),
        "INT16": np.dtype("<i2"),
        "INT32": np.dtype("<i4"),
        "INT64": np.dtype("<i8"),
        "FP16": np.dtype("<f2"),
        "FP32": np.dtype("<f4"),
        "FP64": np.dtype("<f8"),
    }
)
"""Those that JSON's numbers are taken for."""

MAX_DEPTH: Final = 8
"""Of lists in lists; an image has at most 4."""

OPENING: Final = re.compile(rb"[\s\[]*")

LENGTH_BYTES: Final = 4
"""Before each text of a tensor of texts."""


def read_numbers(field: str, text: msgspec.Raw, dtype: NumberType) -> Numbers:
    """A number, or lists of lists of them, as an array of that shape and type.

    Floats are rounded to the nearest. Raises RequestRefused where the lists have no shape, or a
    value is not of the type or beyond its range.
    """
    view = memoryview(text)
    opening = OPENING.match(view)
    depth = opening[0].count(b"[") if opening else 0
    if depth > MAX_DEPTH:
        raise refuse(field, f"expected lists at most {MAX_DEPTH} deep, got {depth}.")
    whole = dtype.kind in "iu"
    values = read_document(text, make_decoder(int if whole else float, depth), field)
    try:
        # Wider than what is wanted: what does not fit must be seen, not cut.
        wide: Wide = np.array(values, np.int64 if whole else np.float64)
    except OverflowError as error:
        raise refuse(field, f"expected {dtype.name} values, got one beyond 64 bits.") from error
    except ValueError as error:
        raise refuse(field, "expected lists of equal lengths, got unequal ones.") from error
    if not wide.size:
        raise refuse(field, "expected at least one value, got none.")
    return narrow(field, wide, dtype)


def narrow(field: str, wide: Wide, dtype: NumberType) -> Numbers:
    """The same numbers in another type. Raises RequestRefused where one is beyond its range."""
    with np.errstate(over="ignore"):
        narrowed: Numbers = wide.astype(dtype)
    bad = (narrowed != wide) if dtype.kind in "iu" else np.isinf(narrowed)
    if bad.any():
        place = tuple(map(int, np.argwhere(bad)[0]))
        path = "".join(f"[{index}]" for index in place)
        low, high = find_range(dtype)
        raise refuse(
            f"{field}{path}", f"expected {dtype.name} from {low} to {high}, got {wide[place]}."
        )
    return narrowed


def find_range(dtype: Any) -> tuple[float, float]:  # noqa: ANN401 -- numpy has two kinds of them
    """The smallest and the biggest number of a type."""
    limits: Any = np.iinfo(dtype) if dtype.kind in "iu" else np.finfo(dtype)
    return limits.min, limits.max


def write_numbers(data: bytes, dtype: NumberType) -> Numbers:
    """The numbers of a tensor's bytes, in a type whose values JSON writes exactly."""
    numbers: Numbers = np.frombuffer(data, dtype)
    return numbers.astype(np.float64) if dtype.kind == "f" else numbers


def write_texts(data: bytes) -> list[str]:
    """The texts of a tensor's bytes."""
    texts, start = [], 0
    while start < len(data):
        stop = start + LENGTH_BYTES
        length = int.from_bytes(data[start:stop], "little")
        texts.append(data[stop : stop + length].decode(errors="replace"))
        start = stop + length
    return texts


@lru_cache(maxsize=2 * (MAX_DEPTH + 1))
def make_decoder(kind: type[int] | type[float], depth: int) -> msgspec.json.Decoder[Any]:
    """Reads numbers of one kind in lists of one depth, and nothing else."""
    shape: Any = kind
    for _ in range(depth):
        shape = list[shape]
    return msgspec.json.Decoder(shape)
