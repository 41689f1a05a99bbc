"""One run from examples to an exported version: the part that needs TensorFlow."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from flatdense_artifact import Golden, Weights

from flatdense_training.data.idx import UInt8
from flatdense_training.data.material import Material
from flatdense_training.data.pixels import SIDE
from flatdense_training.errors import AccuracyTooLow
from flatdense_training.export.export import Version, export
from flatdense_training.export.golden import golden_images
from flatdense_training.export.record import Run, make_manifest
from flatdense_training.export.signatures import build_module
from flatdense_training.fit.calibration import find_temperature, soften
from flatdense_training.fit.crew import Crew, alone, join
from flatdense_training.fit.fitting import as_float
from flatdense_training.fit.networks import build_student, describe, read_out
from flatdense_training.fit.recipe import Recipe
from flatdense_training.fit.train import Trained, make_repeatable
from flatdense_training.fit.wording import tell_recipe
from flatdense_training.judge.by_part import by_part
from flatdense_training.judge.evaluate import Classify, Evaluation, evaluate
from flatdense_training.order import Order
from flatdense_training.report.findings import Findings
from flatdense_training.stages import fit, kept, name_run, use_threads
from flatdense_training.terminal.screen import Screen

GOLDEN_TOLERANCE = 1e-4
"""Of a probability, between processors and engines. Each adds in an order of its own, which moves
one by about 2e-6; wrong weights move one by a hundredth and more."""


def run(order: Order, material: Material, screen: Screen) -> Path | None:
    """Trains, evaluates, exports, and gives the new version's folder.

    Of several workers the chief alone exports; the others give None.

    Seeds the whole process. Raises RunUnderWay, CheckpointsUnwritable, LogUnwritable, WorkerLost,
    WorkersDiffer, TrainingDiverged, AccuracyTooLow or ExportFailed; nothing is exported then, nor
    after Ctrl-C.
    """
    classes = len(material.dataset.class_names)
    dataset = material.dataset
    recipe = order.plan.recipe(
        len(material.splits.train), distort=dataset.distort, is_of_digits=dataset.is_of_digits
    )
    use_threads(recipe)
    make_repeatable(recipe.seed)
    crew = meet(order, screen)
    with crew.strategy.scope():
        network = build_student(hidden_units=order.hidden_units, classes=classes)
    initial = read_out(network)
    screen.model(describe(network))
    name = name_run(order, material, recipe)
    crew.check_same(name)
    with kept(order, name) as checkpoints:
        trained = fit(network, recipe, order, material, checkpoints, screen, crew)
        if not crew.is_chief:
            screen.line("Fitted. The chief judges and exports.")
            return None
        folder = conclude(trained, initial, recipe, order, material, screen)
    screen.exported(folder, order.model_dir)
    return folder


def meet(order: Order, screen: Screen) -> Crew:
    """Those that learn together; this process alone, where nothing else was ordered."""
    if order.place is None:
        return alone()
    with screen.waiting("Waiting for the other workers"):
        return join(order.place)


def conclude(
    trained: Trained,
    initial: Weights,
    recipe: Recipe,
    order: Order,
    material: Material,
    screen: Screen,
) -> Path:
    """Calibrates, judges, reports and exports what was trained."""
    dataset, splits = material.dataset, material.splits
    temperature = find_temperature(
        trained.fitting.answer(splits.validation.images), splits.validation.labels
    )
    screen.calibrated(temperature)
    weights = soften(read_out(trained.fitting.mean), temperature)
    module = build_module(weights)
    classify = classifier(module)
    validation, test = (
        evaluate(classify, examples) for examples in (splits.validation, splits.test)
    )
    screen.result(validation, test)
    if len(material.parts) > 1:
        screen.parts(by_part(material.parts, test))
    check_accuracy(test, dataset.min_accuracy if order.min_accuracy is None else order.min_accuracy)
    manifest = make_manifest(
        Run(
            dataset=dataset,
            splits=splits,
            preset=order.plan.preset,
            recipe=recipe,
            architecture=describe(trained.fitting.mean),
            epochs=len(trained.epochs),
            duration_s=trained.duration_s,
            temperature=temperature,
            validation=validation,
            test=test,
            golden=make_golden(trained.fitting.mean, temperature),
        )
    )
    findings = Findings(
        manifest=manifest,
        data_title=dataset.title,
        recipe=tell_recipe(recipe),
        command=order.command,
        epochs=trained.epochs,
        validation=validation,
        test=test,
        test_examples=splits.test,
        initial=initial,
        trained=weights,
        classify=classify,
        temperature=temperature,
        drawn_digits=order.drawn_digits,
    )
    with screen.waiting("Writing the report"):
        return export(
            Version(module=module, weights=weights, manifest=manifest, findings=findings),
            order.model_dir,
        )


def check_accuracy(test: Evaluation, least: float) -> None:
    """Raises AccuracyTooLow below the least."""
    if not test.accuracy >= least:
        raise AccuracyTooLow(
            f"The test accuracy is {test.accuracy:.4f}, expected at least {least}: "
            "the model was not exported. "
            "Train longer by --epochs, or accept less by --min-accuracy."
        )


def classifier(module: tf.Module) -> Classify:
    """The exported function for bytes, as a function on arrays."""

    def classify(rows: UInt8) -> tuple[np.ndarray, np.ndarray]:
        outputs = module.serving_uint8(tf.constant(rows))
        return outputs["probabilities"].numpy(), outputs["classes"].numpy()

    return classify


def make_golden(network: keras.Model, temperature: float) -> Golden:
    """The golden images and what Keras itself answers to them."""
    images = golden_images()
    logits = network(as_float(images.reshape(-1, SIDE, SIDE)), training=False)
    probabilities = np.asarray(keras.ops.softmax(logits / temperature))
    return Golden(
        images=images.tobytes(),
        probabilities=probabilities.tolist(),
        tolerance=GOLDEN_TOLERANCE,
    )
