"""The processes that make a load: each has a generator, and nothing else to do.

Drawing a progress line beside a generator would make its calls late.
"""

import asyncio
import gc
import multiprocessing
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from flatdense_client._errors import FlatdenseError
from flatdense_client._load.generator import Generator, longest_s, run_on_precise_loop
from flatdense_client._load.interrupt import Interrupt
from flatdense_client._load.plan import Plan
from flatdense_client._load.recording import Recording, join

_TICK_S = 0.1
"""How often each process says how far it is and looks whether it is to stop."""

_START_S = 60.0
"""How long a process may take to start, on a machine that has much else to do."""

_PATIENCE_S = 5.0
"""How long a process that has nothing left to do may take to end."""

_READY = "ready"
_GO = "go"
_STOP = "stop"


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a load is."""

    now_s: float
    """From the end of the warm-up: negative before."""
    answered: int
    failed: int


class Crew:
    """So many processes that share a plan. Used as a context manager: it leaves none behind.

    Ctrl-C while run() works ends the load early, and a second one at once. Of the main thread.
    """

    def __init__(self, plan: Plan, processes: int) -> None:
        self._plan = plan
        self._plans = plan.share(processes)
        self._processes: list[BaseProcess] = []
        self._pipes: list[Connection] = []

    def __enter__(self) -> "Crew":  # noqa: PYI034  # typing.Self is newer than 3.10
        # A terminal sends Ctrl-C to all of them. The children must not hear it, not even while
        # they start: what is ignored here is ignored there from the first moment.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            for plan in self._plans:
                self._start(plan)
        finally:
            signal.signal(signal.SIGINT, before)
        return self

    def __exit__(self, *_: object) -> None:
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.join(_PATIENCE_S)  # which a closed pipe ends
            if process.is_alive():
                process.kill()
                process.join()

    def _start(self, plan: Plan) -> None:
        # Spawned: a fork would take gRPC's threads and locks along.
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(plan, theirs), daemon=True)
        process.start()
        theirs.close()
        self._processes.append(process)
        self._pipes.append(ours)

    def run(self, on_progress: Callable[[Progress], None]) -> Recording:
        """Connects, makes the load, and gives what became of its calls.

        Raises any FlatdenseError: the server cannot be asked. Raises ChildProcessError: a process
        was ended by somebody else. Raises KeyboardInterrupt: Ctrl-C came before the load began, or
        twice.
        """
        with Interrupt() as interrupt:
            self._wait_until_ready(interrupt)
            self._tell(_GO)
            return self._collect(interrupt, on_progress)

    def _wait_until_ready(self, interrupt: Interrupt) -> None:
        waited_for = list(self._pipes)
        end_s = time.monotonic() + _START_S + self._plan.timeout_s
        while waited_for:
            for pipe, _ in _news(waited_for, end_s):
                waited_for.remove(pipe)
            if interrupt.came:
                raise KeyboardInterrupt

    def _collect(self, interrupt: Interrupt, on_progress: Callable[[Progress], None]) -> Recording:
        progress: dict[Connection, Progress] = {}
        recordings: dict[Connection, Recording] = {}
        end_s = time.monotonic() + longest_s(self._plan) + _PATIENCE_S
        is_stopping = False
        while waited_for := [pipe for pipe in self._pipes if pipe not in recordings]:
            for pipe, news in _news(waited_for, end_s):
                if isinstance(news, Recording):
                    recordings[pipe] = news
                elif isinstance(news, Progress):
                    progress[pipe] = news
                    on_progress(_sum(list(progress.values())))
            if interrupt.came and not is_stopping:
                is_stopping = True
                self._tell(_STOP)
        return join(list(recordings.values()))

    def _tell(self, word: str) -> None:
        for pipe in self._pipes:
            with suppress(OSError):  # who has ended needs no word, and whoever died is noticed
                pipe.send(word)


def _news(pipes: Sequence[Connection], end_s: float) -> list[tuple[Connection, object]]:
    """What the processes said within a tick."""
    if time.monotonic() > end_s:
        raise ChildProcessError("a process that made the load did not end in its time")
    ready = connection.wait(pipes, _TICK_S)
    return [(pipe, _receive(pipe)) for pipe in pipes if pipe in ready]


def _receive(pipe: Connection) -> object:
    try:
        news = pipe.recv()
    except (EOFError, OSError):
        msg = "a process that made the load has ended, and nobody here ended it"
        raise ChildProcessError(msg) from None
    if isinstance(news, FlatdenseError):
        raise news
    return news


def _sum(parts: Sequence[Progress]) -> Progress:
    return Progress(
        now_s=min(part.now_s for part in parts),
        answered=sum(part.answered for part in parts),
        failed=sum(part.failed for part in parts),
    )


def _work(plan: Plan, pipe: Connection) -> None:
    # Without a parent nobody wants the figures.
    with suppress(EOFError, OSError):
        run_on_precise_loop(_make_load(plan, pipe))


async def _make_load(plan: Plan, pipe: Connection) -> None:
    async with Generator(plan) as generator:
        try:
            await generator.connect()
        except FlatdenseError as error:
            pipe.send(error)
            return
        pipe.send(_READY)
        pipe.recv()
        gc.collect()
        gc.freeze()  # what is here to stay is not looked at again between calls
        telling = asyncio.create_task(_keep_in_touch(generator, pipe))
        recording = await generator.run()
        telling.cancel()
    pipe.send(recording)


async def _keep_in_touch(generator: Generator, pipe: Connection) -> None:
    """Says how far it is; hears that it is to stop, or that there is no parent any more."""
    try:
        while not pipe.poll():
            progress = Progress(
                now_s=generator.now_s, answered=generator.answered, failed=generator.failed
            )
            pipe.send(progress)
            await asyncio.sleep(_TICK_S)
    except (EOFError, OSError):
        pass
    generator.stop()
