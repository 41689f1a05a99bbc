"""The network by numpy, as the peers serve it. Imported in their environments, not in ours."""

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file


class Network:
    """784 -> 256 -> 10 with the weights of a version's folder."""

    def __init__(self, folder: Path) -> None:
        self._weights = load_file(folder / "weights.safetensors")

    def classify(self, rows: np.ndarray) -> np.ndarray:
        """Probabilities [N, 10], float32, of pixels [N, 784]: uint8, or float32 from 0 to 1."""
        weights = self._weights
        scaled = rows.astype(np.float32) / np.float32(255) if rows.dtype == np.uint8 else rows
        hidden = np.maximum(scaled @ weights["hidden/kernel"] + weights["hidden/bias"], 0)
        logits = hidden @ weights["output/kernel"] + weights["output/bias"]
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
        return probabilities
