"""The codec of ModelInfer and ModelStreamInfer: messages to rows, outputs to messages."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from flatdense_proto.twin import inference_pb2 as pb
from flatdense_server.errors import InvalidInput
from flatdense_server.protocols.open_inference.infer import InferCodec, InferQuestion
from flatdense_server.selector import Selector
from flatdense_server.summary import Identity
from flatdense_server.tensors import FLOAT32, PIXELS, UINT8, Outputs, Rows
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

CODEC = InferCodec("ModelInfer")
STREAM_CODEC = InferCodec("ModelStreamInfer")
ANSWERER = Identity("mnist", 3, tuple(f"class {index}" for index in range(10)))
CONTENTS = {
    "UINT8": "uint_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
}
DTYPES = {
    "UINT8": "u1",
    "FP32": "<f4",
    "FP16": "<f2",
    "FP64": "<f8",
    "INT32": "<i4",
    "INT64": "<i8",
}
MAX_ROWS = 9

Input = pb.ModelInferRequest.InferInputTensor


def tensor(datatype: str = "UINT8", shape: tuple[int, ...] = (1, PIXELS), **fields: Any) -> Input:  # noqa: ANN401
    """An input without its values."""
    return Input(**{"name": "images", "datatype": datatype, "shape": shape, **fields})


def raw_request(values: np.ndarray, datatype: str, **fields: Any) -> pb.ModelInferRequest:  # noqa: ANN401
    """A request with raw contents."""
    return pb.ModelInferRequest(
        inputs=[tensor(datatype, values.shape)],
        raw_input_contents=[values.astype(DTYPES[datatype]).tobytes()],
        **fields,
    )


def typed_request(values: np.ndarray, datatype: str) -> pb.ModelInferRequest:
    """The same with the values one by one."""
    contents = pb.InferTensorContents(**{CONTENTS[datatype]: values.ravel().tolist()})
    return pb.ModelInferRequest(inputs=[tensor(datatype, values.shape, contents=contents)])


def read(request: pb.ModelInferRequest) -> Rows:
    """The rows of a request, by the codec."""
    return CODEC.parse(request.SerializeToString()).rows(max_rows=MAX_ROWS)


@given(
    datatype=st.sampled_from(sorted(DTYPES)),
    rows=st.integers(1, MAX_ROWS),
    seed=st.integers(0, 99),
    square=st.booleans(),
    typed=st.booleans(),
)
def test_rows_survive_the_wire(
    draw_rows: Callable[..., Rows], datatype: str, rows: int, seed: int, square: bool, typed: bool
) -> None:
    """Pixels and floats are what was sent; half precision is exact, double rounded to float32."""
    is_float = datatype.startswith("FP")
    sent = draw_rows(rows, FLOAT32 if is_float else UINT8, seed).astype(DTYPES[datatype])
    shaped = sent.reshape(rows, 28, 28) if square else sent
    make = typed_request if typed and datatype in CONTENTS else raw_request
    got = read(make(shaped, datatype))
    assert got.dtype == (FLOAT32 if is_float else UINT8)
    assert np.array_equal(got, sent.astype(got.dtype))


@pytest.mark.parametrize("rows", [1, 8])
def test_values_are_not_copied(rows: int, draw_rows: Callable[..., Rows]) -> None:
    """Raw contents and packed floats are views of the message that came."""
    sent = draw_rows(rows, FLOAT32)
    for request in (raw_request(sent, "FP32"), typed_request(sent, "FP32")):
        data = request.SerializeToString()
        got = CODEC.parse(data).rows(max_rows=MAX_ROWS)
        assert np.shares_memory(got, np.frombuffer(data, np.uint8))


PIECES = st.sampled_from(
    [
        pb.ModelInferRequest(model_name="mnist"),
        pb.ModelInferRequest(model_name="other", model_version="3"),
        pb.ModelInferRequest(id="an id"),
        pb.ModelInferRequest(inputs=[tensor()]),
        pb.ModelInferRequest(inputs=[tensor("FP32")]),
        pb.ModelInferRequest(inputs=[tensor("FP16")]),
        pb.ModelInferRequest(raw_input_contents=[bytes(PIXELS)]),
        pb.ModelInferRequest(raw_input_contents=[bytes(4 * PIXELS)]),
        pb.ModelInferRequest(raw_input_contents=[b""]),
        typed_request(np.ones((1, PIXELS)), "FP32"),
        typed_request(np.ones((1, PIXELS), int), "UINT8"),
        typed_request(np.full((1, PIXELS), 200), "INT64"),
        typed_request(np.full((1, PIXELS), -1), "INT32"),
        typed_request(np.ones((1, 3)), "FP64"),
        pb.ModelInferRequest(inputs=[tensor("INT32", contents={"fp32_contents": [1.0]})]),
        pb.ModelInferRequest(outputs=[{"name": "classes"}]),
    ]
).map(lambda message: message.SerializeToString())
STRANGE = st.binary(max_size=8) | st.sampled_from([b"\x3a\x80\x00", b"\x80\x01\x01", b"\x2a\x00"])


@given(parts=st.lists(PIECES | STRANGE, max_size=5))
def test_a_request_is_read_as_protobuf_reads_it(parts: list[bytes]) -> None:
    """Whatever the bytes are: the same rows and selector, or the same refusal."""
    data = b"".join(parts)
    try:
        expected = InferQuestion(pb.ModelInferRequest.FromString(data))
    except DecodeError:
        with pytest.raises(InvalidInput, match=f"inference.ModelInferRequest .*{len(data)} bytes"):
            CODEC.parse(data)
        return
    question = CODEC.parse(data)
    assert question.selector == expected.selector
    assert judge(question) == judge(expected)
    assert question.typed == expected.typed


def judge(question: InferQuestion) -> list[list[float]] | str:
    """Its rows, or why it is refused."""
    try:
        return question.rows(max_rows=MAX_ROWS).tolist()
    except InvalidInput as error:
        return str(error)


def infer_parameter(value: bool | int | str) -> pb.InferParameter:
    """A parameter of the value's own type."""
    kind = {bool: "bool_param", int: "int64_param", str: "string_param"}[type(value)]
    return pb.InferParameter(**{kind: value})


