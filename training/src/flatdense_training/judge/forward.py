"""The network in numpy: what every engine is compared with."""

import numpy as np
import numpy.typing as npt
from flatdense_artifact import Weights

from flatdense_training.data.idx import UInt8
from flatdense_training.data.pixels import scale
from flatdense_training.judge.evaluate import Classify

Float32 = npt.NDArray[np.float32]


def forward(weights: Weights, images: Float32) -> Float32:
    """Images [N, 784] with 0..1 to probabilities [N, C]."""
    hidden = np.maximum(images @ weights.hidden.kernel + weights.hidden.bias, 0)
    logits = hidden @ weights.output.kernel + weights.output.bias
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: Float32 = powers / powers.sum(axis=1, keepdims=True)
    return probabilities


def classifier(weights: Weights) -> Classify:
    """The network as a classifier of bytes."""

    def classify(rows: UInt8) -> tuple[Float32, npt.NDArray[np.int64]]:
        probabilities = forward(weights, scale(rows))
        return probabilities, probabilities.argmax(axis=1)

    return classify
