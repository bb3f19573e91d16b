"""Run `barnabas serve`: read the configuration, start the broker, stop it at a signal."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import re
import signal
import sys
from pathlib import Path

from barnabas.config.definitions import ConfigException
from barnabas.config.properties import from_environment, load
from barnabas.config.server import ServerConfig
from barnabas.metadata.framing import LATEST, METADATA_VERSIONS
from barnabas.protocol.errors import BarnabasError
from barnabas.server import logs
from barnabas.server.broker import Broker
from barnabas.server.loops import run

DEFAULT_DATA = "./data"


def serve(parsed: argparse.Namespace) -> int:
    """Run a broker until SIGINT or SIGTERM; return the exit status."""
    logs.configure(parsed.log_format, parsed.log_level)
    try:
        config, warnings, data = configuration(parsed)
        level = metadata_version(parsed.metadata_version)
        check_console(parsed.console)
    except (ConfigException, BarnabasError, OSError) as e:
        sys.stderr.write(f"barnabas: {e}\n")
        return 1
    for warning in warnings:
        logs.KAFKA_CONFIG.warning("%s", warning)
    raise_file_limit()
    broker = Broker(config, data, metadata_version=level, metrics_port=parsed.metrics)
    try:
        return run(_serve(broker, control=parsed.control, console=parsed.console))
    except BarnabasError as e:
        sys.stderr.write(f"barnabas: {e}\n")
        return 1


def configuration(parsed: argparse.Namespace) -> tuple[ServerConfig, list[str], Path]:
    """Combine file, environment and options; raises `ConfigException`, `BarnabasError`, `OSError`."""
    properties: dict[str, str] = {}
    if parsed.properties:
        properties.update(load(Path(parsed.properties)))
    properties.update(from_environment(os.environ))
    for override in parsed.override:
        key, equals, value = override.partition("=")
        if not equals:
            raise BarnabasError(f"--override {override}: expected KEY=VALUE")
        properties[key.strip()] = value
    if parsed.listen:
        properties.update(listen_properties(parsed.listen, properties))
    if parsed.data:
        properties["log.dirs"] = parsed.data
    elif "log.dirs" not in properties and "log.dir" not in properties:
        properties["log.dirs"] = DEFAULT_DATA
    config, warnings = ServerConfig.load(properties)
    return config, warnings, Path(config.log_dir)


def listen_properties(addresses: list[str], properties: dict[str, str]) -> dict[str, str]:
    """Turn HOST:PORT options into the keys `listeners` and so on; a controller's listener of the file stays."""
    names, protocols = [], []
    for number, address in enumerate(addresses):
        host, colon, port = address.rpartition(":")
        if not colon or not port.isdigit() or int(port) > 65535:
            raise BarnabasError(f"--listen {address}: expected HOST:PORT, such as localhost:9092")
        name = "PLAINTEXT" if number == 0 else "PLAINTEXT_HOST" if number == 1 else f"PLAINTEXT_{number}"
        names.append(f"{name}://{host}:{port}")
        protocols.append(f"{name}:PLAINTEXT")
    for name in properties.get("controller.listener.names", "").split(","):
        names += [x for x in properties.get("listeners", "").split(",") if name and x.startswith(f"{name}://")]
        if name:
            protocols.append(f"{name}:PLAINTEXT")
    return {
        "listeners": ",".join(names), "advertised.listeners": ",".join(names[: len(addresses)]),
        "listener.security.protocol.map": ",".join(protocols),
        **({"inter.broker.listener.name": "PLAINTEXT"} if "inter.broker.listener.name" in properties else {}),
    }


def metadata_version(text: str | None) -> int:
    """Read `--metadata-version`: a release (4.1), its name (4.1-IV1) or the level; raises `BarnabasError`."""
    if text is None:
        return LATEST
    for name, level in METADATA_VERSIONS.items():
        if text in (name, name.partition("-")[0], str(level)):
            return level
    raise BarnabasError(f"--metadata-version {text}: expected one of {', '.join(METADATA_VERSIONS)}")


def check_console(address: str | None) -> None:
    """Raise `BarnabasError` for an address of the console that is none."""
    if address is not None and not re.fullmatch(r".+:[0-9]{1,5}", address):
        raise BarnabasError(f"--console {address}: expected HOST:PORT, such as localhost:8080")


def raise_file_limit() -> None:
    """Let the process open as many files as the system allows: every partition needs one or more."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _serve(broker: Broker, *, control: bool, console: str | None) -> int:
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C raises KeyboardInterrupt
            loop.add_signal_handler(number, stopping.set)
    await broker.start()
    async with contextlib.AsyncExitStack() as beside:
        beside.push_async_callback(_stop, broker)
        for listener in broker.listeners:
            logs.KAFKA_SERVER.info(
                "listening on %s://%s:%d, advertised as %s:%d", listener.name, listener.host, listener.port,
                listener.advertised_host, listener.advertised_port,
            )
        logs.KAFKA_SERVER.info("[KafkaServer id=%d] started", broker.node.node_id)
        logs.KAFKA_RAFT_SERVER.info("Kafka Server started")
        if console is not None:
            from barnabas.server.beside import running_console

            await beside.enter_async_context(running_console(broker.bootstrap, console))
        if control:
            from barnabas.server.control import answer_commands

            await answer_commands(broker, stopping)
        else:
            await stopping.wait()
    return 0


async def _stop(broker: Broker) -> None:
    logs.KAFKA_SERVER.info("[KafkaServer id=%d] shutting down", broker.config.node_id)
    await broker.stop()
    logs.KAFKA_SERVER.info("[KafkaServer id=%d] shut down completed", broker.config.node_id)
