"""The routes of the Open Inference Protocol, version 2, and of what Triton adds to it."""

from collections.abc import Mapping
from typing import Final, Protocol, TypeVar

import msgspec
from flatdense_proto.twin import inference_pb2 as pb
from google.protobuf.message import Message
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from flatdense_server.http.backend import BackendUnavailable
from flatdense_server.http.documents import check_parts, check_text, read_document
from flatdense_server.http.errors import RETRY
from flatdense_server.http.exchange import Answer, Exchange, Question, encode
from flatdense_server.http.infer import HEADER_LENGTH, InferReader
from flatdense_server.http.limits import Limits
from flatdense_server.http.messages import describe
from flatdense_server.http.parameters import Parameter, check_count, check_integer

SERVICE: Final = "/inference.GRPCInferenceService"

LOADING_S: Final = 120.0
"""For a version to be loaded, or to have answered its calls before it is unloaded."""


T = TypeVar("T")
N_co = TypeVar("N_co", covariant=True)


class Named(Protocol[N_co]):
    """A kind of message about a model, or about one of its versions."""

    def __call__(self, *, name: str, version: str) -> N_co:
        """The message."""
        ...


class IndexRequest(msgspec.Struct):
    """The JSON of a request for the repository's index."""

    ready: bool = False


class RepositoryRequest(msgspec.Struct):
    """The JSON of a request to load or unload a model."""

    parameters: dict[str, Parameter] | None = None


INDEX_DECODER: Final = msgspec.json.Decoder(IndexRequest)
REPOSITORY_DECODER: Final = msgspec.json.Decoder(RepositoryRequest)


