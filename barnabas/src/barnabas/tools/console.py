"""Share what the console tools do alike: old and new names of options, properties, log lines as Java writes them."""

from __future__ import annotations

import re
import signal
import sys
import time
from collections.abc import Iterable
from typing import Final

from barnabas.config.definitions import ConfigException
from barnabas.tools.errors import ConfigError, ToolError, UsageError
from barnabas.tools.options import Parsed

CONFIG_EXCEPTION: Final = "org.apache.kafka.common.config.ConfigException"
KAFKA_EXCEPTION: Final = "org.apache.kafka.common.KafkaException"
TIMEOUT_EXCEPTION: Final = "org.apache.kafka.common.errors.TimeoutException"

_ADDRESS: Final = re.compile(r"(?:[0-9a-zA-Z\-%._]*://)?\[?[0-9a-zA-Z\-%._:]+\]?:[0-9]+")


def log_error(text: str, logger: str, exception: str = "", *, level: str = "ERROR") -> None:
    """Write an entry as Kafka's scripts log it: to standard error, an exception without its trace."""
    now = time.time()
    stamp = f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(now))},{int(now * 1000) % 1000:03}"
    print(f"[{stamp}] {level} {text} ({logger})" + (f"\n{exception}" if exception else ""), file=sys.stderr)


def check_address(text: str | None) -> None:
    """Check addresses as Java's ToolsUtils.validateBootstrapServer does. Raises `UsageError`."""
    if not text:
        raise UsageError("Error while validating the bootstrap address\n")
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or not all(_ADDRESS.fullmatch(part) for part in parts):
        raise UsageError("Please provide valid host:port like host1:9091,host2:9092\n ")


def pairs(words: Iterable[str]) -> dict[str, str]:
    """Read `key=value` options; a value may be missing."""
    found = {}
    for word in words:
        key, _, value = word.partition("=")
        found[key] = value
    return found


def properties_file(path: str) -> dict[str, str]:
    """Read a property file. Raises `OSError`, and `ToolError` where it is none."""
    from pathlib import Path

    from barnabas.config.properties import load

    try:
        return load(Path(path))
    except ConfigException as e:
        raise ToolError(str(e)) from None


def renamed(options: Parsed, old: str, new: str, *, old_first: bool, warning: str) -> str:
    """Return which of two names of an option was used, the new one if none was.

    Raises `UsageError` if both were. `warning` is printed for the old one ({} is its name, then the new one).
    """
    if not options.has(old):
        return new
    if options.has(new):
        first, second = (old, new) if old_first else (new, old)
        raise UsageError(f"Options --{first} and --{second} cannot be specified together.")
    print(warning.format(old, new))
    return old


def is_true(text: str | None) -> bool:
    """Read a flag as Java's Boolean.parseBoolean does: what is not "true" is false."""
    return text is not None and text.strip().lower() == "true"


def java_error(error: Exception) -> ToolError:
    """Name the exception that Java shows for what is wrong with a client's configuration."""
    text = str(error)
    if isinstance(error, ConfigError):
        return ToolError(f"{error.exception}: {text}")
    failed = text.startswith("Failed to construct")
    timeout = "not present in metadata" in text
    name = KAFKA_EXCEPTION if failed else TIMEOUT_EXCEPTION if timeout else CONFIG_EXCEPTION
    if text.startswith("Group instance id is invalid"):
        name = "org.apache.kafka.common.errors.InvalidConfigurationException"
    return ToolError(f"{name}: {text}")


class Terminated(SystemExit):
    """SIGTERM came: whoever holds something gives it back, then the tool ends with Java's status."""


def end_on_sigterm() -> None:
    """Let SIGTERM raise `Terminated`, as Ctrl-C raises KeyboardInterrupt."""

    def end(number: int, frame: object) -> None:
        raise Terminated(128 + number)

    signal.signal(signal.SIGTERM, end)
