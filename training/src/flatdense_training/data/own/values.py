"""Whether arrays of any type hold images and labels, and those as bytes."""

from typing import Any

import numpy as np
import numpy.typing as npt

from flatdense_training.data.idx import UInt8
from flatdense_training.data.own.class_names import MOST
from flatdense_training.data.pixels import FULL, SIDE, TO_SIZE
from flatdense_training.errors import DataUnfit

Array = npt.NDArray[Any]
Labels = npt.NDArray[np.int64]


def to_images(array: Array, *, where: str) -> UInt8:
    """Images as uint8 [N, 28, 28], 0 to 255.

    They may have an axis of one channel at the end, or be rows of 784. Whole numbers are taken as
    they are; fractions are scaled from 0..1. Raises DataUnfit, naming `where` they came from and
    the first row that is wrong.
    """
    images = array[..., 0] if array.shape[3:] == (1,) else array
    if images.shape[1:] == (SIDE * SIDE,):
        images = images.reshape(-1, SIDE, SIDE)
    if images.shape[1:] != (SIDE, SIDE):
        raise DataUnfit(
            f"{where} has the shape {array.shape}, expected (N, {SIDE}, {SIDE}): N images of "
            f"{SIDE}x{SIDE} grey pixels. {TO_SIZE}"
        )
    kind = images.dtype.kind
    if kind not in "buif":
        raise DataUnfit(
            f"{where} is of the type {images.dtype}, expected whole numbers from 0 to {FULL}."
        )
    scale = {"f": FULL, "b": FULL}.get(kind, 1)
    check_range(images, FULL // scale, where=where)
    if images.dtype == np.uint8:
        return images
    return np.rint(images * np.float32(scale)).astype(np.uint8)


def check_range(images: Array, most: int, *, where: str) -> None:
    """Raises DataUnfit unless every pixel is a number from 0 to `most`."""
    if images.dtype == np.uint8 or not images.size:
        return
    lowest, highest = images.min(), images.max()
    if lowest >= 0 and highest <= most:  # a NaN fails both
        return
    wrong = ~((images >= 0) & (images <= most))
    row = int(np.flatnonzero(wrong.any(axis=(1, 2)))[0])
    told = "fractions from 0 to 1" if images.dtype.kind == "f" else f"0 to {FULL}"
    hint = (
        " Where fractions go up to 255, make whole numbers of them: .astype('uint8')."
        if images.dtype.kind == "f" and highest > 1
        else ""
    )
    raise DataUnfit(
        f"{where}: row {row} has the pixel {images[row][wrong[row]][0]}, expected {told}.{hint}"
    )


def to_labels(array: Array, *, where: str) -> Labels:
    """Labels as int64 [N]; one column is taken for a row.

    Raises DataUnfit, naming `where` they came from, unless they are whole numbers.
    """
    labels = array[:, 0] if array.shape[1:] == (1,) else array
    if labels.ndim != 1:
        raise DataUnfit(
            f"{where} has the shape {array.shape}, expected (N,): one label for each image. "
            "Of rows with a 1 for the class, take .argmax(axis=1)."
        )
    if labels.dtype.kind not in "ui":
        raise DataUnfit(
            f"{where} is of the type {labels.dtype}, expected whole numbers that count the classes "
            "from 0, such as uint8. Names of classes are given by --class-names."
        )
    if labels.dtype == np.uint64:
        labels = labels.clip(max=np.iinfo(np.int64).max)
    return labels.astype(np.int64)


def check_labels(labels: Labels, *, classes: int, where: str) -> UInt8:
    """Labels as uint8 [N]. Raises DataUnfit, naming the first row that is none of the classes."""
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if wrong.size:
        row = int(wrong[0])
        most = f" for {classes} classes" if classes < MOST else f", for at most {MOST} classes"
        raise DataUnfit(
            f"{where}: row {row} has the label {labels[row]}, expected 0 to {classes - 1}{most}. "
            f"{wrong.size:,} of {len(labels):,} labels are out of range."
        )
    return labels.astype(np.uint8)
