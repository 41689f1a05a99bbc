"""Explain by REST, under the verb that KServe has for it: where the logits of images come from."""

from typing import Final

import msgspec
import numpy as np
from flatdense_proto.v1 import classifier_pb2 as pb

from flatdense_server.http.documents import check_parts, check_text, read_document
from flatdense_server.http.errors import refuse
from flatdense_server.http.exchange import Answer, Question, encode
from flatdense_server.http.limits import Limits
from flatdense_server.http.parameters import check_integer
from flatdense_server.http.predict import UINT8_SIGNATURE, read_rows
from flatdense_server.http.tensors import Numbers
from flatdense_server.tensors import FLOAT32, IMAGE_SHAPE, INPUT_NAME, PIXELS, UINT8

METHOD: Final = "/flatdense.v1.Classifier/Explain"

FLOATS: Final = np.dtype("<f4")


class ExplainRequest(msgspec.Struct):
    """The JSON of a request."""

    instances: msgspec.Raw
    signature_name: str = ""
    class_index: int | None = None


DECODER: Final = msgspec.json.Decoder(ExplainRequest)


def read_explain(body: bytes, selector: pb.ModelSelector, limits: Limits) -> Question:
    """The request, as a worker takes it. Raises RequestRefused."""
    check_parts(body, limits.json_parts)
    request = read_document(body, DECODER)
    is_bytes = check_text("signature_name", request.signature_name) == UINT8_SIGNATURE
    inputs = read_rows(request.instances, UINT8 if is_bytes else FLOAT32.newbyteorder("<"))
    message = pb.ExplainRequest(
        images=check_images(inputs).tobytes(),
        data_type=pb.DATA_TYPE_UINT8 if is_bytes else pb.DATA_TYPE_FP32,
        model=selector,
    )
    if request.class_index is not None:
        message.class_index = check_integer("class_index", request.class_index)
    return Question(METHOD, message.SerializeToString(), write_explanations)


def check_images(inputs: dict[str, Numbers]) -> Numbers:
    """The images. Raises RequestRefused where they are not the one input, or of another shape."""
    if inputs.keys() != {INPUT_NAME}:
        raise refuse("instances", f"expected {INPUT_NAME} alone, got {len(inputs)} names.")
    images = inputs[INPUT_NAME]
    if images.shape[1:] not in {(PIXELS,), IMAGE_SHAPE}:
        raise refuse(
            "instances",
            f"expected rows of [{PIXELS}] or {[*IMAGE_SHAPE]}, got {[*images.shape[1:]]}.",
        )
    return images


def write_explanations(data: bytes) -> Answer:
    """One entry for each row. Its contributions and that of the biases sum to a logit."""
    response = pb.ExplainResponse.FromString(data)
    rows = len(response.classes)

    def split(values: bytes) -> list[list[float]]:
        """A list for each row, of float64, which JSON writes exactly."""
        numbers: list[list[float]] = (
            np.frombuffer(values, FLOATS).astype(np.float64).reshape(rows, -1).tolist()
        )
        return numbers

    columns = {
        "class": response.classes,
        "probabilities": split(response.probabilities),
        "logits": split(response.logits),
        "hidden": split(response.hidden),
        "explained_class": response.explained_classes,
        "contributions": split(response.contributions),
        "bias_contribution": [share for (share,) in split(response.bias_contributions)],
    }
    explanations = [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]
    return Answer(
        encode(
            {
                "model_name": response.model_name,
                "model_version": str(response.model_version),
                "explanations": explanations,
            }
        )
    )
