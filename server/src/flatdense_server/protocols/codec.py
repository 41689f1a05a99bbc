"""What a protocol gives to the edge for each method that classifies."""

from typing import Protocol

from flatdense_server.selector import Selector
from flatdense_server.summary import Identity
from flatdense_server.tensors import Outputs, Rows


class Question(Protocol):
    """A request that was parsed, and not judged yet."""

    @property
    def selector(self) -> Selector:
        """Which version is asked."""
        ...

    @property
    def hidden(self) -> bool:
        """Whether the answer needs the hidden activations; rows() gives float32 then."""
        ...

    @property
    def timeout_s(self) -> float | None:
        """How long the request itself, beside its call's deadline, is worth an answer."""
        ...

    def rows(self, *, max_rows: int) -> Rows:
        """The request's rows: a view of its bytes, where they need no conversion.

        Raises RequestError where they are no usable rows, or ask for what there is not. Before
        timeout_s and answer() are asked.
        """
        ...

    def answer(self, outputs: Outputs, answerer: Identity) -> bytes:
        """The message that answers it. Raises RequestError where these outputs cannot."""
        ...


class Codec(Protocol):
    """How the messages of one method are written. Has no state: any thread may use it."""

    @property
    def method(self) -> str:
        """`package.Service/Method`."""
        ...

    def parse(self, data: bytes) -> Question:
        """The request that `data` encodes. Raises InvalidInput where it encodes none."""
        ...

    def refusal(self, data: bytes, text: str) -> bytes | None:
        """The message that tells a stream of a refused request, and lets it go on.

        None where a refused request ends the stream with its status.
        """
        ...
