"""The routes of the page."""

from pathlib import Path
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.status import HTTP_404_NOT_FOUND

from flatdense_server.http.exchange import Exchange
from flatdense_server.http.page.files import read_files
from flatdense_server.http.page.version_files import VersionFiles

INDEX: Final = "index.html"


class Page:
    """Answers / and /page, and hands out what the page shows of a version."""

    def __init__(self, exchange: Exchange, model_dir: Path) -> None:
        self._files = read_files()
        self._version_files = VersionFiles(exchange, model_dir)

    def routes(self) -> list[Route]:
        """Every route."""
        return [
            Route("/", self.index),
            Route("/page/{file}", self.file),
            *self._version_files.routes(),
        ]

    async def index(self, request: Request) -> Response:
        """The page itself."""
        return self._files[INDEX].answer(request)

    async def file(self, request: Request) -> Response:
        """A part of it: a script, a style, a picture."""
        found = self._files.get(request.path_params["file"])
        if found is None:
            raise HTTPException(HTTP_404_NOT_FOUND)
        return found.answer(request)
