"""What instructions a processor has, and which a compiled library needs.

An instruction that a processor lacks ends the process: it is looked up before a library is opened.
The names are those of Linux's /proc/cpuinfo.
"""

import platform
from pathlib import Path
from typing import Final

CPUINFO: Final = Path("/proc/cpuinfo")

BASELINES: Final = {
    # The x86-64-v3 level of the x86-64 psABI; Linux says `abm` for lzcnt, and v2 comes with it.
    "x86_64": (
        "x86-64-v3",
        frozenset({"abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe"}),
    ),
    # Not "armv8-a", which LLVM has only as an architecture: for a processor that it does not know
    # it calls functions of software floating point, which no library has.
    "aarch64": ("generic", frozenset({"asimd", "fp"})),
}
"""Machine -> the portable target, and what it needs."""

WIDE: Final = (
    "x86-64-v4",
    BASELINES["x86_64"][1] | {"avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl"},
)
"""The level of the psABI with AVX-512, and what it needs."""

VECTOR_PREFIXES: Final = (
    "abm",
    "adx",
    "amx",
    "asimd",
    "atomics",
    "avx",
    "bf16",
    "bmi",
    "crc32",
    "cssc",
    "f16c",
    "fcma",
    "flagm",
    "fma",
    "fp",
    "frint",
    "gfni",
    "i8mm",
    "ilrcpc",
    "jscvt",
    "lrcpc",
    "lse128",
    "mops",
    "movbe",
    "sse",
    "ssse",
    "sve",
    "uscat",
    "vaes",
    "vpclmul",
)
"""The features that a compiler may use where it may use all that this processor has."""


def machine() -> str:
    """The instruction set: x86_64, aarch64."""
    return platform.machine()


def processor_features(cpuinfo: Path = CPUINFO) -> frozenset[str]:
    """The features that every processor of this machine has; empty where Linux does not tell."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return frozenset()
    features = [
        frozenset(line.partition(":")[2].split())
        for line in lines
        if line.startswith(("flags", "Features"))
    ]
    return frozenset.intersection(*features) if features else frozenset()


def vector_features(features: frozenset[str]) -> frozenset[str]:
    """Those of the features that a compiler may use."""
    return frozenset(name for name in features if name.startswith(VECTOR_PREFIXES))
