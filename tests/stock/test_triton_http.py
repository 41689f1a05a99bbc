"""`tritonclient[http]`, unchanged, against a running server."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pytest
from flatdense_client import Client, Predictions
from server_process import ServerProcess
from tritonclient import http as triton
from tritonclient.http import aio
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

pytestmark = pytest.mark.xdist_group("stock")

Images: TypeAlias = npt.NDArray[Any]
Native: TypeAlias = Callable[[Images], Predictions]

MODEL = "mnist"
IMAGE = np.random.default_rng(0).integers(0, 256, (1, 784), dtype=np.uint8)
CONNECTIONS = 4

BINARY = [
    triton.InferRequestedOutput("probabilities", binary_data=True),
    triton.InferRequestedOutput("classes", binary_data=True),
]
TEXT = [
    triton.InferRequestedOutput("probabilities", binary_data=False),
    triton.InferRequestedOutput("classes", binary_data=False),
]
MIXED = [TEXT[0], BINARY[1]]


@pytest.fixture(scope="module")
def client(server: ServerProcess) -> Iterator[triton.InferenceServerClient]:
    """The stock client."""
    with triton.InferenceServerClient(where(server), concurrency=CONNECTIONS) as client:
        yield client


@pytest.fixture(params=[True, False], ids=["binary", "json"])
def binary(request: pytest.FixtureRequest) -> bool:
    """Whether the input's values stand behind the JSON or in it."""
    return bool(request.param)


def where(server: ServerProcess) -> str:
    """host:port of the HTTP port."""
    return server.page.removeprefix("http://").rstrip("/")


def tensor(images: Images, name: str = "images", *, binary: bool = True) -> triton.InferInput:
    """The input that the stock client makes of an array."""
    made = triton.InferInput(name, images.shape, np_to_triton_dtype(images.dtype))
    return made.set_data_from_numpy(images, binary_data=binary)


def check(result: triton.InferResult, expected: Predictions) -> None:
    """An answer has the bits of the native one."""
    probabilities, classes = result.as_numpy("probabilities"), result.as_numpy("classes")
    assert (probabilities.dtype, classes.dtype) == (np.float32, np.int64)
    np.testing.assert_array_equal(probabilities, expected.probabilities)
    np.testing.assert_array_equal(classes, expected.classes)


# Answers


@pytest.mark.parametrize(
    "outputs", [None, BINARY, TEXT, MIXED], ids=["default", "binary", "json", "mixed"]
)
def test_an_answer_is_the_native_one(
    client: triton.InferenceServerClient,
    images: Images,
    native: Native,
    outputs: list[triton.InferRequestedOutput] | None,
    *,
    binary: bool,
) -> None:
    """Whatever the rows, their type and the form of both sides; the id comes back."""
    inputs = [tensor(images, binary=binary)]
    result = client.infer(MODEL, inputs, outputs=outputs, request_id="seven")
    check(result, native(images))
    response = result.get_response()
    assert (response["model_name"], response["model_version"]) == (MODEL, "1")
    assert response["id"] == "seven"
    in_json = {output["name"] for output in response["outputs"] if "data" in output}
    asked = {output.name() for output in outputs or [] if output in TEXT}
    assert in_json == asked


def test_images_need_not_be_flat(
    client: triton.InferenceServerClient, images: Images, native: Native, *, binary: bool
) -> None:
    """[N, 28, 28] is answered as [N, 784]."""
    given = tensor(images.reshape(-1, 28, 28), binary=binary)
    check(client.infer(MODEL, [given]), native(images))


@pytest.mark.parametrize("kind", [np.float16, np.float64, np.int32, np.int64])
def test_other_types_are_answered_as_the_nearest(
    client: triton.InferenceServerClient,
    pixels: npt.NDArray[np.uint8],
    native: Native,
    kind: type[np.generic],
) -> None:
    """FP16 and FP64 as the FP32 that they round to, INT32 and INT64 as pixels."""
    if issubclass(kind, np.floating):
        images: Images = (pixels / 255).astype(kind)
        same: Images = images.astype(np.float32)
    else:
        images, same = pixels.astype(kind), pixels
    check(client.infer(MODEL, [tensor(images)]), native(same))


