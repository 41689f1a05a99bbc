"""What the server and its model are, in the protocol's messages."""

from collections.abc import Iterable, Sequence
from importlib.metadata import version as library_version
from typing import Final

from flatdense_proto.twin import inference_pb2 as pb

from flatdense_server.protocols.open_inference.tensors import RAW_DTYPES
from flatdense_server.summary import ModelSummary, State, VersionStatus
from flatdense_server.tensors import CLASSES_NAME, INPUT_NAME, PIXELS, PROBABILITIES_NAME

SERVER_NAME: Final = "flatdense"

EXTENSIONS: Final = (
    "binary_tensor_data",
    "classification",
    "model_configuration",
    "model_repository",
    "statistics",
)
"""By the names that Triton gave them."""

PLATFORM: Final = "tensorflow_savedmodel"
BACKEND: Final = "tensorflow"

STATES: Final[dict[State, str]] = {
    "loading": "LOADING",
    "ready": "READY",
    "failed": "UNAVAILABLE",
    "shadow": "UNAVAILABLE",
    "unloaded": "UNAVAILABLE",
}

REASONS: Final[dict[State, str]] = {
    "shadow": "it is compared with what is served",
    "unloaded": "unloaded",
}
"""Where a status has none."""

ANY_ROWS: Final = -1


def describe_server() -> pb.ServerMetadataResponse:
    """Name, version, extensions."""
    return pb.ServerMetadataResponse(
        name=SERVER_NAME, version=library_version("flatdense-server"), extensions=EXTENSIONS
    )


def describe_model(model: ModelSummary) -> pb.ModelMetadataResponse:
    """Its versions and tensors."""
    tensor = pb.ModelMetadataResponse.TensorMetadata
    return pb.ModelMetadataResponse(
        name=model.name,
        versions=map(str, model.available_versions),
        platform=PLATFORM,
        inputs=[tensor(name=INPUT_NAME, datatype="FP32", shape=[ANY_ROWS, PIXELS])],
        outputs=[
            tensor(
                name=PROBABILITIES_NAME, datatype="FP32", shape=[ANY_ROWS, count_classes(model)]
            ),
            tensor(name=CLASSES_NAME, datatype="INT64", shape=[ANY_ROWS]),
        ],
        properties={
            "input_datatypes": ",".join(RAW_DTYPES),
            "class_names": ",".join(model.facts.class_names),
            "engine": model.engine,
            "device": model.device,
        },
    )


def describe_config(model: ModelSummary) -> pb.ModelConfig:
    """How it is served, as a configuration of Triton's would say it."""
    return pb.ModelConfig(
        name=model.name,
        platform=PLATFORM,
        backend=BACKEND,
        version_policy=pb.ModelVersionPolicy(
            specific=pb.ModelVersionPolicy.Specific(versions=model.available_versions)
        ),
        max_batch_size=model.max_request_rows,
        input=[pb.ModelInput(name=INPUT_NAME, data_type=pb.TYPE_FP32, dims=[PIXELS])],
        output=[
            pb.ModelOutput(
                name=PROBABILITIES_NAME, data_type=pb.TYPE_FP32, dims=[count_classes(model)]
            ),
            # One value for each row: dims may not be empty, so there is one, which is taken away.
            pb.ModelOutput(
                name=CLASSES_NAME,
                data_type=pb.TYPE_INT64,
                dims=[1],
                reshape=pb.ModelTensorReshape(),
            ),
        ],
        dynamic_batching=pb.ModelDynamicBatching(
            preferred_batch_size=model.ladder_rows,
            max_queue_delay_microseconds=model.batch_wait_us,
        ),
    )


def describe_versions(
    name: str, versions: Iterable[VersionStatus], *, only_ready: bool
) -> Sequence[pb.RepositoryIndexResponse.ModelIndex]:
    """Every version and its state."""
    return [
        pb.RepositoryIndexResponse.ModelIndex(
            name=name,
            version=str(status.version),
            state=STATES[status.state],
            reason=status.reason or REASONS.get(status.state, ""),
        )
        for status in versions
        if status.state == "ready" or not only_ready
    ]


def count_classes(model: ModelSummary) -> int:
    """How many classes it tells apart."""
    return len(model.facts.class_names)
