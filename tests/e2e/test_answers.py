"""What a real server process answers, against what the trainer's framework says."""

from pathlib import Path
from typing import Any

import grpc
import numpy as np
import numpy.typing as npt
import pytest
from flatdense_artifact import list_versions, read_manifest, read_weights, version_folder
from flatdense_client import Client
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_proto.v1.classifier_pb2_grpc import ClassifierStub
from server_process import ServerProcess

pytestmark = pytest.mark.xdist_group("server")

LADDER_ROWS = [1 << k for k in range(11)]
ODD_ROWS = [3, 63, 65, 1000]


@pytest.fixture(scope="module")
def served_version(exported_model: Path) -> Path:
    """The folder of the version that the server serves."""
    return version_folder(exported_model, list_versions(exported_model)[-1])


def test_the_accuracy_through_the_server_is_the_manifests(
    server: ServerProcess,
    served_version: Path,
    mnist_test: tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]],
) -> None:
    """All 10,000 test images through the SDK give exactly the accuracy that the manifest states."""
    images, labels = mnist_test
    with Client(server.address) as client:
        predictions = client.classify(images)
    correct = int((predictions.classes == labels).sum())
    accuracy = correct / len(labels)
    assert accuracy == read_manifest(served_version).metrics.test_accuracy
    assert accuracy >= 0.978


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_the_probabilities_are_those_of_keras(
    server: ServerProcess, served_version: Path, dtype: str
) -> None:
    """For every size of the ladder and odd sizes between, each probability is within 1e-5."""
    network = keras_network(served_version)
    pixels = np.random.default_rng(7).integers(0, 256, (1024, 784), dtype=np.uint8)
    scaled = pixels.astype(np.float32) / 255
    expected = network(scaled).numpy()
    images = pixels if dtype == "uint8" else scaled
    with Client(server.address) as client:
        for rows in [*LADDER_ROWS, *ODD_ROWS]:
            answered = client.classify(images[:rows]).probabilities
            np.testing.assert_allclose(answered, expected[:rows], rtol=0, atol=1e-5)


def test_an_explanation_is_what_the_network_computes(
    server: ServerProcess, served_version: Path
) -> None:
    """By each engine: its activations and logits, and contributions whose sum is the logit."""
    hidden, output = read_weights(served_version, ["hidden", "output"]).layers()
    pixels = np.random.default_rng(8).integers(0, 256, (65, 784), dtype=np.uint8)
    images = pixels.astype(np.float32) / 255
    activations = np.maximum(images @ hidden.kernel + hidden.bias, 0)
    logits = activations @ output.kernel + output.bias
    with grpc.insecure_channel(server.address) as channel:
        answer = ClassifierStub(channel).Explain(
            pb.ExplainRequest(images=pixels.tobytes(), data_type=pb.DATA_TYPE_UINT8, class_index=3)
        )
    values = {
        name: np.frombuffer(getattr(answer, name), "<f4").reshape(65, -1)
        for name in ("hidden", "logits", "contributions", "bias_contributions")
    }
    np.testing.assert_allclose(values["hidden"], activations, rtol=0, atol=1e-4)
    np.testing.assert_allclose(values["logits"], logits, rtol=0, atol=1e-4)
    sums = values["contributions"].sum(axis=1) + values["bias_contributions"][:, 0]
    np.testing.assert_allclose(sums, logits[:, 3], rtol=0, atol=1e-4)


def keras_network(folder: Path) -> Any:  # noqa: ANN401 -- Keras has no types
    """A Keras network as the training job builds it, with the exported weights."""
    import keras  # noqa: PLC0415 -- seconds, and for this file alone

    network = keras.Sequential(
        [
            keras.Input((784,)),
            keras.layers.Dense(256, activation="relu", name="hidden"),
            keras.layers.Dense(10, activation="softmax", name="output"),
        ]
    )
    weights = read_weights(folder, ["hidden", "output"])
    for layer in weights.layers():
        network.get_layer(layer.name).set_weights([layer.kernel, layer.bias])
    return network
