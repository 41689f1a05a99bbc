"""SavedModels that other programs exported: Keras, tf.Module, and TensorFlow 1."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Final

import numpy as np
import numpy.typing as npt
import pytest
from flatdense_server.tensors import FLOAT32, PIXELS, Rows

SEED: Final = 3

Probabilities = npt.NDArray[np.float32]
Foreign = tuple[Path, Callable[[Rows], Probabilities]]


def softmax(logits: Probabilities) -> Probabilities:
    """Row by row."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.fixture(scope="session")
def keras() -> SimpleNamespace:
    """Keras on TensorFlow, imported for these tests alone. It takes seconds."""
    import tensorflow as tf  # noqa: PLC0415

    return tf.keras


@pytest.fixture(scope="session")
def export_keras(
    keras: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Foreign]:
    """Exports a Sequential of some layers, and gives what Keras itself says of uint8 rows."""

    def export(*layers: object, scale: float = 255, logits: bool = False) -> Foreign:
        """`scale` is what the program divides pixels by before it asks its model."""
        keras.utils.set_random_seed(SEED)
        model = keras.Sequential(list(layers))
        folder = tmp_path_factory.mktemp("keras")
        model.export(folder, verbose=False)

        def predict(rows: Rows) -> Probabilities:
            """By the model in memory."""
            pixels = (rows / np.float32(scale)).astype(model.inputs[0].dtype)
            answers = model.predict_on_batch(pixels.reshape(-1, *model.input_shape[1:]))
            return softmax(answers) if logits else answers

        return folder, predict

    return export


@pytest.fixture(scope="session")
def dense(keras: SimpleNamespace) -> Callable[..., list[object]]:
    """The layers of our network, with biases that are not zeros."""

    def layers(units: int = 16, classes: int = 10, activation: str = "softmax") -> list[object]:
        """New ones, for a model of their own."""
        bias = {"bias_initializer": "random_normal"}
        return [
            keras.layers.Flatten(),
            keras.layers.Dense(units, activation="relu", **bias),
            keras.layers.Dense(classes, activation=activation, **bias),
        ]

    return layers


@pytest.fixture(scope="session")
def export_module(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Foreign]:
    """Exports a tf.Module without biases, with a body and a specification of one's own."""
    import tensorflow as tf  # noqa: PLC0415 -- seconds, for these tests alone

    random = np.random.default_rng(SEED)
    module = tf.Module()
    module.u = tf.Variable(random.normal(0, 0.1, (PIXELS, 12)).astype(FLOAT32))
    module.v = tf.Variable(random.normal(0, 1, (12, 7)).astype(FLOAT32))
    u, v = module.u.numpy(), module.v.numpy()

    def network(x: tf.Tensor) -> dict[str, tf.Tensor]:
        """Seven classes, under a name of its own."""
        return {"zz/top": tf.nn.softmax(tf.nn.relu(x @ module.u) @ module.v)}

    def predict(rows: Rows) -> Probabilities:
        """In numpy."""
        return softmax(np.maximum(rows / FLOAT32.type(255) @ u, 0) @ v)

    def export(
        body: Callable[..., dict[str, tf.Tensor]] = network,
        *,
        signature: str = "my own",
        **inputs: tuple[tuple[int | None, ...] | None, str],
    ) -> Foreign:
        """`inputs` are shape and dtype by name; x, 784 floats a row, where there are none."""
        inputs = inputs or {"x": ((None, PIXELS), "float32")}
        specs = [tf.TensorSpec(shape, dtype, name) for name, (shape, dtype) in inputs.items()]
        folder = tmp_path_factory.mktemp("module")
        function = tf.function(body, autograph=False).get_concrete_function(*specs)
        tf.saved_model.save(module, str(folder), signatures={signature: function})
        return folder, predict

    export.network = network
    return export


@pytest.fixture(scope="session")
def export_frozen(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Foreign]:
    """Exports a graph of TensorFlow 1 whose weights are constants."""
    import tensorflow as tf  # noqa: PLC0415 -- seconds, for these tests alone

    v1 = tf.compat.v1

    def export() -> Foreign:
        """With the tags and the signature that TensorFlow Serving wants."""
        random = np.random.default_rng(SEED)
        kernel = random.normal(0, 0.1, (PIXELS, 10)).astype(FLOAT32)
        square = random.normal(0, 1, (10, 10)).astype(FLOAT32)
        biases = random.normal(0, 1, (2, 10)).astype(FLOAT32)
        folder = tmp_path_factory.mktemp("frozen") / "1"
        with tf.Graph().as_default(), v1.Session() as session:
            images = v1.placeholder(tf.float32, (None, PIXELS), name="flat_image")
            hidden = tf.nn.relu(images @ tf.constant(kernel) + tf.constant(biases[0]))
            scores = tf.nn.softmax(hidden @ tf.constant(square) + tf.constant(biases[1]))
            definition = v1.saved_model.signature_def_utils.predict_signature_def(
                {"flat_image": images}, {"scores": scores}
            )
            builder = v1.saved_model.Builder(str(folder))
            builder.add_meta_graph_and_variables(
                session, ["serve"], {"serving_default": definition}
            )
            builder.save()

        def predict(rows: Rows) -> Probabilities:
            """In numpy."""
            hidden = np.maximum(rows / FLOAT32.type(255) @ kernel + biases[0], 0)
            return softmax(hidden @ square + biases[1])

        return folder, predict

    return export


@pytest.fixture(scope="session")
def foreign(
    keras: SimpleNamespace,
    export_keras: Callable[..., Foreign],
    export_module: Callable[..., Foreign],
    export_frozen: Callable[[], Foreign],
    dense: Callable[..., list[object]],
) -> Callable[[str], Foreign]:
    """SavedModels that can be served, by name; each is exported when it is first asked for."""
    layers, image = keras.layers, keras.Input
    makers: dict[str, Callable[[], Foreign]] = {
        "image": lambda: export_keras(image((28, 28), name="pixels"), *dense()),
        "flat": lambda: export_keras(image((PIXELS,)), *dense()[1:]),
        "square": lambda: export_keras(image((28, 28)), *dense(units=10)),
        "logits": lambda: export_keras(image((28, 28)), *dense(activation="linear"), logits=True),
        "rescaling": lambda: export_keras(
            image((28, 28)), layers.Rescaling(1 / 255), *dense(), scale=1
        ),
        "centred": lambda: export_keras(
            image((28, 28)), layers.Rescaling(1 / 127.5, offset=-1), *dense(), scale=1
        ),
        "uint8": lambda: export_keras(
            image((28, 28, 1), dtype="uint8"), layers.Rescaling(1 / 255), *dense(), scale=1
        ),
        "convolution": lambda: export_keras(
            image((28, 28, 1)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ),
        "module": export_module,
        "frozen": export_frozen,
    }
    made: dict[str, Foreign] = {}

    def find(name: str) -> Foreign:
        """The folder, and what the program that exported it says of uint8 rows."""
        if name not in made:
            made[name] = makers[name]()
        return made[name]

    return find
