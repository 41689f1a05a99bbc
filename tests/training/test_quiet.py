"""TensorFlow's silence."""

import subprocess
import sys


def test_import_says_nothing() -> None:
    """Once quietened, TensorFlow is imported and used without a word."""
    code = (
        "from flatdense_training.quiet import quiet_tensorflow\n"
        "with quiet_tensorflow():\n"
        "    import tensorflow, keras\n"
        "tensorflow.constant([1.0]) + 1; print(keras.backend.backend())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("tensorflow\n", "")
