"""The curves as TensorBoard reads them."""

from pathlib import Path

import pytest
from flatdense_training.errors import LogUnwritable
from flatdense_training.fit.recipe import Epoch


def epoch(number: int) -> Epoch:
    """A pass with figures of its own."""
    return Epoch(
        number=number,
        loss=1 / number,
        accuracy=0.5,
        validation_loss=2 / number,
        validation_accuracy=0.25,
        learning_rate=0.125,
        duration_s=1.0,
        waited_s=0.0,
    )


def test_the_curves_are_read_back_by_tensorflow(tmp_path: Path) -> None:
    """Each figure of each pass, at its step, in a folder of the stage."""
    import tensorflow as tf  # noqa: PLC0415 -- takes seconds
    from flatdense_training.fit.event_log import EventLog  # noqa: PLC0415

    log = EventLog(tmp_path, "student")
    for number in (1, 2, 3):
        log.add(epoch(number))
    (path,) = (tmp_path / "student").glob("events.out.tfevents.*")
    events = list(tf.compat.v1.train.summary_iterator(str(path)))
    assert events[0].file_version == "brain.Event:2"
    curves = [
        (event.step, value.tag, value.simple_value)
        for event in events
        for value in event.summary.value
    ]
    assert len(curves) == 15
    assert (2, "loss", 0.5) in curves
    assert (2, "validation_loss", 1.0) in curves
    assert (3, "learning_rate", 0.125) in curves


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """Is told by the option's name."""
    from flatdense_training.fit.event_log import EventLog  # noqa: PLC0415 -- takes seconds

    (tmp_path / "file").touch()
    with pytest.raises(LogUnwritable, match="--logdir"):
        EventLog(tmp_path / "file", "student")
