"""Ray nodes, asked from another process: Ray changes the logging of each process that it is in."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any


class NodesAside:
    """Has the methods of ray_nodes.Nodes, which run in that process and raise here."""

    def __init__(self, line: Connection) -> None:
        self._line = line

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return partial(self._ask, name)

    def _ask(self, name: str, *args: object, **options: object) -> object:
        self._line.send((name, args, options))
        return self.hear()

    def hear(self) -> object:
        """What the process says next. Raises what was raised there."""
        value, error = self._line.recv()
        if error:
            raise error
        return value


@contextmanager
def start_nodes_aside(config: dict[str, Any], count: int) -> Iterator[NodesAside]:
    """Starts so many; see ray_nodes.start_nodes."""
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=keep, args=(there, config, count))
    process.start()
    there.close()
    try:
        nodes = NodesAside(here)
        nodes.hear()
        yield nodes
    finally:
        here.close()
        process.join()


def keep(line: Connection, config: dict[str, Any], count: int) -> None:
    """In that process, on its main thread, where Ray must be: does what it is told."""
    from ray_nodes import start_nodes  # noqa: PLC0415 -- not in the process that asks

    with start_nodes(config, count) as nodes:
        line.send((None, None))
        while True:
            try:
                name, args, options = line.recv()
            except EOFError:
                return
            try:
                line.send((getattr(nodes, name)(*args, **options), None))
            except (AssertionError, RuntimeError, TimeoutError) as error:
                line.send((None, error))
