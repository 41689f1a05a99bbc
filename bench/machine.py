"""What machine a result was measured on."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

LIBRARIES = ("grpcio", "numpy", "protobuf", "tensorflow-cpu")


def describe_machine() -> dict[str, object]:
    """Processor, cores, memory, system and library versions."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(": ")[1] for line in lines if line.startswith("model name")), "?")
    flags = next((line.split(": ")[1].split() for line in lines if line.startswith("flags")), [])
    return {
        "processor": model,
        "vector": [name for name in ("avx2", "fma", "avx512f", "amx_tile") if name in flags],
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in LIBRARIES},
    }
