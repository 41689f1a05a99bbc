"""What is accepted as images, one or many, and what is said of the row that is none."""

import array
import asyncio
import io
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from flatdense_client import (
    AsyncClient,
    Client,
    ImagesLike,
    InvalidInput,
    Predictions,
    prepare_image,
)
from flatdense_client._images.inputs import check_images, check_images_async
from flatdense_client._images.pixels import Rows
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

IMAGES = hnp.arrays(np.uint8, st.tuples(st.integers(1, 4), st.just(28), st.just(28)))
SEVEN = Path(__file__).parents[3] / "examples" / "seven.png"
PHOTO = SEVEN.with_name("photo_of_a_three.png")


class _Tensor:
    """A tensor of a library that NumPy does not know, which lends itself through DLPack alone."""

    def __init__(self, numbers: npt.NDArray[Any]) -> None:
        self._numbers = numbers

    def __dlpack__(self, **asked: Any) -> Any:  # noqa: ANN401  # the protocol's
        """Lends the memory."""
        return self._numbers.__dlpack__(**asked)

    def __dlpack_device__(self) -> tuple[int, int]:
        """The memory is the processor's."""
        return self._numbers.__dlpack_device__()


class _Array:
    """A tensor of a library that makes a NumPy array of itself."""

    def __init__(self, numbers: npt.NDArray[Any]) -> None:
        self._numbers = numbers

    def __array__(self, dtype: npt.DTypeLike | None = None) -> npt.NDArray[Any]:
        return self._numbers if dtype is None else self._numbers.astype(dtype)


FORMS: list[Callable[[npt.NDArray[np.uint8]], ImagesLike]] = [
    lambda image: image,
    lambda image: image.reshape(784),
    lambda image: image.astype(">i4"),
    lambda image: image.tolist(),
    lambda image: tuple(image.reshape(784).tolist()),
    _Tensor,
    _Array,
    lambda image: memoryview(image.tobytes()),
    lambda image: array.array("B", image.tobytes()),
]


def _bytes_of(images: ImagesLike) -> bytes:
    rows = check_images(images)
    return rows.to_bytes(0, len(rows))


@given(images=IMAGES, forms=st.lists(st.sampled_from(FORMS), min_size=4, max_size=4))
def test_a_list_may_hold_images_of_every_form(
    images: npt.NDArray[np.uint8], forms: list[Callable[[npt.NDArray[np.uint8]], ImagesLike]]
) -> None:
    """Each form is the same bytes alone, and in a list of any mixture, in the list's order."""
    given_images = [form(image) for form, image in zip(forms, images, strict=False)]
    for image, given_image in zip(images, given_images, strict=True):
        assert _bytes_of(given_image) == image.tobytes()
    for many in (given_images, tuple(given_images), deque(given_images)):
        assert _bytes_of(many) == images.tobytes()


@given(images=IMAGES)
def test_nested_lists_are_arrays(images: npt.NDArray[np.uint8]) -> None:
    """A nested list of numbers is the array that NumPy makes of it, also one of lines."""
    assert _bytes_of(images.tolist()) == images.tobytes()
    assert _bytes_of(list(images)) == images.tobytes()
    assert _bytes_of(list(images[0])) == images[0].tobytes()
    assert _bytes_of([line.tolist() for line in images[0]]) == images[0].tobytes()
    scaled = check_images((images / 255).tolist())
    assert scaled.dtype == np.dtype("<f4")


def test_a_float_anywhere_in_a_nested_list_makes_it_floats() -> None:
    """A row of zeros and ones among rows of floats is floats: JSON may write 1.0 as 1."""
    rows = check_images([[0, 1] * 392, [0.5] * 784])
    assert rows.dtype == np.dtype("<f4")
    assert rows.pixels.max() == 1


@given(
    integers=hnp.arrays(np.uint8, 784),
    floats=hnp.arrays(np.float64, 784, elements=st.floats(0, 1)),
    booleans=hnp.arrays(np.bool_, (28, 28)),
)
def test_each_image_of_a_list_is_judged_by_its_own_type(
    integers: npt.NDArray[np.uint8],
    floats: npt.NDArray[np.float64],
    booleans: npt.NDArray[np.bool_],
) -> None:
    """Beside floats, integers and booleans are scaled as the server would scale them."""
    rows = check_images([integers, floats, booleans])
    scaled = np.stack(
        [
            integers.astype(np.float32) / np.float32(255),
            floats.astype(np.float32),
            booleans.reshape(784).astype(np.float32),
        ]
    )
    assert rows.to_bytes(0, 3) == scaled.tobytes()


def _as_bytes(path: Path) -> bytes:
    return path.read_bytes()


def _as_bytearray(path: Path) -> bytearray:
    return bytearray(path.read_bytes())


def _as_opened(path: Path) -> Image.Image:
    return Image.open(path)


@pytest.mark.parametrize("form", [Path, str, _as_bytes, _as_bytearray, _as_opened, prepare_image])
@pytest.mark.parametrize("path", [SEVEN, PHOTO], ids=["as it is", "photo"])
def test_pictures_are_prepared(path: Path, form: Callable[[Path], ImagesLike]) -> None:
    """A picture in any form, alone or in a list, is what prepare_image makes of it."""
    expected = prepare_image(path).pixels.tobytes()
    picture = form(path)
    assert _bytes_of(picture) == expected
    assert _bytes_of([picture]) == expected
    zeros = np.zeros(784, np.uint8)
    assert _bytes_of([zeros, picture, [0] * 784, picture]) == (
        zeros.tobytes() + expected + zeros.tobytes() + expected
    )


def _generate() -> Iterator[int]:
    yield 0


