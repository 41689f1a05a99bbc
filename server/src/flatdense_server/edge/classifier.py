"""flatdense.v1.Classifier, but for what classifies alone."""

from collections.abc import Mapping

from flatdense_proto.v1 import classifier_pb2 as pb

from flatdense_server.edge.call import Call
from flatdense_server.edge.service import Rpc
from flatdense_server.errors import NoSignature
from flatdense_server.explanation import explain
from flatdense_server.models.registry import Registry
from flatdense_server.protocols import native
from flatdense_server.protocols.messages import parse
from flatdense_server.protocols.pixels import scale_rows


class ClassifierService:
    """Describes the model, and explains what it says."""

    name = native.SERVICE

    def __init__(self, registry: Registry, *, max_request_rows: int) -> None:
        self._registry = registry
        self._max_request_rows = max_request_rows

    def rpcs(self) -> Mapping[str, Rpc]:
        """By name."""
        return {"Explain": self._explain, "GetModel": self._get_model}

    def _explain(self, request: bytes, call: Call) -> pb.ExplainResponse:
        """Classifies images and takes apart what the network says of them."""
        asked = parse(pb.ExplainRequest, request)
        selector = native.read_selector(asked)
        servable = self._registry.resolve(selector)
        call.answered_by(servable.answerer)
        class_index = native.read_class(asked, len(servable.identity.class_names))
        rows = scale_rows(native.read_rows(asked, max_rows=self._max_request_rows))
        servable, pending = self._registry.submit(
            selector, rows, deadline_s=call.deadline_s, hidden=True, journey=call.journey
        )
        call.answered_by(servable.answerer)
        if servable.weights is None:
            raise NoSignature(
                f"version {servable.version} cannot be explained: its layers are not known."
            )
        outputs = pending.result()
        explained = explain(servable.weights, rows, outputs, class_index)
        call.computed(outputs)
        return native.describe_explanation(outputs, explained, servable.identity)

    def _get_model(self, request: bytes, call: Call) -> pb.GetModelResponse:
        """What the model is and how it is served."""
        servable = self._registry.resolve(native.read_selector(parse(pb.GetModelRequest, request)))
        call.answered_by(servable.answerer)
        return native.describe(self._registry.summarize(servable))
