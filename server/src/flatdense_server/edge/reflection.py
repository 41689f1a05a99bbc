"""Server reflection: every service and its messages, by their public names."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from flatdense_proto.twin import inference_pb2, tensorflow_serving_pb2
from flatdense_proto.v1 import classifier_pb2
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2

from flatdense_server.protocols.messages import TWINS, public_name

FILES = (classifier_pb2, inference_pb2, tensorflow_serving_pb2, health_pb2, reflection_pb2)


def register_reflection(server: grpc.Server, names: Sequence[str], threads: int) -> None:
    """Adds the service, which names these services. Its streams have threads of their own.

    Tools leave them open and idle: that must hold up neither calls nor the stop.
    """
    servicer = reflection.ReflectionServicer(names, publish())

    def info(requests: Any, context: grpc.ServicerContext) -> Any:  # noqa: ANN401
        return servicer.ServerReflectionInfo(requests, context)

    pool = ThreadPoolExecutor(threads, thread_name_prefix="reflection")
    info.experimental_thread_pool = pool  # type: ignore[attr-defined]
    handler: grpc.RpcMethodHandler[Any, Any] = grpc.stream_stream_rpc_method_handler(
        info,
        reflection_pb2.ServerReflectionRequest.FromString,
        reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    handlers = {"ServerReflectionInfo": handler}
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(reflection.SERVICE_NAME, handlers),)
    )


def publish() -> DescriptorPool:
    """Every file that is served, in a pool of its own: there twins can have their public names."""
    pool, added = DescriptorPool(), set()
    for module in FILES:
        for file in with_dependencies(module.DESCRIPTOR):
            if file.name not in added:
                added.add(file.name)
                pool.Add(rename(file))
    return pool


def with_dependencies(file: FileDescriptor) -> Iterator[FileDescriptor]:
    """What a file imports, and then the file."""
    for dependency in file.dependencies:
        yield from with_dependencies(dependency)
    yield file


def rename(file: FileDescriptor) -> FileDescriptorProto:
    """A file in which twins have their public names."""
    renamed = FileDescriptorProto()
    file.CopyToProto(renamed)
    renamed.package = public_name(f"{renamed.package}.").rstrip(".")
    for message in renamed.message_type:
        rename_fields(message)
    for service in renamed.service:
        for method in service.method:
            method.input_type = public_type(method.input_type)
            method.output_type = public_type(method.output_type)
    return renamed


def rename_fields(message: DescriptorProto) -> None:
    """The types of its fields, and of those of the messages in it."""
    for field in message.field:
        if field.type_name:
            field.type_name = public_type(field.type_name)
    for nested in message.nested_type:
        rename_fields(nested)


def public_type(name: str) -> str:
    """The name of a type, which begins with a dot."""
    return f".{name.removeprefix(f'.{TWINS}').removeprefix('.')}"
