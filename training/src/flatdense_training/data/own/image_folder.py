"""A folder of images: one folder for each class, perhaps below `train` and `test`."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flatdense_training.data.datasets import TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS
from flatdense_training.data.idx import UInt8
from flatdense_training.data.own.bundle import Bundle
from flatdense_training.data.own.class_names import (
    check_class_names,
    name_folders,
    sort_naturally,
)
from flatdense_training.data.own.picture import NoPicture, PictureFault, WrongSize, read_picture
from flatdense_training.data.pixels import TO_SIZE
from flatdense_training.errors import DataMissing, DataUnfit

TRAIN_FOLDERS = ("train", "training")
TEST_FOLDERS = ("test", "testing")

MOST_TOLD = 5
"""Files that a message names; it counts the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """What one folder holds, without what is hidden."""

    folder: Path
    folders: list[str]
    """Sorted as people do."""
    others: list[Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """The images of all classes, in the order of the labels and then of their paths."""

    images: UInt8
    labels: UInt8
    paths: list[Path]
    strays: list[Path]
    """What lay among them and is no image."""


def read_image_folder(place: Path, class_names: Sequence[str] | None) -> Bundle:
    """The images in a folder. What is no image is left out, and the bundle's remarks name it.

    On one core, 10,000 files and more are read in a second. One is open at a time: threads gained
    nothing.

    Raises DataMissing where something cannot be read, DataUnfit where there is nothing to learn
    from, or an image cannot be used.
    """
    train, test, strays = find_parts(place)
    check_same_classes(train, test)
    folders = name_folders(train.folders, class_names, where=str(place))
    names = check_class_names(class_names or folders, where=str(place))
    arrays: dict[str, UInt8] = {}
    files: dict[str, list[str]] = {}
    for part, images, labels in (
        (train, TRAIN_IMAGES, TRAIN_LABELS),
        (test, TEST_IMAGES, TEST_LABELS),
    ):
        if part is not None:
            pictures = read_pictures(part.folder, folders)
            arrays[images], arrays[labels] = pictures.images, pictures.labels
            files[images] = [str(path.relative_to(place)) for path in pictures.paths]
            strays += part.others + pictures.strays
    remarks = []
    if strays:
        remarks.append(f"Left out, for they are no images: {enumerate_paths(place, strays)}.")
    if set(names) != set(folders):
        renamed = ", ".join(f"{old} is {new}" for old, new in zip(folders, names, strict=True))
        remarks.append(f"The classes have new names: {renamed}.")
    return Bundle(arrays=arrays, class_names=names, files=files, remarks=tuple(remarks))


def find_parts(place: Path) -> tuple[Level, Level | None, list[Path]]:
    """The folder of the classes to train on, that of those to test, and what lies beside the two.

    Raises DataMissing or DataUnfit.
    """
    whole = look_into(place)
    if not whole.folders:
        found = "has files and no folder in it" if whole.others else "is empty"
        raise DataUnfit(
            f"{place} {found}. Expected one folder of images for each class, perhaps "
            "below train and test; or IDX files by the names that MNIST's have."
        )
    train, test = (
        next((name for name in whole.folders if name.lower() in names), None)
        for names in (TRAIN_FOLDERS, TEST_FOLDERS)
    )
    if train is None and test is None:
        return whole, None, []
    if train is None:
        raise DataUnfit(
            f"{place} has the folder {test} and no folder train. Expected one folder for each "
            "class, or those below train, and perhaps test."
        )
    others = [name for name in whole.folders if name not in {train, test}]
    if others:
        raise DataUnfit(
            f"{place} has {', '.join(others)} beside {train}, expected train and test alone. "
            f"What validates is held out of {train}: move such images there, or elsewhere."
        )
    return look_into(place / train), look_into(place / test) if test else None, whole.others


def look_into(folder: Path) -> Level:
    """What a folder holds. Raises DataMissing where that cannot be seen."""
    try:
        with os.scandir(folder) as entries:
            seen = [(entry.name, entry.is_dir()) for entry in entries]
    except OSError as error:
        raise DataMissing(f"{folder} cannot be read: {error.strerror}.") from error
    visible = [(name, is_dir) for name, is_dir in seen if not name.startswith(".")]
    return Level(
        folder=folder,
        folders=sort_naturally(name for name, is_dir in visible if is_dir),
        others=[folder / name for name in sorted(name for name, is_dir in visible if not is_dir)],
    )


def check_same_classes(train: Level, test: Level | None) -> None:
    """Raises DataUnfit where one part has a class that the other lacks."""
    if test is None:
        return
    for part, other in ((train, test), (test, train)):
        missing = [name for name in part.folders if name not in other.folders]
        if missing:
            raise DataUnfit(
                f"{other.folder} has no folder {', '.join(missing)}, and {part.folder} has. "
                "Expected the same classes in both."
            )


def read_pictures(folder: Path, classes: Sequence[str]) -> Pictures:
    """The images in the folders of the classes, and in folders inside those.

    Raises DataMissing where a folder cannot be read, DataUnfit where a class has no image, or an
    image cannot be used: then the message names the first ones, and counts all.
    """
    images, labels, paths, strays = [], [], [], []
    faults: list[tuple[Path, PictureFault]] = []
    for label, name in enumerate(classes):
        for path in find_files(folder / name):
            try:
                images.append(read_picture(path))
            except NoPicture:
                strays.append(path)
            except PictureFault as fault:
                faults.append((path, fault))
            else:
                labels.append(label)
                paths.append(path)
    if faults:
        raise DataUnfit(tell_faults(folder, faults, files=len(images) + len(faults)))
    for label, name in enumerate(classes):
        if label not in labels:
            among = [path for path in strays if path.is_relative_to(folder / name)]
            found = f"; not an image: {enumerate_paths(folder, among)}" if among else ""
            raise DataUnfit(
                f"The class {name!r} has no image in {folder / name}{found}. "
                "Put images there, or take the folder away."
            )
    return Pictures(
        images=np.stack(images), labels=np.array(labels, np.uint8), paths=paths, strays=strays
    )


def find_files(folder: Path) -> Iterator[Path]:
    """What a folder and those inside it hold, sorted by name, without what is hidden."""
    level = look_into(folder)
    yield from level.others
    for name in level.folders:
        inner = folder / name
        if inner.is_symlink():
            yield inner  # it may lead back here: it is told as what is no image
        else:
            yield from find_files(inner)


def tell_faults(folder: Path, faults: list[tuple[Path, PictureFault]], *, files: int) -> str:
    """What to tell a user whose images cannot all be used."""
    lines = [f"{len(faults):,} of {files:,} images in {folder} cannot be used:"]
    lines += [f"  {path} {fault}" for path, fault in faults[:MOST_TOLD]]
    if len(faults) > MOST_TOLD:
        lines.append(f"  and {len(faults) - MOST_TOLD:,} more")
    if any(isinstance(fault, WrongSize) for _, fault in faults):
        lines.append(TO_SIZE)
    else:
        lines.append("Save them again, or take them away.")
    return "\n".join(lines)


def enumerate_paths(place: Path, paths: list[Path]) -> str:
    """The first of some paths, as they are called inside `place`, and how many there are."""
    told = ", ".join(str(path.relative_to(place)) for path in paths[:MOST_TOLD])
    more = len(paths) - MOST_TOLD
    return f"{told} and {more:,} more" if more > 0 else told
