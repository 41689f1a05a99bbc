"""The 1,797 handwritten digits of 8x8 embedded in scikit-learn, and their way to MNIST's form."""

from collections.abc import Mapping

import numpy as np
import sklearn.datasets
from PIL import Image

from flatdense_training.data.checksums import verify_arrays
from flatdense_training.data.datasets import DIGITS, EMBEDDED_IMAGES, EMBEDDED_LABELS
from flatdense_training.data.idx import UInt8
from flatdense_training.data.pixels import FULL, SIDE

FULL_INK = 16
"""The embedded images count ink from 0 to 16."""
BOX = 20
"""MNIST scaled each digit, its proportions kept, to fit a box of this side in the 28x28 field."""


def read_embedded() -> Mapping[str, UInt8]:
    """The images, uint8 [1797, 8, 8] with 0..16, and their labels, as IDX arrays.

    Raises DataDamaged where this scikit-learn carries other ones.
    """
    bundle = sklearn.datasets.load_digits()
    arrays = {
        EMBEDDED_IMAGES: bundle.images.astype(np.uint8),
        EMBEDDED_LABELS: bundle.target.astype(np.uint8),
    }
    verify_arrays(DIGITS, arrays, where=dict.fromkeys(arrays, "the installed scikit-learn"))
    return arrays


def to_mnist_form(images: UInt8) -> UInt8:
    """Embedded images as MNIST would show them: uint8 [N, 28, 28], 0 is ground and 255 full ink.

    Each digit is cut out, scaled with antialiasing to fit the 20x20 box, and moved by whole pixels
    until its centre of mass lies at the centre of the field. Every image must have ink.
    """
    return np.stack([place(scale(cut(image))) for image in images])


def cut(image: UInt8) -> UInt8:
    """The smallest rectangle that holds all the ink."""
    rows, columns = (np.flatnonzero(image.any(axis=axis)) for axis in (1, 0))
    return image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def scale(digit: UInt8) -> UInt8:
    """The digit with its longer side at 20 pixels and its ink at 0..255."""
    ink = np.rint(digit * (FULL / FULL_INK)).astype(np.uint8)
    height, width = (max(1, round(side * BOX / max(digit.shape))) for side in digit.shape)
    return np.asarray(Image.fromarray(ink).resize((width, height), Image.Resampling.BICUBIC))


def place(digit: UInt8) -> UInt8:
    """A 28x28 field with the digit's centre of mass at its centre, as near as the edges allow."""
    field = np.zeros((SIDE, SIDE), np.uint8)
    mass = digit.sum()
    corner = []
    for axis, side in enumerate(digit.shape):
        centre = digit.sum(axis=1 - axis) @ (np.arange(side) + 0.5) / mass
        corner.append(min(max(round(SIDE / 2 - centre), 0), SIDE - side))
    top, left = corner
    height, width = digit.shape
    field[top : top + height, left : left + width] = digit
    return field
