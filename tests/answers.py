"""Answers of classifiers that never were, as many as a test wants."""

import numpy as np
from flatdense_training.judge.evaluate import Evaluation
from hypothesis import strategies as st


def make_answers(*, rows: int, classes: int = 10, seed: int = 0, skill: float = 3) -> Evaluation:
    """Random answers; the more skill, the more of them are right, and the surer they are."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, rows).astype(np.uint8)
    logits = random.normal(size=(rows, classes))
    logits[np.arange(rows), labels] += skill
    powers = np.exp(logits)
    probabilities = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return Evaluation(
        labels=labels, probabilities=probabilities, classes=probabilities.argmax(axis=1)
    )


evaluations = st.builds(
    make_answers,
    rows=st.integers(1, 80),
    classes=st.integers(2, 10),
    seed=st.integers(0, 2**32 - 1),
    skill=st.floats(0, 6),
)
