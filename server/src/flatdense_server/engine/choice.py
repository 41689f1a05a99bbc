"""Which engine runs a version on this machine."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from flatdense_artifact import LibraryUnusable, NetworkShape, find_shape

from flatdense_server.engine.aot import AotEngine, OpenedLibrary, open_library
from flatdense_server.engine.engine import Engine, EngineError
from flatdense_server.engine.files import ModelFiles
from flatdense_server.engine.ladder import Ladder

log = logging.getLogger(__name__)

EngineName: TypeAlias = Literal["auto", "aot", "jit"]
DeviceName: TypeAlias = Literal["auto", "cpu", "gpu"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """What an engine obeys."""

    engine: EngineName
    """auto is aot where a compiled library fits, else jit; aot runs on the CPU alone."""
    device: DeviceName
    max_batch_rows: int
    threads: int
    """How many compute at a time."""
    cache_dir: Path
    """Where compiled libraries are."""


class EngineChoice:
    """Opens versions as engines: ready, compiled at every size. For one thread."""

    def __init__(
        self,
        options: EngineOptions,
        on_compile: Callable[[str], None],
        rest: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_compile(phase)` is called for each compilation, `rest` between pieces of work."""
        self._options = options
        self._on_compile = on_compile
        self._rest = rest
        self._jit_device: str | None = None
        # Checked and opened once: the next version of an architecture takes what is in memory.
        self._libraries: dict[NetworkShape, OpenedLibrary] = {}

    def open(self, files: ModelFiles) -> Engine:
        """Opens a version. The first time that it takes jit, TensorFlow's import takes seconds.

        Raises EngineError or ArtifactError where the engine or the device is not to be had here.
        """
        options = self._options
        if options.engine == "aot" and options.device == "gpu":
            raise EngineError("--engine aot runs on the CPU. Use --engine jit with --device gpu.")
        if options.engine == "jit" or options.device == "gpu":
            return self._open_jit(files)
        try:
            return self._open_aot(files)
        except LibraryUnusable as error:
            if options.engine == "aot":
                raise EngineError(f"--engine aot: {error}.") from error
            log.warning("no compiled library: serving by jit", extra={"reason": str(error)})
            return self._open_jit(files)

    def _open_aot(self, files: ModelFiles) -> Engine:
        options = self._options
        shape = find_shape(files.layers)
        if shape not in self._libraries:
            self._libraries[shape] = open_library(options.cache_dir, shape)
        return AotEngine(
            files.read_weights(),
            library=self._libraries[shape],
            max_batch_rows=options.max_batch_rows,
            threads=options.threads,
            rest=self._rest,
        )

    def _open_jit(self, files: ModelFiles) -> Engine:
        try:
            from flatdense_server.engine import jit  # noqa: PLC0415 -- imports TensorFlow
        except ImportError as error:
            raise EngineError(
                f"the jit engine needs TensorFlow, which cannot be imported ({error}). Install it "
                'with: pip install "flatdense-server[jit]", or compile with flatdense-compile.'
            ) from error
        if self._jit_device is None:
            self._jit_device = jit.prepare_tensorflow(self._options.device, self._options.threads)
        return jit.JitEngine(
            files.saved_model,
            ladder=Ladder.powers_of_two(self._options.max_batch_rows),
            device=self._jit_device,
            on_compile=self._on_compile,
            survey=files.survey,
        )
