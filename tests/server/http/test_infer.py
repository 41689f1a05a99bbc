"""The Open Inference Protocol's infer: what a worker is asked, and what its answer becomes."""

import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pytest
from flatdense_proto.twin import inference_pb2 as pb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

PATH = "/v2/models/mnist/infer"

PROBABILITIES = np.random.default_rng(1).random((3, 10), np.float32)
CLASSES = PROBABILITIES.argmax(axis=1)
OUTPUTS = {"probabilities": ("FP32", PROBABILITIES), "classes": ("INT64", CLASSES)}

SEVERAL = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

Refusal = Callable[..., tuple[int, str]]


def answer(data: bytes) -> pb.ModelInferResponse:
    """What a worker would answer: the outputs that are asked for, raw."""
    request = pb.ModelInferRequest.FromString(data)
    names = [output.name for output in request.outputs] or [*OUTPUTS]
    return pb.ModelInferResponse(
        model_name=request.model_name,
        model_version="7",
        id=request.id,
        outputs=[
            pb.ModelInferResponse.InferOutputTensor(
                name=name, datatype=OUTPUTS[name][0], shape=OUTPUTS[name][1].shape
            )
            for name in names
        ],
        raw_output_contents=[OUTPUTS[name][1].tobytes() for name in names],
    )


@pytest.fixture(autouse=True)
def _answering(replies: dict[str, Any]) -> None:
    """The worker answers every request."""
    replies["ModelInfer"] = answer


@pytest.fixture
def infer(
    client: httpx.Client, asked: list[tuple[str, bytes]]
) -> Callable[..., pb.ModelInferRequest]:
    """Posts a request that is answered, and gives what the worker was asked."""

    def post(
        body: object, path: str = PATH, *, headers: dict[str, str] | None = None
    ) -> pb.ModelInferRequest:
        """See the fixture."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        got = client.post(path, content=content, headers=headers)
        assert got.status_code == 200, got.text
        method, request = asked[-1]
        assert method == "/inference.GRPCInferenceService/ModelInfer"
        return pb.ModelInferRequest.FromString(request)

    return post


def tensor(images: npt.NDArray[Any], datatype: str, **more: object) -> dict[str, Any]:
    """A tensor in JSON."""
    shape = list(images.shape)
    return {"name": "images", "datatype": datatype, "shape": shape, "data": images.tolist(), **more}


def with_binary(body: dict[str, Any], *tensors: bytes) -> dict[str, Any]:
    """The content and headers of a request with binary tensors behind its JSON."""
    document = json.dumps(body).encode()
    return {
        "content": document + b"".join(tensors),
        "headers": {"Inference-Header-Content-Length": str(len(document))},
    }


BINARY_INPUT = {
    "name": "images",
    "datatype": "UINT8",
    "shape": [1, 784],
    "parameters": {"binary_data_size": 784},
}
PIXELS = np.random.default_rng(2).integers(0, 256, (2, 28, 28), dtype=np.uint8)
REQUEST = {"inputs": [tensor(PIXELS, "UINT8")]}

# What a worker is asked


@SEVERAL
@given(values=st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_floats_reach_the_worker_with_their_bits(
    infer: Callable[..., pb.ModelInferRequest], values: list[float]
) -> None:
    """Every float32 that JSON can write, the negative zero and the smallest ones too."""
    array = np.array([values], np.float32)
    asked = infer({"inputs": [tensor(array, "FP32")]})
    assert [*asked.raw_input_contents] == [array.tobytes()]


@pytest.mark.parametrize(
    ("datatype", "dtype"),
    [
        ("UINT8", "u1"),
        ("UINT16", "<u2"),
        ("UINT32", "<u4"),
        ("INT8", "i1"),
        ("INT16", "<i2"),
        ("INT32", "<i4"),
        ("INT64", "<i8"),
        ("FP16", "<f2"),
        ("FP32", "<f4"),
        ("FP64", "<f8"),
    ],
)
def test_every_type_of_number_reaches_the_worker(
    infer: Callable[..., pb.ModelInferRequest], datatype: str, dtype: str
) -> None:
    """Up to the ends of its range, with its name and its shape; the worker judges it."""
    kind = np.dtype(dtype)
    ends = np.iinfo(kind) if kind.kind in "iu" else np.finfo(kind)
    array = np.array([[ends.min, 0, ends.max]], kind)
    asked = infer({"inputs": [tensor(array, datatype)]})
    (described,) = asked.inputs
    assert (described.name, described.datatype, [*described.shape]) == ("images", datatype, [1, 3])
    assert [*asked.raw_input_contents] == [array.tobytes()]


def test_flat_and_nested_data_are_the_same(infer: Callable[..., pb.ModelInferRequest]) -> None:
    """A flat list is row-major; lists nested as the shape is say the same."""
    flat = {**tensor(PIXELS, "UINT8"), "data": PIXELS.ravel().tolist()}
    nested = infer(REQUEST)
    assert infer({"inputs": [flat]}) == nested
    assert [*nested.raw_input_contents] == [PIXELS.tobytes()]


def test_what_surrounds_the_tensors_is_passed_on(
    infer: Callable[..., pb.ModelInferRequest],
) -> None:
    """Model, version, id, parameters of each type, outputs with theirs; not what is HTTP's own."""
    parameters = {"a": True, "b": -3, "c": "text", "d": 1.5}
    body = {
        "id": "seven",
        "parameters": {**parameters, "binary_data_output": True},
        "inputs": [tensor(PIXELS, "UINT8", parameters=parameters)],
        "outputs": [{"name": "classes", "parameters": {"classification": 2, "binary_data": True}}],
        "unknown": [1],
    }
    asked = infer(body, "/v2/models/other/versions/canary/infer")
    expected = {
        "a": pb.InferParameter(bool_param=True),
        "b": pb.InferParameter(int64_param=-3),
        "c": pb.InferParameter(string_param="text"),
        "d": pb.InferParameter(double_param=1.5),
    }
    assert (asked.model_name, asked.model_version, asked.id) == ("other", "canary", "seven")
    assert dict(asked.parameters) == expected
    assert dict(asked.inputs[0].parameters) == expected
    (output,) = asked.outputs
    assert output.name == "classes"
    assert dict(output.parameters) == {"classification": pb.InferParameter(int64_param=2)}


