"""Declare the options of `barnabas serve`, for the commands that run a broker; nothing else is imported with them."""

from __future__ import annotations

import argparse


def add_arguments(serve: argparse.ArgumentParser) -> None:
    """Add the options to a parser, whose namespace `server.command.serve` takes."""
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
    serve.add_argument(
        "--console", metavar="HOST:PORT", nargs="?", const="localhost:8080",
        help="serve the web console, too, as a process of its own (default address: localhost:8080)",
    )
    serve.add_argument("--log-format", choices=("text", "json"), default="text", help="the form of log lines")
    serve.add_argument("--log-level", default="INFO", choices=("ERROR", "WARNING", "INFO", "DEBUG"))
    serve.add_argument("--metadata-version", metavar="LEVEL", help="the oldest Kafka that may take over: 4.0 to 4.3")
    serve.add_argument("--control", action="store_true", help=argparse.SUPPRESS)
