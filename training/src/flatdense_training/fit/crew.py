"""The processes that learn one network together, by tf.distribute."""

from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager
from threading import Thread
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from flatdense_training.errors import WorkerLost, WorkersDiffer
from flatdense_training.fit.meeting import JOIN_S, await_others
from flatdense_training.fit.place import Place


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
    """Meets the other workers, before TensorFlow's first operation here. Raises WorkerLost."""
    await_others(place, wait_s=wait_s)
    connecting: Future[tf.distribute.Strategy] = Future()

    def connect_now() -> None:
        try:
            connecting.set_result(connect(place))
        except Exception as error:  # noqa: BLE001  # whatever it is, it is raised where it is awaited
            connecting.set_exception(error)

    # On this thread nobody would hear Ctrl-C meanwhile, nor end it where another worker has gone.
    Thread(target=connect_now, name="connect", daemon=True).start()
    try:
        return Crew(connecting.result(wait_s), place)
    except tf.errors.OpError as error:
        raise WorkerLost(f"The workers did not meet: {error.message}") from error
    except FutureTimeoutError:
        raise WorkerLost(
            f"TensorFlow did not connect the workers within {wait_s:.0f} s, though all of them "
            "came: one went away again. Start all of them again."
        ) from None


def connect(place: Place) -> tf.distribute.Strategy:
    """By TensorFlow, which waits for all the others."""
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({job: list(there) for job, there in place.cluster.items()}),
        task_type=place.job,
        task_id=place.index,
        rpc_layer="grpc",
    )
    return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
