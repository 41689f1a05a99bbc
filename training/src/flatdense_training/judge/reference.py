"""What inputs and answers look like on validation images: the ground drift is measured against.

A server counts the same features of live requests into the same bins.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from flatdense_artifact import Histogram, count_bins, measure

from flatdense_training.data.split import Examples
from flatdense_training.judge.evaluate import Evaluation

EQUAL_BINS = 10
"""Deciles: comparisons of two distributions are steadiest where no bin is nearly empty."""

CONFIDENCE_EDGES = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999, 1.0)
"""Fixed ones: most answers are so sure that deciles would fall together at 1."""


def make_reference(
    examples: Examples, evaluation: Evaluation, *, classes: int
) -> dict[str, Histogram]:
    """The histograms of the manifest, from images and what the exported function answered to them.

    input_mean and ink_share have ten bins of equal mass, confidence has fixed bins, finer towards
    1, and class has one for each class.
    """
    features = measure(examples.rows(), evaluation.confidences, evaluation.classes)
    edges = {
        "input_mean": equal_mass_edges(features["input_mean"]),
        "ink_share": equal_mass_edges(features["ink_share"]),
        "confidence": CONFIDENCE_EDGES,
        "class": range(classes + 1),
    }
    return {name: histogram(values, edges[name]) for name, values in features.items()}


def equal_mass_edges(shares: npt.NDArray[np.float64]) -> list[float]:
    """Edges from 0 to 1 between which equally many of the values lie, as far as ties allow."""
    inner = np.quantile(shares, np.linspace(0, 1, EQUAL_BINS + 1)[1:-1])
    return [float(edge) for edge in np.unique([0.0, *inner, 1.0])]


def histogram(values: npt.NDArray[np.float64], edges: Sequence[float]) -> Histogram:
    """The fraction of the values in each bin."""
    return Histogram(
        edges=[float(edge) for edge in edges],
        fractions=[float(count) / len(values) for count in count_bins(values, edges)],
    )
