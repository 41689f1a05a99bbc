"""The routes of TensorFlow Serving's REST, version 1."""

from typing import Any, Final

from flatdense_proto.twin import tensorflow_serving_pb2 as pb
from starlette.convertors import (  # codespell:ignore convertors
    StringConvertor,
    register_url_convertor,
)
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from flatdense_server.http.classify import read_classify
from flatdense_server.http.documents import check_text
from flatdense_server.http.errors import refuse
from flatdense_server.http.exchange import Exchange
from flatdense_server.http.limits import Limits
from flatdense_server.http.messages import describe
from flatdense_server.http.predict import read_predict

STATUS: Final = "/tensorflow.serving.ModelService/GetModelStatus"
METADATA: Final = "/tensorflow.serving.PredictionService/GetModelMetadata"

SIGNATURES: Final = "signature_def"


class Servable(StringConvertor):
    """A name in a path: a colon ends it, and a verb follows."""

    regex = "[^/:]+"


register_url_convertor("servable", Servable())

MODEL: Final = "/v1/models/{model:servable}"

PATHS: Final = (
    MODEL,
    f"{MODEL}/versions/{{version:servable}}",
    f"{MODEL}/labels/{{label:servable}}",
)
"""Of a model, of a version by its number, of one by its label."""


class TensorflowServing:
    """Answers what is below /v1."""

    def __init__(self, exchange: Exchange, limits: Limits) -> None:
        self._exchange = exchange
        self._limits = limits

    def routes(self) -> list[Route]:
        """Every route: of a model, of a version by its number, of one by its label."""
        return [
            *(Route(f"{path}:predict", self.predict, methods=["POST"]) for path in PATHS),
            *(Route(f"{path}:classify", self.classify, methods=["POST"]) for path in PATHS),
            *(Route(f"{path}/metadata", self.describe_signatures) for path in PATHS),
            *(Route(path, self.describe_status) for path in PATHS),
        ]

    async def predict(self, request: Request) -> Response:
        """Classifies images: tensors in, tensors out."""
        spec = read_spec(request)
        return await self._exchange.post(
            request, lambda body: read_predict(body, spec, self._limits)
        )

    async def classify(self, request: Request) -> Response:
        """Classifies images: examples in, classes and scores out."""
        spec = read_spec(request)
        return await self._exchange.post(
            request, lambda body: read_classify(body, spec, self._limits)
        )

    async def describe_status(self, request: Request) -> Response:
        """Every version, or the one that is named, and its state."""
        answer = await self._exchange.ask(
            STATUS,
            pb.GetModelStatusRequest(model_spec=read_spec(request)),
            pb.GetModelStatusResponse,
        )
        for status in answer.model_version_status:
            status.status.SetInParent()  # which writes OK
        return JSONResponse(describe(answer, wide=str))

    async def describe_signatures(self, request: Request) -> Response:
        """The signatures of a version: names, types and shapes of tensors."""
        message = pb.GetModelMetadataRequest(
            model_spec=read_spec(request), metadata_field=[SIGNATURES]
        )
        answer = await self._exchange.ask(METADATA, message, pb.GetModelMetadataResponse)
        signatures = pb.SignatureDefMap.FromString(answer.metadata[SIGNATURES].value)
        return JSONResponse(
            {
                "model_spec": describe_spec(answer.model_spec),
                "metadata": {SIGNATURES: describe(signatures, wide=str)},
            }
        )


def read_spec(request: Request) -> pb.ModelSpec:
    """Which version a path means. Raises RequestRefused."""
    names = request.path_params
    spec = pb.ModelSpec(name=check_text("the model's name", names["model"]))
    if "label" in names:
        spec.version_label = check_text("the label", names["label"])
    if "version" in names:
        spec.version.value = read_version(names["version"])
    return spec


def read_version(text: str) -> int:
    """A version's number."""
    largest = (1 << 63) - 1
    known = text.isascii() and text.isdecimal() and len(text) <= len(str(largest))
    if not known or int(text) > largest:
        raise refuse(
            "the version",
            f"expected a number from 0 to {largest}, got {text[:100]!r}. "
            "Labels are below /labels/.",
        )
    return int(text)


def describe_spec(spec: pb.ModelSpec) -> dict[str, Any]:
    """The version that answered. Its number is text, as protocol buffers have it in JSON."""
    return {
        "name": spec.name,
        "signature_name": spec.signature_name,
        "version": str(spec.version.value),
    }
