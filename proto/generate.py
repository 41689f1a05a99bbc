"""Generates the Python code of every .proto file, into src/ or the folder given.

The virtual path makes the generated imports absolute (`flatdense_proto.v1`), so nothing is patched.
"""

import sys
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

HERE = Path(__file__).parent
PLUGINS = Path(sys.executable).parent


def main(target: Path) -> int:
    """Writes modules and type stubs below `target`; gives protoc's exit status."""
    well_known = files("grpc_tools") / "_proto"
    sources = [
        f"flatdense_proto/{path.relative_to(HERE / 'flatdense').as_posix()}"
        for path in sorted((HERE / "flatdense").rglob("*.proto"))
    ]
    return protoc.main(
        [
            "protoc",
            f"--plugin=protoc-gen-mypy={PLUGINS / 'protoc-gen-mypy'}",
            f"--plugin=protoc-gen-mypy_grpc={PLUGINS / 'protoc-gen-mypy_grpc'}",
            f"-Iflatdense_proto={HERE / 'flatdense'}",
            f"-I{well_known}",
            *(f"--{kind}_out={target}" for kind in ("python", "grpc_python")),
            *(f"--{kind}_out=quiet:{target}" for kind in ("mypy", "mypy_grpc")),
            *sources,
        ]
    )


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "src"))
