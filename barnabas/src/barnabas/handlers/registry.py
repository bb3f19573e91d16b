"""Register the handlers: which API is answered by which function, and so which APIs a node advertises.

A handler's module, and with it the messages of its APIs, is imported when the first such request comes: most nodes
never see most APIs, and the start stays short.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from barnabas.handlers import api_versions
from barnabas.handlers.context import Answer, Request
from barnabas.node.node import Node
from barnabas.protocol.api import APIS, Api, Key

Handler = Callable[[Node, Request], Answer]

#: the module of `barnabas.handlers`, and the function in it
HANDLERS: Final[dict[int, tuple[str, str]]] = {
    Key.PRODUCE: ("produce", "produce"),
    Key.FETCH: ("fetch", "fetch"),
    Key.LIST_OFFSETS: ("partitions", "list_offsets"),
    Key.METADATA: ("metadata", "metadata"),
    Key.OFFSET_COMMIT: ("offsets", "offset_commit"),
    Key.OFFSET_FETCH: ("offsets", "offset_fetch"),
    Key.FIND_COORDINATOR: ("groups", "find_coordinator"),
    Key.JOIN_GROUP: ("groups", "join_group"),
    Key.HEARTBEAT: ("groups", "heartbeat"),
    Key.LEAVE_GROUP: ("groups", "leave_group"),
    Key.SYNC_GROUP: ("groups", "sync_group"),
    Key.DESCRIBE_GROUPS: ("groups", "describe_groups"),
    Key.LIST_GROUPS: ("groups", "list_groups"),
    Key.API_VERSIONS: ("api_versions", "api_versions"),
    Key.CREATE_TOPICS: ("topics", "create_topics"),
    Key.DELETE_TOPICS: ("topics", "delete_topics"),
    Key.DELETE_RECORDS: ("partitions", "delete_records"),
    Key.INIT_PRODUCER_ID: ("producers", "init_producer_id"),
    Key.OFFSET_FOR_LEADER_EPOCH: ("partitions", "offset_for_leader_epoch"),
    Key.DESCRIBE_CONFIGS: ("configs", "describe_configs"),
    Key.ALTER_CONFIGS: ("configs", "alter_configs"),
    Key.ALTER_REPLICA_LOG_DIRS: ("cluster", "alter_replica_log_dirs"),
    Key.DESCRIBE_LOG_DIRS: ("cluster", "describe_log_dirs"),
    Key.CREATE_PARTITIONS: ("topics", "create_partitions"),
    Key.DELETE_GROUPS: ("groups", "delete_groups"),
    Key.ELECT_LEADERS: ("cluster", "elect_leaders"),
    Key.INCREMENTAL_ALTER_CONFIGS: ("configs", "incremental_alter_configs"),
    Key.ALTER_PARTITION_REASSIGNMENTS: ("cluster", "alter_partition_reassignments"),
    Key.LIST_PARTITION_REASSIGNMENTS: ("cluster", "list_partition_reassignments"),
    Key.OFFSET_DELETE: ("offsets", "offset_delete"),
    Key.DESCRIBE_QUORUM: ("cluster", "describe_quorum"),
    Key.UPDATE_FEATURES: ("cluster", "update_features"),
    Key.DESCRIBE_CLUSTER: ("metadata", "describe_cluster"),
    Key.DESCRIBE_PRODUCERS: ("producers", "describe_producers"),
    Key.UNREGISTER_BROKER: ("cluster", "unregister_broker"),
    Key.LIST_CONFIG_RESOURCES: ("configs", "list_config_resources"),
    Key.DESCRIBE_TOPIC_PARTITIONS: ("metadata", "describe_topic_partitions"),
}


class Route(NamedTuple):
    """Name an API and where its handler stands."""

    api: Api
    module: str
    function: str

    def handler(self) -> Handler:
        """Import the handler's module and return the function."""
        module: Any = importlib.import_module(f"barnabas.handlers.{self.module}")
        found: Handler = getattr(module, self.function)
        return found


ROUTES: Final[dict[int, Route]] = {key: Route(APIS[key], *where) for key, where in HANDLERS.items()}


api_versions.advertise(
    broker=[route.api for route in ROUTES.values() if route.api.broker],
    controller=[route.api for route in ROUTES.values() if route.api.controller],
)
