"""Inputs whose right outputs travel with the model: an engine proves itself before it serves."""

import numpy as np

from flatdense_training.data.datasets import EMBEDDED_IMAGES, EMBEDDED_LABELS
from flatdense_training.data.digits import read_embedded, to_mnist_form
from flatdense_training.data.idx import UInt8
from flatdense_training.data.pixels import FULL, SIDE

SEED = 20_110_514
"""Of the patterns. They are the same in every export."""

INK_SHARE = 0.1
"""Of one pattern's pixels: about as much as a digit has."""


def golden_images() -> UInt8:
    """uint8 [16, 784]: the first embedded digit of each class, and six patterns.

    No image of a dataset is among them.
    """
    images = np.concatenate([digits(), patterns()])
    return images.reshape(len(images), -1)


def digits() -> UInt8:
    """uint8 [10, 28, 28]: one embedded digit of each class, which is what the model is for."""
    arrays = read_embedded()
    _, first = np.unique(arrays[EMBEDDED_LABELS], return_index=True)
    return to_mnist_form(arrays[EMBEDDED_IMAGES][first])


def patterns() -> UInt8:
    """uint8 [6, 28, 28]: the extremes of the input, and images that reach every weight."""
    noise = np.random.default_rng(SEED)
    ramp = np.linspace(0, FULL, SIDE).round().astype(np.uint8)
    ground = np.zeros((SIDE, SIDE), np.uint8)
    return np.stack(
        [
            ground,
            ground + FULL,
            np.tile(ramp, (SIDE, 1)),
            (np.indices((SIDE, SIDE)).sum(axis=0) % 2 * FULL).astype(np.uint8),
            noise.integers(0, FULL, (SIDE, SIDE), np.uint8, endpoint=True),
            (noise.random((SIDE, SIDE)) < INK_SHARE).astype(np.uint8) * FULL,
        ]
    )
