"""What a pixel is: a byte from 0, ground, to 255, full ink; to the network, a float from 0 to 1."""

import numpy as np
import numpy.typing as npt

from flatdense_training.data.idx import UInt8

SIDE = 28
"""Rows and columns of an image."""

FULL = 255

TO_SIZE = (
    f"Bring pictures to {SIDE}x{SIDE} as callers of the model will: "
    "flatdense_client.prepare_image(path).pixels."
)
"""What to tell a user whose pictures have another size."""


def scale(images: UInt8) -> npt.NDArray[np.float32]:
    """The pixels as float32 0..1, by the same division as in the exported graph."""
    return images.astype(np.float32) / np.float32(FULL)
