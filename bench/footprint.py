"""What a server takes of its machine: the memory and the descriptors of its processes."""

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Self

MB = 1e6

ONE_ARENA = {"MALLOC_ARENA_MAX": "1"}
"""For glibc. It keeps what is freed, for each thread apart: that grows for long, and is no leak."""


@dataclass(frozen=True)
class Footprint:
    """A process and all that it started, together, at one moment."""

    resident_mb: float
    """What two of them share counts twice."""
    descriptors: int


def footprint(pid: int) -> Footprint:
    """Of a process that runs. One of its children may end meanwhile: it then counts nothing."""
    resident_mb, descriptors = 0.0, 0
    for each in [pid, *descendants(pid)]:
        try:
            resident_mb += resident_mb_of(each)
            descriptors += len(os.listdir(f"/proc/{each}/fd"))  # noqa: PTH208 -- names will do
        except FileNotFoundError:
            if each == pid:
                raise
    return Footprint(resident_mb, descriptors)


def descendants(pid: int) -> list[int]:
    """The children of a process, and theirs."""
    found = []
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [int(word) for word in file.read_text().split()]
        except FileNotFoundError:  # the thread has ended
            continue
        for child in children:
            found += [child, *descendants(child)]
    return found


def resident_mb_of(pid: int) -> float:
    """The memory of one process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MB


class FootprintLog(threading.Thread):
    """Takes the footprint of a process again and again, until the context ends."""

    def __init__(self, pid: int, *, every_s: float = 1.0) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._every_s = every_s
        self._ending = threading.Event()
        self.taken: list[Footprint] = []
        """Oldest first."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ending.set()
        self.join()

    def run(self) -> None:
        """On its own thread."""
        self.taken.append(footprint(self._pid))
        while not self._ending.wait(self._every_s):
            self.taken.append(footprint(self._pid))
