"""Run a script of Kafka's bin folder, under any of its names.

A tool's module has a SUMMARY, its OPTIONS, an EXAMPLE and `run`, which gets the parsed options and returns the exit
status; or, where Java's tool uses argparse4j, a function `parser` in the place of OPTIONS, which adds arguments and
subcommands to a parser of `commands.py`, and `run` gets its namespace. What goes wrong ends as in Java's tools: the
message, on the stream that Kafka uses, and status 1 (a module's ERROR, "Error: {}", says how it is dressed). There are
no tracebacks: what a user can mend is said in a line, if need be with a module's `hint`.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

from barnabas.tools.catalog import SCRIPTS, script_of
from barnabas.tools.errors import ClientError, ConfigError, OptionError, ToolError, UsageError

#: the version of Apache Kafka whose tools these are
KAFKA_VERSION = "4.3.0"


def main() -> int:
    """Be the console script: the name under which it was started says which tool it is."""
    return run_as(os.path.basename(sys.argv[0]), sys.argv[1:])


def run_as(name: str, arguments: Sequence[str]) -> int:
    """Run the script that a command names, in any spelling; return its exit status, 2 where there is none."""
    script = script_of(name)
    if script is None:
        print(f"{name} is no script of Kafka's bin folder", file=sys.stderr)
        return 2
    return run(script, arguments)


def run(script: str, arguments: Sequence[str]) -> int:
    """Run a script with arguments; return its exit status."""
    entry = SCRIPTS[script]
    if entry.module is None:
        print(f"{script} is not there yet: it will {entry.summary}.", file=sys.stderr)
        return 2
    try:
        module: Any = importlib.import_module(f"barnabas.tools.scripts.{entry.module}")
        status = _run(script, module, list(arguments))
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130


def _run(script: str, module: Any, arguments: list[str]) -> int:
    begin = _with_commands if hasattr(module, "parser") else _with_options
    try:
        try:
            return begin(script, module, arguments)
        finally:
            if "barnabas.tools.terminal" in sys.modules:  # else nothing was waited for
                sys.modules["barnabas.tools.terminal"].clear()
    except ToolError as e:
        print(e, file=sys.stdout if e.on_stdout else sys.stderr)
        return e.status
    except ConfigError as e:
        # Java's tools show a stack trace here, which says what is wrong in its last lines
        print(f"Failed to create new KafkaAdminClient\nCaused by: {e.exception}: {e}", file=sys.stderr)
        return 1
    except (OptionError, ClientError) as e:
        print(getattr(module, "ERROR", "{}").format(e), file=sys.stderr)
        _hint(module, arguments)
        return 1


def _with_options(script: str, module: Any, arguments: list[str]) -> int:
    from barnabas.tools.options import HELP, VERSION, parse, usage

    options = (*module.OPTIONS, HELP, VERSION)
    try:
        if hasattr(module, "prepare") and arguments != ["--help"]:
            arguments = module.prepare(arguments)
        parsed = _parsed(module, parse, options, arguments)
        if parsed.has("help"):
            print(usage(script, module.SUMMARY, options, module.EXAMPLE))
            return 0
        if parsed.has("version"):
            print(KAFKA_VERSION)
            return 0
        if not arguments and not getattr(module, "WORKS_WITHOUT_ARGUMENTS", False):
            raise UsageError(module.SUMMARY)
        status: int = module.run(parsed)
        return status
    except UsageError as e:
        print(e, file=sys.stderr)
        _hint(module, arguments)
        print(usage(script, module.SUMMARY, options, module.EXAMPLE), file=sys.stderr)
        return 1


def _parsed(module: Any, parse: Any, options: Any, arguments: list[str]) -> Any:
    """Parse the options; some of Java's tools (USAGE_AFTER_ERRORS) show the usage for what is wrong there."""
    try:
        return parse(options, arguments)
    except OptionError as e:
        if getattr(module, "USAGE_AFTER_ERRORS", False):
            raise UsageError(str(e)) from None
        raise


def _hint(module: Any, arguments: list[str]) -> None:
    """Say what helps with options that people are known to try, where a module's `hint` knows it."""
    text = module.hint(arguments) if hasattr(module, "hint") else ""
    if text:
        print(f"Hint: {text}", file=sys.stderr)


def _with_commands(script: str, module: Any, arguments: list[str]) -> int:
    from barnabas.tools.commands import Commands

    parser = Commands(prog=script, description=module.SUMMARY, epilog=f"Example:\n{module.EXAMPLE.rstrip()}")
    module.parser(parser)
    if arguments == ["--help"] or (not arguments and getattr(module, "HELP_WITHOUT_ARGUMENTS", False)):
        parser.print_help()
        return 0
    status: int = module.run(parser.parse_args(arguments))
    return status
