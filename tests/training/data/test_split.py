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
    Dataset,
)
from flatdense_training.data.digits import read_embedded
from flatdense_training.data.split import Examples, hold_out, hold_out_of_each, split
from flatdense_training.errors import DataUnfit
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


def make_own(counts: list[int], *, rows_to_test: int = 0) -> tuple[Dataset, dict[str, np.ndarray]]:
    """A user's own dataset with so many different images in each class."""
    random = np.random.default_rng(1)
    labels = np.repeat(np.arange(len(counts), dtype=np.uint8), counts)
    arrays = {
        TRAIN_IMAGES: random.integers(0, 256, (len(labels), 28, 28), np.uint8),
        TRAIN_LABELS: labels,
    }
    if rows_to_test:
        arrays[TEST_IMAGES] = random.integers(0, 256, (rows_to_test, 28, 28), np.uint8)
        arrays[TEST_LABELS] = np.arange(rows_to_test, dtype=np.uint8) % len(counts)
    names = tuple(f"class {label}" for label in range(len(counts)))
    dataset = Dataset(name="own", title="Own", class_names=names, sha256={}, min_accuracy=0)
    return dataset, arrays


@pytest.mark.parametrize(
    ("counts", "rows_to_test", "rows"),
    [
        ([100, 100], 0, [144, 26, 30]),
        ([100, 100], 10, [170, 30, 10]),
        ([3, 3], 0, [2, 2, 2]),
        ([2, 50], 10, [43, 9, 10]),
    ],
)
def test_own_data(counts: list[int], rows_to_test: int, rows: list[int]) -> None:
    """15 % of each class validate, and again test where there is no test set; at least one each."""
    dataset, arrays = make_own(counts, rows_to_test=rows_to_test)
    splits = split(dataset, arrays, seed=0)
    parts = (splits.train, splits.validation, splits.test)
    assert [len(part) for part in parts] == rows
    assert all(set(part.labels.tolist()) == set(range(len(counts))) for part in parts)
    assert len(set().union(*map(rows_of, parts))) == sum(rows)


def test_large_own_data_validates_on_as_many_as_mnist() -> None:
    """Beyond some 33,000 images, 5,000 validate."""
    dataset, arrays = make_own([25_000, 25_000], rows_to_test=10)
    assert len(split(dataset, arrays, seed=0).validation) == 5_000


def test_own_test_images_are_the_same_for_every_seed() -> None:
    """Another seed validates on other images of a user's own, and tests on the same."""
    dataset, arrays = make_own([50, 50])
    first, other = (split(dataset, arrays, seed=seed) for seed in (1, 2))
    assert rows_of(first.validation) != rows_of(other.validation)
    assert np.array_equal(first.test.images, other.test.images)


@pytest.mark.parametrize(
    ("rows_to_test", "message"),
    [
        (0, "has 1 different images .* at least 3: one to train, one to validate, one to test"),
        (4, "has 1 different images .* at least 2: one to train, one to validate. Bring more"),
    ],
)
def test_a_class_with_too_few_images(rows_to_test: int, message: str) -> None:
    """A class that cannot be in every part is named; copies of an image are one."""
    dataset, arrays = make_own([9, 9], rows_to_test=rows_to_test)
    arrays[TRAIN_IMAGES][9:] = arrays[TRAIN_IMAGES][9]
    with pytest.raises(DataUnfit, match=f"The class 'class 1' of Own {message}"):
        split(dataset, arrays, seed=0)


@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 2)), min_size=1, max_size=60),
    st.floats(0.01, 0.9),
    st.integers(0, 2**32 - 1),
)
def test_copies_stay_together(images: list[tuple[int, int]], share: float, seed: int) -> None:
    """Whatever the copies and labels, no image is on both sides, and no example is lost."""
    examples = Examples(
        images=np.array([np.full((28, 28), image) for image, _ in images], np.uint8),
        labels=np.array([label for _, label in images], np.uint8),
    )
    kept, held = hold_out_of_each(examples, share=share, seed=seed)
    assert not rows_of(kept) & rows_of(held)
    assert len(kept) + len(held) == len(examples)
