"""The embedded digits and their way to MNIST's form."""

import numpy as np
import pytest
from flatdense_training.data.datasets import EMBEDDED_IMAGES
from flatdense_training.data.digits import read_embedded, to_mnist_form
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

inked = npst.arrays(np.uint8, (8, 8), elements=st.integers(0, 16)).filter(np.any)


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    """All embedded digits in MNIST's form."""
    return to_mnist_form(read_embedded()[EMBEDDED_IMAGES])


def test_form(digits: np.ndarray) -> None:
    """There are 1,797 images of 28x28 bytes, on black ground with ink near white."""
    assert digits.shape == (1797, 28, 28)
    assert digits.dtype == np.uint8
    assert (digits.max(axis=(1, 2)) > 200).all()
    assert (digits[:, 0, 0] == 0).all()


def test_longer_side_fills_the_box(digits: np.ndarray) -> None:
    """Each digit's ink is at most 20 pixels long, and nearly that in its longer direction."""
    for image in digits:
        sides = [np.ptp(np.flatnonzero(image.any(axis=axis))) + 1 for axis in (0, 1)]
        assert 18 <= max(sides) <= 20


def test_centre_of_mass_is_in_the_centre(digits: np.ndarray) -> None:
    """Each digit's centre of mass is within half a pixel of the field's centre."""
    positions = np.arange(28) + 0.5
    mass = digits.sum(axis=(1, 2), dtype=np.float64)
    for axis in (1, 2):
        centres = digits.sum(axis=axis, dtype=np.float64) @ positions / mass
        assert np.abs(centres - 14).max() <= 0.5 + 1e-9


@given(inked)
def test_any_ink_can_be_placed(image: np.ndarray) -> None:
    """Whatever is drawn, even one pixel in a corner, has a form with ink inside the field."""
    (placed,) = to_mnist_form(image[np.newaxis])
    assert placed.shape == (28, 28)
    assert placed.any()


@given(inked, st.integers(0, 2), st.integers(0, 2))
def test_position_does_not_matter(image: np.ndarray, down: int, right: int) -> None:
    """A digit drawn elsewhere in its field has the same form."""
    field = np.zeros((10, 10), np.uint8)
    field[down : down + 8, right : right + 8] = image
    first, second = to_mnist_form(image[np.newaxis]), to_mnist_form(field[np.newaxis])
    assert np.array_equal(first, second)
