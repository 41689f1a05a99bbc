"""Rows that look like digits."""

import numpy as np
from flatdense_client._load.strokes import draw_strokes


def test_strokes_are_ink_in_the_middle_of_a_dark_ground() -> None:
    """Each row is a stroke of full ink within the middle, and no two are the same."""
    rows = draw_strokes(200, seed=1)
    assert rows.dtype == np.uint8
    assert rows.shape == (200, 784)
    images = rows.reshape(-1, 28, 28)
    assert (images.max(axis=(1, 2)) > 200).all()
    assert 0.02 < (images > 0).mean() < 0.3
    assert not images[:, :2].any()
    assert not images[:, :, -2:].any()
    assert len(np.unique(rows, axis=0)) == 200


def test_a_seed_draws_the_same_again() -> None:
    """The same seed draws the same rows, another one others."""
    assert np.array_equal(draw_strokes(5, seed=1), draw_strokes(5, seed=1))
    assert not np.array_equal(draw_strokes(5, seed=1), draw_strokes(5, seed=2))
