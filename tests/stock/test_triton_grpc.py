"""`tritonclient[grpc]`, unchanged, against a running server."""

import asyncio
import os
import queue
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from typing import Any, TypeAlias

import grpc
import numpy as np
import numpy.typing as npt
import pytest
from flatdense_client import Client, Predictions
from server_process import ServerProcess
from tritonclient import grpc as triton
from tritonclient.grpc import aio, model_config_pb2, service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

pytestmark = pytest.mark.xdist_group("stock")

Images: TypeAlias = npt.NDArray[Any]
Native: TypeAlias = Callable[[Images], Predictions]
Done: TypeAlias = tuple[triton.InferResult | None, InferenceServerException | None]

MODEL = "mnist"
IMAGE = np.random.default_rng(0).integers(0, 256, (1, 784), dtype=np.uint8)
WAIT_S = 30


@pytest.fixture(scope="module")
def client(server: ServerProcess) -> Iterator[triton.InferenceServerClient]:
    """The stock client, with a connection of its own."""
    with connect(server) as client:
        yield client


@pytest.fixture(scope="module")
def stub(server: ServerProcess) -> Iterator[service_pb2_grpc.GRPCInferenceServiceStub]:
    """The stock stubs: for requests that the stock client does not make."""
    with grpc.insecure_channel(server.address) as channel:
        yield service_pb2_grpc.GRPCInferenceServiceStub(channel)


def connect(server: ServerProcess) -> triton.InferenceServerClient:
    """A client whose connection is shared with none, so that it may reach any worker."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    return triton.InferenceServerClient(server.address, channel_args=options)


def tensor(images: Images, name: str = "images") -> triton.InferInput:
    """The input that the stock client makes of an array."""
    made = triton.InferInput(name, images.shape, np_to_triton_dtype(images.dtype))
    return made.set_data_from_numpy(images)


def check(result: triton.InferResult | None, expected: Predictions) -> None:
    """An answer has the bits of the native one."""
    assert result is not None
    probabilities, classes = result.as_numpy("probabilities"), result.as_numpy("classes")
    assert (probabilities.dtype, classes.dtype) == (np.float32, np.int64)
    np.testing.assert_array_equal(probabilities, expected.probabilities)
    np.testing.assert_array_equal(classes, expected.classes)


# Answers


def test_an_answer_is_the_native_one(
    client: triton.InferenceServerClient, images: Images, native: Native
) -> None:
    """Whatever the rows and their type, each bit is the native protocol's; the id comes back."""
    result = client.infer(MODEL, [tensor(images)], request_id="seven")
    check(result, native(images))
    response = result.get_response()
    assert (response.model_name, response.model_version, response.id) == (MODEL, "1", "seven")


def test_images_need_not_be_flat(
    client: triton.InferenceServerClient, images: Images, native: Native
) -> None:
    """[N, 28, 28] is answered as [N, 784]."""
    check(client.infer(MODEL, [tensor(images.reshape(-1, 28, 28))]), native(images))


@pytest.mark.parametrize("kind", [np.float16, np.float64])
def test_other_floats_are_rounded_to_binary32(
    client: triton.InferenceServerClient,
    pixels: npt.NDArray[np.uint8],
    native: Native,
    kind: type[np.floating[Any]],
) -> None:
    """FP16 and FP64 are answered as the FP32 that they round to."""
    images = (pixels / 255).astype(kind)
    check(client.infer(MODEL, [tensor(images)]), native(images.astype(np.float32)))


@pytest.mark.parametrize("kind", [np.int32, np.int64])
def test_wide_integers_are_pixels(
    client: triton.InferenceServerClient,
    pixels: npt.NDArray[np.uint8],
    native: Native,
    kind: type[np.integer[Any]],
) -> None:
    """INT32 and INT64 are answered as the UINT8 of the same values."""
    check(client.infer(MODEL, [tensor(pixels.astype(kind))]), native(pixels))


