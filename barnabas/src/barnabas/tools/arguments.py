"""Declare the options that many tools share, and make a client's settings of them."""

from __future__ import annotations

from barnabas.tools.options import Option, Parsed
from barnabas.tools.settings import Settings, load_properties

BOOTSTRAP = Option("bootstrap-server", "REQUIRED: the Kafka broker to connect to.", "host:port", completes="server")
COMMAND_CONFIG = Option(
    "command-config", "A property file with the client's configuration.", "file", completes="file"
)


def settings_of(options: Parsed, *, config: str = "command-config", bootstrap: str = "bootstrap-server") -> Settings:
    """Make a client's settings: a property file's, and the address. Raises `ToolError`, `ConfigError`."""
    path = options.value(config)
    return Settings(load_properties(path) if path else {}, options.value(bootstrap))
