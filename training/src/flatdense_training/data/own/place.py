"""A user's own data, from whatever form it has in a folder or file."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from flatdense_training.data.checksums import digest_array
from flatdense_training.data.datasets import (
    TEST_IMAGES,
    TEST_LABELS,
    TRAIN_IMAGES,
    TRAIN_LABELS,
    Dataset,
    recognise,
)
from flatdense_training.data.folder import find_files, is_file
from flatdense_training.data.idx import UInt8
from flatdense_training.data.own.arrays import read_archive, read_idx_folder
from flatdense_training.data.own.bundle import Bundle
from flatdense_training.data.own.image_folder import read_image_folder
from flatdense_training.data.pixels import FULL
from flatdense_training.data.sources import Source

LIGHT = FULL / 2
"""A border that is brighter is a light ground."""


def read_place(place: Path, class_names: Sequence[str] | None) -> Source:
    """A dataset of the user's own: an .npz archive, a folder of IDX files, or one of images.

    Its classes are called as `class_names` says or, by None, as the folders or the labels are. A
    copy of a known dataset is recognised by its checksums, and is that dataset.

    Raises DataMissing, DataDamaged or DataUnfit.
    """
    bundle = read_bundle(place, class_names)
    sha256 = {name: digest_array(array) for name, array in bundle.arrays.items()}
    known = recognise(sha256)
    if known is None:
        dataset = describe(place, bundle, sha256)
    else:
        dataset = replace(known, class_names=bundle.class_names) if class_names else known
    return Source(
        dataset=dataset,
        arrays=bundle.arrays,
        origin=str(place),
        files=bundle.files,
        remarks=(*bundle.remarks, *tell_light_ground(bundle.arrays[TRAIN_IMAGES])),
    )


def read_bundle(place: Path, class_names: Sequence[str] | None) -> Bundle:
    """What `place` holds, by the reader of its form. Raises as read_place() does."""
    if is_file(place):
        return read_archive(place, class_names)
    names = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)
    read = read_idx_folder if find_files(names, place) else read_image_folder
    return read(place, class_names)


def describe(place: Path, bundle: Bundle, sha256: Mapping[str, str]) -> Dataset:
    """The dataset that a bundle is, called as its folder or file is.

    A model of it must be better than one that always gives the most frequent class.
    """
    name = place.resolve().name.removesuffix(".npz") or "data"
    printable = "".join(letter if letter.isprintable() else "?" for letter in name)
    counts = np.bincount(bundle.arrays[TRAIN_LABELS])
    return Dataset(
        name=printable,
        title=printable,
        class_names=bundle.class_names,
        sha256=sha256,
        min_accuracy=round(float(counts.max() / counts.sum()), 4),
    )


def tell_light_ground(images: UInt8) -> list[str]:
    """A remark where the ground of most images is light."""
    edges = [images[:, 0], images[:, -1], images[:, 1:-1, 0], images[:, 1:-1, -1]]
    brightness = float(np.median(np.concatenate(edges, axis=1)))
    if brightness <= LIGHT:
        return []
    remark = (
        f"The ground seems light: half of the border is {brightness:.0f} or brighter. Callers of "
        "the model send light ink on a dark ground, as flatdense_client.prepare_image makes it: "
        "invert the images, 255 - pixels, unless yours do otherwise."
    )
    return [remark]
