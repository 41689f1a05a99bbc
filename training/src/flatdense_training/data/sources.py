"""Where the data comes from: the named folder, else the cache, else the mirrors.

Whatever it is, it is verified.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from flatdense_training.data.checksums import verify_array
from flatdense_training.data.datasets import DIGITS, Dataset
from flatdense_training.data.digits import read_embedded
from flatdense_training.data.download import Progress, download
from flatdense_training.data.folder import find_files, parse_array, read_array, read_folder
from flatdense_training.data.idx import UInt8, unpack
from flatdense_training.errors import DataDamaged, DataMissing, DownloadFailed


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A dataset's arrays, verified, and where they came from."""

    dataset: Dataset
    arrays: Mapping[str, UInt8]
    """By the names in Dataset.sha256."""
    origin: str
    """For people: a folder, or what was done to get there."""
    files: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Of arrays of images that were files of their own: the name of each, below the origin."""
    remarks: tuple[str, ...] = ()
    """What the user should know of this data, a sentence each."""


def find_source(
    dataset: Dataset, *, data_dir: Path | None, cache_dir: Path, progress: Progress
) -> Source:
    """Reads the dataset from the first place that applies.

    - the package itself, for the embedded digits;
    - `data_dir` where it is given, and then from nowhere else;
    - the folder `cache_dir/<dataset>`;
    - the mirrors, into that folder.

    Raises DataMissing or DataDamaged for `data_dir`, DownloadFailed where neither cache nor mirrors
    have the data.
    """
    if dataset is DIGITS:
        return Source(dataset=dataset, arrays=read_embedded(), origin="the installed package")
    if data_dir is not None:
        return Source(dataset=dataset, arrays=read_folder(dataset, data_dir), origin=str(data_dir))
    folder = cache_dir / dataset.name
    try:
        return Source(
            dataset=dataset, arrays=read_folder(dataset, folder), origin=f"the cache {folder}"
        )
    except (DataMissing, DataDamaged) as error:
        try:
            fill_cache(dataset, folder, progress)
        except DownloadFailed as failure:
            raise DownloadFailed(ways_on(dataset, folder, error, failure)) from failure
    return Source(
        dataset=dataset,
        arrays=read_folder(dataset, folder),
        origin=f"the mirrors, now in {folder}",
    )


def fill_cache(dataset: Dataset, folder: Path, progress: Progress) -> None:
    """Downloads each file that `folder` lacks or has damaged. Raises DownloadFailed."""
    try:
        files = find_files(dataset.sha256, folder)
    except DataMissing:  # no folder yet, or none that can be read: writing to it says which
        files = {}
    for name in dataset.sha256:
        if name in files and is_intact(dataset, name, files[name]):
            continue
        download(
            f"{name}.gz",
            mirrors=dataset.mirrors,
            folder=folder,
            verify=partial(verify_packed, dataset=dataset, name=name),
            progress=progress,
        )


def is_intact(dataset: Dataset, name: str, path: Path) -> bool:
    """Whether a file of the cache is the dataset's array `name`."""
    try:
        verify_array(dataset, name, read_array(path, name=name), where=str(path))
    except (DataMissing, DataDamaged):
        return False
    return True


def verify_packed(data: bytes, *, dataset: Dataset, name: str) -> None:
    """Raises DataDamaged unless `data` is the gzip of the dataset's array `name`."""
    where = "what it sent"
    verify_array(
        dataset, name, parse_array(unpack(data, name=where), name=name, where=where), where=where
    )


def ways_on(dataset: Dataset, folder: Path, cache: Exception, mirrors: Exception) -> str:
    """What to tell a user who has no data and no network."""
    return (
        f"There is no {dataset.title} to train on.\n"
        f"The cache: {cache}\n"
        f"The mirrors: {mirrors}\n"
        "Ways on:\n"
        "  --data-dir FOLDER   a folder with the original IDX files, gzipped or not, "
        "or with the Keras .npz archive\n"
        f"  the cache           put those files into {folder}\n"
        "  --dataset digits    train on the digits embedded in scikit-learn, which need no network"
    )
