"""Confidence that means what it says."""

import numpy as np
import pytest
from flatdense_artifact import DenseLayer, Weights
from flatdense_training.fit.calibration import find_temperature, soften
from flatdense_training.judge.forward import forward
from hypothesis import given, settings
from hypothesis import strategies as st


@settings(max_examples=20)
@given(temperature=st.floats(0.3, 3.0), seed=st.integers(0, 100))
def test_the_temperature_is_found(temperature: float, seed: int) -> None:
    """Labels drawn by the softened probabilities: these are the ones that fit."""
    random = np.random.default_rng(seed)
    logits = (random.normal(size=(20_000, 10)) * 2).astype(np.float32)
    powers = np.exp(logits / temperature)
    shares = (powers / powers.sum(axis=1, keepdims=True)).cumsum(axis=1)
    labels = (random.random((20_000, 1)) > shares).sum(axis=1).clip(max=9).astype(np.uint8)
    assert find_temperature(logits, labels) == pytest.approx(temperature, rel=0.1)


def test_few_right_answers_are_no_reason_to_be_sure() -> None:
    """Where every answer is right, confidence is high after many images, and less after few."""

    def confidence(rows: int) -> float:
        """Of an answer whose logit is 5 above the others."""
        labels = np.arange(rows, dtype=np.uint8) % 10
        logits = np.eye(10, dtype=np.float32)[labels] * 5
        power = np.exp(5 / find_temperature(logits, labels))
        return float(power / (power + 9))

    assert 0.85 < confidence(10) < 0.95 < confidence(200) < 0.995 < confidence(5_000) < 1


def test_softening_moves_no_answer() -> None:
    """Weights give the probabilities of the divided logits, and the same classes."""
    random = np.random.default_rng(0)

    def layer(name: str, rows: int, units: int) -> DenseLayer:
        """With random weights."""
        return DenseLayer(
            name=name,
            kernel=random.normal(size=(rows, units)).astype(np.float32) / 10,
            bias=random.normal(size=units).astype(np.float32),
        )

    weights = Weights(layer("hidden", 784, 16), layer("output", 16, 10))
    images = random.random((50, 784)).astype(np.float32)
    before, after = forward(weights, images), forward(soften(weights, 2.0), images)
    assert np.array_equal(before.argmax(axis=1), after.argmax(axis=1))
    powers = np.sqrt(before)
    assert np.allclose(after, powers / powers.sum(axis=1, keepdims=True), atol=1e-5)
