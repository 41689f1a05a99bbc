"""Sends the calls of a plan on one event loop, and records what became of each."""

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine, Sequence
from itertools import cycle
from typing import Any, TypeVar

import grpc
import grpc.aio

from flatdense_client._channel.channel import Connector
from flatdense_client._core.status import error_of, read_refusal
from flatdense_client._errors import ServerError
from flatdense_client._load.arrivals import due_times_s
from flatdense_client._load.dialect import DIALECTS, WrongAnswer
from flatdense_client._load.plan import OpenLoop, Plan
from flatdense_client._load.recording import (
    DEADLINE_EXCEEDED,
    NOT_SENT,
    WRONG_ANSWER,
    Recorder,
    Recording,
)

Result = TypeVar("Result")
Call = grpc.aio.UnaryUnaryCall[bytes, bytes]
Ask = Callable[..., Call]

_CHANNEL_OPTIONS = (
    ("grpc.enable_retries", 0),  # one call is one call
    ("grpc.use_local_subchannel_pool", 1),  # or all channels would share one connection
)

_PAUSE_S = 0.05
"""Between calls of a closed loop to a server that is not there: nothing else holds them back."""

_WATCH_S = 0.01

CATCH_UP_S = 1.0
"""How long after its end calls of an open loop that are overdue are still sent."""

_TOO_LATE = "the load had ended before the call could be sent"

_GRACE_S = 5.0
"""How long after its timeout gRPC may take to end a call."""

_ENDLESS = "gRPC did not end the call, long after its timeout"


def longest_s(plan: Plan) -> float:
    """How long a plan's load takes at most, from the warm-up on."""
    return plan.warmup_s + plan.duration_s + CATCH_UP_S + plan.timeout_s + _GRACE_S


def run_on_precise_loop(work: Coroutine[Any, Any, Result]) -> Result:
    """Runs a coroutine on an event loop whose timers are right to some 0.1 ms.

    asyncio's own loops wait with epoll, which counts in milliseconds.
    """
    loop = asyncio.SelectorEventLoop(selectors.SelectSelector())
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


