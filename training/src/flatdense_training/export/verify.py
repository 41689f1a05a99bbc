"""Whether a written version answers as the trained model does."""

from pathlib import Path

import numpy as np
import tensorflow as tf
from flatdense_artifact import Golden, read_weights

from flatdense_training.data.pixels import scale
from flatdense_training.errors import ExportFailed
from flatdense_training.judge.forward import forward

TOLERANCE = 1e-5
"""Of a probability, on the machine that trained."""


def verify_answers(folder: Path, golden: Golden) -> None:
    """Reads the version back from the disk and asks it for the golden images, in every way.

    Raises ExportFailed where an answer is further than TOLERANCE from the trained model's, and
    OSError, tf.errors.OpError or VersionDamaged where the version cannot be read back.
    """
    images = golden.inputs()
    saved_model = tf.saved_model.load(str(folder))  # held: its functions do not hold its variables
    signatures = saved_model.signatures
    scaled = tf.constant(scale(images))
    weights = read_weights(folder, ("hidden", "output"))
    ways = {
        "serving_default": signatures["serving_default"](images=scaled)["probabilities"],
        "serving_uint8": signatures["serving_uint8"](images=tf.constant(images))["probabilities"],
        "explain": signatures["explain"](images=scaled)["probabilities"],
        "weights.safetensors": forward(weights, scale(images)),
    }
    for way, probabilities in ways.items():
        difference = float(np.abs(np.asarray(probabilities) - golden.outputs()).max())
        if not difference <= TOLERANCE:  # a NaN is refused too
            raise ExportFailed(
                f"The export was given up: by {way} a probability differs by {difference:.1e} from "
                f"the trained model's, expected at most {TOLERANCE:.0e}. "
                "This is a fault of the program or of a library: report it."
            )
