"""What inputs and answers look like on validation images: the ground drift is measured against.

A server counts the same features of live requests into the same bins. A bin holds its lower edge
and not its upper one; the last bin holds both.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from flatdense_artifact import Histogram

from flatdense_training.evaluate import Evaluation
from flatdense_training.pixels import FULL
from flatdense_training.split import Examples

EQUAL_BINS = 10
"""Deciles: comparisons of two distributions are steadiest where no bin is nearly empty."""

CONFIDENCE_EDGES = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999, 1.0)
"""Fixed ones: most answers are so sure that deciles would fall together at 1."""


def make_reference(
    examples: Examples, evaluation: Evaluation, *, classes: int
) -> dict[str, Histogram]:
    """The histograms of the manifest, from images and what the exported function answered to them.

    input_mean   the mean of an image's pixels, scaled to 0..1; ten bins of equal mass
    ink_share    the share of an image's pixels that are above 0.5; ten bins of equal mass
    confidence   the probability of the answer; fixed bins, finer towards 1
    class        the answer; bin k is class k, from k up to k + 1
    """
    pixels = examples.rows()
    input_mean = pixels.mean(axis=1) / FULL
    ink_share = (pixels > FULL / 2).mean(axis=1)
    return {
        "input_mean": histogram(input_mean, equal_mass_edges(input_mean)),
        "ink_share": histogram(ink_share, equal_mass_edges(ink_share)),
        "confidence": histogram(evaluation.confidences, CONFIDENCE_EDGES),
        "class": histogram(evaluation.classes, range(classes + 1)),
    }


def equal_mass_edges(shares: npt.NDArray[np.float64]) -> list[float]:
    """Edges from 0 to 1 between which equally many of the values lie, as far as ties allow."""
    inner = np.quantile(shares, np.linspace(0, 1, EQUAL_BINS + 1)[1:-1])
    return [float(edge) for edge in np.unique([0.0, *inner, 1.0])]


def histogram(values: npt.NDArray[np.generic], edges: Sequence[float]) -> Histogram:
    """The fraction of the values in each bin. All must lie between the outer edges."""
    counts, _ = np.histogram(np.clip(values.astype(np.float64), edges[0], edges[-1]), edges)
    return Histogram(
        edges=[float(edge) for edge in edges],
        fractions=[float(count) / len(values) for count in counts],
    )
