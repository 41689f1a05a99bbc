"""The C++ compiler."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from flatdense_training.errors import CompileFailed

CANDIDATES = ("c++", "g++", "clang++")

TAIL_LINES = 12
"""How much of a compiler's complaint a user is shown."""


def find_compiler() -> Path:
    """The first C++ compiler on the PATH. Raises CompileFailed where there is none."""
    for name in CANDIDATES:
        found = shutil.which(name)
        if found:
            return Path(found)
    raise CompileFailed(
        f"There is no C++ compiler: none of {', '.join(CANDIDATES)} is on the PATH. "
        "Install one (on Debian: apt-get install g++), or serve with --engine jit."
    )


def run_tool(command: Sequence[str | Path]) -> None:
    """Runs a compiler or linker. Raises CompileFailed with the end of what it said."""
    done = subprocess.run(  # noqa: S603 -- the compiler that was found
        command, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = "\n".join((done.stderr or done.stdout).splitlines()[-TAIL_LINES:])
        raise CompileFailed(f"{command[0]} failed with status {done.returncode}:\n{said}")
