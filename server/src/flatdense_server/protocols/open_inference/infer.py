"""The codecs of ModelInfer and ModelStreamInfer."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from flatdense_proto.twin import inference_pb2 as pb
from google.protobuf.message import DecodeError

from flatdense_server.errors import InvalidInput
from flatdense_server.protocols.messages import parse, public_name
from flatdense_server.protocols.open_inference.outputs import (
    ALL,
    check_outputs,
    encode_answer,
)
from flatdense_server.protocols.open_inference.parameters import (
    RequestedOutput,
    check_offered,
    read_output,
    read_timeout_s,
)
from flatdense_server.protocols.open_inference.selection import select
from flatdense_server.protocols.open_inference.tensors import (
    FIELDS,
    InputTensor,
    find_input,
    read_contents,
    read_packed,
    read_raw,
)
from flatdense_server.protocols.outlines import Outlines, Values
from flatdense_server.protocols.wire import encode_field
from flatdense_server.selector import Selector
from flatdense_server.summary import Identity
from flatdense_server.tensors import Outputs, Rows

SERVICE: Final = public_name(pb.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name)

RAW_INPUT_CONTENTS, INPUTS, CONTENTS = 7, 5, 5
"""Fields of ModelInferRequest, and of InferInputTensor."""

INFER_RESPONSE: Final = 2
"""Field of ModelStreamInferResponse."""


@dataclass(slots=True)  # not frozen: those take longer to make
class InferQuestion:
    """A ModelInferRequest. See Question."""

    message: pb.ModelInferRequest
    """Perhaps without its values. Not to be changed."""
    raw: memoryview | None = None
    """Its values, where they were lifted out of raw_input_contents."""
    packed: Values | None = None
    """Its values, where they were lifted out of the tensor's contents."""
    in_stream: bool = False
    timeout_s: float | None = None
    requested: tuple[RequestedOutput, ...] = ALL
    typed: bool = False
    """Whether values stand in the tensors: in the request, so in the answer."""

    hidden = False

    @property
    def selector(self) -> Selector:
        """See Question.selector."""
        return select(self.message.model_name, self.message.model_version)

    def rows(self, *, max_rows: int) -> Rows:
        """See Question.rows."""
        message = self.message
        if message.parameters:
            self.timeout_s = read_timeout_s(message.parameters)
        if message.outputs:
            outputs = [read_output(index, each) for index, each in enumerate(message.outputs)]
            self.requested = tuple(dict.fromkeys(outputs))
            check_outputs(self.requested)
        tensor = find_input(message)
        if tensor.parameters:
            check_offered("inputs[0].parameters", tensor.parameters)
        if self.packed is not None:
            self.typed = True
            packed = self.packed
            return read_packed(tensor, packed.number, packed.contents, max_rows=max_rows)
        raw = [self.raw] if self.raw is not None else message.raw_input_contents
        if not raw:
            self.typed = True
            return read_contents(tensor, max_rows=max_rows)
        check_raw(tensor, len(raw))
        return read_raw(tensor, raw[0], max_rows=max_rows)

    def answer(self, outputs: Outputs, answerer: Identity) -> bytes:
        """See Question.answer."""
        answer = encode_answer(
            outputs,
            answerer,
            request_id=self.message.id,
            requested=self.requested,
            raw=not self.typed,
            final=self.in_stream,
        )
        return encode_field(INFER_RESPONSE, answer) if self.in_stream else answer


def check_raw(tensor: InputTensor, entries: int) -> None:
    """Raises InvalidInput where raw contents are not one entry, or values stand there too."""
    if entries != 1:
        raise InvalidInput(
            "raw_input_contents", f"expected one entry for the one input, got {entries}."
        )
    if tensor.HasField("contents"):
        raise InvalidInput(
            "inputs[0].contents", "expected none beside raw_input_contents, got both."
        )


class InferCodec:
    """ModelInfer, or each message of ModelStreamInfer. See Codec.

    Raw values and packed ones are found by hand, and not copied; all else is protobuf's.
    """

    def __init__(self, rpc: str) -> None:
        self.method: Final = f"{SERVICE}/{rpc}"
        self._in_stream = rpc == "ModelStreamInfer"
        self._raw = Outlines(read_beside_raw, last=(RAW_INPUT_CONTENTS,))
        self._packed = Outlines(read_beside_packed, INPUTS, CONTENTS, last=tuple(FIELDS))

    def parse(self, data: bytes) -> InferQuestion:
        """See Codec.parse."""
        if found := self._raw.find(data):
            message, values = found
            return InferQuestion(message, raw=values.contents, in_stream=self._in_stream)
        if found := self._packed.find(data):
            message, values = found
            return InferQuestion(message, packed=values, in_stream=self._in_stream)
        return InferQuestion(parse(pb.ModelInferRequest, data), in_stream=self._in_stream)

    def refusal(self, data: bytes, text: str) -> bytes | None:
        """See Codec.refusal."""
        if not self._in_stream:
            return None
        answer = pb.ModelStreamInferResponse(error_message=text)
        with suppress(DecodeError):
            request = pb.ModelInferRequest.FromString(data)
            answer.infer_response.id = request.id
            answer.infer_response.model_name = request.model_name
        return answer.SerializeToString()


def read_beside_raw(rest: bytes) -> pb.ModelInferRequest | None:
    """A request without its raw contents; None where protobuf must parse it all."""
    message = parse_rest(rest)
    # Else there are other contents: which of them are meant is for the judge to say.
    return None if message is None or message.raw_input_contents else message


def read_beside_packed(rest: bytes) -> pb.ModelInferRequest | None:
    """A request without its packed values; None where protobuf must parse it all."""
    message = parse_rest(rest)
    if message is None or message.raw_input_contents or len(message.inputs) != 1:
        return None
    return None if message.inputs[0].contents.ListFields() else message


def parse_rest(rest: bytes) -> pb.ModelInferRequest | None:
    """None where protobuf would write it in another way: then fields stand there twice."""
    with suppress(DecodeError):
        message = pb.ModelInferRequest.FromString(rest)
        if message.ByteSize() == len(rest):
            return message
    return None
