"""The codec of Predict: messages to rows, outputs to messages."""

from collections.abc import Callable

import numpy as np
import pytest
from flatdense_proto.twin import tensorflow_pb2 as tf
from flatdense_proto.twin import tensorflow_serving_pb2 as pb
from flatdense_server.errors import InvalidInput, NoSignature
from flatdense_server.protocols.tf_serving.predict import PredictCodec, PredictQuestion
from flatdense_server.protocols.tf_serving.signatures import find_signature
from flatdense_server.selector import Selector
from flatdense_server.summary import Identity
from flatdense_server.tensors import FLOAT32, PIXELS, UINT8, Outputs, Rows
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

CODEC = PredictCodec()
ANSWERER = Identity("mnist", 3, ("a", "b"))
MAX_ROWS = 9

FORMS = {
    tf.DT_FLOAT: ("<f4", "float_val"),
    tf.DT_UINT8: ("u1", "int_val"),
    tf.DT_HALF: ("<f2", "half_val"),
    tf.DT_DOUBLE: ("<f8", "double_val"),
    tf.DT_INT32: ("<i4", "int_val"),
    tf.DT_INT64: ("<i8", "int64_val"),
}
FLOATS = (tf.DT_FLOAT, tf.DT_HALF, tf.DT_DOUBLE)


def tensor(values: np.ndarray, dtype: int = tf.DT_UINT8, *, listed: bool = False) -> tf.TensorProto:
    """A tensor whose values are its content, or listed one by one."""
    name, field = FORMS[dtype]
    typed = values.astype(name)
    made = tf.TensorProto(
        dtype=dtype,  # type: ignore[arg-type]
        tensor_shape={"dim": [{"size": size} for size in values.shape]},
    )
    if listed:
        bits = typed.view("<u2") if dtype == tf.DT_HALF else typed
        getattr(made, field).extend(bits.ravel().tolist())
    else:
        made.tensor_content = typed.tobytes()
    return made


def request(images: tf.TensorProto | None = None, **spec: str) -> pb.PredictRequest:
    """A request with this input, or none."""
    made = pb.PredictRequest(model_spec=pb.ModelSpec(**spec) if spec else None)
    if images is not None:
        made.inputs["images"].CopyFrom(images)
    return made


def ask(asked: pb.PredictRequest) -> tuple[PredictQuestion, Rows]:
    """The question, judged, and its rows."""
    question = CODEC.parse(asked.SerializeToString())
    return question, question.rows(max_rows=MAX_ROWS)


@given(
    dtype=st.sampled_from(sorted(FORMS)),
    rows=st.integers(1, MAX_ROWS),
    seed=st.integers(0, 99),
    square=st.booleans(),
    listed=st.booleans(),
)
def test_rows_survive_the_wire(
    draw_rows: Callable[..., Rows], dtype: int, rows: int, seed: int, square: bool, listed: bool
) -> None:
    """Pixels and floats are what was sent; half precision is exact, double rounded to float32."""
    expected = FLOAT32 if dtype in FLOATS else UINT8
    sent = draw_rows(rows, expected, seed).astype(FORMS[dtype][0])
    shaped = sent.reshape(rows, 28, 28) if square else sent
    question, got = ask(request(tensor(shaped, dtype, listed=listed)))
    assert got.dtype == expected
    assert np.array_equal(got, sent.astype(expected))
    assert question.as_content != listed


@pytest.mark.parametrize("rows", [1, 8])
def test_values_are_not_copied(rows: int, draw_rows: Callable[..., Rows]) -> None:
    """Contents and packed floats are views of the message that came."""
    for listed in (False, True):
        sent = request(tensor(draw_rows(rows, FLOAT32), tf.DT_FLOAT, listed=listed))
        data = sent.SerializeToString()
        got = CODEC.parse(data).rows(max_rows=MAX_ROWS)
        assert np.shares_memory(got, np.frombuffer(data, np.uint8))


@given(
    values=st.lists(st.integers(0, 255), min_size=1, max_size=20),
    dtype=st.sampled_from(sorted(FORMS)),
)
def test_the_last_value_stands_for_all_that_are_missing(values: list[int], dtype: int) -> None:
    """As TensorFlow reads a tensor whose values end in equal ones."""
    scale = 255 if dtype in FLOATS else 1
    whole = np.array(values + values[-1:] * (2 * PIXELS - len(values))).reshape(2, PIXELS) / scale
    short = tensor(np.array(values) / scale, dtype, listed=True)
    short.tensor_shape.CopyFrom(tensor(np.zeros((2, PIXELS))).tensor_shape)
    _, got = ask(request(short))
    _, expected = ask(request(tensor(whole, dtype)))
    assert np.array_equal(got, expected)


