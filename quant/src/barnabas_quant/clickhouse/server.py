"""`python -m barnabas_quant.clickhouse --listen 127.0.0.1:8123 --path DIR`: the embedded ClickHouse as a process.

It prints one line when it answers. SIGTERM and SIGINT, and the end of standard input with `--until-stdin-closes`, end
it in order: no new connections, what is under way gets `--grace` seconds, then it is cancelled. Exit code 0 then, 1
with one line where it cannot start. What chDB itself prints is dropped; when it crashes, this process dies of the same
signal, with a line and the Python stack on standard error.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import faulthandler
import fcntl
import os
import signal
import socket
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, TextIO

import uvicorn

from barnabas_quant.clickhouse.app import Application
from barnabas_quant.clickhouse.engine import Engine
from barnabas_quant.errors import ChildError, QuantError
from barnabas_quant.processes import check_port, split_address

DEFAULT_ADDRESS = "127.0.0.1:8123"
_LONGEST_LINE = 2 << 20  # of a request with its headers: parameters may be long


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until told to end; answer the exit code."""
    parser = argparse.ArgumentParser(prog="barnabas-quant clickhouse", description="chDB as a ClickHouse over HTTP.")
    add_arguments(parser)
    return run(parser.parse_args(arguments))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Name the options."""
    parser.add_argument("--listen", default=DEFAULT_ADDRESS, metavar="HOST:PORT", help=f"default {DEFAULT_ADDRESS}")
    parser.add_argument("--path", type=Path, required=True, metavar="DIR", help="where the tables are")
    parser.add_argument("--max-body", type=int, default=1 << 30, metavar="BYTES", help="of a request, unpacked (1 GiB)")
    parser.add_argument("--max-queries", type=int, default=100, metavar="N", help="at once (default 100)")
    parser.add_argument("--grace", type=float, default=10.0, metavar="SECONDS", help="for what is under way at the end")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end when standard input does")


def run(options: argparse.Namespace) -> int:
    """Serve as the options say; answer the exit code."""
    # chDB prints where it likes. Its descriptors 1 and 2 go nowhere, ours are copies.
    output, errors = (os.fdopen(os.dup(fd), "w", buffering=1) for fd in (1, 2))
    try:
        host, port = _address(options.listen)
        if port:
            check_port(options.listen, "--listen")
        engine = _open(options.path)
        with ExitStack() as stack:
            listeners = _listen(host, port, stack)
            faulthandler.enable(errors, all_threads=False)
            asyncio.run(_serve(options, engine, listeners, output))
    except (QuantError, OSError, ValueError) as error:
        print(f"clickhouse: {error}", file=errors)
        return 1
    _end(engine)
    return 0


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return (host.strip("[]"), 0) if port == "0" else split_address(text)


def _listen(host: str, port: int, stack: ExitStack) -> list[socket.socket]:
    # Every address of the host, as `localhost` has two. Not socket.create_server: asyncio switches Nagle's delay off
    # only where the protocol is said to be TCP.
    listeners: list[socket.socket] = []
    for family, kind, _, _, where in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        listener = stack.enter_context(socket.socket(family, kind, socket.IPPROTO_TCP))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if port == 0 and listeners:
            where = (where[0], listeners[0].getsockname()[1], *where[2:])
        try:
            listener.bind(where)
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL and listeners:  # a machine without ::1
                continue
            raise
        listener.listen(128)
        listeners.append(listener)
    return listeners


def _open(path: Path) -> Engine:
    path.mkdir(parents=True, exist_ok=True)
    _check_free(path)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
        try:
            return Engine(path.resolve())
        except RuntimeError as error:
            said.seek(0)
            words = said.read().decode(errors="replace").strip()
            raise ChildError(f"cannot open {path}: {words or error}") from error
        finally:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 1)
            os.dup2(nowhere, 2)
            os.close(nowhere)


def _check_free(path: Path) -> None:
    # ClickHouse keeps a lock on this file, with its process id in it.
    with suppress(FileNotFoundError), (path / "status").open("r+") as status:
        try:
            fcntl.flock(status, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            first = status.readline().strip()
            raise ChildError(f"{path} is in use by another process ({first}): one process owns a path") from None


async def _serve(options: argparse.Namespace, engine: Engine, listeners: list[socket.socket], output: TextIO) -> None:
    config = uvicorn.Config(
        Application(engine, options.max_body, options.max_queries),
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=600,
        timeout_graceful_shutdown=max(1, round(options.grace)),
        h11_max_incomplete_event_size=_LONGEST_LINE,
    )
    server = uvicorn.Server(config)
    for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn ends by them, and raises them again when it has ended
        signal.signal(number, lambda *_: None)
    if options.until_stdin_closes:
        _watch_input(server)
    host, port = listeners[0].getsockname()[:2]
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    serving = asyncio.create_task(server.serve(sockets=listeners))
    while not server.started and not serving.done():
        await asyncio.sleep(0.005)
    if server.started:
        print(f"clickhouse: ready at http://{address} version={engine.version} pid={os.getpid()}", file=output)
    await serving


def _watch_input(server: uvicorn.Server) -> None:
    loop = asyncio.get_running_loop()

    def read(*_: Any) -> None:
        with suppress(BlockingIOError):
            if not os.read(0, 4096):
                loop.remove_reader(0)
                server.should_exit = True

    try:
        loop.add_reader(0, read)
    except (PermissionError, ValueError, OSError):  # a file or /dev/null, which has ended already
        server.should_exit = True


def _end(engine: Engine) -> None:
    # What the grace did not suffice for; a statement that cannot be cancelled is left behind, its blocks are whole.
    deadline = time.monotonic() + 5
    while engine.give_up():
        if time.monotonic() > deadline:
            os._exit(0)
        time.sleep(0.05)
    engine.close()
