"""Which processors a library is compiled for."""

import subprocess
from pathlib import Path
from typing import Literal

from flatdense_artifact import Target
from flatdense_artifact.processor import (
    BASELINES,
    WIDE,
    machine,
    processor_features,
    vector_features,
)

from flatdense_training.aot.toolchain import find_compiler
from flatdense_training.errors import CompileFailed

TargetName = Literal["auto", "portable", "native"]

TRIPLES = {"x86_64": "x86_64-pc-linux-gnu", "aarch64": "aarch64-unknown-linux-gnu"}
"""Machine -> LLVM's name of it."""

LLVM_NAMES = {"ares": "neoverse-n1", "zeus": "neoverse-v1", "demeter": "neoverse-n2"}
"""Arm's code names, which gcc gives and takes -> the names that LLVM knows, and gcc as well."""


def choose_targets(name: TargetName) -> list[Target]:
    """The portable baseline of this machine, or exactly this processor.

    By `auto` the baseline, and beside it the level with AVX-512 where this processor has that, for
    no library is kept that was not tried. Of several the server opens the best for its processor.

    Raises CompileFailed on a machine that libraries are not compiled for, and where the compiler is
    wanted, to name this processor, and there is none.
    """
    if machine() not in BASELINES:
        raise CompileFailed(
            f"Libraries are compiled on {' and '.join(BASELINES)}; this machine is {machine()}. "
            "Serve with --engine jit."
        )
    levels = [BASELINES[machine()]]
    here = processor_features()
    if name == "auto" and machine() == "x86_64" and here >= WIDE[1]:
        levels.append(WIDE)
    elif name == "native":
        levels = [native_level(here)]
    return [Target(machine=machine(), cpu=cpu, features=sorted(needs)) for cpu, needs in levels]


def native_level(here: frozenset[str]) -> tuple[str, frozenset[str]]:
    """The name of this processor, which has the features `here`, and what it needs of them."""
    cpu, features = BASELINES[machine()]
    compiler = find_compiler()
    native = native_cpu(compiler)
    if here >= WIDE[1] and not knows_avx512(compiler, native):
        return WIDE
    if native == cpu:  # gcc calls an ARM processor that it does not know generic
        return cpu, features
    return native, features | vector_features(here)


def native_cpu(compiler: Path) -> str:
    """The compiler's name of this processor, which is LLVM's too."""
    option = "-march" if machine() == "x86_64" else "-mcpu"
    done = subprocess.run(  # noqa: S603 -- the compiler that was found
        [compiler, f"{option}=native", "-Q", "--help=target"],
        capture_output=True,
        text=True,
        check=False,
    )
    for line in done.stdout.splitlines():
        key, _, value = line.strip().partition("=")
        # On ARM gcc appends what it found beside the name: neoverse-n1+crypto. Where there are two
        # kinds of cores it names both: cortex-a76.cortex-a55, with the same instructions.
        # LLVM takes one name.
        cpu = value.strip().partition("+")[0].partition(".")[0]
        if key == option and cpu:
            return LLVM_NAMES.get(cpu, cpu)
    raise CompileFailed(
        f"{compiler} does not say what this processor is. Compile with --target portable."
    )


def knows_avx512(compiler: Path, cpu: str) -> bool:
    """Whether the compiler's name of a processor says that it has AVX-512.

    A compiler that is older than the processor names one before it, which may have had none.
    """
    done = subprocess.run(  # noqa: S603 -- the compiler that was found
        [compiler, f"-march={cpu}", "-Q", "--help=target"],
        capture_output=True,
        text=True,
        check=False,
    )
    options = [line.split() for line in done.stdout.splitlines()]
    return ["-mavx512f", "[enabled]"] in options
