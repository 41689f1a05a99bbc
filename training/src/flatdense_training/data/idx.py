"""The IDX format of the MNIST files: a big-endian header, then one byte an element, row-major.

2 bytes   0
1 byte    element type; 8 is unsigned byte, the only one used here
1 byte    number of dimensions D
D x 4     size of each dimension
...       the elements
"""

import math
import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from flatdense_training.errors import DataDamaged, DataMissing

UInt8 = npt.NDArray[np.uint8]

MAX_BYTES = 256 * 2**20
"""Over 300,000 images; a gzip that unpacks to more was made to do harm."""

GZIP_MAGIC = b"\x1f\x8b"
UNSIGNED_BYTE = 8


def parse_idx(data: bytes, *, dimensions: int, name: str) -> UInt8:
    """The array in the bytes of an IDX file, read-only.

    `name` is how messages call the file. Raises DataDamaged where the bytes are not exactly one
    array of unsigned bytes with `dimensions` dimensions.
    """
    header_bytes = 4 + 4 * dimensions
    if not data:
        raise DataDamaged(f"{name} is empty. Fetch or write it again.")
    if data[:4] != bytes((0, 0, UNSIGNED_BYTE, dimensions)):
        raise DataDamaged(
            f"{name} is not the expected IDX file: it begins with the bytes {data[:4].hex(' ')}, "
            f"expected 00 00 08 {dimensions:02x} (unsigned bytes in {dimensions} dimensions). "
            "Fetch or write it again."
        )
    if len(data) < header_bytes:
        raise DataDamaged(
            f"{name} is cut short inside its header, after {len(data)} bytes. "
            "Fetch or write it again."
        )
    shape = struct.unpack_from(f">{dimensions}I", data, 4)
    expected_bytes = header_bytes + math.prod(shape)
    if len(data) != expected_bytes:
        fault = "is cut short" if len(data) < expected_bytes else "has bytes after its end"
        raise DataDamaged(
            f"{name} {fault}: its header announces {'x'.join(map(str, shape))} elements, "
            f"{expected_bytes:,} bytes in all, and it has {len(data):,}. Fetch or write it again."
        )
    return np.frombuffer(data, np.uint8, offset=header_bytes).reshape(shape)


def format_idx(array: UInt8) -> bytes:
    """The bytes of an IDX file that holds `array`: what checksums are taken over."""
    header = struct.pack(f">4B{array.ndim}I", 0, 0, UNSIGNED_BYTE, array.ndim, *array.shape)
    return header + array.tobytes()


def read_bytes(path: Path) -> bytes:
    """The content of a file, unpacked where it is gzip, whatever its name says.

    Raises DataMissing where it cannot be opened, DataDamaged where the gzip is corrupt or unpacks
    to too much.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataMissing(f"{path} cannot be read: {error.strerror}.") from error
    return unpack(data, name=str(path)) if data.startswith(GZIP_MAGIC) else data


def unpack(data: bytes, *, name: str) -> bytes:
    """The content of gzip bytes.

    Raises DataDamaged where they are corrupt or unpack to more than MAX_BYTES.
    """
    unpacker = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        content = unpacker.decompress(data, MAX_BYTES + 1)
    except zlib.error as error:
        raise DataDamaged(
            f"{name} is a corrupt gzip file: {error}. Fetch or write it again."
        ) from error
    if len(content) > MAX_BYTES:
        raise DataDamaged(
            f"{name} unpacks to more than {MAX_BYTES:,} bytes, the most that is read."
        )
    if not unpacker.eof:
        raise DataDamaged(f"{name} is a gzip file that is cut short. Fetch or write it again.")
    if unpacker.unused_data:
        raise DataDamaged(
            f"{name} has bytes after the end of its gzip data. Fetch or write it again."
        )
    return content