def test_typed_contents_are_answered_by_typed_contents(
    stub: service_pb2_grpc.GRPCInferenceServiceStub, images: Images, native: Native
) -> None:
    """A request with values one by one gets its values so, and they are the native ones."""
    request = service_pb2.ModelInferRequest(model_name=MODEL)
    kind = np_to_triton_dtype(images.dtype)
    given = request.inputs.add(name="images", shape=images.shape, datatype=kind)
    field = {"UINT8": "uint_contents", "FP32": "fp32_contents"}[kind]
    getattr(given.contents, field).extend(images.ravel().tolist())
    response = stub.ModelInfer(request)
    assert not response.raw_output_contents
    outputs = {output.name: output for output in response.outputs}
    expected = native(images)
    values = np.array(outputs["probabilities"].contents.fp32_contents, np.float32)
    np.testing.assert_array_equal(values.reshape(-1, 10), expected.probabilities)
    assert outputs["classes"].contents.int64_contents == list(expected.classes)
    assert outputs["probabilities"].shape == [len(images), 10]
    assert outputs["classes"].shape == [len(images)]


@pytest.mark.parametrize("names", [["classes"], ["classes", "probabilities"]])
def test_the_outputs_are_those_asked_for(
    client: triton.InferenceServerClient, native: Native, names: list[str]
) -> None:
    """In the order of the request, and no other."""
    outputs = [triton.InferRequestedOutput(name) for name in names]
    result = client.infer(MODEL, [tensor(IMAGE)], outputs=outputs)
    assert [output.name for output in result.get_response().outputs] == names
    np.testing.assert_array_equal(result.as_numpy("classes"), native(IMAGE).classes)


def test_class_count_gives_the_best_classes_as_text(
    client: triton.InferenceServerClient, images: Images, native: Native
) -> None:
    """value:index:label of the three most probable of each row, the most probable first."""
    outputs = [triton.InferRequestedOutput("probabilities", class_count=3)]
    result = client.infer(MODEL, [tensor(images)], outputs=outputs)
    texts = result.as_numpy("probabilities")
    expected = native(images)
    assert texts.shape == (len(images), 3)
    for row, prediction in zip(texts, expected, strict=True):
        values, indices, labels = zip(*(text.decode().split(":") for text in row), strict=True)
        best = np.sort(prediction.probabilities)[::-1][:3]
        np.testing.assert_allclose([float(value) for value in values], best, rtol=0, atol=1e-6)
        chosen = [int(index) for index in indices]
        np.testing.assert_array_equal(prediction.probabilities[chosen], best)
        assert list(labels) == [prediction.class_names[index] for index in chosen]


@pytest.mark.parametrize(("named", "answered"), [("", 1), ("1", 1), ("2", 2), ("canary", 2)])
def test_a_version_is_chosen_by_number_or_label(
    client: triton.InferenceServerClient, named: str, answered: int
) -> None:
    """The answer says which version it is from."""
    result = client.infer(MODEL, [tensor(IMAGE)], model_version=named)
    assert result.get_response().model_version == str(answered)


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_compressed_requests_are_understood(
    client: triton.InferenceServerClient, images: Images, native: Native, algorithm: str
) -> None:
    """The answer is the same."""
    result = client.infer(MODEL, [tensor(images)], compression_algorithm=algorithm)
    check(result, native(images))


# Without waiting


def test_callbacks_get_the_answers(
    client: triton.InferenceServerClient, images: Images, native: Native
) -> None:
    """async_infer calls back once for each call, with the answer to that one."""
    done: dict[int, queue.SimpleQueue[Done]] = {rows: queue.SimpleQueue() for rows in range(1, 9)}
    for rows, ended in done.items():

        def note(
            result: triton.InferResult | None,
            error: InferenceServerException | None,
            ended: queue.SimpleQueue[Done] = ended,
        ) -> None:
            ended.put((result, error))

        client.async_infer(MODEL, [tensor(images[:rows])], note)
    for rows, ended in done.items():
        result, error = ended.get(timeout=WAIT_S)
        assert error is None
        assert result is not None
        got = result.as_numpy("probabilities")
        # Calls that are under way together share a batch: another batch may sum otherwise.
        np.testing.assert_allclose(got, native(images[:rows]).probabilities, rtol=0, atol=1e-6)


def test_a_call_can_be_given_up(server: ServerProcess, native: Native) -> None:
    """A cancelled call ends as that, and the next one on its connection is answered."""
    ended: queue.SimpleQueue[Done] = queue.SimpleQueue()
    with connect(server) as client:
        call = client.async_infer(
            MODEL,
            [tensor(np.zeros((1000, 784), np.float32))],
            lambda result, error: ended.put((result, error)),
        )
        call.cancel()
        result, error = ended.get(timeout=WAIT_S)
        assert result is None
        assert error is not None
        assert error.status() == "StatusCode.CANCELLED"
        check(client.infer(MODEL, [tensor(IMAGE)]), native(IMAGE))


