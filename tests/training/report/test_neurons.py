"""The hidden layer as a picture."""

import io

import numpy as np
import pytest
from flatdense_training.report.neurons import MOST_TILES, draw_neurons
from PIL import Image


def read(kernel: np.ndarray) -> np.ndarray:
    """The colours of the picture, [rows, columns, RGB]."""
    return np.asarray(Image.open(io.BytesIO(draw_neurons(kernel))).convert("RGB")).astype(int)


def test_one_pixel_a_weight() -> None:
    """The tile of neuron 17 of 256 is in row 1 and column 1, and its pixels are its weights."""
    kernel = np.zeros((784, 256), np.float32)
    weights = np.random.default_rng(0).choice([-1, 0, 1], (28, 28)).astype(np.float32)
    kernel[:, 17] = weights.ravel()
    picture = read(kernel)
    assert picture.shape == (16 * 28, 16 * 28, 3)
    tile = picture[28:56, 28:56]
    red, blue = tile[..., 0], tile[..., 2]
    assert (np.sign(red - blue) == weights).all()
    picture[28:56, 28:56] = 255
    assert (picture == 255).all()


def test_one_scale_about_zero() -> None:
    """Opposite weights are as strong; half the weight is half as strong; 0 is white."""
    kernel = np.zeros((784, 4), np.float32)
    kernel[0], kernel[1], kernel[2], kernel[3] = 2, -2, 1, -1
    picture = read(kernel)
    strengths = 255 - picture[0, :4, 1]
    assert picture[0, 0, 0] > picture[0, 0, 2]
    assert picture[0, 1, 2] > picture[0, 1, 0]
    assert strengths[2] == pytest.approx(strengths[0] / 2, abs=4)
    assert strengths[3] == pytest.approx(strengths[1] / 2, abs=4)
    assert (picture[5] == 255).all()


@pytest.mark.parametrize(("units", "shape"), [(1, (28, 28)), (2, (28, 56)), (7, (84, 84))])
def test_any_width(units: int, shape: tuple[int, int]) -> None:
    """Any number of neurons fits a mosaic that is as square as can be; the rest is white."""
    picture = read(np.ones((784, units), np.float32))
    assert picture.shape[:2] == shape
    assert np.count_nonzero((picture != 255).any(axis=2)) == units * 784


def test_very_wide_and_silent() -> None:
    """Of a very wide layer the first neurons are drawn; one without weights is white."""
    assert (read(np.zeros((784, MOST_TILES + 5), np.float32)) == 255).all()
    assert read(np.zeros((784, MOST_TILES + 5), np.float32)).shape == (896, 896, 3)