def test_the_outputs_are_those_asked_for(client: triton.InferenceServerClient) -> None:
    """In the order of the request, and no other."""
    for outputs in (BINARY[1:], TEXT[1:], BINARY[::-1], TEXT[::-1]):
        result = client.infer(MODEL, [tensor(IMAGE)], outputs=outputs)
        named = [output["name"] for output in result.get_response()["outputs"]]
        assert named == [output.name() for output in outputs]


def test_class_count_gives_the_best_classes_as_text(
    client: triton.InferenceServerClient, images: Images, native: Native, *, binary: bool
) -> None:
    """value:index:label, the most probable first, in either form."""
    outputs = [triton.InferRequestedOutput("probabilities", binary_data=binary, class_count=2)]
    texts = client.infer(MODEL, [tensor(images)], outputs=outputs).as_numpy("probabilities")
    assert texts.shape == (len(images), 2)
    for row, prediction in zip(texts, native(images), strict=True):
        text = row[0].decode() if isinstance(row[0], bytes) else row[0]
        value, index, label = text.split(":")
        assert float(value) == pytest.approx(prediction.confidence, abs=1e-6)
        assert (int(index), label) == (prediction.class_index, prediction.label)


@pytest.mark.parametrize(("named", "answered"), [("", 1), ("1", 1), ("2", 2)])
def test_a_version_is_chosen_by_number(
    client: triton.InferenceServerClient, named: str, answered: int
) -> None:
    """The answer says which version it is from."""
    result = client.infer(MODEL, [tensor(IMAGE)], model_version=named)
    assert result.get_response()["model_version"] == str(answered)


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_bodies_may_be_compressed(
    client: triton.InferenceServerClient,
    images: Images,
    native: Native,
    algorithm: str,
    *,
    binary: bool,
) -> None:
    """In both directions, and the answer is the same."""
    result = client.infer(
        MODEL,
        [tensor(images, binary=binary)],
        outputs=BINARY if binary else TEXT,
        request_compression_algorithm=algorithm,
        response_compression_algorithm=algorithm,
    )
    check(result, native(images))


def test_calls_without_waiting_are_answered(
    client: triton.InferenceServerClient, images: Images, native: Native
) -> None:
    """async_infer over several connections: each call gets the answer to its own rows."""
    calls = [client.async_infer(MODEL, [tensor(images[: rows + 1])]) for rows in range(8)]
    for rows, call in enumerate(calls):
        got = call.get_result().as_numpy("probabilities")
        expected = native(images[: rows + 1]).probabilities
        # Calls that are under way together share a batch: another batch may sum otherwise.
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-6)


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")  # the client's own
def test_a_client_in_asyncio_gets_the_same(
    server: ServerProcess, images: Images, native: Native, *, binary: bool
) -> None:
    """Each of many calls under way together is answered, and health and metadata are told."""
    inputs = [tensor(images, binary=binary)]

    async def call() -> list[triton.InferResult]:
        """One alone, one compressed, then many together."""
        async with aio.InferenceServerClient(where(server)) as client:
            assert await client.is_server_ready()
            assert await client.is_model_ready(MODEL)
            assert (await client.get_model_metadata(MODEL))["name"] == MODEL
            first = await client.infer(MODEL, inputs)
            zipped = await client.infer(MODEL, inputs, request_compression_algorithm="gzip")
            calls = (client.infer(MODEL, inputs) for _ in range(16))
            return [first, zipped, *await asyncio.gather(*calls)]

    first, zipped, *others = asyncio.run(call())
    expected = native(images)
    check(first, expected)
    check(zipped, expected)
    for result in others:
        got = result.as_numpy("probabilities")
        np.testing.assert_allclose(got, expected.probabilities, rtol=0, atol=1e-6)


# What the server says of itself