ROW = bytes(PIXELS)


@pytest.mark.parametrize(
    ("request_", "field", "says"),
    [
        (pb.ModelInferRequest(), "inputs", "expected one input, 'images', got 0"),
        (pb.ModelInferRequest(inputs=[tensor(), tensor()]), "inputs", "got 2"),
        (pb.ModelInferRequest(inputs=[tensor(name="x")]), "inputs[0].name", "'images', got 'x'"),
        (
            pb.ModelInferRequest(inputs=[tensor("BF16")], raw_input_contents=[ROW]),
            "inputs[0].datatype",
            "expected one of UINT8, FP32, FP16, FP64, INT32, INT64, got BF16",
        ),
        (pb.ModelInferRequest(inputs=[tensor("FP16")]), "inputs[0].datatype", "got FP16"),
        (
            pb.ModelInferRequest(inputs=[tensor(shape=(1, 783))], raw_input_contents=[ROW]),
            "inputs[0].shape",
            "expected [N, 784] or [N, 28, 28], got [1, 783]",
        ),
        (
            pb.ModelInferRequest(inputs=[tensor(shape=(-1, PIXELS))], raw_input_contents=[ROW]),
            "inputs[0].shape",
            "got [-1, 784]",
        ),
        (
            pb.ModelInferRequest(inputs=[tensor(shape=(1,) * 99)], raw_input_contents=[ROW]),
            "inputs[0].shape",
            "got 99 dimensions",
        ),
        (
            pb.ModelInferRequest(inputs=[tensor(shape=(0, PIXELS))], raw_input_contents=[b""]),
            "inputs[0].shape",
            "expected 1 to 9 rows, got 0",
        ),
        (
            pb.ModelInferRequest(inputs=[tensor(shape=(1 << 62, 784))], raw_input_contents=[ROW]),
            "inputs[0].shape",
            f"expected at most 9 rows in one request, got {1 << 62}",
        ),
        (
            pb.ModelInferRequest(inputs=[tensor()], raw_input_contents=[ROW[1:]]),
            "raw_input_contents[0]",
            "expected 784 bytes (1 x 784 uint8 values), got 783 bytes",
        ),
        (
            pb.ModelInferRequest(inputs=[tensor()], raw_input_contents=[ROW, ROW]),
            "raw_input_contents",
            "expected one entry for the one input, got 2",
        ),
        (
            pb.ModelInferRequest(
                inputs=[tensor(contents={"uint_contents": [1]})], raw_input_contents=[ROW]
            ),
            "inputs[0].contents",
            "got both",
        ),
        (
            pb.ModelInferRequest(inputs=[tensor()]),
            "inputs[0].contents.uint_contents",
            "expected 1 x 784 values or raw_input_contents, got 0",
        ),
        (
            typed_request(np.full((1, PIXELS), 256), "UINT8"),
            "inputs[0].contents.uint_contents",
            "row 0, value 0 is 256: expected pixels of 0 to 255",
        ),
        (
            raw_request(np.full((2, PIXELS), np.nan), "FP16"),
            "raw_input_contents[0]",
            "row 0, value 0 is nan",
        ),
        (
            raw_request(np.full((1, PIXELS), 1e300), "FP64"),
            "raw_input_contents[0]",
            "row 0, value 0 is inf",
        ),
        (
            pb.ModelInferRequest(inputs=[tensor()], outputs=[{"name": "logits"}]),
            "outputs[0].name",
            "expected one of probabilities, classes, got 'logits'",
        ),
        *[
            (
                pb.ModelInferRequest(parameters={name: infer_parameter(value)}),
                f"parameters[{name}]",
                says,
            )
            for name, value, says in [
                ("priority", 1, "not offered: every request has the same priority"),
                ("sequence_id", 7, "not offered: the model keeps no state"),
                ("sequence_id", "a", "not offered: the model keeps no state"),
                ("timeout", "soon", "expected an int64_param, got string_param"),
                ("timeout", -1, "expected microseconds, got -1"),
            ]
        ],
        (
            pb.ModelInferRequest(
                inputs=[tensor(parameters={"shared_memory_region": infer_parameter("r")})]
            ),
            "inputs[0].parameters[shared_memory_region]",
            "not offered",
        ),
        *[
            (
                pb.ModelInferRequest(
                    outputs=[{"name": name, "parameters": {"classification": infer_parameter(top)}}]
                ),
                "outputs[0].parameters[classification]",
                says,
            )
            for name, top, says in [
                ("probabilities", 0, "expected a number of classes from 1, got 0"),
                ("probabilities", True, "expected an int64_param, got bool_param"),
                ("classes", 1, "expected on probabilities, got on classes"),
            ]
        ],
    ],
)
def test_what_is_wrong_is_named(request_: pb.ModelInferRequest, field: str, says: str) -> None:
    """The field, what was expected, and what came."""
    with pytest.raises(InvalidInput) as caught:
        read(request_)
    assert caught.value.field == field
    assert says in caught.value.description


