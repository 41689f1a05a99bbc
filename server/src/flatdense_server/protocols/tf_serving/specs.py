"""ModelSpec: which version is asked, and which answered."""

from functools import lru_cache
from typing import Final

from flatdense_proto.twin import tensorflow_serving_pb2 as pb

from flatdense_server.selector import Selector

ANY: Final = Selector()


def select(spec: pb.ModelSpec) -> Selector:
    """Which version is asked."""
    version = spec.version.value if spec.HasField("version") else None
    if not spec.name and version is None and not spec.version_label:
        return ANY
    return Selector(spec.name, version, spec.version_label)


@lru_cache(maxsize=64)
def name_answerer(model: str, version: int, signature: str) -> pb.ModelSpec:
    """Which answered. Not to be changed."""
    spec = pb.ModelSpec(name=model, signature_name=signature)
    spec.version.value = version
    return spec
