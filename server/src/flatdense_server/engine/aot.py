"""XLA ahead of time: a compiled library, called by ctypes. No TensorFlow in the process."""

from collections.abc import Sequence
from pathlib import Path

from flatdense_artifact import (
    CompiledLibrary,
    Library,
    LibraryUnusable,
    Manifest,
    Network,
    align_weights,
    allocate,
    check_library,
    find_libraries,
    find_shape,
    read_library,
    read_weights,
)

from flatdense_server.engine.engine import EngineSpec
from flatdense_server.engine.ladder import Ladder
from flatdense_server.engine.staging import Staging
from flatdense_server.tensors import FLOAT32, UINT8, Outputs, Rows


class AotEngine:
    """Runs a version's weights through the networks of a compiled library.

    The library is one that find_library() gave: it was checked there. Its ladder is the engine's,
    up to `max_batch_rows`. Raises LibraryUnusable or VersionDamaged.
    """

    def __init__(
        self, folder: Path, manifest: Manifest, *, library: Path, max_batch_rows: int
    ) -> None:
        shape = find_shape(manifest)
        description = read_library(library)
        ladder = choose_ladder(description, max_batch_rows)
        names = [layer.name for layer in manifest.architecture.layers if layer.kind == "Dense"]
        weights = align_weights(read_weights(folder, names))
        opened = Library(library)
        self._networks = {}
        self._staging = {}
        for dtype in (UINT8, FLOAT32):
            # One buffer serves every size: only one network runs at a time.
            images = allocate((ladder.top, shape.pixels), dtype)
            buffers = {size: images[:size] for size in ladder.sizes}
            self._staging[dtype] = Staging(ladder, buffers)
            for size, rows in buffers.items():
                network = Network(opened, images=rows, shape=shape, weights=weights)
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


def find_library(cache_dir: Path, manifest: Manifest) -> Path:
    """The library of a cache that runs a version on this processor; a native one before others.

    Raises LibraryUnusable that says, of each library there is, why not.
    """
    shape = find_shape(manifest)
    usable: list[tuple[int, Path]] = []
    reasons: list[str] = []
    for folder in find_libraries(cache_dir):
        try:
            library = read_library(folder)
            check_library(folder, library, shape)
        except LibraryUnusable as error:
            reasons.append(str(error))
        else:
            usable.append((len(library.target.features), folder))
    if usable:
        return max(usable)[1]
    raise LibraryUnusable(
        f"no compiled library in {cache_dir} runs this architecture here"
        + (f" ({'; '.join(reasons)})" if reasons else "; flatdense-compile makes one")
    )
