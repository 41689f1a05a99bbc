"""Arrays that a user brings: IDX files by MNIST's names, or an archive in Keras's layout."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from flatdense_training.data.datasets import TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS
from flatdense_training.data.folder import find_files, read_array
from flatdense_training.data.idx import UInt8
from flatdense_training.data.npz import KERAS_NAMES, load_arrays
from flatdense_training.data.own.bundle import Bundle
from flatdense_training.data.own.class_names import DEFAULT, check_class_names
from flatdense_training.data.own.values import Array, Labels, check_labels, to_images, to_labels
from flatdense_training.errors import DataUnfit

PAIRS = ((TRAIN_IMAGES, TRAIN_LABELS), (TEST_IMAGES, TEST_LABELS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """What was found in one place, not judged yet."""

    place: Path
    arrays: Mapping[str, Array]
    """By their IDX names."""
    titles: Mapping[str, str]
    """IDX name -> what the array is called in this place."""

    def where(self, name: str) -> str:
        """How messages call an array."""
        return f"{self.titles[name]} in {self.place}"


def read_idx_folder(place: Path, class_names: Sequence[str] | None) -> Bundle:
    """The IDX files in a folder, packed or not, by the names that MNIST's have.

    Raises DataMissing, DataDamaged or DataUnfit.
    """
    files = find_files((name for pair in PAIRS for name in pair), place)
    arrays = {name: read_array(path, name=name) for name, path in files.items()}
    titles = {name: files[name].name if name in files else name for pair in PAIRS for name in pair}
    return judge(Shelf(place=place, arrays=arrays, titles=titles), class_names)


def read_archive(place: Path, class_names: Sequence[str] | None) -> Bundle:
    """An .npz with `x_train` and `y_train`, and perhaps `x_test` and `y_test`.

    Raises DataMissing, DataDamaged or DataUnfit.
    """
    found = load_arrays(place)
    arrays = {name: found.pop(key) for name, key in KERAS_NAMES.items() if key in found}
    bundle = judge(Shelf(place=place, arrays=arrays, titles=KERAS_NAMES), class_names)
    left = f"Left out, for their names say nothing: {', '.join(sorted(found))}."
    return replace(bundle, remarks=(left,)) if found else bundle


def judge(shelf: Shelf, class_names: Sequence[str] | None) -> Bundle:
    """The arrays as bytes, with as many classes as there are names, else as the labels say.

    Raises DataUnfit.
    """
    check_complete(shelf)
    pairs = [pair for pair in PAIRS if pair[0] in shelf.arrays]
    images = {name: to_images(shelf.arrays[name], where=shelf.where(name)) for name, _ in pairs}
    labels = {name: to_labels(shelf.arrays[name], where=shelf.where(name)) for _, name in pairs}
    for image_name, label_name in pairs:
        rows, marks = len(images[image_name]), len(labels[label_name])
        if rows != marks or not rows:
            raise DataUnfit(
                f"{shelf.place} has {rows:,} images in {shelf.titles[image_name]} and {marks:,} "
                f"labels in {shelf.titles[label_name]}, expected as many of both, and at least one."
            )
    names = class_names or usual_names(labels.values())
    arrays: dict[str, UInt8] = {}
    for image_name, label_name in pairs:
        where = shelf.where(label_name)
        arrays[image_name] = images[image_name]
        arrays[label_name] = check_labels(labels[label_name], classes=len(names), where=where)
    names = check_class_names(names, where=str(shelf.place))
    for _, label_name in pairs:
        check_every_class(arrays[label_name], names, where=shelf.where(label_name))
    return Bundle(arrays=arrays, class_names=names)


def usual_names(labels: Iterable[Labels]) -> tuple[str, ...]:
    """The usual names up to the highest label; all of them where a label is below 0."""
    parts = list(labels)
    if min(part.min() for part in parts) < 0:
        return DEFAULT
    return DEFAULT[: max(int(part.max()) for part in parts) + 1]


def check_complete(shelf: Shelf) -> None:
    """Raises DataUnfit unless there are images and labels to train on, and to test both or none."""
    train, test = PAIRS
    wanted = [*train, *(test if any(name in shelf.arrays for name in test) else ())]
    absent = [shelf.titles[name] for name in wanted if name not in shelf.arrays]
    if absent:
        needed, optional = (" and ".join(shelf.titles[name] for name in pair) for pair in PAIRS)
        raise DataUnfit(
            f"{shelf.place} lacks {', '.join(absent)}. Expected {needed}, and perhaps {optional}: "
            "without those, a part is held out to test."
        )


def check_every_class(labels: UInt8, names: Sequence[str], *, where: str) -> None:
    """Raises DataUnfit where a class has no image."""
    counts = np.bincount(labels, minlength=len(names))
    absent = [label for label in range(len(names)) if not counts[label]]
    if absent:
        told = ", ".join(f"{label}, of the class {names[label]!r}" for label in absent)
        raise DataUnfit(
            f"{where}: no image has the label {told}. Expected labels that count the classes "
            f"from 0, and an image of each of the {len(names)} classes."
        )
