"""The model behind MLServer, by numpy. Loaded by MLServer, in its own environment."""

from pathlib import Path

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse
from network import Network


class Classifier(MLModel):
    """The uri of its settings is the version's folder."""

    async def load(self) -> bool:
        """Ready when the weights are read."""
        self._network = Network(Path(self.settings.parameters.uri))
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """The probabilities of one request."""
        probabilities = self._network.classify(NumpyCodec.decode_input(payload.inputs[0]))
        output = NumpyCodec.encode_output("probabilities", probabilities)
        return InferenceResponse(model_name=self.name, outputs=[output])
