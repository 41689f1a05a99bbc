"""What the server says of the model it serves."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone

from flatdense_proto.v1 import classifier_pb2


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer of the network."""

    name: str
    kind: str
    """The Keras class: `Flatten`, `Dense`."""
    activation: str | None
    output_shape: tuple[int, ...]
    """Without the batch dimension."""
    parameters: int


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """One input or output of the model."""

    name: str
    data_type: str
    """`UINT8`, `FP32` or `INT64`."""
    shape: tuple[int, ...]
    """-1 stands for the number of rows."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """The run that made this version."""

    dataset: str
    created_at: datetime | None
    """In UTC; None where the server does not say."""
    seed: int
    epochs: int
    train_rows: int
    validation_rows: int
    test_rows: int
    metrics: Mapping[str, float]
    """By name; accuracies are fractions."""


@dataclass(frozen=True, kw_only=True)
class Serving:
    """How the server runs this version."""

    engine: str
    """`jit` or `aot`."""
    device: str
    """`cpu` or `gpu`."""
    ladder_rows: tuple[int, ...]
    """The batch sizes that were compiled before the server was ready, ascending."""
    max_request_rows: int
    """The most rows that one message may carry."""


@dataclass(frozen=True, kw_only=True)
class VersionStatus:
    """Where one version is on its way to being served."""

    version: int
    state: str
    """`loading`, `ready`, `failed`, or `shadow`: compared with what is served, and answering
    nobody."""
    reason: str
    """Why it failed. Empty in the other states."""
    labels: tuple[str, ...]
    """The labels that mean this version now, in alphabetical order."""


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """One version of a model: its network, its training and how it is served."""

    name: str
    version: int
    available_versions: tuple[int, ...]
    """Every version that answers now, ascending."""
    versions: tuple[VersionStatus, ...]
    """Every version that the server loaded or tried to load, ascending."""
    layers: tuple[Layer, ...]
    """In the order of the forward pass; empty where the server does not know them."""
    parameters: int
    """The trainable parameters of all layers."""
    class_names: tuple[str, ...]
    """`Prediction.class_index` indexes them."""
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    training: Training | None
    """None where the version does not say how it was trained."""
    serving: Serving
    unchecked: tuple[str, ...]
    """What the server could not check of this version, a sentence each."""

    @property
    def test_accuracy(self) -> float | None:
        """The fraction of the test images that it classifies right; None where unknown."""
        return self.training.metrics.get("test_accuracy") if self.training else None


def read_model(response: classifier_pb2.GetModelResponse) -> ModelInfo:
    """The message as plain values."""
    return ModelInfo(
        name=response.name,
        version=response.version,
        available_versions=tuple(response.available_versions),
        versions=tuple(
            VersionStatus(
                version=status.version,
                state=status.state,
                reason=status.reason,
                labels=tuple(status.labels),
            )
            for status in response.versions
        ),
        layers=tuple(
            Layer(
                name=layer.name,
                kind=layer.kind,
                activation=layer.activation or None,
                output_shape=tuple(layer.output_shape),
                parameters=layer.parameters,
            )
            for layer in response.layers
        ),
        parameters=response.parameters,
        class_names=tuple(response.class_names),
        inputs=_read_tensors(response.inputs),
        outputs=_read_tensors(response.outputs),
        training=_read_training(response.training) if response.HasField("training") else None,
        serving=Serving(
            engine=response.serving.engine,
            device=response.serving.device,
            ladder_rows=tuple(response.serving.ladder_rows),
            max_request_rows=response.serving.max_request_rows,
        ),
        unchecked=tuple(response.unchecked),
    )


def _read_tensors(tensors: Iterable[classifier_pb2.Tensor]) -> tuple[Tensor, ...]:
    return tuple(
        Tensor(name=tensor.name, data_type=tensor.data_type, shape=tuple(tensor.shape))
        for tensor in tensors
    )


def _read_training(training: classifier_pb2.Training) -> Training:
    created_at = None
    if training.HasField("created_at"):
        created_at = training.created_at.ToDatetime(tzinfo=timezone.utc)
    return Training(
        dataset=training.dataset,
        created_at=created_at,
        seed=training.seed,
        epochs=training.epochs,
        train_rows=training.train_rows,
        validation_rows=training.validation_rows,
        test_rows=training.test_rows,
        metrics=dict(training.metrics),
    )
