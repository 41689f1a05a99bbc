"""Digits as people write them: strokes of a pen, in several sizes, places, slants and styles."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

Point: TypeAlias = tuple[float, float]
Stroke: TypeAlias = tuple[Point, ...]

STYLES: dict[int, tuple[tuple[Stroke, ...], ...]] = {
    0: (
        (
            (
                (0.5, 0.0),
                (0.2, 0.1),
                (0.05, 0.4),
                (0.1, 0.8),
                (0.4, 1.0),
                (0.75, 0.9),
                (0.9, 0.5),
                (0.8, 0.1),
                (0.5, 0.0),
            ),
        ),
        (
            (
                (0.55, 0.02),
                (0.25, 0.15),
                (0.15, 0.55),
                (0.3, 0.95),
                (0.6, 0.98),
                (0.85, 0.65),
                (0.8, 0.2),
                (0.6, 0.02),
                (0.45, 0.06),
            ),
        ),
    ),
    1: (
        (((0.5, 0.0), (0.5, 0.5), (0.5, 1.0)),),
        (((0.25, 0.25), (0.5, 0.0), (0.5, 0.5), (0.5, 1.0)),),
    ),
    2: (
        (
            (
                (0.1, 0.25),
                (0.3, 0.03),
                (0.65, 0.02),
                (0.82, 0.25),
                (0.65, 0.55),
                (0.35, 0.8),
                (0.08, 1.0),
            ),
            ((0.08, 1.0), (0.5, 0.99), (0.95, 1.0)),
        ),
        (
            (
                (0.12, 0.2),
                (0.45, 0.0),
                (0.8, 0.15),
                (0.75, 0.45),
                (0.4, 0.75),
                (0.1, 0.98),
                (0.5, 0.97),
                (0.92, 0.98),
            ),
        ),
    ),
    3: (
        (
            ((0.15, 0.12), (0.45, 0.0), (0.75, 0.15), (0.7, 0.38), (0.4, 0.47)),
            ((0.4, 0.47), (0.75, 0.55), (0.82, 0.8), (0.5, 1.0), (0.12, 0.88)),
        ),
        (
            (
                (0.12, 0.1),
                (0.5, 0.0),
                (0.8, 0.2),
                (0.65, 0.42),
                (0.38, 0.48),
                (0.72, 0.56),
                (0.85, 0.78),
                (0.55, 1.0),
                (0.1, 0.92),
            ),
        ),
    ),
    4: (
        (
            ((0.3, 0.0), (0.2, 0.3), (0.1, 0.55), (0.5, 0.56), (0.9, 0.54)),
            ((0.7, 0.05), (0.68, 0.5), (0.66, 1.0)),
        ),
        (
            ((0.2, 0.02), (0.16, 0.3), (0.2, 0.52), (0.5, 0.54), (0.8, 0.5)),
            ((0.82, 0.0), (0.8, 0.5), (0.76, 1.0)),
        ),
    ),
    5: (
        (
            ((0.8, 0.02), (0.5, 0.02), (0.25, 0.03)),
            ((0.25, 0.03), (0.22, 0.22), (0.2, 0.44)),
            ((0.2, 0.44), (0.55, 0.38), (0.82, 0.6), (0.7, 0.9), (0.35, 1.0), (0.1, 0.9)),
        ),
        (
            (
                (0.85, 0.0),
                (0.55, 0.02),
                (0.3, 0.02),
                (0.26, 0.2),
                (0.22, 0.42),
                (0.5, 0.4),
                (0.78, 0.55),
                (0.8, 0.8),
                (0.5, 1.0),
                (0.12, 0.92),
            ),
        ),
    ),
    6: (
        (
            (
                (0.65, 0.0),
                (0.35, 0.25),
                (0.18, 0.6),
                (0.25, 0.9),
                (0.5, 1.0),
                (0.78, 0.88),
                (0.75, 0.65),
                (0.5, 0.56),
                (0.25, 0.7),
            ),
        ),
        (
            (
                (0.6, 0.0),
                (0.25, 0.35),
                (0.15, 0.7),
                (0.35, 0.98),
                (0.65, 0.95),
                (0.8, 0.75),
                (0.6, 0.55),
                (0.35, 0.62),
                (0.2, 0.8),
            ),
        ),
    ),
    7: (
        (((0.1, 0.05), (0.5, 0.04), (0.9, 0.03)), ((0.9, 0.03), (0.65, 0.45), (0.42, 1.0))),
        (((0.08, 0.04), (0.5, 0.02), (0.88, 0.02)), ((0.88, 0.02), (0.6, 0.5), (0.5, 1.0))),
    ),
    8: (
        (
            (
                (0.7, 0.1),
                (0.4, 0.0),
                (0.2, 0.2),
                (0.45, 0.45),
                (0.78, 0.72),
                (0.6, 0.98),
                (0.3, 0.95),
                (0.2, 0.72),
                (0.5, 0.48),
                (0.78, 0.22),
                (0.7, 0.1),
            ),
        ),
        (
            ((0.5, 0.46), (0.22, 0.3), (0.3, 0.05), (0.65, 0.02), (0.78, 0.25), (0.5, 0.46)),
            ((0.5, 0.46), (0.2, 0.68), (0.3, 0.97), (0.7, 0.97), (0.82, 0.7), (0.5, 0.46)),
        ),
    ),
    9: (
        (
            (
                (0.75, 0.2),
                (0.5, 0.0),
                (0.22, 0.12),
                (0.2, 0.38),
                (0.48, 0.48),
                (0.72, 0.3),
                (0.76, 0.15),
            ),
            ((0.76, 0.15), (0.74, 0.55), (0.68, 1.0)),
        ),
        (
            (
                (0.78, 0.12),
                (0.45, 0.0),
                (0.2, 0.2),
                (0.35, 0.46),
                (0.68, 0.4),
                (0.8, 0.12),
                (0.76, 0.5),
                (0.6, 1.0),
            ),
        ),
    ),
}
"""For each digit two ways to write it: points in a unit box, x to the right and y down."""

SEEDS = 3
"""So many hands write each style."""


@dataclass(frozen=True)
class Handwritten:
    """One drawn digit."""

    label: int
    strokes: tuple[Stroke, ...]
    """In fractions of the pad."""
    pen: int
    """The width, as the page's slider has it."""


