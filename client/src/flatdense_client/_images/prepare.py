"""A picture of one digit, brought to the form of MNIST's images: 28x28, light ink on a dark ground.

    picture -> ink, freed of its ground -> cropped -> 20 pixels long, at least 2.5 thick -> centred

The numbers here and in ink.py were chosen on MNIST's validation images, drawn with many pens and
photographed, and on half of the typefaces: see bench/real_world.py.
"""

import math
import os
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flatdense_client._errors import InvalidInput
from flatdense_client._images.ink import FAINTEST_INK, blank, border, find_ink
from flatdense_client._images.kinds import ImageLike
from flatdense_client._images.pictures import Grey, Picture, read_picture, resize, shrink
from flatdense_client._images.pixels import SIDE_PIXELS
from flatdense_client._images.prepared import PreparedImage

_WORKING_PIXELS = 128
"""The longest side at which ink is looked for: averaging quiets the grain of paper and sensor."""

_MARGIN = 0.25
"""How far around the digit is looked at again from near, as a part of its longest side."""

_SPECK_CELLS = 32
"""Into how many cells the longest side is cut to tell the digit from specks."""

_SPECK_PART = 0.125
"""How much of a cell a speck fills at most."""

_FINE = 4
"""How many pixels of the fine grid, on which the digit is laid out, are one of the 28."""

_DIGIT_PIXELS = 20
"""The longest side of the digit inside the 28x28, as in MNIST."""

_CENTRE = 14.5
"""Where MNIST's images have their centre of mass: in the middle of the pixel 14."""

_PEN_PIXELS = 2.5
"""The least thickness of the strokes: MNIST's are seldom thinner."""

_MIDDLE_GREY = 128

Box = tuple[int, int, int, int]
"""Left, top, right and bottom, the latter two exclusive."""


def prepare_image(source: ImageLike) -> PreparedImage:
    """Brings a photo or drawing of one digit to the form of MNIST's images.

    A picture that is 28x28 already, on a dark ground, is left as it is. Any other is turned upright
    and grey (over white where it is transparent), freed of its ground whether light or dark and
    even if unevenly lit, cropped to the ink, thickened where the pen was thin, scaled by area
    averaging so that the longest side is 20 pixels, and placed with its centre of mass on the pixel
    (14, 14) of 28x28. The result says what was done.

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
            thickened=0.0,
            scale=1.0,
            shift=(0.0, 0.0),
        )
    found = _find_digit(picture.grey)
    digit, grown = _fit(found.ink)
    x, y = _place(digit)
    left, top, right, bottom = found.box
    fine = max(digit.shape) / _FINE
    longest = max(right - left, bottom - top)
    thickened = longest * grown / (max(digit.shape) - grown)
    return PreparedImage(
        pixels=_freeze(_paste(digit, x, y)),
        source_size=(width, height),
        source_mode=picture.mode,
        is_turned=picture.is_turned,
        as_is=False,
        is_inverted=found.is_dark,
        crop_box=found.box,
        thickened=thickened,
        scale=fine / (longest + thickened),
        shift=(
            (x + digit.shape[1] / 2) / _FINE - SIDE_PIXELS / 2,
            (y + digit.shape[0] / 2) / _FINE - SIDE_PIXELS / 2,
        ),
    )


def _is_mnist(grey: Grey) -> bool:
    """Whether this is in MNIST's form already. Raises InvalidInput: if so, but it is blank."""
    if grey.shape != (SIDE_PIXELS, SIDE_PIXELS) or np.median(border(grey)) >= _MIDDLE_GREY:
        return False
    if np.ptp(grey) < FAINTEST_INK:
        raise blank()
    return True


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Digit:
    ink: Grey
    is_dark: bool
    box: Box
    """Where it is in the picture."""


def _find_digit(grey: Grey) -> _Digit:
    """Looks at the whole picture, and again from near at what stood out there."""
    far = _look(grey, (0, 0, grey.shape[1], grey.shape[0]))
    left, top, right, bottom = far.box
    margin = math.ceil(_MARGIN * max(right - left, bottom - top))
    near = (
        max(0, left - margin),
        max(0, top - margin),
        min(grey.shape[1], right + margin),
        min(grey.shape[0], bottom + margin),
    )
    return _look(grey, near, is_dark=far.is_dark)


