"""The express lane's loop: calls are judged alone, run together, and ended alone."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

import numpy as np
import pytest
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_server.batching.queue import QueueLimits
from flatdense_server.edge.express import Express, ExpressOptions
from flatdense_server.edge.lane import LaneCall, LaneStream
from flatdense_server.edge.ledger import Ledger
from flatdense_server.edge.refusal import Refusal, refusal_of
from flatdense_server.errors import Draining, QueueFull
from flatdense_server.models.registry import Registry, Routes
from flatdense_server.models.servable import Servable
from flatdense_server.observe.metrics.metrics import Metrics
from flatdense_server.protocols.native import NativeCodec
from flatdense_server.tensors import FLOAT32, UINT8, Outputs, Rows
from grpc import StatusCode
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

CODEC = NativeCodec("Classify")
METHOD = CODEC.method


class ScriptedLane:
    """A lane whose calls come when a test says so."""

    def __init__(self) -> None:
        self.ended = False
        self.refusal: Refusal | None = None
        self.refused: Counter[tuple[str, Refusal]] = Counter()
        self.reading = 0
        self.crowded = False
        """Whether there is always more to take."""
        self._arrivals: SimpleQueue[list[LaneCall]] = SimpleQueue()

    def open(self, on_stream: Callable[[LaneStream], None]) -> None:
        """See Lane.open."""
        self.on_stream = on_stream

    def arrive(self, *calls: LaneCall) -> None:
        """These calls are there at once."""
        self._arrivals.put(list(calls))

    def take(self, *, wait_s: float, at_most_events: int) -> tuple[list[LaneCall], bool]:
        """See Lane.take: what arrived together, and whether more has arrived since."""
        assert at_most_events > 0
        try:
            calls = self._arrivals.get(wait_s > 0, wait_s)
        except Empty:
            return [], False
        return calls, self.crowded or not self._arrivals.empty()

    def close(self) -> None:
        """See Lane.close."""
        self.ended = True


@dataclass(frozen=True)
class Ending:
    """How a call ended."""

    message: bytes | None
    code: int
    text: str
    metadata: dict[str, str | bytes]

    @property
    def classes(self) -> list[int]:
        """Of the answer."""
        assert self.code == 0, self.text
        return list(pb.ClassifyResponse.FromString(self.message).classes)


@dataclass
class Caller:
    """A call with its rows, and the ends that it was given."""

    rows: Rows
    call: LaneCall
    ends: SimpleQueue[Ending] = field(default_factory=SimpleQueue)

    def end(self) -> Ending:
        """Waits for the end."""
        return self.ends.get(timeout=10)


@pytest.fixture
def call_with() -> Callable[..., Caller]:
    """Makes calls of rows, with a deadline from now on."""

    def make(
        rows: Rows,
        *,
        deadline_s: float | None = None,
        message: bytes | None = None,
        **selector: object,
    ) -> Caller:
        """Or of any bytes."""
        data_type = pb.DATA_TYPE_UINT8 if rows.dtype == UINT8 else pb.DATA_TYPE_FP32
        request = pb.ClassifyRequest(
            images=rows.tobytes(), data_type=data_type, model=pb.ModelSelector(**selector)
        )
        ends: SimpleQueue[Ending] = SimpleQueue()

        def end(
            _core: object, answer: bytes | None, code: int, text: bytes, metadata: object
        ) -> None:
            ends.put(Ending(answer, code, text.decode(), dict(metadata or ())))

        now_s = time.monotonic()
        call = LaneCall(
            method=METHOD,
            message=request.SerializeToString() if message is None else message,
            metadata=(),
            arrived_s=now_s,
            deadline_s=None if deadline_s is None else now_s + deadline_s,
            _core=None,
            _end=end,
        )
        return Caller(rows, call, ends)

    return make


@pytest.fixture
def lane() -> ScriptedLane:
    """No call has come yet."""
    return ScriptedLane()


@pytest.fixture
def run_express(
    lane: ScriptedLane, registry: Registry, metrics: Metrics, gate: threading.Event
) -> Iterator[Callable[..., Express]]:
    """Starts the loop over the scripted lane, with a queue's limits."""
    started: list[Express] = []

    def run(max_rows: int = 1000, max_tasks: int = 1000, batch_wait_s: float = 0) -> Express:
        """With batches of at most 8 rows."""
        express = Express(
            lane,
            (CODEC,),
            (),
            registry=registry,
            ledger=Ledger(metrics),
            options=ExpressOptions(
                queue=QueueLimits(max_rows=max_rows, max_tasks=max_tasks),
                max_streams=1,
                max_request_rows=32,
                max_batch_rows=8,
                batch_wait_s=batch_wait_s,
            ),
        )
        express.start()
        started.append(express)
        return express

    yield run
    gate.set()
    for express in started:
        express.close()


