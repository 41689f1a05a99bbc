"""What may happen to an image on its way: moved, turned, noisy, faint, inverted.

Each takes uint8 [N, 28, 28], an amount, and a source of chance, and gives images of the same form.
Where there is a direction, chance gives each image one of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from flatdense_training.data.idx import UInt8
from flatdense_training.data.pixels import FULL

PERCENT = 100

Apply = Callable[[UInt8, float, np.random.Generator], UInt8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbance:
    """One kind of mishap, in growing amounts."""

    name: str
    unit: str
    """Of the amounts."""
    untouched: float
    """The amount that leaves an image as it is."""
    amounts: tuple[float, ...]
    apply: Apply


def shift(images: UInt8, pixels: float, chance: np.random.Generator) -> UInt8:
    """Moves each image up, down, left or right; what leaves the field is lost."""
    moves = [(pixels, 0), (-pixels, 0), (0, pixels), (0, -pixels)]
    directions = chance.integers(len(moves), size=len(images))
    moved = np.empty_like(images)
    for direction, (down, right) in enumerate(moves):
        chosen = directions == direction
        moved[chosen] = ndimage.shift(images[chosen], (0, down, right), order=0)
    return moved


def rotate(images: UInt8, degrees: float, chance: np.random.Generator) -> UInt8:
    """Turns each image about its middle, one way or the other."""
    clockwise = chance.integers(2, size=len(images)).astype(bool)
    turned = np.empty_like(images)
    for chosen, angle in ((clockwise, -degrees), (~clockwise, degrees)):
        turned[chosen] = ndimage.rotate(images[chosen], angle, axes=(2, 1), reshape=False, order=1)
    return turned


def add_noise(images: UInt8, percent: float, chance: np.random.Generator) -> UInt8:
    """Adds Gaussian noise of this standard deviation, in percent of full ink, to each pixel."""
    noise = chance.standard_normal(images.shape, np.float32) * np.float32(percent / PERCENT * FULL)
    return np.clip(np.rint(images + noise), 0, FULL).astype(np.uint8)


def fade(images: UInt8, percent: float, _chance: np.random.Generator) -> UInt8:
    """Leaves this much of the contrast of ink and ground: the ink is fainter, the ground stays."""
    faded: UInt8 = np.rint(images * np.float32(percent / PERCENT)).astype(np.uint8)
    return faded


def invert(images: UInt8, _percent: float, _chance: np.random.Generator) -> UInt8:
    """Swaps ink and ground, altogether."""
    inverted: UInt8 = FULL - images
    return inverted


DISTURBANCES = (
    Disturbance(name="shift", unit="px", untouched=0, amounts=(1, 2, 3, 4), apply=shift),
    Disturbance(
        name="rotation", unit="degrees", untouched=0, amounts=(5, 10, 15, 20, 30, 45), apply=rotate
    ),
    Disturbance(
        name="noise", unit="%", untouched=0, amounts=(5, 10, 20, 30, 40, 50), apply=add_noise
    ),
    Disturbance(name="contrast", unit="%", untouched=100, amounts=(75, 50, 25, 10), apply=fade),
    Disturbance(name="inversion", unit="%", untouched=0, amounts=(100,), apply=invert),
)
