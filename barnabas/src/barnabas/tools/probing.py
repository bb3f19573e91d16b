"""Find out who answers on a port: Kafka, TLS, another protocol, nobody; and which process of this machine holds it.

What was found is returned, good or bad. Every wait is bounded by `PATIENCE` seconds. Processes are read from
Linux's /proc; elsewhere, and for processes of other users, they stay unknown.
"""

from __future__ import annotations

import errno
import os
import re
import socket
import ssl
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from barnabas.tools.errors import AuthenticationFailed

PATIENCE: Final = 3.0
_API_VERSIONS: Final = struct.pack(">hhihs", 18, 0, 0x42524E42, 1, b"d")
_TLS_RECORD: Final = re.compile(rb"[\x14-\x17]\x03[\x00-\x04]")
#: how other protocols begin
_BANNERS: Final = (
    (re.compile(rb"HTTP/|<!DOCTYPE|<html", re.IGNORECASE), "HTTP"),
    (re.compile(rb"SSH-"), "SSH"),
    (re.compile(rb"-ERR |-DENIED"), "Redis"),
    (re.compile(rb"220[ -]"), "mail or FTP"),
    (re.compile(rb"AMQP"), "AMQP (RabbitMQ)"),
    (re.compile(rb"RFB "), "VNC"),
    (re.compile(rb".{3}\x00\x0a[0-9]+\."), "MySQL"),
    (re.compile(rb"E....SFATAL|E$", re.DOTALL), "PostgreSQL"),
)


class Address(NamedTuple):
    """Hold one address of a name, and what came of connecting: no problem, or its number (of errno) and words."""

    family: str  # IPv4, IPv6
    host: str
    problem: str = ""
    number: int = 0


def resolve(host: str, port: int) -> list[tuple[str, str]] | str:
    """Return family and address of everything that a name stands for, or what is wrong with it."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as e:
        return (e.strerror if isinstance(e, socket.gaierror) else None) or "it is no name of a host"
    families = {socket.AF_INET: "IPv4", socket.AF_INET6: "IPv6"}
    return list(dict.fromkeys((families[f], str(a[0])) for f, _, _, _, a in found if f in families))


def knock(family: str, host: str, port: int) -> Address:
    """Try to connect to one address."""
    try:
        socket.create_connection((host, port), PATIENCE).close()
    except TimeoutError:
        return Address(family, host, "no answer", errno.ETIMEDOUT)
    except OSError as e:
        text = {errno.ECONNREFUSED: "refused", errno.EHOSTUNREACH: "no route to host",
                errno.ENETUNREACH: "network unreachable"}
        return Address(family, host, text.get(e.errno or 0, (e.strerror or str(e)).lower()), e.errno or 0)
    return Address(family, host)


def identify(host: str, port: int, context: ssl.SSLContext | None = None) -> str:
    """Say who answers, inside of TLS with a context.

    "Kafka", "TLS", "HTTP", ...; "silence", "hangs up"; "garbage: ..."; "refusal: ..." of the client by the TLS server.
    """
    try:
        return _identify(host, port, context)
    except AuthenticationFailed as e:
        return f"refusal: {e.detail}"


def _identify(host: str, port: int, context: ssl.SSLContext | None) -> str:
    answer = _exchange(host, port, struct.pack(">i", len(_API_VERSIONS)) + _API_VERSIONS, context)
    named = _named(answer)
    if named:
        return named
    if context is None and certificate(host, port) is not None:
        return "TLS"
    named = _named(_exchange(host, port, f"GET / HTTP/1.0\r\nHost: {host}\r\n\r\n".encode(), context))
    if named and named != "Kafka":
        return named
    if answer:
        return f"garbage: {answer[:24]!r}"
    return "silence" if answer is None else "hangs up"


def _named(answer: bytes | None) -> str:
    if not answer:
        return ""
    if len(answer) >= 8 and answer[4:8] == _API_VERSIONS[4:8]:
        return "Kafka"
    if _TLS_RECORD.match(answer):
        return "TLS"
    return next((name for pattern, name in _BANNERS if pattern.match(answer)), "")


def _exchange(host: str, port: int, question: bytes, context: ssl.SSLContext | None) -> bytes | None:
    """Return how the answer begins; empty where the other side hangs up, None where it says nothing.

    Raises `AuthenticationFailed` where TLS ends with an alert.
    """
    try:
        with socket.create_connection((host, port), PATIENCE) as plain, _dressed(plain, host, context) as sock:
            sock.settimeout(PATIENCE / 2)
            sock.sendall(question)
            answer = b""
            while len(answer) < 16:
                piece = sock.recv(256)
                if not piece:
                    break
                answer += piece
            return answer
    except TimeoutError:
        return None
    except OSError:
        return b""


def _dressed(sock: socket.socket, host: str, context: ssl.SSLContext | None) -> socket.socket:
    return context.wrap_socket(sock, server_hostname=host) if context is not None else sock


def _trustful() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def certificate(host: str, port: int) -> bytes | None:
    """Return the certificate that a TLS server shows, in DER, unchecked; empty where it shows none; None: no TLS."""
    try:
        with socket.create_connection((host, port), PATIENCE) as plain, \
                _trustful().wrap_socket(plain, server_hostname=host) as sock:
            return sock.getpeercert(binary_form=True) or b""
    except OSError:
        return None


# --- this machine -------------------------------------------------------------------------------------------


def is_local(hosts: Iterable[str]) -> bool:
    """Tell whether one of the addresses is of this machine: a socket can be bound to it."""
    for host in hosts:
        try:
            with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as sock:
                sock.bind((host, 0))
                return True
        except OSError:
            continue
    return False


class Listener(NamedTuple):
    """Hold a socket of this machine that listens, and the process that it belongs to, empty where unknown."""

    address: str
    process: str


def listeners(port: int) -> list[Listener]:
    """Return who listens on a port of this machine."""
    inodes: dict[str, str] = {}
    for name in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/net/{name}").read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            address, _, number = fields[1].partition(":")
            if fields[3] == "0A" and int(number, 16) == port:
                inodes[fields[9]] = _address(address)
    return [Listener(address, _holder(inode)) for inode, address in inodes.items()]


def _address(text: str) -> str:
    raw = b"".join(bytes.fromhex(text[at : at + 8])[::-1] for at in range(0, len(text), 8))
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw)


def _holder(inode: str) -> str:
    wanted = f"socket:[{inode}]"
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(os.readlink(entry) == wanted for entry in (process / "fd").iterdir()):
                return f"{(process / 'comm').read_text().strip()}, process {process.name}"
        except OSError:
            continue
    return ""
