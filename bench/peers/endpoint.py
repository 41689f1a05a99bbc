"""Where a server listens, and in which protocol it is asked."""

import sys
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc
import numpy as np
from environment import Environment
from flatdense_proto.v1 import classifier_pb2 as pb

HERE: Final = Path(__file__).parent
sys.path.append(str(HERE.parent))

from load import METHOD, Post, frame  # noqa: E402 -- after the path that it is on

Pixels = np.ndarray
"""[N, 784]: uint8, or float32 from 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How pixels become a message, and an answer probabilities, [N, 10]."""

    path: str
    encode: Callable[[Pixels], bytes]
    decode: Callable[[bytes], np.ndarray]
    http1: bool = False


@dataclass(frozen=True)
class Endpoint:
    """A server's address, for one type of pixels."""

    address: str
    protocol: Protocol

    @property
    def url(self) -> str:
        """What is posted to."""
        return f"http://{self.address}{self.protocol.path}"

    def classify(self, pixels: Pixels) -> np.ndarray:
        """The answer, [N, 10]. Raises OSError where nobody listens."""
        return self.protocol.decode(self._call(self.protocol.encode(pixels)))

    def post(self, pixels: Pixels) -> Post:
        """What the load generator sends, with the length of the answer that was given now."""
        message = self.protocol.encode(pixels)
        answer = self._call(message)
        if self.protocol.http1:
            return Post(url=self.url, body=message, answer_bytes=len(answer), http1=True)
        return Post(url=self.url, body=frame(message), answer_bytes=len(frame(answer)))

    def _call(self, message: bytes) -> bytes:
        if self.protocol.http1:
            with urllib.request.urlopen(self.url, message) as answer:  # noqa: S310 -- our own
                return bytes(answer.read())
        with grpc.insecure_channel(self.address) as channel:
            try:
                return bytes(channel.unary_unary(self.protocol.path)(message, timeout=10))
            except grpc.RpcError as error:
                raise ConnectionError(str(error)) from error


def encode_native(pixels: Pixels) -> bytes:
    """A ClassifyRequest."""
    types = {"uint8": pb.DATA_TYPE_UINT8, "float32": pb.DATA_TYPE_FP32}
    return pb.ClassifyRequest(
        images=pixels.tobytes(), data_type=types[pixels.dtype.name]
    ).SerializeToString()


def decode_native(answer: bytes) -> np.ndarray:
    """Of a ClassifyResponse."""
    return decode_raw(pb.ClassifyResponse.FromString(answer).probabilities)


def decode_raw(answer: bytes) -> np.ndarray:
    """float32, row after row."""
    return np.frombuffer(answer, np.float32).reshape(-1, 10)


NATIVE: Final = Protocol(path=METHOD, encode=encode_native, decode=decode_native)
"""flatdense.v1."""

RAW: Final = Protocol(
    path="/inference", encode=lambda pixels: pixels.tobytes(), decode=decode_raw, http1=True
)
"""Over HTTP/1, the pixels alone are the body."""


def open_inference(environments: Path, model: str) -> Protocol:
    """The Open Inference Protocol, by the stubs of tritonclient in an environment of their own."""
    script = HERE / "open_inference.py"
    environment = Environment(environments / "open-inference").install("tritonclient[grpc]")
    types = {"uint8": "UINT8", "float32": "FP32"}
    return Protocol(
        path="/inference.GRPCInferenceService/ModelInfer",
        encode=lambda pixels: environment.ask(
            script, "encode", model, types[pixels.dtype.name], given=pixels.tobytes()
        ),
        decode=lambda answer: decode_raw(environment.ask(script, "decode", given=answer)),
    )
