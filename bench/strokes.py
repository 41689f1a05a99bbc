"""Digits drawn stroke by stroke, in the shapes that people give them."""

import itertools

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

CANVAS_PIXELS = 280

Point = tuple[float, float]

Stroke = tuple[Point, ...]
"""What a pen goes through smoothly, in a square of 1: x to the right, y down."""

_BOWL: Stroke = ((0.15, 0.45), (0.5, 0.36), (0.88, 0.6), (0.75, 0.92), (0.4, 1), (0.08, 0.88))
_LOOP: Stroke = ((0.85, 0.25), (0.5, 0.52), (0.15, 0.28), (0.5, 0), (0.85, 0.25))
_ARCH: Stroke = ((0.1, 0.25), (0.3, 0.02), (0.7, 0.02), (0.88, 0.28), (0.6, 0.6))

SHAPES: dict[str, tuple[int, tuple[Stroke, ...]]] = {
    "0": (
        0,
        (((0.5, 0), (0.1, 0.25), (0.1, 0.75), (0.5, 1), (0.9, 0.75), (0.9, 0.25), (0.5, 0)),),
    ),
    "1, a bar": (1, (((0.5, 0), (0.5, 1)),)),
    "1 with a flag": (1, (((0.32, 0.2), (0.5, 0)), ((0.5, 0), (0.5, 1)))),
    "1 with flag and foot": (
        1,
        (((0.3, 0.2), (0.5, 0)), ((0.5, 0), (0.5, 1)), ((0.25, 1), (0.75, 1))),
    ),
    "2 with a corner": (2, ((*_ARCH, (0.1, 1)), ((0.1, 1), (0.9, 1)))),
    "2 with a loop": (
        2,
        ((*_ARCH, (0.2, 0.97), (0.08, 0.88), (0.25, 0.8), (0.55, 0.95), (0.9, 0.98)),),
    ),
    "3, round": (
        3,
        (
            ((0.12, 0.12), (0.45, 0), (0.82, 0.2), (0.7, 0.43), (0.4, 0.48)),
            ((0.4, 0.48), (0.8, 0.55), (0.88, 0.8), (0.5, 1), (0.1, 0.87)),
        ),
    ),
    "3 with a flat top": (
        3,
        (
            ((0.1, 0), (0.85, 0)),
            ((0.85, 0), (0.45, 0.42)),
            ((0.45, 0.42), (0.85, 0.55), (0.88, 0.82), (0.5, 1), (0.1, 0.88)),
        ),
    ),
    "4, open": (
        4,
        (((0.15, 0), (0.08, 0.6)), ((0.08, 0.6), (0.95, 0.6)), ((0.75, 0.05), (0.7, 1))),
    ),
    "4, closed": (
        4,
        (((0.65, 0), (0.05, 0.68)), ((0.05, 0.68), (0.95, 0.68)), ((0.65, 0), (0.65, 1))),
    ),
    "5": (5, (((0.85, 0), (0.2, 0)), ((0.2, 0), (0.15, 0.45)), _BOWL)),
    "6": (
        6,
        (
            (
                *((0.75, 0), (0.3, 0.3), (0.1, 0.7), (0.4, 1), (0.8, 0.85), (0.75, 0.6)),
                *((0.45, 0.52), (0.13, 0.72)),
            ),
        ),
    ),
    "7": (7, (((0.05, 0), (0.9, 0)), ((0.9, 0), (0.35, 1)))),
    "7 with a bar": (
        7,
        (((0.05, 0), (0.9, 0)), ((0.9, 0), (0.35, 1)), ((0.35, 0.5), (0.9, 0.5))),
    ),
    "8": (
        8,
        (
            (
                *((0.5, 0.48), (0.2, 0.25), (0.5, 0), (0.8, 0.25), (0.5, 0.48)),
                *((0.12, 0.75), (0.5, 1), (0.88, 0.75), (0.5, 0.48)),
            ),
        ),
    ),
    "9 with a straight tail": (9, (_LOOP, ((0.85, 0.15), (0.8, 1)))),
    "9 with a curled tail": (9, (_LOOP, ((0.85, 0.2), (0.82, 0.75), (0.5, 1), (0.15, 0.9)))),
}
"""Each shape, the digit that it is, and its strokes."""

_OVERSAMPLING = 2

_STEPS = 12
"""How many straight lines are between two points of a stroke."""

Ink = npt.NDArray[np.float32]
"""[280, 280] how much of each pixel is ink: 0 to 1."""


def draw_shape(shape: str, random: np.random.Generator) -> Ink:
    """A shape in any size and pen, anywhere, slanted and uncertain as hands are."""
    height = random.uniform(60, 240)
    width = height * random.uniform(0.45, 0.8)
    pen = height * random.uniform(0.02, 0.14)
    slant, turn = random.uniform(-0.1, 0.25), random.uniform(-0.1, 0.1)
    room = max(0.0, (CANVAS_PIXELS - height - pen) / 2)
    middle = CANVAS_PIXELS / 2 + random.uniform(-room, room, 2)
    upright = np.array([[width, -slant * height], [0, height]])
    turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ upright
    side = CANVAS_PIXELS * _OVERSAMPLING
    image = Image.new("L", (side, side))
    draw = ImageDraw.Draw(image)
    unsteady = {point: random.normal(0, 0.02, 2) for point in _points(shape)}
    for stroke in SHAPES[shape][1]:
        points = np.array([np.array(point) - 0.5 + unsteady[point] for point in stroke])
        path = (_smooth(points) @ turned.T + middle) * _OVERSAMPLING
        _draw(draw, path, pen * _OVERSAMPLING)
    return np.asarray(image.reduce(_OVERSAMPLING), np.float32) / 255


def _points(shape: str) -> list[Point]:
    return sorted(set(itertools.chain(*SHAPES[shape][1])))


def _smooth(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """A curve through the points (Catmull and Rom)."""
    padded = np.concatenate([points[:1], points, points[-1:]])
    t = np.linspace(0, 1, _STEPS)[:, None]
    parts = [
        b
        + t * (c - a) / 2
        + t**2 * (2 * a - 5 * b + 4 * c - d) / 2
        + t**3 * (3 * b - 3 * c + d - a) / 2
        for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False)
    ]
    return np.concatenate(parts)


def _draw(draw: ImageDraw.ImageDraw, path: npt.NDArray[np.float64], pen: float) -> None:
    draw.line([(x, y) for x, y in path.tolist()], fill=255, width=max(1, round(pen)))
    for x, y in path.tolist():
        radius = pen / 2
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
