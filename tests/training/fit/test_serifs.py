"""Feet and flags: ink that is added at a digit's ends, and nowhere else."""

import numpy as np
import pytest
from flatdense_training.data.datasets import EMBEDDED_IMAGES
from flatdense_training.data.digits import read_embedded, to_mnist_form
from flatdense_training.data.idx import UInt8
from flatdense_training.fit.serifs import FLAG_PX, FOOT_PX, INK, THICKNESS_PX, add_serifs
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays


@pytest.fixture(scope="module")
def images() -> UInt8:
    """All embedded digits, in MNIST's form."""
    return to_mnist_form(read_embedded()[EMBEDDED_IMAGES])


@pytest.mark.parametrize("part", [0.0, 0.25, 1.0])
def test_about_the_part_gets_a_foot_and_the_part_a_flag(images: UInt8, part: float) -> None:
    """Of the images that get neither, which all but the part squared are, none is changed."""
    before = images.copy()
    drawn = add_serifs(images, part, np.random.default_rng(0))
    assert np.array_equal(images, before)
    changed = (drawn != images).any(axis=(1, 2)).mean()
    assert changed == pytest.approx(1 - (1 - part) ** 2, abs=0.05)


def test_ink_is_only_added(images: UInt8) -> None:
    """No pixel becomes darker."""
    assert (add_serifs(images, 1.0, np.random.default_rng(1)) >= images).all()


@given(
    column=st.integers(0, 27),
    rows=st.tuples(st.integers(0, 27), st.integers(0, 27)),
    seed=st.integers(0),
)
def test_a_stroke_becomes_a_printed_1(column: int, rows: tuple[int, int], seed: int) -> None:
    """What is added to one upright stroke lies at its ends: a flag left above, a foot below."""
    top, bottom = min(rows), max(rows)
    stroke = np.zeros((1, 28, 28), np.uint8)
    stroke[0, top : bottom + 1, column] = 255
    added = add_serifs(stroke, 1.0, np.random.default_rng(seed))[0] > stroke[0]
    y, x = np.nonzero(added)
    edge = THICKNESS_PX[1] / 2 + 2  # round ends, and smooth ones
    is_foot = np.abs(y - bottom) <= 2 * edge
    is_flag = (y >= top - edge) & (y <= top + FLAG_PX[1] + 2 * edge) & (x <= column + edge)
    assert (is_foot | is_flag).all()
    assert (np.abs(x - column)[~is_flag] <= FOOT_PX[1] + edge).all()
    assert (column - x[~is_foot] <= FLAG_PX[1] + edge).all()


@given(image=arrays(np.uint8, (1, 28, 28), elements=st.integers(0, INK - 1)), seed=st.integers(0))
def test_an_image_without_ink_stays_as_it_is(image: UInt8, seed: int) -> None:
    """There is no end that a serif could be drawn at."""
    assert np.array_equal(add_serifs(image, 1.0, np.random.default_rng(seed)), image)