ROW = np.full((1, PIXELS), 200)
PIECES = st.sampled_from(
    [
        request(name="mnist"),
        request(name="other", version_label="canary"),
        request(signature_name="explain"),
        request(signature_name="none"),
        *[
            request(tensor(ROW / (255 if dtype in FLOATS else 1), dtype, listed=listed))
            for dtype in FORMS
            for listed in (False, True)
        ],
        request(tensor(np.zeros((1, 3)))),
        request(tensor(np.full((1, PIXELS), -5), tf.DT_INT32, listed=True)),
        pb.PredictRequest(inputs={"x": tensor(ROW)}),
        pb.PredictRequest(inputs={"images": tf.TensorProto(float_val=[1.0])}),
        pb.PredictRequest(output_filter=["classes"]),
    ]
).map(lambda message: message.SerializeToString())
STRANGE = st.binary(max_size=8) | st.sampled_from([b"\x12\x00", b"\x12\x04\x12\x02\x22\x00"])


@given(parts=st.lists(PIECES | STRANGE, max_size=4))
def test_a_request_is_read_as_protobuf_reads_it(parts: list[bytes]) -> None:
    """Whatever the bytes are: the same rows and selector, or the same refusal."""
    data = b"".join(parts)
    try:
        message = pb.PredictRequest.FromString(data)
    except DecodeError:
        with pytest.raises(InvalidInput, match=f"tensorflow.serving.PredictRequest .*{len(data)} "):
            CODEC.parse(data)
        return
    if message.model_spec.signature_name not in {"", "explain"}:
        with pytest.raises(NoSignature):
            CODEC.parse(data)
        return
    expected = PredictQuestion(message, find_signature(message.model_spec.signature_name))
    question = CODEC.parse(data)
    assert (question.selector, question.hidden) == (expected.selector, expected.hidden)
    assert judge(question) == judge(expected)
    assert question.as_content == expected.as_content


def judge(question: PredictQuestion) -> list[list[float]] | str:
    """Its rows, or why it is refused."""
    try:
        return question.rows(max_rows=MAX_ROWS).tolist()
    except InvalidInput as error:
        return str(error)


def shaped(*sizes: int) -> tf.TensorProto:
    """One row of values, and a shape that says what it likes."""
    made = tensor(np.zeros((1, PIXELS)))
    made.tensor_shape.CopyFrom(
        tf.TensorShapeProto(dim=[tf.TensorShapeProto.Dim(size=size) for size in sizes])
    )
    return made


@pytest.mark.parametrize(
    ("asked", "field", "says"),
    [
        (
            request(),
            "inputs",
            (
                "input size does not match signature: 0!=1 len({}) != len({images}). "
                "Sent extra: {}. Missing but required: {images}."
            ),
        ),
        (
            pb.PredictRequest(inputs={"images": tensor(ROW), "mask": tensor(ROW)}),
            "inputs",
            (
                "2!=1 len({images,mask}) != len({images}). Sent extra: {mask}. "
                "Missing but required: {}."
            ),
        ),
        (
            pb.PredictRequest(inputs={"x": tensor(ROW)}),
            "inputs",
            "Sent extra: {x}. Missing but required: {images}.",
        ),
        (
            pb.PredictRequest(inputs={"images": tensor(ROW)}, output_filter=["logits"]),
            "output_filter",
            (
                "output tensor alias not found in signature: logits Outputs expected to be in the "
                "set {classes,probabilities}."
            ),
        ),
        (
            pb.PredictRequest(inputs={"images": tensor(ROW)}, output_filter=["classes"] * 2),
            "output_filter",
            "duplicate output tensor alias: classes",
        ),
        (
            request(tf.TensorProto(dtype=tf.DT_STRING)),
            "inputs[images].dtype",
            (
                "expected one of DT_FLOAT, DT_UINT8, DT_HALF, DT_DOUBLE, DT_INT32, DT_INT64, got "
                "DT_STRING"
            ),
        ),
        (request(tf.TensorProto(dtype=99)), "inputs[images].dtype", "got type 99"),  # type: ignore[arg-type]
        (
            request(tensor(ROW, tf.DT_FLOAT), signature_name="serving_uint8"),
            "inputs[images].dtype",
            "expected one of DT_UINT8, DT_INT32, DT_INT64, got DT_FLOAT",
        ),
        (request(shaped()), "inputs[images].tensor_shape", "[N, 784] or [N, 28, 28], got []"),
        (request(shaped(1, 783)), "inputs[images].tensor_shape", "got [1, 783]"),
        (request(shaped(-1, 784)), "inputs[images].tensor_shape", "got [-1, 784]"),
        (request(shaped(1 << 62, 784)), "inputs[images].tensor_shape", "at most 9 rows"),
        (request(shaped(0, 784)), "inputs[images].tensor_shape", "got 0 rows"),
        (request(shaped(2, 784)), "inputs[images].tensor_content", "expected 1568 bytes"),
        (
            request(tensor(np.zeros((1, 0)), listed=True)),
            "inputs[images].tensor_shape",
            "got [1, 0]",
        ),
        (
            request(tensor(np.full((1, PIXELS), 256), tf.DT_INT32, listed=True)),
            "inputs[images].int_val",
            "row 0, value 0 is 256",
        ),
        (
            request(tensor(np.full((1, PIXELS), np.inf), tf.DT_DOUBLE)),
            "inputs[images].tensor_content",
            "row 0, value 0 is inf",
        ),
    ],
)
def test_what_is_wrong_is_named(asked: pb.PredictRequest, field: str, says: str) -> None:
    """The field, what was expected and what came, in words that TensorFlow Serving's users know."""
    with pytest.raises(InvalidInput) as caught:
        ask(asked)
    assert caught.value.field == field
    assert says in caught.value.description


