"""Images of a user's own."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

WriteImages = Callable[..., Path]


def write_images(folder: Path, classes: Sequence[str] = ("a", "b"), *, rows: int = 6) -> Path:
    """A folder for each class, with that many PNGs: dark ground, and random ink in the middle."""
    seed = sum(map(ord, str(folder)))
    random = np.random.default_rng(seed)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for row in range(rows):
            image = np.zeros((28, 28), np.uint8)
            image[4:24, 4:24] = random.integers(0, 256, (20, 20))
            Image.fromarray(image).save(folder / name / f"{row}.png")
    return folder


@pytest.fixture(name="write_images")
def image_writer() -> WriteImages:
    """Writes folders of images."""
    return write_images
