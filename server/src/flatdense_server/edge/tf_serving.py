"""TensorFlow Serving's services, but for what classifies."""

from collections.abc import Mapping
from typing import Final

from flatdense_proto.twin import tensorflow_serving_pb2 as pb

from flatdense_server.edge.call import Call
from flatdense_server.edge.service import Rpc
from flatdense_server.models.registry import Registry
from flatdense_server.protocols.messages import parse, public_name
from flatdense_server.protocols.tf_serving.describe import (
    check_fields,
    describe_signatures,
    describe_status,
)
from flatdense_server.protocols.tf_serving.predict import SERVICE
from flatdense_server.protocols.tf_serving.specs import select

MODEL_SERVICE: Final = public_name(pb.DESCRIPTOR.services_by_name["ModelService"].full_name)


class PredictionService:
    """Describes the model's signatures."""

    name = SERVICE

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def rpcs(self) -> Mapping[str, Rpc]:
        """By name."""
        return {"GetModelMetadata": self._get_model_metadata}

    def _get_model_metadata(self, request: bytes, call: Call) -> pb.GetModelMetadataResponse:
        """The signatures of a version."""
        asked = parse(pb.GetModelMetadataRequest, request)
        check_fields(asked.metadata_field)
        servable = self._registry.resolve(select(asked.model_spec))
        call.answered_by(servable.answerer)
        return describe_signatures(self._registry.summarize(servable))


class ModelService:
    """Tells where the versions are on their way to being served."""

    name = MODEL_SERVICE

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def rpcs(self) -> Mapping[str, Rpc]:
        """By name."""
        return {"GetModelStatus": self._get_model_status}

    def _get_model_status(self, request: bytes, _call: Call) -> pb.GetModelStatusResponse:
        """Every version and its state, or those of the one that is named."""
        asked = parse(pb.GetModelStatusRequest, request)
        selector = select(asked.model_spec)
        found = self._registry.find_statuses(selector)
        return pb.GetModelStatusResponse(model_version_status=map(describe_status, found))
