"""The codec of Predict."""

from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from flatdense_proto.twin import tensorflow_serving_pb2 as pb
from google.protobuf.message import DecodeError

from flatdense_server.protocols.messages import parse, public_name
from flatdense_server.protocols.outlines import Outlines, Values
from flatdense_server.protocols.pixels import scale_rows
from flatdense_server.protocols.tf_serving.signatures import (
    Served,
    choose_outputs,
    find_signature,
    no_signature,
    unexpected_inputs,
)
from flatdense_server.protocols.tf_serving.specs import name_answerer, select
from flatdense_server.protocols.tf_serving.tensors import (
    BIG_FIELDS,
    Tensor,
    describe_tensor,
    encode_values,
    read_content,
    read_tensor,
)
from flatdense_server.protocols.wire import begin_field, encode_field
from flatdense_server.selector import Selector
from flatdense_server.summary import Identity
from flatdense_server.tensors import (
    CLASSES_NAME,
    HIDDEN_NAME,
    INPUT_NAME,
    PROBABILITIES_NAME,
    Outputs,
    Rows,
)

SERVICE: Final = public_name(pb.DESCRIPTOR.services_by_name["PredictionService"].full_name)

INPUTS, ENTRY_VALUE = 2, 2
"""Fields of PredictRequest, and of an entry of a map."""

OUTPUTS, ENTRY_KEY = 1, 1
"""Fields of PredictResponse, and of an entry of a map."""


@dataclass(slots=True)  # not frozen: those take longer to make
class PredictQuestion:
    """A PredictRequest. See Question."""

    message: pb.PredictRequest
    """Perhaps without the values of its one input. Not to be changed."""
    served: Served
    found: Values | None = None
    """Its values, where they were taken out."""
    outputs: tuple[str, ...] = ()
    as_content: bool = False
    """Whether the answer has tensor_content: where the request has."""

    timeout_s = None

    @property
    def selector(self) -> Selector:
        """See Question.selector."""
        return select(self.message.model_spec)

    @property
    def hidden(self) -> bool:
        """See Question.hidden."""
        return self.served.hidden

    def rows(self, *, max_rows: int) -> Rows:
        """See Question.rows."""
        message = self.message
        inputs = message.inputs
        if len(inputs) != 1 or INPUT_NAME not in inputs:
            raise unexpected_inputs(list(inputs))
        self.outputs = choose_outputs(self.served, message.output_filter)
        tensor, found = inputs[INPUT_NAME], self.found
        content = read_content(tensor, found)
        self.as_content = len(content) > 0
        rows = read_tensor(
            f"inputs[{INPUT_NAME}]",
            tensor,
            dtypes=self.served.dtypes,
            max_rows=max_rows,
            content=content,
            found=found,
        )
        return scale_rows(rows) if self.hidden else rows

    def answer(self, outputs: Outputs, answerer: Identity) -> bytes:
        """See Question.answer."""
        signature = self.served.name
        tensors: dict[str, Tensor] = {
            PROBABILITIES_NAME: outputs.probabilities,
            CLASSES_NAME: outputs.classes,
        }
        if outputs.hidden is not None:
            tensors[HIDDEN_NAME] = outputs.hidden
        elif self.hidden:
            raise no_signature(signature)
        pieces: list[bytes] = []
        for name in self.outputs:
            tensor = tensors[name]
            field, values = encode_values(tensor, as_content=self.as_content)
            pieces += (begin_entry(name, tensor.dtype, tensor.shape, field, len(values)), values)
        pieces.append(encode_answerer(answerer.model, answerer.version, signature))
        return b"".join(pieces)


class PredictCodec:
    """Predict. See Codec.

    The values are found by hand, and not copied; all else is protobuf's.
    """

    method: Final = f"{SERVICE}/Predict"

    def __init__(self) -> None:
        self._outlines = Outlines(read_rest, INPUTS, ENTRY_VALUE, last=BIG_FIELDS)

    def parse(self, data: bytes) -> PredictQuestion:
        """See Codec.parse. Raises NoSignature too."""
        if found := self._outlines.find(data):
            (message, served), values = found
            return PredictQuestion(message, served, values)
        message = parse(pb.PredictRequest, data)
        return PredictQuestion(message, find_signature(message.model_spec.signature_name))

    def refusal(self, data: bytes, text: str) -> None:  # noqa: ARG002 -- see Codec
        """See Codec.refusal."""
        return


def read_rest(rest: bytes) -> tuple[pb.PredictRequest, Served] | None:
    """A request without the values of its one input; None where protobuf must parse it all.

    Raises NoSignature.
    """
    with suppress(DecodeError):
        message = pb.PredictRequest.FromString(rest)
        # Else there is more than one input, or what protobuf would write in another way.
        if len(message.inputs) == 1 and message.ByteSize() == len(rest):
            (tensor,) = message.inputs.values()
            if any(field.number in BIG_FIELDS for field, _value in tensor.ListFields()):
                return None
            return message, find_signature(message.model_spec.signature_name)
    return None


@lru_cache(maxsize=4096)
def begin_entry(
    name: str, dtype: "np.dtype[Any]", shape: tuple[int, ...], field: int, values_bytes: int
) -> bytes:
    """One output, all but its values, which are the end of it."""
    head = describe_tensor(dtype, shape) + begin_field(field, values_bytes)
    tensor = begin_field(ENTRY_VALUE, len(head) + values_bytes) + head
    entry = encode_field(ENTRY_KEY, name.encode()) + tensor
    return begin_field(OUTPUTS, len(entry) + values_bytes) + entry


@lru_cache(maxsize=64)
def encode_answerer(model: str, version: int, signature: str) -> bytes:
    """The end of every answer of one version."""
    spec = name_answerer(model, version, signature)
    return pb.PredictResponse(model_spec=spec).SerializeToString()