@pytest.fixture
def express(
    run_express: Callable[..., Express],
    publish: Callable[..., None],
    make_servable: Callable[..., Servable],
) -> Express:
    """The loop with version 1 to serve and a roomy queue."""
    publish(make_servable())
    return run_express()


@pytest.mark.usefixtures("express")
def test_what_is_ready_together_runs_together(
    lane: ScriptedLane,
    call_with: Callable[..., Caller],
    draw_rows: Callable[..., Rows],
    predict: Callable[[Rows], Outputs],
    batches: list[Rows],
) -> None:
    """Three calls that are there at once are one batch, and each gets its own answers."""
    callers = [call_with(draw_rows(count, seed=count)) for count in (1, 2, 3)]
    lane.arrive(*(caller.call for caller in callers))
    for caller in callers:
        assert caller.end().classes == predict(caller.rows).classes.tolist()
    assert [len(batch) for batch in batches] == [6]


@pytest.mark.usefixtures("express")
def test_a_bad_call_does_not_hurt_its_batch_mates(
    lane: ScriptedLane,
    call_with: Callable[..., Caller],
    draw_rows: Callable[..., Rows],
    batches: list[Rows],
) -> None:
    """NaN, no protobuf, another model: each is refused alone, the good ones share a batch."""
    good = [call_with(draw_rows(2, FLOAT32, seed)) for seed in (1, 2)]
    poisoned = draw_rows(1, FLOAT32)
    poisoned[0, 7] = np.nan
    bad = [
        call_with(poisoned),
        call_with(poisoned, message=b"\x0a\xff\x01"),
        call_with(draw_rows(1), name="fashion"),
    ]
    lane.arrive(good[0].call, *(caller.call for caller in bad), good[1].call)
    assert [caller.end().code for caller in bad] == [
        StatusCode.INVALID_ARGUMENT.value[0],
        StatusCode.INVALID_ARGUMENT.value[0],
        StatusCode.NOT_FOUND.value[0],
    ]
    assert [len(caller.end().classes) for caller in good] == [2, 2]
    assert [len(batch) for batch in batches] == [4]


def test_a_batch_that_is_not_full_waits_for_more_if_it_is_told_to(
    lane: ScriptedLane,
    run_express: Callable[..., Express],
    publish: Callable[..., None],
    make_servable: Callable[..., Servable],
    call_with: Callable[..., Caller],
    draw_rows: Callable[..., Rows],
    batches: list[Rows],
) -> None:
    """Calls that come one after the other share a batch, and a full one waits no longer."""
    publish(make_servable())
    run_express(batch_wait_s=60)
    callers = [call_with(draw_rows(count)) for count in (3, 2, 3)]
    for caller in callers:
        lane.arrive(caller.call)
    for caller in callers:
        assert len(caller.end().classes) == len(caller.rows)
    assert [len(batch) for batch in batches] == [8]


@pytest.mark.usefixtures("express")
def test_a_caller_that_has_gone_leaves_its_batch(
    lane: ScriptedLane,
    call_with: Callable[..., Caller],
    draw_rows: Callable[..., Rows],
    batches: list[Rows],
    sample: Callable[..., float | None],
) -> None:
    """Its rows never reach the engine, it is counted as cancelled, and its mates are answered."""
    gone, mate = call_with(draw_rows(3)), call_with(draw_rows(2))
    gone.call.cancelled = True
    lane.arrive(gone.call, mate.call)
    assert len(mate.end().classes) == 2
    assert gone.end().code == StatusCode.CANCELLED.value[0]
    assert [len(batch) for batch in batches] == [2]
    labels = {"method": METHOD, "model": "mnist", "version": "1", "code": "CANCELLED"}
    assert sample("flatdense_requests_total", labels) == 1