def test_a_client_in_asyncio_gets_the_same(
    server: ServerProcess, images: Images, native: Native
) -> None:
    """Each of many calls under way together is answered."""

    async def call() -> list[triton.InferResult]:
        """One alone, then many together."""
        async with aio.InferenceServerClient(server.address) as client:
            assert await client.is_server_ready()
            first = await client.infer(MODEL, [tensor(images)])
            calls = (client.infer(MODEL, [tensor(images)]) for _ in range(16))
            return [first, *await asyncio.gather(*calls)]

    first, *others = asyncio.run(call())
    expected = native(images)
    check(first, expected)
    for result in others:
        got = result.as_numpy("probabilities")
        np.testing.assert_allclose(got, expected.probabilities, rtol=0, atol=1e-6)


# Streams


def test_a_stream_calls_back_for_each_request(
    server: ServerProcess, images: Images, native: Native
) -> None:
    """A refused request between others is answered by its error, and the stream goes on."""
    ended: queue.SimpleQueue[Done] = queue.SimpleQueue()
    with connect(server) as client:
        client.start_stream(lambda result, error: ended.put((result, error)))
        for turn in range(3):
            client.async_stream_infer(MODEL, [tensor(images)], request_id=f"good {turn}")
            check(ended.get(timeout=WAIT_S)[0], native(images))
            client.async_stream_infer(MODEL, [tensor(images, name="image")], request_id="bad")
            result, error = ended.get(timeout=WAIT_S)
            assert result is None
            assert "image" in str(error)
        client.stop_stream()
    assert ended.empty()


def test_a_stream_answers_every_request_under_its_id(
    server: ServerProcess, images: Images, native: Native
) -> None:
    """Requests sent without waiting are each answered once, and the stream then ends."""
    ended: queue.SimpleQueue[Done] = queue.SimpleQueue()
    with connect(server) as client:
        client.start_stream(lambda result, error: ended.put((result, error)))
        for rows in range(1, 51):
            client.async_stream_infer(MODEL, [tensor(images[:rows])], request_id=str(rows))
        client.stop_stream()
    assert ended.qsize() == 50
    expected = native(images).probabilities
    seen = set()
    while not ended.empty():
        result, error = ended.get()
        assert error is None
        assert result is not None
        response = result.get_response()
        seen.add(response.id)
        assert response.parameters["triton_final_response"].bool_param
        got = result.as_numpy("probabilities")
        rows = min(int(response.id), len(images))
        np.testing.assert_allclose(got, expected[:rows], rtol=0, atol=1e-6)
    assert seen == {str(rows) for rows in range(1, 51)}


def test_an_error_in_a_stream_has_the_id_of_its_request(
    stub: service_pb2_grpc.GRPCInferenceServiceStub,
) -> None:
    """Whoever sent many can tell which was refused."""
    requests = [service_pb2.ModelInferRequest(model_name=MODEL, id=name) for name in ("a", "b")]
    answers = list(stub.ModelStreamInfer(iter(requests)))
    assert [answer.infer_response.id for answer in answers] == ["a", "b"]
    assert all("images" in answer.error_message for answer in answers)


def test_a_stream_in_asyncio_gets_the_same(
    server: ServerProcess, images: Images, native: Native
) -> None:
    """One answer for each request, the refused one's an error."""

    async def requests() -> AsyncIterator[dict[str, Any]]:
        """Two good ones around a bad one."""
        yield {"model_name": MODEL, "inputs": [tensor(images)], "request_id": "good"}
        yield {"model_name": "other", "inputs": [tensor(images)]}
        yield {"model_name": MODEL, "inputs": [tensor(images)], "model_version": "2"}

    async def call() -> list[Done]:
        """All that comes back."""
        async with aio.InferenceServerClient(server.address) as client:
            return [done async for done in client.stream_infer(requests())]

    answered = asyncio.run(call())
    errors = [error for _, error in answered if error is not None]
    results = [result for result, _ in answered if result is not None]
    assert len(errors) == 1
    assert "other" in str(errors[0])
    assert {result.get_response().model_version for result in results} == {"1", "2"}
    for result in results:
        check(result, native(images))


# What the server says of itself


def test_health_is_told(client: triton.InferenceServerClient) -> None:
    """Live, ready, and ready for a model by version and label; not for what is not there."""
    assert client.is_server_live()
    assert client.is_server_ready()
    for version in ("", "1", "2", "stable", "canary"):
        assert client.is_model_ready(MODEL, version)
    assert not client.is_model_ready("other")
    assert not client.is_model_ready(MODEL, "9")


