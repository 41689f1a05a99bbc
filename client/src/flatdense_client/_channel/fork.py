"""What a process may do with gRPC after it was forked from one that used it.

gRPC has threads of its own, and a fork copies none of them. It starts them anew in the child if it
can: not after `grpc.aio` was used, nor where GRPC_ENABLE_FORK_SUPPORT forbids it. Then whatever is
called in the child hangs, past its deadline, or ends the process.
"""

import os
import sys
import weakref

_OFF = frozenset({"0", "f", "false", "n", "no"})


class Ancestry:
    """What this process and those that it was forked from did with gRPC."""

    def __init__(self) -> None:
        self.forks = 0
        """How many there were: another number, another process. Asking the system costs more."""
        self._is_used = False
        self._is_async = False
        self._trouble: str | None = None
        self._connections: weakref.WeakSet[object] = weakref.WeakSet()
        self._inherited: list[object] = []

    def note(self, connection: object, *, is_async: bool) -> None:
        """Notes a connection before it is made.

        Raises RuntimeError: gRPC did not survive the fork that this process comes from.
        """
        if self._trouble is not None:
            msg = (
                f"gRPC does not work in this forked process: {self._trouble}. Start processes by "
                "'spawn' or 'forkserver', or fork before the first call of any client"
            )
            raise RuntimeError(msg)
        self._is_used = True
        self._is_async |= is_async
        self._connections.add(connection)

    def fork(self) -> None:
        """Makes this the ancestry of a child. In it no other thread runs yet."""
        # gRPC must not end them here: it hangs, or ends them in the parent too.
        self.forks += 1
        self._inherited.extend(self._connections)
        self._connections = weakref.WeakSet()
        if self._is_async:
            self._trouble = "the process before it used AsyncClient"
        # gRPC's own switch, which it reads itself.
        elif self._is_used and os.environ.get("GRPC_ENABLE_FORK_SUPPORT", "").lower() in _OFF:  # noqa: TID251
            self._trouble = "the process before it used a client, with GRPC_ENABLE_FORK_SUPPORT off"


ANCESTRY = Ancestry()
"""That of this process: there is one, as there is one gRPC."""

if sys.platform != "win32":
    os.register_at_fork(after_in_child=ANCESTRY.fork)
