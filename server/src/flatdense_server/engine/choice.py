"""Which engine runs a version on this machine."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from flatdense_server.engine.cpus import usable_cpus
from flatdense_server.engine.engine import Engine, EngineError
from flatdense_server.engine.ladder import Ladder

EngineName = Literal["auto", "aot", "jit"]
DeviceName = Literal["auto", "cpu", "gpu"]


def prepare_engine(
    engine: EngineName,
    device: DeviceName,
    ladder: Ladder,
    on_compile: Callable[[str], None],
) -> Callable[[Path], Engine]:
    """Gives what opens a version's folder as an engine: ready, compiled at every size.

    Called once a process; the first call imports TensorFlow, which takes seconds. Raises
    EngineError where the engine or the device is not to be had here.
    """
    if engine == "aot":
        raise EngineError(
            "--engine aot: there is no compiled library for this architecture and processor. "
            "Use --engine auto or --engine jit."
        )
    try:
        from flatdense_server.engine import jit  # noqa: PLC0415 -- imports TensorFlow
    except ImportError as error:
        raise EngineError(
            f"the jit engine needs TensorFlow, which cannot be imported ({error}). "
            'Install it with: pip install "flatdense-server[jit]"'
        ) from error
    used_device = jit.prepare_tensorflow(device, usable_cpus())

    def open_engine(folder: Path) -> Engine:
        return jit.JitEngine(folder, ladder=ladder, device=used_device, on_compile=on_compile)

    return open_engine
