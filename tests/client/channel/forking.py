"""A program that uses a client and forks: `python forking.py PARENT WAY ADDRESS`.

PARENT is what it does before it forks, WAY how it forks. Each of ACTS is done by a child of its
own. It prints, as JSON, what each child said or raised, how it ended, and whether the parent's own
client still answers after it.
"""

import asyncio
import gc
import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from flatdense_client import AsyncClient, Client

IMAGE = np.zeros((28, 28), np.uint8)
CHILD_S = 20

Said = dict[str, Any]


class Parent:
    """What the process before the fork has."""

    def __init__(self, kind: str, address: str) -> None:
        self.address = address
        self.client: Client | None = Client(address, coalesce=True)
        self.async_client: AsyncClient | None = None
        self.loop = asyncio.new_event_loop()
        if kind == "client":
            self.answers()
        elif kind == "async client":
            self.async_client = AsyncClient(address)
            self.loop.run_until_complete(self.async_client.classify(IMAGE))
        elif kind == "closed async client":
            self.loop.run_until_complete(self.use_new_async_client())

    def answers(self) -> str:
        """By the client."""
        assert self.client is not None
        return self.client.classify(IMAGE)[0].label

    def still_answers(self) -> bool:
        """By what it has."""
        if self.async_client is None:
            return self.answers() == "zero"
        return len(self.loop.run_until_complete(self.async_client.classify(IMAGE))) == 1

    def answers_threads(self) -> str:
        """By the client, on a few threads at a time."""
        with ThreadPoolExecutor(4) as pool:
            (said,) = set(pool.map(lambda _: self.answers(), range(4)))
        return said

    def streams(self) -> str:
        """By the client's stream."""
        assert self.client is not None
        return next(self.client.classify_stream([IMAGE]))[0].label

    def closes(self) -> str:
        """What it has, twice."""
        assert self.client is not None
        self.client.close()
        self.client.close()
        return "closed"

    def forgets(self) -> str:
        """Lets go of all."""
        self.client = self.async_client = None
        gc.collect()
        return "forgotten"

    def uses_new_client(self) -> str:
        """A client that the child makes."""
        with Client(self.address) as client:
            return client.classify(IMAGE)[0].label

    def uses_new_async_client(self) -> str:
        """An asynchronous client that the child makes."""
        return asyncio.run(self.use_new_async_client())

    async def use_new_async_client(self) -> str:
        """One call."""
        async with AsyncClient(self.address) as client:
            return (await client.classify(IMAGE))[0].label

    def uses_async_client(self) -> str:
        """The parent's asynchronous client."""
        assert self.async_client is not None
        answers = self.loop.run_until_complete(self.async_client.classify(IMAGE))
        return answers[0].label


ACTS: dict[str, Callable[[Parent], str]] = {
    "call": Parent.answers,
    "call on threads": Parent.answers_threads,
    "stream": Parent.streams,
    "close": Parent.closes,
    "forget": Parent.forgets,
    "new client": Parent.uses_new_client,
    "new async client": Parent.uses_new_async_client,
    "async client": Parent.uses_async_client,
}


def child(act: Callable[[Parent], str], parent: Parent, out: int) -> None:
    """Says what comes of an act; a child that hangs is ended by a signal."""
    signal.alarm(CHILD_S)
    try:
        said = act(parent)
    except Exception as error:  # noqa: BLE001  # whatever it is, the test judges it
        said = f"{type(error).__name__}: {error}"
    os.write(out, said.encode())


def fork(way: str, act: Callable[[Parent], str], parent: Parent) -> Said:
    """Forks, and waits for the child."""
    incoming, outgoing = os.pipe()
    if way == "multiprocessing":
        context = multiprocessing.get_context("fork")
        process = context.Process(target=child, args=(act, parent, outgoing))
        process.start()
        process.join()
        status = process.exitcode
    else:
        pid = os.fork()
        if pid == 0:
            child(act, parent, outgoing)
            sys.exit(0)  # and not os._exit: all that ends with a process ends
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(outgoing)
    with os.fdopen(incoming) as pipe:
        return {"status": status, "said": pipe.read()}


def main(kind: str, way: str, address: str) -> None:
    """Does each act in a child."""
    parent = Parent(kind, address)
    told: dict[str, Said] = {}
    for name, act in ACTS.items():
        if name == "async client" and parent.async_client is None:
            continue
        told[name] = fork(way, act, parent)
        told[name]["parent answers"] = kind == "nothing" or parent.still_answers()
    print(json.dumps(told), flush=True)  # noqa: T201  # for the test


if __name__ == "__main__":
    main(*sys.argv[1:])
