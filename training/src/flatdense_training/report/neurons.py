"""The hidden layer's weights as a picture: what each neuron looks for."""

import io
import math

import numpy as np
import numpy.typing as npt
from PIL import Image

from flatdense_training.data.idx import UInt8
from flatdense_training.data.pixels import SIDE

Float32 = npt.NDArray[np.float32]

MOST_TILES = 1024
"""The first neurons of a wider layer: more could not be told apart."""

LEVELS = 63
"""On either side of 0: finer ones could not be seen, and would make the file larger."""

SATURATED = 0.999
"""This share of the weights lies within the scale. A few far ones would leave the others pale."""

NEGATIVE, ZERO, POSITIVE = (33, 102, 172), (255, 255, 255), (178, 24, 43)
"""RGB. People who are blind to red and green tell this blue from this red."""


def draw_neurons(kernel: Float32) -> bytes:
    """PNG of weights [784, units]: a square mosaic, row by row, with a tile of 28x28 for each.

    One pixel is one weight: blue is negative, white is 0, red is positive, by one scale for the
    whole mosaic. Tiles that are left over are white.
    """
    reach = float(np.quantile(np.abs(kernel), SATURATED)) or 1.0
    steps = np.rint(np.clip(lay_out(kernel) / reach, -1, 1) * LEVELS) + LEVELS
    image = Image.fromarray(steps.astype(np.uint8))
    image.putpalette(palette().tobytes())
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()


def lay_out(kernel: Float32) -> Float32:
    """Weights [784, units] as a mosaic [28 x rows, 28 x columns], with 0 where no neuron is."""
    tiles = kernel.T[:MOST_TILES].reshape(-1, SIDE, SIDE)
    columns = math.ceil(math.sqrt(len(tiles)))
    rows = math.ceil(len(tiles) / columns)
    mosaic = np.zeros((rows * columns, SIDE, SIDE), np.float32)
    mosaic[: len(tiles)] = tiles
    squares = mosaic.reshape(rows, columns, SIDE, SIDE)
    return squares.transpose(0, 2, 1, 3).reshape(rows * SIDE, columns * SIDE)


def palette() -> UInt8:
    """RGB [2 x LEVELS + 1, 3], from the most negative to the most positive."""
    places = np.linspace(-1, 1, 2 * LEVELS + 1)
    channels = [
        np.interp(places, (-1, 0, 1), ends) for ends in zip(NEGATIVE, ZERO, POSITIVE, strict=True)
    ]
    return np.rint(np.stack(channels, axis=1)).astype(np.uint8)
