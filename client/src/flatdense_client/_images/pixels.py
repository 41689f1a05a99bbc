"""Arrays of images, judged and brought to rows of pixels. Nothing here sends a byte."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from flatdense_client._errors import InvalidInput, Violation

SIDE_PIXELS = 28
ROW_PIXELS = SIDE_PIXELS * SIDE_PIXELS

ROUNDING = 1e-5
"""How far outside 0..1 a float may lie: what scaling in float16 or float32 leaves behind."""

IMAGE_SHAPES = frozenset({(ROW_PIXELS,), (SIDE_PIXELS, SIDE_PIXELS)})
"""The shapes of one image."""

_SHAPES = "expected (784,), (N, 784), (28, 28) or (N, 28, 28)"
_UINT8 = np.dtype(np.uint8)
_FLOAT32 = np.dtype("<f4")


@dataclass(kw_only=True, slots=True)  # not frozen: those take longer to make
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


def check_array(array: npt.NDArray[Any]) -> Rows:
    """Brings one image or many, of any accepted shape and type, to rows.

    Integers are 0 (ground) to 255 (ink), floats are already scaled to 0..1, and a true boolean is
    ink.

    Raises InvalidInput: the shape, the type or a value is not one of these; the message names the
    row.
    """
    return _judge(_reshape(array))


def check_row(array: npt.NDArray[Any], row: int) -> Rows:
    """Brings one image of several to a row; `row` is its number in messages.

    Raises InvalidInput as check_array does.
    """
    if array.shape not in IMAGE_SHAPES:
        raise refusal(f"row {row} has the shape {array.shape}; expected (784,) or (28, 28)")
    return _judge(array.reshape(1, ROW_PIXELS), row)


def join(parts: list[Rows]) -> Rows:
    """All rows in one; as floats where there are any, scaled as the server's graph scales them."""
    if all(part.dtype == _UINT8 for part in parts):
        pixels = [part.pixels.astype(_UINT8, copy=False) for part in parts]
        return Rows(pixels=np.concatenate(pixels), dtype=_UINT8)
    scales = [np.float32(255 if part.dtype == _UINT8 else 1) for part in parts]
    scaled = [
        part.pixels.astype(_FLOAT32, copy=False) / scale
        for part, scale in zip(parts, scales, strict=True)
    ]
    return Rows(pixels=np.concatenate(scaled), dtype=_FLOAT32)


def refusal(message: str) -> InvalidInput:
    """The error for images that are none."""
    return InvalidInput(message, (Violation("images", message),))


def _judge(pixels: npt.NDArray[Any], row: int | None = None) -> Rows:
    if pixels.dtype == _UINT8:  # which holds nothing but 0..255
        return Rows(pixels=pixels, dtype=_UINT8)
    kind = pixels.dtype.kind
    if kind == "b":
        return Rows(pixels=pixels.astype(np.uint8) * np.uint8(255), dtype=_UINT8)
    if kind in "iu":
        _check_range(pixels, 0, 255, "integer images are 0..255", row)
        return Rows(pixels=pixels, dtype=_UINT8)
    if kind == "f":
        rule = "float images are 0..1: pass uint8 or divide by 255"
        _check_range(pixels, -ROUNDING, 1 + ROUNDING, rule, row)
        return Rows(pixels=pixels, dtype=_FLOAT32)
    raise _wrong_type(pixels.dtype, row)


def _reshape(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    shape = array.shape
    if shape in IMAGE_SHAPES:
        return array.reshape(1, ROW_PIXELS)
    many = shape[1:] in IMAGE_SHAPES
    if shape == (0,) or (many and shape[0] == 0):
        msg = f"there are no images: the array has the shape {shape}; expected at least one row"
        raise refusal(msg)
    if many:
        return array.reshape(-1, ROW_PIXELS)
    if array.dtype.kind not in "biuf":
        raise _wrong_type(array.dtype)
    raise refusal(f"the images have the shape {shape}; {_SHAPES}{_hint(shape)}")


def _hint(shape: tuple[int, ...]) -> str:
    if shape[-1:] == (1,):
        return ": drop the last axis with images[..., 0]"
    if shape[1:] == (1, SIDE_PIXELS, SIDE_PIXELS):
        return ": drop the axis of channels with images[:, 0]"
    return ""


def _wrong_type(dtype: np.dtype[Any], row: int | None = None) -> InvalidInput:
    told = "the images have" if row is None else f"row {row} has"
    # Such as bfloat16, which NumPy knows from other libraries alone.
    hint = ": convert with .astype(numpy.float32)" if dtype.kind == "V" else ""
    return refusal(f"{told} the type {dtype}; expected uint8 or float{hint}")


def _check_range(
    pixels: npt.NDArray[Any], low: float, high: float, rule: str, first_row: int | None
) -> None:
    # Two passes that allocate nothing settle the common case; NaN fails every comparison.
    if low <= pixels.min() and pixels.max() <= high:
        return
    wrong = ~((pixels >= low) & (pixels <= high))
    row, pixel = (int(index) for index in np.argwhere(wrong)[0])
    y, x = divmod(pixel, SIDE_PIXELS)
    told = f"row {row + (first_row or 0)} has the value {pixels[row, pixel]} at pixel ({y}, {x})"
    raise refusal(f"{told}; {rule}")
