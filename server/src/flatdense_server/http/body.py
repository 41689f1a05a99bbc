"""What requests bring: bounded one by one, and all together."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from starlette.requests import Request

from flatdense_server.http.compression import inflate, read_encoding
from flatdense_server.http.errors import RequestRefused
from flatdense_server.http.limits import Limits
from flatdense_server.http.threads import Threads

CONTENT_TYPES: Final = (
    "application/json",
    "application/octet-stream",  # with binary tensors
    "application/x-www-form-urlencoded",  # curl says so of all that it is not told of
)

MAX_DIGITS: Final = 18


class Bodies:
    """Reads bodies, slow and huge ones too, into a bounded memory. For one event loop."""

    def __init__(self, limits: Limits, threads: Threads) -> None:
        self._limits = limits
        self._threads = threads
        self._left_bytes = limits.held_bytes
        self._left_requests = limits.max_requests

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytes]:
        """The body, decompressed; its place in memory is taken until the context is left.

        Raises RequestRefused.
        """
        check_content_type(request.headers.get("content-type", ""))
        encoding = read_encoding(request.headers.get("content-encoding", ""))
        limit_bytes = self._limits.body_bytes
        with self._hold() as share:
            body = await self._receive(request, share)
            if encoding:
                share.take(limit_bytes)
                body = await self._threads.run(inflate, body, encoding, most_bytes=limit_bytes)
                share.give(limit_bytes - len(body))
            yield body

    async def _receive(self, request: Request, share: "Share") -> bytes:
        declared, limit_bytes = request.headers.get("content-length", ""), self._limits.body_bytes
        # Longer ones are no numbers that Python would read.
        if len(declared) > MAX_DIGITS or (declared.isdecimal() and int(declared) > limit_bytes):
            raise RequestRefused(
                413, f"the body: expected at most {limit_bytes} bytes, got {declared[:100]}."
            )
        received: list[bytes] = []
        try:
            async with asyncio.timeout(self._limits.upload_s):
                async for chunk in request.stream():
                    share.take(len(chunk))
                    received.append(chunk)
                    if share.bytes > limit_bytes:
                        raise RequestRefused(
                            413, f"the body: expected at most {limit_bytes} bytes, got more."
                        )
        except TimeoutError as error:
            raise RequestRefused(
                408,
                f"the body: expected all of it within {self._limits.upload_s:g} s, "
                f"got {share.bytes} bytes.",
            ) from error
        return b"".join(received)

    @contextmanager
    def _hold(self) -> Iterator["Share"]:
        if not self._left_requests:
            raise RequestRefused(
                429,
                f"expected at most {self._limits.max_requests} requests at a time, got one more.",
            )
        share = Share(self)
        self._left_requests -= 1
        try:
            yield share
        finally:
            self._left_requests += 1
            share.give(share.bytes)

    def take(self, size_bytes: int) -> None:
        """Raises RequestRefused where there is no memory left for so much."""
        if size_bytes > self._left_bytes:
            raise RequestRefused(
                429, "the bodies of other requests take all the memory that there is for them."
            )
        self._left_bytes -= size_bytes

    def give(self, size_bytes: int) -> None:
        """Takes memory back."""
        self._left_bytes += size_bytes


class Share:
    """The memory that one body takes."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self.bytes = 0

    def take(self, size_bytes: int) -> None:
        """Grows. Raises RequestRefused."""
        self._bodies.take(size_bytes)
        self.bytes += size_bytes

    def give(self, size_bytes: int) -> None:
        """Shrinks."""
        self._bodies.give(size_bytes)
        self.bytes -= size_bytes


def check_content_type(header: str) -> None:
    """Raises RequestRefused for what is no JSON; nothing at all is taken for JSON."""
    kind = header.partition(";")[0].strip().lower()
    if kind and kind not in CONTENT_TYPES and not kind.endswith("+json"):
        raise RequestRefused(415, f"Content-Type: expected application/json, got {header[:100]!r}.")
