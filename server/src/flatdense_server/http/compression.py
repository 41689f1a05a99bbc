"""Bodies smaller on the wire: gzip and deflate, of which HTTP means zlib's format."""

import gzip
import zlib
from types import MappingProxyType
from typing import Final

from flatdense_server.http.errors import RequestRefused

WINDOW_BITS: Final = MappingProxyType({"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS})

STEP_BYTES: Final = 1 << 16

LEVEL: Final = 1
"""Higher ones take several times as long and save little: digits are digits."""


def read_encoding(header: str) -> str:
    """How a body is compressed, of its Content-Encoding; empty where it is not."""
    encoding = header.strip().lower()
    if encoding in {"", "identity"}:
        return ""
    if encoding not in WINDOW_BITS:
        raise RequestRefused(
            415,
            f"Content-Encoding: expected gzip, deflate or identity, got {header[:100]!r}.",
            {"accept-encoding": "gzip, deflate"},
        )
    return encoding


def inflate(data: bytes, encoding: str, *, most_bytes: int) -> bytes:
    """The body as it was before it was compressed.

    It grows step by step, and no further than `most_bytes`. Raises RequestRefused.
    """
    inflated = bytearray()
    engine = zlib.decompressobj(WINDOW_BITS[encoding])
    try:
        for start in range(0, len(data), STEP_BYTES):
            piece = data[start : start + STEP_BYTES]
            while piece:
                if engine.eof and encoding == "deflate":
                    raise RequestRefused(400, "the body: expected one zlib stream, got more bytes.")
                if engine.eof:  # gzip's streams may follow one another
                    engine = zlib.decompressobj(WINDOW_BITS[encoding])
                inflated += engine.decompress(piece, STEP_BYTES)
                piece = engine.unused_data if engine.eof else engine.unconsumed_tail
                check_length(inflated, most_bytes)
        inflated += engine.flush()
    except zlib.error as error:
        raise RequestRefused(
            400, f"the body: expected the {encoding} of its Content-Encoding, got none: {error}."
        ) from error
    check_length(inflated, most_bytes)
    if not engine.eof:
        raise RequestRefused(400, f"the body: its {encoding} ends in the middle.")
    return bytes(inflated)


def check_length(inflated: bytearray, most_bytes: int) -> None:
    """Raises RequestRefused where it is too long."""
    if len(inflated) > most_bytes:
        raise RequestRefused(
            413, f"the body: expected at most {most_bytes} bytes when decompressed, got more."
        )


def choose_encoding(header: str) -> str:
    """What a response may be compressed by, of the request's Accept-Encoding; empty for nothing."""
    accepted = {}
    for entry in header.lower().split(","):
        name, _, parameters = entry.partition(";")
        accepted[name.strip()] = parameters.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00"}
    everything = accepted.get("*", False)
    return next((name for name in WINDOW_BITS if accepted.get(name, everything)), "")


def deflate(data: bytes, encoding: str) -> bytes:
    """The body as it is sent."""
    if encoding == "gzip":
        return gzip.compress(data, LEVEL, mtime=0)
    return zlib.compress(data, LEVEL) if encoding else data
