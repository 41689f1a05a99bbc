"""Distortions that leave a digit the same digit: what a network should learn not to mind."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from math import sqrt

import cv2
import numpy as np
import numpy.typing as npt

from flatdense_training.data.idx import UInt8
from flatdense_training.data.pixels import SIDE
from flatdense_training.fit.serifs import add_serifs

CHUNK_ROWS = 256
"""Whose fields stay in a processor's cache."""

GRID_PX = 3
"""Between the bumps that an elastic field is made of; sigma is wider, so none can be seen."""

Maps = npt.NDArray[np.float32]
"""[2, N, 28, 28]: for each pixel the x and the y that it is taken from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Distortion:
    """How far images are distorted: each by its own draw, evenly between both extremes.

    Rotation, scale and shear are about the middle. The elastic part is a smooth random field
    (Simard, Steinkraus and Platt 2003).
    """

    rotation_deg: float = 9.0
    x_scale: float = 0.20
    """The width is multiplied by exp(-x_scale) to exp(x_scale): print is narrow and wide."""
    y_scale: float = 0.10
    """The same of the height."""
    shear: float = 0.12
    """How far a row moves, for each row from the middle."""
    shift_px: float = 1.0
    """Of each axis by itself."""
    elastic_px: float = 1.0
    """The most of a field's root mean square, which is drawn evenly from 0."""
    elastic_sigma_px: float = 4.0
    """How smooth a field is: the sigma of the bumps that it is made of."""
    serif_part: float = 0.12
    """How many of the images get a foot, and how many a flag (add_serifs)."""

    def apply(self, images: UInt8, random: np.random.Generator) -> UInt8:
        """The images [N, 28, 28], each distorted in its own way. Pixels of outside are 0.

        Bilinear, by OpenCV: no other library does it as fast at this size (bench/training.py).
        """
        distorted = np.empty_like(images)
        for start in range(0, len(images), CHUNK_ROWS):
            chunk = slice(start, start + CHUNK_ROWS)
            drawn = add_serifs(images[chunk], self.serif_part, random)
            resample(drawn, self.draw(len(drawn), random), distorted[chunk])
        return distorted

    def draw(self, rows: int, random: np.random.Generator) -> Maps:
        """Random maps for so many images.

        A map is a sum of products of a function of y and a function of x: of bumps for the elastic
        part, of 1 and the distance from the middle for the affine one. So it is two products of
        small matrices.
        """
        even = random.uniform(-1, 1, (6, rows)).astype(np.float32)
        turn = even[0] * np.deg2rad(np.float32(self.rotation_deg))
        x_scale = np.exp(even[1] * np.float32(self.x_scale))
        y_scale = np.exp(even[2] * np.float32(self.y_scale))
        shear = even[3] * np.float32(self.shear)
        cos, sin = np.cos(turn), np.sin(turn)
        functions = self.functions()
        bumps = functions.shape[1] - 2
        terms = np.zeros((2, rows, bumps + 2, bumps + 2), np.float32)
        # Of many bumps with even heights the sum is as good as normal, and costs a sixth.
        heights = random.random((2, rows, bumps, bumps), np.float32) - np.float32(0.5)
        strengths = random.uniform(0, self.elastic_px * sqrt(12), (rows, 1, 1))
        terms[:, :, :bumps, :bumps] = heights * strengths.astype(np.float32)
        one, distance = bumps, bumps + 1
        middle = np.float32((SIDE - 1) / 2)
        terms[:, :, one, one] = middle + even[4:6] * np.float32(self.shift_px)
        terms[0, :, one, distance] = cos * x_scale
        terms[0, :, distance, one] = (cos * shear - sin) * y_scale
        terms[1, :, one, distance] = sin * x_scale
        terms[1, :, distance, one] = (sin * shear + cos) * y_scale
        # Small products, one after another: a big one is spread over threads, at twice the cost.
        maps: Maps = np.matmul(functions, np.matmul(terms, functions.T))
        return maps

    def functions(self) -> npt.NDArray[np.float32]:
        """[28, bumps + 2]: the bumps, 1, and the distance from the middle, for each pixel."""
        return functions_of(self.elastic_sigma_px)

    def describe(self) -> Mapping[str, float]:
        """The figures by their names."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def resample(images: UInt8, maps: Maps, results: UInt8) -> None:
    """Puts each image, taken where its maps say, into `results`; the maps are used up.

    All in one call, as one tall image: there is a line of 0 above each, and below the last.
    """
    tall = np.zeros((len(images) * (SIDE + 1) + 1, SIDE), np.uint8)
    tall[1:].reshape(-1, SIDE + 1, SIDE)[:, :SIDE] = images
    x, y = maps
    np.clip(y, -1, SIDE, out=y)
    y += np.arange(1, len(tall) - 1, SIDE + 1, dtype=np.float32)[:, None, None]
    columns = results.reshape(-1, SIDE)
    cv2.remap(tall, x.reshape(-1, SIDE), y.reshape(-1, SIDE), cv2.INTER_LINEAR, columns)


@cache
def functions_of(sigma_px: float) -> npt.NDArray[np.float32]:
    """See Distortion.functions. The bumps are scaled so that a field's root mean square is 1."""
    pixels = np.arange(SIDE)
    centres = np.arange(-1, SIDE + GRID_PX, GRID_PX)
    bumps = np.exp(-0.5 * ((pixels[:, None] - centres) / sigma_px) ** 2)
    bumps /= np.sqrt(np.square(bumps).sum(axis=1).mean())
    distance = pixels - (SIDE - 1) / 2
    return np.column_stack([bumps, np.ones(SIDE), distance]).astype(np.float32)
