"""The table of datasets."""

import re
from dataclasses import replace

import pytest
from flatdense_training.data.datasets import DATASETS, FASHION_MNIST, MNIST, Dataset

datasets = pytest.mark.parametrize("dataset", DATASETS.values(), ids=lambda dataset: dataset.name)


@datasets
def test_ten_classes(dataset: Dataset) -> None:
    """Every dataset has ten classes with ten names."""
    assert len(set(dataset.class_names)) == 10


@datasets
def test_images_stand_before_their_labels(dataset: Dataset) -> None:
    """Checks pair the arrays by their order: images, labels, images, labels."""
    kinds = [re.split("-", name)[1] for name in dataset.sha256]
    assert kinds == ["images", "labels"] * (len(kinds) // 2)


@datasets
def test_checksums_are_sha256(dataset: Dataset) -> None:
    """Each checksum has the form of a sha256, and no two are the same."""
    assert all(re.fullmatch("[0-9a-f]{64}", sha256) for sha256 in dataset.sha256.values())
    assert len(set(dataset.sha256.values())) == len(dataset.sha256)


def test_fashion_labels_have_their_names() -> None:
    """The class names stand in the order of the labels."""
    assert FASHION_MNIST.class_names[0] == "T-shirt/top"
    assert FASHION_MNIST.class_names[9] == "Ankle boot"


def test_digits_are_known_by_their_names() -> None:
    """All ten or fewer; clothes and letters are none."""
    assert MNIST.is_of_digits
    assert replace(MNIST, class_names=("3", "7")).is_of_digits
    assert not FASHION_MNIST.is_of_digits
    assert not replace(MNIST, class_names=("1", "I")).is_of_digits
