"""REST against a running server: the native answer bit for bit, and whatever strangers send."""

import base64
import gzip
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import httpx
import numpy as np
import numpy.typing as npt
import pytest
import schemathesis
from flatdense_client import Client, Predictions
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import checks
from server_process import ServerProcess

pytestmark = pytest.mark.xdist_group("rest")

Images: TypeAlias = npt.NDArray[np.uint8 | np.float32]
Native: TypeAlias = Callable[[Images], Predictions]

INFER = "/v2/models/mnist/infer"
PREDICT = "/v1/models/mnist:predict"
CLASSIFY = "/v1/models/mnist:classify"

MAX_ROWS = 256

PIXELS = np.random.default_rng(4).integers(0, 256, (3, 784), dtype=np.uint8)
INK = (PIXELS / np.float32(255)).astype(np.float32)

SEVERAL = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def server(exported_model: Path, compiled: Path) -> Iterator[ServerProcess]:  # noqa: ARG001
    """Two workers; in the end no request left a traceback in the log."""
    options = ("--model-dir", str(exported_model), "--engine", "aot", "--workers", "2")
    with ServerProcess(*options, "--max-request-rows", str(MAX_ROWS)) as process:
        process.ready()
        yield process
        assert process.stop() == 0
        assert not any("Traceback" in str(event) for event in process.events)


@pytest.fixture(scope="module")
def native(server: ServerProcess) -> Iterator[Native]:
    """What the native protocol answers."""
    with Client(server.address) as client:
        yield client.classify


@pytest.fixture(scope="module")
def rest(server: ServerProcess) -> Iterator[httpx.Client]:
    """A caller of REST."""
    with httpx.Client(base_url=server.page, timeout=60) as client:
        yield client


@pytest.fixture
def _next_call_works(rest: httpx.Client, native: Native) -> Iterator[None]:
    """Whatever the test sent, the next call is answered as before."""
    yield
    check(ask_flat(rest, PIXELS), native(PIXELS))


def question(images: Images, data: object = None) -> dict[str, Any]:
    """An infer request with its values in JSON."""
    kind = "UINT8" if images.dtype == np.uint8 else "FP32"
    described = {"name": "images", "datatype": kind, "shape": list(images.shape)}
    return {"inputs": [{**described, "data": images.tolist() if data is None else data}]}


def binary_question(images: Images, **more: object) -> tuple[bytes, dict[str, str]]:
    """An infer request with its values behind the JSON: the body, and its header."""
    body = {**question(images, []), **more}
    del body["inputs"][0]["data"]
    body["inputs"][0]["parameters"] = {"binary_data_size": images.nbytes}
    document = json.dumps(body).encode()
    return document + images.tobytes(), {"Inference-Header-Content-Length": str(len(document))}


def read_tensors(answer: httpx.Response) -> tuple[object, object]:
    """The outputs of an infer that was answered in JSON."""
    assert answer.status_code == 200, answer.text
    outputs = {output["name"]: output["data"] for output in answer.json()["outputs"]}
    return np.array(outputs["probabilities"], np.float32).reshape(-1, 10), outputs["classes"]


def read_rows(answer: httpx.Response) -> tuple[object, object]:
    """The outputs of a predict of rows."""
    assert answer.status_code == 200, answer.text
    rows = answer.json()["predictions"]
    return [row["probabilities"] for row in rows], [row["classes"] for row in rows]


def read_columns(answer: httpx.Response) -> tuple[object, object]:
    """The outputs of a predict of columns."""
    assert answer.status_code == 200, answer.text
    outputs = answer.json()["outputs"]
    return outputs["probabilities"], outputs["classes"]


def check(got: tuple[object, object], expected: Predictions) -> None:
    """An answer has the bits of the native one."""
    np.testing.assert_array_equal(np.array(got[0], np.float32), expected.probabilities)
    np.testing.assert_array_equal(np.array(got[1], np.int64), expected.classes)


# Every form of a request


def ask_flat(rest: httpx.Client, images: Images) -> tuple[object, object]:
    """OIP, a flat list."""
    return read_tensors(rest.post(INFER, json=question(images, images.ravel().tolist())))


def ask_nested(rest: httpx.Client, images: Images) -> tuple[object, object]:
    """OIP, nested as pictures are."""
    return read_tensors(rest.post(INFER, json=question(images.reshape(-1, 28, 28))))


def ask_zipped(rest: httpx.Client, images: Images) -> tuple[object, object]:
    """OIP, gzip in both directions."""
    body = gzip.compress(json.dumps(question(images)).encode())
    headers = {"content-encoding": "gzip", "accept-encoding": "gzip"}
    answer = rest.post(INFER, content=body, headers=headers)
    assert answer.headers["content-encoding"] == "gzip"
    return read_tensors(answer)