@pytest.mark.parametrize(
    ("version", "selector"),
    [
        ("", Selector("mnist")),
        ("3", Selector("mnist", 3)),
        ("canary", Selector("mnist", None, "canary")),
        ("-1", Selector("mnist", None, "-1")),
        ("\u0663", Selector("mnist", None, "\u0663")),
    ],
)
def test_a_version_is_a_number_or_else_a_label(version: str, selector: Selector) -> None:
    """Only plain decimal digits are a number."""
    request = pb.ModelInferRequest(model_name="mnist", model_version=version)
    assert CODEC.parse(request.SerializeToString()).selector == selector


def test_a_timeout_is_kept(draw_rows: Callable[..., Rows]) -> None:
    """In microseconds; 0 is none."""
    for timeout_us, timeout_s in ((1500, 0.0015), (0, None)):
        request = raw_request(
            draw_rows(1), "UINT8", parameters={"timeout": infer_parameter(timeout_us)}
        )
        question = CODEC.parse(request.SerializeToString())
        question.rows(max_rows=1)
        assert question.timeout_s == timeout_s


def ask(request: pb.ModelInferRequest, codec: InferCodec = CODEC) -> InferQuestion:
    """A question that was judged."""
    question = codec.parse(request.SerializeToString())
    question.rows(max_rows=MAX_ROWS)
    return question


