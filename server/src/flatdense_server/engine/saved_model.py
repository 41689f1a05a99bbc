"""A SavedModel, as TensorFlow loads it: networks to compile, signatures to ask, tensors to read."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from flatdense_server.engine.engine import EngineError
from flatdense_server.engine.probes import FULL_INK
from flatdense_server.engine.survey import Survey
from flatdense_server.tensors import (
    CLASSES_NAME,
    FLOAT32,
    HIDDEN_NAME,
    INPUT_NAME,
    PIXELS,
    PROBABILITIES_NAME,
    UINT8,
    DType,
    Rows,
)

SIGNATURES: Final = {FLOAT32: "serving_default", UINT8: "serving_uint8"}
"""Those of our own export."""

EXPLAIN: Final = "explain"
"""Gives what `serving_default` does, and the hidden activations."""

NO_REASON: Final = (" ", "\t", "Graph execution error:", "Detected at node ", "<stack traces ")
"""How those lines of TensorFlow's errors begin that tell a user nothing."""

PIXEL_RANGES: Final = (255.0, 127.5)
"""What graphs divide pixels of 0..255 by: to get 0..1, or, less 1, -1..1."""

# TensorFlow has no types.
Model: TypeAlias = Any
Signature: TypeAlias = Any
Tensor: TypeAlias = Any

Network: TypeAlias = Callable[[Tensor], tuple[Tensor, ...]]
"""Images [N, 784] to probabilities float32 [N, C], classes int64 [N], and, where it has those,
hidden activations float32 [N, H].

It lives as long as the model that it was taken from.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelInput:
    """The one input of a signature."""

    name: str
    dtype: Literal["float32", "uint8"]
    shape: list[int]
    """Of one row."""
    full_ink: int
    """The value of a pixel that is all ink."""

    def convert(self, images: Tensor) -> Tensor:
        """Images [N, 784], uint8 0..255 or float32 0..1, as the input takes them."""
        if images.dtype == self.dtype == tf.uint8:
            pixels = images
        elif self.dtype == "uint8":
            # Saturated: what a cast makes of a value out of range depends on the processor.
            pixels = tf.saturate_cast(tf.round(images * self.full_ink), tf.uint8)
        elif images.dtype == tf.uint8:
            pixels = tf.cast(images, tf.float32) / (FULL_INK / self.full_ink)
        else:
            pixels = images * self.full_ink
        return tf.reshape(pixels, (-1, *self.shape))


def load_saved_model(folder: Path) -> Model:
    """Loads a SavedModel. Raises EngineError where TensorFlow cannot read it."""
    try:
        return tf.saved_model.load(str(folder))
    except Exception as error:
        # A damaged file surfaces as anything from OSError to a protobuf or internal error.
        raise EngineError(
            f"TensorFlow cannot load the SavedModel in {folder}: {reason_of(error)}"
        ) from error


def reason_of(error: Exception) -> str:
    """What TensorFlow says in one line, without where in the graph it was."""
    lines = (line for line in str(error).splitlines() if not line.startswith(NO_REASON))
    return next((line for line in lines if line.strip()), repr(error))


def take_networks(model: Model, folder: Path) -> dict[DType, Network]:
    """The networks of a SavedModel that flatdense-train exported, one for each dtype.

    Raises EngineError where a signature is missing or does not fit.
    """

    def network_of(name: str, dtype: DType) -> Network:
        signature = model.signatures.get(name)
        expected = {INPUT_NAME: tf.TensorSpec((None, PIXELS), dtype, name=INPUT_NAME)}
        if signature is None or signature.structured_input_signature[1] != expected:
            raise EngineError(
                f"the SavedModel in {folder} has no signature {name} that takes {INPUT_NAME}: "
                f"{dtype} [N, {PIXELS}]. Export it with flatdense-train."
            )

        def network(images: Tensor) -> tuple[Tensor, ...]:
            answer = signature(**{INPUT_NAME: images})
            hidden = [answer[HIDDEN_NAME]] if HIDDEN_NAME in answer else []
            return answer[PROBABILITIES_NAME], answer[CLASSES_NAME], *hidden

        return network

    networks = {dtype: network_of(name, dtype) for dtype, name in SIGNATURES.items()}
    if EXPLAIN in model.signatures:
        networks[FLOAT32] = network_of(EXPLAIN, FLOAT32)
    return networks


def adapt_networks(model: Model, survey: Survey) -> dict[DType, Network]:
    """The networks of a surveyed SavedModel, one for each dtype: its signature, made to fit."""
    signature = model.signatures[survey.signature]
    given = PixelInput(
        name=survey.input_name,
        dtype=survey.input_dtype,
        shape=survey.input_shape,
        full_ink=survey.input_full_ink,
    )

    def network(images: Tensor) -> tuple[Tensor, ...]:
        answer = signature(**{given.name: given.convert(images)})[survey.output_name]
        probabilities = tf.nn.softmax(answer) if survey.output_kind == "logits" else answer
        return probabilities, tf.argmax(probabilities, axis=1)

    return dict.fromkeys(SIGNATURES, network)


def ask(signature: Signature, given: PixelInput, images: Rows) -> dict[str, npt.NDArray[Any]]:
    """Every dense output of a signature for some images, by plain TensorFlow without XLA.

    Raises EngineError where the graph fails.
    """
    try:
        answers = signature(**{given.name: given.convert(tf.constant(images))})
        return {name: answer.numpy() for name, answer in answers.items() if tf.is_tensor(answer)}
    except Exception as error:  # whatever a strange graph raises, it is not for serving
        raise EngineError(
            f"TensorFlow cannot run it on {len(images)} images: {reason_of(error)}"
        ) from error


def read_variables(signature: Signature) -> list[npt.NDArray[np.float32]]:
    """Its variables' values, and the tensors it was traced with."""
    found = []
    for capture in signature.captured_inputs:
        if capture.dtype == tf.float32:
            found.append(capture.numpy())
        elif capture.dtype == tf.resource:
            try:
                value = tf.raw_ops.ReadVariableOp(resource=capture, dtype=tf.float32)
            except tf.errors.OpError:
                continue  # a table, or a variable of another dtype
            found.append(value.numpy())
    return found


def read_constants(signature: Signature) -> list[npt.NDArray[np.float32]]:
    """What a frozen graph has in place of variables. Single numbers are no weights."""
    bodies = [constants for constants, _ in read_bodies(signature)]
    return [value for constants in bodies for value in constants.values() if value.ndim]


def scales_pixels(signature: Signature) -> bool:
    """Whether a graph brings pixels of 0..255 to 0..1 or -1..1: then it takes 0..255."""
    for constants, divisors in read_bodies(signature):
        numbers = {name: value.item() for name, value in constants.items() if value.size == 1}
        ranges = [x if name in divisors else 1 / x for name, x in numbers.items() if x]
        if np.isclose(np.reshape(ranges, (-1, 1)), PIXEL_RANGES, rtol=1e-5).any():
            return True
    return False


def read_bodies(
    signature: Signature,
) -> Iterator[tuple[dict[str, npt.NDArray[np.float32]], set[str]]]:
    """The float32 constants of a graph and of each of its functions, and what divides there."""
    graph = signature.graph.as_graph_def()
    for nodes in (graph.node, *(body.node_def for body in graph.library.function)):
        yield (
            {
                node.name: tf.make_ndarray(node.attr["value"].tensor)
                for node in nodes
                if node.op == "Const" and node.attr["dtype"].type == tf.float32.as_datatype_enum
            },
            {node.input[1].partition(":")[0] for node in nodes if node.op == "RealDiv"},
        )
