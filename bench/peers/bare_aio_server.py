"""The limit of grpcio on asyncio: a fixed answer, no model at all. Prints its port."""

import asyncio
import sys
from pathlib import Path

import grpc.aio

sys.path.append(str(Path(__file__).parents[1]))

from bare_server import ANSWER


async def answer(_request: bytes, _context: object) -> bytes:
    """The fixed one."""
    return ANSWER


async def main() -> None:
    """Serves until it is ended."""
    methods = {"Classify": grpc.unary_unary_rpc_method_handler(answer)}
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("flatdense.v1.Classifier", methods),)
    )
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main())
