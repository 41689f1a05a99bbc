"""The model behind Triton's Python backend, by TensorFlow's XLA. Loaded by Triton, as the other."""

from __future__ import annotations  # the backend has the classes only when it runs

import json
from pathlib import Path

import numpy as np
import tensorflow as tf
import triton_python_backend_utils as triton
from safetensors.numpy import load_file

LADDER_ROWS = tuple(2**power for power in range(11))
"""XLA compiles each size of a batch anew: a batch is filled up to the next of these."""


class TritonPythonModel:
    """The backend looks for this name. The model's parameter `folder` is the version's."""

    def initialize(self, args: dict[str, str]) -> None:
        """Reads the weights, and compiles all sizes."""
        configuration = json.loads(args["model_config"])
        folder = Path(configuration["parameters"]["folder"]["string_value"])
        datatype = configuration["input"][0]["data_type"]
        self._dtype = np.dtype(triton.triton_string_to_numpy(datatype))
        weights = load_file(folder / "weights.safetensors")
        names = ("hidden/kernel", "hidden/bias", "output/kernel", "output/bias")
        kernel, bias, output_kernel, output_bias = (tf.constant(weights[name]) for name in names)

        @tf.function(jit_compile=True)
        def classify(rows: tf.Tensor) -> tf.Tensor:
            scaled = tf.cast(rows, tf.float32) / 255.0 if rows.dtype == tf.uint8 else rows
            hidden = tf.nn.relu(scaled @ kernel + bias)
            return tf.nn.softmax(hidden @ output_kernel + output_bias)

        self._classify = classify
        for rows in LADDER_ROWS:
            classify(tf.zeros((rows, 784), self._dtype))

    def execute(self, requests: list[triton.InferenceRequest]) -> list[triton.InferenceResponse]:
        """Rows of several requests are one batch."""
        inputs = [triton.get_input_tensor_by_name(each, "images").as_numpy() for each in requests]
        stops = np.cumsum([len(each) for each in inputs])
        size = next(rows for rows in LADDER_ROWS if rows >= stops[-1])
        rows = np.zeros((size, 784), self._dtype)
        np.concatenate(inputs, out=rows[: stops[-1]])
        probabilities = self._classify(tf.constant(rows)).numpy()
        return [
            triton.InferenceResponse([triton.Tensor("probabilities", each)])
            for each in np.split(probabilities[: stops[-1]], stops[:-1])
        ]
