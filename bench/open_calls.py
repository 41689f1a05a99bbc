"""Calls through the SDK that begin when they are due: `python bench/open_calls.py ADDRESS ...`.

Run by replicas.py, in a process of its own. Unlike `flatdense bench`, which shows a server without
its client's retries, this shows what a caller sees. Each call has three images, and is right where
all their answers are, in their order. Prints `ready`, and when standard input ends, as JSON, a line
of what became of each call: when it was due (on the clock of time.monotonic()), how long it took
from then on, and "" or what was wrong.
"""

import argparse
import asyncio
import json
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
from flatdense_client import AsyncClient, Client, FlatdenseError, Predictions
from flatdense_client._load.strokes import draw_strokes

IMAGES = 256
ROWS = 3
WRONG = "a wrong answer"

SAME = 1e-5
"""Beside others in a batch an image may get another last digit."""
MOST_THREADS = 2000

Fate = tuple[float, float, str]


class Calls:
    """The calls, and what became of them."""

    def __init__(self, rate: float) -> None:
        self._images = draw_strokes(IMAGES, 0)
        self._rate = rate
        self._ending = threading.Event()
        self.fates: list[Fate] = []

    def learn(self, client: Client) -> None:
        """What the right answers are, from an image at a time."""
        each = [client.classify(image).probabilities for image in self._images]
        self._expected = np.concatenate(each)

    def end_with_stdin(self) -> None:
        """No call is due after standard input ends."""
        threading.Thread(target=lambda: (sys.stdin.read(), self._ending.set()), daemon=True).start()

    def due(self) -> Iterator[tuple[int, float]]:
        """The number of each call, and when it is due; evenly spaced, until the end."""
        start_s, number = time.monotonic(), 0
        while not self._ending.is_set():
            yield number, start_s + number / self._rate
            number += 1

    def images(self, number: int) -> npt.NDArray[np.uint8]:
        """Of a call."""
        return self._images[self._choose(number)]

    def note(self, number: int, due_s: float, said: Predictions | FlatdenseError) -> None:
        """What became of it."""
        took_s = time.monotonic() - due_s
        if isinstance(said, FlatdenseError):
            wrong = f"{type(said).__name__}: {said}"
        else:
            expected = self._expected[self._choose(number)]
            is_right = np.allclose(said.probabilities, expected, rtol=0, atol=SAME)
            wrong = "" if is_right else WRONG
        self.fates.append((due_s, took_s, wrong))

    def _choose(self, number: int) -> list[int]:
        return [(ROWS * number + n) % IMAGES for n in range(ROWS)]


def call_by_threads(address: str, calls: Calls) -> None:
    """A thread for each call that is under way."""
    with Client(address) as client, ThreadPoolExecutor(MOST_THREADS) as pool:
        calls.learn(client)

        def call(number: int, due_s: float) -> None:
            said: Predictions | FlatdenseError
            try:
                said = client.classify(calls.images(number))
            except FlatdenseError as error:
                said = error
            calls.note(number, due_s, said)

        print("ready", flush=True)
        for number, due_s in calls.due():
            time.sleep(max(0.0, due_s - time.monotonic()))
            pool.submit(call, number, due_s)


async def call_by_tasks(address: str, calls: Calls) -> None:
    """A task for each."""
    with Client(address) as client:
        calls.learn(client)
    async with AsyncClient(address) as client:

        async def call(number: int, due_s: float) -> None:
            """One of them."""
            said: Predictions | FlatdenseError
            try:
                said = await client.classify(calls.images(number))
            except FlatdenseError as error:
                said = error
            calls.note(number, due_s, said)

        await client.classify(calls.images(0))
        print("ready", flush=True)
        under_way = set()
        for number, due_s in calls.due():
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            task = asyncio.create_task(call(number, due_s))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        await asyncio.gather(*under_way)


def main(address: str, api: str, rate: float) -> None:
    """Calls, prints."""
    calls = Calls(rate)
    calls.end_with_stdin()
    if api == "Client":
        call_by_threads(address, calls)
    else:
        asyncio.run(call_by_tasks(address, calls))
    print(json.dumps(calls.fates))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address")
    parser.add_argument("--api", choices=["Client", "AsyncClient"], default="Client")
    parser.add_argument("--rate", type=float, default=150.0, help="calls a second")
    given = parser.parse_args()
    main(given.address, given.api, given.rate)
