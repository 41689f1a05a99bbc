"""The processes that learn one network together, by tf.distribute."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from flatdense_training.errors import WorkerLost, WorkersDiffer
from flatdense_training.fit.meeting import JOIN_S, await_others
from flatdense_training.fit.place import Place

WATCH: Final = """
import os, select, signal, sys
pid, wait_s, said = sys.argv[1:]
if not select.select([0], [], [], float(wait_s))[0]:
    sys.stderr.write(said)
    os.kill(int(pid), signal.SIGKILL)
"""
"""Its standard input ends with the wait, or with the process that it watches."""


class Crew:
    """Those that learn together, this process among them. All do the same calls in one order.

    Each holds the whole network; after each step all have the same weights, bit for bit.
    """

    def __init__(self, strategy: tf.distribute.Strategy, place: Place | None = None) -> None:
        self.strategy = strategy
        self._place = place

    @property
    def is_chief(self) -> bool:
        """Whether this one keeps checkpoints, judges and exports."""
        return self._place is None or self._place.is_chief

    def array_from_chief(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """What the chief gave, an array of the same shape and type as the others'."""
        if self._place is None:
            return array
        given = self.strategy.run(of_first_replica, args=(tf.constant(array),))
        chiefs: npt.NDArray[Any] = self.strategy.experimental_local_results(given)[0].numpy()
        return chiefs

    def bytes_from_chief(self, data: bytes) -> bytes:
        """What the chief gave; the others' may be of any length."""
        length = int(self.array_from_chief(np.array(len(data), np.float64)))
        # Floats, which every device can add; they hold bytes exactly.
        padded = np.frombuffer(data[:length].ljust(length, b"\0"), np.uint8).astype(np.float32)
        return self.array_from_chief(padded).astype(np.uint8).tobytes() if length else b""

    def check_same(self, run: str) -> None:
        """Raises WorkersDiffer where the chief's name for the run is another; WorkerLost."""
        with self.together():
            chiefs = self.bytes_from_chief(run.encode())
        if chiefs != run.encode():
            raise WorkersDiffer(
                "This worker would learn something else than the chief: its data, its options or "
                "its libraries are not the same. Start all of them with the same command."
            )

    @contextmanager
    def together(self) -> Iterator[None]:
        """Raises WorkerLost where another worker goes away meanwhile."""
        try:
            yield
        except tf.errors.OpError as error:
            if self._place is None:
                raise
            raise WorkerLost(
                "Another worker went away, or cannot be reached any more. Start all of them again "
                "with --resume: they go on after the chief's last checkpoint."
            ) from error


def of_first_replica(value: tf.Tensor) -> tf.Tensor:
    """In all replicas, the value of the chief's first one."""
    context = tf.distribute.get_replica_context()
    is_first = tf.cast(tf.equal(context.replica_id_in_sync_group, 0), value.dtype)
    return context.all_reduce(tf.distribute.ReduceOp.SUM, value * is_first)


def alone() -> Crew:
    """A crew of this process."""
    return Crew(tf.distribute.get_strategy())


def join(place: Place, *, wait_s: float = JOIN_S) -> Crew:
    """Meets the other workers, before TensorFlow's first operation here. Raises WorkerLost.

    Ends the process where one came, and is gone before TensorFlow has connected them.
    """
    await_others(place, wait_s=wait_s)
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({job: list(there) for job, there in place.cluster.items()}),
        task_type=place.job,
        task_id=place.index,
        rpc_layer="grpc",
    )
    try:
        with ended_by_ctrl_c(), ended_after(wait_s):
            return Crew(tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver), place)
    except tf.errors.OpError as error:
        raise WorkerLost(f"The workers did not meet: {error.message}") from error


@contextmanager
def ended_after(wait_s: float) -> Iterator[None]:
    """Has another process end this one where the block takes longer, with a sentence.

    While TensorFlow connects, which has no limit, no thread of Python runs here.
    """
    said = (
        f"\nError: TensorFlow did not connect the workers within {wait_s:.0f} s, though all of "
        "them came: one has gone away again. Start all of them again.\n"
    )
    watch = [sys.executable, "-S", "-c", WATCH, str(os.getpid()), str(wait_s), said]
    with subprocess.Popen(watch, stdin=subprocess.PIPE, start_new_session=True):  # noqa: S603 -- ours
        yield


@contextmanager
def ended_by_ctrl_c() -> Iterator[None]:
    """At once: while TensorFlow connects, no thread of Python runs that could hear it."""
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
