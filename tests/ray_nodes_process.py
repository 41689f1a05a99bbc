"""Ray nodes, asked from another process: Ray changes the logging of each process that it is in."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from multiprocessing.managers import BaseManager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ray_nodes import Nodes

STACK = ExitStack()
"""What is open in that process."""


class Manager(BaseManager):
    """The process."""


def begin(config: dict[str, Any], count: int) -> "Nodes":
    """Starts nodes there; see ray_nodes.start_nodes."""
    from ray_nodes import start_nodes  # noqa: PLC0415 -- not in the process that asks

    return STACK.enter_context(start_nodes(config, count))


def end() -> None:
    """Ends them."""
    STACK.close()


Manager.register("begin", begin)
Manager.register("end", end)


@contextmanager
def start_nodes_aside(config: dict[str, Any], count: int) -> Iterator["Nodes"]:
    """Gives what has the methods of the nodes, but for their properties."""
    with Manager(ctx=get_context("spawn")) as manager:
        try:
            yield manager.begin(config, count)  # type: ignore[attr-defined]
        finally:
            manager.end()  # type: ignore[attr-defined]
