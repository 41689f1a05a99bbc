"""The histograms that drift is measured against."""

import numpy as np
import pytest
from flatdense_training.data.split import Examples
from flatdense_training.judge.evaluate import Evaluation
from flatdense_training.judge.reference import equal_mass_edges, histogram, make_reference
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

shares = npst.arrays(np.float64, st.integers(1, 200), elements=st.floats(0, 1))


@given(shares)
def test_every_value_is_in_one_bin(values: np.ndarray) -> None:
    """Whatever the values, the edges ascend from 0 to 1 and the fractions sum to 1."""
    result = histogram(values, equal_mass_edges(values))
    assert (result.edges[0], result.edges[-1]) == (0, 1)
    assert all(low < high for low, high in zip(result.edges, result.edges[1:], strict=False))
    assert sum(result.fractions) == pytest.approx(1)


def test_bins_hold_equally_many() -> None:
    """Where values differ, each of the ten bins holds a tenth of them."""
    values = np.random.default_rng(0).random(1000)
    assert histogram(values, equal_mass_edges(values)).fractions == pytest.approx([0.1] * 10)


def test_an_edge_belongs_to_the_bin_above() -> None:
    """A bin holds its lower edge; the last one holds its upper edge too."""
    assert histogram(np.array([0, 1, 2, 2]), [0, 1, 2]).fractions == [0.25, 0.75]


def test_features() -> None:
    """Each feature measures what its name says."""
    images = np.zeros((4, 28, 28), np.uint8)
    images[0] = 255
    images[1, :14] = 128
    images[2, :14] = 127
    evaluation = Evaluation(
        labels=np.zeros(4, np.uint8),
        probabilities=np.array([[0.4], [0.95], [0.9999], [1]], np.float32),
        classes=np.array([0, 9, 9, 3]),
    )
    examples = Examples(images=images, labels=np.zeros(4, np.uint8))
    reference = make_reference(examples, evaluation, classes=10)
    assert reference.keys() == {"input_mean", "ink_share", "confidence", "class"}
    assert reference["class"].edges == list(range(11))
    assert reference["class"].fractions == [0.25, 0, 0, 0.25, 0, 0, 0, 0, 0, 0.5]
    assert reference["confidence"].fractions[0] == 0.25
    assert reference["confidence"].fractions[-1] == 0.5
    ink = reference["ink_share"]
    assert np.repeat(ink.edges[:-1], np.rint(np.array(ink.fractions) * 4).astype(int))[-1] > 0.5


def test_half_ink_is_above_one_half() -> None:
    """128 of 255 is ink and 127 is not, as it is for floats scaled to 0..1."""
    images = np.zeros((2, 28, 28), np.uint8)
    images[0], images[1] = 127, 128
    evaluation = Evaluation(
        labels=np.zeros(2, np.uint8),
        probabilities=np.ones((2, 1), np.float32),
        classes=np.zeros(2, np.int64),
    )
    examples = Examples(images=images, labels=np.zeros(2, np.uint8))
    ink = make_reference(examples, evaluation, classes=10)["ink_share"]
    assert ink.fractions[0] == ink.fractions[-1] == 0.5
