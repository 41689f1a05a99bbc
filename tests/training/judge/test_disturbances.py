"""What may happen to an image."""

import numpy as np
import pytest
from flatdense_training.data.idx import UInt8
from flatdense_training.judge.disturbances import (
    DISTURBANCES,
    Disturbance,
    add_noise,
    fade,
    invert,
    rotate,
    shift,
)

CHANCE = 5


@pytest.fixture
def images() -> UInt8:
    """Bars, off the middle, far from the borders: uint8 [40, 28, 28]."""
    images = np.zeros((40, 28, 28), np.uint8)
    images[:, 8:19, 12:15] = 200
    images[:, 8:11, 12:19] = 255
    return images


@pytest.mark.parametrize("disturbance", DISTURBANCES, ids=lambda each: each.name)
def test_form_and_chance(disturbance: Disturbance, images: UInt8) -> None:
    """Each amount gives other images of the same form, the same ones for the same chance.

    What it was given stays as it was.
    """
    before = images.copy()
    for amount in disturbance.amounts:
        once, again = (
            disturbance.apply(images, amount, np.random.default_rng(CHANCE)) for _ in range(2)
        )
        assert (once.shape, once.dtype) == (images.shape, np.uint8)
        assert (once == again).all()
        assert (once != images).any()
    assert (images == before).all()


@pytest.mark.parametrize(
    "disturbance", [each for each in DISTURBANCES if each.name != "inversion"], ids=lambda e: e.name
)
def test_untouched(disturbance: Disturbance, images: UInt8) -> None:
    """The amount that is called untouched leaves every pixel as it is."""
    same = disturbance.apply(images, disturbance.untouched, np.random.default_rng(CHANCE))
    assert (same == images).all()


@pytest.mark.parametrize("pixels", [1, 2, 3, 4])
def test_shift(images: UInt8, pixels: int) -> None:
    """Each image moves by exactly so many pixels in one of four directions, and each is taken."""
    moved = shift(images, pixels, np.random.default_rng(CHANCE))
    steps = [(pixels, 0), (-pixels, 0), (0, pixels), (0, -pixels)]
    expected = [np.roll(images[0], step, axis=(0, 1)) for step in steps]
    taken = {
        next(place for place, one in enumerate(expected) if (one == image).all()) for image in moved
    }
    assert taken == {0, 1, 2, 3}


def test_what_leaves_the_field_is_lost() -> None:
    """Ink that is moved out does not come in at the other side."""
    full = np.full((40, 28, 28), 255, np.uint8)
    moved = shift(full, 3, np.random.default_rng(CHANCE))
    assert ((moved > 0).mean(axis=(1, 2)) == 25 / 28).all()


def test_rotate(images: UInt8) -> None:
    """A quarter turn is exact, and goes one way or the other."""
    turned = rotate(images, 90, np.random.default_rng(CHANCE))
    ways = [np.rot90(images[0], 1), np.rot90(images[0], -1)]
    taken = [[bool((image == way).all()) for way in ways] for image in turned]
    assert all(sum(way) == 1 for way in taken)
    assert {tuple(way) for way in taken} == {(True, False), (False, True)}


def test_noise() -> None:
    """Noise has the standard deviation that it says, around the pixel, where it is not cut off."""
    grey = np.full((50, 28, 28), 128, np.uint8)
    noisy = add_noise(grey, 10, np.random.default_rng(CHANCE)).astype(float)
    assert noisy.mean() == pytest.approx(128, abs=0.5)
    assert noisy.std() == pytest.approx(25.5, rel=0.02)


def test_fade_and_invert(images: UInt8) -> None:
    """Half the contrast is half the ink on the same ground; inverted twice is as it was."""
    chance = np.random.default_rng(CHANCE)
    assert set(np.unique(fade(images, 50, chance)).tolist()) == {0, 100, 128}
    inverted = invert(images, 100, chance)
    assert set(np.unique(inverted).tolist()) == {255, 55, 0}
    assert (invert(inverted, 100, chance) == images).all()
