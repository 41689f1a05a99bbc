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
from flatdense_training.data.digits import read_embedded
from flatdense_training.data.pixels import scale
from flatdense_training.data.split import Examples, split
from flatdense_training.fit.recipe import Epoch
from flatdense_training.judge.evaluate import evaluate
from flatdense_training.judge.forward import classifier
from flatdense_training.report.findings import Findings

HIDDEN = 30
COMMAND = "flatdense-train --dataset digits --seed 7"


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


def make_findings() -> Findings:
    """What a run on the embedded digits found; their test images may be drawn."""
    splits = split(DIGITS, read_embedded(), seed=0)
    initial = draw_weights(hidden=HIDDEN)
    trained = fit_output(initial, splits.train)
    classify = classifier(trained)
    return Findings(
        manifest=describe_run(hidden=HIDDEN),
        data_title=DIGITS.title,
        recipe=[("Optimiser", "least squares <once> | twice")],
        command=COMMAND,
        epochs=[
            Epoch(
                number=number,
                loss=1 / number,
                accuracy=1 - 0.5 / number,
                validation_loss=0.9 / number,
                validation_accuracy=1 - 0.4 / number,
                learning_rate=0.001 / number,
                duration_s=1.5,
                waited_s=0.25,
            )
            for number in (1, 2, 3)
        ],
        validation=evaluate(classify, splits.validation),
        test=evaluate(classify, splits.test),
        test_examples=splits.test,
        initial=initial,
        trained=trained,
        classify=classify,
        temperature=1.25,
    )
