"""The process that looks into a SavedModel: `python -m flatdense_server.engine.surveyor`.

Arguments: the SavedModel's folder, and the folder that the survey goes to. Standard input is a pipe
from the server. Of a SavedModel that cannot be served, the reason goes to refused.txt, and the
status is 1. A SavedModel that crashes TensorFlow ends this process alone.
"""

import os
import signal
import sys
import threading
from pathlib import Path

from flatdense_artifact import write_weights

from flatdense_server.engine.cpus import usable_cpus
from flatdense_server.engine.engine import EngineError
from flatdense_server.engine.survey import REFUSED_NAME, SURVEY_TIMEOUT_S, write_survey


def main() -> None:
    """Surveys the one folder into the other."""
    folder, out = map(Path, sys.argv[1:])
    # The kernel's own end of a process: Python's would wait for TensorFlow to come back.
    signal.alarm(SURVEY_TIMEOUT_S)
    threading.Thread(target=end_with_the_server, daemon=True).start()
    try:
        look_into(folder, out)
    except EngineError as error:
        (out / REFUSED_NAME).write_text(str(error))
        sys.exit(1)


def end_with_the_server() -> None:
    """Ends this process when the pipe closes, which it does however the server ends."""
    # Not sys.stdin: its lock would still be held when the interpreter shuts down.
    os.read(0, 1)
    os._exit(1)


def look_into(folder: Path, out: Path) -> None:
    """Writes the survey of a SavedModel, and its weights. Raises EngineError."""
    try:
        # Here, for both import TensorFlow: where it is missing, that is the reason to give.
        from flatdense_server.engine.inspection import inspect  # noqa: PLC0415
        from flatdense_server.engine.jit import prepare_tensorflow  # noqa: PLC0415
    except ImportError as error:
        raise EngineError(
            f"{folder} has no manifest.json, and to serve a SavedModel without one takes "
            f"TensorFlow, which cannot be imported ({error}). Install it with: "
            'pip install "flatdense-server[jit]".'
        ) from error
    prepare_tensorflow("cpu", usable_cpus())
    survey, weights = inspect(folder)
    if weights:
        write_weights(out, weights)
    write_survey(out, survey)


if __name__ == "__main__":
    main()
