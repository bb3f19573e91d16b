"""Hold a client's configuration, under the keys of Kafka's Java clients.

Every tool reads the same property files as its Java twin (`--command-config` and its relatives). This module gives the
values types; `security.py` makes TLS and SASL of them, `librdkafka.py` translates them for confluent-kafka.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from barnabas.tools.errors import ConfigError, ToolError

ADDRESS: Final = re.compile(r"^(?:[0-9a-zA-Z\-%._]*://)?\[?([0-9a-zA-Z\-%._:]*)\]?:([0-9]+)$")
_SECURITY_PROTOCOLS: Final = ("PLAINTEXT", "SASL_PLAINTEXT", "SASL_SSL", "SSL")


class Settings:
    """Hold properties of a client. Raises `ConfigError`, in Java's words, for a value that is wrong."""

    def __init__(
        self, properties: dict[str, str], bootstrap: str | None = None, *, controllers: str | None = None
    ) -> None:
        self.properties = dict(properties)
        if bootstrap is not None:
            self.properties["bootstrap.servers"] = bootstrap
        elif controllers is not None:
            self.properties["bootstrap.servers"] = controllers
        self.to_controllers = controllers is not None
        """Whether the addresses are those of controllers: everything is then asked of the active one."""
        self.bootstrap = self._bootstrap()
        """The addresses to begin with: host and port."""
        self.security_protocol = self._choice("security.protocol", "PLAINTEXT", _SECURITY_PROTOCOLS)
        self.secured: Any = None
        """What `security.prepare` made of the settings, once it was asked."""

    def _bootstrap(self) -> list[tuple[str, int]]:
        found = []
        for text in self.text("bootstrap.servers").split(","):
            text = text.strip()
            if not text:
                continue
            match = ADDRESS.match(text)
            if match is None or not match[1] or not 0 <= int(match[2]) < 65536:
                raise ConfigError(f"Invalid url in bootstrap.servers: {text}")
            found.append((match[1], int(match[2])))
        if not found:
            raise ConfigError("No bootstrap urls given in bootstrap.servers")
        return found

    @property
    def client_id(self) -> str:
        """Return the name under which the client speaks."""
        return self.text("client.id", "adminclient-1")

    @property
    def request_timeout(self) -> float:
        """Return after how many seconds an unanswered request has failed."""
        return self.integer("request.timeout.ms", 30_000) / 1000

    @property
    def api_timeout(self) -> float:
        """Return after how many seconds a call has failed, with all its retries."""
        return self.integer("default.api.timeout.ms", 60_000) / 1000

    def text(self, key: str, default: str = "") -> str:
        """Return a value as it is."""
        return self.properties.get(key, default)

    def integer(self, key: str, default: int, least: int = 0) -> int:
        """Return a value as a number."""
        text = self.properties.get(key)
        if text is None:
            return default
        try:
            number = int(text.strip())
        except ValueError:
            raise ConfigError(f"Invalid value {text} for configuration {key}: Not a number of type INT") from None
        if number < least:
            raise ConfigError(f"Invalid value {number} for configuration {key}: Value must be at least {least}")
        return number

    def _choice(self, key: str, default: str, allowed: Iterable[str]) -> str:
        text = self.properties.get(key, default)
        if text.upper() not in allowed:
            raise ConfigError(
                f"Invalid value {text} for configuration {key}: String must be one of (case insensitive): "
                f"{', '.join(sorted(allowed))}"
            )
        return text.upper()


def load_properties(path: str) -> dict[str, str]:
    """Read a property file. Raises `ToolError` where there is none, or it is none."""
    from barnabas.config.definitions import ConfigException
    from barnabas.config.properties import load

    try:
        return load(Path(path))
    except OSError:
        raise ToolError(f"{path} (No such file or directory)") from None
    except ConfigException as e:
        raise ToolError(str(e)) from None


def parse_pairs(pairs: Iterable[str]) -> dict[str, str]:
    """Read `key=value` options, as CommandLineUtils.parseKeyValueArgs does. Raises `ToolError`."""
    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key or not value:
            raise ToolError(f"Invalid command line properties: {' '.join(pairs)}")
        found[key] = value
    return found
