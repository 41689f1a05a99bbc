"""Images that a network of unknown origin is tried with."""

import numpy as np
import numpy.typing as npt

from flatdense_server.tensors import IMAGE_SHAPE, PIXELS

SEED = 28_028

FULL_INK = 255
"""Of a uint8 pixel."""

NOISE_SHARES = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.8)
"""Of the pixels that have ink; a handwritten digit has about 0.2."""

STRIPE_WIDTHS = (1, 2, 4, 7)
BLOB_COUNT = 14


def probe_images() -> npt.NDArray[np.uint8]:
    """uint8 [32, 784], always the same: blank, full, grey noise, stripes, and blobs of ink.

    No image of a dataset is among them.
    """
    random = np.random.default_rng(SEED)
    rows, columns = np.indices(IMAGE_SHAPE)
    blank = np.zeros(IMAGE_SHAPE)
    noise = [
        random.random(IMAGE_SHAPE) * (random.random(IMAGE_SHAPE) < share) for share in NOISE_SHARES
    ]
    stripes = [along // width % 2 for width in STRIPE_WIDTHS for along in (rows, columns)]
    blobs = [
        np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * radius**2))
        for row, column, radius in random.uniform((4, 4, 2), (24, 24, 7), (BLOB_COUNT, 3))
    ]
    shades = np.stack([blank, blank + 1, *noise, *stripes, *blobs])
    return (shades * FULL_INK).round().astype(np.uint8).reshape(-1, PIXELS)
