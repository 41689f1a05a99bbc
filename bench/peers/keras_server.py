"""What most people write first: grpcio's threads, and a Keras model called for each request.

Arguments: the version's folder. Prints its port. Ends with standard input.
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # noqa: TID251 -- TensorFlow's own

import grpc
import keras
import numpy as np
from flatdense_proto.v1 import classifier_pb2 as pb
from safetensors.numpy import load_file


def main(folder: Path) -> None:
    """Serves until standard input ends."""
    layers = [
        keras.Input((784,)),
        keras.layers.Dense(256, "relu"),
        keras.layers.Dense(10, "softmax"),
    ]
    model = keras.Sequential(layers)
    weights = load_file(folder / "weights.safetensors")
    names = ("hidden/kernel", "hidden/bias", "output/kernel", "output/bias")
    model.set_weights([weights[name] for name in names])

    def classify(
        request: pb.ClassifyRequest, _context: grpc.ServicerContext
    ) -> pb.ClassifyResponse:
        pixels = np.frombuffer(request.images, np.uint8).reshape(-1, 784) / np.float32(255)
        probabilities = np.asarray(model(pixels, training=False))
        return pb.ClassifyResponse(
            probabilities=probabilities.tobytes(), classes=probabilities.argmax(axis=1).tolist()
        )

    handler = grpc.unary_unary_rpc_method_handler(
        classify, pb.ClassifyRequest.FromString, pb.ClassifyResponse.SerializeToString
    )
    server = grpc.server(ThreadPoolExecutor(64))
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("flatdense.v1.Classifier", {"Classify": handler}),)
    )
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    sys.stdin.read()
    server.stop(None).wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
