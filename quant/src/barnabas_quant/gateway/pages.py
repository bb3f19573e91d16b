"""Serve the trading page, built from web/dashboard into `static/`: one page, its parts, the licences of both."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route

STATIC: Final = Path(__file__).parent / "static"
_HEADERS: Final = {
    # The frame is that of a backtest's report, which is sandboxed and runs nothing.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self' ws: wss:; "
        "font-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_FOREVER: Final = {**_HEADERS, "Cache-Control": "public, max-age=31536000, immutable"}  # names have a hash in them
_ASK: Final = {**_HEADERS, "Cache-Control": "no-cache"}
_NONE: Final = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Barnabas trading</title>
<h1>The page is not built</h1>
<p>This installation has the gateway's interface, described at <a href="/docs">/docs</a>, but not its page.</p></html>
"""


class Pages:
    """Serve files of a folder."""

    def __init__(self, folder: Path = STATIC) -> None:
        self._folder = folder.resolve()

    def routes(self) -> list[Route]:
        """Give the routes: what is chosen on the page stands in its query, so it has one path."""
        return [
            Route("/", self.index, middleware=[Middleware(GZipMiddleware)]),
            Route("/assets/{name}", self.part, middleware=[Middleware(GZipMiddleware)]),
            Route("/THIRD_PARTY_NOTICES.txt", self.notices),
        ]

    async def index(self, request: Request) -> Response:
        """Answer the page."""
        index = self._folder / "index.html"
        return FileResponse(index, headers=_ASK) if index.is_file() else HTMLResponse(_NONE, headers=_ASK)

    async def part(self, request: Request) -> Response:
        """Answer a script or a style of it. Raises HTTPException for what is none."""
        return self._file("assets/" + request.path_params["name"], _FOREVER)

    async def notices(self, request: Request) -> Response:
        """Answer the licences of what was built in. Raises HTTPException where there are none."""
        return self._file("THIRD_PARTY_NOTICES.txt", _ASK)

    def _file(self, path: str, headers: dict[str, str]) -> Response:
        try:
            found = (self._folder / path).resolve()
            known = found.is_relative_to(self._folder) and found.is_file()
        except (OSError, ValueError) as error:  # a name that is too long, or that no file can have
            raise HTTPException(404) from error
        if not known:
            raise HTTPException(404)
        return FileResponse(found, headers=headers)