def test_metadata_names_the_tensors(client: triton.InferenceServerClient) -> None:
    """The server's extensions, and the model's versions, input and outputs."""
    told = client.get_server_metadata(as_json=True)
    assert told["name"] == "flatdense"
    assert told["version"]
    assert set(told["extensions"]) == {
        "classification",
        "binary_tensor_data",
        "model_configuration",
        "model_repository",
        "statistics",
    }
    model = client.get_model_metadata(MODEL)
    assert (model.name, model.platform) == (MODEL, "tensorflow_savedmodel")
    assert model.versions == ["1", "2"]
    described = [(one.name, one.datatype, list(one.shape)) for one in model.inputs]
    assert described == [("images", "FP32", [-1, 784])]
    described = [(one.name, one.datatype, list(one.shape)) for one in model.outputs]
    assert described == [("probabilities", "FP32", [-1, 10]), ("classes", "INT64", [-1])]


def test_the_configuration_has_the_limits(
    client: triton.InferenceServerClient, server: ServerProcess
) -> None:
    """The most rows of a request, the tensors without the batch, and that there is batching."""
    config = client.get_model_config(MODEL).config
    with Client(server.address) as known:
        serving = known.model().serving
    assert config.name == MODEL
    assert config.max_batch_size == serving.max_request_rows
    assert config.HasField("dynamic_batching")
    (given,) = config.input
    assert (given.name, given.data_type) == ("images", model_config_pb2.TYPE_FP32)
    assert list(given.dims) == [784]
    probabilities, classes = config.output
    assert (probabilities.name, list(probabilities.dims)) == ("probabilities", [10])
    assert (classes.name, classes.data_type) == ("classes", model_config_pb2.TYPE_INT64)
    assert (list(classes.dims), list(classes.reshape.shape)) == ([1], [])


def test_statistics_count_calls_rows_and_batches(
    server: ServerProcess, client: triton.InferenceServerClient, images: Images
) -> None:
    """Calls over several connections, which several workers answer, add up, with their times."""
    before = settled_statistics(client)
    for _ in range(6):
        with connect(server) as other:
            other.infer(MODEL, [tensor(images)])
    calls = before.inference_stats.success.count + 6
    rows = before.inference_count + 6 * len(images)
    for _ in range(1000):  # a call, and then its batch, may be counted a moment after the answer
        after = statistics(client)
        if after.inference_stats.success.count >= calls and after.inference_count >= rows:
            break
    assert after.inference_stats.success.count == calls
    assert after.inference_count == rows
    assert before.execution_count < after.execution_count <= before.execution_count + 6
    assert after.inference_stats.fail.count == before.inference_stats.fail.count
    for stage in ("success", "queue", "compute_infer"):
        old, new = (getattr(told.inference_stats, stage) for told in (before, after))
        assert new.count > old.count
        assert new.ns > old.ns
    assert sum(batch.compute_infer.count for batch in after.batch_stats) == after.execution_count
    age_s = datetime.now(UTC).timestamp() - after.last_inference / 1000
    assert 0 <= age_s < WAIT_S


def statistics(
    client: triton.InferenceServerClient, version: str = "1"
) -> service_pb2.ModelStatistics:
    """The statistics of one version."""
    (told,) = client.get_inference_statistics(MODEL, version).model_stats
    assert (told.name, told.version) == (MODEL, version)
    return told


def settled_statistics(client: triton.InferenceServerClient) -> service_pb2.ModelStatistics:
    """The statistics when what earlier tests asked for is counted: two in turn are the same."""
    told, again = statistics(client), statistics(client)
    while told != again:
        told, again = again, statistics(client)
    return again


def test_statistics_of_all_versions_come_together(client: triton.InferenceServerClient) -> None:
    """Without a version, or without a model, those of every version; and as JSON."""
    for told in (
        client.get_inference_statistics(MODEL, as_json=True),
        client.get_inference_statistics(as_json=True),
    ):
        named = [(one["name"], one["version"]) for one in told["model_stats"]]
        assert named == [(MODEL, "1"), (MODEL, "2")]


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
        assert refused.value.status() == "StatusCode.PERMISSION_DENIED"
    assert client.is_model_ready(MODEL)


