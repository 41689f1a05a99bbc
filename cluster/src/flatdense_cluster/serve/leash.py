"""Runs a command that ends with the process that started it, however that ends. On Linux."""

import ctypes
import os
import signal
import sys
from typing import Final

PR_SET_PDEATHSIG: Final = 1
"""From linux/prctl.h; it stays over execve(2)."""


def main() -> None:
    """`python -m flatdense_cluster.serve.leash PARENT COMMAND ...` becomes the command."""
    parent, *command = sys.argv[1:]
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):  # gone before it could be told
        sys.exit(1)
    os.execv(command[0], command)  # noqa: S606 -- the replica's own command


if __name__ == "__main__":
    main()
