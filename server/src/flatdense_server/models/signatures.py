"""The signatures of a SavedModel, without TensorFlow."""

from collections.abc import Mapping
from pathlib import Path

from flatdense_artifact import VersionDamaged
from flatdense_proto.twin import tensorflow_pb2 as tf
from google.protobuf.message import DecodeError

from flatdense_server.summary import Signature, SignatureTensor


def read_signatures(path: Path) -> list[Signature]:
    """Those of a saved_model.pb, by name; none where it is no SavedModel.

    Nothing is served out of that file but by TensorFlow, which says itself where it is none. Raises
    VersionDamaged where it cannot be read.
    """
    try:
        saved = tf.SavedModel.FromString(path.read_bytes())
    except OSError as error:
        raise VersionDamaged(f"{path} cannot be read: {error.strerror}") from error
    except DecodeError:
        return []
    return [
        Signature(name, found.method_name, read_tensors(found.inputs), read_tensors(found.outputs))
        for graph in saved.meta_graphs
        for name, found in sorted(graph.signature_def.items())
    ]


def read_tensors(tensors: Mapping[str, tf.TensorInfo]) -> dict[str, SignatureTensor]:
    """The inputs or outputs of a signature."""
    return {
        alias: SignatureTensor(
            tensor.name,
            tensor.dtype,
            None
            if tensor.tensor_shape.unknown_rank
            else tuple(dim.size for dim in tensor.tensor_shape.dim),
        )
        for alias, tensor in sorted(tensors.items())
    }
