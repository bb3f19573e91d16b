"""Offer the command `barnabas`: the broker, what goes with it, and each of Kafka's scripts as a subcommand."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from barnabas import __version__
from barnabas.tools.catalog import script_of
from barnabas.tools.main import run as run_script


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand; return its exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    script = script_of(words[0]) if words else None
    if script is not None:  # `barnabas topics` is `kafka-topics`
        return run_script(script, words[1:])
    parser = argparse.ArgumentParser(
        prog="barnabas", description="Apache Kafka's single-node half, in Python.",
        epilog="Each of Kafka's scripts is a command, too: `barnabas topics --list ...` is `kafka-topics --list ...`.",
    )
    parser.add_argument("--version", action="version", version=f"barnabas {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    serve = commands.add_parser("serve", help="run a broker")
    serve.add_argument("properties", nargs="?", metavar="server.properties", help="a properties file of Apache Kafka")
    serve.add_argument("--data", metavar="DIR", help="the data directory (default: log.dirs, or ./data)")
    serve.add_argument(
        "--listen", metavar="HOST:PORT", action="append", default=[],
        help="an address to listen on; may be given several times (default: listeners, or localhost:9092)",
    )
    serve.add_argument(
        "--override", metavar="KEY=VALUE", action="append", default=[], help="a configuration key; wins over the file"
    )
    serve.add_argument("--metrics", metavar="PORT", type=int, help="serve metrics for Prometheus (usually 9404)")
    serve.add_argument("--log-format", choices=("text", "json"), default="text", help="the form of log lines")
    serve.add_argument("--log-level", default="INFO", choices=("ERROR", "WARNING", "INFO", "DEBUG"))
    serve.add_argument("--metadata-version", metavar="LEVEL", help="the oldest Kafka that may take over: 4.0 to 4.3")
    serve.add_argument("--control", action="store_true", help=argparse.SUPPRESS)

    graduate = commands.add_parser(
        "graduate", help="check a data directory and write the server.properties with which Apache Kafka takes it over"
    )
    graduate.add_argument("data", nargs="?", default="./data", metavar="DIR", help="the data directory (./data)")
    graduate.add_argument("--output", metavar="FILE", help="where to write server.properties (default: DIR)")
    graduate.add_argument("--deep", action="store_true", help="read every record, not only each newest segment")

    completion = commands.add_parser("completion", help="print a script that completes Kafka's commands in a shell")
    completion.add_argument("shell", choices=("bash", "zsh", "fish"))
    complete = commands.add_parser("complete")  # what that script calls
    complete.add_argument("line")

    parsed = parser.parse_args(words)
    if parsed.command == "serve":
        from barnabas.server.command import serve as run

        return run(parsed)
    if parsed.command == "completion":
        from barnabas.tools.completion import script

        print(script(parsed.shell), end="")
        return 0
    if parsed.command == "complete":
        from barnabas.tools.completion import complete as candidates

        print("\n".join(candidates(parsed.line)))
        return 0
    from barnabas.node.graduate import command

    return command(parsed)


if __name__ == "__main__":
    sys.exit(main())