class OpenInference:
    """Answers /v2 and all that is below it."""

    def __init__(self, exchange: Exchange, limits: Limits) -> None:
        self._exchange = exchange
        self._limits = limits

    def routes(self) -> list[Route]:
        """Every route. Those of a model have one of each version too."""
        model, version = "/v2/models/{model}", "/v2/models/{model}/versions/{version}"
        return [
            Route("/v2", self.describe_server),
            Route("/v2/health/live", self.live),
            Route("/v2/health/ready", self.ready),
            Route("/v2/models/stats", self.describe_statistics),
            *(Route(path, self.describe_model) for path in (model, version)),
            *(Route(f"{path}/ready", self.model_ready) for path in (model, version)),
            *(Route(f"{path}/config", self.describe_config) for path in (model, version)),
            *(Route(f"{path}/stats", self.describe_statistics) for path in (model, version)),
            *(Route(f"{path}/infer", self.infer, methods=["POST"]) for path in (model, version)),
            Route("/v2/repository/index", self.index, methods=["POST"]),
            Route("/v2/repository/models/{model}/load", self.load, methods=["POST"]),
            Route("/v2/repository/models/{model}/unload", self.unload, methods=["POST"]),
        ]

    async def live(self, _request: Request) -> Response:
        """Live: the process answers."""
        return JSONResponse({"live": True})

    async def ready(self, _request: Request) -> Response:
        """Ready: a call would be taken."""
        reason = "the server is not ready. Try again later."
        try:
            answer = await self._exchange.ask(
                f"{SERVICE}/ServerReady", pb.ServerReadyRequest(), pb.ServerReadyResponse
            )
            ready = answer.ready
        except BackendUnavailable as error:
            ready, reason = False, str(error)
        return JSONResponse({"ready": True}) if ready else describe_unready({}, reason)

    async def describe_server(self, _request: Request) -> Response:
        """The server's name, version and extensions."""
        return await self._describe(
            "ServerMetadata", pb.ServerMetadataRequest(), pb.ServerMetadataResponse
        )

    async def describe_model(self, request: Request) -> Response:
        """A model's versions and tensors."""
        metadata = await self._ask_metadata(request)
        described = describe(metadata)
        described = {name: value for name, value in described.items() if name != "properties"}
        if metadata.properties:
            described["properties"] = dict(metadata.properties)
        return JSONResponse(described)

    async def model_ready(self, request: Request) -> Response:
        """Whether a model would take a call. 404 where there is none of that name."""
        answer = await self._exchange.ask(
            f"{SERVICE}/ModelReady",
            name_model(request, pb.ModelReadyRequest),
            pb.ModelReadyResponse,
        )
        name = {"name": request.path_params["model"]}
        if answer.ready:
            return JSONResponse({**name, "ready": True})
        # It says no more than that. What is not found, or still loading, says so here:
        try:
            await self._ask_metadata(request)
        except BackendUnavailable as error:
            return describe_unready(name, str(error))
        return describe_unready(name, "the model is not ready. Try again later.")

    async def describe_config(self, request: Request) -> Response:
        """How a model is served, as Triton's configuration says it."""
        message = name_model(request, pb.ModelConfigRequest)
        answer = await self._exchange.ask(f"{SERVICE}/ModelConfig", message, pb.ModelConfigResponse)
        return JSONResponse(describe(answer.config))

    async def describe_statistics(self, request: Request) -> Response:
        """How many calls and batches there were, and how long they took."""
        message = name_model(request, pb.ModelStatisticsRequest)
        return await self._describe("ModelStatistics", message, pb.ModelStatisticsResponse)

    async def infer(self, request: Request) -> Response:
        """Classifies images."""
        model, version = read_names(request)
        reader = InferReader(
            model=model,
            version=version,
            header_length=request.headers.get(HEADER_LENGTH, ""),
            limits=self._limits,
        )
        return await self._exchange.post(request, reader.read)

    async def index(self, request: Request) -> Response:
        """Every version and its state."""

        def read(body: bytes) -> Question:
            """The body may be empty."""
            wanted = self._read_document(body, INDEX_DECODER) or IndexRequest()
            message = pb.RepositoryIndexRequest(ready=wanted.ready)
            method = f"{SERVICE}/RepositoryIndex"
            return Question(method, message.SerializeToString(), write_index)

        return await self._exchange.post(request, read)

    async def load(self, request: Request) -> Response:
        """Looks at the model's folder, and serves it again where it was unloaded."""
        return await self._change(request, "RepositoryModelLoad", pb.RepositoryModelLoadRequest)

    async def unload(self, request: Request) -> Response:
        """Serves a model no more."""
        return await self._change(request, "RepositoryModelUnload", pb.RepositoryModelUnloadRequest)

    async def _change(
        self,
        request: Request,
        method: str,
        kind: type[pb.RepositoryModelLoadRequest | pb.RepositoryModelUnloadRequest],
    ) -> Response:
        name, _ = read_names(request)

        def read(body: bytes) -> Question:
            """The body may be empty."""
            wanted = self._read_document(body, REPOSITORY_DECODER) or RepositoryRequest()
            parameters = wanted.parameters or {}
            check_count("parameters", parameters)
            message = kind(
                model_name=name,
                parameters={
                    check_text("parameters", key): read_repository_parameter(key, value)
                    for key, value in parameters.items()
                },
            )
            done = Answer(b"{}")
            return Question(
                f"{SERVICE}/{method}", message.SerializeToString(), lambda _: done, LOADING_S
            )

        return await self._exchange.post(request, read)

    def _read_document(self, body: bytes, decoder: msgspec.json.Decoder[T]) -> T | None:
        if not body.strip():
            return None
        check_parts(body, self._limits.json_parts)
        return read_document(body, decoder)

    async def _ask_metadata(self, request: Request) -> pb.ModelMetadataResponse:
        message = name_model(request, pb.ModelMetadataRequest)
        return await self._exchange.ask(
            f"{SERVICE}/ModelMetadata", message, pb.ModelMetadataResponse
        )

    async def _describe(self, method: str, message: Message, kind: type[Message]) -> Response:
        answer = await self._exchange.ask(f"{SERVICE}/{method}", message, kind)
        return JSONResponse(describe(answer))


def read_names(request: Request) -> tuple[str, str]:
    """The model and the version that a path names; empty where it does not."""
    names = request.path_params
    return (
        check_text("the model's name", names.get("model", "")),
        check_text("the version", names.get("version", "")),
    )


def name_model(request: Request, kind: Named[N_co]) -> N_co:
    """The message about what a path names."""
    model, version = read_names(request)
    return kind(name=model, version=version)


def read_repository_parameter(name: str, value: Parameter) -> pb.ModelRepositoryParameter:
    """A parameter of the repository's requests; there are no others with a fraction."""
    match value:
        case bool():
            return pb.ModelRepositoryParameter(bool_param=value)
        case int():
            return pb.ModelRepositoryParameter(
                int64_param=check_integer(f"parameters.{name}", value)
            )
        case _:
            return pb.ModelRepositoryParameter(string_param=str(value))


def write_index(data: bytes) -> Answer:
    """The response to a worker's index of its repository."""
    index = pb.RepositoryIndexResponse.FromString(data)
    return Answer(encode([describe(model) for model in index.models]))


def describe_unready(names: Mapping[str, str], reason: str) -> Response:
    """The response of what is not ready."""
    return JSONResponse(
        {**names, "ready": False, "error": reason}, status_code=503, headers={**RETRY}
    )
