"""Offer the command `barnabas`: the broker, what goes with it, and each of Kafka's scripts as a subcommand."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from barnabas import __version__
from barnabas.server.arguments import add_arguments
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
    add_arguments(serve)

    graduate = commands.add_parser(
        "graduate", help="check a data directory and write the server.properties with which Apache Kafka takes it over"
    )
    graduate.add_argument("data", nargs="?", default="./data", metavar="DIR", help="the data directory (./data)")
    graduate.add_argument("--output", metavar="FILE", help="where to write server.properties (default: DIR)")
    graduate.add_argument("--deep", action="store_true", help="read every record, not only each newest segment")

    doctor = commands.add_parser("doctor", help="say what is right or wrong with a connection, and what helps")
    doctor.add_argument("address", metavar="HOST:PORT", help="a broker's address; several with commas")
    doctor.add_argument("--command-config", metavar="FILE", help="a property file with the client's configuration")
    doctor.add_argument("--json", action="store_true", help="print what was found as JSON")

    console = commands.add_parser("console", help="serve a web page that shows and changes clusters of Kafka")
    if words[:1] == ["console"]:  # nothing of it is imported for the other commands
        from barnabas.console.command import add_arguments as add_console_arguments

        add_console_arguments(console)

    home = commands.add_parser("home", help="write a folder shaped like Kafka's: bin, config, docker")
    home.add_argument("folder", metavar="DIR", help="the folder; it is made where there is none")
    home.add_argument("--force", action="store_true", help="replace the files that are there already")

    completion = commands.add_parser("completion", help="print a script that completes Kafka's commands in a shell")
    completion.add_argument("shell", choices=("bash", "zsh", "fish"))
    complete = commands.add_parser("complete")  # what that script calls
    complete.add_argument("line")

    parsed = parser.parse_args(words)
    if parsed.command == "serve":
        from barnabas.server.command import serve as run

        return run(parsed)
    if parsed.command == "doctor":
        from barnabas.tools.doctor import command as examine

        return examine(parsed)
    if parsed.command == "console":
        from barnabas.console.command import run as serve_console

        return serve_console(parsed)
    if parsed.command == "home":
        from barnabas.tools.home import command as write_home

        return write_home(parsed)
    if parsed.command == "completion":
        from barnabas.tools.completion import script as completing

        print(completing(parsed.shell), end="")
        return 0
    if parsed.command == "complete":
        from barnabas.tools.completion import complete as candidates

        print("\n".join(candidates(parsed.line)))
        return 0
    from barnabas.node.graduate import command

    return command(parsed)


if __name__ == "__main__":
    sys.exit(main())
