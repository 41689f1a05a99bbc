"""How fast training is, and whether images ever keep it waiting: `python bench/training.py MNIST`.

The argument is a folder with MNIST's IDX files. First the distortion of images on one core, by the
library that is used and by others that could be, in turn. Then epochs of the standard recipe, with
and without distortion, in turn: how long each takes, and how much of it is waiting. Last the whole
command with the preset `standard`, as a user runs it. Writes bench/results/training.json, and the
table of docs/training.md.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt
from flatdense_artifact import read_manifest
from flatdense_training.data.datasets import MNIST
from flatdense_training.data.folder import read_folder
from flatdense_training.data.split import Splits, split
from flatdense_training.fit.distortion import Distortion
from flatdense_training.fit.plan import Plan
from flatdense_training.fit.recipe import Epoch, Recipe
from flatdense_training.quiet import quiet_tensorflow
from machine import describe_machine
from report import TRAINING, TRAINING_PAGE, publish, render_training
from scipy.ndimage import map_coordinates

with quiet_tensorflow():
    import keras
    import tensorflow as tf
    from flatdense_training.fit.checkpoints import Checkpoints
    from flatdense_training.fit.networks import build_student
    from flatdense_training.fit.train import Task, train
    from flatdense_training.stages import use_threads

ROUNDS = 7
TRAIN_ROWS = 55_000
DISTORTED_ROWS = 2_560
EPOCHS = 3

Images = npt.NDArray[np.uint8]

Way = Callable[[Images, np.random.Generator], object]


def main(mnist: Path) -> None:
    """Measures, writes, prints."""
    whole_run = run_standard(mnist)
    use_threads(Plan().recipe(TRAIN_ROWS))
    splits = split(MNIST, read_folder(MNIST, mnist), seed=0)
    results = {
        "machine": describe_machine(),
        "versions": {name: version(name) for name in ("opencv-python-headless", "scipy", "keras")},
        "images_a_second": measure_distortion(splits.train.images[:DISTORTED_ROWS]),
        "epochs": measure_epochs(splits),
        "standard": whole_run,
    }
    section = render_training(results)
    publish(results, TRAINING, TRAINING_PAGE, section)
    print(section)


def run_standard(mnist: Path) -> dict[str, float]:
    """The command with its defaults: seconds in all, of the fitting, and the accuracies."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["flatdense-train", f"--data-dir={mnist}", f"--model-dir={folder}/models"]
        started_s = time.monotonic()
        done = subprocess.run(  # noqa: S603 -- our own command
            [Path(sys.executable).with_name(command[0]), *command[1:], "--compile=no"],
            check=True,
            capture_output=True,
            text=True,
        )
        whole_s = time.monotonic() - started_s
        waited = re.search(r"([\d.]+) s, of which ([\d.]+) s waiting", done.stdout)
        manifest = read_manifest(Path(folder, "models", "1"))
    if waited is None:
        raise ValueError(done.stdout)
    return {
        "whole_s": whole_s,
        "fitting_s": float(waited[1]),
        "waited_s": float(waited[2]),
        "test_accuracy": manifest.metrics.test_accuracy if manifest.metrics else 0.0,
    }


def measure_distortion(images: Images) -> dict[str, list[float]]:
    """Images a second of one core, for each way and round."""
    ways: dict[str, Way] = {
        "OpenCV's remap, as it is used": Distortion().apply,
        "scipy's map_coordinates": by_scipy,
        "Keras's map_coordinates": by_keras,
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way(images[:256], np.random.default_rng(0))  # what is loaded or compiled once
    for number in range(ROUNDS):
        for name, way in ways.items():
            started_s = time.process_time()
            way(images, np.random.default_rng(number))
            rates[name].append(len(images) / (time.process_time() - started_s))
    return rates


def by_scipy(images: Images, random: np.random.Generator) -> object:
    """The same maps, and scipy's resampling of all images as one volume."""
    maps = Distortion().draw(len(images), random)
    rows = np.broadcast_to(np.arange(len(images))[:, None, None], images.shape)
    return map_coordinates(images, [rows, maps[1], maps[0]], order=1, prefilter=False)


def by_keras(images: Images, random: np.random.Generator) -> object:
    """The same maps, and Keras's resampling, 256 images at once."""
    results = []
    for start in range(0, len(images), 256):
        part = tf.constant(images[start : start + 256], tf.float32)
        maps = Distortion().draw(len(part), random)
        rows = np.broadcast_to(np.arange(len(part), dtype=np.float32)[:, None, None], part.shape)
        at = tf.constant(np.stack([rows, maps[1], maps[0]]))
        results.append(keras.ops.image.map_coordinates(part, at, order=1))
    return results


def measure_epochs(splits: Splits) -> dict[str, dict[str, list[float]]]:
    """Seconds of an epoch, and of waiting in it, with and without distortion."""
    standard = Plan(epochs=EPOCHS).recipe(len(splits.train))
    recipes = {"distorted": standard, "as they are": replace(standard, distortion=None)}
    found: dict[str, dict[str, list[float]]] = {
        name: {"epoch_s": [], "waited_s": []} for name in recipes
    }
    for _ in range(ROUNDS):
        for name, recipe in recipes.items():
            # The first epoch compiles the graph, and waits for its images as nothing came before.
            for epoch in fit(splits, recipe)[1:]:
                found[name]["epoch_s"].append(epoch.duration_s)
                found[name]["waited_s"].append(epoch.waited_s)
    return found


def fit(splits: Splits, recipe: Recipe) -> Sequence[Epoch]:
    """A run without an export."""
    task = Task(
        stage="student", recipe=recipe, train=splits.train, validation=splits.validation, classes=10
    )
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Checkpoints(Path(folder))
        return train(build_student(hidden_units=256, classes=10), task, Deaf(), checkpoints).epochs


class Deaf:
    """Watches, and tells nobody."""

    def steps_done(self, steps: int) -> None:
        """See Watcher."""

    def resumed(self, epochs: Sequence[Epoch]) -> None:
        """See Watcher."""

    def epoch_ended(self, epoch: Epoch) -> None:
        """See Watcher."""

    def not_kept(self, reason: str) -> None:
        """See Watcher."""


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("mnist", type=Path, help="the folder of MNIST's IDX files")
    main(arguments.parse_args().mnist)
