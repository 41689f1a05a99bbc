"""Big fields are found in protobuf's bytes as protobuf would find them."""

import numpy as np
from flatdense_proto.twin import inference_pb2 as oip
from flatdense_proto.twin import tensorflow_serving_pb2 as tfs
from flatdense_server.protocols.wire import encode_field, lift, read_packed_varints
from hypothesis import given
from hypothesis import strategies as st

NAMES = st.text(max_size=200)


@given(name=NAMES, request_id=NAMES, raw=st.binary(max_size=300))
def test_a_field_of_the_message_is_taken_out_whole(name: str, request_id: str, raw: bytes) -> None:
    """The rest is the message without it, and the contents are its own."""
    message = oip.ModelInferRequest(model_name=name, id=request_id, raw_input_contents=[raw])
    lifted = lift(message.SerializeToString(), last=(7,))
    assert lifted
    assert bytes(lifted.contents) == raw
    message.ClearField("raw_input_contents")
    assert lifted.rest == message.SerializeToString()


@given(name=NAMES, key=NAMES, content=st.binary(min_size=1, max_size=300))
def test_a_field_deep_in_the_message_is_taken_out_whole(
    name: str, key: str, content: bytes
) -> None:
    """The lengths of all that it was in are those of what is left."""
    message = tfs.PredictRequest()
    message.model_spec.name = name
    message.inputs[key].dtype = 4
    message.inputs[key].tensor_content = content
    lifted = lift(message.SerializeToString(), 2, 2, last=(5, 4))
    assert lifted
    assert (lifted.number, bytes(lifted.contents)) == (4, content)
    message.inputs[key].ClearField("tensor_content")
    rest = tfs.PredictRequest.FromString(lifted.rest)
    assert rest == message
    assert rest.ByteSize() == len(lifted.rest)


@given(data=st.binary(max_size=60), path=st.lists(st.integers(1, 15), max_size=3))
def test_any_bytes_are_survived(data: bytes, path: list[int]) -> None:
    """What is found lies in the bytes; what is no protobuf is not found, and raises nothing."""
    lifted = lift(data, *path, last=(1, 7))
    if lifted:
        assert bytes(lifted.contents) in data
        assert lifted.number in (1, 7)


def test_a_length_beyond_the_end_is_not_followed() -> None:
    """A field that says it is longer than its message is left for protobuf to refuse."""
    assert lift(b"\x3a\xff\xff\xff\xff\x0fabc", last=(7,)) is None
    assert lift(encode_field(2, b"\x12\x05abc"), 2, last=(2,)) is None


@given(st.lists(st.integers(0, 16_383) | st.integers(0, 255), max_size=300))
def test_packed_numbers_are_read_as_protobuf_reads_them(numbers: list[int]) -> None:
    """Of one byte or two, in their order."""
    contents = oip.InferTensorContents(uint_contents=numbers).SerializeToString()
    lifted = lift(contents, last=(4,))
    packed = lifted.contents if lifted else memoryview(b"")
    found = read_packed_varints(packed)
    assert found is not None
    assert found.tolist() == numbers


@given(st.lists(st.integers(-(1 << 31), (1 << 31) - 1), min_size=1, max_size=50))
def test_numbers_of_more_bytes_are_left_for_protobuf(numbers: list[int]) -> None:
    """What comes out is right, or nothing does."""
    lifted = lift(oip.InferTensorContents(int_contents=numbers).SerializeToString(), last=(2,))
    assert lifted
    found = read_packed_varints(lifted.contents)
    small = all(0 <= number < 1 << 14 for number in numbers)
    assert (found is not None) == small
    if found is not None:
        assert np.array_equal(found, numbers)
