"""The threads that do what would hold up the event loop."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from starlette.concurrency import run_in_threadpool

P = ParamSpec("P")
T = TypeVar("T")


class Threads:
    """Runs a bounded number of functions at a time; others wait their turn."""

    def __init__(self, most: int) -> None:
        self._turns = asyncio.Semaphore(most)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What the function gives, or raises."""
        async with self._turns:
            return await run_in_threadpool(function, *args, **kwargs)
