"""The SDK against what it is made of, and against others: `python bench/sdk.py`.

1,000 tasks, each with one row and one call under way, call AsyncClient.classify with coalescing
and without, the generated stub, and tritonclient's asyncio client, in turn, against the same server
process. Before anything is measured, all must say the same of the same images. Then the same calls
one after another: what the SDK adds to a call that has no company. Then the same of threads, and
one call with 60,000 images: see sdk_threads.py. Writes bench/results/sdk.json, with the machine's
description, and prints the tables.
"""

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import grpc.aio
import numpy as np
import numpy.typing as npt
import sdk_threads
from flatdense_client import AsyncClient, Unavailable
from flatdense_client._channel.channel import Connector
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_proto.v1.classifier_pb2_grpc import ClassifierStub
from machine import describe_machine
from report import SDK, SDK_PAGE, Rounds, publish, render_sdk
from tritonclient.grpc import InferInput
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "examples"))

from server_process import ServerProcess  # noqa: E402 -- after the path that it is on

TASKS = 1000
CALLS = 10
"""Of each task, one after another."""
LONE_CALLS = 1000
CHECKED = 100
"""Images of which all clients must say the same."""
ROUNDS = 5

COALESCED = "AsyncClient"
SINGLE = "AsyncClient, coalesce=False"
BARE = "the generated stub, grpc.aio"
TRITON = "tritonclient.grpc.aio"

Image = Images = npt.NDArray[np.uint8]
Answer = Any
"""Whatever the client gives."""


@dataclass
class Way:
    """One client: how it is called, and how its answer is read."""

    ask: Callable[[Image], Awaitable[Answer]]
    read: Callable[[Answer], npt.NDArray[np.float32]]
    repeats: int = 0
    """Calls that were made again because the server refused their HTTP/2 stream.

    gRPC's servers do so near their limit of streams (here 1,024), though the client counts fewer: a
    stream that has ended for the client may not have ended for the server.
    """


def main() -> None:
    """Measures, writes, prints."""
    with ServerProcess("--model-dir", str(ROOT / "exported_model"), "--workers", "1") as server:
        server.ready()
        images = np.random.default_rng(0).integers(0, 256, (TASKS, 784), np.uint8)
        tables = {
            "60,000 images in one call, rows/s": sdk_threads.big_array(server.address),
            "64 threads, rows/s": sdk_threads.many_threads(server.address, images),
            "one call at a time, p50, us": sdk_threads.one_by_one(server.address, images[0]),
        }
        rates, lone_us, repeats = asyncio.run(measure(server.address, images))
    tables |= {
        f"{TASKS:,} tasks, rows/s": rates,
        "one call at a time in asyncio, p50, us": lone_us,
    }
    results = {
        "machine": describe_machine(),
        "tritonclient": version("tritonclient"),
        "tasks": TASKS,
        "tables": tables,
        "calls_repeated": repeats,
    }
    section = render_sdk(results)
    publish(results, SDK, SDK_PAGE, section)
    print(section)


async def measure(address: str, images: Images) -> tuple[Rounds, Rounds, dict[str, int]]:
    """Of each round, rows a second of many at a time, and the median time of calls one by one.

    Last, how many calls were made again, in all.
    """
    rates: Rounds = {}
    lone_us: Rounds = {}
    async with AsyncExitStack() as stack:
        ways = {
            COALESCED: by_client(await stack.enter_async_context(AsyncClient(address))),
            SINGLE: by_client(
                await stack.enter_async_context(AsyncClient(address, coalesce=False))
            ),
            BARE: by_stub(await stack.enter_async_context(Connector(address).open_async())),
            TRITON: by_triton(await stack.enter_async_context(InferenceServerClient(address))),
        }
        await check(ways, images)
        for number in range(ROUNDS + 1):  # the first is not counted
            for name, way in ways.items():
                rate, p50_us = await many(way, images), await one_by_one(way, images[0])
                if number:
                    rates.setdefault(name, []).append(rate)
                    lone_us.setdefault(name, []).append(p50_us)
    return rates, lone_us, {name: way.repeats for name, way in ways.items()}


def by_client(client: AsyncClient) -> Way:
    """By our client."""
    return Way(client.classify, lambda predictions: predictions.probabilities)


def by_stub(channel: grpc.aio.Channel) -> Way:
    """By the generated stub, over a channel with the SDK's options."""
    classify = ClassifierStub(channel).Classify

    async def _ask(image: Image) -> Answer:
        request = pb.ClassifyRequest(images=image.tobytes(), data_type=pb.DATA_TYPE_UINT8)
        answer = await classify(request, timeout=10)
        return np.array(answer.classes), np.frombuffer(answer.probabilities, "<f4")

    return Way(_ask, lambda arrays: arrays[1].reshape(1, -1))


def by_triton(client: InferenceServerClient) -> Way:
    """By tritonclient."""

    async def _ask(image: Image) -> Answer:
        tensor = InferInput("images", [1, 784], "UINT8")
        tensor.set_data_from_numpy(image.reshape(1, 784))
        return await client.infer("mnist", [tensor])

    return Way(_ask, lambda result: result.as_numpy("probabilities"))


async def check(ways: Mapping[str, Way], images: Images) -> None:
    """Ends where two ways differ in what they say of an image."""
    said = {
        name: [way.read(await way.ask(image)) for image in images[:CHECKED]]
        for name, way in ways.items()
    }
    for name, probabilities in said.items():
        if not np.allclose(probabilities, said[SINGLE], atol=1e-6):
            raise SystemExit(f"{name} does not say what {SINGLE} says")


async def many(way: Way, images: Images) -> float:
    """Rows a second of all tasks."""

    async def _calls(image: Image) -> None:
        answered = 0
        while answered < CALLS:
            try:
                way.read(await way.ask(image))
            except (Unavailable, grpc.aio.AioRpcError, InferenceServerException) as error:
                if "RST_STREAM" not in str(error):
                    raise
                way.repeats += 1
            else:
                answered += 1

    start_s = time.perf_counter()
    await asyncio.gather(*map(_calls, images))
    return TASKS * CALLS / (time.perf_counter() - start_s)


async def one_by_one(way: Way, image: Image) -> float:
    """The median time of a call that has no company, in microseconds."""
    times_us = []
    for _ in range(LONE_CALLS):
        start_s = time.perf_counter()
        way.read(await way.ask(image))
        times_us.append(1e6 * (time.perf_counter() - start_s))
    return statistics.median(times_us)


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    main()
