"""A compiled library on disk: what it was compiled for, and where it is kept.

One library is one folder of the cache, `<cache-dir>/aot/<name>/`:

    libflatdense_aot.so            the network at every size of the ladder: flatdense_aot.h
    libtensorflow_framework.so.2   the one file of TensorFlow that it needs
    library.json                   what it was compiled for, and the sha256 of the other two

It belongs to an architecture, a ladder, a TensorFlow version and a target, not to a training run.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from flatdense_artifact.digest import digest
from flatdense_artifact.errors import LibraryUnusable
from flatdense_artifact.manifest import Layer
from flatdense_artifact.processor import machine, processor_features

ABI: Final = 2
"""FLATDENSE_AOT_ABI of flatdense_aot.h."""

LIBRARY_NAME: Final = "libflatdense_aot.so"
FRAMEWORK_NAME: Final = "libtensorflow_framework.so.2"
DESCRIPTION_NAME: Final = "library.json"


class NetworkShape(msgspec.Struct, frozen=True, kw_only=True):
    """The architecture as far as compiled code depends on it."""

    pixels: int
    hidden: int
    classes: int


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """The processors that a library runs on."""

    machine: str
    """x86_64, aarch64."""
    cpu: str
    """The compiler's name: x86-64-v3, generic, or a processor's own."""
    features: list[str]
    """What each of them must have, by the names of /proc/cpuinfo."""


class CompiledLibrary(msgspec.Struct, frozen=True, kw_only=True):
    """library.json."""

    abi: int = ABI
    shape: NetworkShape
    ladder_rows: list[int]
    """The compiled batch sizes, ascending; each for uint8 and float32."""
    tensorflow: str
    """The version whose XLA compiled it."""
    target: Target
    files: dict[str, str]
    """Name -> sha256."""

    @property
    def name(self) -> str:
        """What it is called in the cache: everything that a library depends on."""
        shape = self.shape
        return (
            f"{shape.pixels}-{shape.hidden}-{shape.classes}_rows-{self.ladder_rows[-1]}"
            f"_tensorflow-{self.tensorflow}_{self.target.cpu}_abi-{self.abi}"
        )


def libraries_folder(cache_dir: Path) -> Path:
    """Where a cache keeps its libraries."""
    return cache_dir / "aot"


def find_shape(layers: Sequence[Layer]) -> NetworkShape:
    """The architecture that a network with these layers needs a library for.

    Raises LibraryUnusable where it is not the one that is compiled ahead of time.
    """
    kinds = [(layer.kind, layer.activation) for layer in layers]
    if kinds != [("Flatten", None), ("Dense", "relu"), ("Dense", "softmax")]:
        raise LibraryUnusable(
            "only Flatten, Dense(relu), Dense(softmax) is compiled ahead of time, and this is "
            + (", ".join(f"{kind}({activation})" for kind, activation in kinds) or "unknown")
        )
    flatten, hidden, output = (layer.output_shape[0] for layer in layers)
    return NetworkShape(pixels=flatten, hidden=hidden, classes=output)


def write_library(folder: Path, library: CompiledLibrary) -> None:
    """Writes `folder/library.json`."""
    text = msgspec.json.format(msgspec.json.encode(library), indent=2)
    (folder / DESCRIPTION_NAME).write_bytes(text + b"\n")


def read_library(folder: Path) -> CompiledLibrary:
    """Reads `folder/library.json`. Raises LibraryUnusable where it cannot."""
    path = folder / DESCRIPTION_NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=CompiledLibrary)
    except OSError as error:
        raise LibraryUnusable(f"{path} cannot be read: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise LibraryUnusable(f"{path} is damaged: {error}") from error


def find_libraries(cache_dir: Path) -> Iterator[Path]:
    """The folders of a cache that hold a library, in the order of their names."""
    folder = libraries_folder(cache_dir)
    return iter(sorted(path.parent for path in folder.glob(f"*/{DESCRIPTION_NAME}")))


def check_library(folder: Path, library: CompiledLibrary, shape: NetworkShape) -> None:
    """Whether a library can be opened here, and is for an architecture.

    Everything that can be known before is looked at: what does not fit would end the process.
    Raises LibraryUnusable saying what does not.
    """
    target = library.target
    if library.abi != ABI:
        raise LibraryUnusable(f"{folder} has interface {library.abi}; this program uses {ABI}")
    if library.shape != shape:
        raise LibraryUnusable(f"{folder} is for {library.shape}, not {shape}")
    if target.machine != machine():
        raise LibraryUnusable(f"{folder} is for {target.machine}; this machine is {machine()}")
    lacking = sorted(set(target.features) - processor_features())
    if lacking:
        raise LibraryUnusable(
            f"{folder} needs {', '.join(lacking)}, which this processor does not have"
        )
    for name in (LIBRARY_NAME, FRAMEWORK_NAME):
        check_file(folder / name, library.files.get(name))


def check_file(path: Path, sha256: str | None) -> None:
    """Raises LibraryUnusable where a file is missing, altered or cut short."""
    try:
        found = digest(path)
    except OSError as error:
        raise LibraryUnusable(f"{path} cannot be read: {error.strerror}") from error
    if found != sha256:
        raise LibraryUnusable(f"{path} was altered or cut short: its sha256 is not library.json's")
