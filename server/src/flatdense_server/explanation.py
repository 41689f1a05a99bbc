"""How a network of one ReLU layer comes to what it says of an image."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from flatdense_artifact import Weights

from flatdense_server.tensors import Outputs, Rows

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Where the logits of N rows come from."""

    logits: Float32
    """[N, C] before softmax."""
    classes: npt.NDArray[np.int64]
    """[N] the class of each row that is taken apart."""
    contributions: Float32
    """[N, 784] what each pixel adds to the logit of that class."""
    bias_contributions: Float32
    """[N] what the biases add to it."""


def explain(
    weights: Weights, images: Rows, outputs: Outputs, class_index: int | None = None
) -> Explanation:
    """Takes apart the logit of a class, or of each row's own, into what the pixels add to it.

    `images` are float32 as the network takes them, and `outputs` has their hidden activations.
    While the same hidden units are above 0, the logit is linear in the pixels:

        logit = sum_i x_i * (sum_j W1[i, j] * a_j * W2[j, c])
              + sum_j b1[j] * a_j * W2[j, c] + b2[c]

    where a_j is 1 for a unit that is above 0. The terms are exact, and sum to the logit.
    """
    if outputs.hidden is None:
        raise ValueError("the hidden activations are needed")
    hidden, output = weights.hidden, weights.output
    rows = len(outputs.classes)
    classes = outputs.classes if class_index is None else np.full(rows, class_index, np.int64)
    # [N, H] what a unit that is above 0 hands on to the class.
    gates = np.where(outputs.hidden > 0, output.kernel.T[classes], np.float32(0))
    return Explanation(
        logits=outputs.hidden @ output.kernel + output.bias,
        classes=classes,
        contributions=np.multiply(images, gates @ hidden.kernel.T, dtype=np.float32),
        bias_contributions=gates @ hidden.bias + output.bias[classes],
    )
