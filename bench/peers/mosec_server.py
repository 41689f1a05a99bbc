"""The model behind mosec: bytes in, probabilities out, by numpy. Run in mosec's own environment.

PEER_DTYPE is the dtype of the pixels, PEER_FOLDER the version's folder: mosec has the arguments.
"""

import os
from pathlib import Path

import numpy as np
from mosec import Server, Worker
from network import Network

DTYPE = np.dtype(os.environ["PEER_DTYPE"])  # noqa: TID251 -- mosec starts us in processes of its own
FOLDER = Path(os.environ["PEER_FOLDER"])  # noqa: TID251
MAX_BATCH_REQUESTS = 64
MAX_WAIT_MS = 1  # the least that it takes; by default it waits 10 for a batch that is not full


class Classifier(Worker):
    """Rows of several requests are one product."""

    def __init__(self) -> None:
        self._network = Network(FOLDER)

    def deserialize(self, data: bytes) -> np.ndarray:
        """Rows of 784."""
        return np.frombuffer(data, DTYPE).reshape(-1, 784)

    def forward(self, data: list[np.ndarray]) -> list[np.ndarray]:
        """The probabilities of each request."""
        stops = np.cumsum([len(each) for each in data])[:-1]
        return np.split(self._network.classify(np.concatenate(data)), stops)

    def serialize(self, data: np.ndarray) -> bytes:
        """float32, row after row."""
        return data.tobytes()


if __name__ == "__main__":
    server = Server()
    server.append_worker(
        Classifier, num=1, max_batch_size=MAX_BATCH_REQUESTS, max_wait_time=MAX_WAIT_MS
    )
    server.run()
