"""Routes of groups."""

from __future__ import annotations

import shlex

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from barnabas.console import groups
from barnabas.console.clusters import Clusters, KafkaCluster
from barnabas.console.commands import Reset
from barnabas.console.errors import BadRequest
from barnabas.console.topic_routes import Names, commands_of
from barnabas.console.web import NameRoute, answer, guarded, read_body


class TopicPartitions(msgspec.Struct):
    """Name a topic and some of its partitions; None: all."""

    topic: str
    partitions: list[int] | None = None


class ResetOrder(msgspec.Struct, rename="camel"):
    """Say which offsets are set to what."""

    topics: list[TopicPartitions]
    to: Reset
    preview: bool = True


class Topics(msgspec.Struct):
    """Name topics."""

    topics: list[str]


class GroupRoutes:
    """Answer questions about groups."""

    def __init__(self, clusters: Clusters) -> None:
        self._clusters = clusters

    def routes(self) -> list[NameRoute]:
        """Return the routes."""
        one = "/api/clusters/{cluster}/groups/{group:path}"  # a group's name may have slashes
        return [
            NameRoute("/api/clusters/{cluster}/groups", guarded(self.all)),
            NameRoute("/api/clusters/{cluster}/groups/summary", guarded(self.summary), methods=["POST"]),
            NameRoute(f"{one}/offsets", guarded(self.reset), methods=["POST"]),
            NameRoute(f"{one}/offsets", guarded(self.forget), methods=["DELETE"]),
            NameRoute(one, guarded(self.detail)),
            NameRoute(one, guarded(self.delete), methods=["DELETE"]),
        ]

    def _of(self, request: Request) -> tuple[KafkaCluster, str]:
        return self._clusters[request.path_params["cluster"]], request.path_params.get("group", "")

    async def all(self, request: Request) -> Response:
        """List groups."""
        cluster, _ = self._of(request)
        return answer({"groups": await cluster.ask(groups.list_all)})

    async def summary(self, request: Request) -> Response:
        """Say how some groups are."""
        cluster, _ = self._of(request)
        ids = (await read_body(request, Names)).ids
        if len(ids) > groups.SUMMARIES:
            raise BadRequest(f"ids: {groups.SUMMARIES} at most")
        return answer({"groups": await cluster.ask(groups.summaries, ids)})

    async def detail(self, request: Request) -> Response:
        """Describe a group."""
        cluster, group = self._of(request)
        return answer(await cluster.ask(groups.detail, group))

    async def reset(self, request: Request) -> Response:
        """Set offsets of a group, or show what would be set."""
        cluster, group = self._of(request)
        order = await read_body(request, ResetOrder)
        topics = [(one.topic, one.partitions) for one in order.topics]
        for topic, partitions in topics:
            if not topic or ":" in topic or partitions == []:
                raise BadRequest("topics: each with its name, and its partitions or null")
        rows, words = await cluster.ask(
            groups.reset, group, topics, order.to, commands_of(cluster), preview=order.preview
        )
        return answer({"offsets": rows, "command": shlex.join(words)})

    async def delete(self, request: Request) -> Response:
        """Delete a group."""
        cluster, group = self._of(request)
        kind = await cluster.ask(groups.delete, group)
        return answer({"command": commands_of(cluster).delete_group(group, kind)})

    async def forget(self, request: Request) -> Response:
        """Delete committed offsets."""
        cluster, group = self._of(request)
        topics = (await read_body(request, Topics)).topics
        kind = await cluster.ask(groups.forget, group, topics)
        return answer({"command": commands_of(cluster).delete_offsets(group, topics, kind)})
