"""TensorFlow's XLA, compiled just in time over the loaded SavedModel. CPU and GPU.

The only file that imports TensorFlow.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from flatdense_server.engine.engine import EngineError, EngineSpec
from flatdense_server.engine.ladder import Ladder
from flatdense_server.engine.staging import Staging
from flatdense_server.tensors import (
    CLASSES_NAME,
    FLOAT32,
    INPUT_NAME,
    PIXELS,
    PROBABILITIES_NAME,
    UINT8,
    DType,
    Outputs,
    Rows,
)

SIGNATURES: Final = {FLOAT32: "serving_default", UINT8: "serving_uint8"}

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
    ) -> None:
        self._on_compile = on_compile
        self._phase: Phase = "warmup"
        self._model = load_saved_model(folder)
        self._staging = {dtype: Staging.allocate(ladder, dtype) for dtype in SIGNATURES}
        self._functions = {
            (dtype, size): self._compile(dtype, size)
            for dtype in SIGNATURES
            for size in ladder.sizes
        }
        class_count = self._warm_up(ladder)
        self._phase = "serving"
        self.spec = EngineSpec(name="jit", device=device, ladder=ladder, class_count=class_count)

    def run(self, parts: Sequence[Rows]) -> Outputs:
        """See Engine.run."""
        filled = self._staging[parts[0].dtype].fill(parts)
        pieces = [self._execute(buffer).cut(0, rows) for buffer, rows in filled]
        return Outputs.join(pieces)

    def close(self) -> None:
        """See Engine.close."""
        self._functions.clear()
        self._staging.clear()
        del self._model

    def _compile(self, dtype: DType, size: int) -> Any:  # noqa: ANN401 -- TensorFlow has no types
        signature = self._model.signatures[SIGNATURES[dtype]]

        @tf.function(jit_compile=True)  # type: ignore[untyped-decorator]
        def network(images: Any) -> Any:  # noqa: ANN401 -- TensorFlow has no types
            self._on_compile(self._phase)  # Python in a traced body runs only while tracing
            return signature(**{INPUT_NAME: images})

        return network.get_concrete_function(tf.TensorSpec((size, PIXELS), dtype))

    def _execute(self, buffer: Rows) -> Outputs:
        network = self._functions[buffer.dtype, len(buffer)]
        answer = network(tf.constant(buffer))
        probabilities: npt.NDArray[np.float32] = answer[PROBABILITIES_NAME].numpy()
        classes: npt.NDArray[np.int64] = answer[CLASSES_NAME].numpy()
        return Outputs(probabilities, classes)

    def _warm_up(self, ladder: Ladder) -> int:
        """Runs every size once, which is when XLA compiles it; gives the number of classes."""
        try:
            outputs = [
                self._execute(np.zeros((size, PIXELS), dtype))
                for dtype in SIGNATURES
                for size in ladder.sizes
            ]
        except (tf.errors.OpError, KeyError) as error:
            raise EngineError(f"XLA cannot run the SavedModel: {error}") from error
        class_count: int = outputs[0].probabilities.shape[1]
        return class_count


def load_saved_model(folder: Path) -> Any:  # noqa: ANN401 -- TensorFlow has no types
    """Loads a SavedModel and checks that it has the signatures that are served.

    Raises EngineError where TensorFlow cannot read it or a signature does not fit.
    """
    try:
        model = tf.saved_model.load(str(folder))
    except Exception as error:
        # A damaged file surfaces as anything from OSError to a protobuf or internal error.
        raise EngineError(f"TensorFlow cannot load the SavedModel in {folder}: {error}") from error
    for dtype, name in SIGNATURES.items():
        signature = model.signatures.get(name)
        expected = {INPUT_NAME: tf.TensorSpec((None, PIXELS), dtype, name=INPUT_NAME)}
        if signature is None or signature.structured_input_signature[1] != expected:
            raise EngineError(
                f"the SavedModel in {folder} has no signature {name} that takes {INPUT_NAME}: "
                f"{dtype} [N, {PIXELS}]. Export it with flatdense-train."
            )
    return model
