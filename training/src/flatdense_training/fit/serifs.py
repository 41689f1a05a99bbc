"""Serifs: the short strokes that print, and many a hand, adds to a digit's upper and lower end."""

import cv2
import numpy as np

from flatdense_training.data.idx import UInt8
from flatdense_training.data.pixels import FULL

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

_FRACTION_BITS = 4
"""Of the places that OpenCV draws between."""


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
    for row in np.flatnonzero(has_foot):
        _draw_foot(drawn[row], random)
    for row in np.flatnonzero(has_flag):
        _draw_flag(drawn[row], random)
    return drawn


def _draw_foot(image: UInt8, random: np.random.Generator) -> None:
    thickness = int(random.integers(*THICKNESS_PX, endpoint=True))
    left, right = random.uniform(*FOOT_PX, 2)
    x, y = _find_end(image, -1)
    y -= (thickness - 1) / 2
    _draw_line(image, (x - left, y), (x + right, y), thickness)


def _draw_flag(image: UInt8, random: np.random.Generator) -> None:
    thickness = int(random.integers(*THICKNESS_PX, endpoint=True))
    length, fall = random.uniform(*FLAG_PX), np.deg2rad(random.uniform(*FLAG_DEG))
    x, y = _find_end(image, 0)
    y += (thickness - 1) / 2
    end = x - length * np.cos(fall), y + length * np.sin(fall)
    _draw_line(image, (x, y), end, thickness)


def _find_end(image: UInt8, which: int) -> tuple[float, float]:
    """The middle of the highest ink, 0, or of the lowest, -1."""
    y, x = np.nonzero(image >= INK)
    return float(x[y == y[which]].mean()), float(y[which])


def _draw_line(
    image: UInt8, start: tuple[float, float], end: tuple[float, float], thickness: int
) -> None:
    first, last = ([round(each * 2**_FRACTION_BITS) for each in point] for point in (start, end))
    cv2.line(image, first, last, FULL, thickness, cv2.LINE_AA, _FRACTION_BITS)
