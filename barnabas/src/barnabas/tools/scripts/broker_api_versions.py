"""kafka-broker-api-versions: show which APIs each broker serves, in which versions.

Requests: Metadata, and ApiVersions to each broker. Differs from Java's tool: brokers are sorted, and there is --json.
"usable" is the version that this project's own client would speak, which is the one of Apache Kafka 4.3.
"""

from __future__ import annotations

import json
from typing import Any, Final

from barnabas.protocol.api import APIS
from barnabas.tools.arguments import BOOTSTRAP, COMMAND_CONFIG, settings_of
from barnabas.tools.cluster import Cluster, Unreachable
from barnabas.tools.errors import ClientError, ConfigError, ToolError
from barnabas.tools.options import JSON, Parsed

SUMMARY = "This tool helps to retrieve broker version information."
OPTIONS = (BOOTSTRAP, COMMAND_CONFIG, JSON)
EXAMPLE = "kafka-broker-api-versions --bootstrap-server localhost:9092"

#: APIs between brokers that Kafka's tool knows, and this package does not speak: name, highest version
_FOREIGN: Final = {
    83: ("InitializeShareGroupState", 0), 84: ("ReadShareGroupState", 0), 85: ("WriteShareGroupState", 1),
    86: ("DeleteShareGroupState", 0), 87: ("ReadShareGroupStateSummary", 1),
}
_KNOWN: Final = {key: (api.name, api.max_version) for key, api in APIS.items() if api.broker} | _FOREIGN


def run(options: Parsed) -> int:
    """Show the versions."""
    options.require("bootstrap-server")
    try:
        settings = settings_of(options)
        with Cluster(settings) as cluster:
            brokers = cluster.metadata([]).brokers
            _show(cluster, sorted(brokers, key=lambda b: b.node_id), as_json=options.has("json"))
    except Unreachable:
        nodes = ", ".join(_node(h, p, -n, None) for n, (h, p) in enumerate(settings.bootstrap, 1))
        raise ToolError(f"Request METADATA failed on brokers [{nodes}]") from None
    except ConfigError as e:
        raise ToolError(str(e)) from None
    return 0


def _show(cluster: Cluster, brokers: list[Any], *, as_json: bool) -> None:
    rows = []
    for broker in brokers:
        node = _node(broker.host, broker.port, broker.node_id, broker.rack)
        row: dict[str, Any] = {"broker": broker.node_id, "host": broker.host, "port": broker.port, "rack": broker.rack}
        try:
            versions = cluster.node(broker.node_id).versions
        except ClientError as e:
            rows.append(row | {"error": str(e)})
            if not as_json:
                print(f"{node} -> ERROR: {e}")
            continue
        rows.append(row | {"apis": [_row(key, versions.get(key)) for key in sorted({*versions, *_KNOWN})]})
        if not as_json:
            lines = ",\n".join(f"\t{_line(key, versions.get(key))}" for key in sorted({*versions, *_KNOWN}))
            print(f"{node} -> (\n{lines}\n)")
    if as_json:
        print(json.dumps(rows, indent=2))


def _node(host: str, port: int, node_id: int, rack: str | None) -> str:
    return f"{host}:{port} (id: {node_id} rack: {rack or 'null'} isFenced: false)"


def _line(key: int, served: tuple[int, int] | None) -> str:
    known = _KNOWN.get(key)
    name = f"{known[0] if known else 'UNKNOWN'}({key})"
    if served is None:
        return f"{name}: UNSUPPORTED"
    low, high = served
    text = f"{name}: {low}" if low == high else f"{name}: {low} to {high}"
    if known is None:
        return text
    if known[1] < low:
        return f"{text} [unusable: node too new]"
    least = APIS[key].min_version if key in APIS else 0
    return f"{text} [unusable: node too old]" if high < least else f"{text} [usable: {min(high, known[1])}]"


def _row(key: int, served: tuple[int, int] | None) -> dict[str, Any]:
    known = _KNOWN.get(key)
    low, high = served or (None, None)
    return {"key": key, "name": known[0] if known else None, "minVersion": low, "maxVersion": high}
