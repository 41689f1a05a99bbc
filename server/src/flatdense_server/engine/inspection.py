"""What a SavedModel of unknown origin takes and gives, and whether it is our network."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from flatdense_artifact import Golden, Layer, Weights

from flatdense_server.engine.engine import EngineError
from flatdense_server.engine.probes import FULL_INK, probe_images
from flatdense_server.engine.recognition import recognise, softmax
from flatdense_server.engine.saved_model import (
    Model,
    PixelInput,
    Signature,
    ask,
    load_saved_model,
    read_constants,
    read_variables,
    scales_pixels,
)
from flatdense_server.engine.survey import Survey
from flatdense_server.tensors import IMAGE_SHAPE, PIXELS, PROBABILITIES_NAME

PREFERRED_SIGNATURES: Final = ("serving_default", "serve")
NO_SIGNATURE: Final = "__saved_model_init_op"

DTYPES: Final = ("float32", "uint8")
MOST_CLASSES: Final = 10

GOLDEN_TOLERANCE: Final = 1e-4
"""Of a probability, between plain TensorFlow and XLA."""

RANGE_SLACK: Final = 1e-5
"""By which a rounded probability may leave 0..1."""

SUM_SLACK: Final = 1e-3

Kind: TypeAlias = Literal["probabilities", "logits"]
Answers = npt.NDArray[np.float32]


def inspect(folder: Path) -> tuple[Survey, Weights | None]:
    """The survey of a SavedModel, and its two dense layers where they are recognised.

    Raises EngineError where it cannot be served.
    """
    model = load_saved_model(folder)
    try:
        return inspect_model(model)
    except EngineError as error:
        raise EngineError(f"the SavedModel in {folder} cannot be served: {error}") from error


def inspect_model(model: Model) -> tuple[Survey, Weights | None]:
    """inspect(), once TensorFlow has it in memory."""
    name = choose_signature(list(model.signatures))
    signature = model.signatures[name]
    given = find_input(name, signature)
    images = probe_images()
    outputs = ask(signature, given, images)
    output = choose_output(outputs, len(images))
    kind, answers = judge_answers(outputs[output])
    alone = np.concatenate([ask(signature, given, image[None])[output] for image in images])
    check_neighbours(alone, outputs[output])
    variables, constants = read_variables(signature), read_constants(signature)
    scaled = images.astype(np.float32) / np.float32(FULL_INK)
    weights = recognise([*variables, *constants], scaled, answers)
    survey = Survey(
        signature=name,
        input_name=given.name,
        input_dtype=given.dtype,
        input_shape=given.shape,
        input_full_ink=given.full_ink,
        output_name=output,
        output_kind=kind,
        class_count=answers.shape[1],
        parameters=sum(tensor.size for tensor in variables or constants),
        layers=describe_layers(weights) if weights else [],
        golden=Golden(
            images=images.tobytes(),
            probabilities=answers.astype(float).tolist(),
            tolerance=GOLDEN_TOLERANCE,
        ),
        unchecked=list_unchecked(given, kind, answers),
    )
    return survey, weights


def choose_signature(names: list[str]) -> str:
    """The signature that is served. Raises EngineError where that is not clear."""
    names = [name for name in names if name != NO_SIGNATURE]
    for name in PREFERRED_SIGNATURES:
        if name in names:
            return name
    if len(names) == 1:
        return names[0]
    found = f"only {', '.join(sorted(names))}" if names else "none at all"
    raise EngineError(
        f"it has {found} for a signature; expected serving_default or serve. Export it with one."
    )


def find_input(name: str, signature: Signature) -> PixelInput:
    """The one input of a signature. Raises EngineError unless it takes images of 28x28."""
    inputs = signature.structured_input_signature[1]
    if len(inputs) != 1:
        raise EngineError(
            f"signature {name} has {len(inputs)} inputs ({', '.join(sorted(inputs))}); "
            "expected one, of images."
        )
    ((key, spec),) = inputs.items()
    dtype = getattr(getattr(spec, "dtype", None), "name", type(spec).__name__)
    if dtype not in DTYPES or not hasattr(spec, "shape"):
        raise EngineError(
            f"signature {name} takes {key} as {dtype}; expected {' or '.join(DTYPES)}."
        )
    shape = spec.shape.as_list() if spec.shape.rank else []
    row = shape[1:]
    if [size for size in row if size != 1] not in ([PIXELS], list(IMAGE_SHAPE)):
        raise EngineError(
            f"signature {name} takes {key} of shape {spec.shape}; expected (None, {PIXELS}), "
            "(None, 28, 28) or (None, 28, 28, 1)."
        )
    if shape[0] is not None:
        raise EngineError(
            f"signature {name} takes {key} of shape {spec.shape}, a fixed batch of "
            f"{shape[0]}; expected any number of images. Export it with None in its place."
        )
    if dtype == "uint8":
        return PixelInput(name=key, dtype="uint8", shape=row, full_ink=FULL_INK)
    full_ink = FULL_INK if scales_pixels(signature) else 1
    return PixelInput(name=key, dtype="float32", shape=row, full_ink=full_ink)


def choose_output(outputs: Mapping[str, npt.NDArray[Any]], rows: int) -> str:
    """The output that gives each row its classes. Raises EngineError where that is not clear."""
    fitting = [
        name
        for name, answer in outputs.items()
        if answer.dtype == np.float32 and answer.ndim == 2 and len(answer) == rows  # noqa: PLR2004
    ]
    if PROBABILITIES_NAME in fitting:
        name = PROBABILITIES_NAME
    elif len(fitting) == 1:
        name = fitting[0]
    else:
        found = ", ".join(
            f"{name}: {answer.dtype} {list(answer.shape)}"
            for name, answer in sorted(outputs.items())
        )
        raise EngineError(
            f"{len(fitting)} of its outputs could be the classes of {rows} images ({found}); "
            f"expected one of float32 [N, classes], or one named {PROBABILITIES_NAME}."
        )
    classes = outputs[name].shape[1]
    if not 1 <= classes <= MOST_CLASSES:
        raise EngineError(f"its output {name} has {classes} classes; expected 1 to {MOST_CLASSES}.")
    return name


def judge_answers(raw: Answers) -> tuple[Kind, Answers]:
    """What an output is, and the probabilities of it. Raises EngineError where it is neither."""
    if not np.isfinite(raw).all():
        raise EngineError("it gives NaN or infinity for some probe images. Train it again.")
    if raw.min() >= -RANGE_SLACK and raw.max() <= 1 + RANGE_SLACK:
        return "probabilities", raw
    if raw.shape[1] == 1:
        raise EngineError(
            "it gives one value for each image, and not a probability: it is no classifier."
        )
    return "logits", softmax(raw)


def check_neighbours(alone: Answers, together: Answers) -> None:
    """Raises EngineError where an image alone gets another answer than in a batch.

    This server puts many callers' images, and padding, into one batch.
    """
    scale = max(1.0, float(np.abs(together).max()))  # logits may be large
    if alone.shape != together.shape or not np.allclose(
        alone, together, rtol=0, atol=GOLDEN_TOLERANCE * scale
    ):
        raise EngineError(
            "it does not give an image the same answer twice, or not beside other images. Export "
            "it for inference: without dropout, and with batch normalisation by its own averages."
        )


def describe_layers(weights: Weights) -> list[Layer]:
    """The recognised network, as a manifest of ours has it."""
    dense = [
        Layer(
            name=layer.name,
            kind="Dense",
            activation=activation,
            output_shape=[len(layer.bias)],
            parameters=layer.kernel.size + layer.bias.size,
        )
        for layer, activation in zip(weights.layers(), ("relu", "softmax"), strict=True)
    ]
    return [Layer(name="flatten", kind="Flatten", output_shape=[PIXELS], parameters=0), *dense]


def list_unchecked(given: PixelInput, kind: Kind, answers: Answers) -> list[str]:
    """What the operator must know that nobody could check."""
    sentences = [
        (
            "There is no manifest: neither its files nor its test accuracy could be checked, and "
            f"its answers only against plain TensorFlow's, for {len(answers)} probe images."
        )
    ]
    if given.dtype == "float32":
        sentences.append(
            "It is given pixels as 0..1: if it expects 0..255, its answers are wrong."
            if given.full_ink == 1
            else "It is given pixels as 0..255, for its graph scales them: if it expects 0..1, its "
            "answers are wrong."
        )
    if kind == "logits":
        sentences.append("Its output leaves 0..1, so it is taken as logits: softmax is applied.")
    elif np.abs(answers.sum(axis=1) - 1).max() > SUM_SLACK:
        sentences.append("Its outputs do not sum to 1 for each image; they are served as they are.")
    return sentences
