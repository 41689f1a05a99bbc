"""Distortions against a plain formula, and against scipy's resampling."""

from dataclasses import replace

import numpy as np
import pytest
from flatdense_training.data.datasets import EMBEDDED_IMAGES
from flatdense_training.data.digits import read_embedded, to_mnist_form
from flatdense_training.data.idx import UInt8
from flatdense_training.fit.distortion import CHUNK_ROWS, Distortion
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

STILL = Distortion(
    rotation_deg=0, x_scale=0, y_scale=0, shear=0, shift_px=0, elastic_px=0, serif_part=0
)


@pytest.fixture(scope="module")
def images() -> UInt8:
    """More digits than are distorted at once, in MNIST's form."""
    return to_mnist_form(read_embedded()[EMBEDDED_IMAGES][: CHUNK_ROWS + 44])


def test_no_distortion_changes_nothing(images: UInt8) -> None:
    """Where every figure is 0, images come out as they went in."""
    assert np.array_equal(STILL.apply(images, np.random.default_rng(0)), images)


def test_the_same_draw_gives_the_same_images(images: UInt8) -> None:
    """And another draw gives others, each image its own."""
    distortion = Distortion()
    first, again, other = (
        distortion.apply(images, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert (first != other).any(axis=(1, 2)).all()
    copies = np.repeat(images[:1], 20, axis=0)
    assert len(np.unique(distortion.apply(copies, np.random.default_rng(3)), axis=0)) == 20


def test_images_are_resampled_as_scipy_does(images: UInt8) -> None:
    """Bilinear, with 0 outside: to a grey level or two, for OpenCV's fractions are 1/32 pixels."""
    distortion = Distortion(elastic_px=2.0, serif_part=0)
    got = distortion.apply(images[:50], np.random.default_rng(4)).astype(float)
    maps = np.stack(distortion.draw(50, np.random.default_rng(4)), axis=1)
    for image, (x, y), result in zip(images[:50], maps, got, strict=True):
        padded = np.pad(image.astype(float), 1)
        expected = map_coordinates(padded, [y + 1, x + 1], order=1, mode="constant", cval=0)
        assert np.abs(result - expected).max() <= 255 / 32 * 2
        assert np.abs(result - expected).mean() < 1


@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 9))
def test_no_image_gets_ink_of_its_neighbours(seed: int, rows: int) -> None:
    """However far one is moved: between white images a black one stays black."""
    distortion = Distortion(shift_px=40, elastic_px=5, serif_part=0)
    images = np.zeros((rows, 28, 28), np.uint8)
    images[::2] = 255
    assert not distortion.apply(images, np.random.default_rng(seed))[1::2].any()


@given(
    seed=st.integers(0, 2**32 - 1),
    rotation_deg=st.floats(0, 45),
    x_scale=st.floats(0, 0.5),
    y_scale=st.floats(0, 0.5),
    shear=st.floats(0, 0.5),
    shift_px=st.floats(0, 5),
)
def test_the_affine_part_is_what_its_figures_say(
    seed: int, rotation_deg: float, x_scale: float, y_scale: float, shear: float, shift_px: float
) -> None:
    """Turn times scale times shear about the middle, then a shift, none beyond its figure."""
    distortion = replace(
        STILL,
        rotation_deg=rotation_deg,
        x_scale=x_scale,
        y_scale=y_scale,
        shear=shear,
        shift_px=shift_px,
    )
    x, y = distortion.draw(1, np.random.default_rng(seed))[:, 0].astype(float)
    linear = np.array(
        [[x[0, 1] - x[0, 0], x[1, 0] - x[0, 0]], [y[0, 1] - y[0, 0], y[1, 0] - y[0, 0]]]
    )
    rows, columns = np.indices((28, 28)) - 13.5
    shift = np.array([x[13:15, 13:15].mean(), y[13:15, 13:15].mean()]) - 13.5
    for got, (by_x, by_y), moved in zip((x, y), linear, shift, strict=True):
        assert np.abs(got - (by_x * columns + by_y * rows + moved + 13.5)).max() < 1e-3
    assert np.abs(shift).max() <= shift_px + 1e-3
    # Turn times upper triangle: Gram and Schmidt take it apart.
    wide = np.hypot(*linear[:, 0])
    turn = np.arctan2(linear[1, 0], linear[0, 0])
    high = np.linalg.det(linear) / wide
    sheared = (linear[:, 0] @ linear[:, 1]) / wide / high
    assert abs(np.rad2deg(turn)) <= rotation_deg + 0.01
    assert abs(np.log(wide)) <= x_scale + 1e-3
    assert abs(np.log(high)) <= y_scale + 1e-3
    assert abs(sheared) <= shear + 1e-3


def test_elastic_fields_are_as_strong_and_smooth_as_they_should_be() -> None:
    """Their root mean square is drawn evenly up to the figure, and neighbours hardly differ."""
    distortion = replace(STILL, elastic_px=2.0, elastic_sigma_px=4.0)
    maps = distortion.draw(4000, np.random.default_rng(5)).astype(float)
    fields = maps - STILL.draw(1, np.random.default_rng(5))
    strength = np.sqrt(np.mean(np.square(fields)))
    assert strength == pytest.approx(2.0 / np.sqrt(3), rel=0.03)
    steps = np.diff(fields, axis=-1)
    # Of a field that is smooth over sigma, a step is 1 / (sqrt(2) sigma) of its strength.
    assert np.sqrt(np.mean(np.square(steps))) == pytest.approx(strength / np.sqrt(2) / 4.0, rel=0.1)