def test_null_is_as_if_it_were_not_there(infer: Callable[..., pb.ModelInferRequest]) -> None:
    """Clients of some languages write what they do not have."""
    nothing = {"id": None, "parameters": None, "outputs": None}
    given = tensor(PIXELS, "UINT8", parameters=None)
    assert infer({**nothing, "inputs": [given]}) == infer(REQUEST)


def test_binary_tensors_are_taken_in_their_order(
    infer: Callable[..., pb.ModelInferRequest],
) -> None:
    """Each takes its size of what follows the JSON; those in JSON stand between them."""
    second = {**BINARY_INPUT, "parameters": {"binary_data_size": 3}}
    options = with_binary(
        {"inputs": [BINARY_INPUT, tensor(PIXELS, "UINT8"), second]}, bytes(range(196)) * 4, b"abc"
    )
    asked = infer(options.pop("content"), **options)
    expected = [bytes(range(196)) * 4, PIXELS.tobytes(), b"abc"]
    assert [*asked.raw_input_contents] == expected
    assert not any(given.parameters for given in asked.inputs)


def test_shared_memory_is_the_workers_to_refuse(
    infer: Callable[..., pb.ModelInferRequest],
) -> None:
    """A tensor that says where it is has no data here."""
    given = {**BINARY_INPUT, "parameters": {"shared_memory_region": "one"}}
    asked = infer({"inputs": [given]})
    assert asked.inputs[0].parameters["shared_memory_region"].string_param == "one"


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "identity", "GZIP"])
def test_a_compressed_request_is_the_same(
    infer: Callable[..., pb.ModelInferRequest], encoding: str
) -> None:
    """By gzip and zlib's deflate; the header's case does not matter."""
    body = json.dumps(REQUEST).encode()
    pack = {"gzip": gzip.compress, "deflate": zlib.compress}.get(encoding.lower(), bytes)
    headers = {"content-encoding": encoding}
    assert infer(pack(body), headers=headers) == infer(body)


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "application/json",
        "Application/JSON; charset=utf-8",
        "application/octet-stream",
        "application/x-www-form-urlencoded",
        "application/problem+json",
    ],
)
def test_json_by_any_of_its_names_is_taken(
    infer: Callable[..., pb.ModelInferRequest], kind: str
) -> None:
    """For curl everything is a form, and Triton's client says nothing."""
    assert infer(REQUEST, headers={"content-type": kind}) == infer(REQUEST)


# What the answer becomes


