"""The inputs that travel with the model."""

import numpy as np
from flatdense_training.export.golden import golden_images


def test_shape_and_extremes() -> None:
    """There are 16 different rows of 784 bytes; an empty and a full image are among them."""
    images = golden_images()
    assert images.shape == (16, 784)
    assert images.dtype == np.uint8
    assert len(np.unique(images, axis=0)) == 16
    means = images.mean(axis=1)
    assert 0 in means
    assert 255 in means


def test_always_the_same() -> None:
    """Every export has the same golden inputs."""
    assert np.array_equal(golden_images(), golden_images())


def test_every_pixel_is_reached() -> None:
    """Each pixel differs between rows, so that a weight that was lost shows."""
    assert (np.ptp(golden_images(), axis=0) > 0).all()
