"""What machine makes a load: figures mean little without it."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

_LIBRARIES = ("flatdense-client", "grpcio", "numpy", "protobuf")
_CPUINFO = Path("/proc/cpuinfo")


def describe_machine() -> dict[str, object]:
    """Processor, cores that may be used, memory, system and library versions."""
    return {
        "processor": _processor(),
        "cores": _cores(),
        "memory_gib": _memory_gib(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in _LIBRARIES},
    }


def _processor() -> str:
    if _CPUINFO.exists():
        for line in _CPUINFO.read_text().splitlines():
            name, _, told = line.partition(":")
            if name.strip() == "model name":
                return told.strip()
    return platform.processor() or platform.machine()


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory_gib() -> int | None:
    if not hasattr(os, "sysconf"):
        return None
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
