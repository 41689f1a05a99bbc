"""A folder, or an archive, that holds a dataset."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from flatdense_training.data.checksums import verify_arrays
from flatdense_training.data.datasets import Dataset
from flatdense_training.data.idx import UInt8, parse_idx, read_bytes
from flatdense_training.data.npz import read_npz
from flatdense_training.errors import DataMissing

IMAGE_DIMENSIONS = 3
LABEL_DIMENSIONS = 1


def read_folder(dataset: Dataset, place: Path) -> Mapping[str, UInt8]:
    """The dataset's arrays by name, checked, from its IDX files or its Keras archive.

    `place` is a folder that holds `<array>.gz` or `<array>` for each array, or `<dataset>.npz`; or
    such an archive itself. Raises DataMissing where it holds neither, DataDamaged where something
    in it is wrong.
    """
    if is_file(place):
        return read_archive(dataset, place)
    files = find_files(dataset.sha256, place)
    absent = sorted(dataset.sha256.keys() - files.keys())
    archive = place / f"{dataset.name}.npz"
    if absent and is_file(archive):
        return read_archive(dataset, archive)
    if absent:
        raise DataMissing(
            f"{place} lacks {', '.join(absent)} of {dataset.title}. Expected the original IDX "
            f"files, gzipped or not, or the Keras archive {archive.name}."
        )
    arrays = {name: read_array(path, name=name) for name, path in files.items()}
    verify_arrays(dataset, arrays, where={name: str(path) for name, path in files.items()})
    return arrays


def is_file(path: Path) -> bool:
    """Whether there is a file that can be seen; a hindrance is left to those who read it."""
    try:
        return path.is_file()
    except OSError:
        return False


def find_files(names: Iterable[str], folder: Path) -> dict[str, Path]:
    """The IDX file of each of the arrays that `folder` has, packed or not.

    Raises DataMissing where there is no such folder.
    """
    try:
        present = {entry.name for entry in folder.iterdir()}
    except OSError as error:
        raise DataMissing(
            f"{folder} cannot be read: {error.strerror}. Expected a folder with the data."
        ) from error
    # Later ones win: a packed file goes before a raw one, because the packed one is what a download
    # renews.
    return {
        name: folder / f"{name}{suffix}"
        for name in names
        for suffix in ("", ".gz")
        if f"{name}{suffix}" in present
    }


def read_array(path: Path, *, name: str) -> UInt8:
    """One array from its IDX file, packed or not; its checksum is not looked at.

    Raises DataMissing or DataDamaged.
    """
    return parse_array(read_bytes(path), name=name, where=str(path))


def parse_array(data: bytes, *, name: str, where: str) -> UInt8:
    """One array from the bytes of its IDX file.

    Raises DataDamaged, naming `where` they came from.
    """
    dimensions = IMAGE_DIMENSIONS if "images" in name else LABEL_DIMENSIONS
    return parse_idx(data, dimensions=dimensions, name=where)


def read_archive(dataset: Dataset, path: Path) -> Mapping[str, UInt8]:
    """The dataset's arrays from its Keras archive, checked. Raises DataMissing or DataDamaged."""
    arrays = read_npz(path)
    verify_arrays(dataset, arrays, where=dict.fromkeys(arrays, str(path)))
    return arrays