def test_health_is_told(client: triton.InferenceServerClient) -> None:
    """Live, ready, and ready for a model by version; not for what is not there."""
    assert client.is_server_live()
    assert client.is_server_ready()
    for version in ("", "1", "2"):
        assert client.is_model_ready(MODEL, version)
    assert not client.is_model_ready("other")
    assert not client.is_model_ready(MODEL, "9")


def test_metadata_names_the_tensors(client: triton.InferenceServerClient) -> None:
    """The server's extensions, and the model's versions, input and outputs."""
    told = client.get_server_metadata()
    assert told["name"] == "flatdense"
    assert {"binary_tensor_data", "classification", "statistics"} <= set(told["extensions"])
    model = client.get_model_metadata(MODEL)
    assert (model["name"], model["versions"]) == (MODEL, ["1", "2"])
    assert model["platform"] == "tensorflow_savedmodel"
    assert model["inputs"] == [{"name": "images", "datatype": "FP32", "shape": [-1, 784]}]
    assert model["outputs"] == [
        {"name": "probabilities", "datatype": "FP32", "shape": [-1, 10]},
        {"name": "classes", "datatype": "INT64", "shape": [-1]},
    ]


def test_the_configuration_has_the_limits(
    client: triton.InferenceServerClient, server: ServerProcess
) -> None:
    """The most rows of a request, the tensors without the batch, and that there is batching."""
    config = client.get_model_config(MODEL)
    with Client(server.address) as known:
        serving = known.model().serving
    assert (config["name"], config["max_batch_size"]) == (MODEL, serving.max_request_rows)
    assert "dynamic_batching" in config
    (given,) = config["input"]
    assert (given["name"], given["data_type"]) == ("images", "TYPE_FP32")
    assert [int(size) for size in given["dims"]] == [784]
    assert [output["name"] for output in config["output"]] == ["probabilities", "classes"]


def test_statistics_count_calls_and_rows(
    server: ServerProcess, client: triton.InferenceServerClient, images: Images
) -> None:
    """Calls over several connections, which several workers answer, add up, with their times."""
    calls, rows, before_ns = statistics(client)
    for _ in range(6):
        with triton.InferenceServerClient(where(server)) as other:
            other.infer(MODEL, [tensor(images)])
    told = statistics(client)
    for _ in range(1000):  # what is counted may stand a moment after the answer
        if told[0] >= calls + 6:
            break
        told = statistics(client)
    assert told[:2] == (calls + 6, rows + 6 * len(images))
    assert told[2] > before_ns


def statistics(client: triton.InferenceServerClient) -> tuple[int, int, int]:
    """Calls and rows of version 1, and the nanoseconds that the network took."""
    (told,) = client.get_inference_statistics(MODEL, "1")["model_stats"]
    stages = told["inference_stats"]
    calls, spent_ns = int(stages["success"]["count"]), int(stages["compute_infer"]["ns"])
    return calls, int(told["inference_count"]), spent_ns


# The repository


def test_the_repository_is_closed_unless_opened(client: triton.InferenceServerClient) -> None:
    """Index, load and unload are refused by name of the option that allows them."""
    for call in (
        client.get_model_repository_index,
        lambda: client.load_model(MODEL),
        lambda: client.unload_model(MODEL),
    ):
        with pytest.raises(InferenceServerException, match="--model-control") as refused:
            call()
        assert refused.value.status() == "403"
    assert client.is_model_ready(MODEL)


def test_an_open_repository_unloads_and_loads(controlled: ServerProcess) -> None:
    """Unloaded, the model is not ready; loaded, it answers as before."""
    with triton.InferenceServerClient(where(controlled)) as client:
        assert states(client) == {"1": "READY", "2": "READY"}
        before = client.infer(MODEL, [tensor(IMAGE)]).as_numpy("probabilities")
        client.unload_model(MODEL)
        assert set(states(client).values()) == {"UNAVAILABLE"}
        for _ in range(8):
            with triton.InferenceServerClient(where(controlled)) as other:
                assert not other.is_model_ready(MODEL)
                with pytest.raises(InferenceServerException) as refused:
                    other.infer(MODEL, [tensor(IMAGE)])
                assert refused.value.status() in {"404", "503"}
        client.load_model(MODEL)
        assert states(client) == {"1": "READY", "2": "READY"}
        after = client.infer(MODEL, [tensor(IMAGE)]).as_numpy("probabilities")
        np.testing.assert_array_equal(after, before)


