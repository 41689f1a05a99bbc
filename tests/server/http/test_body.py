"""What requests bring: slow, huge, compressed, at the same time; the memory is bounded."""

import asyncio
import gzip
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from flatdense_server.http.body import Bodies
from flatdense_server.http.compression import deflate, inflate
from flatdense_server.http.errors import RequestRefused
from flatdense_server.http.limits import Limits
from flatdense_server.http.threads import Threads
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

PATH = "/v2/models/mnist/infer"

LIMITS = Limits(max_request_rows=1)

Refusal = Callable[..., tuple[int, str]]


def make_request(chunks: AsyncIterator[bytes], **headers: str) -> Request:
    """A request whose body comes as a test says."""

    async def receive() -> dict[str, Any]:
        """The next chunk; where there is none, the end."""
        async for chunk in chunks:
            return {"type": "http.request", "body": chunk, "more_body": True}
        return {"type": "http.request", "body": b"", "more_body": False}

    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "headers": raw}, receive)


async def stream(*chunks: bytes) -> AsyncIterator[bytes]:
    """Chunks that come at once."""
    for chunk in chunks:
        yield chunk


async def never() -> AsyncIterator[bytes]:
    """A first byte, and no other."""
    yield b"{"
    await asyncio.Event().wait()


async def read(bodies: Bodies, request: Request) -> bytes:
    """The body."""
    async with bodies.read(request) as body:
        return body


def refused(limits: Limits, request: Request) -> RequestRefused:
    """How reading ends."""
    with pytest.raises(RequestRefused) as error:
        asyncio.run(read(Bodies(limits, Threads(1)), request))
    return error.value


def test_a_body_is_its_chunks() -> None:
    """In their order."""
    got = asyncio.run(read(Bodies(LIMITS, Threads(1)), make_request(stream(b"a", b"", b"bc"))))
    assert got == b"abc"


def test_a_body_is_refused_where_it_grows_beyond_the_limit() -> None:
    """With 413, before the rest of it is read."""
    taken = []

    async def endless() -> AsyncIterator[bytes]:
        """Chunks without an end."""
        while True:
            taken.append(0)
            yield bytes(1 << 16)

    error = refused(LIMITS, make_request(endless()))
    assert error.status == 413
    assert str(LIMITS.body_bytes) in str(error)
    assert len(taken) == LIMITS.body_bytes // (1 << 16) + 1


@pytest.mark.parametrize("length", [str(LIMITS.body_bytes + 1), "9" * 30, "9" * 5000])
def test_a_body_that_says_it_is_too_long_is_not_read(length: str) -> None:
    """Nothing is made room for by its word."""

    async def fail() -> AsyncIterator[bytes]:
        """Nobody asks."""
        raise AssertionError
        yield b""

    error = refused(LIMITS, make_request(fail(), content_length=length))
    assert error.status == 413


def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    """With 408, once its time is over."""
    error = refused(Limits(max_request_rows=1, upload_s=0.01), make_request(never()))
    assert (error.status, str(error)) == (
        408,
        "the body: expected all of it within 0.01 s, got 1 bytes.",
    )


def test_bodies_share_one_memory_and_give_it_back() -> None:
    """Those that wait may fill it; then others are refused with 429, and come again later."""
    bodies = Bodies(LIMITS, Threads(1))
    chunk = bytes(LIMITS.body_bytes)

    async def hold(begun: asyncio.Semaphore, ended: asyncio.Event) -> None:
        """A body that is read, and answered later."""
        async with bodies.read(make_request(stream(chunk))):
            begun.release()
            await ended.wait()

    async def crowd() -> None:
        """Fills the memory."""
        begun, ended = asyncio.Semaphore(0), asyncio.Event()
        count = LIMITS.held_bytes // LIMITS.body_bytes
        holders = [asyncio.create_task(hold(begun, ended)) for _ in range(count)]
        for _ in holders:
            await begun.acquire()
        with pytest.raises(RequestRefused) as error:
            await read(bodies, make_request(stream(b"x")))
        assert error.value.status == 429
        assert await read(bodies, make_request(stream())) == b""
        ended.set()
        await asyncio.gather(*holders)
        assert await read(bodies, make_request(stream(chunk))) == chunk

    asyncio.run(crowd())


