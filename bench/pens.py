"""Digits of 28x28 drawn anew on a canvas of 280x280, as somebody would with a pen."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.ndimage import distance_transform_edt, label, maximum_filter

CANVAS_PIXELS = 280

Ink = npt.NDArray[np.float32]
"""[280, 280] how much of each pixel is ink: 0 to 1."""

Digit = npt.NDArray[np.uint8]
"""[28, 28] light ink on a dark ground."""

Mask = npt.NDArray[np.bool_]

_GRID_PIXELS = 140
"""The side at which the middle of strokes is found."""

_HALF_INKED = 96
"""What a pixel of 28x28 is at the edge of a stroke: less than half, for hairlines are dim there."""

_SOFT_EDGE = 24

_EDGE = 0.5
"""Which part of the brightest ink nearby the edge of a stroke that is traced has: some are dim."""

_NEARBY = _GRID_PIXELS * 4 // 28
"""The side of the square that is nearby, on the grid."""

_DIMMEST = 64
"""Below which a pixel is of no stroke, however dim the ink nearby is."""

_SPECK = 0.04
"""The greatest part of a digit's ink that is a speck."""

_BLOT = 1.5
"""How many times as thick as the digit's strokes a blot of ink is."""


def draw_outline(digit: Digit) -> Ink:
    """The digit's own shape, filled."""
    enlarged = _resize(digit, CANVAS_PIXELS)
    return ((enlarged - _HALF_INKED) / _SOFT_EDGE + 0.5).clip(0, 1)


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """The way of a pen along the digit's strokes.

    Where they are blotted, as where a loop was filled with ink, it goes around. Specks are left
    out. By what numbers was chosen on MNIST's validation images: where differs() is least.
    """

    away_pixels: Ink
    """How far each pixel of the canvas is from the way."""
    own_width_pixels: float
    """How wide the digit's strokes were, in pixels of the canvas."""

    @classmethod
    def of(cls, digit: Digit) -> Self:
        """Follows the digit."""
        enlarged = _resize(digit, _GRID_PIXELS)
        brightest = maximum_filter(enlarged, _NEARBY)
        shape = _drop_specks(enlarged > np.maximum(_EDGE * brightest, _DIMMEST))
        inside = distance_transform_edt(shape)
        half = float(np.median(inside[thin(shape)]))
        way = thin(shape & (inside < _BLOT * half))
        scale = CANVAS_PIXELS / _GRID_PIXELS
        away = _resize(distance_transform_edt(~way), CANVAS_PIXELS)
        return cls(scale * away, 2 * scale * half)

    def draw(self, width_pixels: float | None = None) -> Ink:
        """By a round pen of a width; else of the digit's own."""
        width = self.own_width_pixels if width_pixels is None else width_pixels
        return np.asarray((width / 2 - self.away_pixels + 0.5).clip(0, 1))

    def differs(self, digit: Digit) -> float:
        """The mean squared difference from the digit when drawn by its own pen; 1 is full ink."""
        side = len(digit)
        drawn = self.draw().reshape(side, CANVAS_PIXELS // side, side, -1).mean(axis=(1, 3))
        return float(np.mean(np.square(drawn - digit / 255)))


def place(ink: Ink, random: np.random.Generator) -> Ink:
    """The same smaller, somewhere on the canvas."""
    side = int(random.integers(CANVAS_PIXELS * 4 // 10, CANVAS_PIXELS + 1))
    x, y = (int(start) for start in random.integers(0, CANVAS_PIXELS - side + 1, 2))
    canvas = np.zeros_like(ink)
    canvas[y : y + side, x : x + side] = _resize(ink, side).clip(0, 1)
    return canvas


def thin(shape: Mask) -> Mask:
    """The middle of strokes, one pixel wide and as connected as they are (Zhang and Suen, 1984)."""
    thinned = np.pad(shape, 1)
    is_changing = True
    while is_changing:
        is_changing = False
        for first, second in (((0, 2, 4), (2, 4, 6)), ((0, 2, 6), (0, 4, 6))):
            ring = _neighbours(thinned)
            count = ring.sum(axis=0)
            turns = (~ring & np.roll(ring, -1, axis=0)).sum(axis=0)
            gone = thinned[1:-1, 1:-1] & (count >= 2) & (count <= 6) & (turns == 1)  # noqa: PLR2004
            gone &= ~ring[list(first)].all(axis=0) & ~ring[list(second)].all(axis=0)
            thinned[1:-1, 1:-1] &= ~gone
            is_changing |= bool(gone.any())
    return thinned[1:-1, 1:-1]


def _neighbours(padded: Mask) -> Mask:
    """[8, H, W] the pixel above each, and on round it clockwise."""
    around = ((0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0), (0, 0))
    height, width = (side - 2 for side in padded.shape)
    return np.stack([padded[y : y + height, x : x + width] for y, x in around])


def _drop_specks(shape: Mask) -> Mask:
    parts, _ = label(shape, structure=np.ones((3, 3)))
    sizes = np.bincount(parts.ravel())
    return shape & (sizes >= _SPECK * shape.sum())[parts]


def _resize(grey: npt.NDArray[np.generic], side: int) -> Ink:
    image = Image.fromarray(np.ascontiguousarray(grey, np.float32))
    return np.asarray(image.resize((side, side), Image.Resampling.BICUBIC))
