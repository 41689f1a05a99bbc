"""flatdense.v1.Classifier, but for what classifies."""

from collections.abc import Mapping

from flatdense_proto.v1 import classifier_pb2 as pb

from flatdense_server.edge.call import Call
from flatdense_server.edge.service import Rpc
from flatdense_server.models.registry import Registry
from flatdense_server.protocols import native
from flatdense_server.protocols.messages import parse


class ClassifierService:
    """Describes the model."""

    name = native.SERVICE

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def rpcs(self) -> Mapping[str, Rpc]:
        """By name."""
        return {"GetModel": self._get_model}

    def _get_model(self, request: bytes, call: Call) -> pb.GetModelResponse:
        """What the model is and how it is served."""
        servable = self._registry.resolve(native.read_selector(parse(pb.GetModelRequest, request)))
        call.answered_by(servable.answerer)
        return native.describe(self._registry.summarize(servable))
