"""TensorFlow Serving's classify: examples of features, to classes and their scores."""

from collections.abc import Sequence
from typing import Final, TypeAlias

import msgspec
import numpy as np
from flatdense_proto.twin import tensorflow_pb2 as tf
from flatdense_proto.twin import tensorflow_serving_pb2 as pb

from flatdense_server.http.documents import check_parts, check_text, read_document
from flatdense_server.http.errors import refuse
from flatdense_server.http.exchange import Answer, Question, encode
from flatdense_server.http.limits import Limits
from flatdense_server.http.parameters import check_count, check_integer

METHOD: Final = "/tensorflow.serving.PredictionService/Classify"

LARGEST: Final = float(np.finfo(np.float32).max)


class Base64(msgspec.Struct, forbid_unknown_fields=True):
    """Bytes, in JSON."""

    b64: bytes


Value: TypeAlias = int | float | str | Base64
Features: TypeAlias = dict[str, Value | list[Value]]


class ClassifyRequest(msgspec.Struct):
    """The JSON of a request."""

    examples: list[Features]
    context: Features | None = None
    signature_name: str = ""


DECODER: Final = msgspec.json.Decoder(ClassifyRequest)


def read_classify(body: bytes, spec: pb.ModelSpec, limits: Limits) -> Question:
    """The request, as a worker takes it. Raises RequestRefused."""
    check_parts(body, limits.json_parts)
    request = read_document(body, DECODER)
    examples = [
        read_example(f"examples[{index}]", features)
        for index, features in enumerate(request.examples)
    ]
    if request.context is None:
        given = pb.Input(example_list=pb.ExampleList(examples=examples))
    else:
        context = read_example("context", request.context)
        given = pb.Input(
            example_list_with_context=pb.ExampleListWithContext(examples=examples, context=context)
        )
    message = pb.ClassificationRequest(model_spec=spec, input=given)
    message.model_spec.signature_name = check_text("signature_name", request.signature_name)
    return Question(METHOD, message.SerializeToString(), write_results)


def read_example(field: str, features: Features) -> tf.Example:
    """One example. Raises RequestRefused."""
    check_count(field, features)
    return tf.Example(
        features=tf.Features(
            feature={
                check_text(field, name): read_feature(
                    f"{field}.{name}", value if isinstance(value, list) else [value]
                )
                for name, value in features.items()
            }
        )
    )


def read_feature(field: str, values: Sequence[Value]) -> tf.Feature:
    """Integers, or numbers of which one is none, or bytes. Raises RequestRefused for a mixture."""
    kinds = {type(value) for value in values}
    if kinds <= {int}:
        integers = [check_integer(field, value) for value in values if isinstance(value, int)]
        return tf.Feature(int64_list=tf.Int64List(value=integers))
    if kinds <= {int, float}:
        numbers = [float(value) for value in values if isinstance(value, (int, float))]
        if max(map(abs, numbers)) > LARGEST:
            raise refuse(field, f"expected numbers of at most {LARGEST}, got {max(numbers)}.")
        return tf.Feature(float_list=tf.FloatList(value=numbers))
    if kinds <= {str, Base64}:
        return tf.Feature(bytes_list=tf.BytesList(value=[read_bytes(value) for value in values]))
    raise refuse(field, "expected numbers, or text and bytes, got a mixture.")


def read_bytes(value: Value) -> bytes:
    """Text as UTF-8, and bytes as they are."""
    return value.b64 if isinstance(value, Base64) else str(value).encode()


def write_results(data: bytes) -> Answer:
    """For each example a list of pairs of label and score."""
    response = pb.ClassificationResponse.FromString(data)
    results = [
        [(scored.label, scored.score) for scored in classifications.classes]
        for classifications in response.result.classifications
    ]
    return Answer(encode({"results": results}))
