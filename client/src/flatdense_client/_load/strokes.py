"""Rows that look like digits, for load: pen strokes in the middle of a dark ground."""

import numpy as np
import numpy.typing as npt

from flatdense_client._images.pixels import ROW_PIXELS, SIDE_PIXELS

_INNER = (4.0, 24.0)
"""Where strokes turn: MNIST's digits lie in the middle 20 of 28 pixels."""

_TURNS = 3
_POINTS = 32
_PEN_PIXELS = 1.9


def draw_strokes(count: int, seed: int) -> npt.NDArray[np.uint8]:
    """So many rows, uint8 [count, 784]: a curved stroke each. The same seed draws the same."""
    turns = np.random.default_rng(seed).uniform(*_INNER, (count, _TURNS, 2))
    t = np.linspace(0, 1, _POINTS)
    curve = np.stack([(1 - t) ** 2, 2 * t * (1 - t), t**2])  # Bezier's weights, [3, points]
    points = np.einsum("ctx,tp->cpx", turns, curve)
    sides = np.arange(SIDE_PIXELS)
    down = (sides - points[:, :, 0, None]) ** 2
    across = (sides - points[:, :, 1, None]) ** 2
    rows = np.empty((count, ROW_PIXELS), np.uint8)
    for row, y, x in zip(rows, down, across, strict=True):
        distance = np.sqrt((y[:, :, None] + x[:, None, :]).min(axis=0))
        row[:] = (255 * np.clip(_PEN_PIXELS - distance, 0, 1)).astype(np.uint8).ravel()
    return rows
