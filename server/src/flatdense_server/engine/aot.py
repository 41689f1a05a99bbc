"""XLA ahead of time: a compiled library, called by ctypes. No TensorFlow in the process."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

import numpy as np
from flatdense_artifact import (
    CompiledLibrary,
    Library,
    LibraryUnusable,
    Network,
    NetworkShape,
    Weights,
    align_weights,
    allocate,
    check_library,
    find_libraries,
    read_library,
)

from flatdense_server.engine.engine import EngineSpec
from flatdense_server.engine.ladder import Ladder
from flatdense_server.engine.staging import Staging
from flatdense_server.tensors import FLOAT32, UINT8, DType, Outputs, Rows

MIN_PIECE_ROWS: Final = 128
"""Fewer are computed before another thread has begun."""

EXECUTION_ROWS: Final = 8
"""An execution costs what so many rows do, beside its own: bench/engines.py."""


@dataclass(frozen=True, slots=True)
class OpenedLibrary:
    """A compiled library that was checked and opened.

    It stays open as long as the process runs: TensorFlow's part of it leaves destructors with every
    thread that used it, and to unload it ends the process when such a thread ends.
    """

    folder: Path
    description: CompiledLibrary
    code: Library


class AotEngine:
    """Runs a version's weights through the networks of a compiled library.

    The library is one for the architecture of the weights. Its ladder is the engine's, up to
    `max_batch_rows`. A big batch is computed in equal pieces, on as many as `threads` threads.
    `rest` is called between the pieces of the constructor's work. Raises LibraryUnusable or
    VersionDamaged.
    """

    def __init__(
        self,
        weights: Weights,
        *,
        library: OpenedLibrary,
        max_batch_rows: int,
        threads: int,
        rest: Callable[[], None] = lambda: None,
    ) -> None:
        shape = library.description.shape
        ladder = choose_ladder(library.description, max_batch_rows, threads)
        weights = align_weights(weights, shape)
        self._networks: dict[tuple[DType, int], list[Network]] = {}
        self._staging = {}
        # This thread's own piece needs no other thread.
        self._pool = ThreadPoolExecutor(max(1, threads - 1), thread_name_prefix="aot")
        for dtype in (UINT8, FLOAT32):
            # One buffer serves every size: only one batch runs at a time.
            images = allocate((ladder.top, shape.pixels), dtype)
            buffers = {size: images[:size] for size in ladder.sizes}
            self._staging[dtype] = Staging(ladder, buffers)
            for size, rows in buffers.items():
                networks = self._networks[dtype, size] = []
                for piece in np.split(rows, count_pieces(size, ladder, threads)):
                    network = Network(library.code, images=piece, shape=shape, weights=weights)
                    networks.append(network)
                    network.run()  # touches every page before a caller waits for it
                    rest()
        self.spec = EngineSpec(
            name="aot",
            device="cpu",
            ladder=ladder,
            class_count=shape.classes,
            hidden_count=shape.hidden,
        )

    def run(self, parts: Sequence[Rows], *, hidden: bool = False) -> Outputs:
        """See Engine.run."""
        dtype = parts[0].dtype
        pieces: list[Outputs] = []
        for buffer, rows in self._staging[dtype].fill(parts):
            networks = self._networks[dtype, len(buffer)]
            self._compute(networks)
            pieces += copy_outputs(networks, rows, hidden=hidden)
        return Outputs.join(pieces)

    def close(self) -> None:
        """See Engine.close."""
        self._pool.shutdown()
        self._staging.clear()
        for network in chain.from_iterable(self._networks.values()):
            network.close()
        self._networks.clear()

    def _compute(self, networks: list[Network]) -> None:
        first, *others = networks
        if not others:
            first.run()
            return
        runs = [self._pool.submit(network.run) for network in others]
        try:
            first.run()
        finally:
            wait(runs)  # the next batch writes to the rows that they read
        for run in runs:
            run.result()


def copy_outputs(networks: list[Network], rows: int, *, hidden: bool) -> list[Outputs]:
    """The first `rows` rows of them all: the next run writes to the same memory."""
    pieces: list[Outputs] = []
    for network in networks:
        if rows > 0:
            probabilities, classes = network.probabilities[:rows], network.classes[:rows]
            activations = network.hidden[:rows].copy() if hidden else None
            pieces.append(Outputs(probabilities.copy(), classes.copy(), activations))
        rows -= len(network.classes)
    return pieces


def count_pieces(size: int, ladder: Ladder, threads: int) -> int:
    """Into how many equal pieces of the ladder a batch size is cut for so many threads."""

    def fits(pieces: int) -> bool:
        rows, rest = divmod(size, pieces)
        return rest == 0 and rows in ladder.sizes and rows >= MIN_PIECE_ROWS

    return max((pieces for pieces in range(2, threads + 1) if fits(pieces)), default=1)


def choose_ladder(library: CompiledLibrary, max_batch_rows: int, threads: int) -> Ladder:
    """The library's batch sizes up to `max_batch_rows`, and what each costs, in one thread's rows.

    Raises LibraryUnusable: it has none.
    """
    sizes = tuple(size for size in library.ladder_rows if size <= max_batch_rows)
    if not sizes:
        raise LibraryUnusable(f"the library has no batch size of at most {max_batch_rows} rows")
    ladder = Ladder(sizes)
    costs = (EXECUTION_ROWS + size / count_pieces(size, ladder, threads) for size in sizes)
    return Ladder(sizes, tuple(costs))


def open_library(cache_dir: Path, shape: NetworkShape) -> OpenedLibrary:
    """Opens the library of a cache that runs an architecture here.

    Of several, the one that uses most of what this processor has. Raises LibraryUnusable that
    says, of each library there is, why not.
    """
    described: list[tuple[int, Path, CompiledLibrary]] = []
    reasons: list[str] = []
    for folder in find_libraries(cache_dir):
        try:
            description = read_library(folder)
        except LibraryUnusable as error:
            reasons.append(str(error))
        else:
            described.append((len(description.target.features), folder, description))
    # Checked in turn, the best first: to read a library whole delays the first answer.
    for _, folder, description in sorted(described, key=lambda found: found[:2], reverse=True):
        try:
            check_library(folder, description, shape)
            return OpenedLibrary(folder, description, Library(folder))
        except LibraryUnusable as error:
            reasons.append(str(error))
    raise LibraryUnusable(
        f"no compiled library in {cache_dir} runs this architecture here"
        + (f" ({'; '.join(reasons)})" if reasons else "; flatdense-compile makes one")
    )
