"""The routes of what the native protocol has and the other two have not."""

from typing import Final

from flatdense_proto.v1 import classifier_pb2 as pb
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from flatdense_server.http.documents import check_text
from flatdense_server.http.exchange import Exchange
from flatdense_server.http.explain import read_explain
from flatdense_server.http.limits import Limits
from flatdense_server.http.messages import describe
from flatdense_server.http.tf_serving import PATHS, read_version

GET_MODEL: Final = "/flatdense.v1.Classifier/GetModel"


class Native:
    """Answers :explain and /summary below /v1."""

    def __init__(self, exchange: Exchange, limits: Limits) -> None:
        self._exchange = exchange
        self._limits = limits

    def routes(self) -> list[Route]:
        """Every route: of a model, of a version by its number, of one by its label."""
        return [
            *(Route(f"{path}:explain", self.explain, methods=["POST"]) for path in PATHS),
            *(Route(f"{path}/summary", self.summarize) for path in PATHS),
        ]

    async def explain(self, request: Request) -> Response:
        """Classifies images, and says where it comes from."""
        selector = read_selector(request)
        return await self._exchange.post(
            request, lambda body: read_explain(body, selector, self._limits)
        )

    async def summarize(self, request: Request) -> Response:
        """What a version is and how it is served, and where the others are."""
        asked = pb.GetModelRequest(model=read_selector(request))
        answer = await self._exchange.ask(GET_MODEL, asked, pb.GetModelResponse)
        return JSONResponse(describe(answer))


def read_selector(request: Request) -> pb.ModelSelector:
    """Which version a path means. Raises RequestRefused."""
    names = request.path_params
    selector = pb.ModelSelector(name=check_text("the model's name", names["model"]))
    if "label" in names:
        selector.label = check_text("the label", names["label"])
    if "version" in names:
        selector.version = read_version(names["version"])
    return selector
