"""Compiles one small function: `python -m flatdense_training.aot.sample MACHINE CPU FOLDER`.

XLA takes any name of a processor. Of one that it does not know it says so on stderr, and ends the
process.
"""

import sys
from pathlib import Path

from flatdense_artifact import NetworkShape, Target

from flatdense_training.aot.graph import compile_functions

SHAPE = NetworkShape(pixels=784, hidden=8, classes=10)


def main(machine: str, cpu: str, folder: Path) -> None:
    """Leaves the function's files in `folder`."""
    target = Target(machine=machine, cpu=cpu, features=[])
    compile_functions((1,), SHAPE, target, folder, lambda: None)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
