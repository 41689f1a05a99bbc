"""What callers give as images, and how it becomes rows of pixels. Nothing here sends a byte."""

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from flatdense_client._errors import InvalidInput
from flatdense_client._images.kinds import ImagesLike
from flatdense_client._images.pictures import is_picture
from flatdense_client._images.pixels import (
    IMAGE_SHAPES,
    Rows,
    check_array,
    check_row,
    join,
    refusal,
)
from flatdense_client._images.prepare import prepare_image
from flatdense_client._images.tensors import to_array

_NUMBERS = (int, float, np.generic)
_NO_LISTS = (str, bytes, bytearray, memoryview)
"""Sequences whose items are not images."""


def check_images(images: ImagesLike) -> Rows:
    """Brings one image or many to rows; pictures are prepared as `prepare_image` does it.

    Numbers are judged by their own type: integers are 0 (ground) to 255 (ink), floats are already
    scaled to 0..1, and a true boolean is ink. The items of a list are one image each, except that
    a nested list of numbers is what NumPy makes of it.

    Raises InvalidInput: a shape, a type or a value is not one of these, or a picture cannot be
    prepared; the message names the row and the file. Raises ImportError: there is a picture, and
    Pillow is missing.
    """
    if type(images) is np.ndarray:
        return check_array(images)
    if isinstance(images, Sequence) and not isinstance(images, _NO_LISTS):
        return _check_nested(images) if _is_nested(images) else _check_each(images)
    return check_array(_read(images))


async def check_images_async(images: ImagesLike) -> Rows:
    """check_images, which prepares pictures on another thread: the event loop runs on."""
    if _holds_pictures(images):
        return await asyncio.to_thread(check_images, images)
    return check_images(images)


def check_stream(images: object) -> None:
    """Refuses what would be taken apart into letters. Raises InvalidInput: it is one picture."""
    if isinstance(images, _NO_LISTS):
        told = "one picture came; expected an iterable of images: call classify, or give a list"
        raise refusal(told)


def _holds_pictures(images: ImagesLike) -> bool:
    if isinstance(images, list | tuple):
        return not _is_nested(images) and any(map(is_picture, images))
    return is_picture(images)


def _is_nested(images: Sequence[object]) -> bool:
    """Whether these are numbers, or lists of what may be numbers, and nothing else."""
    if not images or isinstance(images[0], _NUMBERS):
        return True
    return all(isinstance(image, list | tuple) for image in images)


def _check_nested(images: Sequence[object]) -> Rows:
    try:
        array = np.asarray(images)
    except (TypeError, ValueError):
        return _check_each(images)  # which row is to blame
    return check_array(array)


def _check_each(images: Sequence[object]) -> Rows:
    arrays = [_read_row(image, row) for row, image in enumerate(images)]
    shape, dtype = arrays[0].shape, arrays[0].dtype
    if all(array.shape == shape and array.dtype == dtype for array in arrays) and (
        shape in IMAGE_SHAPES or (len(arrays), *shape) in IMAGE_SHAPES
    ):
        return check_array(np.stack(arrays))
    wrong = [row for row, array in enumerate(arrays) if array.shape not in IMAGE_SHAPES]
    # Where lines of one image are not equally long, the odd one is to blame and not the first.
    odd = [row for row in wrong if arrays[row].shape != shape]
    for row in odd[:1]:
        check_row(arrays[row], row)
    return join([check_row(array, row) for row, array in enumerate(arrays)])


def _read_row(image: object, row: int) -> npt.NDArray[Any]:
    try:
        return _read(image)
    except InvalidInput as error:
        raise refusal(f"row {row}: {error}") from error.__cause__


def _read(image: Any) -> npt.NDArray[Any]:  # noqa: ANN401  # anything may come
    if type(image) is np.ndarray:
        return image
    return prepare_image(image).pixels if is_picture(image) else to_array(image)
