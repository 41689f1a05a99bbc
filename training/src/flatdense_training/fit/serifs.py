"""Serifs: the short strokes that print, and many a hand, adds to a digit's upper and lower end."""

import cv2
import numpy as np
import numpy.typing as npt

from flatdense_training.data.idx import UInt8
from flatdense_training.data.pixels import FULL, SIDE

INK = 100
"""From which value a pixel is of a stroke, and not of its blurred edge."""

FOOT_PX = (1.0, 6.0)
"""How far a foot reaches to either side, from the least to the most."""

FLAG_PX = (2.0, 5.0)
"""How long a flag is."""

FLAG_DEG = (10.0, 60.0)
"""How steeply it falls. A level one would make a 7 of a 1."""

THICKNESS_PX = (1, 3)
"""Of both, from the least to the most."""

Rows = npt.NDArray[np.int64]

Points = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]
"""x and y of each."""

_FRACTION_BITS = 4
_FRACTIONS = 1 << _FRACTION_BITS
"""Of a pixel, between which OpenCV draws."""


def add_serifs(images: UInt8, part: float, random: np.random.Generator) -> UInt8:
    """Images [N, 28, 28], of which about a `part` stand on a foot, and a `part` have a flag.

    A foot is level, across the lowest ink; a flag falls to the left from the highest. MNIST has few
    of either, and print many: without them a 1 with a flag is taken for a 7. The images are only
    read; one without ink stays as it is.
    """
    if not part:
        return images
    drawn = images.copy()
    has_ink = images.max(axis=(1, 2)) >= INK
    has_foot, has_flag = (random.random((2, len(images))) < part) & has_ink
    _draw_feet(drawn, np.flatnonzero(has_foot), random)
    _draw_flags(drawn, np.flatnonzero(has_flag), random)
    return drawn


def _draw_feet(images: UInt8, rows: Rows, random: np.random.Generator) -> None:
    thickness = random.integers(*THICKNESS_PX, len(rows), endpoint=True)
    left, right = random.uniform(*FOOT_PX, (2, len(rows)))
    x, y = _find_ends(images[rows], is_upper=False)
    y = y - (thickness - 1) / 2
    _draw_lines(images, rows, (x - left, y), (x + right, y), thickness)


def _draw_flags(images: UInt8, rows: Rows, random: np.random.Generator) -> None:
    thickness = random.integers(*THICKNESS_PX, len(rows), endpoint=True)
    length = random.uniform(*FLAG_PX, len(rows))
    fall = np.radians(random.uniform(*FLAG_DEG, len(rows)))
    x, y = _find_ends(images[rows], is_upper=True)
    y = y + (thickness - 1) / 2
    end = x - length * np.cos(fall), y + length * np.sin(fall)
    _draw_lines(images, rows, (x, y), end, thickness)


def _find_ends(images: UInt8, *, is_upper: bool) -> Points:
    """Of images that have ink: the middle of the highest of it, or the lowest."""
    ink = images >= INK
    lines = np.asarray(ink.any(axis=2))
    y = lines.argmax(axis=1) if is_upper else SIDE - 1 - lines[:, ::-1].argmax(axis=1)
    line = ink[np.arange(len(images)), y]
    return line @ np.arange(SIDE) / line.sum(axis=1), y.astype(float)


def _draw_lines(images: UInt8, rows: Rows, start: Points, end: Points, thickness: Rows) -> None:
    ends = np.rint(np.multiply((start, end), _FRACTIONS)).astype(int)
    lines = zip(*(points.T.tolist() for points in ends), strict=True)
    for row, (first, last), pixels in zip(rows.tolist(), lines, thickness.tolist(), strict=True):
        cv2.line(images[row], first, last, FULL, pixels, cv2.LINE_AA, _FRACTION_BITS)