@pytest.mark.parametrize(
    ("images", "told"),
    [
        (None, "this is of the type NoneType; expected an array"),
        ({}, "this is of the type dict"),
        (_generate(), "this is of the type generator"),
        (0.5, "shape ()"),
        ([], "there are no images"),
        (deque(), "there are no images"),
        ([[]], "shape (1, 0)"),
        ("no/such.png", "'no/such.png': there is no such file"),
        (b"hello", "this is not a PNG or JPEG picture"),
        ([SEVEN, "no/such.png"], "row 1: 'no/such.png': there is no such file"),
        ([SEVEN, b"hello", None], "row 1: this is not a PNG or JPEG picture"),
        ([SEVEN, SEVEN, None], "row 2: this is of the type NoneType"),
        ([SEVEN, np.zeros((3, 3))], "row 1 has the shape (3, 3); expected (784,) or (28, 28)"),
        ([SEVEN, np.zeros((1, 784))], "row 1 has the shape (1, 784)"),
        ([np.zeros((1, 28, 28))] * 3, "row 0 has the shape (1, 28, 28)"),
        ([SEVEN, np.zeros(784, complex)], "row 1 has the type complex128; expected uint8 or float"),
        ([SEVEN, np.full(784, 2.0)], "row 1 has the value 2.0 at pixel (0, 0)"),
        ([np.zeros(784), np.full(784, np.nan)], "row 1 has the value nan at pixel (0, 0)"),
        ([[0] * 784, [0] * 3], "row 1 has the shape (3,)"),
        ([[0] * 28] * 20 + [[0] * 27] + [[0] * 28] * 7, "row 20 has the shape (27,)"),
        ([[0] * 784, [0] * 783 + [[1]]], "row 1: the numbers do not form an array"),
        ([["a.png"], ["b.png"]], "the images have the type <U5; expected uint8 or float"),
        ([0, 1, "a.png"], "expected uint8 or float"),
        ([[0] * 784, [256] * 784], "row 1 has the value 256"),
    ],
)
def test_the_row_to_blame_is_named(images: Any, told: str) -> None:  # noqa: ANN401  # anything
    """What is no image is refused with its row, its file, what came and what was expected."""
    with pytest.raises(InvalidInput) as caught:
        check_images(images)
    assert told in str(caught.value)


def test_the_fast_path_copies_nothing() -> None:
    """An array goes as it is."""
    images = np.zeros((3, 28, 28), np.float32)
    assert np.shares_memory(check_images(images).pixels, images)
    assert np.shares_memory(check_images(_Tensor(images)).pixels, images)


def test_pictures_do_not_hold_up_the_event_loop() -> None:
    """On an event loop, pictures are read by another thread, and numbers at once."""
    readers = set()

    class Watched(os.PathLike[str]):
        """A path that notes who opens it."""

        def __fspath__(self) -> str:
            readers.add(threading.current_thread())
            return str(SEVEN)

    async def check() -> tuple[Rows, Rows, Rows]:
        """Checks pictures and numbers."""
        path = Watched()
        return (
            await check_images_async(path),
            await check_images_async([np.zeros(784, np.uint8), path]),
            await check_images_async([[0] * 784]),
        )

    one, two, numbers = asyncio.run(check())
    assert (len(one), len(two), len(numbers)) == (1, 2, 1)
    assert readers
    assert threading.current_thread() not in readers


def _by_client(address: str, images: Any) -> Predictions:  # noqa: ANN401  # anything
    with Client(address) as client:
        return client.classify(images)


def _by_stream(address: str, images: Any) -> Predictions:  # noqa: ANN401  # anything
    with Client(address) as client:
        (predictions,) = client.classify_stream([images])
        return predictions


def _by_async_client(address: str, images: Any) -> Predictions:  # noqa: ANN401  # anything
    async def ask() -> Predictions:
        """One call."""
        async with AsyncClient(address) as client:
            return await client.classify(images)

    return asyncio.run(ask())


def _by_async_stream(address: str, images: Any) -> Predictions:  # noqa: ANN401  # anything
    async def ask() -> Predictions:
        """One stream."""
        async with AsyncClient(address) as client:
            (predictions,) = [p async for p in client.classify_stream([images])]
            return predictions

    return asyncio.run(ask())


@pytest.mark.parametrize("ask", [_by_client, _by_stream, _by_async_client, _by_async_stream])
def test_every_call_takes_every_form(
    address: str, seen_rows: list[int], ask: Callable[[str, Any], Predictions]
) -> None:
    """A mixed list is answered in its order; one bad row, and no byte of it is sent."""
    file = io.BytesIO(PHOTO.read_bytes())
    seven = prepare_image(SEVEN)
    photo = prepare_image(PHOTO)
    mixed = [SEVEN, str(PHOTO), Image.open(file), seven.pixels, photo.pixels.tolist(), photo]
    came = ask(address, mixed)
    expected = ask(
        address, np.stack([(seven, photo)[row not in (0, 3)].pixels for row in range(6)])
    )
    assert np.array_equal(came.probabilities, expected.probabilities)
    seen_rows.clear()
    with pytest.raises(InvalidInput, match=r"row 6: 'no/such\.png': there is no such file"):
        ask(address, [*mixed, "no/such.png"])
    assert seen_rows == []


@pytest.mark.parametrize("picture", ["digit.png", b"\x89PNG", bytearray(b"\x89PNG")])
@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_one_picture_is_no_stream(kind: type[Client], picture: str | bytes) -> None:
    """A name or bytes are refused at once, and not taken apart into letters."""
    with pytest.raises(InvalidInput, match="call classify, or give a list"):
        kind("127.0.0.1:1").classify_stream(picture)
