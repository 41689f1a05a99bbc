"""Which images a model learns from, which ones guide the run, and which ones judge it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import train_test_split

from flatdense_training.data.datasets import (
    EMBEDDED_IMAGES,
    EMBEDDED_LABELS,
    TEST_IMAGES,
    TEST_LABELS,
    TRAIN_IMAGES,
    TRAIN_LABELS,
    Dataset,
    recognise,
)
from flatdense_training.data.digits import to_mnist_form
from flatdense_training.data.idx import UInt8
from flatdense_training.errors import DataUnfit

VALIDATION_ROWS = 5_000
"""Of the 60,000 training images: an accuracy of 98 % is then known to about 0.2 %."""

EMBEDDED_HELD_ROWS = 270
"""Of the 1,797 embedded digits, for validation and again for test: 15 % each."""

OWN_SHARE = 0.15
"""Of a user's own images: held out to validate, and again to test where there is no test set.

More than VALIDATION_ROWS never validate.
"""

TEST_SEED = 0
"""For data without a test set of its own.

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
    """Parts a dataset. The seed chooses the validation images, and never the test images.

    Raises DataUnfit where a class of a user's own data has too few images.
    """
    if recognise(dataset.sha256) is None:
        return split_own(dataset, arrays, seed=seed)
    if EMBEDDED_IMAGES in arrays:
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


def split_own(dataset: Dataset, arrays: Mapping[str, UInt8], *, seed: int) -> Splits:
    """Parts a user's own data; every part gets images of every class.

    Raises DataUnfit where a class has too few for that.
    """
    rest = Examples(images=arrays[TRAIN_IMAGES], labels=arrays[TRAIN_LABELS])
    if TEST_IMAGES in arrays:
        check_enough(dataset, rest, ("one to train", "one to validate"))
        test = Examples(images=arrays[TEST_IMAGES], labels=arrays[TEST_LABELS])
    else:
        check_enough(dataset, rest, ("one to train", "one to validate", "one to test"))
        rest, test = hold_out_of_each(rest, share=OWN_SHARE, seed=TEST_SEED)
    share = min(OWN_SHARE, VALIDATION_ROWS / len(rest))
    train, validation = hold_out_of_each(rest, share=share, seed=seed)
    return Splits(train=train, validation=validation, test=test)


def check_enough(dataset: Dataset, examples: Examples, needs: tuple[str, ...]) -> None:
    """Raises DataUnfit unless each class has a different image for each of the needs."""
    _, labels = tell_apart(examples)
    counts = np.bincount(labels, minlength=len(dataset.class_names))
    for name, count in zip(dataset.class_names, counts, strict=True):
        if count < len(needs):
            raise DataUnfit(
                f"The class {name!r} of {dataset.title} has {count} different images to learn "
                f"from, expected at least {len(needs)}: {', '.join(needs)}. Bring more."
            )


def hold_out_of_each(examples: Examples, *, share: float, seed: int) -> tuple[Examples, Examples]:
    """The examples but a share of each class, and those; in their old order.

    At least one image of each class is held out, and one is kept. Copies of an image stay together:
    one that was learnt from would be no test.
    """
    random = np.random.default_rng(seed)
    copies, labels = tell_apart(examples)
    held = []
    for label in np.unique(labels):
        images = random.permutation(np.flatnonzero(labels == label))
        held.append(images[: max(1, min(round(share * len(images)), len(images) - 1))])
    is_held = np.isin(copies, np.concatenate(held))
    return select(examples, np.flatnonzero(~is_held)), select(examples, np.flatnonzero(is_held))


def tell_apart(examples: Examples) -> tuple[npt.NDArray[np.int64], UInt8]:
    """For each example the number of its image; and for each image the label of its first copy."""
    numbers: dict[bytes, int] = {}
    copies = [numbers.setdefault(image.tobytes(), len(numbers)) for image in examples.images]
    _, first = np.unique(copies, return_index=True)
    return np.array(copies), examples.labels[first]


def hold_out(examples: Examples, *, rows: int, seed: int) -> tuple[Examples, Examples]:
    """The examples but `rows` of them, and those; in their old order, each class in its share."""
    kept, held = train_test_split(
        np.arange(len(examples)), test_size=rows, random_state=seed, stratify=examples.labels
    )
    return select(examples, np.sort(kept)), select(examples, np.sort(held))


def select(examples: Examples, indices: np.ndarray) -> Examples:
    """Some of the examples."""
    return Examples(images=examples.images[indices], labels=examples.labels[indices])
