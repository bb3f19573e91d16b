"""Routes of brokers, access control lists, quotas and users."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from barnabas.console import access, brokers, topics
from barnabas.console.clusters import Clusters, KafkaCluster
from barnabas.console.errors import BadRequest, Refused
from barnabas.console.topic_routes import ConfigChange, commands_of
from barnabas.console.web import answer, guarded, read_body, whole
from barnabas.tools.describing import BROKER


class QuotaChange(msgspec.Struct):
    """Say which quotas of an entity are set, and which go."""

    entity: list[dict[str, str | None]]
    set: dict[str, float] = {}
    delete: list[str] = []


class UserChange(msgspec.Struct):
    """Name a user's password."""

    name: str
    mechanism: str
    password: str = ""
    iterations: int = 4096


class AccessRoutes:
    """Answer questions about brokers and who may do what."""

    def __init__(self, clusters: Clusters) -> None:
        self._clusters = clusters

    def routes(self) -> list[Route]:
        """Return the routes."""
        base = "/api/clusters/{cluster}"
        return [
            Route(f"{base}/brokers", guarded(self.brokers)),
            Route(f"{base}/brokers/{{broker}}/configs", guarded(self.configs)),
            Route(f"{base}/brokers/{{broker}}/configs", guarded(self.alter_configs), methods=["POST"]),
            Route(f"{base}/acls", guarded(self.acls)),
            Route(f"{base}/acls", guarded(self.create_acl), methods=["POST"]),
            Route(f"{base}/acls", guarded(self.delete_acl), methods=["DELETE"]),
            Route(f"{base}/quotas", guarded(self.quotas)),
            Route(f"{base}/quotas", guarded(self.alter_quotas), methods=["POST"]),
            Route(f"{base}/users", guarded(self.users)),
            Route(f"{base}/users", guarded(self.set_password), methods=["POST"]),
            Route(f"{base}/users", guarded(self.delete_user), methods=["DELETE"]),
        ]

    def _of(self, request: Request) -> KafkaCluster:
        return self._clusters[request.path_params["cluster"]]

    # --- brokers --------------------------------------------------------------------------------------------

    async def brokers(self, request: Request) -> Response:
        """Describe the brokers."""
        return answer(await self._of(request).ask(brokers.describe))

    async def configs(self, request: Request) -> Response:
        """Return the configuration of a broker."""
        broker = str(whole("broker", request.path_params["broker"], 0, 2**31 - 1))
        return answer({"configs": await self._of(request).ask(topics.configs_of, BROKER, broker)})

    async def alter_configs(self, request: Request) -> Response:
        """Change the configuration of a broker."""
        cluster = self._of(request)
        broker = str(whole("broker", request.path_params["broker"], 0, 2**31 - 1))
        change = await read_body(request, ConfigChange)
        if not change.set and not change.delete:
            raise BadRequest("set, delete: nothing is to be changed")
        await cluster.ask(
            topics.alter_configs, BROKER, broker, change.set, change.delete, validate_only=change.validate_only
        )
        return answer({"command": commands_of(cluster).alter_configs("brokers", broker, change.set, change.delete)})

    # --- what not every cluster has -------------------------------------------------------------------------

    async def _list(self, request: Request, name: str, ask: Callable[..., Any]) -> Response:
        try:
            return answer({name: await self._of(request).ask(ask), "supported": True})
        except access.NotSupported as e:
            return answer({name: [], "supported": False, "message": str(e)})

    async def _change(self, request: Request, command: str, change: Callable[..., Any], *arguments: Any) -> Response:
        try:
            await self._of(request).ask(change, *arguments)
        except access.NotSupported as e:
            raise Refused(str(e), "UNSUPPORTED_VERSION") from None
        return answer({"command": command})

    async def acls(self, request: Request) -> Response:
        """List access control lists."""
        return await self._list(request, "acls", access.list_acls)

    async def create_acl(self, request: Request) -> Response:
        """Add an entry."""
        acl = await read_body(request, access.Acl)
        command = access.acl_command(commands_of(self._of(request)), acl, "--add")
        return await self._change(request, command, access.create_acl, acl)

    async def delete_acl(self, request: Request) -> Response:
        """Remove an entry."""
        acl = await read_body(request, access.Acl)
        command = access.acl_command(commands_of(self._of(request)), acl, "--remove")
        return await self._change(request, command, access.delete_acl, acl)

    async def quotas(self, request: Request) -> Response:
        """List quotas."""
        return await self._list(request, "quotas", access.list_quotas)

    async def alter_quotas(self, request: Request) -> Response:
        """Set and delete quotas."""
        change = await read_body(request, QuotaChange)
        types, names = access.entities(change.entity)
        added = {key: repr(value) for key, value in change.set.items()}
        if not added and not change.delete:
            raise BadRequest("set, delete: nothing is to be changed")
        command = access.quota_command(commands_of(self._of(request)), types, names, added, change.delete)
        return await self._change(request, command, access.alter_quotas, types, names, added, change.delete)

    async def users(self, request: Request) -> Response:
        """List users."""
        return await self._list(request, "users", access.list_users)

    async def set_password(self, request: Request) -> Response:
        """Give a user a password; the command that is answered leaves it out."""
        user = await read_body(request, UserChange)
        access.check_mechanism(user.mechanism)
        command = access.user_command(commands_of(self._of(request)), user.name, user.mechanism, user.iterations)
        return await self._change(
            request, command, access.set_password, user.name, user.mechanism, user.password, user.iterations
        )

    async def delete_user(self, request: Request) -> Response:
        """Take a user's password away."""
        user = await read_body(request, UserChange)
        access.check_mechanism(user.mechanism)
        command = access.user_command(commands_of(self._of(request)), user.name, user.mechanism, None)
        return await self._change(request, command, access.delete_user, user.name, user.mechanism)
