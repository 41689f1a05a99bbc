"""The ladder's input buffers: where the rows of many requests become one batch."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from flatdense_server.engine.ladder import Ladder
from flatdense_server.tensors import PIXELS, DType, Rows


class Staging:
    """One input buffer for each size of the ladder, all of one dtype. For one thread.

    The buffers are zeros of our own, or those that an engine's code reads from. What an earlier
    batch left behind a shorter one is computed as padding and never looked at: rows do not see each
    other in a dense network.
    """

    def __init__(self, ladder: Ladder, buffers: Mapping[int, Rows]) -> None:
        self._ladder = ladder
        self._buffers = buffers

    @classmethod
    def allocate(cls, ladder: Ladder, dtype: DType) -> "Staging":
        """Buffers of our own."""
        return cls(ladder, {size: np.zeros((size, PIXELS), dtype) for size in ladder.sizes})

    def fill(self, parts: Sequence[Rows]) -> Iterator[tuple[Rows, int]]:
        """Copies the rows of all parts, in order, into executions: (padded buffer, rows in it).

        A buffer is valid until the next step of the iterator.
        """
        rows = sum(map(len, parts))
        for start, stop in self._ladder.cut(rows):
            buffer = self._buffers[self._ladder.fit(stop - start)]
            pieces = parts if stop - start == rows else cut_parts(parts, start, stop)
            if len(pieces) == 1:  # a lone caller waits for less than half as long as concatenate()
                buffer[: stop - start] = pieces[0]
            else:
                np.concatenate(pieces, out=buffer[: stop - start])
            yield buffer, stop - start


def cut_parts(parts: Sequence[Rows], start: int, stop: int) -> list[Rows]:
    """The rows `start` to `stop` of all parts, as views."""
    pieces: list[Rows] = []
    first = 0
    for part in parts:
        if first < stop and first + len(part) > start:
            pieces.append(part[max(0, start - first) : stop - first])
        first += len(part)
    return pieces
