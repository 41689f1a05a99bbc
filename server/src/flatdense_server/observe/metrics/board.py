"""Figures in memory that the processes of one service share."""

import ctypes
import json
from array import array
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any, Final, TypeAlias

INDEX_BYTES: Final = 1 << 19
CELLS: Final = 1 << 16

HEAD: Final = 0
"""The cell that says which index counts, and how many of its bytes: both in one piece."""

TAKEN: Final = 1
"""The cell that says how many cells were ever in use."""

EDITION: Final = 1 << 20
"""In the head, the number of the index's edition comes in steps of this; the rest is its bytes."""

CELL_BYTES: Final = 8

Cells: TypeAlias = "memoryview[float]"
"""Of float64s. Through a view each is read and written in half the time of ctypes."""

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

    One process writes; any may read at any time, after the writer's death too. A series is in the
    index only when it is whole, and a cell is written in one piece. Series that go leave a new
    edition of the index, written beside the old one; their cells become those of others. Who has
    read meanwhile sees that the edition is another one, and reads again.

    The memory has no name: it goes with the last process that has it. A board can be an argument of
    a process that is spawned, before anything is added.
    """

    def __init__(self) -> None:
        context = get_context("spawn")
        # Raw: a lock that is shared stays locked for ever where its holder is killed.
        self._editions: tuple[Index, Index] = (
            context.RawArray(ctypes.c_char, INDEX_BYTES),
            context.RawArray(ctypes.c_char, INDEX_BYTES),
        )
        self._memory: Any = context.RawArray(ctypes.c_double, CELLS)
        self.cells = view(self._memory)
        """The figures."""
        self.cells[TAKEN] = TAKEN + 1
        # What follows is the writer's own.
        self._lines: dict[int, bytes] = {}
        self._free: defaultdict[int, list[int]] = defaultdict(list)

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "cells": None}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self.cells = view(self._memory)

    def add(self, family: str, labels: Sequence[str], count: int) -> Series:
        """A series of `count` cells that are 0. For one thread at a time, like remove().

        Raises BoardFull.
        """
        edition, indexed = divmod(int(self.cells[HEAD]), EDITION)
        free, taken = self._free[count], int(self.cells[TAKEN])
        start = free[-1] if free else taken
        line = json.dumps([family, labels, start, count]).encode() + b"\n"
        if start + count > CELLS or indexed + len(line) > INDEX_BYTES:
            raise BoardFull(f"there is no place for the series {family}{tuple(labels)}")
        if free:
            free.pop()
            self.cells[start : start + count] = array("d", bytes(count * CELL_BYTES))
        else:
            self.cells[TAKEN] = start + count
        self._editions[edition % 2][indexed : indexed + len(line)] = line
        self.cells[HEAD] = edition * EDITION + indexed + len(line)
        self._lines[start] = line
        return Series(family, tuple(labels), start, count)

    def remove(self, gone: Collection[Series]) -> None:
        """Takes series out. Whoever wrote their cells has been told to write elsewhere."""
        if not gone:
            return
        for series in gone:
            del self._lines[series.start]
        edition = int(self.cells[HEAD]) // EDITION + 1
        index = b"".join(self._lines.values())
        self._editions[edition % 2][: len(index)] = index
        self.cells[HEAD] = edition * EDITION + len(index)
        for series in gone:
            self._free[series.count].append(series.start)

    def read(self) -> list[tuple[Series, list[float]]]:
        """Every series with its figures, in the order of their beginning."""
        while True:
            edition, indexed = divmod(int(self.cells[HEAD]), EDITION)
            index: bytes = self._editions[edition % 2][:indexed]
            cells: list[Any] = self.cells[: int(self.cells[TAKEN])].tolist()
            if int(self.cells[HEAD]) // EDITION == edition:
                break
        found = []
        for line in index.splitlines():
            family, labels, start, count = json.loads(line)
            series = Series(family, tuple(labels), start, count)
            found.append((series, cells[start : start + count]))
        return found


def view(memory: Any) -> Cells:  # noqa: ANN401 -- an array that ctypes has no type for
    """Float64s of the machine's own byte order."""
    cells: Cells = memoryview(memory).cast("B").cast("d")
    return cells
