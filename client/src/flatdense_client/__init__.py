"""The flatdense SDK: classify handwritten digits over gRPC, without TensorFlow.

from flatdense_client import Client

with Client("localhost:8500") as client:
    print(client.classify(images)[0].label)
"""

from flatdense_client._async_client import AsyncClient
from flatdense_client._channel.hedging import Hedging
from flatdense_client._channel.tls import Tls
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
from flatdense_client._images.kinds import ImageLike, ImagesLike
from flatdense_client._images.prepare import prepare_image
from flatdense_client._images.prepared import PreparedImage
from flatdense_client._results.explanations import Explanation, Explanations, PixelContribution
from flatdense_client._results.model import (
    Layer,
    ModelInfo,
    Serving,
    Tensor,
    Training,
    VersionStatus,
)
from flatdense_client._results.predictions import Prediction, Predictions
from flatdense_client._results.timing import Timing

__all__ = [
    "AsyncClient",
    "Client",
    "Closed",
    "DeadlineExceeded",
    "Explanation",
    "Explanations",
    "FlatdenseError",
    "Hedging",
    "ImageLike",
    "ImagesLike",
    "InvalidInput",
    "Layer",
    "ModelInfo",
    "NotFound",
    "Overloaded",
    "PermissionDenied",
    "PixelContribution",
    "Prediction",
    "Predictions",
    "PreparedImage",
    "ServerError",
    "Serving",
    "Tensor",
    "Timing",
    "Tls",
    "Training",
    "Unauthenticated",
    "Unavailable",
    "VersionStatus",
    "Violation",
    "prepare_image",
]

# Tracebacks and help say flatdense_client.Unavailable: the private modules may move.
for _name in __all__:
    if callable(globals()[_name]):  # a union of types has no module of its own
        globals()[_name].__module__ = __name__
del _name
