"""Routes of clusters and topics."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from barnabas.console import topics
from barnabas.console.clusters import Clusters, KafkaCluster
from barnabas.console.commands import Commands
from barnabas.console.errors import BadRequest
from barnabas.console.web import NameRoute, answer, guarded, read_body, whole
from barnabas.tools.describing import TOPIC


class Names(msgspec.Struct):
    """Name topics, or groups as `ids`."""

    names: list[str] = []
    ids: list[str] = []


class NewTopic(msgspec.Struct, rename="camel"):
    """Describe a topic to create; a number of None is the cluster's default."""

    name: str
    partitions: int | None = None
    replication: int | None = None
    configs: dict[str, str] = {}
    validate_only: bool = False


class MorePartitions(msgspec.Struct, rename="camel"):
    """Say how many partitions a topic is to have."""

    count: int
    validate_only: bool = False


class ConfigChange(msgspec.Struct, rename="camel"):
    """Say which keys are set and which go back to their default."""

    set: dict[str, str] = {}
    delete: list[str] = []
    validate_only: bool = False


class Purge(msgspec.Struct, rename="camel"):
    """Say before which offset of each partition records go; "end": all."""

    before: dict[str, str]
    preview: bool = True


def commands_of(cluster: KafkaCluster) -> Commands:
    """Return what writes commands for a cluster."""
    return Commands(cluster.settings.bootstrap, cluster.settings.config_file)


class TopicRoutes:
    """Answer questions about clusters and topics."""

    def __init__(self, clusters: Clusters) -> None:
        self._clusters = clusters

    def routes(self) -> list[NameRoute]:
        """Return the routes."""
        one = "/api/clusters/{cluster}/topics/{topic}"
        return [
            NameRoute("/api/clusters", guarded(self.states)),
            NameRoute("/api/clusters/{cluster}/topics", guarded(self.all)),
            NameRoute("/api/clusters/{cluster}/topics", guarded(self.create), methods=["POST"]),
            NameRoute("/api/clusters/{cluster}/topics/summary", guarded(self.summary), methods=["POST"]),
            NameRoute(one, guarded(self.detail)),
            NameRoute(one, guarded(self.delete), methods=["DELETE"]),
            NameRoute(f"{one}/partitions", guarded(self.add_partitions), methods=["POST"]),
            NameRoute(f"{one}/configs", guarded(self.configs), methods=["POST"]),
            NameRoute(f"{one}/purge", guarded(self.purge), methods=["POST"]),
        ]

    def _of(self, request: Request) -> tuple[KafkaCluster, str]:
        return self._clusters[request.path_params["cluster"]], request.path_params.get("topic", "")

    async def states(self, request: Request) -> Response:
        """Say how all clusters are."""
        return answer({"clusters": await self._clusters.states()})

    async def all(self, request: Request) -> Response:
        """List topics."""
        cluster, _ = self._of(request)
        return answer({"topics": await cluster.ask(topics.list_topics)})

    async def summary(self, request: Request) -> Response:
        """Say how much some topics hold."""
        cluster, _ = self._of(request)
        names = (await read_body(request, Names)).names
        if len(names) > topics.SUMMARIES:
            raise BadRequest(f"names: {topics.SUMMARIES} at most")
        return answer({"topics": await cluster.ask(topics.summaries, names)})

    async def create(self, request: Request) -> Response:
        """Create a topic."""
        cluster, _ = self._of(request)
        new = await read_body(request, NewTopic)
        for name, value, most in (("partitions", new.partitions, 100_000), ("replication", new.replication, 32_767)):
            if value is not None and not 1 <= value <= most:
                raise BadRequest(f"{name}: from 1 to {most}, or null for the cluster's default")
        await cluster.ask(
            topics.create, new.name, new.partitions, new.replication, new.configs, validate_only=new.validate_only
        )
        command = commands_of(cluster).create_topic(new.name, new.partitions, new.replication, new.configs)
        return answer({"name": new.name, "command": command}, 200 if new.validate_only else 201)

    async def detail(self, request: Request) -> Response:
        """Describe a topic."""
        cluster, topic = self._of(request)
        return answer(await cluster.ask(topics.detail, topic))

    async def delete(self, request: Request) -> Response:
        """Delete a topic."""
        cluster, topic = self._of(request)
        await cluster.ask(topics.delete, topic)
        return answer({"command": commands_of(cluster).delete_topic(topic)})

    async def add_partitions(self, request: Request) -> Response:
        """Give a topic more partitions."""
        cluster, topic = self._of(request)
        more = await read_body(request, MorePartitions)
        if not 1 <= more.count <= 100_000:
            raise BadRequest("count: from 1 to 100000")
        await cluster.ask(topics.add_partitions, topic, more.count, validate_only=more.validate_only)
        return answer({"command": commands_of(cluster).add_partitions(topic, more.count)})

    async def configs(self, request: Request) -> Response:
        """Change the configuration of a topic."""
        cluster, topic = self._of(request)
        change = await read_body(request, ConfigChange)
        if not change.set and not change.delete:
            raise BadRequest("set, delete: nothing is to be changed")
        await cluster.ask(
            topics.alter_configs, TOPIC, topic, change.set, change.delete, validate_only=change.validate_only
        )
        return answer({"command": commands_of(cluster).alter_configs("topics", topic, change.set, change.delete)})

    async def purge(self, request: Request) -> Response:
        """Delete the records before offsets."""
        cluster, topic = self._of(request)
        wanted = await read_body(request, Purge)
        if not wanted.before:
            raise BadRequest("before: which partitions?")
        before = {
            whole("before", p, 0, 2**31 - 1): None if text == "end" else whole(f"before.{p}", text, 0, 2**63 - 1)
            for p, text in wanted.before.items()
        }
        found: tuple[list[dict[str, Any]], dict[int, int]]
        found = await cluster.ask(topics.purge, topic, before, preview=wanted.preview)
        rows, meant = found
        return answer({"partitions": rows, "command": commands_of(cluster).delete_records(topic, meant)})
