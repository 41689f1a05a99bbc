"""Which images a model learns from, which ones guide the run, and which ones judge it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import train_test_split

from flatdense_training.data.datasets import (
    DIGITS,
    EMBEDDED_IMAGES,
    EMBEDDED_LABELS,
    TEST_IMAGES,
    TEST_LABELS,
    TRAIN_IMAGES,
    TRAIN_LABELS,
    Dataset,
)
from flatdense_training.data.digits import to_mnist_form
from flatdense_training.data.idx import UInt8

VALIDATION_ROWS = 5_000
"""Of the 60,000 training images: an accuracy of 98 % is then known to about 0.2 %."""

EMBEDDED_HELD_ROWS = 270
"""Of the 1,797 embedded digits, for validation and again for test: 15 % each."""

TEST_SEED = 0
"""The embedded digits have no test set of their own.

One seed for every run makes it the same, so that runs compare.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Images with their labels."""

    images: UInt8
    """[N, 28, 28]"""
    labels: UInt8
    """[N]"""

    def __len__(self) -> int:
        """The number of images."""
        return len(self.labels)

    def rows(self) -> UInt8:
        """The images as [N, 784]."""
        return self.images.reshape(len(self), -1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Splits:
    """Three sets of examples with no image in common."""

    train: Examples
    validation: Examples
    test: Examples


def split(dataset: Dataset, arrays: Mapping[str, UInt8], *, seed: int) -> Splits:
    """Parts a dataset. The seed chooses the validation images, and never the test images."""
    if dataset is DIGITS:
        everything = Examples(
            images=to_mnist_form(arrays[EMBEDDED_IMAGES]), labels=arrays[EMBEDDED_LABELS]
        )
        rest, test = hold_out(everything, rows=EMBEDDED_HELD_ROWS, seed=TEST_SEED)
        held_rows = EMBEDDED_HELD_ROWS
    else:
        rest = Examples(images=arrays[TRAIN_IMAGES], labels=arrays[TRAIN_LABELS])
        test = Examples(images=arrays[TEST_IMAGES], labels=arrays[TEST_LABELS])
        held_rows = VALIDATION_ROWS
    train, validation = hold_out(rest, rows=held_rows, seed=seed)
    return Splits(train=train, validation=validation, test=test)


def hold_out(examples: Examples, *, rows: int, seed: int) -> tuple[Examples, Examples]:
    """The examples but `rows` of them, and those; in their old order, each class in its share."""
    kept, held = train_test_split(
        np.arange(len(examples)), test_size=rows, random_state=seed, stratify=examples.labels
    )
    return select(examples, np.sort(kept)), select(examples, np.sort(held))


def select(examples: Examples, indices: np.ndarray) -> Examples:
    """Some of the examples."""
    return Examples(images=examples.images[indices], labels=examples.labels[indices])
