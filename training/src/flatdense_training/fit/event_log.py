"""The curves of a run as TensorBoard reads them."""

import os
import socket
from datetime import UTC, datetime
from pathlib import Path

import tensorflow as tf

from flatdense_training.errors import LogUnwritable
from flatdense_training.fit.recipe import Epoch

SERIES = ("loss", "accuracy", "validation_loss", "validation_accuracy", "learning_rate")


class EventLog:
    """One file of events for each stage of a run, in a folder by the stage's name.

    The file's format is TensorFlow's own; TensorBoard need not be installed to write it.
    """

    def __init__(self, folder: Path, stage: str) -> None:
        """Raises LogUnwritable."""
        self._folder = folder / stage
        name = f"events.out.tfevents.{now_s():.0f}.{socket.gethostname()}.{os.getpid()}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = tf.io.TFRecordWriter(str(self._folder / name))
            self._write(tf.compat.v1.Event(wall_time=now_s(), file_version="brain.Event:2"))
        except (OSError, tf.errors.OpError) as error:
            raise self._unwritable(error) from error

    def add(self, epoch: Epoch) -> None:
        """Writes the figures of a pass. Raises LogUnwritable."""
        values = [
            tf.compat.v1.Summary.Value(tag=name, simple_value=getattr(epoch, name))
            for name in SERIES
        ]
        event = tf.compat.v1.Event(
            wall_time=now_s(),
            step=epoch.number,
            summary=tf.compat.v1.Summary(value=values),
        )
        try:
            self._write(event)
        except tf.errors.OpError as error:
            raise self._unwritable(error) from error

    def _write(self, event: tf.compat.v1.Event) -> None:
        self._file.write(event.SerializeToString())
        self._file.flush()

    def _unwritable(self, error: Exception) -> LogUnwritable:
        return LogUnwritable(
            f"The curves cannot be written to {self._folder}: {error}. "
            "Give --logdir a folder that can be written, with room."
        )


def now_s() -> float:
    """Seconds since 1970."""
    return datetime.now(UTC).timestamp()
