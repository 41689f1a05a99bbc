"""Generates the Python code of every .proto file, into src/ or the folder given.

The virtual path makes the generated imports absolute (`flatdense_proto.v1`), so nothing is patched.
Twins get no stubs: those would call services by the twins' names, which nobody serves.
"""

import sys
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

HERE = Path(__file__).parent
PLUGINS = Path(sys.executable).parent


def main(target: Path) -> int:
    """Writes modules and type stubs below `target`; gives protoc's exit status."""
    return generate(target, "twin") or generate(target, "v1", services=True)


def generate(target: Path, package: str, *, services: bool = False) -> int:
    """Generates one package, with the stubs of its services or without."""
    sources = sorted((HERE / "flatdense" / package).glob("*.proto"))
    kinds = ("", "grpc_") if services else ("",)
    return protoc.main(
        [
            "protoc",
            f"--plugin=protoc-gen-mypy={PLUGINS / 'protoc-gen-mypy'}",
            f"--plugin=protoc-gen-mypy_grpc={PLUGINS / 'protoc-gen-mypy_grpc'}",
            f"-Iflatdense_proto={HERE / 'flatdense'}",
            f"-I{files('grpc_tools') / '_proto'}",
            *(f"--{kind}python_out={target}" for kind in kinds),
            *(f"--mypy_{kind}out=quiet:{target}" for kind in kinds),
            *(f"flatdense_proto/{package}/{path.name}" for path in sources),
        ]
    )


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "src"))