class Generator:
    """Makes one plan's calls, over connections of its own.

    Used as an asynchronous context manager, on one event loop; run() once.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._connector = Connector(plan.address, tls=plan.tls, token=plan.token)
        self._dialect = DIALECTS[plan.protocol]
        self._messages = cycle(plan.messages)
        self._recorder = Recorder()
        self._channels: list[grpc.aio.Channel] = []
        self._asks: list[Ask] = []
        self._start_s = 0.0
        self._under_way: dict[asyncio.Task[Any], float] = {}
        self._has_room = asyncio.Event()
        self._held_back = 0
        self._stopping = asyncio.Event()

    @property
    def answered(self) -> int:
        """Counted calls that were answered so far."""
        return self._recorder.answered

    @property
    def failed(self) -> int:
        """Counted calls that failed so far."""
        return self._recorder.failed

    @property
    def now_s(self) -> float:
        """The time from the end of the warm-up: negative before."""
        return time.monotonic() - self._start_s

    async def __aenter__(self) -> "Generator":  # noqa: PYI034  # typing.Self is newer than 3.10
        for _ in range(self._plan.connections):
            channel = self._connector.open_async(more_options=_CHANNEL_OPTIONS)
            self._channels.append(channel)
            self._asks.append(channel.unary_unary(self._dialect.method))
        return self

    async def __aexit__(self, *_: object) -> None:
        for channel in self._channels:
            await channel.close()

    async def connect(self) -> None:
        """Makes every connection, by a call over each.

        Raises any FlatdenseError: the server is not there, refuses what the plan sends, or answers
        with something else.
        """
        await asyncio.gather(*(self._try(ask) for ask in self._asks))

    async def _try(self, ask: Ask) -> None:
        try:
            answer = await ask(self._plan.messages[0], timeout=self._plan.timeout_s)
        except grpc.aio.AioRpcError as error:
            raise error_of(
                read_refusal(
                    error.code(),
                    error.details(),
                    error.trailing_metadata(),
                    address=self._plan.address,
                    timeout_s=self._plan.timeout_s,
                    security=self._connector.security,
                )
            ) from error
        try:
            self._dialect.check(answer, self._plan.rows)
        except WrongAnswer as wrong:
            msg = f"{self._plan.address} answers, but not as a classifier of these images: {wrong}"
            raise ServerError(msg) from None

    async def run(self) -> Recording:
        """Makes the calls until the plan's time is over and all of them have ended, or stop()."""
        self._start_s = time.monotonic() + self._plan.warmup_s
        began_s, began_cpu_s = time.monotonic(), time.thread_time()
        work = asyncio.create_task(self._work())
        watch = asyncio.create_task(self._watch_own_lateness())
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait(
            {work, stopping}, timeout=longest_s(self._plan), return_when=asyncio.FIRST_COMPLETED
        )
        busy = (time.thread_time() - began_cpu_s) / (time.monotonic() - began_s)
        now_s = self.now_s
        is_cut = not work.done() and self._stopping.is_set()
        unfinished_due_s = list(self._under_way.values())
        await _cancel(work, watch, stopping, *self._under_way)
        if not work.cancelled():
            work.result()
        elif not is_cut:
            self._give_up(unfinished_due_s, now_s)
        # Where the last calls were due early, or the count was full, there is nothing to wait for.
        is_whole = isinstance(self._plan.loop, OpenLoop) and not is_cut
        return self._recorder.finish(
            took_s=self._plan.duration_s if is_whole else min(max(now_s, 0), self._plan.duration_s),
            unfinished_s=[now_s - due_s for due_s in unfinished_due_s if due_s >= 0 and is_cut],
            held_back=self._held_back,
            busy=busy,
            is_cut=is_cut,
        )

    def _give_up(self, due_s: Sequence[float], now_s: float) -> None:
        for each_s in due_s:
            self._recorder.fail(each_s, None, now_s, DEADLINE_EXCEEDED, _ENDLESS)

    def stop(self) -> None:
        """Ends run() soon: calls under way are cancelled, and counted as unfinished."""
        self._stopping.set()

    async def _work(self) -> None:
        if isinstance(self._plan.loop, OpenLoop):
            await self._send_when_due(self._plan.loop)
        else:
            await asyncio.gather(
                *(self._call_again_and_again(n) for n in range(self._plan.loop.concurrency))
            )

    async def _watch_own_lateness(self) -> None:
        """In a closed loop no call is due, so that timers have to show it."""
        while not isinstance(self._plan.loop, OpenLoop):
            due_s = self.now_s + _WATCH_S
            await asyncio.sleep(_WATCH_S)
            self._recorder.be_late(due_s, self.now_s - due_s)

    async def _send_when_due(self, loop: OpenLoop) -> None:
        asks = cycle(self._asks)
        could_s = -self._plan.warmup_s
        for due_s in due_times_s(self._plan, loop):
            if due_s < 0 <= self.now_s:
                continue  # the warm-up is over, and must not make the calls that count late
            if self.now_s >= self._plan.duration_s + CATCH_UP_S:
                self._recorder.fail(due_s, None, self.now_s, NOT_SENT, _TOO_LATE)
                continue
            # Also where a call is due already: answers are read between two that are sent.
            await asyncio.sleep(max(due_s - self.now_s, 0))
            if len(self._under_way) >= self._plan.max_under_way:
                self._held_back += due_s >= 0
                await self._wait_for_room()
                could_s = self.now_s
            self._send(next(asks), due_s, max(due_s, could_s))
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def _wait_for_room(self) -> None:
        self._has_room.clear()
        while len(self._under_way) >= self._plan.max_under_way:
            await self._has_room.wait()

    def _send(self, ask: Ask, due_s: float, could_s: float) -> None:
        sent_s = self.now_s
        self._recorder.be_late(due_s, sent_s - could_s)
        call = ask(next(self._messages), timeout=self._plan.timeout_s)
        task = asyncio.create_task(self._finish(call, due_s, sent_s))
        self._under_way[task] = due_s
        task.add_done_callback(self._leave)

    def _leave(self, task: asyncio.Task[Any]) -> None:
        del self._under_way[task]
        self._has_room.set()

    async def _call_again_and_again(self, number: int) -> None:
        ask = self._asks[number % len(self._asks)]
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # gather() made one
        while (sent_s := self.now_s) < self._plan.duration_s:
            if self._recorder.calls + len(self._under_way) >= self._plan.max_calls:
                return
            self._under_way[task] = sent_s
            call = ask(next(self._messages), timeout=self._plan.timeout_s)
            code = await self._finish(call, sent_s, sent_s)
            del self._under_way[task]
            if code is grpc.StatusCode.UNAVAILABLE:
                await asyncio.sleep(_PAUSE_S)

    async def _finish(self, call: Call, due_s: float, sent_s: float) -> grpc.StatusCode:
        """Waits for the end of a call and records it; gives its status."""
        try:
            answer = await call
        except grpc.aio.AioRpcError as error:
            code = error.code()
            self._recorder.fail(due_s, sent_s, self.now_s, code.name, error.details() or "")
            return code
        ended_s = self.now_s
        try:
            self._dialect.check(answer, self._plan.rows)
        except WrongAnswer as wrong:
            self._recorder.fail(due_s, sent_s, ended_s, WRONG_ANSWER, str(wrong))
        else:
            self._recorder.answer(due_s, sent_s, ended_s)
        return grpc.StatusCode.OK


async def _cancel(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
