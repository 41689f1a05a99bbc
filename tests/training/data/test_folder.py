"""Folders and archives that hold a dataset."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from flatdense_training.data.datasets import TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS, Dataset
from flatdense_training.data.folder import read_folder
from flatdense_training.data.idx import UInt8, format_idx
from flatdense_training.data.npz import KERAS_NAMES
from flatdense_training.errors import DataDamaged, DataMissing


def write_npz(arrays: dict[str, UInt8], path: Path) -> Path:
    """Writes the dataset as Keras does."""
    np.savez(path, **{KERAS_NAMES[name]: array for name, array in arrays.items()})
    return path


@pytest.mark.parametrize("form", ["packed", "plain", "archive", "folder of archive"])
def test_every_form_gives_the_same_arrays(
    tiny: Dataset,
    arrays: dict[str, UInt8],
    write_idx: Callable[..., Path],
    tmp_path: Path,
    form: str,
) -> None:
    """Packed files, plain files and an archive, named or found, hold the same dataset."""
    place = tmp_path
    if form == "archive":
        place = write_npz(arrays, tmp_path / "any-name.npz")
    elif form == "folder of archive":
        write_npz(arrays, tmp_path / "tiny.npz")
    else:
        write_idx(tmp_path, gzipped=form == "packed")
    found = read_folder(tiny, place)
    assert found.keys() == arrays.keys()
    assert all(np.array_equal(found[name], arrays[name]) for name in arrays)


def test_packed_and_plain_may_be_mixed(
    tiny: Dataset, arrays: dict[str, UInt8], write_idx: Callable[..., Path], tmp_path: Path
) -> None:
    """Each file may be packed or not by itself."""
    write_idx(tmp_path, gzipped=True)
    (tmp_path / f"{TEST_LABELS}.gz").unlink()
    (tmp_path / TEST_LABELS).write_bytes(format_idx(arrays[TEST_LABELS]))
    assert len(read_folder(tiny, tmp_path)) == 4


def test_incomplete_folder(tiny: Dataset, write_idx: Callable[..., Path], tmp_path: Path) -> None:
    """What is missing is listed, with what would do instead."""
    write_idx(tmp_path, gzipped=True)
    (tmp_path / f"{TRAIN_IMAGES}.gz").unlink()
    (tmp_path / f"{TEST_LABELS}.gz").unlink()
    with pytest.raises(DataMissing, match=rf"lacks {TEST_LABELS}, {TRAIN_IMAGES} .*tiny\.npz"):
        read_folder(tiny, tmp_path)


def test_no_folder(tiny: Dataset, tmp_path: Path) -> None:
    """A folder that does not exist is named."""
    with pytest.raises(DataMissing, match="absent cannot be read: No such file or directory"):
        read_folder(tiny, tmp_path / "absent")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (f"{TRAIN_IMAGES}.gz", gzip.compress(b"x" * 99, mtime=0)[:-9], "cut short"),
        (f"{TRAIN_IMAGES}.gz", b"", "is empty"),
        (f"{TRAIN_IMAGES}.gz", b"<html>Not found</html>", "not the expected IDX file"),
        (f"{TRAIN_LABELS}.gz", format_idx(np.zeros(39, np.uint8)), "40 images and 39 labels"),
        (f"{TRAIN_LABELS}.gz", format_idx(np.full(40, 11, np.uint8)), "has the label 11"),
        (f"{TRAIN_LABELS}.gz", format_idx(np.zeros(40, np.uint8)), "is not the original"),
    ],
)
def test_damaged_files(
    tiny: Dataset,
    write_idx: Callable[..., Path],
    tmp_path: Path,
    file: str,
    content: bytes,
    message: str,
) -> None:
    """Whatever is wrong with a file, the message begins with its path."""
    write_idx(tmp_path, gzipped=True)
    (tmp_path / file).write_bytes(content)
    with pytest.raises(DataDamaged, match=message) as caught:
        read_folder(tiny, tmp_path)
    assert str(caught.value).startswith(str(tmp_path / file))
