"""Which images train, validate and test."""

import numpy as np
import pytest
from flatdense_training.data.datasets import (
    DIGITS,
    MNIST,
    TEST_IMAGES,
    TEST_LABELS,
    TRAIN_IMAGES,
    TRAIN_LABELS,
)
from flatdense_training.data.digits import read_embedded
from flatdense_training.data.split import Examples, hold_out, split
from hypothesis import given
from hypothesis import strategies as st


def rows_of(examples: Examples) -> set[bytes]:
    """Each image as something that can be compared."""
    return {image.tobytes() for image in examples.images}


@pytest.fixture(scope="module")
def numbered() -> dict[str, np.ndarray]:
    """60,000 and 10,000 images that are all different, in MNIST's shape."""
    random = np.random.default_rng(0)
    arrays = {}
    for rows, images, labels in (
        (60_000, TRAIN_IMAGES, TRAIN_LABELS),
        (10_000, TEST_IMAGES, TEST_LABELS),
    ):
        arrays[images] = np.zeros((rows, 28, 28), np.uint8)
        arrays[images].reshape(rows, -1)[:, :4] = (
            np.arange(rows, dtype="<u4").view("u1").reshape(-1, 4)
        )
        arrays[labels] = random.integers(0, 10, rows, np.uint8)
    return arrays


def test_mnist(numbered: dict[str, np.ndarray]) -> None:
    """55,000 train, 5,000 validate, and the test images stay as they are."""
    splits = split(MNIST, numbered, seed=0)
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [
        55_000,
        5_000,
        10_000,
    ]
    assert np.array_equal(splits.test.images, numbered[TEST_IMAGES])
    assert rows_of(splits.train) | rows_of(splits.validation) == rows_of(
        Examples(images=numbered[TRAIN_IMAGES], labels=numbered[TRAIN_LABELS])
    )


def test_digits() -> None:
    """The embedded digits are parted with none lost and none twice."""
    splits = split(DIGITS, read_embedded(), seed=0)
    parts = (splits.train, splits.validation, splits.test)
    assert [len(part) for part in parts] == [1257, 270, 270]
    assert len(set().union(*(rows_of(part) for part in parts))) == 1797


def test_seed_moves_validation_and_never_test() -> None:
    """Another seed validates on other images; the test images are the same for all."""
    arrays = read_embedded()
    first, again, other = (split(DIGITS, arrays, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.validation.images, again.validation.images)
    assert rows_of(first.validation) != rows_of(other.validation)
    assert np.array_equal(first.test.images, other.test.images)
    assert not rows_of(first.test) & rows_of(other.validation)


@given(st.integers(0, 2**32 - 1))
def test_every_class_has_its_share(seed: int) -> None:
    """Whatever the seed, each class is held out in proportion, to one image."""
    labels = np.repeat(np.arange(10, dtype=np.uint8), np.arange(20, 120, 10))
    examples = Examples(images=np.zeros((len(labels), 28, 28), np.uint8), labels=labels)
    _, held = hold_out(examples, rows=130, seed=seed)
    expected = np.bincount(labels) * 130 / len(labels)
    assert np.abs(np.bincount(held.labels, minlength=10) - expected).max() <= 1
