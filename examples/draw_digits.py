"""Draws the example pictures beside this file: strokes of a pen, from no dataset.

    python examples/draw_digits.py

seven.png              28x28, light ink on a dark ground, as the model was trained on
photo_of_a_three.png   200x200, dark ink on paper in uneven light, as a telephone sees it
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

FOLDER = Path(__file__).parent
OVERSAMPLING = 8

# Points of the pen's way, as fractions of the picture: x to the right, y down.
SEVEN = [
    [(0.27, 0.26), (0.42, 0.25), (0.58, 0.25), (0.71, 0.23), (0.66, 0.36)],
    [(0.66, 0.36), (0.58, 0.50), (0.51, 0.64), (0.46, 0.80)],
]
THREE = [
    [(0.32, 0.27), (0.42, 0.20), (0.55, 0.19), (0.64, 0.27), (0.62, 0.38), (0.45, 0.47)],
    [(0.45, 0.47), (0.62, 0.51), (0.68, 0.63), (0.62, 0.76), (0.46, 0.81), (0.31, 0.74)],
]


def draw(strokes: list[list[tuple[float, float]]], side: int, pen: float) -> Image.Image:
    """The strokes in white on black; `pen` is the pen's width as a fraction of the side."""
    big = side * OVERSAMPLING
    image = Image.new("L", (big, big))
    pencil = ImageDraw.Draw(image)
    for stroke in strokes:
        for x, y in smooth(stroke):
            box = [
                big * (x - pen / 2),
                big * (y - pen / 2),
                big * (x + pen / 2),
                big * (y + pen / 2),
            ]
            pencil.ellipse(box, fill=255)
    return image.resize((side, side), Image.Resampling.BOX)


def smooth(stroke: list[tuple[float, float]]) -> np.ndarray:
    """Many points of a curve through the stroke's points: a polynomial in the way along it."""
    points = np.array(stroke)
    along = np.linspace(0, 1, len(points))
    fine = np.linspace(0, 1, 400)
    degree = len(points) - 1
    return np.stack(
        [np.polyval(np.polyfit(along, axis, degree), fine) for axis in points.T], axis=1
    )


def photograph(ink: Image.Image, seed: int) -> Image.Image:
    """Dark ink on light paper, with a shadow from one corner and the grain of a sensor."""
    side = ink.width
    y, x = np.mgrid[0:side, 0:side] / side
    paper = 235 - 70 * x * y - 25 * (1 - x)
    grain = np.random.default_rng(seed).normal(0, 4, (side, side))
    shade = np.asarray(ink) / 255
    photo = paper * (1 - 0.72 * shade) + grain
    return Image.fromarray(photo.clip(0, 255).astype(np.uint8))


if __name__ == "__main__":
    draw(SEVEN, 28, pen=0.085).save(FOLDER / "seven.png")
    photograph(draw(THREE, 200, pen=0.06), seed=3).save(FOLDER / "photo_of_a_three.png")
