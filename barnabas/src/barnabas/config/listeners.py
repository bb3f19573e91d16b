"""Where the node listens, and what it tells clients to connect to.

Loopback is the default: a listener without a host listens on this machine alone; `0.0.0.0` or `[::]` must be written
out to be reachable from elsewhere. A listener whose advertised address is not given advertises what it binds; one that
binds every address advertises the machine's name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from barnabas.config.definitions import ConfigException

PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
SUPPORTED_PROTOCOLS = ("PLAINTEXT",)
EVERY_ADDRESS = ("0.0.0.0", "::")
LOOPBACK = "localhost"

_ENDPOINT = r"(.*?)://\[?([0-9a-zA-Z\-%._:]*)\]?:(\d+)"


@dataclass(frozen=True, slots=True)
class Listener:
    """Hold one listener.

    `host` is a name or an address to bind (`localhost`: both loopback addresses), `port` 0 asks the system for one;
    `advertised_port` is then 0 too and follows the port that was given.
    """

    name: str
    host: str
    port: int
    protocol: str
    advertised_host: str
    advertised_port: int
    is_controller: bool


class _Endpoint:
    __slots__ = ("host", "name", "port")

    def __init__(self, name: str, host: str, port: int) -> None:
        self.name = name
        self.host = host
        self.port = port


def _endpoints(key: str, texts: Sequence[str]) -> list[_Endpoint]:
    """Split NAME://HOST:PORT; names must differ."""
    found: list[_Endpoint] = []
    for text in texts:
        match = re.fullmatch(_ENDPOINT, text)
        if match is None or not match[1]:
            raise ConfigException(
                key, text, f"Unable to parse {text} to a broker endpoint: NAME://HOST:PORT is expected"
            )
        port = int(match[3])
        if port > 65535:
            raise ConfigException(key, text, "A port must be between 0 and 65535")
        found.append(_Endpoint(match[1].upper(), match[2], port))
    if len({endpoint.name for endpoint in found}) < len(found):
        raise ConfigException(key, ",".join(texts), "Each listener must have a different name")
    return found


def _check_ports(key: str, texts: Sequence[str], endpoints: Sequence[_Endpoint]) -> None:
    by_port: dict[int, list[_Endpoint]] = {}
    for endpoint in endpoints:
        if endpoint.port:
            by_port.setdefault(endpoint.port, []).append(endpoint)
    for port, same in by_port.items():
        if len(same) == 1:
            continue
        families = {":" in one.host for one in same}
        plain = all(":" in one.host or one.host.replace(".", "").isdecimal() for one in same)
        if len(same) > 2 or not plain or len(families) < 2:
            hint = "unless exactly one listener has an IPv4 address and the other IPv6 address"
            raise ConfigException(
                key, ",".join(texts), f"Each listener must have a different port {hint}, port: {port}"
            )


def protocol_map(text: str, key: str = "listener.security.protocol.map") -> dict[str, str]:
    """Split NAME:PROTOCOL pairs; raise ConfigException for a pair of another form or an unknown protocol."""
    found: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        name, colon, protocol = (part.strip() for part in pair.rpartition(":"))
        if not colon or not name:
            raise ConfigException(key, text, f"{pair} is not of the form NAME:PROTOCOL")
        if protocol.upper() not in PROTOCOLS:
            raise ConfigException(key, text, sentence=f"Invalid security protocol `{protocol}` defined in {key}")
        found[name.upper()] = protocol.upper()
    return found


def build(
    texts: Sequence[str] | None,
    advertised: Sequence[str] | None,
    protocols: Mapping[str, str],
    controllers: Sequence[str],
    *,
    host_name: str | None,
    warnings: list[str],
) -> tuple[Listener, ...]:
    """Build the listeners.

    `texts` None means that only advertised addresses are known (a container started with
    KAFKA_ADVERTISED_LISTENERS alone): the node then listens on their ports, on every address if any of them is meant
    for other machines. `host_name` is what listeners on every address advertise; None: the machine's name.
    Raise ConfigException for doubled names or ports, for protocols that are not supported, for an advertised name
    that does not listen, and where no listener is left for clients.
    """
    told = _endpoints("advertised.listeners", advertised or ())
    named = {name.upper() for name in controllers}
    if texts is None:
        everywhere = any(not is_loopback(endpoint.host) for endpoint in told)
        bound = [_Endpoint(one.name, EVERY_ADDRESS[0] if everywhere else "", one.port) for one in told]
        texts = [f"{one.name}://{one.host}:{one.port}" for one in bound]
        warnings.append(f"listeners is not set; it follows advertised.listeners: {','.join(texts)}")
    else:
        bound = _endpoints("listeners", texts)
    _check_ports("listeners", texts, bound)
    addresses = {endpoint.name: endpoint for endpoint in told}
    unknown = addresses.keys() - {endpoint.name for endpoint in bound} - named
    if unknown:
        valid = ",".join(endpoint.name for endpoint in bound)
        hint = f"{','.join(sorted(unknown))} is not among the listeners; the valid names are {valid}"
        raise ConfigException("advertised.listeners", ",".join(advertised or ()), hint)
    listeners = []
    for endpoint in bound:
        protocol = _protocol(endpoint.name, protocols, warnings)
        own = addresses.get(endpoint.name, endpoint)
        if own is not endpoint and own.host in EVERY_ADDRESS:
            hint = (
                f"advertised.listeners cannot use the nonroutable meta-address {own.host}. Use a routable IP address."
            )
            raise ConfigException("advertised.listeners", ",".join(advertised or ()), sentence=hint)
        if own.host in EVERY_ADDRESS:
            host_name = host_name or machine_name()
            told_host = host_name
        else:
            told_host = own.host or LOOPBACK
        listeners.append(
            Listener(
                name=endpoint.name,
                host=endpoint.host or LOOPBACK,
                port=endpoint.port,
                protocol=protocol,
                advertised_host=told_host,
                advertised_port=own.port,
                is_controller=endpoint.name in named,
            )
        )
    if all(listener.is_controller for listener in listeners):
        hint = "At least one listener must not be named in controller.listener.names"
        raise ConfigException("listeners", ",".join(texts), hint)
    return tuple(listeners)


def _protocol(name: str, protocols: Mapping[str, str], warnings: list[str]) -> str:
    protocol = protocols.get(name)
    if protocol is None:
        warnings.append(f"Listener {name} is not in listener.security.protocol.map; it is taken for PLAINTEXT")
        return "PLAINTEXT"
    if protocol not in SUPPORTED_PROTOCOLS:
        allowed = ", ".join(SUPPORTED_PROTOCOLS)
        hint = f"the protocol of listener {name} is not supported yet; supported: {allowed}"
        raise ConfigException("listener.security.protocol.map", f"{name}:{protocol}", hint)
    return protocol


def is_loopback(host: str) -> bool:
    """Say whether a host, as written, means this machine alone; an empty one does."""
    return host in ("", LOOPBACK, "::1") or host.startswith("127.")


def machine_name() -> str:
    """Give this machine's name, or localhost where it has none."""
    # socket is loaded by any server, but not by a tool that only reads configuration.
    import socket

    return socket.gethostname() or LOOPBACK
