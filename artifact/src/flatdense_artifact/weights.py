"""weights.safetensors: the weights of a version, for readers without TensorFlow."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import safetensors.numpy
from safetensors import SafetensorError

from flatdense_artifact.errors import VersionDamaged

WEIGHTS_NAME = "weights.safetensors"

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class DenseLayer:
    """One dense layer: `inputs @ kernel + bias`."""

    name: str
    kernel: Float32
    """[inputs, units]"""
    bias: Float32
    """[units]"""


@dataclass(frozen=True, slots=True)
class Weights:
    """The two dense layers of the network: relu after `hidden`, softmax after `output`."""

    hidden: DenseLayer
    output: DenseLayer

    def layers(self) -> tuple[DenseLayer, DenseLayer]:
        """In the order of the forward pass."""
        return self.hidden, self.output


def write_weights(folder: Path, weights: Weights) -> None:
    """Writes `folder/weights.safetensors`: `<layer>/kernel` and `<layer>/bias` of each layer."""
    tensors = {}
    for layer in weights.layers():
        tensors[f"{layer.name}/kernel"] = np.ascontiguousarray(layer.kernel)
        tensors[f"{layer.name}/bias"] = np.ascontiguousarray(layer.bias)
    # Not save_file(): it makes a file that its owner alone can read.
    (folder / WEIGHTS_NAME).write_bytes(safetensors.numpy.save(tensors))


def read_weights(folder: Path, layer_names: Sequence[str]) -> Weights:
    """Reads `folder/weights.safetensors`; `layer_names` names the two dense layers.

    Raises VersionDamaged where the file is missing, cannot be read, or lacks a tensor.
    """
    path = folder / WEIGHTS_NAME
    try:
        tensors = safetensors.numpy.load_file(path)
        hidden, output = (
            DenseLayer(name=name, kernel=tensors[f"{name}/kernel"], bias=tensors[f"{name}/bias"])
            for name in layer_names
        )
    except (OSError, SafetensorError) as error:
        raise VersionDamaged(f"{path} cannot be read: {error}. Export the model again.") from error
    except KeyError as error:
        raise VersionDamaged(f"{path} has no tensor {error}. Export the model again.") from error
    return Weights(hidden, output)
