"""The generator against real servers."""

import asyncio
import dataclasses
import math
import threading
import time
from collections import Counter
from collections.abc import Callable

import grpc
import numpy as np
import pytest
from flatdense_client import InvalidInput, NotFound, ServerError, Unavailable
from flatdense_client._load.dialect import DIALECTS, Model
from flatdense_client._load.generator import Generator, run_on_precise_loop
from flatdense_client._load.plan import ClosedLoop, OpenLoop, Plan
from flatdense_client._load.recording import Recording
from flatdense_client._load.strokes import draw_strokes
from flatdense_client._load.verdict import judge
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_proto.v1.classifier_pb2_grpc import ClassifierServicer

Serve = Callable[[ClassifierServicer], str]
Answer = Callable[[grpc.ServicerContext], pb.ClassifyResponse]

GOOD = pb.ClassifyResponse(
    probabilities=np.full((2, 10), 0.1, "<f4").tobytes(), classes=[3, 9], model_version=1
)
STALL_S = 0.6


class Servicer(ClassifierServicer):
    """Answers the first call, by which connections are tried, well, and others by a function."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._tried = threading.Lock()

    def Classify(  # noqa: N802  # gRPC's name
        self, request: pb.ClassifyRequest, context: grpc.ServicerContext
    ) -> pb.ClassifyResponse:
        """One unary call."""
        del request
        if self._tried.acquire(blocking=False):
            return GOOD
        return self._answer(context)


class Stalls:
    """Answers at once, but once nothing at all for a while, as a server that collects garbage."""

    def __init__(self, after_calls: int) -> None:
        self._left = after_calls
        self._lock = threading.Lock()

    def __call__(self, _context: grpc.ServicerContext) -> pb.ClassifyResponse:
        """One answer."""
        with self._lock:
            self._left -= 1
            if self._left == 0:
                time.sleep(STALL_S)
        return GOOD


def _plan(address: str, **changes: object) -> Plan:
    """Two rows a message; one connection, no warm-up, and as many calls as `changes` say."""
    write = DIALECTS["native"].write
    plan = Plan(
        address=address,
        protocol="native",
        messages=[write(draw_strokes(2, seed), Model(name="mnist")) for seed in range(3)],
        rows=2,
        loop=ClosedLoop(concurrency=1),
        duration_s=60.0,
        warmup_s=0.0,
        timeout_s=30.0,
        connections=1,
    )
    return dataclasses.replace(plan, **changes)  # type: ignore[arg-type]


def _open(rate: float) -> OpenLoop:
    return OpenLoop(rate=rate, arrivals="constant")


def _run(plan: Plan, stop_on: threading.Event | None = None) -> Recording:
    async def run() -> Recording:
        async with Generator(plan) as generator:
            await generator.connect()
            running = asyncio.create_task(generator.run())
            if stop_on is not None:
                await asyncio.to_thread(stop_on.wait, 60)
                generator.stop()
            return await running

    return run_on_precise_loop(run())


@pytest.mark.parametrize("concurrency", [1, 5])
def test_a_closed_loop_counts_its_calls(
    address: str, seen_rows: list[int], concurrency: int
) -> None:
    """A closed loop makes as many calls as may be counted, and each is in the recording."""
    loop = ClosedLoop(concurrency=concurrency)
    recording = _run(_plan(address, loop=loop, max_calls=40))
    assert recording.answered == 40
    assert recording.failures == ()
    assert len(recording.latency_s) == len(recording.service_s) == 40
    assert recording.latency_s.min() > 0
    assert recording.took_s >= recording.latency_s.max()
    assert not recording.is_cut
    assert seen_rows == [2] * 41  # and one by which the connection was made


def test_an_open_loop_makes_every_call_that_is_due(address: str, seen_rows: list[int]) -> None:
    """Each call of an open loop is sent, those of the warm-up are not counted."""
    plan = _plan(address, loop=_open(100), duration_s=0.3, warmup_s=0.1, connections=2)
    recording = _run(plan)
    assert recording.answered == recording.calls == 30
    assert len(recording.lateness_s) == 30
    assert (recording.latency_s >= recording.service_s).all()
    assert recording.took_s >= 0.3
    assert 32 <= len(seen_rows) <= 42  # a warm-up may end before all of its calls are sent


def test_a_stall_is_charged_for_every_call_that_was_due(serve: Serve) -> None:
    """A server's stall shows in an open loop's percentiles, and not in a closed loop's."""
    open_loop = _run(
        _plan(serve(Servicer(Stalls(20))), loop=_open(100), duration_s=1.2, max_under_way=1)
    )
    assert open_loop.answered == 120
    assert open_loop.held_back > 0
    # Half of the calls were due while the server stood still or before it had caught up.
    assert np.quantile(open_loop.latency_s, 0.85) > STALL_S / 3
    # One alone was under way, so that no other one's service time knows of it.
    assert np.quantile(open_loop.service_s, 0.85) < STALL_S / 3

    closed_loop = _run(_plan(serve(Servicer(Stalls(20))), max_calls=120))
    assert closed_loop.answered == 120
    assert closed_loop.service_s.max() >= STALL_S
    assert np.quantile(closed_loop.service_s, 0.85) < STALL_S / 3


