"""A network that is being fitted: what a step does to its weights."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from flatdense_training.data.idx import UInt8
from flatdense_training.data.pixels import FULL, SIDE
from flatdense_training.fit.recipe import WARMUP_PART, Recipe

Float32 = npt.NDArray[np.float32]

FIRST_PART = 0.01
"""Of the peak, the learning rate of the first step."""

JUDGED_ROWS = 1_000
"""At once, where nothing is learnt: bounds the memory of a convolutional network's features."""

Graph = Callable[..., Any]
"""A function of tensors, compiled into one graph."""

State = Mapping[str, npt.NDArray[np.generic]]


class Fitting:
    """A network, the running mean of its weights, and the optimizer's memory.

    Not thread-safe: one thread learns. It is made in the scope of the strategy under which the
    network was: each replica then learns its share of every batch.
    """

    def __init__(self, network: keras.Model, recipe: Recipe, *, steps: int) -> None:
        """`steps` is how many there are in all: the learning rate falls to 0 in them."""
        self.recipe = recipe
        self._strategy = tf.distribute.get_strategy()
        self._network = network
        self._mean = keras.models.clone_model(network)
        self._mean.set_weights(network.get_weights())
        warmup_steps = int(steps * WARMUP_PART)
        self._optimizer = keras.optimizers.AdamW(
            keras.optimizers.schedules.CosineDecay(
                recipe.learning_rate * (FIRST_PART if warmup_steps else 1),
                decay_steps=steps - warmup_steps,
                warmup_target=recipe.learning_rate if warmup_steps else None,
                warmup_steps=warmup_steps,
            ),
            weight_decay=recipe.weight_decay,
        )
        self._optimizer.build(network.trainable_variables)
        self._optimizer.exclude_from_weight_decay(
            [each for each in network.trainable_variables if each.name != "kernel"]
        )
        self._pairs = [
            (mean, weight)
            for mean, weight in zip(self._mean.variables, network.variables, strict=True)
            if weight.dtype == "float32"
        ]

        self._learn: Graph = tf.function(
            self._learn_steps,
            input_signature=[
                tf.TensorSpec([None, None, SIDE, SIDE], tf.uint8),
                tf.TensorSpec([None, None, None], tf.float32),
                tf.TensorSpec([], tf.float32),
            ],
        )
        self._answer: Graph = tf.function(
            self._answer_all, input_signature=[tf.TensorSpec([None, SIDE, SIDE], tf.uint8)]
        )

    @property
    def mean(self) -> keras.Model:
        """The network with the running mean of the weights: what is judged and exported."""
        return self._mean

    @property
    def learning_rate(self) -> float:
        """Of the next step."""
        return float(self._optimizer.learning_rate)

    def learn(
        self, images: UInt8, targets: Float32, *, softness: float = 1.0
    ) -> tuple[float, float]:
        """One step for each batch, and the means over the batches of loss and accuracy.

        Images are [S, B, 28, 28]. Targets, [S, B, C], are probabilities, which the network's, of
        its logits divided by `softness`, are to become; the accuracy is of the likeliest ones.
        """
        loss, accuracy = self._learn(images, targets, np.float32(softness))
        return float(loss), float(accuracy)

    def answer(self, images: UInt8) -> Float32:
        """The logits [N, C] of the mean network for images [N, 28, 28]."""
        starts = range(0, len(images), JUDGED_ROWS)
        return np.concatenate(
            [self._answer(images[start : start + JUDGED_ROWS]).numpy() for start in starts]
        )

    def state(self) -> State:
        """Everything that the next step depends on, copied."""
        return {name: variable.numpy() for name, variable in self._variables()}

    def restore(self, state: State) -> None:
        """Goes back to where `state` was taken. Raises KeyError or ValueError: of another."""
        for name, variable in self._variables():
            variable.assign(state[name])

    def _variables(self) -> list[tuple[str, keras.Variable]]:
        owners = {
            "network": self._network.variables,
            "mean": self._mean.variables,
            "optimizer": self._optimizer.variables,
        }
        return [
            (f"{owner}/{number}", variable)
            for owner, variables in owners.items()
            for number, variable in enumerate(variables)
            # The schedule gives it: what is kept here is of no use.
            if variable.name != "learning_rate"
        ]

    def _learn_steps(
        self, images: tf.Tensor, targets: tf.Tensor, softness: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        loss, right = tf.constant(0.0), tf.constant(0.0)
        for step in tf.range(tf.shape(images)[0]):
            outcome = self._strategy.run(self._step, args=(images[step], targets[step], softness))
            self._follow_weights()
            step_loss, step_right = self._strategy.experimental_local_results(outcome)[0]
            loss += step_loss
            right += step_right
        steps = tf.cast(tf.shape(images)[0], tf.float32)
        return loss / steps, right / steps

    def _step(
        self, images: tf.Tensor, targets: tf.Tensor, softness: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        context = tf.distribute.get_replica_context()
        mine = slice(context.replica_id_in_sync_group, None, context.num_replicas_in_sync)
        images, targets, rows = images[mine], targets[mine], tf.shape(images)[0]
        share = tf.cast(tf.shape(images)[0], tf.float32) / tf.cast(rows, tf.float32)
        with tf.GradientTape() as tape:
            logits = self._network(as_float(images), training=True)
            loss = share * tf.reduce_mean(
                tf.nn.softmax_cross_entropy_with_logits(targets, logits / softness)
            )
            # Gradients are as strong as with a softness of 1 (Hinton and others 2015).
            strengthened = loss * softness**2
        weights = self._network.trainable_variables
        # Which adds up the gradients of all replicas.
        self._optimizer.apply(tape.gradient(strengthened, weights), weights)
        is_right = tf.argmax(logits, axis=1) == tf.argmax(targets, axis=1)
        right = share * tf.reduce_mean(tf.cast(is_right, tf.float32))
        total = context.all_reduce(tf.distribute.ReduceOp.SUM, [loss, right])
        return total[0], total[1]

    def _follow_weights(self) -> None:
        done = tf.cast(self._optimizer.iterations, tf.float32)
        keep = tf.minimum(self.recipe.averaging, (1 + done) / (10 + done))
        for mean, weight in self._pairs:
            mean.assign_add((1 - keep) * (weight.value - mean.value))

    def _answer_all(self, images: tf.Tensor) -> tf.Tensor:
        return self._mean(as_float(images), training=False)


def as_float(images: tf.Tensor) -> tf.Tensor:
    """Pixels as the network takes them: float32 0..1, by the same division as in the export."""
    return tf.cast(images, tf.float32) / tf.constant(FULL, tf.float32)