def test_the_answer_has_the_bits_of_the_workers(client: httpx.Client) -> None:
    """Flat lists, row-major; a float32 that is read back is the same one."""
    got = client.post(PATH, json={**REQUEST, "id": "seven"}).json()
    probabilities, classes = got.pop("outputs")
    assert got == {"model_name": "mnist", "model_version": "7", "id": "seven"}
    data = np.array(probabilities.pop("data"), np.float32)
    np.testing.assert_array_equal(data, PROBABILITIES.ravel())
    assert probabilities == {"name": "probabilities", "datatype": "FP32", "shape": [3, 10]}
    assert classes["data"] == CLASSES.tolist()


@SEVERAL
@given(
    default=st.booleans(),
    probabilities=st.sampled_from([True, False, None]),
    classes=st.sampled_from([True, False, None]),
)
def test_outputs_are_binary_where_it_is_asked_for(
    client: httpx.Client, *, default: bool, probabilities: bool | None, classes: bool | None
) -> None:
    """By the output's own word, else by that of the request; the sizes add up."""
    wanted = {"probabilities": probabilities, "classes": classes}
    outputs = [
        {"name": name, "parameters": {} if own is None else {"binary_data": own}}
        for name, own in wanted.items()
    ]
    body = {**REQUEST, "outputs": outputs, "parameters": {"binary_data_output": default}}
    got = client.post(PATH, json=body)
    length = int(got.headers.get("inference-header-content-length", len(got.content)))
    document, rest = json.loads(got.content[:length]), got.content[length:]
    for output in document["outputs"]:
        own = wanted[output["name"]]
        size = output.get("parameters", {}).get("binary_data_size")
        assert (size is not None) is (default if own is None else own) is ("data" not in output)
        dtype = {"FP32": np.float32, "INT64": np.int64}[output["datatype"]]
        if size is None:
            data = np.array(output["data"], dtype)
        else:
            data, rest = np.frombuffer(rest[:size], dtype), rest[size:]
        np.testing.assert_array_equal(data, OUTPUTS[output["name"]][1].ravel())
    assert not rest


def test_texts_of_a_classification_are_texts(client: httpx.Client, replies: dict[str, Any]) -> None:
    """BYTES come as strings, without the lengths that stand before each of them."""
    texts = ["0.75:7:seven", "", "0.25:1:élan"]
    raw = b"".join(len(text.encode()).to_bytes(4, "little") + text.encode() for text in texts)
    replies["ModelInfer"] = pb.ModelInferResponse(
        outputs=[pb.ModelInferResponse.InferOutputTensor(name="p", datatype="BYTES", shape=[1, 3])],
        raw_output_contents=[raw],
    )
    (output,) = client.post(PATH, json=REQUEST).json()["outputs"]
    assert output["data"] == texts


def test_parameters_of_the_answer_are_told(client: httpx.Client, replies: dict[str, Any]) -> None:
    """Those of the response and those of an output."""
    parameters = {"last": pb.InferParameter(bool_param=True), "n": pb.InferParameter(int64_param=3)}
    replies["ModelInfer"] = pb.ModelInferResponse(
        parameters=parameters,
        outputs=[
            pb.ModelInferResponse.InferOutputTensor(
                name="c", datatype="INT64", shape=[1], parameters=parameters
            )
        ],
        raw_output_contents=[bytes(8)],
    )
    got = client.post(PATH, json=REQUEST).json()
    assert got["parameters"] == got["outputs"][0]["parameters"] == {"last": True, "n": 3}


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip", "gzip"),
        ("deflate", "deflate"),
        ("br, *;q=0.1", "gzip"),
        ("gzip;q=0, deflate", "deflate"),
        ("br", None),
        ("", None),
        ("identity", None),
    ],
)
def test_the_answer_is_compressed_where_the_caller_takes_it(
    client: httpx.Client, accepted: str, encoding: str | None
) -> None:
    """By Accept-Encoding; what it decompresses to is the same."""
    got = client.post(PATH, json=REQUEST, headers={"accept-encoding": accepted})
    assert got.headers.get("content-encoding") == encoding
    assert got.headers["vary"] == "accept-encoding"
    assert got.json()["outputs"][1]["data"] == CLASSES.tolist()


# What is refused