def test_values_that_are_not_there_are_not_made_up() -> None:
    """TensorFlow takes zeros for them: here they are missed."""
    empty = tensor(ROW)
    empty.ClearField("tensor_content")
    with pytest.raises(InvalidInput, match="expected 1 x 784 values, got 0"):
        ask(request(empty))


def test_a_signature_that_is_not_there_is_named() -> None:
    """With those that there are."""
    with pytest.raises(NoSignature) as caught:
        ask(request(signature_name="x"))
    assert str(caught.value) == (
        'Serving signature key "x" not found. '
        "Expected one of serving_default, serving_uint8, explain."
    )


@pytest.mark.parametrize(
    ("spec", "selector"),
    [
        (pb.ModelSpec(), Selector()),
        (pb.ModelSpec(name="mnist", version={"value": 3}), Selector("mnist", 3)),
        (pb.ModelSpec(version={"value": 0}), Selector("", 0)),
        (pb.ModelSpec(version_label="canary"), Selector("", None, "canary")),
    ],
)
def test_versions_and_labels_are_read(spec: pb.ModelSpec, selector: Selector) -> None:
    """Version 0 is a version."""
    data = pb.PredictRequest(model_spec=spec).SerializeToString()
    assert CODEC.parse(data).selector == selector


def expect(
    asked: pb.PredictRequest, outputs: dict[str, np.ndarray], *, as_content: bool
) -> pb.PredictResponse:
    """The answer, as protobuf is told to write it."""
    answer = pb.PredictResponse()
    for name in asked.output_filter or outputs:
        values = outputs[name]
        written = answer.outputs[name]
        written.dtype = tf.DT_INT64 if name == "classes" else tf.DT_FLOAT
        written.tensor_shape.dim.extend(tf.TensorShapeProto.Dim(size=s) for s in values.shape)
        if as_content:
            written.tensor_content = values.tobytes()
        elif name == "classes":
            written.int64_val.extend(values)
        else:
            written.float_val.extend(values.ravel())
    answer.model_spec.name = "mnist"
    answer.model_spec.version.value = 3
    answer.model_spec.signature_name = asked.model_spec.signature_name or "serving_default"
    return answer


@given(
    rows=st.integers(1, MAX_ROWS),
    signature=st.sampled_from(["", "serving_default", "serving_uint8", "explain"]),
    wanted=st.sampled_from([[], ["classes"], ["probabilities"], ["classes", "probabilities"]]),
    as_content=st.booleans(),
)
def test_answers_say_what_the_network_says(
    rows: int, signature: str, wanted: list[str], as_content: bool
) -> None:
    """The outputs of the signature that the filter lets through, written as the request was."""
    random = np.random.default_rng(rows)
    outputs = {
        "probabilities": random.random((rows, 10), np.float32),
        "classes": random.integers(0, 10, rows),
    }
    asked = request(tensor(np.zeros((rows, PIXELS)), listed=not as_content))
    asked.model_spec.signature_name = signature
    asked.output_filter.extend(wanted)
    if signature == "explain":
        outputs["hidden"] = random.random((rows, 16), np.float32)
    question, _ = ask(asked)
    answer = question.answer(Outputs(**outputs), ANSWERER)
    expected = expect(asked, outputs, as_content=as_content)
    assert pb.PredictResponse.FromString(answer) == expected
    assert len(answer) == expected.ByteSize()


def test_explaining_takes_scaled_floats(draw_rows: Callable[..., Rows]) -> None:
    """Pixels become what the network makes of them, and the hidden activations are asked for."""
    pixels = draw_rows(2)
    question, rows = ask(request(tensor(pixels), signature_name="explain"))
    assert question.hidden
    assert np.array_equal(rows, pixels.astype(np.float32) / np.float32(255))


def test_a_network_without_known_layers_has_no_explain(draw_rows: Callable[..., Rows]) -> None:
    """It is told as any other signature that there is not."""
    question, _ = ask(request(tensor(draw_rows(1)), signature_name="explain"))
    outputs = Outputs(np.ones((1, 10), np.float32), np.zeros(1, np.int64))
    with pytest.raises(NoSignature, match='"explain" not found'):
        question.answer(outputs, ANSWERER)
