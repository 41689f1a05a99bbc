"""One run from examples to an exported version: the part that needs TensorFlow."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from flatdense_artifact import Golden

from flatdense_training.data.idx import UInt8
from flatdense_training.data.pixels import scale
from flatdense_training.data.split import Splits
from flatdense_training.errors import AccuracyTooLow
from flatdense_training.export.export import Version, export
from flatdense_training.export.golden import golden_images
from flatdense_training.export.record import Run, make_manifest
from flatdense_training.export.signatures import build_module
from flatdense_training.fit.model import build_model, describe, read_out
from flatdense_training.fit.train import make_repeatable, train
from flatdense_training.judge.evaluate import Classify, evaluate
from flatdense_training.order import Order
from flatdense_training.terminal.epoch_bar import epoch_bar
from flatdense_training.terminal.screen import Screen

GOLDEN_TOLERANCE = 1e-4
"""Of a probability, between processors and engines. Each adds in an order of its own, which moves
one by about 2e-6; wrong weights move one by a hundredth and more."""


def run(order: Order, splits: Splits, screen: Screen) -> Path:
    """Trains, evaluates, exports, and gives the new version's folder.

    Seeds the whole process. Raises TrainingDiverged, AccuracyTooLow or ExportFailed; nothing is
    exported then, nor after Ctrl-C.
    """
    make_repeatable(order.recipe.seed)
    model = build_model(hidden_units=order.hidden_units, classes=len(order.dataset.class_names))
    screen.model(describe(model))
    duration_s = fit(order, splits, model, screen)
    weights = read_out(model)
    module = build_module(weights)
    classify = classifier(module)
    validation, test = (
        evaluate(classify, examples) for examples in (splits.validation, splits.test)
    )
    screen.result(validation, test)
    if not test.accuracy >= order.min_accuracy:
        raise AccuracyTooLow(
            f"The test accuracy is {test.accuracy:.4f}, expected at least {order.min_accuracy}: "
            "the model was not exported. "
            "Train longer by --epochs, or accept less by --min-accuracy."
        )
    manifest = make_manifest(
        Run(
            dataset=order.dataset,
            splits=splits,
            recipe=order.recipe,
            architecture=describe(model),
            duration_s=duration_s,
            validation=validation,
            test=test,
            golden=make_golden(model),
        )
    )
    folder = export(Version(module=module, weights=weights, manifest=manifest), order.model_dir)
    screen.exported(folder, order.model_dir)
    return folder


def fit(order: Order, splits: Splits, model: keras.Model, screen: Screen) -> float:
    """Trains the model in place, with a progress bar, and gives the seconds it took."""
    steps = order.recipe.steps_per_epoch(len(splits.train))
    screen.training(order.recipe, steps)
    with epoch_bar(screen.console, epochs=order.recipe.epochs, steps_per_epoch=steps) as bar:
        return train(model, splits, order.recipe, bar)


def classifier(module: tf.Module) -> Classify:
    """The exported function for bytes, as a function on arrays."""

    def classify(rows: UInt8) -> tuple[np.ndarray, np.ndarray]:
        outputs = module.serving_uint8(tf.constant(rows))
        return outputs["probabilities"].numpy(), outputs["classes"].numpy()

    return classify


def make_golden(model: keras.Model) -> Golden:
    """The golden images and what Keras itself answers to them."""
    images = golden_images()
    pixels = scale(images).reshape(-1, *model.input_shape[1:])
    probabilities = np.asarray(model(pixels, training=False))
    return Golden(
        images=images.tobytes(),
        probabilities=probabilities.tolist(),
        tolerance=GOLDEN_TOLERANCE,
    )
