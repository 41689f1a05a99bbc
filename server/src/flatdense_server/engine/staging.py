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
        waiting = iter(parts)
        part = next(waiting)
        for start, stop in self._ladder.cut(rows):
            buffer = self._buffers[self._ladder.fit(stop - start)]
            filled = 0
            while filled < stop - start:
                if len(part) == 0:
                    part = next(waiting)
                piece = part[: stop - start - filled]
                buffer[filled : filled + len(piece)] = piece
                filled += len(piece)
                part = part[len(piece) :]
            yield buffer, filled
