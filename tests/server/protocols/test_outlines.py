"""What requests say beside their values is remembered, and never mixed up."""

import numpy as np
import pytest
from flatdense_proto.twin import inference_pb2 as pb
from flatdense_server.protocols.open_inference.infer import RAW_INPUT_CONTENTS, read_beside_raw
from flatdense_server.protocols.outlines import LONGEST_OUTLINE_BYTES, MOST_OUTLINES, Outlines
from hypothesis import given
from hypothesis import strategies as st


def make() -> Outlines[pb.ModelInferRequest]:
    """One that has seen nothing."""
    return Outlines(read_beside_raw, last=(RAW_INPUT_CONTENTS,))


def write(raw: bytes, *, name: str = "mnist", request_id: str = "") -> bytes:
    """A request of one value."""
    message = pb.ModelInferRequest(model_name=name, id=request_id, raw_input_contents=[raw])
    return message.SerializeToString()


def told(outlines: Outlines[pb.ModelInferRequest], data: bytes) -> tuple[bytes, bytes] | None:
    """What was found, in a form that can be compared."""
    if (found := outlines.find(data)) is None:
        return None
    message, values = found
    return message.SerializeToString(), bytes(values.contents)


REQUESTS = st.builds(
    write,
    st.binary(max_size=40),
    name=st.sampled_from(["", "mnist", "other"]),
    request_id=st.text(max_size=3),
)


@st.composite
def altered(draw: st.DrawFn) -> bytes:
    """A request with some bytes cut out and others put in."""
    data = draw(REQUESTS)
    start = draw(st.integers(0, len(data)))
    stop = draw(st.integers(start, min(len(data), start + 3)))
    return data[:start] + draw(st.binary(max_size=3)) + data[stop:]


@given(seen=st.lists(REQUESTS | altered(), max_size=8), data=REQUESTS | altered())
def test_what_was_seen_before_changes_no_answer(seen: list[bytes], data: bytes) -> None:
    """A request is read as it would be if it were the first; twice alike."""
    outlines = make()
    for each in seen:
        outlines.find(each)
    expected = told(make(), data)
    assert told(outlines, data) == expected
    assert told(outlines, data) == expected


def test_the_length_of_the_values_is_part_of_what_is_remembered() -> None:
    """The same bytes before the values and after them, and one value more: not the same."""
    outlines = make()
    short, long = b"\x3a\x03abc", b"\x3a\x04abcd"
    assert outlines.find(short)
    assert outlines.find(long)
    assert outlines.find(short + b"d") is None


def test_requests_alike_are_read_once() -> None:
    """Others values beside the same words give the same message, and are not copied."""
    outlines = make()
    first, second = write(b"\x01" * 784), write(b"\x02" * 784)
    known = outlines.find(first)
    found = outlines.find(second)
    assert known
    assert found
    assert found[0] is known[0]
    contents = np.frombuffer(found[1].contents, np.uint8)
    assert np.shares_memory(contents, np.frombuffer(second, np.uint8))


def test_strangers_fill_no_memory() -> None:
    """However many kinds of requests come, few are remembered, and none that says much."""
    outlines = make()
    for index in range(3 * MOST_OUTLINES):
        assert outlines.find(write(bytes(index), request_id=str(index)))
        assert len(outlines) <= MOST_OUTLINES
    many = len(outlines)
    wordy = write(b"x", request_id="y" * LONGEST_OUTLINE_BYTES)
    assert outlines.find(wordy)
    assert len(outlines) == many


def test_a_refusal_is_raised_each_time() -> None:
    """What cannot be read is not remembered as something that can."""

    def refuse(_rest: bytes) -> None:
        """As a codec that knows no such signature."""
        raise LookupError

    outlines = Outlines(refuse, last=(RAW_INPUT_CONTENTS,))
    for _ in range(2):
        with pytest.raises(LookupError):
            outlines.find(write(b"x"))
