"""Declare the options that many tools share, and make a client's settings of them."""

from __future__ import annotations

from barnabas.tools.errors import UsageError
from barnabas.tools.options import Option, Parsed
from barnabas.tools.settings import ADDRESS, Settings, load_properties

BOOTSTRAP = Option("bootstrap-server", "REQUIRED: the Kafka broker to connect to.", "host:port", completes="server")
COMMAND_CONFIG = Option(
    "command-config", "A property file with the client's configuration.", "file", completes="file"
)
CONTROLLER = Option(
    "bootstrap-controller", "A controller to connect to, in the place of a broker.", "host:port", completes="server"
)


def settings_of(
    options: Parsed, *, config: str = "command-config", bootstrap: str = "bootstrap-server",
    controller: str | None = None,
) -> Settings:
    """Make a client's settings: a property file's, and the address. Raises `ToolError`, `ConfigError`.

    `controller` names the option for controllers, for tools that have it.
    """
    path = options.value(config)
    controllers = options.value(controller) if controller else None
    properties = load_properties(path) if path else {}
    if properties:
        from barnabas.tools.client_keys import warn_unknown

        warn_unknown(properties)
    return Settings(properties, options.value(bootstrap), controllers=controllers)


def check_servers(text: str) -> None:
    """Raise `UsageError` where a list of addresses has one without a port, as some of Kafka's tools do at once."""
    if not text:
        raise UsageError("Error while validating the bootstrap address\n")
    if not all(ADDRESS.match(part.strip()) for part in text.split(",")):
        raise UsageError("Please provide valid host:port like host1:9091,host2:9092\n")