def write_digits() -> Iterator[Handwritten]:
    """Sixty of them, the same each time: two styles of each digit by three hands."""
    for label, styles in STYLES.items():
        for style, strokes in enumerate(styles):
            for seed in range(SEEDS):
                yield write(label, strokes, np.random.default_rng([label, style, seed]))


def write(label: int, strokes: tuple[Stroke, ...], hand: np.random.Generator) -> Handwritten:
    """One hand's: its size, its place, its slant, and how far it shakes."""
    height = hand.uniform(0.42, 0.76)
    width = height * hand.uniform(0.6, 0.8)
    slant = hand.uniform(-0.08, 0.18)
    left = hand.uniform(0.12, 0.88 - width)
    top = hand.uniform(0.1, 0.9 - height)

    def place(point: Point) -> Point:
        """Where a point comes to lie."""
        x, y = point
        shake_x, shake_y = hand.normal(0, 0.012, 2)
        return (
            float(np.clip(left + (x + slant * (0.5 - y)) * width + shake_x, 0.06, 0.94)),
            float(np.clip(top + y * height + shake_y, 0.06, 0.94)),
        )

    placed = tuple(curve(tuple(map(place, stroke))) for stroke in strokes)
    return Handwritten(label, placed, pen=int(hand.integers(16, 30)))


def curve(points: Stroke, steps: int = 2) -> Stroke:
    """A smooth line through the points (Catmull and Rom's spline)."""
    ends = np.array([points[0], *points, points[-1]])
    drawn: list[Point] = [points[0]]
    for before, start, stop, after in zip(ends, ends[1:], ends[2:], ends[3:], strict=False):
        for t in np.linspace(0, 1, steps + 1)[1:]:
            x, y = 0.5 * (
                2 * start
                + (stop - before) * t
                + (2 * before - 5 * start + 4 * stop - after) * t**2
                + (3 * start - before - 3 * stop + after) * t**3
            )
            drawn.append((float(x), float(y)))
    return tuple(drawn)
