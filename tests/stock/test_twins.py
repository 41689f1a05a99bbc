"""Our messages beside the originals that they are twins of, as the stock packages have them."""

import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from flatdense_proto import twin
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import (
    Descriptor,
    EnumDescriptor,
    FileDescriptor,
    ServiceDescriptor,
)
from google.protobuf.descriptor_pool import DescriptorPool
from tritonclient.grpc import service_pb2

TWIN = "flatdense.twin."
"""What the twins' full names begin with; the rest is the original's name."""

MOVED = {
    "tensorflow.serving.ServableVersionPolicy": (
        "tensorflow.serving.FileSystemStoragePathSourceConfig.ServableVersionPolicy"
    )
}
"""Where the original is inside another message."""

DEPARTURES = {
    "inference": [
        "inference.ModelConfig.dynamic_batching",  # in a oneof there, whose others are not here
        "inference.ModelMetadataResponse.PropertiesEntry",  # the open protocol's alone
        "inference.ModelMetadataResponse.properties",
    ],
    "tensorflow": ["tensorflow.TensorInfo.name"],  # in a oneof there, whose others are not here
    "tensorflow_error": [],
    "tensorflow_serving": [],
    "tensorflow_serving_config": [
        "tensorflow.serving.BatchingParameters",  # not in the package
        "tensorflow.serving.ModelServerConfig.model_config_list",  # in a oneof there
    ],
}
"""For each file of twins all that is not as the original; none of it shows on the wire."""

WRITE_SERVING = Path(__file__).with_name("write_serving_descriptors.py")

ALIKE = ("name", "type", "label", "proto3_optional")
"""With the kind of message and the oneof: all that the wire, or a reader of JSON, tells apart."""


@pytest.fixture(scope="module")
def serving(aside: Callable[[str], Path]) -> DescriptorPool:
    """Every message of tensorflow-serving-api and what it needs of TensorFlow's.

    Read in a process of its own: they are generated code, which registers them in this one.
    """
    command = [sys.executable, WRITE_SERVING, aside("tensorflow_serving")]
    done = subprocess.run(command, check=True, capture_output=True, timeout=60)
    pool = DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(done.stdout).file:
        pool.Add(file)
    return pool


def test_every_twin_is_compared() -> None:
    """No file of twins is left out below."""
    files = {module.name.removesuffix("_pb2") for module in pkgutil.iter_modules(twin.__path__)}
    assert files == set(DEPARTURES)


@pytest.mark.parametrize("name", DEPARTURES)
def test_a_twin_is_as_the_stock_packages_have_it(name: str, request: pytest.FixtureRequest) -> None:
    """Each field, value and method has the number, name, type and place of the original's."""
    file = importlib.import_module(f"flatdense_proto.twin.{name}_pb2").DESCRIPTOR
    triton = name == "inference"
    originals = service_pb2.DESCRIPTOR.pool if triton else request.getfixturevalue("serving")
    assert departures(file, originals) == DEPARTURES[name]


def departures(twins: FileDescriptor, originals: DescriptorPool) -> list[str]:
    """The names of all that the original has otherwise, or not at all; ascending."""
    found = []
    for message in twins.message_types_by_name.values():
        found += compare_messages(message, originals)
    for enum in twins.enum_types_by_name.values():
        found += compare_enums(enum, originals)
    for service in twins.services_by_name.values():
        original = originals.FindServiceByName(original_name(service))
        found += differing(service, describe_methods(service), describe_methods(original))
    return sorted(found)


def compare_messages(twin: Descriptor, originals: DescriptorPool) -> list[str]:
    """The fields of a message, and of those inside it."""
    try:
        original = originals.FindMessageTypeByName(original_name(twin))
    except KeyError:
        return [original_name(twin)]
    found = differing(twin, describe_fields(twin), describe_fields(original))
    for message in twin.nested_types:
        found += compare_messages(message, originals)
    for enum in twin.enum_types:
        found += compare_enums(enum, originals)
    return found


def compare_enums(twin: EnumDescriptor, originals: DescriptorPool) -> list[str]:
    """The numbers of an enum."""
    original = originals.FindEnumTypeByName(original_name(twin))
    theirs = {value.name: (value.number,) for value in original.values}
    return differing(twin, {value.name: (value.number,) for value in twin.values}, theirs)


def differing(
    twin: Descriptor | EnumDescriptor | ServiceDescriptor,
    ours: dict[str, tuple[object, ...]],
    theirs: dict[str, tuple[object, ...]],
) -> list[str]:
    """The full names of those of a twin that are not as the original's."""
    return [f"{original_name(twin)}.{name}" for name in ours if ours[name] != theirs.get(name)]


def describe_fields(message: Descriptor) -> dict[str, tuple[object, ...]]:
    """Each field by its name."""
    proto = descriptor_pb2.DescriptorProto()
    message.CopyToProto(proto)
    fields: dict[str, tuple[object, ...]] = {}
    for field in proto.field:
        kind = moved(field.type_name.removeprefix(".").removeprefix(TWIN))
        oneof = proto.oneof_decl[field.oneof_index].name if field.HasField("oneof_index") else ""
        alike = [getattr(field, name) for name in ALIKE]
        fields[field.name] = (field.number, *alike, kind, oneof, proto.options.map_entry)
    return fields


def describe_methods(service: ServiceDescriptor) -> dict[str, tuple[object, ...]]:
    """Each method by its name: what goes in and out, and whether as streams."""
    return {
        method.name: (
            original_name(method.input_type),
            method.client_streaming,
            original_name(method.output_type),
            method.server_streaming,
        )
        for method in service.methods
    }


def original_name(twin: Descriptor | EnumDescriptor | ServiceDescriptor) -> str:
    """What the original is called, of a twin or of itself."""
    return moved(twin.full_name.removeprefix(TWIN))


def moved(name: str) -> str:
    """The name that the original has where it is."""
    for here, there in MOVED.items():
        if name == here or name.startswith(here + "."):
            return there + name.removeprefix(here)
    return name
