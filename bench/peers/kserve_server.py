"""The model behind KServe, by numpy. Run in KServe's own environment.

Arguments: the version's folder, the port for gRPC, the port for HTTP.
"""

import sys
from pathlib import Path

from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer
from network import Network


class Classifier(Model):
    """One request at a time: KServe batches in another process, over HTTP alone."""

    def __init__(self, folder: Path) -> None:
        super().__init__("mnist")
        self._network = Network(folder)
        self.ready = True

    def predict(self, payload: InferRequest, *_arguments: object) -> InferResponse:
        """The probabilities as raw bytes."""
        probabilities = self._network.classify(payload.inputs[0].as_numpy())
        output = InferOutput("probabilities", list(probabilities.shape), "FP32")
        output.set_data_from_numpy(probabilities, binary_data=True)
        return InferResponse(payload.id, self.name, [output])


if __name__ == "__main__":
    server = ModelServer(
        grpc_port=int(sys.argv[2]), http_port=int(sys.argv[3]), enable_latency_logging=False
    )
    server.start([Classifier(Path(sys.argv[1]))])
