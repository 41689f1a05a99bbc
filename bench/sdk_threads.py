"""The SDK for threads: calls one by one, of many threads at a time, and of one big array.

For sdk.py, which measures the SDK for asyncio and writes all of it.
"""

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import grpc
import numpy as np
import numpy.typing as npt
from flatdense_client import Client
from flatdense_client._channel.channel import Connector
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_proto.v1.classifier_pb2_grpc import ClassifierStub
from load import Request, calls_per_second, check_tool
from report import Rounds

ROUNDS = 5

LONE_CALLS = 1000
THREADS = 64
THREAD_CALLS = 60
"""Of each thread, one after another."""
BIG_ROWS = 60_000
H2LOAD = Request(256, pb.DATA_TYPE_UINT8)
H2LOAD_CALLS = 600

BARE = "the generated stub"
CLIENT = "Client"
COALESCED = "Client, coalesce=True"
H2LOAD_NAME = "h2load, 256 rows a request, 8 in flight"

Images = npt.NDArray[np.uint8]
Ask = Callable[[Images], object]


def one_by_one(address: str, image: Images) -> Rounds:
    """The median time of a call, in microseconds; the stub's channel has the SDK's options."""
    with ExitStack() as stack:
        channel = stack.enter_context(Connector(address).open(()))
        ways = {
            CLIENT: stack.enter_context(Client(address)).classify,
            COALESCED: stack.enter_context(Client(address, coalesce=True)).classify,
            BARE: by_stub(channel),
        }
        return in_turn({name: lambda ask=ask: p50_us(ask, image) for name, ask in ways.items()})


def by_stub(channel: grpc.Channel) -> Ask:
    """What a careful caller writes: the message, a deadline, and both arrays of the answer."""
    classify = ClassifierStub(channel).Classify

    def ask(image: Images) -> object:
        request = pb.ClassifyRequest(images=image.tobytes(), data_type=pb.DATA_TYPE_UINT8)
        answer = classify(request, timeout=10)
        return np.array(answer.classes), np.frombuffer(answer.probabilities, "<f4")

    return ask


def p50_us(ask: Ask, image: Images) -> float:
    """The median time of calls that have no company."""
    times_us = []
    for _ in range(LONE_CALLS):
        start_s = time.perf_counter()
        ask(image)
        times_us.append(1e6 * (time.perf_counter() - start_s))
    return statistics.median(times_us)


def many_threads(address: str, images: Images) -> Rounds:
    """Rows a second of threads that have one row and one call under way each."""
    with ExitStack() as stack:
        ways = {
            name: stack.enter_context(Client(address, coalesce=name == COALESCED)).classify
            for name in (COALESCED, CLIENT)
        }
        return in_turn({name: lambda ask=ask: rate(ask, images) for name, ask in ways.items()})


def rate(ask: Ask, images: Images) -> float:
    """Rows a second of all threads."""

    def calls(image: Images) -> None:
        for _ in range(THREAD_CALLS):
            ask(image)

    with ThreadPoolExecutor(THREADS) as pool:
        start_s = time.perf_counter()
        list(pool.map(calls, images[:THREADS]))
        return THREADS * THREAD_CALLS / (time.perf_counter() - start_s)


def big_array(address: str) -> Rounds:
    """Rows a second of one call with many images, and of h2load, which has no rows to make."""
    check_tool()
    images = np.random.default_rng(0).integers(0, 256, (BIG_ROWS, 784), np.uint8)

    def h2load() -> float:
        calls = calls_per_second(address, H2LOAD, in_flight=8, calls=H2LOAD_CALLS)
        return H2LOAD.rows * calls

    with Client(address, timeout_s=60) as client:

        def classify() -> float:
            start_s = time.perf_counter()
            client.classify(images)
            return BIG_ROWS / (time.perf_counter() - start_s)

        return in_turn({CLIENT: classify, H2LOAD_NAME: h2load})


def in_turn(ways: dict[str, Callable[[], float]]) -> Rounds:
    """What each way reaches in each round; one before them is not counted."""
    figures: Rounds = {name: [] for name in ways}
    for number in range(ROUNDS + 1):
        for name, measure in ways.items():
            figure = measure()
            if number:
                figures[name].append(figure)
    return figures
