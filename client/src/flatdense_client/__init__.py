"""The flatdense SDK: classify handwritten digits over gRPC, without TensorFlow.

from flatdense_client import Client

with Client("localhost:8500") as client:
    print(client.classify(images)[0].label)
"""

from flatdense_client._async_client import AsyncClient
from flatdense_client._client import Client
from flatdense_client._errors import (
    Closed,
    DeadlineExceeded,
    FlatdenseError,
    InvalidInput,
    NotFound,
    Overloaded,
    PermissionDenied,
    ServerError,
    Unauthenticated,
    Unavailable,
    Violation,
)
from flatdense_client._images import load_image
from flatdense_client._model import Layer, ModelInfo, Serving, Tensor, Training, VersionStatus
from flatdense_client._predictions import Prediction, Predictions

__all__ = [
    "AsyncClient",
    "Client",
    "Closed",
    "DeadlineExceeded",
    "FlatdenseError",
    "InvalidInput",
    "Layer",
    "ModelInfo",
    "NotFound",
    "Overloaded",
    "PermissionDenied",
    "Prediction",
    "Predictions",
    "ServerError",
    "Serving",
    "Tensor",
    "Training",
    "Unauthenticated",
    "Unavailable",
    "VersionStatus",
    "Violation",
    "load_image",
]

# Tracebacks and help say flatdense_client.Unavailable: the private modules may move.
for _name in __all__:
    globals()[_name].__module__ = __name__
del _name
