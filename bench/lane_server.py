"""The limit of grpcio's bindings: the express lane with a fixed answer, and no model at all."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from flatdense_server.settings import choose_grpc_listener

choose_grpc_listener()

import grpc  # noqa: E402 -- after the choice, which is too late otherwise
from flatdense_proto.v1 import classifier_pb2 as pb  # noqa: E402
from flatdense_server.edge.express import AT_MOST_EVENTS, WAIT_S  # noqa: E402
from flatdense_server.edge.lane import Lane  # noqa: E402

ANSWER = pb.ClassifyResponse(probabilities=bytes(40), classes=[7]).SerializeToString()
MOST_BYTES = 1 << 22


def main() -> None:
    """Serves until standard input ends; prints its port first."""
    server = grpc.server(
        ThreadPoolExecutor(1), options=[("grpc.max_receive_message_length", MOST_BYTES)]
    )
    lane = Lane(server, ["flatdense.v1.Classifier/Classify"])
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    lane.open()
    threading.Thread(target=answer, args=(lane,), daemon=True).start()
    sys.stdin.read()
    server.stop(None).wait()


def answer(lane: Lane) -> None:
    """The same to every call, as soon as it is there."""
    while True:
        for call in lane.take(wait_s=WAIT_S, at_most_events=AT_MOST_EVENTS)[0]:
            call.answer(ANSWER)


if __name__ == "__main__":
    main()
