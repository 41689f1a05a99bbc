"""manifest.json: the schema that trainer and server share."""

import math
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import numpy.typing as npt

from flatdense_artifact.errors import ManifestInvalid

MANIFEST_NAME = "manifest.json"

FORMAT_VERSION = 1
"""Grows when an old reader would misread a new manifest. New optional fields do not change it."""

FRACTIONS_TOLERANCE = 1e-6
"""How far the fractions of a histogram may be from 1, together."""

Count = Annotated[int, msgspec.Meta(ge=0)]
Fraction = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Layer(msgspec.Struct, frozen=True, kw_only=True):
    """One layer of the network, in the order of the forward pass."""

    name: str
    kind: str
    """The Keras class: `Flatten`, `Dense`."""
    activation: str | None = None
    output_shape: list[Count]
    """Without the batch dimension."""
    parameters: Count


class Architecture(msgspec.Struct, frozen=True, kw_only=True):
    """The network's shape. Two versions with equal architectures differ in weights alone."""

    input_shape: list[Count]
    """Of one image: rows, columns."""
    layers: list[Layer]

    @property
    def parameters(self) -> int:
        """All trainable parameters."""
        return sum(layer.parameters for layer in self.layers)


class Training(msgspec.Struct, frozen=True, kw_only=True):
    """The run that made the version, in enough detail to repeat it."""

    dataset: str
    sources: dict[str, str]
    """Name of each source array -> sha256 of its canonical IDX bytes."""
    train_rows: Count
    validation_rows: Count
    test_rows: Count
    seed: int
    epochs: Count
    batch_rows: Count
    optimizer: str
    learning_rate: float
    """The highest."""
    duration_s: float
    preset: str | None = None
    """The recipe's name."""
    weight_decay: float = 0.0
    averaging: float = 0.0
    """How much of the running mean of the weights a step keeps; 0: there was no mean."""
    distortion: dict[str, float] | None = None
    """How far images were distorted: figure -> its value; None: they were not."""
    teacher: str | None = None
    """Whose answers were learnt instead of the labels, in words."""
    temperature: float = 1.0
    """What logits were divided by after the training: it is in the weights."""


class Metrics(msgspec.Struct, frozen=True, kw_only=True):
    """How good the version is. Accuracies are fractions, losses mean cross-entropy in nats."""

    test_accuracy: Fraction
    test_loss: float
    validation_accuracy: Fraction
    validation_loss: float


class Golden(msgspec.Struct, frozen=True, kw_only=True):
    """Inputs with known outputs. An engine that gives others must not serve the version.

    The inputs are the digits embedded in scikit-learn and seeded patterns, no dataset images.
    """

    images: bytes
    """uint8 [N, pixels], row-major; base64 in the file."""
    probabilities: list[list[float]]
    """[N, classes], what the trainer's own framework gave."""
    tolerance: float
    """The largest absolute difference of a probability that still counts as the same answer."""

    def inputs(self) -> npt.NDArray[np.uint8]:
        """The images as uint8 [N, pixels], read-only."""
        return np.frombuffer(self.images, np.uint8).reshape(len(self.probabilities), -1)

    def outputs(self) -> npt.NDArray[np.float32]:
        """The probabilities as float32 [N, classes]."""
        return np.asarray(self.probabilities, np.float32)


class Histogram(msgspec.Struct, frozen=True, kw_only=True):
    """How one feature is distributed over the validation images: what drift is measured against."""

    edges: list[float]
    """Ascending; one more than there are bins."""
    fractions: list[Fraction]
    """Of the rows in each bin; they sum to 1."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a version is, where it came from, and how to tell that it is whole."""

    format_version: int = FORMAT_VERSION
    created_at: Annotated[datetime, msgspec.Meta(tz=True)]
    """RFC 3339 in the file."""
    architecture: Architecture
    classes: list[str]
    """The name of each class; outputs index it."""
    files: dict[str, str]
    """Path below the version's folder, with `/` -> sha256, for every file but this one."""
    training: Training
    metrics: Metrics
    libraries: dict[str, str]
    """Name -> version of what trained and exported it."""
    golden: Golden
    reference: dict[str, Histogram]
    """Feature name -> its distribution in the validation split: see features.py."""


def read_manifest(folder: Path) -> Manifest:
    """Reads and checks `folder/manifest.json`.

    Raises ManifestInvalid where it is missing, is not JSON, does not fit the schema, is of a newer
    format, or contradicts itself.
    """
    path = folder / MANIFEST_NAME
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError:
        raise ManifestInvalid(
            f"{path} is missing: expected a version that flatdense-train exported. "
            "Export the model again."
        ) from None
    except OSError as error:
        raise ManifestInvalid(
            f"{path} cannot be read: {error.strerror}. Check its permissions."
        ) from error
    except (
        msgspec.DecodeError
    ) as error:  # its subclass ValidationError says where the schema is not met
        raise ManifestInvalid(f"{path} is damaged: {error}. Export the model again.") from error
    if manifest.format_version != FORMAT_VERSION:
        raise ManifestInvalid(
            f"{path} has format_version {manifest.format_version}; this program reads "
            f"{FORMAT_VERSION}. Use the flatdense release that wrote it, or export the model again."
        )
    contradiction = find_contradiction(manifest)
    if contradiction:
        raise ManifestInvalid(
            f"{path} contradicts itself: {contradiction}. Export the model again."
        )
    return manifest


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Writes `folder/manifest.json`, indented for people. The caller flushes and renames."""
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    (folder / MANIFEST_NAME).write_bytes(text + b"\n")


def find_contradiction(manifest: Manifest) -> str | None:
    """Says which two parts of a manifest cannot both be true, or None."""
    architecture, golden = manifest.architecture, manifest.golden
    classes = len(manifest.classes)
    if not architecture.layers:
        return "architecture.layers is empty"
    outputs = architecture.layers[-1].output_shape
    if outputs != [classes]:
        return f"the last layer's output_shape is {outputs} and there are {classes} classes"
    pixels = math.prod(architecture.input_shape)
    rows = len(golden.probabilities)
    if rows == 0:
        return "golden has no vectors"
    if len(golden.images) != rows * pixels:
        return f"golden.images has {len(golden.images)} bytes for {rows} rows of {pixels} pixels"
    if any(len(row) != classes for row in golden.probabilities):
        return f"a row of golden.probabilities does not have {classes} values"
    return find_reference_fault(manifest)


def find_reference_fault(manifest: Manifest) -> str | None:
    """Says why live images cannot be compared with the reference, or None."""
    for name, histogram in manifest.reference.items():
        edges, bins = histogram.edges, len(histogram.fractions)
        if len(edges) != bins + 1:
            return f"reference.{name} has {len(edges)} edges for {bins} bins"
        if not all(low < high for low, high in pairwise(edges)):
            return f"the edges of reference.{name} do not ascend"
        if not math.isclose(sum(histogram.fractions), 1, abs_tol=FRACTIONS_TOLERANCE):
            return (
                f"the fractions of reference.{name} sum to {sum(histogram.fractions):.6g} and not "
                "to 1"
            )
    if (answers := manifest.reference.get("class")) is not None:
        bins, classes = len(answers.fractions), len(manifest.classes)
        if bins != classes:
            return f"reference.class has {bins} bins for {classes} classes"
    if manifest.reference and manifest.training.validation_rows == 0:
        return "there is a reference and training.validation_rows is 0"
    return None
