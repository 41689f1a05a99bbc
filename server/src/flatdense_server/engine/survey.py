"""What a SavedModel without a manifest is: found out by a process of its own, and kept.

To look into a SavedModel takes TensorFlow, which this process may never import: the aot engine
serves without it. And what another program exported may crash TensorFlow: see surveyor.py.

One survey is one folder of the cache, `<cache-dir>/surveys/<digest of the SavedModel>/`:

    survey.json           what the SavedModel takes and gives
    weights.safetensors   its two dense layers, where they were recognised
"""

import atexit
import contextlib
import hashlib
import logging
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final, Literal

import msgspec
from flatdense_artifact import Golden, Layer, digest_files

from flatdense_server.engine.engine import EngineError

log = logging.getLogger(__name__)

SURVEY_NAME: Final = "survey.json"
REFUSED_NAME: Final = "refused.txt"
"""Why a SavedModel cannot be served: one sentence, in the survey's place."""

SURVEY_FORMAT: Final = 1
"""Grows when a survey finds out other things: those in the cache are then made again."""

SURVEY_TIMEOUT_S: Final = 120
"""TensorFlow's import is most of it: seconds, and more on a slow disk."""


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """survey.json: how to ask a SavedModel, and what it answered."""

    signature: str
    input_name: str
    input_dtype: Literal["float32", "uint8"]
    input_shape: list[int]
    """Of one row: [784], [28, 28], or these with dimensions of 1."""
    input_full_ink: int = 1
    """The value of a pixel that is all ink: 255 for uint8, and for a float32 graph that scales."""
    output_name: str
    output_kind: Literal["probabilities", "logits"]
    """What comes out; of logits the engine makes probabilities by softmax."""
    class_count: int
    parameters: int
    layers: list[Layer]
    """As in a manifest of ours: Flatten, Dense(relu), Dense(softmax). Empty if not recognised."""
    golden: Golden
    """Probe images, and the probabilities that plain TensorFlow gave them, without XLA."""
    unchecked: list[str]
    """What nobody could check, in sentences for the operator."""
    files: dict[str, str] = {}
    """Name -> sha256 of what lies beside survey.json."""

    @property
    def recognised(self) -> bool:
        """Whether the weights of the two dense layers lie beside survey.json."""
        return bool(self.layers)


def survey(
    folder: Path, cache_dir: Path, *, timeout_s: float = SURVEY_TIMEOUT_S
) -> tuple[Survey, Path]:
    """The survey of a SavedModel, and the folder that holds it.

    It comes from the cache where these very files were surveyed before; else it takes seconds.
    Where the cache cannot be written, the folder is a temporary one, which this process removes
    when it ends. Raises EngineError where the SavedModel cannot be served.
    """
    kept = cache_dir / "surveys" / digest_saved_model(folder)
    found = read_survey(kept)
    if found:
        return found, kept
    log.info("looking into a SavedModel without a manifest", extra={"folder": str(folder)})
    try:
        return make_survey(folder, kept, timeout_s)
    except OSError as error:
        raise EngineError(f"{folder} cannot be looked into: {error}.") from error


def make_survey(folder: Path, kept: Path, timeout_s: float) -> tuple[Survey, Path]:
    """Surveys a SavedModel aside, and moves the survey to `kept`, or else leaves it there."""
    with contextlib.ExitStack() as ending:
        scratch = Path(tempfile.mkdtemp(prefix="flatdense-survey-"))
        ending.callback(shutil.rmtree, scratch, ignore_errors=True)
        out = scratch / "survey"
        made = run_surveyor(folder, out, timeout_s)
        if digest_saved_model(folder) != kept.name:
            raise EngineError(f"the files in {folder} changed while they were looked into.")
        if keep(out, kept):
            return made, kept
        atexit.register(ending.pop_all().close)
        return made, out