def test_held_back_calls_are_not_the_generators_lateness(serve: Serve) -> None:
    """Calls that wait for others to end are late, and the generator is not blamed for it."""
    stalls = serve(Servicer(Stalls(5)))
    recording = _run(_plan(stalls, loop=_open(50), duration_s=1.0, max_under_way=1))
    waited_s = recording.latency_s - recording.service_s
    assert waited_s.max() > STALL_S / 2
    assert np.quantile(recording.lateness_s, 0.9) < STALL_S / 2


def test_calls_that_were_not_sent_count(serve: Serve) -> None:
    """What is due and never sent is a failure of its own, with the time that it waited."""

    def wait(context: grpc.ServicerContext) -> pb.ClassifyResponse:
        """Until the call is given up."""
        ended = threading.Event()
        context.add_callback(ended.set)
        ended.wait(60)
        return GOOD

    plan = _plan(
        serve(Servicer(wait)),
        loop=_open(100),
        duration_s=0.2,
        timeout_s=0.4,
        max_under_way=1,
    )
    recording = _run(plan)
    calls: Counter[str] = Counter()
    for failure in recording.failures:
        calls[failure.code] += failure.calls
    assert set(calls) == {"DEADLINE_EXCEEDED", "NOT_SENT"}
    assert recording.calls == len(recording.latency_s) == 20
    assert len(recording.service_s) == calls["DEADLINE_EXCEEDED"]
    assert recording.answered == 0
    verdict = judge(plan, recording)
    assert verdict.calls_per_s == 0
    assert verdict.latency is not None
    assert verdict.latency.percentiles["p50"] > 0.4


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (pb.ClassifyResponse(), "0 classes and 0 probabilities for 2 rows"),
        (pb.ClassifyResponse(probabilities=GOOD.probabilities, classes=[1, 10]), "outside 0..9"),
        (
            pb.ClassifyResponse(
                probabilities=np.full(20, math.nan, "<f4").tobytes(), classes=[1, 2]
            ),
            "no finite number",
        ),
    ],
)
def test_a_wrong_answer_is_an_error_of_its_own(
    serve: Serve, answer: pb.ClassifyResponse, told: str
) -> None:
    """An answer that does not fit the rows is counted as WRONG_ANSWER, and in no percentile."""
    recording = _run(_plan(serve(Servicer(lambda _context: answer)), max_calls=7))
    (failure,) = recording.failures
    assert (failure.code, failure.calls) == ("WRONG_ANSWER", 7)
    assert told in failure.message
    assert len(recording.latency_s) == 0


def test_refusals_are_counted_by_code_and_message(serve: Serve) -> None:
    """Calls that a server refuses are failures under its code and words, and in no percentile."""
    lock = threading.Lock()
    numbers = iter(range(1000))

    def refuse(context: grpc.ServicerContext) -> pb.ClassifyResponse:
        """Every third call is answered."""
        with lock:
            number = next(numbers)
        if number % 3 == 1:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "the queue\nis full")
        if number % 3 == 2:
            context.abort(grpc.StatusCode.INTERNAL, "request 7 failed")
        return GOOD

    recording = _run(_plan(serve(Servicer(refuse)), max_calls=30))
    assert recording.answered == len(recording.latency_s) == 10
    assert sorted((each.code, each.calls, each.message) for each in recording.failures) == [
        ("INTERNAL", 10, "request 7 failed"),
        ("RESOURCE_EXHAUSTED", 10, "the queue is full"),
    ]


@pytest.mark.parametrize("loop", [ClosedLoop(concurrency=3), _open(100)])
def test_stopping_counts_what_is_under_way_apart(serve: Serve, loop: ClosedLoop | OpenLoop) -> None:
    """stop() ends the load at once; calls without an answer are told, and are in no figure."""
    entered, release = threading.Event(), threading.Event()

    def wait(_context: grpc.ServicerContext) -> pb.ClassifyResponse:
        """Until the test is over."""
        entered.set()
        release.wait(60)
        return GOOD

    address = serve(Servicer(wait))
    recording = _run(_plan(address, loop=loop), stop_on=entered)
    release.set()
    assert recording.is_cut
    assert recording.unfinished > 0
    assert recording.longest_unfinished_s > 0
    assert recording.calls == 0
    assert recording.took_s < 60


def test_a_server_that_is_not_there_is_said_at_once() -> None:
    """Where nothing listens, no load begins."""
    with pytest.raises(Unavailable, match="cannot be reached"):
        _run(_plan("127.0.0.1:1"))


def test_a_version_that_is_not_there_is_said_at_once(address: str) -> None:
    """What the server refuses at the first call ends the load before it begins."""
    message = DIALECTS["native"].write(draw_strokes(2, 0), Model(name="mnist", version=2))
    with pytest.raises(NotFound, match="there is no version 2"):
        _run(_plan(address, messages=[message]))


def test_another_protocols_server_is_said_at_once(address: str) -> None:
    """A server without the protocol's method ends the load before it begins."""
    with pytest.raises(ServerError, match="not as a flatdense server"):
        _run(_plan(address, protocol="oip"))


def test_a_server_that_answers_other_rows_is_said_at_once(address: str) -> None:
    """A first answer that does not fit ends the load before it begins."""
    with pytest.raises(ServerError, match="for 3 rows"):
        _run(_plan(address, rows=3))


def test_a_wrong_address_is_said_before_anything_else() -> None:
    """What is no address is refused as by the SDK's clients."""
    with pytest.raises(InvalidInput, match="no address"):
        _run(_plan("nowhere"))
