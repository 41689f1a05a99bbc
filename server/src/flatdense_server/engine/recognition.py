"""Finds our network, Flatten, Dense(relu), Dense(softmax), among the tensors of another program."""

from collections.abc import Iterator, Sequence
from itertools import islice, product
from typing import Final

import numpy as np
import numpy.typing as npt
from flatdense_artifact import DenseLayer, Weights

from flatdense_server.tensors import PIXELS

Float32 = npt.NDArray[np.float32]

SCALINGS: Final = ((1.0, 0.0), (2.0, -1.0), (255.0, 0.0), (1 / 255, 0.0))
"""What a graph makes of pixels of 0..1, factor and summand: 0..1, -1..1, 0..255, or next to 0."""

TOLERANCE: Final = 1e-5
"""Of a probability. Two ways to add the same numbers up differ by less."""

MOST_COMBINATIONS: Final = 1000
"""A graph may hold any number of tensors of one shape: an optimizer's, for one."""


def recognise(tensors: Sequence[Float32], images: Float32, answers: Float32) -> Weights | None:
    """The two dense layers that give `answers` [N, C] to `images` [N, 784] of 0..1.

    `tensors` are all that the network may be made of, in any order; a missing bias is zeros. None
    where no combination gives the same answers: then it is another network.
    """
    for weights in islice(combine(tensors, answers.shape[1]), MOST_COMBINATIONS):
        if np.allclose(forward(weights, images), answers, rtol=0, atol=TOLERANCE):
            return weights
    return None


def combine(tensors: Sequence[Float32], classes: int) -> Iterator[Weights]:
    """Every pair of dense layers that the tensors' shapes allow."""
    matrices = [tensor for tensor in tensors if tensor.ndim == 2]  # noqa: PLR2004 -- a matrix
    vectors = [tensor for tensor in tensors if tensor.ndim == 1]
    for kernel, output_kernel in product(matrices, matrices):
        units = kernel.shape[1]
        if kernel.shape[0] != PIXELS or output_kernel.shape != (units, classes):
            continue
        biases, output_biases = (
            [vector for vector in vectors if len(vector) == length] + [np.zeros(length, np.float32)]
            for length in (units, classes)
        )
        for bias, output_bias, (factor, summand) in product(biases, output_biases, SCALINGS):
            # The first layer takes the scaling in: (f x + s) K + b is x (f K) + (s 1 K + b).
            yield Weights(
                DenseLayer(
                    name="hidden",
                    kernel=kernel * np.float32(factor),
                    bias=bias + np.float32(summand) * kernel.sum(axis=0),
                ),
                DenseLayer(name="output", kernel=output_kernel, bias=output_bias),
            )


def forward(weights: Weights, images: Float32) -> Float32:
    """The network in numpy: probabilities [N, C]."""
    # A wrong combination may overflow: it is not the network then.
    with np.errstate(all="ignore"):
        hidden = np.maximum(images @ weights.hidden.kernel + weights.hidden.bias, 0)
        return softmax(hidden @ weights.output.kernel + weights.output.bias)


def softmax(logits: Float32) -> Float32:
    """Probabilities of logits, row by row."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: Float32 = powers / powers.sum(axis=1, keepdims=True)
    return probabilities
