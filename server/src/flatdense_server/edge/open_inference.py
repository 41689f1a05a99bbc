"""inference.GRPCInferenceService, but for what classifies."""

from collections.abc import Callable, Mapping
from typing import Final, Protocol

from flatdense_proto.twin import inference_pb2 as pb

from flatdense_server.edge.call import Call
from flatdense_server.edge.service import Rpc
from flatdense_server.errors import InvalidInput, NotAllowed, RequestError
from flatdense_server.models.registry import Registry
from flatdense_server.models.servable import Servable
from flatdense_server.observe.metrics.statistics import Figures, read_statistics
from flatdense_server.protocols.messages import parse
from flatdense_server.protocols.open_inference import describe
from flatdense_server.protocols.open_inference.infer import SERVICE
from flatdense_server.protocols.open_inference.selection import select
from flatdense_server.protocols.open_inference.statistics import describe_statistics


class ModelControl(Protocol):
    """Loads and unloads the model, in every process of the service.

    Each call returns when it is done. Raises RequestError saying why where it is not.
    """

    def load(self) -> None:
        """Looks at the model's folder now, and serves the model again where it was unloaded."""
        ...

    def unload(self) -> None:
        """Serves the model no more, until it is loaded. What was accepted is answered."""
        ...


NOT_ALLOWED: Final = NotAllowed(
    "the model repository is not open to callers. Start the server with --model-control."
)


class OpenInferenceService:
    """Says whether the server and its model are there, what they are, and what they did.

    The repository's RPCs are for `control`; without it they are refused.
    """

    name = SERVICE

    def __init__(
        self,
        registry: Registry,
        *,
        methods: list[str],
        figures: Callable[[], Figures],
        control: ModelControl | None,
    ) -> None:
        """`figures()` are those of the whole service; `methods` are the RPCs that classify."""
        self._registry = registry
        self._methods = methods
        self._figures = figures
        self._control = control

    def rpcs(self) -> Mapping[str, Rpc]:
        """By name."""
        return {
            "ServerLive": self._server_live,
            "ServerReady": self._server_ready,
            "ModelReady": self._model_ready,
            "ServerMetadata": self._server_metadata,
            "ModelMetadata": self._model_metadata,
            "ModelConfig": self._model_config,
            "ModelStatistics": self._model_statistics,
            "RepositoryIndex": self._repository_index,
            "RepositoryModelLoad": self._repository_model_load,
            "RepositoryModelUnload": self._repository_model_unload,
        }

    def _server_live(self, _request: bytes, _call: Call) -> pb.ServerLiveResponse:
        return pb.ServerLiveResponse(live=True)

    def _server_ready(self, _request: bytes, _call: Call) -> pb.ServerReadyResponse:
        return pb.ServerReadyResponse(ready=self._registry.ready)

    def _model_ready(self, request: bytes, call: Call) -> pb.ModelReadyResponse:
        asked = parse(pb.ModelReadyRequest, request)
        try:
            self._resolve(asked.name, asked.version, call)
        except RequestError:
            return pb.ModelReadyResponse(ready=False)
        return pb.ModelReadyResponse(ready=True)

    def _server_metadata(self, _request: bytes, _call: Call) -> pb.ServerMetadataResponse:
        return describe.describe_server()

    def _model_metadata(self, request: bytes, call: Call) -> pb.ModelMetadataResponse:
        asked = parse(pb.ModelMetadataRequest, request)
        servable = self._resolve(asked.name, asked.version, call)
        return describe.describe_model(self._registry.summarize(servable))

    def _model_config(self, request: bytes, call: Call) -> pb.ModelConfigResponse:
        asked = parse(pb.ModelConfigRequest, request)
        servable = self._resolve(asked.name, asked.version, call)
        return pb.ModelConfigResponse(
            config=describe.describe_config(self._registry.summarize(servable))
        )

    def _model_statistics(self, request: bytes, call: Call) -> pb.ModelStatisticsResponse:
        asked = parse(pb.ModelStatisticsRequest, request)
        servable = self._resolve(asked.name, asked.version, call)
        served = self._registry.routes.versions.values()
        figures = self._figures()
        return pb.ModelStatisticsResponse(
            model_stats=[
                describe_statistics(*each, read_statistics(figures, *each, self._methods))
                for each in sorted(
                    version.answerer for version in ([servable] if asked.version else served)
                )
            ]
        )

    def _repository_index(self, request: bytes, _call: Call) -> pb.RepositoryIndexResponse:
        asked = parse(pb.RepositoryIndexRequest, request)
        self._allowed()
        registry = self._registry
        return pb.RepositoryIndexResponse(
            models=describe.describe_versions(
                registry.model_name, registry.statuses(), only_ready=asked.ready
            )
        )

    def _repository_model_load(self, request: bytes, _call: Call) -> pb.RepositoryModelLoadResponse:
        asked = parse(pb.RepositoryModelLoadRequest, request)
        control = self._allowed()
        self._registry.check_model(asked.model_name)
        for name in asked.parameters:
            raise InvalidInput(f"parameters[{name}]", "not offered: the model's folder has it all.")
        control.load()
        return pb.RepositoryModelLoadResponse()

    def _repository_model_unload(
        self, request: bytes, _call: Call
    ) -> pb.RepositoryModelUnloadResponse:
        asked = parse(pb.RepositoryModelUnloadRequest, request)
        control = self._allowed()
        self._registry.check_model(asked.model_name)
        control.unload()
        return pb.RepositoryModelUnloadResponse()

    def _allowed(self) -> ModelControl:
        if self._control is None:
            raise NOT_ALLOWED
        return self._control

    def _resolve(self, name: str, version: str, call: Call) -> Servable:
        servable = self._registry.resolve(select(name, version))
        call.answered_by(servable.answerer)
        return servable
