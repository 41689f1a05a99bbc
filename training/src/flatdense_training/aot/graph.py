"""The network as TensorFlow graphs of fixed batch sizes, compiled by XLA to object files.

The weights are arguments, not constants: it costs nothing, and the code then belongs to the
architecture and not to one training run.
"""

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf
from flatdense_artifact import NetworkShape, Target
from tensorflow.python.tools import saved_model_aot_compile, saved_model_utils

from flatdense_training.aot.target import TRIPLES
from flatdense_training.errors import CompileFailed

DTYPES = {"uint8": tf.uint8, "float32": tf.float32}

REFUSALS = (ImportError, IndexError, RuntimeError, ValueError)
"""What XLA raises: it is missing; a file grew too large; a disk is full and the rest; bad input."""


@dataclass(frozen=True, slots=True)
class Function:
    """One compiled function: a dtype and a batch size."""

    dtype: str
    rows: int

    @property
    def name(self) -> str:
        """What its files and its C++ class are called."""
        return f"{self.dtype}_{self.rows}"


def functions(ladder_rows: Iterable[int]) -> list[Function]:
    """Every function of a library."""
    return [Function(dtype, rows) for dtype in DTYPES for rows in ladder_rows]


def compile_functions(
    ladder_rows: Iterable[int],
    shape: NetworkShape,
    target: Target,
    folder: Path,
    step: Callable[[], None],
) -> None:
    """Writes `<function>.h` and `<function>*.o` into `folder`; calls `step` after each function.

    Raises CompileFailed where XLA refuses or cannot write.
    """
    wanted = functions(ladder_rows)
    with tempfile.TemporaryDirectory(dir=folder) as saved:
        signatures = {function.name: make_graph(function, shape) for function in wanted}
        try:
            tf.saved_model.save(tf.Module(), saved, signatures=signatures)
            graphs = saved_model_utils.get_meta_graph_def(saved, "serve")
        except tf.errors.OpError as error:
            raise CompileFailed(
                f"The graphs could not be written: {error.message}. "
                "Put that right and compile again, or serve with --engine jit."
            ) from error
        for function in wanted:
            try:
                saved_model_aot_compile.aot_compile_cpu_meta_graph_def(
                    checkpoint_path=f"{saved}/variables/variables",
                    meta_graph_def=graphs,
                    output_prefix=str(folder / function.name),
                    signature_def_key=function.name,
                    cpp_class=f"flatdense::{function.name}",
                    target_triple=TRIPLES[target.machine],
                    target_cpu=target.cpu,
                    variables_to_feed=(),
                    multithreading=False,
                )
            except (*REFUSALS, tf.errors.OpError) as error:
                raise CompileFailed(
                    f"XLA could not compile {function.name}: {error}. "
                    "Put that right and compile again, or serve with --engine jit."
                ) from error
            step()


def make_graph(function: Function, shape: NetworkShape) -> Any:  # noqa: ANN401 -- no types
    """The network on exactly `rows` rows, with its weights as arguments."""
    dtype = DTYPES[function.dtype]

    @tf.function(
        autograph=False,  # there is no Python control flow in it
        input_signature=[
            tf.TensorSpec([function.rows, shape.pixels], dtype, name="images"),
            tf.TensorSpec([shape.pixels, shape.hidden], tf.float32, name="hidden_kernel"),
            tf.TensorSpec([shape.hidden], tf.float32, name="hidden_bias"),
            tf.TensorSpec([shape.hidden, shape.classes], tf.float32, name="output_kernel"),
            tf.TensorSpec([shape.classes], tf.float32, name="output_bias"),
        ],
    )  # type: ignore[untyped-decorator]
    def network(
        images: Any,  # noqa: ANN401 -- TensorFlow has no types
        hidden_kernel: Any,  # noqa: ANN401
        hidden_bias: Any,  # noqa: ANN401
        output_kernel: Any,  # noqa: ANN401
        output_bias: Any,  # noqa: ANN401
    ) -> dict[str, Any]:
        scaled = tf.cast(images, tf.float32) / 255.0 if dtype == tf.uint8 else images
        hidden = tf.nn.relu(scaled @ hidden_kernel + hidden_bias)
        probabilities = tf.nn.softmax(hidden @ output_kernel + output_bias)
        classes = tf.argmax(probabilities, axis=-1)
        return {"probabilities": probabilities, "classes": classes, "hidden": hidden}

    return network
