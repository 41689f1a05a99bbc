"""What of a served version's folder is shown: its weights, and the report of its training."""

from pathlib import Path
from types import MappingProxyType
from typing import Final

from anyio import to_thread
from flatdense_artifact import version_folder
from flatdense_artifact.weights import WEIGHTS_NAME
from flatdense_proto.v1 import classifier_pb2 as pb
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route
from starlette.status import HTTP_204_NO_CONTENT, HTTP_304_NOT_MODIFIED, HTTP_404_NOT_FOUND

from flatdense_server.http.documents import check_text
from flatdense_server.http.errors import RequestRefused
from flatdense_server.http.exchange import Exchange
from flatdense_server.http.native import GET_MODEL
from flatdense_server.http.tf_serving import read_version

WEIGHTS_KIND: Final = "application/octet-stream"

REPORT: Final = MappingProxyType(
    {
        "report.json": "application/json",
        "neurons.png": "image/png",
        "neurons_initial.png": "image/png",
    }
)
"""What is shown of the folder of a report. Its HTML is for those who have the folder."""

HEADERS: Final = MappingProxyType(
    {"cache-control": "private, no-cache", "x-content-type-options": "nosniff"}
)
"""A version is never changed, but another one may come under its number."""


class VersionFiles:
    """Answers for the files of versions that are served now, and of no others."""

    def __init__(self, exchange: Exchange, model_dir: Path) -> None:
        self._exchange = exchange
        self._model_dir = model_dir

    def routes(self) -> list[Route]:
        """Every route."""
        version = "/v1/models/{model:servable}/versions/{version:servable}"
        return [
            Route(f"{version}/weights", self.weights),
            Route(f"{version}/report", self.report),
            Route(f"{version}/report/{{file}}", self.report),
        ]

    async def weights(self, request: Request) -> Response:
        """The weights of both dense layers, as a safetensors file."""
        return await self._answer(request, WEIGHTS_NAME, WEIGHTS_KIND)

    async def report(self, request: Request) -> Response:
        """The report of the training as JSON, or one of its pictures."""
        name = request.path_params.get("file", "report.json")
        if name not in REPORT:
            known = ", ".join(REPORT)
            raise RequestRefused(
                HTTP_404_NOT_FOUND, f"the report: expected one of {known}, got {name[:100]!r}."
            )
        return await self._answer(request, f"report/{name}", REPORT[name])

    async def _answer(self, request: Request, name: str, kind: str) -> Response:
        version = read_version(request.path_params["version"])
        model = check_text("the model's name", request.path_params["model"])
        selector = pb.ModelSelector(name=model, version=version)
        # A worker says whether it is served, in the words that all of REST has for it.
        asked = pb.GetModelRequest(model=selector)
        await self._exchange.ask(GET_MODEL, asked, pb.GetModelResponse)
        path = version_folder(self._model_dir, version) / name
        try:
            status = await to_thread.run_sync(path.stat)
        except OSError:
            # It is served, and came without this: another program exported it, or no report.
            return Response(status_code=HTTP_204_NO_CONTENT, headers={**HEADERS})
        response = FileResponse(path, headers={**HEADERS}, media_type=kind, stat_result=status)
        if response.headers["etag"] in request.headers.get("if-none-match", ""):
            kept = {key: response.headers[key] for key in ("etag", "cache-control")}
            return Response(status_code=HTTP_304_NOT_MODIFIED, headers=kept)
        return response
