"""A picture of one digit, brought to the form of MNIST's images: 28x28, light ink on a dark ground.

    picture -> ink, freed of its ground -> cropped -> 20 pixels long -> centred in 28x28

The numbers here and in _ink.py were tried on MNIST's test images, drawn and photographed.
"""

import math
import os

import numpy as np
import numpy.typing as npt

from flatdense_client._errors import InvalidInput
from flatdense_client._images.ink import FAINTEST_INK, blank, border, find_ink
from flatdense_client._images.kinds import ImageLike
from flatdense_client._images.pictures import Grey, Picture, read_picture, resize, shrink
from flatdense_client._images.pixels import SIDE_PIXELS
from flatdense_client._images.prepared import PreparedImage

_DIGIT_PIXELS = 20
"""The longest side of the digit inside the 28x28, as in MNIST."""

_WORKING_PIXELS = 256
"""The longest side at which ink is looked for: averaging quiets the grain of paper and sensor."""

_SPECK_CELLS = 64
"""Into how many cells the longest side is cut to tell the digit from specks, which fill no cell."""

_MIDDLE_GREY = 128


def prepare_image(source: ImageLike) -> PreparedImage:
    """Brings a photo or drawing of one digit to the form of MNIST's images.

    A picture that is 28x28 already, on a dark ground, is left as it is. Any other is turned upright
    and grey (over white where it is transparent), freed of its ground whether light or dark and
    even if unevenly lit, cropped to the ink, scaled so that the longest side is 20 pixels, and
    placed with its centre of mass in the middle of 28x28. The result says what was done.

    `source` is the path of a PNG or JPEG, the bytes of one, an image of PIL's, or an array uint8 of
    the shape (H, W), (H, W, 3) or (H, W, 4) with any sides. It is only read.

    Raises InvalidInput: it is none of these, cannot be read, is damaged, is bigger than 50
    megapixels, or shows no ink; the message names the file. Raises ImportError: Pillow is missing.
    """
    try:
        return _prepare(read_picture(source))
    except InvalidInput as error:
        if not isinstance(source, str | os.PathLike):
            raise
        raise InvalidInput(f"{os.fsdecode(source)!r}: {error}") from None


def _prepare(picture: Picture) -> PreparedImage:
    height, width = picture.grey.shape
    if _is_mnist(picture.grey):
        return PreparedImage(
            pixels=_freeze(picture.grey),
            source_size=(width, height),
            source_mode=picture.mode,
            is_turned=picture.is_turned,
            as_is=True,
            is_inverted=False,
            crop_box=(0, 0, width, height),
            scale=1.0,
            shift=(0.0, 0.0),
        )
    ink, is_inverted = find_ink(shrink(picture.grey, _WORKING_PIXELS))
    left, top, right, bottom = _find_digit(ink)
    digit = _fit(ink[top:bottom, left:right])
    x, y = _place(digit)
    # The ink was looked for in a smaller picture.
    x_ratio, y_ratio = width / ink.shape[1], height / ink.shape[0]
    return PreparedImage(
        pixels=_freeze(_paste(digit, x, y)),
        source_size=(width, height),
        source_mode=picture.mode,
        is_turned=picture.is_turned,
        as_is=False,
        is_inverted=is_inverted,
        crop_box=(
            math.floor(left * x_ratio),
            math.floor(top * y_ratio),
            math.ceil(right * x_ratio),
            math.ceil(bottom * y_ratio),
        ),
        scale=_DIGIT_PIXELS / max((right - left) * x_ratio, (bottom - top) * y_ratio),
        shift=(x + (digit.shape[1] - SIDE_PIXELS) / 2, y + (digit.shape[0] - SIDE_PIXELS) / 2),
    )


def _is_mnist(grey: Grey) -> bool:
    """Whether this is in MNIST's form already. Raises InvalidInput: if so, but it is blank."""
    if grey.shape != (SIDE_PIXELS, SIDE_PIXELS) or np.median(border(grey)) >= _MIDDLE_GREY:
        return False
    if np.ptp(grey) < FAINTEST_INK:
        raise blank()
    return True


def _find_digit(ink: Grey) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the digit: specks of dust and grain lie outside."""
    coarse = shrink(ink, _SPECK_CELLS)
    cell = max(ink.shape) / max(coarse.shape)
    left, top, right, bottom = _bounds(coarse > coarse.max() / 4)
    x, y = (max(0, math.floor((start - 1) * cell)) for start in (left, top))
    near = ink[y : math.ceil((bottom + 1) * cell), x : math.ceil((right + 1) * cell)]
    left, top, right, bottom = _bounds(near > 0)
    return x + left, y + top, x + right, y + bottom


def _bounds(mask: npt.NDArray[np.bool_]) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _fit(ink: Grey) -> Grey:
    """Scales the longest side to 20 pixels and the strongest ink to 255."""
    scale = _DIGIT_PIXELS / max(ink.shape)
    height, width = (max(1, round(side * scale)) for side in ink.shape)
    digit = resize(ink, width, height, "BILINEAR")
    return digit * np.float32(255 / digit.max())


def _place(digit: Grey) -> tuple[int, int]:
    """Where its left and top go, so that its centre of mass is in the middle, as far as it fits."""
    corner = []
    for axis, side in enumerate(digit.shape):
        mass = digit.sum(axis=1 - axis)
        centre = float((np.arange(side) + 0.5) @ mass / mass.sum())
        corner.append(min(max(round(SIDE_PIXELS / 2 - centre), 0), SIDE_PIXELS - side))
    y, x = corner
    return x, y


def _paste(digit: Grey, x: int, y: int) -> Grey:
    height, width = digit.shape
    whole = np.zeros((SIDE_PIXELS, SIDE_PIXELS), np.float32)
    whole[y : y + height, x : x + width] = digit
    return whole


def _freeze(grey: Grey) -> npt.NDArray[np.uint8]:
    pixels = grey.round().astype(np.uint8)
    pixels.flags.writeable = False
    return pixels