def digest_saved_model(folder: Path) -> str:
    """One sha256 over all files of a SavedModel, and over the format of what we find out.

    Raises EngineError where there is no SavedModel or it cannot be read.
    """
    if not (folder / "saved_model.pb").is_file():
        raise EngineError(
            f"{folder} holds no manifest.json and no saved_model.pb. Export a SavedModel into it: "
            "with flatdense-train, Keras's model.export() or tf.saved_model.save()."
        )
    try:
        files = digest_files(folder)
    except OSError as error:
        raise EngineError(
            f"{error.filename} cannot be read: {error.strerror}. Check its permissions."
        ) from error
    return hashlib.sha256(msgspec.json.encode([SURVEY_FORMAT, files])).hexdigest()


def write_survey(folder: Path, survey: Survey) -> None:
    """Writes `folder/survey.json`, with the digests of the files that lie there already."""
    survey = msgspec.structs.replace(survey, files=digest_files(folder))
    (folder / SURVEY_NAME).write_bytes(msgspec.json.encode(survey))


def read_survey(folder: Path) -> Survey | None:
    """The survey in a folder; None where there is none that is whole."""
    try:
        survey = msgspec.json.decode((folder / SURVEY_NAME).read_bytes(), type=Survey)
        beside = digest_files(folder)
    except (OSError, msgspec.DecodeError):
        return None
    beside.pop(SURVEY_NAME, None)
    return survey if beside == survey.files else None


def run_surveyor(folder: Path, out: Path, timeout_s: float) -> Survey:
    """Makes `out` and has a process of its own write the survey of `folder` into it.

    Raises EngineError with the surveyor's reason, or with how it ended where it gave none.
    """
    out.mkdir()
    errors = out.with_name("stderr.txt")
    with (
        errors.open("wb") as stderr,
        subprocess.Popen(  # noqa: S603 -- our own program; nothing of a stranger's is in the words
            [sys.executable, "-P", "-m", "flatdense_server.engine.surveyor", str(folder), str(out)],
            stdin=subprocess.PIPE,  # the surveyor ends when this pipe does: see surveyor.py
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=True,  # Ctrl-C is for the server, which ends the surveyor with it
        ) as process,
    ):
        try:
            status = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            raise EngineError(
                f"TensorFlow did not finish looking into {folder} in {timeout_s:g} s. If the "
                "machine was busy, touch the folder's files to have it tried again."
            ) from None
    survey = read_survey(out) if status == 0 else None
    if survey is None:
        raise EngineError(read_refusal(out) or describe_end(folder, status, errors))
    return survey


def read_refusal(out: Path) -> str:
    """The surveyor's own reason, if it gave one."""
    try:
        return (out / REFUSED_NAME).read_text(errors="replace")
    except FileNotFoundError:
        return ""


def describe_end(folder: Path, status: int, errors: Path) -> str:
    """How a surveyor ended that did not say why."""
    if status < 0:
        return (
            f"TensorFlow crashed on the SavedModel in {folder} ({signal.Signals(-status).name}). "
            "Its files are damaged or made for another TensorFlow, or the memory did not suffice. "
            "Export the model again."
        )
    said = errors.read_text(errors="replace").split("\n")
    last = next((line.strip() for line in reversed(said) if line.strip()), "it said nothing")
    return f"the SavedModel in {folder} cannot be looked into (status {status}): {last}"


def keep(made: Path, kept: Path) -> bool:
    """Copies a survey into the cache, where it appears by one rename.

    False where it cannot be written. Of two that come at once, the later one's is dropped.
    """
    staged, damaged = (kept.with_name(f".survey-{secrets.token_hex(4)}") for _ in range(2))
    try:
        shutil.copytree(made, staged)
        if kept.exists() and read_survey(kept) is None:
            kept.rename(damaged)
        staged.rename(kept)
    except OSError as error:
        whole = read_survey(kept) is not None
        if not whole:
            log.warning("the survey is not kept", extra={"reason": str(error)})
        return whole
    finally:
        for leftover in (staged, damaged):
            shutil.rmtree(leftover, ignore_errors=True)
    return True
