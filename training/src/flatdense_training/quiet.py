"""TensorFlow's log lines, which say nothing to a user of this program: kept off the screen."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

FATAL_ALONE = "3"
"""TensorFlow also logs as errors what is none; a real one reaches us as an exception."""


@contextmanager
def quiet_tensorflow() -> Iterator[None]:
    """Import TensorFlow in this context: it says nothing then nor later, and is Keras's backend.

    A user who set one of TensorFlow's variables keeps that setting. What another thread writes to
    the standard error meanwhile is lost.
    """
    # These libraries read their settings from the environment alone, once, when they are loaded.
    environment = os.environ  # noqa: TID251  # written for them; no setting of ours is read from it
    environment.setdefault("TF_CPP_MIN_LOG_LEVEL", FATAL_ALONE)
    environment["KERAS_BACKEND"] = "tensorflow"
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    # oneDNN announces itself before any level is known.
    with closed_error_output():
        yield


@contextmanager
def closed_error_output() -> Iterator[None]:
    """Lets the process's standard error, also that of C++, go nowhere."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
