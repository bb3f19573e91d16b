"""The command line: `barnabas-quant up | status | logs | stop | run | services | schemas | play | verify | ...`."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from barnabas_quant.backtest.options import add_backtest_options
from barnabas_quant.errors import NotWritable, QuantError, ServiceError, SettingsError
from barnabas_quant.processes import split_address
from barnabas_quant.settings import Settings, load_settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; answer its exit code: 0, 1 for a failure or a difference found, 2 for wrong usage."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["exchange"]:  # these two are programs of their own, which read their options themselves
        from barnabas_quant.exchange.__main__ import main as exchange

        return exchange(arguments[1:])
    if arguments[:1] == ["clickhouse"]:
        from barnabas_quant.clickhouse.server import main as clickhouse

        return clickhouse(arguments[1:])
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # librdkafka logs every attempt to reach a broker that is starting or gone; what matters comes as an error anyway.
    logging.getLogger("barnabas_quant.librdkafka").setLevel(logging.CRITICAL)
    try:
        code: int = options.run(options)
        return code
    except QuantError as error:
        print(f"barnabas-quant: {error}", file=sys.stderr)
        return 2 if isinstance(error, SettingsError | ServiceError) else 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="barnabas-quant", description="A market-data platform on Kafka, Redis and ClickHouse."
    )
    commands = parser.add_subparsers(required=True, metavar="command")

    command = commands.add_parser("up", help="start the stores that are not named, all services, and show them")
    command.set_defaults(run=_up)
    _add_settings(command)
    command.add_argument("--listen", type=_address, action="append", metavar="HOST:PORT", help="of the embedded broker")
    _add_capture(command, "play this recording instead of listening to an exchange", required=False)
    command.add_argument("--seed", type=int, help="which market the simulated exchange plays (default 1)")
    command.add_argument("--seconds", type=float, metavar="N", help="end after N seconds")

    command = commands.add_parser("status", help="a line for each process of the running platform")
    command.set_defaults(run=_status)
    _add_data(command)
    command.add_argument("--json", action="store_true", help="as a JSON document")

    command = commands.add_parser("logs", help="what the processes print")
    command.set_defaults(run=_logs)
    _add_data(command)
    command.add_argument("names", nargs="*", metavar="PROCESS", help="default: all")
    command.add_argument("-n", "--lines", type=int, default=20, metavar="N", help="last lines of each (default 20)")
    command.add_argument("-f", "--follow", action="store_true", help="and what comes")

    command = commands.add_parser("stop", help="end the running platform in order")
    command.set_defaults(run=_stop)
    _add_data(command)

    command = commands.add_parser("run", help="one service in the foreground, on the stores named or those that run")
    command.set_defaults(run=_run)
    _add_settings(command)
    command.add_argument("service", help="its name, or a file ending in .py that holds it")
    command.add_argument("--metrics", type=_address, metavar="HOST:PORT", help="a page for Prometheus")

    command = commands.add_parser("symbols", help="show or change the symbols of a live feed, also while it runs")
    command.set_defaults(run=_symbols)
    _add_settings(command)
    command.add_argument("exchange", help="its venue: binance, binance_usdm, okx")
    command.add_argument("changes", nargs=argparse.REMAINDER, metavar="+SYMBOL|-SYMBOL", help="default: show them")

    command = commands.add_parser("trading", help="the paper account: kill, reset, cancel, place, transfer, status")
    command.set_defaults(run=_trading)
    _trading_arguments(command)

    command = commands.add_parser("users", help="the gateway's users: add, list, remove, password")
    command.set_defaults(run=_users)
    _users_arguments(command)

    command = commands.add_parser("services", help="the services there are")
    command.set_defaults(run=_services)
    _add_data(command)

    command = commands.add_parser("schemas", help="write the JSON Schema of each record into a folder")
    command.set_defaults(run=_schemas)
    command.add_argument("folder", type=Path, metavar="DIR")

    command = commands.add_parser("play", help="play a recording into the topics and show what is read back")
    command.set_defaults(run=_play)
    _add_data(command)
    _add_kafka(command, "default: the one that `up` runs in --data, or a broker of its own")
    command.add_argument("--listen", type=_address, action="append", metavar="HOST:PORT", help="of a broker of its own")
    _add_capture(command, "recorded frames, gzipped or plain", required=True)
    command.add_argument("--group", help="consumer group of the table")
    command.add_argument("--seconds", type=float, metavar="N", help="end after N seconds")
    command.add_argument("--until-played", action="store_true", help="end when all is played and read back")

    command = commands.add_parser("verify", help="compare what stands in the topics with a recording")
    command.set_defaults(run=_verify)
    _add_data(command)
    _add_kafka(command, "default: the one that `up` runs in --data, or localhost:9092")
    _add_capture(command, "recorded frames, gzipped or plain", required=True)

    command = commands.add_parser("replay", help="work the journal of trading and strategies off, and compare")
    command.set_defaults(run=_replay)
    _add_settings(command)
    command.add_argument("services", nargs="*", metavar="SERVICE", help="default: trading and strategies")
    command.add_argument(
        "--history", action="store_true",
        help="read the records of the journal from ClickHouse, as far as it has them, instead of from their topics",
    )  # fmt: skip
    command.add_argument(
        "--report", type=Path, metavar="DIR", help="write what trading did there, as `backtest` reports it"
    )

    command = commands.add_parser("backtest", help="run a strategy over a history and write a report")
    command.set_defaults(run=_backtest)
    _add_settings(command)
    add_backtest_options(command)

    command = commands.add_parser("simulate", help="write a recording of the simulated exchange")
    command.set_defaults(run=_simulate)
    command.add_argument("file", type=Path, help="gzipped where its name ends in .gz")
    command.add_argument("--minutes", type=int, default=1)
    command.add_argument("--seed", type=int, default=1)
    command.add_argument(
        "--start", type=int, metavar="MS", help="when it begins, milliseconds since 1970 (default: this minute)"
    )

    commands.add_parser("exchange", help="the simulated exchange alone", add_help=False)
    commands.add_parser("clickhouse", help="the embedded ClickHouse alone", add_help=False)
    return parser


def _add_settings(command: argparse.ArgumentParser) -> None:
    command.add_argument("--config", type=Path, metavar="FILE", help="TOML; default barnabas-quant.toml if it is there")
    command.add_argument("--data", type=Path, metavar="DIR", help="default ./data")
    _add_kafka(command, "default: an embedded Barnabas")
    command.add_argument("--redis", metavar="URL", help="redis://HOST:PORT/0; default: an embedded Valkey")
    command.add_argument("--clickhouse", metavar="URL", help="http://HOST:PORT/default; default: an embedded chDB")


def _add_platform(command: argparse.ArgumentParser) -> None:
    command.add_argument("--config", type=Path, metavar="FILE", help="TOML; default barnabas-quant.toml if it is there")
    command.add_argument("--data", type=Path, metavar="DIR", help="default ./data")
    _add_kafka(command, "default: the one that `up` runs in --data")


def _add_data(command: argparse.ArgumentParser) -> None:
    command.add_argument("--data", type=Path, metavar="DIR", help="default ./data")


def _add_kafka(command: argparse.ArgumentParser, text: str) -> None:
    command.add_argument("--kafka", type=_addresses, metavar="HOST:PORT", help=text)


def _add_capture(command: argparse.ArgumentParser, text: str, *, required: bool) -> None:
    command.add_argument("--capture", type=Path, required=required, metavar="FILE", help=text)
    command.add_argument("--exchange", help="venue of the recording (default: binance or binance_usdm, by its frames)")
    command.add_argument("--speed", type=_speed, default=1.0, metavar="N|max", help="times as fast as recorded")


def _address(text: str) -> str:
    try:
        split_address(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def _addresses(text: str) -> str:
    return ",".join(_address(part.strip()) for part in text.split(","))


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    speed = float(text)
    if not 0 < speed < float("inf"):
        raise argparse.ArgumentTypeError("above 0, or max")
    return speed


def _settings(options: argparse.Namespace) -> Settings:
    """Read the settings; what `up` runs in the data folder stands in for stores that nobody named."""
    given = {name: getattr(options, name, None) for name in ("data", "kafka", "redis", "clickhouse", "listen", "seed")}
    if getattr(options, "capture", None) is not None:
        given["replay"] = {
            "files": [options.capture], "exchange": options.exchange, "speed": options.speed or "max",
        }  # fmt: skip
    return load_settings(given, options.config)


def _data(options: argparse.Namespace) -> Path:
    """Give the data folder of a command that takes no other settings: as `up` finds it."""
    return load_settings({"data": options.data}).data


def _up(options: argparse.Namespace) -> int:
    from barnabas_quant.up import up

    up(_settings(options), sys.stdout, options.seconds)
    return 0


def _run(options: argparse.Namespace) -> int:
    from barnabas_quant.endpoints import running_platform
    from barnabas_quant.runner import find_service, run_service
    from barnabas_quant.settings import completed

    settings = _settings(options)
    service = find_service(options.service, settings.data / "services")
    run_service(service, completed(settings, running_platform(settings.data)), options.metrics)
    return 0


def _symbols(options: argparse.Namespace) -> int:
    from barnabas_quant.feeds.live.symbols import change_symbols

    print("\n".join(change_symbols(_settings(options), options.exchange, options.changes)))
    return 0


def _trading_arguments(command: argparse.ArgumentParser) -> None:
    from barnabas_quant.trading_commands import add_arguments

    add_arguments(command, _add_platform)


def _trading(options: argparse.Namespace) -> int:
    from barnabas_quant.trading_commands import run

    return run(options, _settings(options), sys.stdout)


def _users_arguments(command: argparse.ArgumentParser) -> None:
    from barnabas_quant.users_command import add_arguments

    add_arguments(command)


def _users(options: argparse.Namespace) -> int:
    from barnabas_quant.users_command import run

    return run(options, _settings(options), sys.stdout)


def _services(options: argparse.Namespace) -> int:
    from barnabas_quant.runner import find_service, service_files, service_names

    files = map(str, service_files(_data(options) / "services"))
    code = 0
    for name in (*service_names(), *files):
        try:
            service = find_service(name)
        except ServiceError as error:
            print(f"barnabas-quant: {error}", file=sys.stderr)
            code = 1
        else:
            print(f"{service.name:<20} {service.summary}")
    return code


def _schemas(options: argparse.Namespace) -> int:
    from barnabas_quant.model.schema import write_schemas

    try:
        for path in write_schemas(options.folder):
            print(path)
    except OSError as error:
        raise NotWritable.of(options.folder, error) from error
    return 0


def _status(options: argparse.Namespace) -> int:
    import msgspec

    from barnabas_quant.status import read_status

    data = _data(options)
    status = read_status(data)
    if status is None:
        raise QuantError(f"no platform runs in {data}")
    if options.json:
        print(msgspec.json.format(msgspec.json.encode(status)).decode())
    else:
        for process in status.processes:
            print(process.line())
    return 0 if all(process.state in ("running", "ended") for process in status.processes) else 1


def _logs(options: argparse.Namespace) -> int:
    from barnabas_quant.logs import show_logs

    show_logs(_data(options), options.names, options.lines, options.follow, sys.stdout)
    return 0


def _stop(options: argparse.Namespace) -> int:
    from barnabas_quant.endpoints import read_endpoints
    from barnabas_quant.processes import end_leftover

    data = _data(options)
    running = read_endpoints(data)
    if running is None or running.supervisor is None:
        raise QuantError(f"no platform runs in {data}")
    if not end_leftover(running.supervisor.pid, running.supervisor.since, 120):
        raise QuantError(f"the platform of {data} has died; `barnabas-quant up` clears what it left")
    print("stopped")
    return 0


def _play(options: argparse.Namespace) -> int:
    from barnabas_quant.play import GROUP, LISTEN, PlayOptions, play

    play(
        PlayOptions(
            data=_data(options),
            capture=options.capture,
            listen=tuple(options.listen or LISTEN),
            kafka=options.kafka,
            exchange=options.exchange,
            speed=options.speed,
            group=options.group or GROUP,
            seconds=options.seconds,
            until_played=options.until_played,
        ),
        sys.stdout,
    )
    return 0


def _verify(options: argparse.Namespace) -> int:
    from barnabas_quant.endpoints import running_platform
    from barnabas_quant.feeds.capture import Capture
    from barnabas_quant.play import LISTEN, Complaints
    from barnabas_quant.verify import verify

    running = running_platform(_data(options))
    bootstrap = options.kafka or (running.kafka if running else LISTEN[0])
    capture = Capture(options.capture, options.exchange)
    print(f"{options.capture} is {capture.identity}; Kafka at {bootstrap}")
    verdicts = verify(bootstrap, capture, Complaints())
    print(f"{'topic':<24}{'in the file':>12}{'in Kafka':>12}{'misplaced':>11}  {'checksums':<34}verdict")
    for verdict in verdicts:
        sums = f"{verdict.capture.checksum:016x} {verdict.kafka.checksum:016x}"
        print(
            f"{verdict.topic:<24}{verdict.capture.count:>12}{verdict.kafka.count:>12}{verdict.misplaced:>11}  "
            f"{sums:<34}{'same' if verdict.same else 'DIFFERENT'}"
        )
    return 0 if all(verdict.same for verdict in verdicts) else 1


def _replay(options: argparse.Namespace) -> int:
    from barnabas_quant.endpoints import running_platform
    from barnabas_quant.replay import run
    from barnabas_quant.settings import completed

    settings = _settings(options)
    settings = completed(settings, running_platform(settings.data))
    return run(options.services, settings, options.history, options.report)


def _backtest(options: argparse.Namespace) -> int:
    from barnabas_quant.backtest.command import run_command
    from barnabas_quant.endpoints import running_platform
    from barnabas_quant.settings import completed

    settings = _settings(options)
    return run_command(options, completed(settings, running_platform(settings.data)))


def _simulate(options: argparse.Namespace) -> int:
    from barnabas_quant.feeds import Simulator
    from barnabas_quant.feeds.recording import write_capture

    minute = 60_000
    simulator = Simulator(options.seed)
    start = options.start if options.start is not None else time.time_ns() // 10**6 // minute * minute
    frames = chain.from_iterable(simulator.minute(n, start + n * minute) for n in range(options.minutes))
    try:
        count = write_capture(options.file, frames)
    except OSError as error:
        raise NotWritable.of(options.file, error) from error
    print(f"{count} frames in {options.file}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
