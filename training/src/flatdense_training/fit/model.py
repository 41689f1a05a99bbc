"""The network: 28x28 grey pixels, one hidden layer, one probability for each class."""

import keras
from flatdense_artifact import Architecture, DenseLayer, Layer, Weights

INPUT_SHAPE = (28, 28)


def build_model(*, hidden_units: int, classes: int) -> keras.Model:
    """An untrained network for float32 images [N, 28, 28], 0..1, with weights by Keras's seed."""
    return keras.Sequential(
        [
            keras.Input(INPUT_SHAPE, name="images"),
            keras.layers.Flatten(name="flatten"),
            keras.layers.Dense(hidden_units, activation="relu", name="hidden"),
            keras.layers.Dense(classes, activation="softmax", name="output"),
        ],
        name="flatdense",
    )


def describe(model: keras.Model) -> Architecture:
    """The model's layers as the manifest writes them."""
    return Architecture(
        input_shape=list(INPUT_SHAPE),
        layers=[
            Layer(
                name=layer.name,
                kind=type(layer).__name__,
                activation=layer.activation.__name__ if hasattr(layer, "activation") else None,
                output_shape=list(layer.output.shape[1:]),
                parameters=layer.count_params(),
            )
            for layer in model.layers
        ],
    )


def read_out(model: keras.Model) -> Weights:
    """The model's weights, out of Keras."""
    hidden, output = (
        DenseLayer(name=name, kernel=kernel, bias=bias)
        for name in ("hidden", "output")
        for kernel, bias in [model.get_layer(name).get_weights()]
    )
    return Weights(hidden, output)
