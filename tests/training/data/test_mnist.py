"""The original files, and the version in the repository that was trained on them."""

from pathlib import Path

import numpy as np
import pytest
from flatdense_artifact import read_manifest, verify_files
from flatdense_training.data.datasets import MNIST
from flatdense_training.data.folder import read_folder
from flatdense_training.data.split import Splits, split


@pytest.fixture(scope="module")
def splits(mnist_folder: Path) -> Splits:
    """MNIST, verified and parted."""
    return split(MNIST, read_folder(MNIST, mnist_folder), seed=0)


def test_original_files(splits: Splits) -> None:
    """The original files verify, and have 55,000, 5,000 and 10,000 images of ten classes."""
    parts = (splits.train, splits.validation, splits.test)
    assert [len(part) for part in parts] == [55_000, 5_000, 10_000]
    assert all(set(part.labels.tolist()) == set(range(10)) for part in parts)


def test_version_in_the_repository(splits: Splits) -> None:
    """exported_model/1 is whole, and is right about the test images exactly as often as it says."""
    import tensorflow as tf  # noqa: PLC0415 -- takes seconds

    folder = Path(__file__).parents[3] / "exported_model" / "1"
    manifest = read_manifest(folder)
    verify_files(folder, manifest.files)
    loaded = tf.saved_model.load(str(folder))
    images = tf.constant(splits.test.rows())
    classes = loaded.signatures["serving_uint8"](images=images)["classes"].numpy()
    accuracy = np.count_nonzero(classes == splits.test.labels) / len(splits.test)
    assert accuracy == manifest.metrics.test_accuracy
    assert accuracy >= 0.978
    assert manifest.training.sources == dict(MNIST.sha256)
    assert manifest.architecture.parameters == 203_530
