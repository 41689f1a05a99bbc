"""What an engine opens."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flatdense_artifact import Layer, Weights, read_weights

from flatdense_server.engine.survey import Survey


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFiles:
    """Where the parts of one version lie, and how its network is built."""

    saved_model: Path
    """The folder of the SavedModel."""
    layers: Sequence[Layer]
    """In the order of the forward pass; empty where they are not known."""
    weights: Path
    """The folder of weights.safetensors, for the dense ones of `layers`."""
    survey: Survey | None = None
    """How the SavedModel is called, where it is not one of our own exports."""

    def read_weights(self) -> Weights:
        """The weights without TensorFlow. Raises VersionDamaged."""
        return read_weights(
            self.weights, [layer.name for layer in self.layers if layer.kind == "Dense"]
        )