def ask_binary(rest: httpx.Client, images: Images) -> tuple[object, object]:
    """OIP, binary in both directions."""
    body, headers = binary_question(images, parameters={"binary_data_output": True})
    answer = rest.post(INFER, content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    length = int(answer.headers["inference-header-content-length"])
    outputs = json.loads(answer.content[:length])["outputs"]
    sizes = [output["parameters"]["binary_data_size"] for output in outputs]
    assert [output["name"] for output in outputs] == ["probabilities", "classes"]
    assert length + sum(sizes) == len(answer.content)
    raw = answer.content[length:]
    probabilities = np.frombuffer(raw[: sizes[0]], np.float32).reshape(-1, 10)
    return probabilities, np.frombuffer(raw[sizes[0] :], np.int64)


def signature(images: Images) -> str:
    """The one that takes values of this type."""
    return "serving_uint8" if images.dtype == np.uint8 else "serving_default"


def ask_rows(rest: httpx.Client, images: Images) -> tuple[object, object]:
    """TensorFlow Serving, rows."""
    body = {"signature_name": signature(images), "instances": images.tolist()}
    return read_rows(rest.post(PREDICT, json=body))


def ask_named_rows(rest: httpx.Client, images: Images) -> tuple[object, object]:
    """TensorFlow Serving, rows by name, on another version's path."""
    rows = [{"images": row} for row in images.tolist()]
    body = {"signature_name": signature(images), "instances": rows}
    return read_rows(rest.post("/v1/models/mnist/versions/1:predict", json=body))


def ask_columns(rest: httpx.Client, images: Images) -> tuple[object, object]:
    """TensorFlow Serving, columns."""
    body = {"signature_name": signature(images), "inputs": {"images": images.tolist()}}
    return read_columns(rest.post(PREDICT, json=body))


FORMS = [ask_flat, ask_nested, ask_zipped, ask_binary, ask_rows, ask_named_rows, ask_columns]


@pytest.mark.parametrize("ask", FORMS, ids=lambda ask: ask.__name__)
@pytest.mark.parametrize("rows", [1, 3, MAX_ROWS])
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_every_form_gets_the_native_answer(
    rest: httpx.Client,
    native: Native,
    ask: Callable[..., tuple[object, object]],
    rows: int,
    kind: type[np.uint8 | np.float32],
) -> None:
    """Bit for bit, from one row to the biggest request."""
    generator = np.random.default_rng(rows)
    images: Images = generator.integers(0, 256, (rows, 784), dtype=np.uint8)
    if kind is np.float32:
        images = generator.random((rows, 784), np.float32)
    check(ask(rest, images), native(images))


def test_examples_get_the_native_scores(rest: httpx.Client, native: Native) -> None:
    """As floats, as integers and as bytes; every class in its order."""
    encoded = [{"b64": base64.b64encode(row.tobytes()).decode()} for row in PIXELS]
    for values, images in ((INK.tolist(), INK), (PIXELS.tolist(), PIXELS), (encoded, PIXELS)):
        answer = rest.post(CLASSIFY, json={"examples": [{"images": value} for value in values]})
        assert answer.status_code == 200, answer.text
        expected = native(images)
        results = answer.json()["results"]
        scores = [[score for _, score in row] for row in results]
        np.testing.assert_array_equal(np.array(scores, np.float32), expected.probabilities)
        assert [label for label, _ in results[0]] == [*expected[0].class_names]


def test_curl_needs_no_header(server: ServerProcess, native: Native) -> None:
    """As TensorFlow Serving's own page types it: curl then calls the body a form."""
    curl = shutil.which("curl")
    if not curl:
        pytest.skip("no curl: apt-get install curl")
    body = json.dumps({"signature_name": "serving_uint8", "instances": PIXELS.tolist()})
    done = subprocess.run(
        [curl, "--silent", "--fail", "-d", "@-", f"{server.page}v1/models/mnist:predict"],
        input=body.encode(),
        capture_output=True,
        check=True,
        timeout=60,
    )
    rows = json.loads(done.stdout)["predictions"]
    check(
        ([row["probabilities"] for row in rows], [row["classes"] for row in rows]), native(PIXELS)
    )


def test_callers_at_the_same_time_get_their_own_answers(rest: httpx.Client, native: Native) -> None:
    """Each its own rows, whatever the others send."""
    generator = np.random.default_rng(9)
    asked = [
        generator.integers(0, 256, (rows, 784), dtype=np.uint8)
        for rows in generator.integers(1, 9, 48)
    ]
    with ThreadPoolExecutor(16) as callers:
        answers = [*callers.map(lambda images: ask_flat(rest, images), asked)]
    for images, (probabilities, _) in zip(asked, answers, strict=True):
        # Calls that are under way together share a batch: another batch may sum otherwise.
        expected = native(images).probabilities
        np.testing.assert_allclose(np.array(probabilities), expected, rtol=0, atol=1e-6)


def test_a_worker_that_is_killed_costs_no_call(exported_model: Path, compiled: Path) -> None:  # noqa: ARG001
    """Those that it had go to the other one: each of the calls meanwhile is answered."""
    options = ("--model-dir", str(exported_model), "--engine", "aot", "--workers", "2")
    with (
        ServerProcess(*options) as server,
        httpx.Client(base_url=server.page, timeout=60) as client,
        ThreadPoolExecutor(4) as callers,
    ):
        server.ready()
        calls = [callers.submit(ask_binary, client, PIXELS) for _ in range(400)]
        calls[100].result()
        os.kill(server.worker_pids[0], signal.SIGKILL)
        for call in calls:
            call.result()
        server.wait_for("worker ended")


# Whatever strangers send

GIVEN = question(PIXELS)["inputs"][0]
HUGE = (1 << 63) - 1
TINY = -(1 << 63)


def changed(**fields: object) -> dict[str, Any]:
    """An infer request whose one input is changed."""
    return {"inputs": [{**GIVEN, **fields}]}


FLAT = PIXELS.ravel().tolist()

BAD = {
    "a negative dimension": (INFER, changed(shape=[-1, 784], data=FLAT), "-1"),
    "the smallest dimension": (INFER, changed(shape=[TINY, 784], data=FLAT), str(TINY)),
    "a huge dimension": (INFER, changed(shape=[HUGE, 784], data=FLAT), str(HUGE)),
    "huge dimensions": (INFER, changed(shape=[HUGE, HUGE], data=FLAT), str(HUGE)),
    "dimensions whose product wraps": (
        INFER,
        changed(shape=[1 << 32] * 2, data=FLAT),
        "4294967296",
    ),
    "a dimension beyond 64 bits": (INFER, changed(shape=[HUGE + 1, 784], data=FLAT), "64 bits"),
    "no dimension": (INFER, changed(shape=[], data=FLAT), "784"),
    "no rows": (INFER, changed(shape=[0, 784], data=FLAT), "0"),
    "short rows": (INFER, changed(shape=[3, 783], data=FLAT[:-3]), "783"),
    "too few values": (INFER, changed(data=FLAT[:-1]), "2351"),
    "another name": (INFER, changed(name="image"), "image"),
    "another type": (INFER, changed(datatype="UINT16"), "UINT16"),
    "text": (INFER, changed(datatype="BYTES"), "BYTES"),
    "no input": (INFER, {"inputs": []}, "images"),
    "an unknown output": (
        INFER,
        {**question(PIXELS), "outputs": [{"name": "logits"}]},
        "logits",
    ),
    "a NaN": (INFER, b'{"inputs": [{"data": [NaN]}]}', "expected JSON"),
    "an infinity": (PREDICT, b'{"instances": [[Infinity]]}', "expected JSON"),
    "a number beyond a float": (PREDICT, {"instances": [[1e39] + [0] * 783]}, "float32"),
    "a number beyond a double": (PREDICT, b'{"instances": [[1e999]]}', "64 bits"),
    "a number beyond what is sane": (PREDICT, {"instances": [[1e30] + [0] * 783]}, "value 0"),
    "short rows of rows": (PREDICT, {"instances": [[0] * 783]}, "783"),
    "one dimension": (PREDICT, {"instances": [0] * 784}, "784"),
    "an unknown input": (PREDICT, {"inputs": {"image": [[0] * 784]}}, "image"),
    "an unknown signature": (
        PREDICT,
        {"instances": [[0] * 784], "signature_name": "logits"},
        "logits",
    ),
    "an example without a feature": (CLASSIFY, {"examples": [{}]}, "images"),
    "no example": (CLASSIFY, {"examples": []}, ""),
    "a short example": (CLASSIFY, {"examples": [{"images": [0] * 783}]}, "783"),
    "a row too many": (PREDICT, {"instances": [[0] * 784] * (MAX_ROWS + 1)}, str(MAX_ROWS)),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.usefixtures("_next_call_works")
def test_a_bad_request_is_refused_by_name(rest: httpx.Client, case: str) -> None:
    """400, and a sentence with what was expected or what came."""
    path, body, said = BAD[case]
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = rest.post(path, content=content)
    assert answer.status_code == 400, answer.text
    assert answer.json().keys() == {"error"}
    assert said in answer.json()["error"]


@pytest.mark.parametrize(
    ("path", "available"),
    [
        ("/v2/models/other/infer", "mnist"),
        ("/v2/models/mnist/versions/9/infer", "1"),
        ("/v2/models/mnist/versions/nightly/infer", "nightly"),
        ("/v1/models/other:predict", "mnist"),
        ("/v1/models/mnist/versions/9:predict", "1"),
        ("/v1/models/mnist/labels/nightly:predict", "nightly"),
    ],
)
def test_what_is_not_there_is_named(rest: httpx.Client, path: str, available: str) -> None:
    """404, and the sentence says what there is, or what there is not."""
    body = question(PIXELS) if "v2" in path else {"instances": INK.tolist()}
    answer = rest.post(path, json=body)
    assert answer.status_code == 404, answer.text
    assert available in answer.json()["error"]


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.usefixtures("_next_call_works")
def test_a_bomb_is_refused(rest: httpx.Client, encoding: str) -> None:
    """413, whether it is a value, a list or nothing at all that goes on without an end."""
    pack = gzip.compress if encoding == "gzip" else zlib.compress
    for filling in (b" ", b"0,", b"[", b"[],", b'"'):
        bomb = pack(b'{"instances": [' + filling * ((64 << 20) // len(filling)))
        answer = rest.post(PREDICT, content=bomb, headers={"content-encoding": encoding})
        assert answer.status_code == 413, answer.text
        assert "expected at most" in answer.json()["error"]


@pytest.mark.parametrize("path", [INFER, PREDICT, CLASSIFY])
@pytest.mark.usefixtures("_next_call_works")
def test_deep_json_is_refused(rest: httpx.Client, path: str) -> None:
    """400, on each path and under each name."""
    for field in ("inputs", "instances", "examples", "parameters", "x"):
        for opening, closing in (("[", "]"), ('{"a":', "}")):
            deep = opening * 50_000 + "1" + closing * 50_000
            answer = rest.post(path, content=f'{{"{field}": {deep}}}')
            assert answer.status_code == 400, answer.text


@pytest.mark.usefixtures("_next_call_works")
def test_a_body_beyond_the_limit_is_refused(rest: httpx.Client) -> None:
    """413, whether it says its length or comes in chunks."""
    huge = b" " * (32 << 20)
    for content in (huge, iter([huge])):
        answer = rest.post(PREDICT, content=content)
        assert answer.status_code == 413
        assert "expected at most" in answer.json()["error"]


@pytest.mark.usefixtures("_next_call_works")
def test_a_length_without_a_body_takes_nothing(server: ServerProcess) -> None:
    """A caller that announces much and goes away is forgotten."""
    where = urlsplit(server.page)
    head = b"POST /v1/models/mnist:predict HTTP/1.1\r\nhost: x\r\ncontent-length: 6000000\r\n\r\n{"
    for _ in range(20):
        with socket.create_connection((where.hostname, where.port), timeout=30) as caller:
            caller.sendall(head)


@SEVERAL
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"]),
    path=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30),
    root=st.sampled_from(["/", "/v1/models/", "/v2/models/mnist/", "/v2/repository/"]),
    body=st.binary(max_size=100),
)
def test_random_paths_are_never_a_fault(
    server: ServerProcess, method: str, path: str, root: str, body: bytes
) -> None:
    """Whatever is asked for, and however."""
    where = urlsplit(server.page)
    caller = http.client.HTTPConnection(str(where.hostname), where.port, timeout=30)
    try:
        caller.request(method, root + path, body)
        assert caller.getresponse().status < 500
    finally:
        caller.close()


# The description

checks.load_all_checks()

NOT_SAID: list[Any] = [
    # That a shape agrees with the values is beyond JSON Schema.
    checks.CHECKS.get_one("positive_data_acceptance"),
]


@pytest.fixture(scope="module")
def description(server: ServerProcess) -> Any:  # noqa: ANN401 -- schemathesis's own
    """What is served at /openapi.json."""
    return schemathesis.openapi.from_url(f"{server.page}openapi.json")


described = schemathesis.pytest.from_fixture("description")


@described.parametrize()
@settings(max_examples=15, deadline=None, suppress_health_check=[*HealthCheck])
def test_what_the_description_allows_is_answered_as_it_says(case: schemathesis.Case) -> None:
    """No 5xx; and statuses, types and bodies are those described.

    As schemathesis makes it, and again for the model that there is.
    """
    case.call_and_validate(excluded_checks=NOT_SAID)
    known = {"model": "mnist", "version": "1"}
    case.path_parameters = {
        name: known.get(name, value) for name, value in (case.path_parameters or {}).items()
    }
    answer = case.call()
    assert answer.status_code < 500
