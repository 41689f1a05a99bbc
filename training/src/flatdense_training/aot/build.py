"""From an architecture to a library in the cache."""

import contextlib
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Protocol

import tensorflow as tf
from flatdense_artifact import (
    CompiledLibrary,
    LibraryUnusable,
    NetworkShape,
    Target,
    libraries_folder,
    read_library,
    write_library,
)
from flatdense_artifact.digest import digest
from flatdense_artifact.library import FRAMEWORK_NAME, LIBRARY_NAME
from flatdense_artifact.processor import BASELINES, WIDE

from flatdense_training.aot.graph import compile_functions, functions
from flatdense_training.aot.runtime import compile_flags, compile_runtime
from flatdense_training.aot.toolchain import Toolchain
from flatdense_training.aot.wrapper import write_source
from flatdense_training.errors import CompileFailed
from flatdense_training.staging import rename_if_free, staged

TENSORFLOW = Path(tf.__file__).parent

UNKNOWN_PROCESSOR = "is not a recognized processor"
"""What LLVM says on stderr."""


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
    """What is to be compiled."""

    shape: NetworkShape
    ladder_rows: tuple[int, ...]
    target: Target
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
    folder, wanted = commission.folder, commission.library
    try:
        library = read_library(folder)
        whole = all(digest(folder / name) == sha256 for name, sha256 in library.files.items())
    except (LibraryUnusable, OSError):  # it is not there, or it is damaged and will be replaced
        return None
    return folder if whole and library.ladder_rows == wanted.ladder_rows else None


def build(commissions: Sequence[Commission], compiler: Path, progress: Progress) -> list[Path]:
    """Compiles, links and tries libraries, and gives their folders; one that was there is replaced.

    Each appears by one rename. Raises CompileFailed or OSError; nothing is left behind then, nor
    after Ctrl-C, but libraries and object files of the runtime that were finished before.
    """
    with (
        ExitStack() as stages,
        # XLA is one busy thread and each runtime's longest file another. This one waits, and Ctrl-C
        # comes to it: within TensorFlow the exception could be lost.
        ThreadPoolExecutor(1 + len(commissions)) as pool,
        Toolchain(compiler) as toolchain,  # left first, so that the threads end
    ):
        folders = [
            stages.enter_context(staged(libraries_folder(each.cache_dir))) for each in commissions
        ]
        for commission, folder in zip(commissions, folders, strict=True):
            check_processor(commission.target, folder)
        runtimes = [
            pool.submit(
                compile_runtime,
                TENSORFLOW,
                toolchain,
                commission.target,
                runtime_folder(commission),
                progress.runtime_done,
            )
            for commission in commissions
        ]
        twin = None
        for commission, runtime, folder in zip(commissions, runtimes, folders, strict=True):
            build_one(commission, runtime, folder, pool, toolchain, progress, twin)
            twin = commission.folder
    return [commission.folder for commission in commissions]


def build_one(
    commission: Commission,
    runtime: Future[list[Path]],
    folder: Path,
    pool: ThreadPoolExecutor,
    toolchain: Toolchain,
    progress: Progress,
    twin: Path | None,
) -> None:
    """Makes one library in a new `folder`, on the pool's threads, and publishes it.

    `twin` is the folder of one that was just made.
    """
    work, finished = folder / "work", folder / "finished"
    work.mkdir()
    finished.mkdir()

    def function_done() -> None:
        progress.function_done()
        toolchain.check()

    graphs = pool.submit(
        compile_functions,
        commission.ladder_rows,
        commission.shape,
        commission.target,
        work,
        function_done,
    )
    for part in as_completed((graphs, runtime)):
        part.result()  # where one failed there is no use in the other
    pool.submit(compile_interface, commission, toolchain, work).result()
    provide_framework(finished, twin)
    pool.submit(link, toolchain, work, runtime.result(), finished).result()
    progress.library_done()
    describe(commission, finished)
    try_out(finished)
    progress.library_done()
    # On another thread, where Ctrl-C does not come between its renames.
    pool.submit(publish, finished, commission.folder, folder / "replaced").result()


def check_processor(target: Target, folder: Path) -> None:
    """Whether XLA knows a processor, tried in a new folder in `folder`.

    In a process of its own: one that it does not know would end ours. Raises CompileFailed.
    """
    if target.cpu in {BASELINES[target.machine][0], WIDE[0]}:
        return  # which tests try
    sample = folder / "sample"
    sample.mkdir()
    done = subprocess.run(  # noqa: S603 -- our own module
        [
            *(sys.executable, "-m", "flatdense_training.aot.sample"),
            *(target.machine, target.cpu, sample),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    # Whatever else went wrong, a full disk, goes wrong again, and is told better.
    if UNKNOWN_PROCESSOR in done.stderr or done.returncode < 0:
        raise CompileFailed(
            f"XLA of TensorFlow {tf.__version__} does not know this processor, which the C++ "
            f"compiler calls {target.cpu}. Compile with --target portable."
        )


def runtime_folder(commission: Commission) -> Path:
    """Where the runtime's object files are kept for the next architecture."""
    name = f"tensorflow-{tf.__version__}_{commission.target.cpu}"
    return commission.cache_dir / "aot-runtime" / name


def provide_framework(folder: Path, twin: Path | None) -> None:
    """Puts the one file of TensorFlow that a library needs beside it, once on the disk for both."""
    if twin:
        with contextlib.suppress(OSError):  # a file system without links, or it was moved aside
            (folder / FRAMEWORK_NAME).hardlink_to(twin / FRAMEWORK_NAME)
            return
    shutil.copyfile(TENSORFLOW / FRAMEWORK_NAME, folder / FRAMEWORK_NAME)


def compile_interface(commission: Commission, toolchain: Toolchain, work: Path) -> None:
    """Writes the C interface of the functions, and compiles it."""
    source = work / "flatdense_aot.cc"
    source.write_text(write_source(functions(commission.ladder_rows)))
    header = files("flatdense_artifact") / "flatdense_aot.h"
    (work / "flatdense_aot.h").write_text(header.read_text())
    flags = [*compile_flags(TENSORFLOW, commission.target), f"-I{work}"]
    toolchain.run([*flags, "-c", source], source.with_suffix(".o"))


def link(toolchain: Toolchain, work: Path, runtime: list[Path], folder: Path) -> None:
    """Writes the library into `folder`, where the one file of TensorFlow that it needs is."""
    toolchain.run(
        [
            "-shared",
            "-s",
            "-Wl,--gc-sections",
            "-Wl,-rpath,$ORIGIN",
            *sorted(work.glob("*.o")),
            *runtime,
            folder / FRAMEWORK_NAME,
        ],
        folder / LIBRARY_NAME,
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
    if done.returncode == -signal.SIGILL:
        raise CompileFailed(
            "The compiled library has an instruction that is refused here: this processor has less "
            "than others of its name, or a virtual machine hides some. "
            "Compile with --target portable."
        )
    if done.returncode:
        raise CompileFailed(
            f"The compiled library does not give the right answers (status {done.returncode}): "
            f"{done.stderr.strip()}. Serve with --engine jit, and report it."
        )


def publish(finished: Path, name: Path, aside: Path) -> None:
    """Renames a finished library to its name; what was there moves into `aside`, a new folder."""
    aside.mkdir()
    while not rename_if_free(finished, name):
        with contextlib.suppress(FileNotFoundError):  # where another run moved it aside
            name.rename(aside / secrets.token_hex(4))
