"""TensorFlow's log lines, which say nothing to a user of this program: kept off the screen."""

import logging
import os

FATAL_ALONE = "3"
"""TensorFlow also logs as errors what is none; a real one reaches us as an exception."""


def quieten_tensorflow() -> None:
    """Silences TensorFlow's own log, and makes it Keras's backend.

    Call it before either is imported.

    A user who set one of TensorFlow's variables keeps that setting.
    """
    # These libraries read their settings from the environment alone, once, when they are loaded.
    environment = os.environ  # noqa: TID251  # written for them; no setting of ours is read from it
    environment.setdefault("TF_CPP_MIN_LOG_LEVEL", FATAL_ALONE)
    # oneDNN announces itself whatever the level is. Without it a network of this size trains as
    # fast, and its results depend less on the processor.
    environment.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    environment["KERAS_BACKEND"] = "tensorflow"
