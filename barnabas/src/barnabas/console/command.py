"""Run `barnabas console`: read the options, serve until a signal comes, or until the broker that started it is gone."""

from __future__ import annotations

import argparse
import logging
import socket
import sys
from typing import Any

from barnabas.console.settings import add_arguments, read
from barnabas.protocol.errors import BarnabasError

__all__ = ["add_arguments", "run"]


def run(parsed: argparse.Namespace) -> int:
    """Serve the console; return the exit status."""
    import uvicorn

    from barnabas.console.app import application
    from barnabas.console.serving import Server

    try:
        settings = read(parsed)
        app = application(settings)
        listening = _listen(settings.host, settings.port)
    except (BarnabasError, OSError) as e:
        sys.stderr.write(f"barnabas console: {e}\n")
        return 1
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, ws="none", http="h11", loop="asyncio",
        timeout_graceful_shutdown=1, proxy_headers=False,
    )
    logging.basicConfig(format="[%(asctime)s] %(levelname)s %(message)s")
    server = Server(config, after_stdin=parsed.end_with_stdin)
    server.heed()  # before the line that others wait for
    port = listening[0].getsockname()[1]
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    names = ", ".join(f"{cluster.name} ({cluster.bootstrap})" for cluster in settings.clusters)
    print(f"Console of {names} on http://{host}:{port}", flush=True)
    if not (settings.is_loopback or settings.users or settings.user_header or settings.read_only):
        sys.stderr.write(
            f"barnabas console: whoever reaches {host}:{port} may change everything: --users FILE lets people sign in, "
            "--read-only refuses changes\n"
        )
    server.run(sockets=listening)
    return 0


def _listen(host: str, port: int) -> list[socket.socket]:
    """Listen on every address of a name. Raises `OSError` where none can be had, or one is taken."""
    found: list[socket.socket] = []
    try:
        for family, _, _, _, place in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE):
            address: Any = (place[0], found[0].getsockname()[1] if found and not port else port, *place[2:])
            made = socket.socket(family, socket.SOCK_STREAM)
            try:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                made.bind(address)
                made.listen(128)  # whoever reads our address may come at once
            except OSError as e:
                made.close()
                if family == socket.AF_INET6 and found:  # a machine without IPv6 still has the name
                    continue
                raise OSError(e.errno, f"{host}:{port}: {e.strerror}; --listen names another address") from None
            found.append(made)
    except BaseException:
        for one in found:
            one.close()
        raise
    return found
