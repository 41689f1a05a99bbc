"""Explain by REST, with each engine, against the same arithmetic on the weights' file."""

import json
from pathlib import Path

import httpx
import numpy as np
import pytest
from flatdense_artifact.weights import read_weights
from server_process import ServerProcess

pytestmark = pytest.mark.xdist_group("server")

EXACT = 1e-4


@pytest.mark.parametrize("class_index", [None, 0, 7])
def test_contributions_sum_to_the_logit(
    server: ServerProcess, exported_model: Path, class_index: int | None
) -> None:
    """Pixels and biases together are the logit, and each pixel's part is what NumPy says."""
    version = exported_model / "1"
    layers = json.loads((version / "manifest.json").read_text())["architecture"]["layers"]
    names = [layer["name"] for layer in layers if layer["kind"] == "Dense"]
    weights = read_weights(version, names)
    pixels = np.random.default_rng(9).integers(0, 256, (3, 784), dtype=np.uint8)
    asked = {"instances": pixels.tolist(), "signature_name": "serving_uint8"}
    if class_index is not None:
        asked["class_index"] = class_index
    answer = httpx.post(f"{server.page}v1/models/mnist:explain", json=asked, timeout=60)
    assert answer.status_code == 200
    for row, told in zip(pixels / np.float32(255), answer.json()["explanations"], strict=True):
        hidden = (row @ weights.hidden.kernel + weights.hidden.bias).clip(min=0)
        logits = hidden @ weights.output.kernel + weights.output.bias
        explained = int(logits.argmax()) if class_index is None else class_index
        gates = np.where(hidden > 0, weights.output.kernel[:, explained], 0)
        assert told["explained_class"] == explained
        np.testing.assert_allclose(told["hidden"], hidden, atol=EXACT)
        np.testing.assert_allclose(told["logits"], logits, atol=EXACT)
        contributions = row * (weights.hidden.kernel @ gates)
        np.testing.assert_allclose(told["contributions"], contributions, atol=EXACT)
        together = sum(told["contributions"]) + told["bias_contribution"]
        assert together == pytest.approx(told["logits"][explained], abs=EXACT)
