"""What type checkers say of the images that callers give."""

import subprocess
import sys
from pathlib import Path

HEAD = """
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from flatdense_client import (
    AsyncClient, Client, ImageLike, ImagesLike, PreparedImage, prepare_image
)
from PIL import Image


class Tensor:
    def __dlpack__(self, *, stream: int | None = None) -> object:
        return stream

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)


class Array:
    def __array__(self, dtype: Any = None) -> npt.NDArray[np.float32]:
        return np.zeros(784, np.float32)
"""

RIGHT = (
    HEAD
    + """

def use(client: Client, path: Path, pil: Image.Image, array: npt.NDArray[np.uint8]) -> None:
    for one in ("digit.png", path, b"", bytearray(), pil, array, Tensor(), Array()):
        print(client.classify(one)[0].label)
    client.classify([0] * 784)
    client.classify([[0.5] * 28] * 28)
    client.classify([[[0.5] * 28] * 28])
    client.classify(["a.png", "b.png"])
    client.classify(sorted(path.iterdir()))
    client.classify((pil, pil))
    client.classify([pil, path, array])
    client.classify([pil, path, array, "a.png", b"", Tensor(), Array(), [0] * 784])
    mixed: list[ImageLike] = [pil, path]
    images: ImagesLike = mixed
    client.classify(images)
    prepared: PreparedImage = prepare_image(path)
    client.classify([prepared, prepare_image(pil), prepare_image(array)])
    client.explain([pil, prepared])
    print(np.asarray(prepared).sum(), prepared.crop_box[0] + 1, prepared.scale * 2)


def generate(path: Path, pil: Image.Image) -> Iterator[ImagesLike]:
    yield path
    yield [pil, path]


async def stream(client: Client, later: AsyncClient, path: Path, pil: Image.Image) -> None:
    for predictions in client.classify_stream(generate(path, pil)):
        print(predictions.labels)
    client.classify_stream(path.iterdir())
    await later.classify([path, pil])
    async for predictions in later.classify_stream([path, pil]):
        print(predictions.labels)
"""
)

WRONG = ("classify(None)", "classify({1: 2})", "classify(object())", "classify([None])")


def _check(code: str, folder: Path) -> str:
    """What mypy says of a user's code in its strict mode, with no settings of this workspace."""
    file = folder / "user.py"
    file.write_text(code)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--config-file=", "--no-error-summary"),
            *("--cache-dir", folder / "cache", "--python-version", "3.10", file),
        ],
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert not done.stderr
    return done.stdout


def test_images_of_every_form_have_a_type(tmp_path: Path) -> None:
    """Each form that is accepted passes a strict checker, also mixed in a list written in place."""
    assert _check(RIGHT, tmp_path) == ""


def test_what_is_no_image_has_none(tmp_path: Path) -> None:
    """What can never be an image is an error where it is written."""
    lines = "".join(f"    client.{call}\n" for call in WRONG)
    told = _check(f"{HEAD}\n\ndef use(client: Client) -> None:\n{lines}", tmp_path)
    assert told.count("error: ") == len(WRONG), told
    assert told.count("[arg-type]") + told.count("[list-item]") == len(WRONG), told
