"""Serve the built page from `static/`: files by their name, any other path as the page, which knows its routes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response

STATIC: Final = Path(__file__).parent / "static"
_FOREVER: Final = {"Cache-Control": "public, max-age=31536000, immutable", "Accept-Ranges": "none"}
_ASK: Final = {"Cache-Control": "no-cache", "Accept-Ranges": "none"}
_NONE: Final = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Barnabas console</title>
<h1>The page is not built</h1>
<p>This installation has the console's interface under <code>/api</code> but not its page.</p></html>
"""


class Pages:
    """Serve files of a folder."""

    def __init__(self, folder: Path = STATIC) -> None:
        self._folder = folder.resolve()

    async def serve(self, request: Request) -> Response:
        """Answer any path outside of the interface; files are sent whole, whatever part was asked for."""
        request.scope["headers"] = [(name, value) for name, value in request.scope["headers"] if name != b"range"]
        file = self._file(request.path_params["path"])
        if file is not None and file.name != "index.html":
            is_hashed = file.is_relative_to(self._folder / "assets")
            return FileResponse(file, headers=_FOREVER if is_hashed else _ASK)
        if request.path_params["path"].startswith("assets/"):
            return HTMLResponse("", 404)
        index = self._folder / "index.html"
        if not index.is_file():
            return HTMLResponse(_NONE, headers=_ASK)
        return FileResponse(index, headers=_ASK)

    def _file(self, path: str) -> Path | None:
        """Return a file of the folder; nothing outside of it, whatever the path says."""
        try:
            found = (self._folder / path).resolve()
            return found if found.is_relative_to(self._folder) and found.is_file() else None
        except (OSError, ValueError):  # a name that is too long, or that no file can have
            return None
