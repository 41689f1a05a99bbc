"""What those ask who decide whether this process lives and gets calls."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from flatdense_server.http.backend import Backend, BackendUnavailable
from flatdense_server.http.errors import HANDLERS


class Probes:
    """Answers /healthz (live) and /readyz (ready)."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def routes(self) -> list[Route]:
        """Both."""
        return [Route("/healthz", self.healthz), Route("/readyz", self.readyz)]

    async def healthz(self, _request: Request) -> Response:
        """Live: the process answers."""
        return JSONResponse({"live": True})

    def readyz(self, _request: Request) -> Response:
        """Ready: a call would be taken."""
        try:
            model = self._backend.get_model()
        except BackendUnavailable as error:
            return JSONResponse({"ready": False, "reason": str(error)}, status_code=503)
        return JSONResponse({"ready": True, "model": model.name, "version": model.version})


def make_probes_app(backend: Backend) -> Starlette:
    """An application that answers these and nothing else."""
    return Starlette(routes=Probes(backend).routes(), exception_handlers={**HANDLERS})
