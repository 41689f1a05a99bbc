"""IDX, the format of MNIST's own files: a big-endian header, then the bytes."""

import math
import struct
from mmap import mmap

import numpy as np
import numpy.typing as npt

from flatdense_client._errors import InvalidInput
from flatdense_client._images.pixels import SIDE_PIXELS

_UINT8 = 0x08
_IMAGES_RANK = 3
_LABELS_RANK = 1


def looks_like_idx(data: bytes) -> bool:
    """Whether the first bytes are those of an IDX file of any type and rank."""
    return len(data) >= 4 and data[:2] == b"\0\0" and 0x08 <= data[2] <= 0x0E and data[3] > 0  # noqa: PLR2004  # the format's own numbers


def holds_labels(data: bytes) -> bool:
    """Whether the first bytes are those of an IDX file of one dimension, as MNIST's labels are."""
    return looks_like_idx(data) and data[3] == _LABELS_RANK


def read_idx_images(data: bytes | mmap) -> npt.NDArray[np.uint8]:
    """The images of an IDX file: uint8 [N, 28, 28], a view of the bytes.

    Raises InvalidInput: these are labels, pixels of another size or type, or the file is cut short.
    """
    kind, rank = data[2], data[3]
    header_bytes = 4 + 4 * rank
    if len(data) < header_bytes:
        msg = f"this IDX file ends in its header: expected {header_bytes} bytes, got {len(data)}"
        raise InvalidInput(msg)
    shape = struct.unpack(f">{rank}I", data[4:header_bytes])
    if kind != _UINT8 or rank != _IMAGES_RANK or shape[1:] != (SIDE_PIXELS, SIDE_PIXELS):
        held = "labels" if rank == _LABELS_RANK else f"type 0x{kind:02x} of the shape {shape}"
        msg = f"this IDX file holds {held}; expected images: bytes of the shape (N, 28, 28)"
        raise InvalidInput(msg)
    expected_bytes, came_bytes = math.prod(shape), len(data) - header_bytes
    if came_bytes != expected_bytes:
        what = "is cut short" if came_bytes < expected_bytes else "has bytes left over"
        msg = (
            f"this IDX file {what}: {shape[0]:,} images need {expected_bytes:,} bytes "
            f"after the header, and there are {came_bytes:,}"
        )
        raise InvalidInput(msg)
    return np.frombuffer(data, np.uint8, offset=header_bytes).reshape(shape)
