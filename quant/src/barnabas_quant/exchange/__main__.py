"""`python -m barnabas_quant.exchange`: the simulated exchange as a process.

It prints one line with its address once it listens, plays until SIGINT or SIGTERM, and stays up after the end of a
capture.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from barnabas_quant.errors import QuantError
from barnabas_quant.exchange.app import Exchange
from barnabas_quant.exchange.play import CapturePlay, Play, SimulatedPlay, instruments
from barnabas_quant.exchange.rate import RatePlay
from barnabas_quant.exchange.settings import BINANCE, BINANCE_USDM, OKX, Limits, Retention
from barnabas_quant.exchange.sina import Sina
from barnabas_quant.feeds import Capture, Simulator


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the exchange until it is told to stop; answer the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    try:
        return asyncio.run(_run(options))
    except (QuantError, OSError) as error:
        print(f"exchange: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="barnabas-quant exchange",
        description="A simulated exchange: Binance spot and USD-M, OKX, level-1 quotes. Faults: /control.",
    )
    parser.add_argument("--listen", default="127.0.0.1:8100", metavar="HOST:PORT", help="port 0: a free one")
    parser.add_argument("--seed", type=int, default=1, help="which random market (default 1)")
    parser.add_argument("--symbols", type=int, default=5, metavar="N", help="instruments of the random market")
    venues = f"{BINANCE},{BINANCE_USDM},{OKX}"
    parser.add_argument("--venues", default=venues, help="of the random market; the first has /ws and /stream")
    parser.add_argument("--backlog", type=int, default=1, metavar="MINUTES", help="history at the start")
    parser.add_argument(
        "--no-memory", action="store_true", help="no bars of minutes before the backlog (default: as many as are kept)"
    )
    parser.add_argument("--capture", type=Path, action="append", default=[], metavar="FILE", help="recorded frames")
    parser.add_argument("--exchange", help="venue of the captures (default: by their frames)")
    parser.add_argument("--speed", type=_speed, default=1.0, metavar="N|max", help="of the captures (default 1)")
    parser.add_argument("--start", choices=("once", "subscribed"), default="once", help="when a capture starts")
    parser.add_argument("--need", metavar="STREAMS", help="what --start subscribed waits for (default: all), a,b,c")
    parser.add_argument("--rate", type=int, metavar="N", help="instead: prepared frames, N a second in all")
    for group, defaults in (("limit", Limits()), ("keep", Retention())):
        for field in fields(defaults):
            value = getattr(defaults, field.name)
            name = f"--{group}-{field.name.replace('_', '-')}"
            parser.add_argument(name, type=type(value), default=value, help=f"default {value}")
    return parser


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    speed = float(text)
    if not 0 < speed < float("inf"):
        raise argparse.ArgumentTypeError("above 0, or max")
    return speed


def _group(options: argparse.Namespace, group: str, form: Any) -> Any:
    return form(**{field.name: getattr(options, f"{group}_{field.name}") for field in fields(form)})


async def _run(options: argparse.Namespace) -> int:
    host, port = _address(options.listen)
    exchange = _exchange(options)
    assert exchange.play is not None
    exchange.play.prepare()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(exchange.connection, host, port)
    shown = server.sockets[0].getsockname()
    print(f"exchange: http://{host}:{shown[1]} plays; faults and what was played: /control", flush=True)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    playing = asyncio.create_task(exchange.play.run())
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({playing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if playing.done():
            playing.result()
            await stopping
    finally:
        for task in (playing, stopping):
            task.cancel()
        server.close()
        exchange.close()
    return 0


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise QuantError(f"not HOST:PORT: {text!r}")
    return host.strip("[]"), int(port)


def _exchange(options: argparse.Namespace) -> Exchange:
    limits, retention = _group(options, "limit", Limits), _group(options, "keep", Retention)
    captures: list[Capture] = []
    for path in options.capture:  # the first one says which venue it is; others may hold nothing but snapshots
        captures.append(Capture(path, captures[0].exchange if captures else options.exchange))
    venues = (captures[0].exchange,) if captures else tuple(options.venues.split(","))
    for venue in venues:
        if venue not in (BINANCE, BINANCE_USDM, OKX):
            raise QuantError(f"no such venue: {venue}")
    exchange = Exchange(venues, limits, retention)
    if not exchange.markets and (captures or options.rate is not None):
        raise QuantError("captures and prepared frames need one of Binance's venues")
    exchange.sina = Sina(options.seed, time.time)
    exchange.play = _play(options, exchange, captures)
    return exchange


def _play(options: argparse.Namespace, exchange: Exchange, captures: list[Capture]) -> Play:
    markets = exchange.markets
    traded = instruments(options.symbols)
    if options.rate is not None:
        return RatePlay(options.rate, traded, next(iter(markets.values())), exchange.ledger, exchange.sessions)
    if not captures:
        simulator = Simulator(options.seed, traded)
        spot, futures = markets.get(BINANCE), markets.get(BINANCE_USDM)
        return SimulatedPlay(simulator, traded, spot, futures, exchange.okx, options.backlog, not options.no_memory)
    market = next(iter(markets.values()))

    async def ready(names: list[str]) -> None:
        if options.start == "subscribed":
            await exchange.subscribed(market, options.need.split(",") if options.need else names)

    return CapturePlay(captures, market, options.speed, ready, exchange.room)


if __name__ == "__main__":
    sys.exit(main())
