"""Which call is an example of a bucket: the trace of the latest one, in cells of a board.

An exemplar takes several cells, and its writer may be in the middle of them when they are read, or
when it dies. So the last one is a checksum of the others: what does not agree with it is none.
"""

import struct
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from flatdense_server.observe.traces.traceparent import TraceContext

PART_BITS: Final = 48
"""Of an id in one cell: a float64 has whole numbers of up to 53 bits."""

TRACE_PARTS: Final = 3
SPAN_PARTS: Final = 2

FIGURES: Final = 2 + TRACE_PARTS + SPAN_PARTS
"""When, how much, and the two ids."""

CELLS_EACH: Final = FIGURES + 1


@dataclass(frozen=True, slots=True)
class Exemplar:
    """A call that came into a bucket."""

    time_s: float
    """Since the epoch."""
    value: float
    trace: TraceContext


def encode_exemplar(value: float, trace: TraceContext) -> list[float]:
    """The cells of a call of now."""
    now_s = time.time()  # noqa: TID251 -- a date, not a duration
    ids = (*split(trace.trace_id, TRACE_PARTS), *split(trace.span_id, SPAN_PARTS))
    figures = (now_s, value, *ids)
    return [*figures, checksum(figures)]


def decode_exemplars(cells: Sequence[float]) -> list[Exemplar | None]:
    """What the cells of each bucket say; None where they say nothing, or not yet."""
    return [
        decode_exemplar(cells[start : start + CELLS_EACH])
        for start in range(0, len(cells), CELLS_EACH)
    ]


def decode_exemplar(cells: Sequence[float]) -> Exemplar | None:
    """See decode_exemplars()."""
    time_s, value, *ids, total = cells
    if not time_s or total != checksum(cells[:FIGURES]):
        return None
    trace_id, span_id = join(ids[:TRACE_PARTS]), join(ids[TRACE_PARTS:])
    return Exemplar(time_s, value, TraceContext(trace_id, span_id, sampled=True))


def latest(several: Sequence[Sequence[float]]) -> list[float]:
    """Of the cells of several processes, those of the latest exemplar of each bucket."""
    merged: list[float] = []
    for start in range(0, len(several[0]), CELLS_EACH):
        told = [list(cells[start : start + CELLS_EACH]) for cells in several]
        last = max(told, key=told_s)
        merged += last
    return merged


def told_s(cells: list[float]) -> float:
    """When an exemplar was; 0 where there is none."""
    exemplar = decode_exemplar(cells)
    return exemplar.time_s if exemplar else 0.0


def split(number: int, parts: int) -> list[float]:
    """A whole number as float64s, the lowest bits first."""
    mask = (1 << PART_BITS) - 1
    return [float((number >> (PART_BITS * part)) & mask) for part in range(parts)]


def join(parts: Sequence[float]) -> int:
    """The number again."""
    return sum(int(part) << (PART_BITS * index) for index, part in enumerate(parts))


def checksum(figures: Sequence[float]) -> float:
    """Of a torn exemplar it is another one, but for one in four thousand millions."""
    return float(zlib.crc32(struct.pack(f"{len(figures)}d", *figures)))