def test_requests_at_a_time_are_bounded() -> None:
    """One too many is refused with 429; when another ends there is place again."""
    bodies = Bodies(Limits(max_request_rows=1, max_requests=1), Threads(1))

    async def crowd() -> None:
        """One holds the place."""
        async with bodies.read(make_request(stream())):
            with pytest.raises(RequestRefused) as error:
                await read(bodies, make_request(stream()))
            assert error.value.status == 429
        assert await read(bodies, make_request(stream(b"x"))) == b"x"

    asyncio.run(crowd())


@pytest.mark.parametrize("kind", ["text/plain", "text/xml", "multipart/form-data", "json", "?"])
def test_another_type_of_content_is_refused(refusal: Refusal, kind: str) -> None:
    """With 415, which names what is expected."""
    expected = (415, f"Content-Type: expected application/json, got {kind!r}.")
    assert refusal(PATH, content=b"{}", headers={"content-type": kind}) == expected


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "x" * 500])
def test_another_encoding_is_refused(client: httpx.Client, encoding: str) -> None:
    """With 415, and a header that says which are taken."""
    answer = client.post(PATH, content=b"{}", headers={"content-encoding": encoding})
    assert answer.status_code == 415
    assert answer.headers["accept-encoding"] == "gzip, deflate"
    assert answer.json()["error"].startswith("Content-Encoding: expected gzip, deflate or identity")


# Compression


@given(
    data=st.binary(max_size=200_000) | st.integers(0, 300_000).map(bytes),
    encoding=st.sampled_from(["gzip", "deflate"]),
)
def test_what_is_compressed_is_inflated_to_the_same(data: bytes, encoding: str) -> None:
    """Whatever it is, and however well it compresses."""
    assert inflate(deflate(data, encoding), encoding, most_bytes=len(data)) == data


@given(parts=st.lists(st.binary(max_size=100), min_size=1, max_size=4))
def test_gzip_may_have_several_parts(parts: list[bytes]) -> None:
    """As `cat a.gz b.gz` makes them."""
    packed = b"".join(map(gzip.compress, parts))
    assert inflate(packed, "gzip", most_bytes=1000) == b"".join(parts)


@given(data=st.binary(min_size=1, max_size=1000), cut=st.integers(1, 1000))
def test_what_is_cut_short_is_refused(data: bytes, cut: int) -> None:
    """It is not answered as if it were whole."""
    for encoding in ("gzip", "deflate"):
        packed = deflate(data, encoding)
        with pytest.raises(RequestRefused, match="ends in the middle") as error:
            inflate(packed[: max(0, len(packed) - cut)], encoding, most_bytes=1000)
        assert error.value.status == 400


@given(data=st.binary(min_size=1, max_size=100))
def test_what_is_not_compressed_is_refused(data: bytes) -> None:
    """Whatever it claims to be."""
    for encoding, head in (("gzip", b"{"), ("deflate", b"{")):
        with pytest.raises(RequestRefused, match=f"expected the {encoding}"):
            inflate(head + data, encoding, most_bytes=1000)


def test_bytes_behind_deflate_are_refused() -> None:
    """They belong to nothing."""
    with pytest.raises(RequestRefused, match="expected one zlib stream, got more bytes"):
        inflate(zlib.compress(b"{}") + b"x", "deflate", most_bytes=1000)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_bomb_takes_no_more_than_the_limit(encoding: str) -> None:
    """A quarter of a gibibyte of nothing: 413, and the memory is that of the limit."""
    engine = zlib.compressobj(9, zlib.DEFLATED, 31 if encoding == "gzip" else 15)
    block = bytes(1 << 20)
    bomb = b"".join([*(engine.compress(block) for _ in range(1 << 8)), engine.flush()])
    limit = 1 << 22
    tracemalloc.start()
    try:
        with pytest.raises(RequestRefused, match="when decompressed, got more") as error:
            inflate(bomb, encoding, most_bytes=limit)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert error.value.status == 413
    assert peak < 4 * limit


def test_a_compressed_body_takes_its_share_of_the_memory() -> None:
    """As it is once it is inflated; in the end all of it is given back."""
    bodies = Bodies(LIMITS, Threads(1))
    packed = gzip.compress(bytes(1000))

    async def check() -> None:
        """Before, while and after."""
        free = bodies._left_bytes
        async with bodies.read(make_request(stream(packed), content_encoding="gzip")) as body:
            assert body == bytes(1000)
            assert bodies._left_bytes == free - len(packed) - 1000
        assert bodies._left_bytes == free
        with pytest.raises(RequestRefused):
            await read(bodies, make_request(stream(packed[:20]), content_encoding="gzip"))
        assert bodies._left_bytes == free

    asyncio.run(check())