def expect(request: pb.ModelInferRequest, outputs: Outputs, *, raw: bool) -> pb.ModelInferResponse:
    """The answer, as protobuf is told to write it."""
    answer = pb.ModelInferResponse(model_name="mnist", model_version="3", id=request.id)
    for name in [output.name for output in request.outputs] or ["probabilities", "classes"]:
        is_classes = name == "classes"
        values = outputs.classes if is_classes else outputs.probabilities
        written = answer.outputs.add(
            name=name, datatype="INT64" if is_classes else "FP32", shape=values.shape
        )
        if raw:
            answer.raw_output_contents.append(values.tobytes())
        elif is_classes:
            written.contents.int64_contents.extend(values)
        else:
            written.contents.fp32_contents.extend(values.ravel())
    return answer


@given(
    rows=st.integers(1, MAX_ROWS),
    request_id=st.text(max_size=200),
    names=st.sampled_from([(), ("classes",), ("probabilities",), ("classes", "probabilities")]),
    raw=st.booleans(),
)
def test_answers_are_written_as_protobuf_writes_them(
    rows: int, request_id: str, names: tuple[str, ...], raw: bool
) -> None:
    """Byte for byte: the outputs that were named, in their order, as the request was written."""
    random = np.random.default_rng(rows)
    outputs = Outputs(random.random((rows, 10), np.float32), random.integers(0, 10, rows))
    make = raw_request if raw else typed_request
    request = make(np.zeros((rows, PIXELS), np.uint8), "UINT8")
    request.id = request_id
    for name in names:
        request.outputs.add(name=name)
    expected = expect(request, outputs, raw=raw)
    assert ask(request).answer(outputs, ANSWERER) == expected.SerializeToString()


def test_an_output_that_is_named_twice_comes_once() -> None:
    """As with Triton."""
    request = raw_request(np.zeros((1, PIXELS)), "UINT8")
    for _ in range(2):
        request.outputs.add(name="classes")
    outputs = Outputs(np.eye(10, dtype=np.float32)[:1], np.zeros(1, np.int64))
    answer = pb.ModelInferResponse.FromString(ask(request).answer(outputs, ANSWERER))
    assert [output.name for output in answer.outputs] == ["classes"]


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("top", [1, 2, 10, 1 << 40])
def test_classes_in_words(predict: Callable[[Rows], Outputs], top: int, raw: bool) -> None:
    """The most probable ones, the first first, as `probability:index:name`; at most all."""
    make = raw_request if raw else typed_request
    request = make(np.zeros((3, PIXELS), np.uint8), "UINT8")
    request.outputs.add(name="probabilities", parameters={"classification": infer_parameter(top)})
    outputs = predict(np.eye(3, PIXELS, dtype=np.float32))
    answer = pb.ModelInferResponse.FromString(ask(request).answer(outputs, ANSWERER))
    (described,) = answer.outputs
    count = min(top, 10)
    assert (described.datatype, list(described.shape)) == ("BYTES", [3, count])
    expected = [
        f"{row[index]:f}:{index}:class {index}".encode()
        for row in outputs.probabilities
        for index in sorted(range(10), key=lambda index: -row[index])[:count]
    ]
    if raw:
        data = b"".join(len(word).to_bytes(4, "little") + word for word in expected)
        assert list(answer.raw_output_contents) == [data]
    else:
        assert list(described.contents.bytes_contents) == expected


def test_answers_of_streams_are_wrapped_and_final() -> None:
    """Each is the only one to its request, which Triton's clients are told by a parameter."""
    request = raw_request(np.zeros((2, PIXELS)), "UINT8", id="an id")
    outputs = Outputs(np.eye(10, dtype=np.float32)[:2], np.arange(2))
    answer = pb.ModelStreamInferResponse.FromString(
        ask(request, STREAM_CODEC).answer(outputs, ANSWERER)
    )
    expected = expect(request, outputs, raw=True)
    expected.parameters["triton_final_response"].bool_param = True
    assert answer == pb.ModelStreamInferResponse(infer_response=expected)


@given(st.binary(max_size=30) | PIECES)
def test_a_refused_request_of_a_stream_is_told_by_its_id(data: bytes) -> None:
    """Whatever it was: the stream hears the error, and goes on. A call has its status instead."""
    assert CODEC.refusal(data, "no") is None
    told = pb.ModelStreamInferResponse.FromString(STREAM_CODEC.refusal(data, "no") or b"")
    assert told.error_message == "no"
    try:
        request = pb.ModelInferRequest.FromString(data)
    except DecodeError:
        return
    assert told.infer_response.id == request.id
