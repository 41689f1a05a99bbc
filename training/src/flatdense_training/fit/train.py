"""The recipe: how a network is fitted to the training images."""

import math
import time
from collections.abc import Mapping
from typing import Protocol

import keras
import tensorflow as tf

from flatdense_training.data.pixels import scale
from flatdense_training.data.split import Splits
from flatdense_training.errors import TrainingDiverged
from flatdense_training.fit.interrupt import held_interrupts
from flatdense_training.fit.recipe import Epoch, Recipe


class Watcher(Protocol):
    """Hears how far the training is, on the thread that trains."""

    def batch_ended(self) -> None:
        """One more step was done."""

    def epoch_ended(self, epoch: Epoch) -> None:
        """One more pass was done."""


def make_repeatable(seed: int) -> None:
    """Seeds Python, NumPy and TensorFlow, and keeps TensorFlow to operations that repeat exactly.

    This is for the whole process, and comes before a model is built.
    """
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def train(model: keras.Model, splits: Splits, recipe: Recipe, watcher: Watcher) -> float:
    """Fits the model in place and gives the seconds that it took. Raises TrainingDiverged."""
    steps = recipe.epochs * recipe.steps_per_epoch(len(splits.train))
    model.compile(
        optimizer=keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(recipe.learning_rate, decay_steps=steps)
        ),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )

    def batch_ended(batch: int, logs: Mapping[str, float]) -> None:  # noqa: ARG001  # Keras's form
        let_through()
        watcher.batch_ended()

    def epoch_ended(index: int, logs: Mapping[str, float]) -> None:
        epoch = Epoch(
            number=index + 1,
            loss=logs["loss"],
            accuracy=logs["accuracy"],
            validation_loss=logs["val_loss"],
            validation_accuracy=logs["val_accuracy"],
        )
        if not (math.isfinite(epoch.loss) and math.isfinite(epoch.validation_loss)):
            raise TrainingDiverged(
                f"The loss became {epoch.loss} in epoch {epoch.number}. Lower --learning-rate, "
                "which is "
                f"{recipe.learning_rate}."
            )
        watcher.epoch_ended(epoch)

    started_s = time.monotonic()
    with held_interrupts() as let_through:
        model.fit(
            scale(splits.train.images),
            splits.train.labels,
            validation_data=(scale(splits.validation.images), splits.validation.labels),
            epochs=recipe.epochs,
            batch_size=recipe.batch_rows,
            verbose=0,
            callbacks=[
                keras.callbacks.LambdaCallback(
                    on_train_batch_end=batch_ended,
                    on_epoch_end=epoch_ended,
                )
            ],
        )
    return time.monotonic() - started_s
