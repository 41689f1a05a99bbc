"""TensorFlow's XLA, compiled just in time over the loaded SavedModel. CPU and GPU."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import tensorflow as tf

from flatdense_server.engine.engine import EngineError, EngineSpec
from flatdense_server.engine.ladder import Ladder
from flatdense_server.engine.saved_model import (
    Network,
    Tensor,
    adapt_networks,
    load_saved_model,
    reason_of,
    take_networks,
)
from flatdense_server.engine.staging import Staging
from flatdense_server.engine.survey import Survey
from flatdense_server.tensors import FLOAT32, PIXELS, Outputs, Rows

Phase: TypeAlias = Literal["warmup", "serving"]


def prepare_tensorflow(device: str, threads: int) -> str:
    """Sizes TensorFlow's threads and picks the device, once a process and before any engine.

    `device` is auto, cpu or gpu; the one in use, cpu or gpu, is given back. Raises EngineError
    where a GPU is wanted and TensorFlow sees none.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if device == "gpu" and not gpus:
        raise EngineError(
            "--device gpu: TensorFlow sees no GPU. Install flatdense-server[jit-gpu] and the "
            "driver, or use --device cpu."
        )
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    if not gpus or device == "cpu":
        tf.config.set_visible_devices([], "GPU")
        return "cpu"
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, enable=True)
    return "gpu"


class JitEngine:
    """Runs a SavedModel's signatures through `tf.function(jit_compile=True)` at the ladder's sizes.

    Without a survey it is one that flatdense-train exported; with one, it is what the survey says.
    Each size is traced to a function of that one shape, so that a shape outside the ladder cannot
    be compiled by accident. `on_compile(phase)` is called once for each compilation.
    """

    def __init__(
        self,
        folder: Path,
        *,
        ladder: Ladder,
        device: str,
        on_compile: Callable[[Phase], None],
        survey: Survey | None = None,
    ) -> None:
        self._on_compile = on_compile
        self._phase: Phase = "warmup"
        self._model = model = load_saved_model(folder)
        networks = adapt_networks(model, survey) if survey else take_networks(model, folder)
        self._staging = {dtype: Staging.allocate(ladder, dtype) for dtype in networks}
        try:
            self._functions = {
                (dtype, size): self._compile(network, tf.TensorSpec((size, PIXELS), dtype))
                for dtype, network in networks.items()
                for size in ladder.sizes
            }
            outputs = self._warm_up()
        except (tf.errors.OpError, KeyError) as error:
            raise EngineError(
                f"XLA cannot run the SavedModel in {folder}: {reason_of(error)}"
            ) from error
        self._phase = "serving"
        self.spec = EngineSpec(
            name="jit",
            device=device,
            ladder=ladder,
            class_count=outputs.probabilities.shape[1],
            hidden_count=0 if outputs.hidden is None else outputs.hidden.shape[1],
        )

    def run(self, parts: Sequence[Rows], *, hidden: bool = False) -> Outputs:
        """See Engine.run."""
        filled = self._staging[parts[0].dtype].fill(parts)
        pieces = [self._execute(buffer, hidden=hidden).cut(0, rows) for buffer, rows in filled]
        return Outputs.join(pieces)

    def close(self) -> None:
        """See Engine.close."""
        self._functions.clear()
        self._staging.clear()
        del self._model

    def _compile(self, network: Network, images: tf.TensorSpec) -> Network:
        @tf.function(jit_compile=True)  # type: ignore[untyped-decorator]
        def compiled(images: Tensor) -> tuple[Tensor, ...]:
            self._on_compile(self._phase)  # Python in a traced body runs only while tracing
            return network(images)

        function: Network = compiled.get_concrete_function(images)
        return function

    def _execute(self, buffer: Rows, *, hidden: bool) -> Outputs:
        compiled = self._functions[buffer.dtype, len(buffer)]
        probabilities, classes, *rest = compiled(tf.constant(buffer))
        activations = rest[0].numpy() if hidden and rest else None
        return Outputs(probabilities.numpy(), classes.numpy(), activations)

    def _warm_up(self) -> Outputs:
        """Runs every size once, which is when XLA compiles it; gives the last float32 answers."""
        for dtype, size in self._functions:
            outputs = self._execute(np.zeros((size, PIXELS), dtype), hidden=dtype == FLOAT32)
            if dtype == FLOAT32:
                answers = outputs
        return answers
