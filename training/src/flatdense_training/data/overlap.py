"""Images that a model learns from and is tested on, which makes it look better than it is."""

from collections.abc import Iterator, Sequence

import numpy as np

from flatdense_training.data.idx import UInt8
from flatdense_training.data.sources import Source
from flatdense_training.data.split import Splits
from flatdense_training.errors import DataUnfit

MOST_SHARED = 0.5
"""Of the test images: from here on they test memory alone, and somebody took the wrong folder."""

MOST_TOLD = 5


def tell_overlap(splits: Splits, sources: Sequence[Source]) -> list[str]:
    """A remark where images to test are among those to train on or to validate.

    Equal means: every pixel. `sources` are where the images came from, to name one. Raises
    DataUnfit where half of the test images are shared, or more.
    """
    learnt = {
        image.tobytes() for part in (splits.train, splits.validation) for image in part.images
    }
    shared = [image for image in splits.test.images if image.tobytes() in learnt]
    if not shared:
        return []
    places = [place for source in sources for place in locate(source, shared[0])]
    first = ", ".join(places[:MOST_TOLD])
    told = (
        f"{len(shared):,} of the {len(splits.test):,} test images are among those to learn from, "
        f"pixel by pixel; one is: {first}."
    )
    if len(shared) >= MOST_SHARED * len(splits.test):
        raise DataUnfit(
            f"{told} They would test memory and not skill. Bring others to test; or none, and a "
            "part is held out."
        )
    return [f"{told} The test accuracy will look better than it is."]


def locate(source: Source, image: UInt8) -> Iterator[str]:
    """Where a source has an image, for people."""
    for name, array in source.arrays.items():
        if array.shape[1:] != image.shape:
            continue
        for row in np.flatnonzero((array == image).all(axis=(1, 2))).tolist():
            files = source.files.get(name)
            place = files[row] if files else f"row {row} of {name}"
            yield f"{place} in {source.origin}"