GIVEN = tensor(PIXELS, "UINT8")
LONG = "x" * 1025
HUGE = 1 << 63


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"", 400, "the body: expected JSON, got none: it ends in the middle."),
        (b"{", 400, "the body: expected JSON, got none: it ends in the middle."),
        (b"[]", 400, "the body: expected `object`, got `array`."),
        (b"null", 400, "the body: expected `object`, got `null`."),
        (b'{"inputs": [NaN]}', 400, "the body: expected JSON, got none: invalid character"),
        (b"\xff", 400, "the body: expected JSON, got none"),
        (b'{"inputs": [], "id": "\xff"}', 400, "the body: expected text in UTF-8, got none"),
        (b'{"inputs": [], "parameters": {"\xff": 1}}', 400, "expected text in UTF-8, got none"),
        ({}, 400, "the body: object missing required field `inputs`."),
        ({"inputs": {}}, 400, "inputs: expected `array`, got `object`."),
        ({"inputs": [BINARY_INPUT] * 65}, 400, "inputs: expected at most 64, got 65."),
        ({"inputs": [1]}, 400, "inputs[0]: expected `object`, got `int`."),
        ({"inputs": [{**GIVEN, "name": 3}]}, 400, "inputs[0].name: expected `str`, got `int`."),
        ({"inputs": [{**GIVEN, "name": LONG}]}, 400, "inputs[0].name: expected at most 1024"),
        ({"inputs": [{**GIVEN, "shape": 3}]}, 400, "inputs[0].shape: expected `array`, got"),
        ({"inputs": [{**GIVEN, "shape": [1.5]}]}, 400, "inputs[0].shape[0]: expected `int`, got"),
        ({"inputs": [{**GIVEN, "shape": [HUGE]}]}, 400, "inputs[0].shape[0]: expected an integer"),
        ({"inputs": [{**GIVEN, "shape": [1] * 65}]}, 400, "expected at most 64 dimensions, got 65"),
        ({"inputs": [{**GIVEN, "shape": [1, 1568]}]}, 400, "nested as [2, 28, 28]"),
        ({"inputs": [{**GIVEN, "datatype": "BF16"}]}, 400, "got 'BF16'"),
        ({"inputs": [{**GIVEN, "datatype": "BYTES"}]}, 400, "got 'BYTES'"),
        ({"inputs": [{**GIVEN, "data": []}]}, 400, "expected at least one value, got none."),
        ({"inputs": [{**GIVEN, "data": [[], []]}]}, 400, "expected at least one value, got none."),
        ({"inputs": [{**GIVEN, "data": "abc"}]}, 400, "inputs[0].data: expected `int`, got `str`."),
        ({"inputs": [{**GIVEN, "data": {}}]}, 400, "inputs[0].data: expected `int`, got `object`."),
        ({"inputs": [{**GIVEN, "data": [[1], 2]}]}, 400, "inputs[0].data[1]: expected `array`"),
        ({"inputs": [{**GIVEN, "data": [1, [2]]}]}, 400, "inputs[0].data[1]: expected `int`, got"),
        (
            {"inputs": [{**GIVEN, "data": [[1], [2, 3]]}]},
            400,
            "lists of equal lengths, got unequal",
        ),
        ({"inputs": [{**GIVEN, "data": [True]}]}, 400, "data[0]: expected `int`, got `bool`."),
        ({"inputs": [{**GIVEN, "data": [None]}]}, 400, "data[0]: expected `int`, got `null`."),
        ({"inputs": [{**GIVEN, "data": [1.5]}]}, 400, "data[0]: expected `int`, got `float`."),
        (
            {"inputs": [{**GIVEN, "data": [5, 256]}]},
            400,
            "[1]: expected uint8 from 0 to 255, got 25",
        ),
        ({"inputs": [{**GIVEN, "data": [-1]}]}, 400, "expected uint8 from 0 to 255, got -1."),
        ({"inputs": [{**GIVEN, "data": [HUGE]}]}, 400, "expected uint8 values, got one beyond 64"),
        ({"inputs": [{**GIVEN, "data": [[[[[[[[[1]]]]]]]]]}]}, 400, "at most 8 deep, got 9."),
        ({"inputs": [{**GIVEN, "datatype": "FP32", "data": [1e39]}]}, 400, "expected float32 from"),
        ({"inputs": [{**GIVEN, "data": None}]}, 400, "inputs[0]: expected data, or parameters"),
        ({"inputs": [{**GIVEN, "parameters": {"binary_data_size": 1}}]}, 400, "got both."),
        ({"inputs": [BINARY_INPUT]}, 400, "at most the 0 bytes that are left, got 784."),
        ({**REQUEST, "id": 5}, 400, "id: expected `str | null`, got `int`."),
        ({**REQUEST, "id": "\ud800"}, 400, "the body: expected JSON, got none"),
        ({**REQUEST, "parameters": []}, 400, "parameters: expected `object | null`, got `array`."),
        ({**REQUEST, "parameters": {"a": None}}, 400, "expected `bool | int | float | str`, got"),
        ({**REQUEST, "parameters": {"a": HUGE}}, 400, "parameters.a: expected an integer of 64"),
        ({**REQUEST, "parameters": {"a": LONG}}, 400, "parameters.a: expected at most 1024"),
        ({**REQUEST, "parameters": dict.fromkeys(map(str, range(65)), 1)}, 400, "most 64, got 65"),
        (
            {**REQUEST, "parameters": {"binary_data_output": 1}},
            400,
            "expected true or false, got 1",
        ),
        ({**REQUEST, "outputs": [{}]}, 400, "outputs[0]: object missing required field `name`."),
        (
            {**REQUEST, "outputs": [{"name": "c", "parameters": {"binary_data": "x"}}]},
            400,
            'outputs[0].parameters.binary_data: expected true or false, got "x".',
        ),
    ],
)
def test_what_is_wrong_in_json_is_named(
    refusal: Refusal, asked: list[tuple[str, bytes]], body: object, status: int, said: str
) -> None:
    """The field, what was expected and what came; no worker is asked."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    got, message = refusal(PATH, content=content)
    assert got == status
    assert said in message
    assert not asked


@pytest.mark.parametrize("number", [b"1e400", b"-1e999", b"1" * 5000, b"-" + b"9" * 400])
def test_numbers_beyond_a_double_are_refused(refusal: Refusal, number: bytes) -> None:
    """They are neither infinite nor cut."""
    given = b'{"inputs": [{"name": "images", "datatype": "FP32", "shape": [1], "data": [%s]}]}'
    status, message = refusal(PATH, content=given % number)
    assert status == 400
    assert message.startswith("inputs[0].data[0]: expected ")


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (-1, "expected a number of bytes, got -1."),
        (True, "expected a number of bytes, got true."),
        (784.0, "expected a number of bytes, got 784.0."),
        ("784", 'expected a number of bytes, got "784".'),
        (785, "expected at most the 784 bytes that are left, got 785."),
        (10**18, "expected at most the 784 bytes that are left, got 1000000000000000000."),
        (783, "the body: expected the end after the binary tensors, got 1 bytes more."),
    ],
)
def test_a_wrong_size_of_a_binary_tensor_is_named(
    refusal: Refusal, size: object, said: str
) -> None:
    """Nothing is made room for by its word."""
    given = {**BINARY_INPUT, "parameters": {"binary_data_size": size}}
    status, message = refusal(PATH, **with_binary({"inputs": [given]}, bytes(784)))
    assert status == 400
    assert said in message


def test_tensors_beyond_what_a_worker_reads_are_refused(
    refusal: Refusal, asked: list[tuple[str, bytes]]
) -> None:
    """With 413, and the rows of the biggest request."""
    size = 3 << 19
    given = {**BINARY_INPUT, "parameters": {"binary_data_size": size}}
    status, message = refusal(PATH, **with_binary({"inputs": [given]}, bytes(size)))
    assert status == 413
    assert "32 rows of the biggest request" in message
    assert not asked


@pytest.mark.parametrize(
    "length", ["-1", "1_0", "+5", "5 5", "٣", "1e3", "99999", "9" * 30, "9" * 5000, "x"]
)
def test_a_wrong_length_of_the_json_is_named(refusal: Refusal, length: str) -> None:
    """Inference-Header-Content-Length is a number within the body."""
    headers = {"Inference-Header-Content-Length": length.encode()}
    status, message = refusal(PATH, content=b"{}", headers=headers)
    assert status == 400
    assert message.startswith("Inference-Header-Content-Length: expected 0 to the 2 bytes")


@SEVERAL
@given(body=st.binary(max_size=300), length=st.one_of(st.none(), st.integers(0, 400)))
def test_random_bytes_are_refused_and_the_next_request_is_answered(
    client: httpx.Client, body: bytes, length: int | None
) -> None:
    """With 400, whatever they are; nothing is left of them."""
    headers = {} if length is None else {"Inference-Header-Content-Length": str(length)}
    assert client.post(PATH, content=body, headers=headers).status_code == 400
    assert client.post(PATH, json=REQUEST).status_code == 200
