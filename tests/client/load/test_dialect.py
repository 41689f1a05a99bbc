"""Requests and answers of the three protocols."""

from collections.abc import Callable
from contextlib import suppress

import grpc
import numpy as np
import numpy.typing as npt
import pytest
from flatdense_client._load.dialect import DIALECTS, Model, WrongAnswer
from flatdense_client._load.strokes import draw_strokes
from flatdense_proto.twin import inference_pb2 as oip
from flatdense_proto.twin import tensorflow_serving_pb2 as tfs
from flatdense_proto.v1 import classifier_pb2 as native
from hypothesis import given, settings
from hypothesis import strategies as st
from server_process import ServerProcess

Write = Callable[[npt.NDArray[np.float32], npt.NDArray[np.int64]], bytes]

EACH = pytest.mark.parametrize("name", list(DIALECTS))
ROWS = draw_strokes(3, seed=0)


def _native(probabilities: npt.NDArray[np.float32], classes: npt.NDArray[np.int64]) -> bytes:
    answer = native.ClassifyResponse(probabilities=probabilities.tobytes(), classes=classes)
    return answer.SerializeToString()


def _infer(probabilities: npt.NDArray[np.float32], classes: npt.NDArray[np.int64]) -> bytes:
    answer = oip.ModelInferResponse(
        raw_output_contents=[classes.tobytes(), probabilities.tobytes()]
    )
    answer.outputs.add(name="classes")
    answer.outputs.add(name="probabilities")
    return answer.SerializeToString()


def _infer_typed(probabilities: npt.NDArray[np.float32], classes: npt.NDArray[np.int64]) -> bytes:
    answer = oip.ModelInferResponse()
    output = answer.outputs.add(name="probabilities")
    output.contents.fp32_contents.extend(probabilities.ravel())
    answer.outputs.add(name="classes").contents.int64_contents.extend(classes)
    return answer.SerializeToString()


def _predict(probabilities: npt.NDArray[np.float32], classes: npt.NDArray[np.int64]) -> bytes:
    answer = tfs.PredictResponse()
    answer.outputs["probabilities"].tensor_content = probabilities.tobytes()
    answer.outputs["classes"].tensor_content = classes.tobytes()
    return answer.SerializeToString()


def _predict_typed(probabilities: npt.NDArray[np.float32], classes: npt.NDArray[np.int64]) -> bytes:
    answer = tfs.PredictResponse()
    answer.outputs["probabilities"].float_val.extend(probabilities.ravel())
    answer.outputs["classes"].int64_val.extend(classes)
    return answer.SerializeToString()


WRITERS: list[tuple[str, Write]] = [
    ("native", _native),
    ("oip", _infer),
    ("oip", _infer_typed),
    ("tfs", _predict),
    ("tfs", _predict_typed),
]


@pytest.mark.parametrize(("name", "write"), WRITERS)
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda _p, _c: None, ""),
        (lambda p, _c: p.__setitem__((1, 4), np.nan), "no finite number"),
        (lambda p, _c: p.__setitem__((2, 0), -np.inf), "no finite number"),
        (lambda _p, c: c.__setitem__(1, 10), "outside 0..9"),
        (lambda _p, c: c.__setitem__(0, -1), "outside 0..9"),
    ],
)
def test_answers_are_judged(
    name: str,
    write: Write,
    change: Callable[[npt.NDArray[np.float32], npt.NDArray[np.int64]], None],
    told: str,
) -> None:
    """A good answer passes in every form; one with a number or a class that is none does not."""
    probabilities, classes = np.full((3, 10), 0.1, "<f4"), np.array([0, 9, 5])
    change(probabilities, classes)
    answer = write(probabilities, classes)
    if not told:
        DIALECTS[name].check(answer, 3)
        return
    with pytest.raises(WrongAnswer, match=told):
        DIALECTS[name].check(answer, 3)


@pytest.mark.parametrize(("name", "write"), WRITERS)
@pytest.mark.parametrize(("rows", "classes"), [(2, 2), (3, 2), (2, 3), (0, 0)])
def test_answers_for_other_rows_are_wrong(name: str, write: Write, rows: int, classes: int) -> None:
    """An answer for fewer rows than were sent does not pass."""
    answer = write(np.full((rows, 10), 0.1, "<f4"), np.zeros(classes, np.int64))
    with pytest.raises(WrongAnswer):
        DIALECTS[name].check(answer, 3)


@EACH
@settings(deadline=None)
@given(answer=st.binary(max_size=200))
def test_any_bytes_are_judged(name: str, answer: bytes) -> None:
    """Whatever a server answers is good or wrong, and nothing else is raised."""
    with suppress(WrongAnswer):
        DIALECTS[name].check(answer, 3)


@pytest.mark.xdist_group("server")
@EACH
@pytest.mark.parametrize("dtype", ["u1", "<f4"])
def test_a_real_server_takes_each_dialect(server: ServerProcess, name: str, dtype: str) -> None:
    """The server answers a request of each protocol and type well, by the method's own path."""
    dialect = DIALECTS[name]
    rows = ROWS if dtype == "u1" else (ROWS / np.float32(255)).astype(dtype)
    with grpc.insecure_channel(server.address) as channel:
        ask = channel.unary_unary(dialect.method)
        dialect.check(ask(dialect.write(rows, Model(name="mnist", version=1)), timeout=60), 3)


@pytest.mark.xdist_group("server")
@EACH
@pytest.mark.parametrize(
    "model",
    [Model(name="nope"), Model(name="mnist", version=99), Model(name="mnist", label="canary")],
)
def test_the_model_is_part_of_the_request(server: ServerProcess, name: str, model: Model) -> None:
    """A name, version or label that the server has not is refused as NOT_FOUND by each protocol."""
    dialect = DIALECTS[name]
    with (
        grpc.insecure_channel(server.address) as channel,
        pytest.raises(grpc.RpcError) as raised,
    ):
        channel.unary_unary(dialect.method)(dialect.write(ROWS, model), timeout=60)
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND
