"""From an architecture to a library in the cache."""

import contextlib
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Protocol

import tensorflow as tf
from flatdense_artifact import (
    CompiledLibrary,
    NetworkShape,
    Target,
    libraries_folder,
    read_library,
    write_library,
)
from flatdense_artifact.digest import digest
from flatdense_artifact.library import FRAMEWORK_NAME, LIBRARY_NAME

from flatdense_training.aot.graph import compile_functions, functions
from flatdense_training.aot.runtime import compile_flags, compile_runtime
from flatdense_training.aot.toolchain import run_tool
from flatdense_training.aot.wrapper import write_source
from flatdense_training.errors import CompileFailed

TENSORFLOW = Path(tf.__file__).parent


class Progress(Protocol):
    """What a user sees of the work."""

    def function_done(self) -> None:
        """XLA compiled one more batch size."""

    def runtime_done(self) -> None:
        """One more file of the runtime is compiled."""

    def library_done(self) -> None:
        """The library was linked, or tried: one step more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commission:
    """What is to be compiled, and with what."""

    shape: NetworkShape
    ladder_rows: tuple[int, ...]
    target: Target
    compiler: Path
    cache_dir: Path

    @property
    def library(self) -> CompiledLibrary:
        """The description, without the files' digests."""
        return CompiledLibrary(
            shape=self.shape,
            ladder_rows=list(self.ladder_rows),
            tensorflow=tf.__version__,
            target=self.target,
            files={},
        )

    @property
    def folder(self) -> Path:
        """Where the library goes."""
        return libraries_folder(self.cache_dir) / self.library.name


def find_built(commission: Commission) -> Path | None:
    """The library's folder where it was compiled before and is whole."""
    folder = commission.folder
    if not folder.exists():
        return None
    library = read_library(folder)
    wanted = commission.library
    whole = all(
        (folder / name).exists() and digest(folder / name) == sha256
        for name, sha256 in library.files.items()
    )
    return folder if whole and library.ladder_rows == wanted.ladder_rows else None


def build(commission: Commission, progress: Progress) -> Path:
    """Compiles, links and tries a library, and gives its folder; one that was there is replaced.

    It appears by one rename. Raises CompileFailed or OSError; nothing is left behind then, nor
    after Ctrl-C, but the runtime's finished object files.
    """
    with staged(libraries_folder(commission.cache_dir)) as folder:
        work = folder / "work"
        work.mkdir()
        # XLA is one busy thread and the runtime's longest file another.
        with ThreadPoolExecutor(1) as pool:
            runtime = pool.submit(
                compile_runtime,
                TENSORFLOW,
                commission.compiler,
                commission.target,
                runtime_folder(commission),
                progress.runtime_done,
            )
            compile_functions(
                commission.ladder_rows,
                commission.shape,
                commission.target,
                work,
                progress.function_done,
            )
            objects = runtime.result()
        link(commission, work, objects, folder)
        progress.library_done()
        shutil.rmtree(work)
        describe(commission, folder)
        try_out(folder)
        progress.library_done()
        return publish(folder, commission.folder)


def runtime_folder(commission: Commission) -> Path:
    """Where the runtime's object files are kept for the next architecture."""
    name = f"tensorflow-{tf.__version__}_{commission.target.cpu}"
    return commission.cache_dir / "aot-runtime" / name


def link(commission: Commission, work: Path, runtime: list[Path], folder: Path) -> None:
    """Writes the library and the one file of TensorFlow that it needs into `folder`."""
    compiler, target = commission.compiler, commission.target
    source = work / "flatdense_aot.cc"
    source.write_text(write_source(functions(commission.ladder_rows)))
    header = files("flatdense_artifact") / "flatdense_aot.h"
    (work / "flatdense_aot.h").write_text(header.read_text())
    flags = [*compile_flags(TENSORFLOW, target), f"-I{work}"]
    run_tool([compiler, *flags, "-c", source, "-o", source.with_suffix(".o")])
    shutil.copyfile(TENSORFLOW / FRAMEWORK_NAME, folder / FRAMEWORK_NAME)
    run_tool(
        [
            compiler,
            "-shared",
            "-s",
            "-Wl,--gc-sections",
            "-Wl,-rpath,$ORIGIN",
            *sorted(work.glob("*.o")),
            *runtime,
            folder / FRAMEWORK_NAME,
            "-o",
            folder / LIBRARY_NAME,
        ]
    )


def describe(commission: Commission, folder: Path) -> None:
    """Writes library.json."""
    digests = {name: digest(folder / name) for name in (LIBRARY_NAME, FRAMEWORK_NAME)}
    library = commission.library
    write_library(
        folder,
        CompiledLibrary(
            shape=library.shape,
            ladder_rows=library.ladder_rows,
            tensorflow=library.tensorflow,
            target=library.target,
            files=digests,
        ),
    )


def try_out(folder: Path) -> None:
    """Compares every function with numpy, in a process of its own: bad code would end ours.

    Raises CompileFailed.
    """
    done = subprocess.run(  # noqa: S603 -- our own module
        [sys.executable, "-m", "flatdense_training.aot.trial", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise CompileFailed(
            f"The compiled library does not give the right answers (status {done.returncode}): "
            f"{done.stderr.strip()}. Serve with --engine jit, and report it."
        )


@contextlib.contextmanager
def staged(parent: Path) -> Iterator[Path]:
    """A new hidden folder in `parent`, gone when the context ends unless it was renamed."""
    folder = parent / f".build-{secrets.token_hex(4)}"
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish(folder: Path, final: Path) -> Path:
    """Renames a finished library to its name; one that was there moves aside and goes."""
    replaced = final.with_name(f".replaced-{secrets.token_hex(4)}")
    with contextlib.suppress(FileNotFoundError):
        final.rename(replaced)
    folder.rename(final)
    shutil.rmtree(replaced, ignore_errors=True)
    return final
