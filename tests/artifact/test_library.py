"""A compiled library on disk: what does not fit is known before it is opened."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from flatdense_artifact import (
    CompiledLibrary,
    LibraryUnusable,
    Manifest,
    NetworkShape,
    Target,
    check_library,
    find_libraries,
    find_shape,
    libraries_folder,
    read_library,
    write_library,
)
from flatdense_artifact.digest import digest
from flatdense_artifact.library import FRAMEWORK_NAME, LIBRARY_NAME
from flatdense_artifact.processor import machine, processor_features

SHAPE = NetworkShape(pixels=784, hidden=256, classes=10)


@pytest.fixture
def library(tmp_path: Path) -> CompiledLibrary:
    """A description that fits this machine, with files of the right digests beside it."""
    for name in (LIBRARY_NAME, FRAMEWORK_NAME):
        (tmp_path / name).write_text(name)
    return CompiledLibrary(
        shape=SHAPE,
        ladder_rows=[1, 2, 4],
        tensorflow="2.21.0",
        target=Target(machine=machine(), cpu="here", features=sorted(processor_features())),
        files={name: digest(tmp_path / name) for name in (LIBRARY_NAME, FRAMEWORK_NAME)},
    )


def test_what_is_written_is_read(tmp_path: Path, library: CompiledLibrary) -> None:
    """library.json round-trips, and a library that fits passes."""
    write_library(tmp_path, library)
    assert read_library(tmp_path) == library
    check_library(tmp_path, library, SHAPE)


def other_machine(library: CompiledLibrary) -> CompiledLibrary:
    """For another instruction set."""
    target = Target(machine="pdp11", cpu="here", features=[])
    return msgspec.structs.replace(library, target=target)


def other_processor(library: CompiledLibrary) -> CompiledLibrary:
    """For a processor with something that none has."""
    target = Target(machine=machine(), cpu="here", features=["avx9000", *library.target.features])
    return msgspec.structs.replace(library, target=target)


def other_interface(library: CompiledLibrary) -> CompiledLibrary:
    """With a C interface of the future."""
    return msgspec.structs.replace(library, abi=library.abi + 1)


def other_shape(library: CompiledLibrary) -> CompiledLibrary:
    """For a wider network."""
    return msgspec.structs.replace(library, shape=msgspec.structs.replace(SHAPE, hidden=800))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (other_machine, "is for pdp11"),
        (other_processor, "needs avx9000, which this processor does not have"),
        (other_interface, r"has interface \d; this program uses \d"),
        (other_shape, "hidden=800"),
    ],
)
def test_a_library_for_something_else_is_refused(
    tmp_path: Path,
    library: CompiledLibrary,
    change: Callable[[CompiledLibrary], CompiledLibrary],
    reason: str,
) -> None:
    """Another machine, processor, interface or architecture is named before anything is opened."""
    with pytest.raises(LibraryUnusable, match=reason):
        check_library(tmp_path, change(library), SHAPE)


@pytest.mark.parametrize("name", [LIBRARY_NAME, FRAMEWORK_NAME])
def test_an_altered_file_is_refused(tmp_path: Path, library: CompiledLibrary, name: str) -> None:
    """A file that was cut short or is gone would end the process: it is never opened."""
    (tmp_path / name).write_text(name[:-1])
    with pytest.raises(LibraryUnusable, match=f"{name} was altered or cut short"):
        check_library(tmp_path, library, SHAPE)
    (tmp_path / name).unlink()
    with pytest.raises(LibraryUnusable, match=f"{name} cannot be read"):
        check_library(tmp_path, library, SHAPE)


def test_a_damaged_description_is_refused(tmp_path: Path, library: CompiledLibrary) -> None:
    """library.json that is no JSON, or is missing, is named."""
    with pytest.raises(LibraryUnusable, match=r"library\.json cannot be read"):
        read_library(tmp_path)
    write_library(tmp_path, library)
    path = tmp_path / "library.json"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(LibraryUnusable, match=r"library\.json is damaged"):
        read_library(tmp_path)


def test_a_cache_is_searched_by_description(tmp_path: Path, library: CompiledLibrary) -> None:
    """Folders without library.json, and unfinished ones, are no libraries."""
    assert list(find_libraries(tmp_path)) == []
    folder = libraries_folder(tmp_path)
    for name in ("b", "a", "empty"):
        (folder / name).mkdir(parents=True)
    for name in ("b", "a"):
        write_library(folder / name, library)
    assert list(find_libraries(tmp_path)) == [folder / "a", folder / "b"]


def test_only_the_two_layer_network_is_compiled(manifest: Manifest) -> None:
    """An architecture of other layers is named, and never given to compiled code."""
    assert (
        find_shape(manifest.architecture.layers).hidden
        == manifest.architecture.layers[1].output_shape[0]
    )
    architecture = msgspec.structs.replace(
        manifest.architecture,
        layers=[*manifest.architecture.layers, manifest.architecture.layers[1]],
    )
    with pytest.raises(LibraryUnusable, match="is compiled ahead of time"):
        find_shape(architecture.layers)