@pytest.mark.usefixtures("express")
def test_a_call_past_its_deadline_never_reaches_the_engine(
    lane: ScriptedLane,
    call_with: Callable[..., Caller],
    draw_rows: Callable[..., Rows],
    batches: list[Rows],
    sample: Callable[..., float | None],
) -> None:
    """DEADLINE_EXCEEDED, counted by where it was; a call with time left is answered."""
    late, mate = call_with(draw_rows(3), deadline_s=0), call_with(draw_rows(2), deadline_s=60)
    lane.arrive(late.call, mate.call)
    assert late.end().code == StatusCode.DEADLINE_EXCEEDED.value[0]
    assert len(mate.end().classes) == 2
    assert [len(batch) for batch in batches] == [2]
    assert sample("flatdense_deadline_expired_total", {"stage": "queue"}) == 1


def test_a_full_queue_refuses_and_says_when_to_come_again(
    lane: ScriptedLane,
    run_express: Callable[..., Express],
    publish: Callable[..., None],
    make_servable: Callable[..., Servable],
    call_with: Callable[..., Caller],
    draw_rows: Callable[..., Rows],
) -> None:
    """What does not fit is RESOURCE_EXHAUSTED with pushback at once; the accepted are answered."""
    publish(make_servable())
    run_express(max_rows=4)
    accepted, refused = call_with(draw_rows(3)), call_with(draw_rows(2))
    lane.arrive(accepted.call, refused.call)
    end = refused.end()
    assert end.code == StatusCode.RESOURCE_EXHAUSTED.value[0]
    assert "3 rows are waiting and the limit is 4" in end.text
    assert end.metadata["grpc-retry-pushback-ms"] == "100"
    assert len(accepted.end().classes) == 3


@pytest.mark.usefixtures("express")
def test_calls_that_end_before_they_are_read_are_counted(
    lane: ScriptedLane,
    call_with: Callable[..., Caller],
    draw_rows: Callable[..., Rows],
    sample: Callable[..., float | None],
) -> None:
    """Once, by method and as refused: operators see overload wherever it is answered."""
    lane.refused[METHOD, refusal_of(QueueFull("busy"))] = 3
    seen = call_with(draw_rows(1))
    lane.arrive(seen.call)
    assert len(seen.end().classes) == 1
    labels = {"method": METHOD, "model": "", "version": "", "code": "RESOURCE_EXHAUSTED"}
    assert sample("flatdense_requests_total", labels) == 3
    assert sample("flatdense_rejected_total", {"reason": "queue_full"}) == 3
    assert not lane.refused


@pytest.mark.parametrize(("reading", "refuses"), [(31, False), (32, True)])
def test_messages_on_their_way_are_bounded(
    lane: ScriptedLane,
    run_express: Callable[..., Express],
    publish: Callable[..., None],
    make_servable: Callable[..., Servable],
    call_with: Callable[..., Caller],
    draw_rows: Callable[..., Rows],
    *,
    reading: int,
    refuses: bool,
) -> None:
    """Calls that send nothing keep nobody out of an idle server, up to eight queues of them."""
    publish(make_servable())
    run_express(max_rows=4)
    lane.reading = reading
    seen = call_with(draw_rows(1))
    lane.arrive(seen.call)
    assert len(seen.end().classes) == 1
    assert (lane.refusal is not None) == refuses
    if lane.refusal:
        assert lane.refusal.code == StatusCode.RESOURCE_EXHAUSTED.value[0]
        assert ("grpc-retry-pushback-ms", "100") in lane.refusal.metadata


def test_a_full_batch_runs_however_much_there_is_to_take(
    lane: ScriptedLane,
    express: Express,
    call_with: Callable[..., Caller],
    draw_rows: Callable[..., Rows],
) -> None:
    """Where callers are more than the loop can ever hear, those who wait are answered."""
    lane.crowded = True
    callers = [call_with(draw_rows(4)) for _ in range(6)]
    for caller in callers:
        lane.arrive(caller.call)
    for caller in callers:
        assert len(caller.end().classes) == 4
    lane.crowded = False
    assert express.taken == len(callers)


