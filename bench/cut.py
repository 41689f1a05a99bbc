"""A network namespace with one address, whose way to here can be cut: as a cable is pulled.

For root on Linux, with Debian's package iproute2.
"""

import os
import secrets
import shutil
import subprocess
from types import TracebackType
from typing import Self


class Namespace:
    """An address that nobody else has, and what is started there. Used as a context manager.

    Raises PermissionError: this process may not make one.
    """

    def __init__(self) -> None:
        if os.geteuid() != 0 or shutil.which("ip") is None:
            raise PermissionError("network namespaces are for root, with iproute2")
        number = secrets.randbelow(1 << 15)
        # 198.18.0.0/15 is for measurements (RFC 2544): 4 addresses for each.
        first = (198 << 24) + (18 << 16) + 4 * number
        self._host, self.address = (
            ".".join(str(byte) for byte in (first + n).to_bytes(4, "big")) for n in (1, 2)
        )
        self._name = f"flatdense-{number}"
        self._ends = (f"fd{number}-host", f"fd{number}-ns")

    def __enter__(self) -> Self:
        here, there = self._ends
        ip("netns", "add", self._name)
        try:
            ip("link", "add", here, "type", "veth", "peer", "name", there, "netns", self._name)
            ip("address", "add", f"{self._host}/30", "dev", here)
            ip("link", "set", here, "up")
            ip("-n", self._name, "link", "set", "lo", "up")
            self.mend()
        except PermissionError:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        ip("netns", "delete", self._name)  # and with it both ends of the line

    @property
    def prefix(self) -> tuple[str, ...]:
        """What to put before a command, so that it runs there."""
        return ("ip", "netns", "exec", self._name)

    def cut(self) -> None:
        """Nothing passes any more, and nobody is told."""
        ip("-n", self._name, "address", "flush", "dev", self._ends[1])

    def mend(self) -> None:
        """Everything passes."""
        ip("-n", self._name, "address", "add", f"{self.address}/30", "dev", self._ends[1])
        ip("-n", self._name, "link", "set", self._ends[1], "up")


def ip(*arguments: str) -> None:
    """Runs `ip`. Raises PermissionError: the kernel will not have it."""
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607 -- our own arguments
    if done.returncode:
        raise PermissionError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
