"""The codec of Classify: examples in, classes and their scores out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from flatdense_proto.twin import tensorflow_pb2 as tf
from flatdense_proto.twin import tensorflow_serving_pb2 as pb

from flatdense_server.errors import InvalidInput
from flatdense_server.protocols.messages import parse
from flatdense_server.protocols.pixels import check_count, convert_rows, scale_rows
from flatdense_server.protocols.tf_serving.predict import SERVICE
from flatdense_server.protocols.tf_serving.signatures import find_signature
from flatdense_server.protocols.tf_serving.specs import name_answerer, select
from flatdense_server.selector import Selector
from flatdense_server.summary import Identity
from flatdense_server.tensors import INPUT_NAME, PIXELS, Outputs, Rows


@dataclass(slots=True)
class ClassifyQuestion:
    """A ClassificationRequest. See Question."""

    message: pb.ClassificationRequest

    hidden = False
    timeout_s = None

    @property
    def selector(self) -> Selector:
        """See Question.selector."""
        return select(self.message.model_spec)

    def rows(self, *, max_rows: int) -> Rows:
        """See Question.rows. Where examples are of several kinds, all become float32."""
        examples = self._examples()
        check_count("input.examples", len(examples), max_rows=max_rows)
        rows = [read_example(index, example) for index, example in enumerate(examples)]
        if len({row.dtype for row in rows}) > 1:
            rows = [scale_rows(row) for row in rows]
        return np.concatenate(rows)

    def answer(self, outputs: Outputs, answerer: Identity) -> bytes:
        """See Question.answer."""
        signature = find_signature(self.message.model_spec.signature_name).name
        classifications = [
            pb.Classifications(
                classes=[
                    pb.Class(label=name, score=score)
                    for name, score in zip(answerer.class_names, row, strict=True)
                ]
            )
            for row in outputs.probabilities.tolist()
        ]
        return pb.ClassificationResponse(
            result=pb.ClassificationResult(classifications=classifications),
            model_spec=name_answerer(answerer.model, answerer.version, signature),
        ).SerializeToString()

    def _examples(self) -> Sequence[tf.Example]:
        match self.message.input.WhichOneof("kind"):
            case "example_list":
                return self.message.input.example_list.examples
            case "example_list_with_context":
                return self._with_context()
        raise InvalidInput("input", "expected an example_list, got none.")

    def _with_context(self) -> Sequence[tf.Example]:
        """What every example has, and what each has of its own."""
        given = self.message.input.example_list_with_context
        features = given.context.features.feature
        merged = []
        for example in given.examples:
            whole = tf.Example()
            whole.CopyFrom(example)
            for name in features.keys() - example.features.feature.keys():
                whole.features.feature[name].CopyFrom(features[name])
            merged.append(whole)
        return merged


class ClassifyCodec:
    """Classify of PredictionService. See Codec."""

    method: Final = f"{SERVICE}/Classify"

    def parse(self, data: bytes) -> ClassifyQuestion:
        """See Codec.parse. Raises NoSignature too."""
        message = parse(pb.ClassificationRequest, data)
        find_signature(message.model_spec.signature_name)
        return ClassifyQuestion(message)

    def refusal(self, data: bytes, text: str) -> None:  # noqa: ARG002 -- see Codec
        """See Codec.refusal."""
        return


def read_example(index: int, example: tf.Example) -> Rows:
    """The one row of an example. Raises InvalidInput."""
    where = f"input.examples[{index}].features[{INPUT_NAME}]"
    features = example.features.feature
    if INPUT_NAME not in features:
        raise InvalidInput(where, f"expected this feature, got {sorted(features)}.")
    feature = features[INPUT_NAME]
    values: npt.NDArray[Any]
    match feature.WhichOneof("kind"):
        case "float_list":
            listed = feature.float_list.value
            values = np.fromiter(listed, np.float32, len(listed))
        case "int64_list":
            numbers = feature.int64_list.value
            values = np.fromiter(numbers, np.int64, len(numbers))
        case "bytes_list":
            values = np.frombuffer(b"".join(feature.bytes_list.value), np.uint8)
        case _:
            raise InvalidInput(where, "expected a float_list, int64_list or bytes_list, got none.")
    if len(values) != PIXELS:
        raise InvalidInput(where, f"expected {PIXELS} values, got {len(values)}.")
    return convert_rows(where, values.reshape(1, PIXELS))