@pytest.mark.usefixtures("express")
def test_a_call_that_cannot_make_it_never_reaches_the_engine(
    lane: ScriptedLane,
    call_with: Callable[..., Caller],
    draw_rows: Callable[..., Rows],
    batches: list[Rows],
    registry: Registry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where a batch takes longer than a call has left, it is told at once."""
    monkeypatch.setattr(registry.routes.default, "expected_s", lambda _rows: 30.0)
    hurried, patient = call_with(draw_rows(3), deadline_s=10), call_with(draw_rows(2))
    lane.arrive(hurried.call, patient.call)
    assert hurried.end().code == StatusCode.DEADLINE_EXCEEDED.value[0]
    assert len(patient.end().classes) == 2
    assert [len(batch) for batch in batches] == [2]


@pytest.mark.usefixtures("express")
def test_an_engine_that_fails_is_told_to_its_batch_alone(
    lane: ScriptedLane,
    call_with: Callable[..., Caller],
    draw_rows: Callable[..., Rows],
    faults: list[Exception],
) -> None:
    """INTERNAL without the engine's words for every mate; the next batch is answered."""
    faults.append(RuntimeError("secret pointer 0xdead"))
    mates = [call_with(draw_rows(1)) for _ in range(2)]
    lane.arrive(*(mate.call for mate in mates))
    for mate in mates:
        end = mate.end()
        assert end.code == StatusCode.INTERNAL.value[0]
        assert "secret" not in end.text
    later = call_with(draw_rows(1))
    lane.arrive(later.call)
    assert len(later.end().classes) == 1


@pytest.mark.usefixtures("express")
def test_calls_of_a_version_that_is_let_go_are_answered_by_the_next(
    lane: ScriptedLane,
    call_with: Callable[..., Caller],
    draw_rows: Callable[..., Rows],
    registry: Registry,
    make_servable: Callable[..., Servable],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A swap before their batch loses none of them; one that insists on the old number is told."""
    old = registry.routes.default

    def let_go(_parts: list[Rows], *, hidden: bool) -> None:  # noqa: ARG001 -- as it is called
        """The new version takes over between the calls' arrival and their batch."""
        registry.publish(Routes({2: make_servable(2)}))
        raise Draining("the version is not served any more.")

    monkeypatch.setattr(old, "compute", let_go)
    waiting = [call_with(draw_rows(count)) for count in (1, 2)]
    insisting = call_with(draw_rows(1), version=1)
    lane.arrive(*(caller.call for caller in waiting), insisting.call)
    for caller in waiting:
        answer = pb.ClassifyResponse.FromString(caller.end().message or b"")
        assert (answer.model_version, len(answer.classes)) == (2, len(caller.rows))
    assert "no version 1: available: 2" in insisting.end().text


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    calls=st.lists(
        st.tuples(
            st.integers(1, 20),
            st.sampled_from([UINT8, FLOAT32]),
            st.sampled_from(["good", "good", "cancelled", "late", "bad"]),
        ),
        max_size=30,
    ),
    at_once=st.integers(1, 10),
)
@pytest.mark.usefixtures("express")
def test_every_call_ends_once_and_the_good_ones_with_their_own_answers(
    lane: ScriptedLane,
    call_with: Callable[..., Caller],
    draw_rows: Callable[..., Rows],
    predict: Callable[[Rows], Outputs],
    calls: list[tuple[int, np.dtype, str]],
    at_once: int,
) -> None:
    """However calls come, of whatever size, type and fate."""
    callers = []
    for seed, (count, dtype, fate) in enumerate(calls):
        caller = call_with(
            draw_rows(count, dtype, seed),
            deadline_s=0 if fate == "late" else None,
            message=b"\xff" if fate == "bad" else None,
        )
        caller.call.cancelled = fate == "cancelled"
        callers.append((caller, fate))
    for start in range(0, len(callers), at_once):
        lane.arrive(*(caller.call for caller, _ in callers[start : start + at_once]))
    for caller, fate in callers:
        end = caller.end()
        if fate == "good":
            assert end.classes == predict(caller.rows).classes.tolist()
        else:
            assert end.code != 0
        assert caller.ends.empty()
