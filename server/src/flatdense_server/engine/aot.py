"""XLA ahead of time: a compiled library, called by ctypes. No TensorFlow in the process."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flatdense_artifact import (
    CompiledLibrary,
    Library,
    LibraryUnusable,
    Manifest,
    Network,
    NetworkShape,
    align_weights,
    allocate,
    check_library,
    find_libraries,
    read_library,
    read_weights,
)

from flatdense_server.engine.engine import EngineSpec
from flatdense_server.engine.ladder import Ladder
from flatdense_server.engine.staging import Staging
from flatdense_server.tensors import FLOAT32, UINT8, Outputs, Rows


@dataclass(frozen=True, slots=True)
class OpenedLibrary:
    """A compiled library that was checked and opened. It stays open as long as the process runs."""

    folder: Path
    description: CompiledLibrary
    code: Library


class AotEngine:
    """Runs a version's weights through the networks of a compiled library.

    The library is one for the version's architecture. Its ladder is the engine's, up to
    `max_batch_rows`. Raises LibraryUnusable or VersionDamaged.
    """

    def __init__(
        self, folder: Path, manifest: Manifest, *, library: OpenedLibrary, max_batch_rows: int
    ) -> None:
        shape = library.description.shape
        ladder = choose_ladder(library.description, max_batch_rows)
        names = [layer.name for layer in manifest.architecture.layers if layer.kind == "Dense"]
        weights = align_weights(read_weights(folder, names))
        self._networks = {}
        self._staging = {}
        for dtype in (UINT8, FLOAT32):
            # One buffer serves every size: only one network runs at a time.
            images = allocate((ladder.top, shape.pixels), dtype)
            buffers = {size: images[:size] for size in ladder.sizes}
            self._staging[dtype] = Staging(ladder, buffers)
            for size, rows in buffers.items():
                network = Network(library.code, images=rows, shape=shape, weights=weights)
                network.run()  # touches every page before a caller waits for it
                self._networks[dtype, size] = network
        self.spec = EngineSpec(name="aot", device="cpu", ladder=ladder, class_count=shape.classes)

    def run(self, parts: Sequence[Rows]) -> Outputs:
        """See Engine.run."""
        dtype = parts[0].dtype
        pieces = []
        for buffer, rows in self._staging[dtype].fill(parts):
            network = self._networks[dtype, len(buffer)]
            network.run()
            # Copied: the next run writes to the same memory.
            pieces.append(
                Outputs(network.probabilities[:rows].copy(), network.classes[:rows].copy())
            )
        return Outputs.join(pieces)

    def close(self) -> None:
        """See Engine.close."""
        self._staging.clear()
        for network in self._networks.values():
            network.close()
        self._networks.clear()


def choose_ladder(library: CompiledLibrary, max_batch_rows: int) -> Ladder:
    """The library's batch sizes up to `max_batch_rows`."""
    sizes = tuple(size for size in library.ladder_rows if size <= max_batch_rows)
    if not sizes:
        raise LibraryUnusable(f"the library has no batch size of at most {max_batch_rows} rows")
    return Ladder(sizes)


def open_library(cache_dir: Path, shape: NetworkShape) -> OpenedLibrary:
    """Opens the library of a cache that runs an architecture here.

    Of several, the one that uses most of what this processor has. Raises LibraryUnusable that
    says, of each library there is, why not.
    """
    usable: list[tuple[int, Path, CompiledLibrary]] = []
    reasons: list[str] = []
    for folder in find_libraries(cache_dir):
        try:
            description = read_library(folder)
            check_library(folder, description, shape)
        except LibraryUnusable as error:
            reasons.append(str(error))
        else:
            usable.append((len(description.target.features), folder, description))
    if not usable:
        raise LibraryUnusable(
            f"no compiled library in {cache_dir} runs this architecture here"
            + (f" ({'; '.join(reasons)})" if reasons else "; flatdense-compile makes one")
        )
    _, folder, description = max(usable, key=lambda found: found[:2])
    return OpenedLibrary(folder, description, Library(folder))
