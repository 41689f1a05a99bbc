"""How results are written for programs: JSON and CSV that give the SDK's own numbers back."""

import dataclasses
import json
import sys
from datetime import datetime

import numpy as np
import numpy.typing as npt

from flatdense_client._images.prepared import PreparedImage


def exact(value: np.float32 | float) -> float:
    """The shortest number that is the same float32: 0.9998 and not 0.9998000264167786."""
    return float(str(np.float32(value)))


def exact_list(values: npt.NDArray[np.float32]) -> list[float]:
    """The numbers of an array of one dimension, each as `exact` gives it."""
    return [float(str(value)) for value in values]


def prepared_facts(prepared: PreparedImage | None) -> dict[str, object] | None:
    """What was done to a picture, one entry for each field of `PreparedImage` but the pixels."""
    if prepared is None:
        return None
    names = (field.name for field in dataclasses.fields(prepared))
    return {name: getattr(prepared, name) for name in names if name != "pixels"}


def write_json(value: object) -> None:
    """Writes one JSON value as one line of stdout, in ASCII where nothing else can be written."""
    is_utf8 = (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")
    line = json.dumps(value, ensure_ascii=not is_utf8, default=datetime.isoformat)
    sys.stdout.write(line + "\n")
