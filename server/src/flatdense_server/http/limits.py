"""How much of a request is read, before a worker judges it."""

from dataclasses import dataclass
from typing import Final

from flatdense_server.tensors import IMAGE_SHAPE, PIXELS

VALUE_BYTES: Final = 30
"""Of a number in JSON: 17 digits, sign, exponent, comma, and an indented line for itself."""

WIDEST_BYTES: Final = 8
"""Of a number in a tensor."""

ROW_PARTS: Final = PIXELS + IMAGE_SHAPE[0] + 2
"""Numbers, lists and objects in a row of JSON."""

SPARE_PARTS: Final = 1 << 12
"""All that stands around the rows."""

SPARE_BYTES: Final = 1 << 20

MAX_TEXT: Final = 1024
"""Characters of a name: messages repeat it, and gRPC bounds those."""

MAX_ENTRIES: Final = 64
"""Tensors of a request, parameters of a tensor, dimensions of a shape."""

HELD_BODIES: Final = 8
"""The biggest bodies that are in memory at a time; any number of smaller ones of that size."""

THREADS: Final = 2
"""That translate at a time. More would wait for each other: Python has one lock."""


MAX_HEADER_BYTES: Final = 1 << 14
"""Of a request's line and headers, as gRPC has it."""

MAX_CONNECTIONS: Final = 1024
"""Beyond them new ones are closed."""

IDLE_S: Final = 30.0
"""For a request's headers to arrive."""

TAKE_S: Final = 30.0
"""For a caller to take what it is sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What follows from the biggest request that is served.

    Those that are somewhat bigger are let in: a worker refuses them with a better message.
    """

    max_request_rows: int
    upload_s: float = 30.0
    """For a body to arrive."""
    max_requests: int = 256
    """With a body, read or answered at a time."""

    @property
    def body_bytes(self) -> int:
        """Of one body, as it comes and once it is decompressed."""
        return self.max_request_rows * PIXELS * VALUE_BYTES + SPARE_BYTES

    @property
    def json_parts(self) -> int:
        """Commas, brackets and braces of a document. Each value in memory takes one of them."""
        return 2 * self.max_request_rows * ROW_PARTS + SPARE_PARTS

    @property
    def message_bytes(self) -> int:
        """Of what is passed on to a worker. Its gRPC server takes in as much."""
        return self.max_request_rows * PIXELS * WIDEST_BYTES + SPARE_BYTES

    @property
    def held_bytes(self) -> int:
        """Of all bodies together."""
        return HELD_BODIES * self.body_bytes
