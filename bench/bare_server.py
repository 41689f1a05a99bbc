"""The limit to compare with: grpcio's threads and a fixed answer, no model at all."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
from flatdense_proto.v1 import classifier_pb2 as pb

ANSWER = pb.ClassifyResponse(probabilities=bytes(40), classes=[7]).SerializeToString()


def main() -> None:
    """Serves until standard input ends; prints its port first."""
    handler = grpc.unary_unary_rpc_method_handler(lambda _request, _context: ANSWER)
    methods = {"Classify": handler}
    server = grpc.server(ThreadPoolExecutor(256))
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("flatdense.v1.Classifier", methods),)
    )
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    threading.Thread(target=sys.stdin.read).run()
    server.stop(None).wait()


if __name__ == "__main__":
    main()
