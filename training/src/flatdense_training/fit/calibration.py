"""Confidence that means what it says."""

import numpy as np
import numpy.typing as npt
from flatdense_artifact import DenseLayer, Weights
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from flatdense_training.data.idx import UInt8

FURTHEST = 5.0
"""Of the temperature, up and down, as a factor: beyond it something else is wrong."""


def find_temperature(logits: npt.NDArray[np.float32], labels: UInt8) -> float:
    """By what logits [N, C] are to be divided so that the labels are least surprising.

    That is the one temperature of Guo, Pleiss, Sun and Weinberger (2017). It moves no answer, only
    how sure it is. Take images that the network did not learn from.

    As if two more images had been seen, of any class, each label keeps a little doubt (Platt 1999):
    a few images that are all answered rightly are no reason to be sure.
    """
    wide = logits.astype(np.float64)
    doubt = 2 / (len(labels) + 2)
    right = wide[np.arange(len(labels)), labels]
    of_label = (1 - doubt) * right + doubt * wide.mean(axis=1)

    def surprise(log_temperature: float) -> float:
        coldness = np.exp(-log_temperature)
        return float(np.mean(logsumexp(wide * coldness, axis=1) - of_label * coldness))

    bounds = (-np.log(FURTHEST), np.log(FURTHEST))
    return float(np.exp(minimize_scalar(surprise, bounds=bounds, method="bounded").x))


def soften(weights: Weights, temperature: float) -> Weights:
    """The weights whose logits are divided by the temperature: the graph stays as it is."""
    output = weights.output
    divisor = np.float32(temperature)
    return Weights(
        weights.hidden,
        DenseLayer(name=output.name, kernel=output.kernel / divisor, bias=output.bias / divisor),
    )
