"""Arrays against the table of checksums."""

import numpy as np
import pytest
from flatdense_training.data.checksums import verify_array, verify_arrays, verify_labels
from flatdense_training.data.datasets import (
    DIGITS,
    EMBEDDED_LABELS,
    MNIST,
    TRAIN_IMAGES,
    TRAIN_LABELS,
    Dataset,
)
from flatdense_training.data.digits import read_embedded
from flatdense_training.data.idx import UInt8
from flatdense_training.errors import DataDamaged


def test_one_changed_pixel_is_found(tiny: Dataset, arrays: dict[str, UInt8]) -> None:
    """The smallest change of an image is noticed, with its file's name."""
    where = {name: f"/data/{name}" for name in arrays}
    verify_arrays(tiny, arrays, where=where)
    arrays[TRAIN_IMAGES][7, 3, 3] ^= 1
    with pytest.raises(DataDamaged, match=f"/data/{TRAIN_IMAGES} is not the original"):
        verify_arrays(tiny, arrays, where=where)


def test_shape_counts(tiny: Dataset, arrays: dict[str, UInt8]) -> None:
    """The same bytes in another shape are another array."""
    images = arrays[TRAIN_IMAGES].reshape(40, 14, 56)
    with pytest.raises(DataDamaged, match="is not the original"):
        verify_array(tiny, TRAIN_IMAGES, images, where="it")


def test_a_known_other_dataset_is_named() -> None:
    """Who gives the files of one dataset for another is told which they are."""
    labels = read_embedded()[EMBEDDED_LABELS]
    with pytest.raises(DataDamaged, match=r"of scikit-learn's digits.*--dataset digits"):
        verify_array(MNIST, TRAIN_LABELS, labels, where="it")


def test_counts_must_agree() -> None:
    """Images and labels of different counts are refused before any checksum."""
    with pytest.raises(DataDamaged, match="has 3 images and 2 labels"):
        verify_labels(DIGITS, np.zeros((3, 8, 8), np.uint8), np.zeros(2, np.uint8), where="it")


def test_labels_must_be_classes() -> None:
    """A label that is no class is refused."""
    labels = np.array([0, 10], np.uint8)
    with pytest.raises(DataDamaged, match="has the label 10, expected 0 to 9"):
        verify_labels(DIGITS, np.zeros((2, 8, 8), np.uint8), labels, where="it")
