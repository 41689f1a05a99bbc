"""A run that never was: a network of noise and least squares, fitted in no time."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from flatdense_artifact import (
    Architecture,
    DenseLayer,
    Golden,
    Layer,
    Manifest,
    Metrics,
    Training,
    Weights,
)
from flatdense_training.data.datasets import DIGITS, Dataset
from flatdense_training.data.pixels import scale
from flatdense_training.data.split import Examples


def draw_weights(*, hidden: int) -> Weights:
    """A hidden layer of noise, and no output."""
    random = np.random.default_rng(hidden)
    return Weights(
        DenseLayer(
            name="hidden",
            kernel=random.normal(0, 0.05, (784, hidden)).astype(np.float32),
            bias=np.zeros(hidden, np.float32),
        ),
        DenseLayer(
            name="output",
            kernel=np.zeros((hidden, 10), np.float32),
            bias=np.zeros(10, np.float32),
        ),
    )


def fit_output(weights: Weights, examples: Examples) -> Weights:
    """The weights with the output layer that least squares give, which is wrong now and then."""
    hidden = np.maximum(scale(examples.rows()) @ weights.hidden.kernel, 0)
    kernel, *_ = np.linalg.lstsq(hidden, 10 * np.eye(10)[examples.labels], rcond=None)
    return Weights(weights.hidden, replace(weights.output, kernel=kernel.astype(np.float32)))


def describe_run(
    dataset: Dataset = DIGITS, *, hidden: int, classes: Sequence[str] = DIGITS.class_names
) -> Manifest:
    """The manifest of the run, complete but for `files`."""
    return Manifest(
        created_at=datetime(2026, 2, 3, 4, 5, tzinfo=UTC),
        architecture=Architecture(
            input_shape=[28, 28],
            layers=[
                Layer(
                    name="hidden",
                    kind="Dense",
                    activation="relu",
                    output_shape=[hidden],
                    parameters=785 * hidden,
                ),
                Layer(
                    name="output",
                    kind="Dense",
                    activation="softmax",
                    output_shape=[len(classes)],
                    parameters=(hidden + 1) * len(classes),
                ),
            ],
        ),
        classes=list(classes),
        files={},
        training=Training(
            dataset=dataset.name,
            sources=dict(dataset.sha256),
            train_rows=1257,
            validation_rows=270,
            test_rows=270,
            seed=7,
            epochs=3,
            batch_rows=64,
            optimizer="least squares",
            learning_rate=0.001,
            duration_s=3725,
        ),
        metrics=Metrics(test_accuracy=0, test_loss=0, validation_accuracy=0, validation_loss=0),
        libraries={"python": "3.11.0", "numpy": "9.8.7"},
        golden=Golden(images=bytes(784), probabilities=[[0.1] * len(classes)], tolerance=1e-4),
        reference={},
    )
