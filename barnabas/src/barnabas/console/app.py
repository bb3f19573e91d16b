"""Put the console's web application together."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from barnabas import __version__
from barnabas.console.access_routes import AccessRoutes
from barnabas.console.clusters import Clusters
from barnabas.console.errors import BadRequest, NotFound, Unauthorized
from barnabas.console.group_routes import GroupRoutes
from barnabas.console.login import COOKIE, Login, Users
from barnabas.console.pages import Pages
from barnabas.console.record_routes import RecordRoutes
from barnabas.console.schemas import Library
from barnabas.console.settings import ConsoleSettings
from barnabas.console.topic_routes import TopicRoutes
from barnabas.console.web import Guard, answer, cookie_of, guarded, identity, read_body, refused


class Credentials(msgspec.Struct):
    """Hold what somebody signs in with."""

    user: str
    password: str


def application(settings: ConsoleSettings) -> Starlette:
    """Make the application. Raises `ToolError` where files that the settings name are wrong."""
    clusters = Clusters(settings)
    login = Login(Users(settings.users) if settings.users else None, settings.user_header)
    schemas = Library(settings.schema_registry, settings.schemas) if _has_schemas(settings) else None
    records = RecordRoutes(clusters, settings, schemas)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        records.close()
        clusters.close()

    async def nothing(request: Request) -> Response:
        return refused(NotFound(f"there is no {request.url.path}"))

    async def wrong(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        status = error.status_code
        kind = NotFound if status == 404 else BadRequest
        return refused(kind(f"{request.method} {request.url.path}: {error.detail}"))

    session = _Session(settings, login)
    made = Starlette(
        lifespan=lifespan, middleware=[Middleware(Guard, settings=settings, login=login)],
        exception_handlers={HTTPException: wrong},
        routes=[
            Route("/api/session", guarded(session.show)),
            Route("/api/session", guarded(session.begin), methods=["POST"]),
            Route("/api/session", guarded(session.end), methods=["DELETE"]),
            *TopicRoutes(clusters).routes(), *records.routes(), *GroupRoutes(clusters).routes(),
            *AccessRoutes(clusters).routes(),
            Route("/api", nothing), Route("/api/{path:path}", nothing),
            Route("/{path:path}", Pages().serve, middleware=[Middleware(GZipMiddleware)]),
        ],
    )
    made.state.scans = records.scans
    return made


def _has_schemas(settings: ConsoleSettings) -> bool:
    return settings.schema_registry is not None or settings.schemas is not None


class _Session:
    """Answer who somebody is, and let them sign in and out."""

    def __init__(self, settings: ConsoleSettings, login: Login) -> None:
        self._settings, self._login = settings, login

    def _said(self, user: str | None, csrf: str) -> Response:
        return answer({
            "user": user, "login": self._login.way, "readOnly": self._settings.read_only, "csrf": csrf,
            "version": __version__,
        })

    async def show(self, request: Request) -> Response:
        """Say who asks."""
        who = identity(request)
        return self._said(who.user, who.csrf)

    async def begin(self, request: Request) -> Response:
        """Sign in."""
        given = await read_body(request, Credentials)
        self._login.begin(given.user)
        hashed = await asyncio.to_thread(self._login.verify, given.user, given.password)
        if hashed is None:
            raise Unauthorized("this name and password do not belong together")
        cookie = self._login.enter(given.user, hashed)
        who = self._login.identify({}, cookie)
        made = self._said(who.user, who.csrf)
        made.set_cookie(
            COOKIE, cookie, httponly=True, samesite="strict", path="/", secure=request.url.scheme == "https"
        )
        return made

    async def end(self, request: Request) -> Response:
        """Sign out."""
        self._login.leave(cookie_of(dict(request.headers)))
        who = self._login.identify({}, None)
        made = self._said(None, who.csrf)
        made.delete_cookie(COOKIE, path="/")
        return made
