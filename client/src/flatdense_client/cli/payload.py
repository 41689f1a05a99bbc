"""The images that the calls of a load carry."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from flatdense_client._core.messages import MAX_MESSAGE_BYTES
from flatdense_client._errors import InvalidInput
from flatdense_client._images.pixels import ROW_PIXELS, check_array
from flatdense_client._load.strokes import draw_strokes
from flatdense_client.cli.files import read_images
from flatdense_client.cli.screen import plain

TYPES: dict[str, np.dtype[Any]] = {"uint8": np.dtype(np.uint8), "float32": np.dtype("<f4")}
"""How pixels travel, by the name that `--dtype` has for it."""

_MADE_UP = 64
"""How many different pieces are sent in turn where there is no file."""

_MOST_BYTES = 64 << 20
"""How much is sent in turn at most: every process holds it."""

_ENVELOPE_BYTES = 4096
"""Kept free in each message for everything beside the rows."""

_SEED = 0

Pixels = npt.NDArray[Any]
"""[N, 784]."""


def most_rows(dtype: np.dtype[Any]) -> int:
    """How many rows of a type one message carries at most."""
    return (MAX_MESSAGE_BYTES - _ENVELOPE_BYTES) // (ROW_PIXELS * dtype.itemsize)


def read_pieces(file: Path | None, *, rows: int, dtype: np.dtype[Any]) -> list[Pixels]:
    """Pieces of so many rows: of a file, as far as 64 MiB go, or of strokes that are made up.

    The rows of a file that do not fill the last piece, or the first, are followed by its first.

    Raises InvalidInput: the file cannot be read, or holds no images. Raises ImportError: it is a
    picture, and Pillow is missing.
    """
    most = max(_MOST_BYTES // (rows * ROW_PIXELS * dtype.itemsize), 1)
    if file is None:
        pixels: Pixels = draw_strokes(rows * min(_MADE_UP, most), _SEED)
    else:
        pixels = _read(file)[: rows * most]
    count = -(-len(pixels) // rows)
    whole = np.resize(pixels, (count * rows, ROW_PIXELS))
    return list(_convert(whole, dtype).reshape(count, rows, ROW_PIXELS))


def _read(file: Path) -> Pixels:
    try:
        return check_array(np.asarray(read_images(file))).pixels
    except InvalidInput as error:
        msg = f"{plain(str(file))}: {error}"
        raise InvalidInput(msg) from None


def _convert(pixels: Pixels, dtype: np.dtype[Any]) -> Pixels:
    """Whole numbers are 0 to 255, floats 0 to 1."""
    if (pixels.dtype.kind == "f") == (dtype.kind == "f"):
        return pixels.astype(dtype, copy=False)
    scaled = pixels / 255 if dtype.kind == "f" else np.rint(pixels * 255).clip(0, 255)
    return scaled.astype(dtype)
