"""The model behind Triton's Python backend, by numpy. Loaded by Triton, in its own environment."""

from __future__ import annotations  # the backend has the classes only when it runs

import json
from pathlib import Path

import numpy as np
import triton_python_backend_utils as triton
from network import Network


class TritonPythonModel:
    """The backend looks for this name. The model's parameter `folder` is the version's."""

    def initialize(self, args: dict[str, str]) -> None:
        """Reads the weights."""
        parameters = json.loads(args["model_config"])["parameters"]
        self._network = Network(Path(parameters["folder"]["string_value"]))

    def execute(self, requests: list[triton.InferenceRequest]) -> list[triton.InferenceResponse]:
        """Rows of several requests are one product."""
        inputs = [triton.get_input_tensor_by_name(each, "images").as_numpy() for each in requests]
        stops = np.cumsum([len(each) for each in inputs])[:-1]
        probabilities = np.split(self._network.classify(np.concatenate(inputs)), stops)
        return [
            triton.InferenceResponse([triton.Tensor("probabilities", each)])
            for each in probabilities
        ]
