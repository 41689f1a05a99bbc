"""What the caller gives, judged and brought to rows of pixels. Nothing here sends a byte."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from flatdense_client._errors import InvalidInput, Violation

SIDE_PIXELS = 28
ROW_PIXELS = SIDE_PIXELS * SIDE_PIXELS

ROUNDING = 1e-5
"""How far outside 0..1 a float may lie: what scaling in float16 or float32 leaves behind."""

_IMAGE_SHAPES = frozenset({(ROW_PIXELS,), (SIDE_PIXELS, SIDE_PIXELS)})

_SHAPES = "expected (784,), (N, 784), (28, 28) or (N, 28, 28)"


@dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """Images that passed every check: a view of the caller's array where its memory allows."""

    pixels: npt.NDArray[Any]
    """[N, 784], N >= 1, of any type whose values fit `dtype`."""
    dtype: np.dtype[Any]
    """How one pixel is written in a message: `u1` (0..255) or `<f4` (0..1)."""

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def row_bytes(self) -> int:
        """The length of one row in a message."""
        return ROW_PIXELS * self.dtype.itemsize

    def to_bytes(self, start: int, stop: int) -> bytes:
        """Rows `start` to `stop`, row-major and little-endian."""
        return self.pixels[start:stop].astype(self.dtype, copy=False).tobytes()


def check_images(images: npt.ArrayLike) -> Rows:
    """Brings images of any accepted shape and type to rows.

    Integers are 0 (ground) to 255 (ink), floats are already scaled to 0..1, and a true boolean is
    ink.

    Raises InvalidInput: the shape, the type or a value is not one of these; the message names the
    row.
    """
    pixels = _reshape(_to_array(images))
    kind = pixels.dtype.kind
    if kind == "b":
        return Rows(pixels=pixels.astype(np.uint8) * np.uint8(255), dtype=np.dtype(np.uint8))
    if kind in "iu":
        if pixels.dtype != np.uint8:  # which holds nothing else
            _check_range(pixels, 0, 255, "integer images are 0..255")
        return Rows(pixels=pixels, dtype=np.dtype(np.uint8))
    if kind == "f":
        rule = "float images are 0..1: pass uint8 or divide by 255"
        _check_range(pixels, -ROUNDING, 1 + ROUNDING, rule)
        return Rows(pixels=pixels, dtype=np.dtype("<f4"))
    raise _refusal(f"the images have the type {pixels.dtype}; expected uint8 or float")


def _to_array(images: npt.ArrayLike) -> npt.NDArray[Any]:
    try:
        return np.asarray(images)
    except (TypeError, ValueError) as error:
        msg = f"the images do not form an array ({error}); {_SHAPES}"
        raise _refusal(msg) from None


def _reshape(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    shape = array.shape
    one = shape in _IMAGE_SHAPES
    many = not one and shape[1:] in _IMAGE_SHAPES
    if shape == (0,) or (many and shape[0] == 0):
        msg = f"there are no images: the array has the shape {shape}; expected at least one row"
        raise _refusal(msg)
    if one or many:
        return array.reshape(-1, ROW_PIXELS)
    hint = ": drop the last axis with images[..., 0]" if shape[-1:] == (1,) else ""
    raise _refusal(f"the images have the shape {shape}; {_SHAPES}{hint}")


def _check_range(pixels: npt.NDArray[Any], low: float, high: float, rule: str) -> None:
    # Two passes that allocate nothing settle the common case; NaN fails every comparison.
    if low <= pixels.min() and pixels.max() <= high:
        return
    wrong = ~((pixels >= low) & (pixels <= high))
    row, pixel = (int(index) for index in np.argwhere(wrong)[0])
    y, x = divmod(pixel, SIDE_PIXELS)
    raise _refusal(f"row {row} has the value {pixels[row, pixel]} at pixel ({y}, {x}); {rule}")


def _refusal(message: str) -> InvalidInput:
    return InvalidInput(message, (Violation("images", message),))