def states(client: triton.InferenceServerClient) -> dict[str, str]:
    """The state of each version."""
    told = client.get_model_repository_index()
    assert {model["name"] for model in told} == {MODEL}
    return {model["version"]: model["state"] for model in told}


# Refusals


BAD_INPUTS = {
    "a wrong shape": ([tensor(np.zeros((1, 783), np.uint8))], "784"),
    "a batch of nothing": ([tensor(np.zeros((0, 784), np.uint8))], "0"),
    "a wrong name": ([tensor(IMAGE, "image")], "image"),
    "a wrong type": ([tensor(IMAGE.astype(np.int8))], "INT8"),
    "text": ([tensor(np.full((1, 784), b"7", np.object_))], "BYTES"),
    "two inputs": ([tensor(IMAGE), tensor(IMAGE, "more")], "images"),
    "no input": ([], "images"),
    "what is no number": ([tensor(np.full((2, 784), np.nan, np.float32))], "(?i)nan|finite"),
    "more rows than allowed": ([tensor(np.zeros((1025, 784), np.uint8))], "1,?024"),
    "pixels beyond 255": ([tensor(IMAGE.astype(np.int32) + 256, binary=False)], "255"),
}


@pytest.mark.parametrize("case", BAD_INPUTS)
def test_a_bad_input_is_refused_with_what_is_wrong(
    client: triton.InferenceServerClient, case: str
) -> None:
    """Status 400, and the sentence has what was wrong or what was expected."""
    inputs, said = BAD_INPUTS[case]
    with pytest.raises(InferenceServerException, match=said) as refused:
        client.infer(MODEL, inputs)
    assert refused.value.status() == "400"


BAD_OPTIONS = {
    "an unknown output": ({"outputs": [triton.InferRequestedOutput("logits")]}, "logits"),
    "a priority": ({"priority": 1}, "priority"),
    "a sequence": ({"sequence_id": 5, "sequence_start": True}, "sequence"),
}


@pytest.mark.parametrize("case", BAD_OPTIONS)
def test_what_is_not_offered_is_refused_by_name(
    client: triton.InferenceServerClient, case: str
) -> None:
    """Status 400 rather than an answer to something else."""
    options, said = BAD_OPTIONS[case]
    with pytest.raises(InferenceServerException, match=said) as refused:
        client.infer(MODEL, [tensor(IMAGE)], **options)
    assert refused.value.status() == "400"


@pytest.mark.parametrize(
    ("model", "version", "said"), [("other", "", "mnist"), (MODEL, "9", "9"), ("a/b ö", "", "ö")]
)
def test_what_is_not_there_is_not_found(
    client: triton.InferenceServerClient, model: str, version: str, said: str
) -> None:
    """Status 404 for a model or a version, by every method that names one."""
    for call in (
        lambda: client.infer(model, [tensor(IMAGE)], model_version=version),
        lambda: client.get_model_metadata(model, version),
        lambda: client.get_model_config(model, version),
        lambda: client.get_inference_statistics(model, version),
    ):
        with pytest.raises(InferenceServerException, match=said) as refused:
            call()
        assert refused.value.status() == "404"


def test_a_refusal_leaves_the_connection_usable(
    server: ServerProcess, images: Images, native: Native
) -> None:
    """Over one connection refused and answered calls may follow each other."""
    with triton.InferenceServerClient(where(server)) as client:
        for _ in range(3):
            with pytest.raises(InferenceServerException):
                client.infer("other", [tensor(images)])
            check(client.infer(MODEL, [tensor(images)]), native(images))
