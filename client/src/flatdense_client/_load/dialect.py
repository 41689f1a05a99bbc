"""A request and its answer in each protocol, as bytes. Nothing here does I/O."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from flatdense_proto.twin import inference_pb2 as oip
from flatdense_proto.twin import tensorflow_pb2 as tf
from flatdense_proto.twin import tensorflow_serving_pb2 as tfs
from flatdense_proto.v1 import classifier_pb2 as native
from google.protobuf.message import DecodeError

from flatdense_client._images.pixels import ROW_PIXELS

Pixels = npt.NDArray[Any]
"""[N, 784], uint8 or little-endian float32."""

_FLOAT = np.dtype("<f4")
_INT = np.dtype("<i8")


class WrongAnswer(Exception):
    """The call was answered, but not with what a classifier says of so many rows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """Which model is asked."""

    name: str
    version: int | None = None
    label: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Read:
    classes: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float32]
    """Row after row."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Dialect:
    """One protocol's way to ask for the classes of images."""

    title: str
    """The protocol and its method, for people."""
    method: str
    """The method's path."""
    write: Callable[[Pixels, Model], bytes]
    read: Callable[[bytes], _Read]

    def check(self, answer: bytes, rows: int) -> None:
        """Judges the answer to a request of so many rows.

        Raises WrongAnswer: it is no answer of this protocol, or has other rows, a probability that
        is no finite number, or a class that is none.
        """
        try:
            read = self.read(answer)
        except (DecodeError, KeyError, ValueError):
            raise WrongAnswer("the answer is none of this protocol") from None
        class_count, rest = divmod(read.probabilities.size, rows)
        if rest or class_count == 0 or read.classes.size != rows:
            msg = (
                f"{read.classes.size} classes and {read.probabilities.size} probabilities "
                f"for {rows} rows"
            )
            raise WrongAnswer(msg)
        if not np.isfinite(read.probabilities).all():
            raise WrongAnswer("a probability that is no finite number")
        if read.classes.min() < 0 or read.classes.max() >= class_count:
            msg = f"a class outside 0..{class_count - 1}"
            raise WrongAnswer(msg)


def _write_native(pixels: Pixels, model: Model) -> bytes:
    request = native.ClassifyRequest(images=pixels.tobytes())
    is_bytes = pixels.dtype == np.uint8
    request.data_type = native.DATA_TYPE_UINT8 if is_bytes else native.DATA_TYPE_FP32
    request.model.name = model.name
    if model.version is not None:
        request.model.version = model.version
    if model.label is not None:
        request.model.label = model.label
    return request.SerializeToString()


def _read_native(answer: bytes) -> _Read:
    response = native.ClassifyResponse.FromString(answer)
    return _Read(
        classes=np.array(response.classes, np.int64),
        probabilities=np.frombuffer(response.probabilities, _FLOAT),
    )


def _write_infer(pixels: Pixels, model: Model) -> bytes:
    request = oip.ModelInferRequest(model_name=model.name)
    request.model_version = str(model.version) if model.version is not None else model.label or ""
    datatype = "UINT8" if pixels.dtype == np.uint8 else "FP32"
    request.inputs.add(name="images", datatype=datatype, shape=[len(pixels), ROW_PIXELS])
    request.raw_input_contents.append(pixels.tobytes())
    return request.SerializeToString()


def _read_infer(answer: bytes) -> _Read:
    response = oip.ModelInferResponse.FromString(answer)
    if not response.raw_output_contents:
        typed = {output.name: output.contents for output in response.outputs}
        return _Read(
            classes=np.array(typed["classes"].int64_contents, np.int64),
            probabilities=np.array(typed["probabilities"].fp32_contents, np.float32),
        )
    names = [output.name for output in response.outputs]
    raw = dict(zip(names, response.raw_output_contents, strict=True))
    return _Read(
        classes=np.frombuffer(raw["classes"], _INT),
        probabilities=np.frombuffer(raw["probabilities"], _FLOAT),
    )


def _write_predict(pixels: Pixels, model: Model) -> bytes:
    request = tfs.PredictRequest()
    request.model_spec.name = model.name
    if model.version is not None:
        request.model_spec.version.value = model.version
    if model.label is not None:
        request.model_spec.version_label = model.label
    tensor = request.inputs["images"]
    tensor.dtype = tf.DT_UINT8 if pixels.dtype == np.uint8 else tf.DT_FLOAT
    for size in (len(pixels), ROW_PIXELS):
        tensor.tensor_shape.dim.add(size=size)
    tensor.tensor_content = pixels.tobytes()
    return request.SerializeToString()


def _read_predict(answer: bytes) -> _Read:
    outputs: Mapping[str, tf.TensorProto] = tfs.PredictResponse.FromString(answer).outputs
    # Asking a map of messages for what is not there would make it.
    if not {"classes", "probabilities"} <= set(outputs):
        raise KeyError
    classes, probabilities = outputs["classes"], outputs["probabilities"]
    if probabilities.tensor_content:
        return _Read(
            classes=np.frombuffer(classes.tensor_content, _INT),
            probabilities=np.frombuffer(probabilities.tensor_content, _FLOAT),
        )
    return _Read(
        classes=np.array(classes.int64_val, np.int64),
        probabilities=np.array(probabilities.float_val, np.float32),
    )


DIALECTS = {
    "native": Dialect(
        title="native Classify",
        method="/flatdense.v1.Classifier/Classify",
        write=_write_native,
        read=_read_native,
    ),
    "oip": Dialect(
        title="Open Inference ModelInfer",
        method="/inference.GRPCInferenceService/ModelInfer",
        write=_write_infer,
        read=_read_infer,
    ),
    "tfs": Dialect(
        title="TensorFlow Serving Predict",
        method="/tensorflow.serving.PredictionService/Predict",
        write=_write_predict,
        read=_read_predict,
    ),
}
"""By the name that `--protocol` has for it."""
