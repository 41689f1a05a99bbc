"""The exported function: the network as a plain graph, with the tensors of the public interface.

serving_default   float32 [N, 784] images, 0..1    -> probabilities float32 [N, 10], classes int64
[N] serving_uint8     uint8   [N, 784] images, 0..255  -> the same; scaled inside the graph explain
float32 [N, 784] images, 0..1    -> the same, and hidden float32 [N, 256]
"""

from collections.abc import Callable
from pathlib import Path

import tensorflow as tf
from flatdense_artifact import DenseLayer, Weights

Outputs = dict[str, tf.Tensor]

GraphFunction = Callable[..., Outputs]
"""Takes one tensor, `images`; the graph itself says of which type."""


NAMES = ("serving_default", "serving_uint8", "explain")


def build_module(weights: Weights) -> tf.Module:
    """A module with one function for each signature, under its name, over one copy of the weights.

    Its variables are called as in `weights.safetensors`: `hidden/kernel`, `hidden/bias`,
    `output/kernel`, `output/bias`.
    """
    module = tf.Module(name="flatdense")
    hidden, output = (hold(layer) for layer in weights.layers())
    module.hidden, module.output = (
        hidden,
        output,
    )  # saving finds variables by the module's attributes

    def explain(images: tf.Tensor) -> Outputs:
        activations = tf.nn.relu(tf.matmul(images, hidden.kernel) + hidden.bias)
        probabilities = tf.nn.softmax(tf.matmul(activations, output.kernel) + output.bias)
        classes = tf.argmax(probabilities, axis=1, output_type=tf.int64)
        return {"probabilities": probabilities, "classes": classes, "hidden": activations}

    def serving_default(images: tf.Tensor) -> Outputs:
        outputs = explain(images)
        return {name: outputs[name] for name in ("probabilities", "classes")}

    def serving_uint8(images: tf.Tensor) -> Outputs:
        return serving_default(tf.cast(images, tf.float32) / 255.0)

    pixels = len(weights.hidden.kernel)
    module.serving_default = as_graph(serving_default, pixels, tf.float32)
    module.serving_uint8 = as_graph(serving_uint8, pixels, tf.uint8)
    module.explain = as_graph(explain, pixels, tf.float32)
    return module


def hold(layer: DenseLayer) -> tf.Module:
    """A module with the layer's `kernel` and `bias` as variables."""
    module = tf.Module(name=layer.name)
    module.kernel = tf.Variable(layer.kernel, name=f"{layer.name}/kernel")
    module.bias = tf.Variable(layer.bias, name=f"{layer.name}/bias")
    return module


def as_graph(
    function: Callable[[tf.Tensor], Outputs], pixels: int, data_type: tf.DType
) -> GraphFunction:
    """The function as one graph for any number of rows."""
    images = tf.TensorSpec([None, pixels], data_type, name="images")
    graph: GraphFunction = tf.function(function, input_signature=[images], autograph=False)
    return graph


def write_saved_model(folder: Path, module: tf.Module) -> None:
    """Writes the module as a SavedModel into `folder`. Raises OSError or tf.errors.OpError."""
    tf.saved_model.save(
        module, str(folder), signatures={name: getattr(module, name) for name in NAMES}
    )
