"""Start a broker from a server.properties of Apache Kafka: `kafka-server-start`.

It is `barnabas serve` under Kafka's name. With -daemon it goes on in the background, in a session of its own, and
writes to `kafkaServer.out` in LOG_DIR (./logs without it), as Kafka's script does; a configuration that is refused is
refused before that. Differences: a data directory that is not formatted is formatted, the options for Java's virtual
machine (-name, -loggc) say nothing here, and where no file sets `log.dirs` the data lies in ./data.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from barnabas.protocol.errors import BarnabasError
from barnabas.server.arguments import add_arguments
from barnabas.tools.errors import ToolError
from barnabas.tools.options import Option, Parsed

SUMMARY = "Start a broker."
WORKS_WITHOUT_ARGUMENTS = True
OPTIONS = (
    Option("daemon", "Go on in the background; what it says goes to kafkaServer.out in LOG_DIR, or in ./logs."),
    Option("name", "Taken and ignored: a name for the background process.", "name"),
    Option("loggc", "Taken and ignored: it is for Java's virtual machine."),
    Option("override", "A setting that wins over the file; may be given several times.", "property=value"),
)
EXAMPLE = """
kafka-server-start config/server.properties
kafka-server-start -daemon config/server.properties --override listeners=PLAINTEXT://localhost:9092
"""
_USAGE = "USAGE: kafka-server-start [-daemon] server.properties [--override property=value]*"


def run(options: Parsed) -> int:
    """Run the broker until it is told to stop; with -daemon, return at once."""
    if len(options.words) != 1:
        if options.words:
            raise ToolError(f"Found non argument parameters: {','.join(options.words[1:])}")
        print(_USAGE)
        return 1
    file = options.words[0]
    overrides: list[str] = options.values("override")
    if not Path(file).is_file():
        raise ToolError(f"{file} (No such file or directory)")
    words = [file, *(word for override in overrides for word in ("--override", override))]
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    parsed = parser.parse_args(words)
    if not options.has("daemon"):
        from barnabas.server.command import serve

        return serve(parsed)
    _check(parsed)
    folder = Path(os.environ.get("LOG_DIR") or "logs")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "kafkaServer.out").open("ab") as log:
            subprocess.Popen(
                [sys.executable, "-m", "barnabas", "serve", *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )
    except OSError as e:
        raise ToolError(f"{folder}: {e.strerror}") from e
    return 0


def _check(parsed: argparse.Namespace) -> None:
    """Refuse now what the broker would refuse where nobody sees it. Raises `ToolError`."""
    from barnabas.config.definitions import ConfigException
    from barnabas.server.command import configuration

    try:
        configuration(parsed)
    except (ConfigException, BarnabasError, OSError) as e:
        raise ToolError(str(e)) from e
