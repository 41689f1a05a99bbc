"""What drift is measured by: a few figures of each image and its answer.

The trainer counts them over validation images, a server over live ones. Both measure them here and
count them into the same bins, so that equal images fall into equal bins.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

FULL_INK: Final = 255
"""A pixel of uint8; of float32 it is 1."""

FEATURES: Final = ("input_mean", "ink_share", "confidence", "class")


def measure(
    rows: npt.NDArray[np.uint8 | np.float32],
    confidences: npt.NDArray[np.floating],
    classes: npt.NDArray[np.integer],
) -> dict[str, npt.NDArray[np.float64]]:
    """Feature name -> [N], from rows [N, pixels] and the N answers to them.

    input_mean   the mean of an image's pixels, uint8 scaled to 0..1
    ink_share    the share of an image's pixels that are above 0.5
    confidence   the probability of the answer
    class        the answer; class k lies in the bin from k up to k + 1
    """
    full, half = (FULL_INK, FULL_INK // 2) if rows.dtype == np.uint8 else (1, 0.5)
    return {
        "input_mean": rows.mean(axis=1, dtype=np.float64) / full,
        "ink_share": np.count_nonzero(rows > half, axis=1) / rows.shape[1],
        "confidence": confidences.astype(np.float64),
        "class": classes.astype(np.float64),
    }


def count_bins(values: npt.NDArray[np.float64], edges: Sequence[float]) -> npt.NDArray[np.int64]:
    """How many of the values lie in each bin; `edges` ascend, one more than there are bins.

    A bin holds its lower edge and not its upper one. The outer bins have no end: they hold what
    lies beyond the outer edges too.
    """
    bins = np.searchsorted(edges[1:-1], values, side="right")
    return np.bincount(bins, minlength=len(edges) - 1)
