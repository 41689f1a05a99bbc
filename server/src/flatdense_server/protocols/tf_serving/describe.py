"""What the model is, in the protocol's messages."""

from collections.abc import Mapping, Sequence
from typing import Final

from flatdense_proto.twin import tensorflow_error_pb2 as error
from flatdense_proto.twin import tensorflow_pb2 as tf
from flatdense_proto.twin import tensorflow_serving_pb2 as pb
from google.protobuf.any_pb2 import Any

from flatdense_server.errors import InvalidInput
from flatdense_server.protocols.messages import public_name
from flatdense_server.protocols.tf_serving.signatures import SERVED
from flatdense_server.summary import (
    ModelSummary,
    Signature,
    SignatureTensor,
    State,
    VersionStatus,
)
from flatdense_server.tensors import (
    CLASSES_NAME,
    HIDDEN_NAME,
    INPUT_NAME,
    PIXELS,
    PROBABILITIES_NAME,
)

FIELD: Final = "signature_def"

TYPE_URL: Final = f"type.googleapis.com/{public_name(pb.SignatureDefMap.DESCRIPTOR.full_name)}"

PREDICT: Final = "tensorflow/serving/predict"

ANY_ROWS: Final = -1

STATES: Final[dict[State, pb.ModelVersionStatus.State.ValueType]] = {
    "loading": pb.ModelVersionStatus.LOADING,
    "ready": pb.ModelVersionStatus.AVAILABLE,
    "failed": pb.ModelVersionStatus.END,
    "shadow": pb.ModelVersionStatus.LOADING,
    "unloaded": pb.ModelVersionStatus.END,
}
"""What is compared, and answers nobody, is not available yet."""


def check_fields(fields: Sequence[str]) -> None:
    """Raises InvalidInput where other metadata is asked for than there is."""
    if not fields:
        raise InvalidInput("metadata_field", f"expected {FIELD!r}, got none.")
    for field in fields:
        if field != FIELD:
            raise InvalidInput(
                "metadata_field", f"Metadata field {field} is not supported: expected {FIELD!r}."
            )


def describe_signatures(model: ModelSummary) -> pb.GetModelMetadataResponse:
    """The signatures of a version: what its SavedModel says, or, of another's, what is served."""
    signatures = model.facts.signatures or serve_signatures(model)
    described = pb.SignatureDefMap(
        signature_def={signature.name: describe_signature(signature) for signature in signatures}
    )
    answer = pb.GetModelMetadataResponse(
        metadata={FIELD: Any(type_url=TYPE_URL, value=described.SerializeToString())}
    )
    answer.model_spec.name = model.name
    answer.model_spec.version.value = model.version
    return answer


def describe_signature(signature: Signature) -> tf.SignatureDef:
    """One signature."""
    return tf.SignatureDef(
        inputs=describe_tensors(signature.inputs),
        outputs=describe_tensors(signature.outputs),
        method_name=signature.method_name,
    )


def describe_tensors(tensors: Mapping[str, SignatureTensor]) -> dict[str, tf.TensorInfo]:
    """The inputs or outputs of a signature."""
    described = {}
    for alias, tensor in tensors.items():
        shape = tf.TensorShapeProto(unknown_rank=tensor.shape is None)
        shape.dim.extend(tf.TensorShapeProto.Dim(size=size) for size in tensor.shape or ())
        described[alias] = tf.TensorInfo(
            name=tensor.name,
            dtype=tf.DataType.ValueType(tensor.dtype),
            tensor_shape=shape,
        )
    return described


def serve_signatures(model: ModelSummary) -> list[Signature]:
    """What is served of a SavedModel that knows nothing of these names."""
    classes = len(model.facts.class_names)
    tensors = {
        PROBABILITIES_NAME: SignatureTensor("", tf.DT_FLOAT, (ANY_ROWS, classes)),
        CLASSES_NAME: SignatureTensor("", tf.DT_INT64, (ANY_ROWS,)),
        HIDDEN_NAME: SignatureTensor("", tf.DT_FLOAT, (ANY_ROWS, model.hidden_count)),
    }
    return [
        Signature(
            served.name,
            PREDICT,
            {INPUT_NAME: SignatureTensor("", served.dtypes[0], (ANY_ROWS, PIXELS))},
            {name: tensors[name] for name in served.outputs},
        )
        for served in SERVED.values()
        if model.hidden_count or not served.hidden
    ]


def describe_status(status: VersionStatus) -> pb.ModelVersionStatus:
    """Where one version is."""
    code = error.FAILED_PRECONDITION if status.state == "failed" else error.OK
    return pb.ModelVersionStatus(
        version=status.version,
        state=STATES[status.state],
        status=pb.StatusProto(error_code=code, error_message=status.reason),
    )
