"""Figures in memory that the processes of one service share."""

import ctypes
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any, Final, TypeAlias, cast

INDEX_BYTES: Final = 1 << 19
CELLS: Final = 1 << 16

INDEXED: Final = 0
"""The cell that says how many bytes of the index are written."""

TAKEN: Final = 1
"""The cell that says how many cells are in use."""

Cells: TypeAlias = "ctypes.Array[ctypes.c_double]"
Index: TypeAlias = Any  # typeshed takes an array of c_char for a list


class BoardFull(Exception):
    """There is no place for another series."""


@dataclass(frozen=True, slots=True)
class Series:
    """One set of labels of one family, and its figures."""

    family: str
    labels: tuple[str, ...]
    start: int
    """Its first cell."""
    count: int


class Board:
    """Float64 cells, and an index that says what they are.

    One process writes; any may read at any time, after the writer's death too: a series is in the
    index only when it is whole, and a cell is written in one piece. The memory has no name: it goes
    with the last process that has it. A board can be an argument of a process that is spawned.
    """

    def __init__(self) -> None:
        context = get_context("spawn")
        # Raw: a lock that is shared stays locked for ever where its holder is killed.
        self._index: Index = context.RawArray(ctypes.c_char, INDEX_BYTES)
        self._cells = cast("Cells", context.RawArray(ctypes.c_double, CELLS))
        self._cells[TAKEN] = TAKEN + 1

    @property
    def cells(self) -> Cells:
        """The figures."""
        return self._cells

    def add(self, family: str, labels: Sequence[str], count: int) -> Series:
        """A series of `count` cells that are 0. For one thread at a time.

        Raises BoardFull.
        """
        start, indexed = int(self._cells[TAKEN]), int(self._cells[INDEXED])
        line = json.dumps([family, labels, start, count]).encode() + b"\n"
        if start + count > CELLS or indexed + len(line) > INDEX_BYTES:
            raise BoardFull(f"there is no place for the series {family}{tuple(labels)}")
        self._cells[TAKEN] = start + count
        self._index[indexed : indexed + len(line)] = line
        self._cells[INDEXED] = indexed + len(line)
        return Series(family, tuple(labels), start, count)

    def read(self) -> Iterator[tuple[Series, list[float]]]:
        """Every series with its figures, in the order of their beginning."""
        index = self._index[: int(self._cells[INDEXED])]
        for line in index.splitlines():
            family, labels, start, count = json.loads(line)
            yield Series(family, tuple(labels), start, count), self._cells[start : start + count]
