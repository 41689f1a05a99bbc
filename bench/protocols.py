"""The other protocols' methods beside Classify: `python bench/protocols.py`.

The same images, 64 rows or single ones, 64 calls in flight or 8. Before anything is measured, every
method's probabilities must be those of Classify, bit for bit. Writes bench/results/protocols.json,
with the machine's description, and a decision record's table.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np
from flatdense_proto.twin import inference_pb2 as oip
from flatdense_proto.twin import tensorflow_pb2 as tf
from flatdense_proto.twin import tensorflow_serving_pb2 as tfs
from flatdense_proto.v1 import classifier_pb2 as pb
from load import METHOD, Post, Request, check_tool, frame, posts_per_second
from machine import describe_machine
from report import PROTOCOLS, PROTOCOLS_PAGE, UNARY, publish, render_protocols

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "examples"))

from server_process import ServerProcess  # noqa: E402 -- after the path that it is on

MODEL_INFER = "/inference.GRPCInferenceService/ModelInfer"
PREDICT = "/tensorflow.serving.PredictionService/Predict"
ROUNDS = 5


@dataclass(frozen=True)
class Case:
    """What is sent, so many at a time."""

    request: Request
    in_flight: int
    calls: int


CASES = {
    "1 row uint8": Case(Request(1, pb.DATA_TYPE_UINT8), 64, 24_000),
    "1 row float32": Case(Request(1, pb.DATA_TYPE_FP32), 64, 24_000),
    "64 rows uint8": Case(Request(64, pb.DATA_TYPE_UINT8), 8, 3_000),
    "64 rows float32": Case(Request(64, pb.DATA_TYPE_FP32), 8, 3_000),
}


def classify(request: Request) -> bytes:
    """A ClassifyRequest."""
    return request.message()


def infer_raw(request: Request) -> bytes:
    """A ModelInferRequest as tritonclient writes it."""
    message = oip.ModelInferRequest(model_name="mnist", inputs=[describe(request)])
    message.raw_input_contents.append(request.pixels().tobytes())
    return message.SerializeToString()


def infer_typed(request: Request) -> bytes:
    """A ModelInferRequest with its values one by one."""
    message = oip.ModelInferRequest(model_name="mnist", inputs=[describe(request)])
    contents = message.inputs[0].contents
    is_uint8 = request.data_type == pb.DATA_TYPE_UINT8
    values = contents.uint_contents if is_uint8 else contents.fp32_contents
    values.extend(request.pixels().ravel().tolist())
    return message.SerializeToString()


def predict_content(request: Request) -> bytes:
    """A PredictRequest as tf.make_tensor_proto writes it."""
    message = start_predict(request)
    message.inputs["images"].tensor_content = request.pixels().tobytes()
    return message.SerializeToString()


def predict_values(request: Request) -> bytes:
    """A PredictRequest with its values one by one."""
    message = start_predict(request)
    tensor = message.inputs["images"]
    is_uint8 = request.data_type == pb.DATA_TYPE_UINT8
    (tensor.int_val if is_uint8 else tensor.float_val).extend(request.pixels().ravel().tolist())
    return message.SerializeToString()


def describe(request: Request) -> oip.ModelInferRequest.InferInputTensor:
    """The input tensor, without its values."""
    datatype = "UINT8" if request.data_type == pb.DATA_TYPE_UINT8 else "FP32"
    return oip.ModelInferRequest.InferInputTensor(
        name="images", datatype=datatype, shape=[request.rows, 784]
    )


def start_predict(request: Request) -> tfs.PredictRequest:
    """A request without its values."""
    message = tfs.PredictRequest()
    message.model_spec.name = "mnist"
    tensor = message.inputs["images"]
    tensor.dtype = tf.DT_UINT8 if request.data_type == pb.DATA_TYPE_UINT8 else tf.DT_FLOAT
    tensor.tensor_shape.dim.extend(
        tf.TensorShapeProto.Dim(size=size) for size in (request.rows, 784)
    )
    return message


def read_classify(answer: bytes) -> bytes:
    """The probabilities."""
    return pb.ClassifyResponse.FromString(answer).probabilities


def read_infer(answer: bytes) -> bytes:
    """The probabilities, however they are written."""
    message = oip.ModelInferResponse.FromString(answer)
    if message.raw_output_contents:
        return message.raw_output_contents[0]
    return np.array(message.outputs[0].contents.fp32_contents, "<f4").tobytes()


def read_predict(answer: bytes) -> bytes:
    """The probabilities, however they are written."""
    tensor = tfs.PredictResponse.FromString(answer).outputs["probabilities"]
    return tensor.tensor_content or np.array(tensor.float_val, "<f4").tobytes()


@dataclass(frozen=True)
class Method:
    """One way to ask."""

    path: str
    write: Callable[[Request], bytes]
    read: Callable[[bytes], bytes]


METHODS = {
    UNARY: Method(METHOD, classify, read_classify),
    "ModelInfer, raw contents": Method(MODEL_INFER, infer_raw, read_infer),
    "ModelInfer, typed contents": Method(MODEL_INFER, infer_typed, read_infer),
    "Predict, `tensor_content`": Method(PREDICT, predict_content, read_predict),
    "Predict, `float_val`, `int_val`": Method(PREDICT, predict_values, read_predict),
}


def main() -> None:
    """Measures, writes, prints."""
    check_tool()
    figures: dict[str, dict[str, list[float]]] = {name: {} for name in CASES}
    with ServerProcess("--model-dir", str(ROOT / "exported_model"), "--workers", "1") as server:
        server.ready()
        posts = {
            (name, way): post
            for name, case in CASES.items()
            for way, post in checked(server.address, case.request).items()
        }
        for number in range(ROUNDS + 1):  # the first is not counted
            for (name, way), post in posts.items():
                case = CASES[name]
                calls_a_second = posts_per_second(post, in_flight=case.in_flight, calls=case.calls)
                if number:
                    figures[name].setdefault(way, []).append(calls_a_second)
    results = {"machine": describe_machine(), "figures": figures}
    section = render_protocols(results)
    publish(results, PROTOCOLS, PROTOCOLS_PAGE, section)
    print(section)


def checked(address: str, request: Request) -> dict[str, Post]:
    """What is posted by each method, whose answers agree with those of Classify."""
    posts, said = {}, {}
    with grpc.insecure_channel(address) as channel:
        for way, method in METHODS.items():
            message = method.write(request)
            answer = channel.unary_unary(method.path)(message)
            said[way] = method.read(answer)
            posts[way] = Post(
                url=f"http://{address}{method.path}",
                body=frame(message),
                answer_bytes=len(frame(answer)),
            )
    for way, probabilities in said.items():
        if probabilities != said[UNARY]:
            raise SystemExit(f"{way} does not say what {UNARY} says")
    return posts


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    main()
