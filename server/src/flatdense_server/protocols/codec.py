"""What a protocol gives to the edge for each unary method that classifies."""

from typing import Protocol

from flatdense_server.selector import Selector
from flatdense_server.tensors import Outputs, Rows


class Question(Protocol):
    """A request that was parsed, and not judged yet."""

    @property
    def selector(self) -> Selector:
        """Which version is asked."""
        ...

    def rows(self, *, max_rows: int) -> Rows:
        """A view of the request's bytes. Raises InvalidInput where they are no usable rows."""
        ...


class Codec(Protocol):
    """Bytes to rows, and outputs to bytes. Has no state: any thread may use it."""

    @property
    def method(self) -> str:
        """`package.Service/Method`."""
        ...

    def parse(self, data: bytes) -> Question:
        """The request that `data` encodes. Raises InvalidInput where it encodes none."""
        ...

    def encode(self, outputs: Outputs, *, model_name: str, model_version: int) -> bytes:
        """The answer to one request."""
        ...
