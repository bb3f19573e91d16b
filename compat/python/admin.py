"""Create, delete or list topics for clients that have no admin of their own.

``admin.py HOST:PORT create TOPIC PARTITIONS``, ``admin.py HOST:PORT delete TOPIC...``, ``admin.py HOST:PORT list``
"""

from __future__ import annotations

import sys

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from journey import TIMEOUT, eventually


def main(bootstrap: str, command: str, *arguments: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})

    def listed() -> set[str]:
        return set(admin.list_topics(timeout=TIMEOUT).topics)

    if command == "create":
        topic, partitions = arguments
        admin.create_topics([NewTopic(topic, int(partitions), 1)])[topic].result(TIMEOUT)
        eventually(lambda: topic in listed(), f"{topic} is listed")
    elif command == "delete":
        for deleted in admin.delete_topics(list(arguments)).values():
            deleted.result(TIMEOUT)
        eventually(lambda: listed().isdisjoint(arguments), f"{arguments} are gone")
    elif command == "list":
        print("\n".join(sorted(listed())))
    else:
        sys.exit(f"unknown command {command}")


if __name__ == "__main__":
    main(*sys.argv[1:])
