"""Whether arrays are the ones that a dataset is made of."""

import hashlib
from collections.abc import Mapping

from flatdense_training.data.datasets import DATASETS, Dataset
from flatdense_training.data.idx import UInt8, format_idx
from flatdense_training.errors import DataDamaged


def digest_array(array: UInt8) -> str:
    """The sha256 of the array's IDX bytes, in hexadecimal."""
    return hashlib.sha256(format_idx(array)).hexdigest()


def verify_array(dataset: Dataset, name: str, array: UInt8, *, where: str) -> None:
    """Raises DataDamaged unless the array, which came from `where`, is the dataset's `name`."""
    found, expected = digest_array(array), dataset.sha256[name]
    if found == expected:
        return
    for other in DATASETS.values():
        if found in other.sha256.values():
            actual = next(key for key, sha256 in other.sha256.items() if sha256 == found)
            raise DataDamaged(
                f"{where} holds {actual} of {other.title}, expected {name} of {dataset.title}. "
                f"Name another folder, or train on this one by --dataset {other.name}."
            )
    raise DataDamaged(
        f"{where} is not the original {name} of {dataset.title}: the sha256 of its IDX bytes is "
        f"{found}, expected {expected}. Fetch it again."
    )


def verify_labels(dataset: Dataset, images: UInt8, labels: UInt8, *, where: str) -> None:
    """Raises DataDamaged unless there is one label for each image and each label is a class."""
    if len(images) != len(labels):
        raise DataDamaged(
            f"{where} has {len(images):,} images and {len(labels):,} labels, "
            "expected as many of both. Fetch it again."
        )
    classes = len(dataset.class_names)
    if labels.size and labels.max() >= classes:
        raise DataDamaged(
            f"{where} has the label {labels.max()}, expected 0 to {classes - 1}. Fetch it again."
        )


def verify_arrays(
    dataset: Dataset, arrays: Mapping[str, UInt8], *, where: Mapping[str, str]
) -> None:
    """Checks every array of the dataset; `where` says for each, by name, where it came from.

    Counts and labels are looked at first: they say more than a checksum does. Raises DataDamaged.
    """
    names = list(dataset.sha256)
    for images, labels in zip(names[::2], names[1::2], strict=True):
        verify_labels(dataset, arrays[images], arrays[labels], where=where[labels])
    for name in names:
        verify_array(dataset, name, arrays[name], where=where[name])