def test_an_open_repository_unloads_and_loads(controlled: ServerProcess) -> None:
    """Unloaded, the model is not ready at any worker; loaded, it answers as before at each."""
    with connect(controlled) as client:
        assert states(client) == {"1": "READY", "2": "READY"}
        before = client.infer(MODEL, [tensor(IMAGE)]).as_numpy("probabilities")
        client.unload_model(MODEL)
        assert set(states(client).values()) == {"UNAVAILABLE"}
        for _ in range(8):
            with connect(controlled) as other:
                assert other.is_server_live()
                assert not other.is_model_ready(MODEL)
                with pytest.raises(InferenceServerException) as refused:
                    other.infer(MODEL, [tensor(IMAGE)])
                assert refused.value.status() in {"StatusCode.UNAVAILABLE", "StatusCode.NOT_FOUND"}
        client.load_model(MODEL)
        assert states(client) == {"1": "READY", "2": "READY"}
        for _ in range(8):
            with connect(controlled) as other:
                assert other.is_model_ready(MODEL)
                after = other.infer(MODEL, [tensor(IMAGE)]).as_numpy("probabilities")
                np.testing.assert_array_equal(after, before)


def test_a_worker_that_is_replaced_stays_unloaded(controlled: ServerProcess) -> None:
    """One that ends while the model is unloaded does not bring it back."""
    with connect(controlled) as client:
        client.unload_model(MODEL)
        started = [event.get("event") for event in controlled.events].count("worker ready")
        os.kill(controlled.worker_pids[0], signal.SIGKILL)
        controlled.wait_for_many("worker ready", started + 1)
    for _ in range(8):
        with connect(controlled) as other:
            assert not other.is_model_ready(MODEL)
    with connect(controlled) as client:
        client.load_model(MODEL)
        assert client.is_model_ready(MODEL)


def test_an_open_repository_knows_its_model_alone(controlled: ServerProcess) -> None:
    """Another one can neither be loaded nor unloaded."""
    with connect(controlled) as client:
        for call in (client.load_model, client.unload_model):
            with pytest.raises(InferenceServerException, match="other") as refused:
                call("other")
            assert refused.value.status() == "StatusCode.NOT_FOUND"


def states(client: triton.InferenceServerClient) -> dict[str, str]:
    """The state of each version."""
    told = client.get_model_repository_index().models
    assert {model.name for model in told} == {MODEL}
    return {model.version: model.state for model in told}


# Refusals


NAN = np.full((2, 784), np.nan, np.float32)

BAD_INPUTS = {
    "a wrong shape": ([tensor(np.zeros((1, 783), np.uint8))], "784"),
    "a batch of nothing": ([tensor(np.zeros((0, 784), np.uint8))], "0"),
    "too many dimensions": ([tensor(np.zeros((1, 28, 28, 1), np.uint8))], "28"),
    "a wrong name": ([tensor(IMAGE, "image")], "image"),
    "a wrong type": ([tensor(IMAGE.astype(np.int8))], "INT8"),
    "text": ([tensor(np.full((1, 784), b"7", np.object_))], "BYTES"),
    "truth values": ([tensor(IMAGE.astype(bool))], "BOOL"),
    "two inputs": ([tensor(IMAGE), tensor(IMAGE, "more")], "images"),
    "no input": ([], "images"),
    "what is no number": ([tensor(NAN)], "(?i)nan|finite"),
    "more rows than allowed": ([tensor(np.zeros((1025, 784), np.uint8))], "1,?024"),
    "pixels beyond 255": ([tensor(IMAGE.astype(np.int32) + 256)], "255"),
}


@pytest.mark.parametrize("case", BAD_INPUTS)
def test_a_bad_input_is_refused_with_what_is_wrong(
    client: triton.InferenceServerClient, case: str
) -> None:
    """INVALID_ARGUMENT, and the sentence has what was wrong or what was expected."""
    inputs, said = BAD_INPUTS[case]
    with pytest.raises(InferenceServerException, match=said) as refused:
        client.infer(MODEL, inputs)
    assert refused.value.status() == "StatusCode.INVALID_ARGUMENT"


BAD_OPTIONS = {
    "an unknown output": ({"outputs": [triton.InferRequestedOutput("logits")]}, "logits"),
    "a priority": ({"priority": 1}, "priority"),
    "a sequence": ({"sequence_id": 5, "sequence_start": True}, "sequence"),
}


