"""The limit of grpcio's bindings: the express lane with a fixed answer, and no model at all.

Between the first call and the others it sleeps, so that they come together as they do where there
is arithmetic: else it would answer each alone, and most of its time would go into waking up.
"""

import gc
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from flatdense_server.settings import choose_grpc_listener

choose_grpc_listener()

import grpc  # noqa: E402 -- after the choice, which is too late otherwise
from flatdense_proto.v1 import classifier_pb2 as pb  # noqa: E402
from flatdense_server.edge.express import AT_MOST_EVENTS, WAIT_S  # noqa: E402
from flatdense_server.edge.lane import Lane  # noqa: E402
from flatdense_server.edge.server import WINDOW_BYTES  # noqa: E402

ANSWER = pb.ClassifyResponse(probabilities=bytes(40), classes=[7]).SerializeToString()
OPTIONS = [
    ("grpc.max_receive_message_length", 1 << 22),
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", WINDOW_BYTES),
]
BATCH_S = 0.0005


def main() -> None:
    """Serves until standard input ends; prints its port first."""
    server = grpc.server(ThreadPoolExecutor(1), options=OPTIONS)
    lane = Lane(server, ["flatdense.v1.Classifier/Classify"])
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    lane.open()
    gc.freeze()
    gc.set_threshold(50_000, 20, 1000)  # as a worker does
    threading.Thread(target=answer, args=(lane,), daemon=True).start()
    sys.stdin.read()
    server.stop(None).wait()


def answer(lane: Lane) -> None:
    """The same to every call, in batches."""
    while True:
        calls, _more = lane.take(wait_s=WAIT_S, at_most_events=AT_MOST_EVENTS)
        time.sleep(BATCH_S)
        more = True
        while more:
            others, more = lane.take(wait_s=0, at_most_events=AT_MOST_EVENTS)
            calls += others
        for call in calls:
            call.answer(ANSWER)


if __name__ == "__main__":
    main()
