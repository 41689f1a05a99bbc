"""Writes the descriptors of tensorflow-serving-api, as a FileDescriptorSet, to standard output.

Called with the folder that it is installed in, in a process of its own. Its modules import the
generated code of TensorFlow's messages, which needs no TensorFlow: a bare package that has its name
and its folders leaves out the ten seconds.
"""

import importlib
import sys
from importlib.util import find_spec
from types import ModuleType

from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import FileDescriptor

FILES = (
    "tensorflow_serving/apis/prediction_service",
    "tensorflow_serving/apis/model_service",
    "tensorflow_serving/config/model_server_config",
    "tensorflow/core/protobuf/error_codes",
    "tensorflow/core/protobuf/saved_model",
)


def main(folder: str) -> None:
    """FILES and all that they need, each after those that it needs."""
    sys.path.insert(0, folder)
    found = find_spec("tensorflow")
    package = ModuleType("tensorflow")
    package.__path__ = list(found.submodule_search_locations if found else ())
    sys.modules["tensorflow"] = package
    files: dict[str, descriptor_pb2.FileDescriptorProto] = {}
    for name in FILES:
        importlib.import_module(f"{name.replace('/', '.')}_pb2")
        collect(descriptor_pool.Default().FindFileByName(f"{name}.proto"), files)
    sys.stdout.buffer.write(
        descriptor_pb2.FileDescriptorSet(file=files.values()).SerializeToString()
    )


def collect(file: FileDescriptor, files: dict[str, descriptor_pb2.FileDescriptorProto]) -> None:
    """Adds a file after the files that it needs."""
    if file.name in files:
        return
    for needed in file.dependencies:
        collect(needed, files)
    file.CopyToProto(files.setdefault(file.name, descriptor_pb2.FileDescriptorProto()))


if __name__ == "__main__":
    main(sys.argv[1])
