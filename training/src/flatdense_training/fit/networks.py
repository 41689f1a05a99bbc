"""The network, and the bigger one that may teach it: pixels in, a logit for each class out."""

import keras
from flatdense_artifact import Architecture, DenseLayer, Layer, Weights

INPUT_SHAPE = (28, 28)

CONVOLUTIONS = ((16, 1), (32, 2), (48, 1), (64, 2), (96, 1), (128, 2))
"""Of the teacher: the filters of each, and by what it thins out rows and columns."""

DROPOUT = 0.3
"""Of the teacher's last features."""

FORGETTING = 0.95
"""Of the teacher's batch statistics, for each step."""


def build_student(*, hidden_units: int, classes: int) -> keras.Model:
    """An untrained network for float32 images [N, 28, 28], 0..1, with weights by Keras's seed.

    Its outputs are logits; the exported graph adds the softmax.
    """
    return keras.Sequential(
        [
            keras.Input(INPUT_SHAPE, name="images"),
            keras.layers.Flatten(name="flatten"),
            keras.layers.Dense(hidden_units, activation="relu", name="hidden"),
            keras.layers.Dense(classes, name="output"),
        ],
        name="flatdense",
    )


def build_teacher(*, classes: int) -> keras.Model:
    """An untrained convolutional network for the same images, which is never exported."""
    layers: list[keras.Layer] = [
        keras.Input(INPUT_SHAPE, name="images"),
        keras.layers.Reshape((*INPUT_SHAPE, 1)),
    ]
    for filters, strides in CONVOLUTIONS:
        layers += [
            keras.layers.Conv2D(filters, 3, strides=strides, padding="same", use_bias=False),
            keras.layers.BatchNormalization(momentum=FORGETTING),
            keras.layers.ReLU(),
        ]
    layers += [
        keras.layers.Flatten(),
        keras.layers.Dropout(DROPOUT),
        keras.layers.Dense(classes),
    ]
    return keras.Sequential(layers, name="teacher")


def describe(student: keras.Model) -> Architecture:
    """The student's layers as the manifest writes them, the softmax of the graph with the last."""
    activations = {"flatten": None, "hidden": "relu", "output": "softmax"}
    return Architecture(
        input_shape=list(INPUT_SHAPE),
        layers=[
            Layer(
                name=layer.name,
                kind=type(layer).__name__,
                activation=activations[layer.name],
                output_shape=list(layer.output.shape[1:]),
                parameters=layer.count_params(),
            )
            for layer in student.layers
        ],
    )


def read_out(student: keras.Model) -> Weights:
    """The student's weights, out of Keras."""
    hidden, output = (
        DenseLayer(name=name, kernel=kernel, bias=bias)
        for name in ("hidden", "output")
        for kernel, bias in [student.get_layer(name).get_weights()]
    )
    return Weights(hidden, output)
