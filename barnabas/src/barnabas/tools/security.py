"""Secure a tool's connection: TLS, and SASL on top of it or alone."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from barnabas.tools.errors import ConfigError
from barnabas.tools.settings import Settings

if TYPE_CHECKING:
    from barnabas.tools.connection import Connection


def wrap(sock: socket.socket, host: str, settings: Settings) -> socket.socket:
    """Speak TLS on a socket, as the `ssl.*` settings say."""
    raise ConfigError("TLS is not there yet")


def authenticate(connection: Connection, settings: Settings) -> None:
    """Log in, as the `sasl.*` settings say."""
    raise ConfigError("SASL is not there yet")