def _look(grey: Grey, box: Box, *, is_dark: bool | None = None) -> _Digit:
    """Finds the digit in a part of the picture."""
    part = grey[box[1] : box[3], box[0] : box[2]]
    ink, is_dark = find_ink(shrink(part, _WORKING_PIXELS), is_dark=is_dark)
    left, top, right, bottom = _bound_digit(ink)
    # The ink was looked for in a smaller picture.
    x_ratio, y_ratio = part.shape[1] / ink.shape[1], part.shape[0] / ink.shape[0]
    return _Digit(
        ink=ink[top:bottom, left:right],
        is_dark=is_dark,
        box=(
            box[0] + math.floor(left * x_ratio),
            box[1] + math.floor(top * y_ratio),
            min(box[2], box[0] + math.ceil(right * x_ratio)),
            min(box[3], box[1] + math.ceil(bottom * y_ratio)),
        ),
    )


def _bound_digit(ink: Grey) -> Box:
    """Where the digit is: specks of dust and grain lie outside."""
    inked = (ink > 0).astype(np.float32)
    coarse = shrink(inked, _SPECK_CELLS)
    cell = max(ink.shape) / max(coarse.shape)
    left, top, right, bottom = _bounds(coarse >= min(_SPECK_PART, coarse.max()))
    x, y = (max(0, math.floor((start - 1) * cell)) for start in (left, top))
    near = inked[y : math.ceil((bottom + 1) * cell), x : math.ceil((right + 1) * cell)]
    left, top, right, bottom = _bounds(near > 0)
    return x + left, y + top, x + right, y + bottom


def _bounds(mask: npt.NDArray[np.bool_]) -> Box:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _fit(ink: Grey) -> tuple[Grey, int]:
    """Scales to the fine grid, and thickens thin strokes; also tells by how many of its pixels."""
    longest = _DIGIT_PIXELS * _FINE
    pen = _PEN_PIXELS * _FINE
    digit = _scale(ink, longest)
    thickness = _thickness(digit)
    # What is thickened grows, and has to be smaller before.
    reach = round(max(0.0, (pen - thickness) / (1 - thickness / longest)) / 2)
    if reach:
        digit = _thicken(_scale(ink, longest - 2 * reach), reach)
    return digit * np.float32(255 / digit.max()), 2 * reach


def _scale(ink: Grey, longest: int) -> Grey:
    scale = longest / max(ink.shape)
    height, width = (max(1, round(side * scale)) for side in ink.shape)
    return resize(ink, width, height, "BOX" if scale < 1 else "BILINEAR")


def _thickness(ink: Grey) -> float:
    """How wide strokes are: a stroke's outline is twice as long as it is, and its area the rest."""
    padded = np.pad(ink, 1)
    down = padded[1:, :-1] - padded[:-1, :-1]
    right = padded[:-1, 1:] - padded[:-1, :-1]
    return float(2 * ink.sum() / np.hypot(down, right).sum())


def _thicken(ink: Grey, reach: int) -> Grey:
    """Each pixel becomes as inked as the most inked one within reach: nearly a circle around it."""
    ink = np.pad(ink, reach)
    for step in range(reach):
        up, down, left, right = (np.roll(ink, by, axis) for axis in (0, 1) for by in (-1, 1))
        around = np.maximum(np.maximum(up, down), np.maximum(left, right))
        # Diamond and square in turn: an octagon.
        if step % 2:
            diagonal = np.maximum(np.maximum(left, right), ink)
            around = np.maximum(np.roll(diagonal, -1, 0), np.roll(diagonal, 1, 0))
            around = np.maximum(around, diagonal)
        ink = np.maximum(ink, around)
    return ink


def _place(digit: Grey) -> tuple[int, int]:
    """Where its left and top go, so that its centre of mass is on MNIST's, as far as it fits."""
    corner = []
    for axis, side in enumerate(digit.shape):
        mass = digit.sum(axis=1 - axis)
        centre = float((np.arange(side) + 0.5) @ mass / mass.sum())
        start = round(_CENTRE * _FINE - centre)
        corner.append(min(max(start, 0), SIDE_PIXELS * _FINE - side))
    y, x = corner
    return x, y


def _paste(digit: Grey, x: int, y: int) -> Grey:
    """The 28x28: each pixel is the mean of those of the fine grid."""
    height, width = digit.shape
    fine = np.zeros((SIDE_PIXELS * _FINE, SIDE_PIXELS * _FINE), np.float32)
    fine[y : y + height, x : x + width] = digit
    blocks = fine.reshape(SIDE_PIXELS, _FINE, SIDE_PIXELS, _FINE)
    return np.asarray(blocks.mean(axis=(1, 3)))


def _freeze(grey: Grey) -> npt.NDArray[np.uint8]:
    pixels = grey.round().astype(np.uint8)
    pixels.flags.writeable = False
    return pixels
