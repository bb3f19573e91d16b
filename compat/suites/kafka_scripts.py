"""Answer for the two of Apache Kafka's scripts that librdkafka's tests call: one request each, no library.

    kafka_scripts.py kafka-topics.sh --bootstrap-server HOST:PORT --create --topic T --partitions N
                     --replication-factor N [--config K=V ...]
    kafka_scripts.py kafka-acls.sh --bootstrap-server HOST:PORT --add | --remove [--force] --operation OPERATION
                     --allow-principal P [--allow-host H] | --deny-principal P [--deny-host H] --topic T

Speaks CreateTopics version 4, CreateAcls and DeleteAcls version 1, the last ones before compact encodings, with request
header 1.
Exit code: 0, or 1 with the broker's error code and message on standard error.
"""

from __future__ import annotations

import argparse
import socket
import struct
import sys
from collections.abc import Sequence

CREATE_TOPICS, CREATE_TOPICS_VERSION = 19, 4
CREATE_ACLS, DELETE_ACLS, ACLS_VERSION = 30, 31, 1
TIMEOUT_MS = 30_000
TOPIC, LITERAL, DENY, ALLOW = 2, 3, 2, 3
OPERATIONS = {"All": 2, "Read": 3, "Write": 4, "Create": 5, "Delete": 6, "Alter": 7, "Describe": 8}


def text(value: str) -> bytes:
    """Encode a string of the protocol: length as int16, then UTF-8."""
    raw = value.encode()
    return struct.pack(">h", len(raw)) + raw


def create_topics(topic: str, partitions: int, replication: int, configs: dict[str, str]) -> bytes:
    """Encode a CreateTopics body for one topic."""
    settings = b"".join(text(key) + text(value) for key, value in configs.items())
    body = struct.pack(">i", 1) + text(topic) + struct.pack(">ihi", partitions, replication, 0)
    return body + struct.pack(">i", len(configs)) + settings + struct.pack(">i?", TIMEOUT_MS, False)


def topic_acl(topic: str, principal: str, host: str, operation: str, permission: int) -> bytes:
    """Encode a CreateAcls body of one entry on a topic; as a DeleteAcls body it is the filter of that entry."""
    target = struct.pack(">ib", 1, TOPIC) + text(topic) + struct.pack(">b", LITERAL)
    return target + text(principal) + text(host) + struct.pack(">bb", OPERATIONS[operation], permission)


def ask(address: str, key: int, version: int, body: bytes) -> bytes:
    """Send one request to HOST:PORT and return the response from its correlation id on."""
    host, port = address.rsplit(":", 1)
    frame = struct.pack(">hhi", key, version, 1) + text("kafka-scripts") + body
    with socket.create_connection((host.strip("[]"), int(port)), TIMEOUT_MS / 1000) as connection:
        connection.sendall(struct.pack(">i", len(frame)) + frame)
        with connection.makefile("rb") as answers:
            (length,) = struct.unpack(">i", answers.read(4))
            return answers.read(length)


def verdict(response: bytes, start: int) -> tuple[int, str]:
    """Read an error code and the nullable message behind it."""
    code, length = struct.unpack_from(">hh", response, start)
    return code, response[start + 4 : start + 4 + max(length, 0)].decode()


def main(given: Sequence[str] | None = None) -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    scripts = parser.add_subparsers(dest="script", required=True)
    topics, acls = scripts.add_parser("kafka-topics.sh"), scripts.add_parser("kafka-acls.sh")
    for script in (topics, acls):
        script.add_argument("--bootstrap-server", required=True)
        script.add_argument("--topic", required=True)
    topics.add_argument("--create", action="store_true", required=True)
    topics.add_argument("--partitions", type=int, default=-1)
    topics.add_argument("--replication-factor", type=int, default=-1)
    topics.add_argument("--config", action="append", default=[])
    change = acls.add_mutually_exclusive_group(required=True)
    change.add_argument("--add", action="store_true")
    change.add_argument("--remove", action="store_true")
    acls.add_argument("--force", action="store_true")
    principal = acls.add_mutually_exclusive_group(required=True)
    principal.add_argument("--allow-principal")
    principal.add_argument("--deny-principal")
    acls.add_argument("--allow-host", "--deny-host", dest="host", default="*")
    acls.add_argument("--operation", choices=OPERATIONS, required=True)
    args = parser.parse_args(given)
    if args.script == "kafka-topics.sh":
        configs = dict(config.split("=", 1) for config in args.config)
        body = create_topics(args.topic, args.partitions, args.replication_factor, configs)
        response = ask(args.bootstrap_server, CREATE_TOPICS, CREATE_TOPICS_VERSION, body)
        # Correlation id, throttle time, count of topics, then the name.
        code, said = verdict(response, 14 + struct.unpack_from(">h", response, 12)[0])
    else:
        permission = DENY if args.deny_principal else ALLOW
        body = topic_acl(args.topic, args.deny_principal or args.allow_principal, args.host, args.operation, permission)
        response = ask(args.bootstrap_server, CREATE_ACLS if args.add else DELETE_ACLS, ACLS_VERSION, body)
        code, said = verdict(response, 12)  # behind correlation id, throttle time, count of results
    if code:
        print(f"{args.script} {args.topic}: error {code}: {said}", file=sys.stderr)
    return 1 if code else 0


if __name__ == "__main__":
    sys.exit(main())
