"""Our network among the tensors of another program."""

import numpy as np
import pytest
from flatdense_artifact import Weights
from flatdense_server.engine.probes import probe_images
from flatdense_server.engine.recognition import SCALINGS, forward, recognise
from flatdense_server.tensors import FLOAT32, PIXELS
from hypothesis import given, settings
from hypothesis import strategies as st

IMAGES = probe_images() / FLOAT32.type(255)


@settings(max_examples=25, deadline=None)
@given(
    units=st.integers(1, 12),
    classes=st.integers(2, 10),
    biases=st.tuples(st.booleans(), st.booleans()),
    scaling=st.sampled_from(SCALINGS[:3]),
    seed=st.integers(0, 2**16),
)
def test_it_is_found_in_any_order_and_beside_others(
    units: int,
    classes: int,
    biases: tuple[bool, bool],
    scaling: tuple[float, float],
    seed: int,
) -> None:
    """Of any size, with or without biases, however pixels are scaled: it answers the same."""
    random = np.random.default_rng(seed)
    factor, summand = (FLOAT32.type(number) for number in scaling)

    def draw(*shape: int) -> np.ndarray:
        return random.normal(0, shape[0] ** -0.5, shape).astype(FLOAT32)

    kernel, output_kernel = draw(PIXELS, units) / factor, draw(units, classes)
    bias, output_bias = (
        draw(length) if kept else np.zeros(length, FLOAT32)
        for length, kept in zip((units, classes), biases, strict=True)
    )
    hidden = np.maximum((IMAGES * factor + summand) @ kernel + bias, 0)
    powers = np.exp(hidden @ output_kernel + output_bias)
    answers = powers / powers.sum(axis=1, keepdims=True)
    tensors = [kernel, output_kernel, *(b for b in (bias, output_bias) if b.any()), draw(3, 4)]
    tensors += [draw(*tensor.shape) for tensor in tensors]
    random.shuffle(tensors)
    found = recognise(tensors, IMAGES, answers)
    assert found is not None
    np.testing.assert_allclose(forward(found, IMAGES), answers, rtol=0, atol=1e-5)


@pytest.mark.parametrize("change", [1e-2, np.nan])
def test_a_network_that_answers_otherwise_is_not_found(weights: Weights, change: float) -> None:
    """One probability of one image that differs is enough."""
    tensors = [array for layer in weights.layers() for array in (layer.kernel, layer.bias)]
    answers = forward(weights, IMAGES)
    assert recognise(tensors, IMAGES, answers) is not None
    answers[7, 3] += change
    assert recognise(tensors, IMAGES, answers) is None


def test_endless_combinations_are_given_up(weights: Weights) -> None:
    """A graph full of tensors of the right shapes costs a bounded time, and is not recognised."""
    tensors = [weights.output.kernel] * 400 + [weights.hidden.kernel[:, :16]] * 400
    answers = np.full((len(IMAGES), 10), 0.1, FLOAT32)
    assert recognise(tensors, IMAGES, answers) is None
