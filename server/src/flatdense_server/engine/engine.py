"""What every engine promises."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from flatdense_server.engine.ladder import Ladder
from flatdense_server.tensors import Outputs, Rows


class EngineError(Exception):
    """A version cannot be run by this engine on this machine. The message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSpec:
    """How an engine runs, as people and metrics see it."""

    name: str
    """jit or aot."""
    device: str
    """cpu or gpu."""
    ladder: Ladder
    class_count: int
    hidden_count: int
    """Activations of a row that it can give; 0 where it cannot."""


class Engine(Protocol):
    """The network of one version, compiled for every size of its ladder.

    An engine is ready when it exists: its constructor compiles and runs each size for each dtype,
    and raises EngineError where that fails. It is used by one thread at a time.
    """

    @property
    def spec(self) -> EngineSpec:
        """How it runs. Never changes."""
        ...

    def run(self, parts: Sequence[Rows], *, hidden: bool = False) -> Outputs:
        """Runs the rows of all parts, in order, which share one dtype; any number of rows.

        The rows are copied once, into the ladder's buffer. The outputs are the caller's own, and
        have the hidden activations where they are asked for, the rows are float32, and the spec
        says that there are some.
        """
        ...

    def close(self) -> None:
        """Lets go of memory. No other call may follow."""
        ...