@pytest.mark.parametrize("case", BAD_OPTIONS)
def test_what_is_not_offered_is_refused_by_name(
    client: triton.InferenceServerClient, case: str
) -> None:
    """INVALID_ARGUMENT rather than an answer to something else."""
    options, said = BAD_OPTIONS[case]
    with pytest.raises(InferenceServerException, match=said) as refused:
        client.infer(MODEL, [tensor(IMAGE)], **options)
    assert refused.value.status() == "StatusCode.INVALID_ARGUMENT"


def test_shared_memory_is_refused(client: triton.InferenceServerClient) -> None:
    """Neither an input nor an output can be in it."""
    given = triton.InferInput("images", [1, 784], "UINT8").set_shared_memory("region", 784)
    output = triton.InferRequestedOutput("classes")
    output.set_shared_memory("region", 8)
    for inputs, outputs in (([given], None), ([tensor(IMAGE)], [output])):
        with pytest.raises(InferenceServerException, match="shared memory") as refused:
            client.infer(MODEL, inputs, outputs=outputs)
        assert refused.value.status() == "StatusCode.INVALID_ARGUMENT"


@pytest.mark.parametrize(
    ("model", "version", "said"),
    [("other", "", "mnist"), (MODEL, "9", "9"), (MODEL, "nightly", "nightly")],
)
def test_what_is_not_there_is_not_found(
    client: triton.InferenceServerClient, model: str, version: str, said: str
) -> None:
    """NOT_FOUND for a model, a version or a label, by every method that names one."""
    for call in (
        lambda: client.infer(model, [tensor(IMAGE)], model_version=version),
        lambda: client.get_model_metadata(model, version),
        lambda: client.get_model_config(model, version),
        lambda: client.get_inference_statistics(model, version),
    ):
        with pytest.raises(InferenceServerException, match=said) as refused:
            call()
        assert refused.value.status() == "StatusCode.NOT_FOUND"


@pytest.mark.parametrize("patience", [{"client_timeout": 1e-6}, {"timeout": 1}])
def test_a_call_that_is_late_is_not_answered(
    client: triton.InferenceServerClient, native: Native, patience: dict[str, float]
) -> None:
    """DEADLINE_EXCEEDED by gRPC's deadline and by Triton's parameter; with time, an answer."""
    many = tensor(np.zeros((1000, 784), np.float32))  # gRPC counts in milliseconds
    with pytest.raises(InferenceServerException) as refused:
        client.infer(MODEL, [many], **patience)
    assert refused.value.status() == "StatusCode.DEADLINE_EXCEEDED"
    enough = {name: 60 if name == "client_timeout" else 60_000_000 for name in patience}
    check(client.infer(MODEL, [tensor(IMAGE)], **enough), native(IMAGE))


def test_bytes_must_fit_the_shape(stub: service_pb2_grpc.GRPCInferenceServiceStub) -> None:
    """Raw contents shorter or longer than the shape says, or missing, or beside typed ones."""
    for contents in ([bytes(783)], [bytes(785)], [], [bytes(784)] * 2):
        request = service_pb2.ModelInferRequest(model_name=MODEL, raw_input_contents=contents)
        request.inputs.add(name="images", shape=[1, 784], datatype="UINT8")
        assert refusal(stub, request) is grpc.StatusCode.INVALID_ARGUMENT
    request = service_pb2.ModelInferRequest(model_name=MODEL, raw_input_contents=[bytes(784)])
    given = request.inputs.add(name="images", shape=[1, 784], datatype="UINT8")
    given.contents.uint_contents.extend([0] * 784)
    assert refusal(stub, request) is grpc.StatusCode.INVALID_ARGUMENT


def refusal(
    stub: service_pb2_grpc.GRPCInferenceServiceStub, request: service_pb2.ModelInferRequest
) -> grpc.StatusCode:
    """How a request is refused."""
    with pytest.raises(grpc.RpcError) as refused:
        stub.ModelInfer(request)
    code: grpc.StatusCode = refused.value.code()
    return code


def test_what_triton_has_and_this_has_not_is_unimplemented(
    client: triton.InferenceServerClient,
) -> None:
    """Trace, log and shared memory settings are no silent success."""
    for call in (
        client.get_trace_settings,
        client.get_log_settings,
        client.get_system_shared_memory_status,
    ):
        with pytest.raises(InferenceServerException) as refused:
            call()
        assert refused.value.status() == "StatusCode.UNIMPLEMENTED"
