"""The files of the page, as they lie in the wheel."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.status import HTTP_304_NOT_MODIFIED

from flatdense_server.http.compression import choose_encoding

KINDS: Final = MappingProxyType(
    {
        ".html": "text/html; charset=utf-8",
        ".css": "text/css; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".svg": "image/svg+xml",
    }
)
"""The content type of each kind of file. There are no others."""

SOURCES: Final = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    # No text becomes markup, wherever it comes from.
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
)
"""The Content-Security-Policy: this server alone, and nothing that stands in the markup."""

HEADERS: Final = MappingProxyType(
    {
        "content-security-policy": "; ".join(SOURCES),
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        # Asked for each time, and sent only where it changed: a new server has a new page.
        "cache-control": "no-cache",
        "vary": "accept-encoding",
    }
)


@dataclass(frozen=True)
class PageFile:
    """One file. It is the same for everybody, and says nothing of the model."""

    kind: str
    """Its content type."""
    content: bytes

    @cached_property
    def tag(self) -> str:
        """Its ETag: other bytes have another one."""
        return f'W/"{hashlib.sha256(self.content).hexdigest()[:32]}"'

    @cached_property
    def compressed(self) -> bytes:
        """The content, as small as gzip makes it."""
        return gzip.compress(self.content, mtime=0)

    def answer(self, request: Request) -> Response:
        """The response: 304 where the caller has it already."""
        headers = {**HEADERS, "content-type": self.kind, "etag": self.tag}
        if self.tag in request.headers.get("if-none-match", ""):
            return Response(status_code=HTTP_304_NOT_MODIFIED, headers=headers)
        if choose_encoding(request.headers.get("accept-encoding", "")) == "gzip":
            return Response(self.compressed, headers={**headers, "content-encoding": "gzip"})
        return Response(self.content, headers=headers)


def read_files() -> Mapping[str, PageFile]:
    """The files by their names."""
    return {
        file.name: PageFile(KINDS[PurePosixPath(file.name).suffix], file.read_bytes())
        for file in files(__package__).joinpath("static").iterdir()
    }
