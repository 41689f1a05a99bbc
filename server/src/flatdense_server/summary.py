"""What a served version is, for whoever describes it: an RPC, a page, a log line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

from flatdense_artifact import Histogram, Layer, Metrics, Training


@dataclass(frozen=True, slots=True)
class Identity:
    """What answers, as answers name it."""

    model: str
    version: int
    class_names: tuple[str, ...]
    """Outputs index them."""


State: TypeAlias = Literal["loading", "ready", "failed", "shadow", "unloaded"]


@dataclass(frozen=True, slots=True)
class SignatureTensor:
    """One input or output of a signature."""

    name: str
    """In the graph."""
    dtype: int
    """By TensorFlow's DataType."""
    shape: tuple[int, ...] | None
    """-1 stands for any; None where not even the rank is known."""


@dataclass(frozen=True, slots=True)
class Signature:
    """One way to call a SavedModel, as it says it."""

    name: str
    method_name: str
    inputs: Mapping[str, SignatureTensor]
    outputs: Mapping[str, SignatureTensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What is known of one version."""

    class_names: Sequence[str]
    """Outputs index them."""
    layers: Sequence[Layer]
    """In the order of the forward pass; empty where they are not known."""
    parameters: int
    training: Training | None
    """None, like the next two, where the version does not say."""
    metrics: Metrics | None
    created_at: datetime | None
    signatures: Sequence[Signature] = ()
    """Of a SavedModel of flatdense-train."""
    reference: Mapping[str, Histogram] = field(default_factory=dict)
    """Feature -> how the validation images were distributed; empty where that is not known."""
    unchecked: Sequence[str] = ()
    """What could not be checked of it, a sentence each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionStatus:
    """Where one version is on its way to being served."""

    version: int
    state: State
    """`shadow` is compared with what is served, and answers nobody."""
    reason: str = ""
    """Why it failed."""
    labels: Sequence[str] = ()
    """Those that mean this version now, in alphabetical order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSummary:
    """One served version of one model, and how it is served."""

    name: str
    version: int
    available_versions: Sequence[int]
    """Every version of this model that answers now, ascending."""
    versions: Sequence[VersionStatus]
    """Every version that was loaded or tried, ascending."""
    facts: ModelFacts
    engine: str
    """jit or aot."""
    device: str
    """cpu or gpu."""
    ladder_rows: Sequence[int]
    """The batch sizes compiled before ready, ascending."""
    hidden_count: int
    """Hidden activations of a row that it can give; 0 where it cannot."""
    max_request_rows: int
    batch_wait_us: int
    """How long a batch that is not full waits for more rows."""
