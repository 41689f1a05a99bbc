"""What pixels and biases add to a logit is all of it."""

from collections.abc import Callable

import numpy as np
from flatdense_artifact import Weights
from flatdense_server.explanation import explain
from flatdense_server.tensors import FLOAT32, Outputs, Rows
from hypothesis import given
from hypothesis import strategies as st


@given(rows=st.integers(1, 9), seed=st.integers(0, 99), class_index=st.none() | st.integers(0, 9))
def test_the_terms_sum_to_the_logit(
    weights: Weights,
    predict: Callable[[Rows], Outputs],
    draw_rows: Callable[..., Rows],
    rows: int,
    seed: int,
    class_index: int | None,
) -> None:
    """Of the class that is asked, or of each row's own; and softmax of the logits is the answer."""
    images = draw_rows(rows, FLOAT32, seed)
    outputs = predict(images)
    found = explain(weights, images, outputs, class_index)
    expected = outputs.classes if class_index is None else np.full(rows, class_index)
    assert np.array_equal(found.classes, expected)
    sums = found.contributions.sum(axis=1) + found.bias_contributions
    np.testing.assert_allclose(sums, found.logits[np.arange(rows), found.classes], atol=1e-4)
    powers = np.exp(found.logits - found.logits.max(axis=1, keepdims=True))
    probabilities = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probabilities, outputs.probabilities, atol=1e-5)


def test_a_contribution_is_what_the_logit_loses_without_the_pixel(
    weights: Weights, predict: Callable[[Rows], Outputs], draw_rows: Callable[..., Rows]
) -> None:
    """As long as the same hidden units are active: here by a pixel that is changed a little."""
    images = draw_rows(1, FLOAT32, 3)
    before = explain(weights, images, predict(images), 4)
    for pixel in (0, 100, 500, 783):
        changed = images.copy()
        changed[0, pixel] *= np.float32(0.999)
        after = explain(weights, changed, predict(changed), 4)
        lost = float(before.logits[0, 4]) - float(after.logits[0, 4])
        np.testing.assert_allclose(lost, 0.001 * before.contributions[0, pixel], atol=1e-5)


def test_a_pixel_without_ink_adds_nothing(
    weights: Weights, predict: Callable[[Rows], Outputs]
) -> None:
    """An empty image is all bias."""
    images = np.zeros((2, 784), np.float32)
    found = explain(weights, images, predict(images))
    assert not found.contributions.any()
    np.testing.assert_allclose(
        found.bias_contributions, found.logits[[0, 1], found.classes], atol=1e-5
    )
