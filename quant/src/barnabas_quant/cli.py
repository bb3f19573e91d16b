"""The command line: `barnabas-quant up | verify | simulate`."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from barnabas_quant.endpoints import read_endpoints
from barnabas_quant.errors import QuantError
from barnabas_quant.feeds.capture import Capture
from barnabas_quant.feeds.recording import write_capture
from barnabas_quant.feeds.simulator import MINUTE, Simulator
from barnabas_quant.processes import split_address
from barnabas_quant.up import GROUP, LISTEN, Complaints, UpOptions, up
from barnabas_quant.verify import Verdict, verify


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; answer its exit code: 0, 1 for a failure or a difference found, 2 for wrong usage."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    # librdkafka logs every attempt to reach a broker that is starting or gone; what matters comes as an error anyway.
    logging.getLogger("barnabas_quant.librdkafka").setLevel(logging.CRITICAL)
    try:
        code: int = options.run(options)
        return code
    except QuantError as error:
        print(f"barnabas-quant: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="barnabas-quant", description="Market data on Kafka.")
    commands = parser.add_subparsers(required=True, metavar="command")

    command = commands.add_parser("up", help="start the broker, play market data into it, show it live")
    command.set_defaults(run=_up)
    _add_data(command)
    _add_kafka(command, "use this Kafka and start no broker")
    command.add_argument(
        "--listen", type=_address, action="append", metavar="HOST:PORT", help=f"default {' and '.join(LISTEN)}"
    )
    _add_capture(command, required=False)
    command.add_argument(
        "--speed", type=_speed, default=1.0, metavar="N|max", help="times as fast as recorded (default 1)"
    )
    command.add_argument("--seed", type=int, default=1, help="which simulated market, without --capture (default 1)")
    command.add_argument("--group", default=GROUP, help=f"consumer group of the table (default {GROUP})")
    command.add_argument("--seconds", type=float, metavar="N", help="end after N seconds")
    command.add_argument("--until-played", action="store_true", help="end when the capture is played and read back")

    command = commands.add_parser("verify", help="compare what stands in the topics with a capture")
    command.set_defaults(run=_verify)
    _add_data(command)
    _add_kafka(command, "default: the one that `up` runs in --data, or localhost:9092")
    _add_capture(command, required=True)

    command = commands.add_parser("simulate", help="write a capture of the simulated exchange")
    command.set_defaults(run=_simulate)
    command.add_argument("file", type=Path, help="gzipped where its name ends in .gz")
    command.add_argument("--minutes", type=int, default=1)
    command.add_argument("--seed", type=int, default=1)
    command.add_argument(
        "--start", type=int, metavar="MS", help="when it begins, milliseconds since 1970 (default: this minute)"
    )
    return parser


def _add_data(command: argparse.ArgumentParser) -> None:
    command.add_argument("--data", type=Path, default=Path("data"), metavar="DIR", help="default ./data")


def _add_kafka(command: argparse.ArgumentParser, text: str) -> None:
    command.add_argument("--kafka", type=_address, metavar="HOST:PORT", help=text)


def _add_capture(command: argparse.ArgumentParser, *, required: bool) -> None:
    text = "recorded frames, gzipped or plain" + ("" if required else "; default: the simulated exchange")
    command.add_argument("--capture", type=Path, required=required, metavar="FILE", help=text)
    command.add_argument("--exchange", help="venue of the capture (default: binance, or binance_usdm by its frames)")


def _address(text: str) -> str:
    try:
        split_address(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    speed = float(text)
    if not 0 < speed < float("inf"):
        raise argparse.ArgumentTypeError("above 0, or max")
    return speed


def _up(options: argparse.Namespace) -> int:
    up(
        UpOptions(
            data=options.data,
            listen=tuple(options.listen or LISTEN),
            kafka=options.kafka,
            capture=options.capture,
            exchange=options.exchange,
            speed=options.speed,
            seed=options.seed,
            group=options.group,
            seconds=options.seconds,
            until_played=options.until_played,
        ),
        sys.stdout,
    )
    return 0


def _verify(options: argparse.Namespace) -> int:
    running = read_endpoints(options.data)
    bootstrap = options.kafka or (running.kafka if running else LISTEN[0])
    capture = Capture(options.capture, options.exchange)
    print(f"{options.capture} is {capture.identity}; Kafka at {bootstrap}")
    verdicts = verify(bootstrap, capture, Complaints())
    print(f"{'topic':<24}{'in the file':>12}{'in Kafka':>12}{'misplaced':>11}  {'checksums':<34}verdict")
    for verdict in verdicts:
        print(_verdict_line(verdict))
    return 0 if all(verdict.same for verdict in verdicts) else 1


def _verdict_line(verdict: Verdict) -> str:
    sums = f"{verdict.capture.checksum:016x} {verdict.kafka.checksum:016x}"
    return (
        f"{verdict.topic:<24}{verdict.capture.count:>12}{verdict.kafka.count:>12}{verdict.misplaced:>11}  {sums:<34}"
        f"{'same' if verdict.same else 'DIFFERENT'}"
    )


def _simulate(options: argparse.Namespace) -> int:
    simulator = Simulator(options.seed)
    start = options.start if options.start is not None else time.time_ns() // 10**6 // MINUTE * MINUTE
    frames = chain.from_iterable(simulator.minute(n, start + n * MINUTE) for n in range(options.minutes))
    try:
        count = write_capture(options.file, frames)
    except OSError as error:
        raise QuantError(f"cannot write {options.file}: {error.strerror}") from error
    print(f"{count} frames in {options.file}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
