"""Serifs: the short strokes that print, and many a hand, adds to a digit's upper and lower end."""

from collections.abc import Iterator
from math import cos, radians, sin

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
    for row, end in _find_ends(drawn, has_foot, is_upper=False):
        _draw_foot(drawn[row], *end, random)
    for row, end in _find_ends(drawn, has_flag, is_upper=True):
        _draw_flag(drawn[row], *end, random)
    return drawn


def _find_ends(
    images: UInt8, which: npt.NDArray[np.bool_], *, is_upper: bool
) -> Iterator[tuple[int, tuple[float, float]]]:
    """Of `which` images, each with ink: its row, and x and y of the middle of the highest ink.

    Of the lowest, unless `is_upper`.
    """
    rows = np.flatnonzero(which)
    ink = images[rows] >= INK
    lines = np.asarray(ink.any(axis=2))
    y = lines.argmax(axis=1) if is_upper else SIDE - 1 - lines[:, ::-1].argmax(axis=1)
    line = ink[np.arange(len(rows)), y]
    x = line @ np.arange(SIDE) / line.sum(axis=1)
    ends = zip(x.tolist(), y.tolist(), strict=True)
    return zip(rows.tolist(), ends, strict=True)


def _draw_foot(image: UInt8, x: float, y: float, random: np.random.Generator) -> None:
    thickness = int(random.integers(*THICKNESS_PX, endpoint=True))
    left, right = random.uniform(*FOOT_PX, 2)
    y -= (thickness - 1) / 2
    _draw_line(image, (x - left, y), (x + right, y), thickness)


def _draw_flag(image: UInt8, x: float, y: float, random: np.random.Generator) -> None:
    thickness = int(random.integers(*THICKNESS_PX, endpoint=True))
    length, fall = random.uniform(*FLAG_PX), radians(random.uniform(*FLAG_DEG))
    y += (thickness - 1) / 2
    end = x - length * cos(fall), y + length * sin(fall)
    _draw_line(image, (x, y), end, thickness)


def _draw_line(
    image: UInt8, start: tuple[float, float], end: tuple[float, float], thickness: int
) -> None:
    first = round(start[0] * _FRACTIONS), round(start[1] * _FRACTIONS)
    last = round(end[0] * _FRACTIONS), round(end[1] * _FRACTIONS)
    cv2.line(image, first, last, FULL, thickness, cv2.LINE_AA, _FRACTION_BITS)
