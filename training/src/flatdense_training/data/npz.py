"""The archive that Keras keeps a dataset in: one .npz with x_train, y_train, x_test and y_test."""

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from flatdense_training.data.datasets import TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS
from flatdense_training.data.idx import UInt8
from flatdense_training.errors import DataDamaged, DataMissing

KERAS_NAMES: Mapping[str, str] = MappingProxyType(
    {
        TRAIN_IMAGES: "x_train",
        TRAIN_LABELS: "y_train",
        TEST_IMAGES: "x_test",
        TEST_LABELS: "y_test",
    }
)

MAX_BYTES = 2**30
"""Over 150,000 images in the widest type; an archive that unpacks to more was made to do harm."""


def read_npz(path: Path) -> dict[str, UInt8]:
    """The four arrays of a Keras archive under their IDX names.

    Raises DataMissing where the file cannot be opened; DataDamaged where it is no archive, is
    corrupt, or lacks an array of unsigned bytes.
    """
    arrays = load_arrays(path)
    absent = [key for key in KERAS_NAMES.values() if key not in arrays]
    if absent:
        raise DataDamaged(
            f"{path} lacks an array: {absent[0]}. Expected {', '.join(KERAS_NAMES.values())}. "
            "Fetch it again."
        )
    return {
        name: as_bytes(arrays[key], name=f"{key} in {path}") for name, key in KERAS_NAMES.items()
    }


def load_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """All arrays of an .npz archive by their names; nothing is unpickled.

    Raises DataMissing where the file cannot be opened, DataDamaged where it is no whole archive.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked_bytes = sum(member.file_size for member in archive.infolist())
        if unpacked_bytes > MAX_BYTES:
            raise DataDamaged(
                f"{path} unpacks to {unpacked_bytes:,} bytes, expected at most {MAX_BYTES:,}."
            )
        with np.load(path, allow_pickle=False) as archive:
            return dict(archive)
    except zipfile.BadZipFile as error:
        raise DataDamaged(
            f"{path} is not a whole .npz archive: {error}. Fetch or write it again."
        ) from error
    except (ValueError, EOFError, zlib.error, MemoryError, NotImplementedError) as error:
        raise DataDamaged(f"{path} is corrupt: {error}. Fetch or write it again.") from error
    except OSError as error:
        raise DataMissing(f"{path} cannot be read: {error.strerror or error}.") from error


def as_bytes(array: np.ndarray, *, name: str) -> UInt8:
    """The array itself.

    Raises DataDamaged unless it has the type and the dimensions of images or labels.
    """
    dimensions = 3 if name.startswith("x_") else 1
    if array.dtype != np.uint8 or array.ndim != dimensions:
        raise DataDamaged(
            f"{name} is {array.dtype} in {array.ndim} dimensions, expected uint8 in {dimensions}. "
            "Fetch it again."
        )
    return array
