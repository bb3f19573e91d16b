"""Remember with which static settings a directory was last served, in `barnabas.properties` inside it.

The metadata holds what was changed while running; what a properties file or an option set is nowhere else, and
`barnabas graduate` needs it. Kafka ignores foreign files in a data directory. Settings may hold passwords, so the file
is readable by its owner alone.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from barnabas.config.properties import load
from barnabas.config.server import Listener, ServerConfig

logger = logging.getLogger(__name__)

FILE: Final = "barnabas.properties"

_ESCAPES: Final = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\f": "\\f"}


def property_lines(settings: Mapping[str, str]) -> str:
    """Return settings in the form of Java's properties files, which are Latin-1: other characters are escaped."""
    return "".join(f"{_escape(key, '=: #!')}={_escape(value, ' ')}\n" for key, value in settings.items())


def _escape(text: str, leading: str) -> str:
    out = "".join(_ESCAPES.get(c) or (c if " " <= c <= "~" else _unicode(c)) for c in text)
    if leading == " ":
        return "\\" + out if out.startswith(" ") else out
    return "".join("\\" + c if c in leading else c for c in out)


def _unicode(c: str) -> str:
    units = c.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


def listener_settings(listeners: tuple[Listener, ...]) -> dict[str, str]:
    """Return the settings that describe listeners, with the ports that they really have."""

    def address(name: str, host: str, port: int) -> str:
        return f"{name}://[{host}]:{port}" if ":" in host else f"{name}://{host}:{port}"

    found = {
        "listeners": ",".join(address(x.name, x.host, x.port) for x in listeners),
        "advertised.listeners": ",".join(
            address(x.name, x.advertised_host or "localhost", x.advertised_port or x.port)
            for x in listeners if not x.is_controller
        ),
        "listener.security.protocol.map": ",".join(f"{x.name}:{x.protocol}" for x in listeners),
    }
    controllers = [x.name for x in listeners if x.is_controller]
    if controllers:
        found["controller.listener.names"] = ",".join(controllers)
    return found


def remember(path: Path, config: ServerConfig) -> None:
    """Write the settings that a directory is served with; a disk that refuses them is logged."""
    settings = {**config.static, **listener_settings(config.listeners), "node.id": str(config.node_id)}
    text = "# The settings with which this directory was last served\n" + property_lines(settings)
    file = path / FILE
    temporary = file.with_name(FILE + ".tmp")
    try:
        if file.exists() and file.read_text(encoding="utf-8") == text:
            return
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(fd, "w", encoding="utf-8") as out:
            out.write(text)
        temporary.replace(file)
    except OSError as e:
        logger.warning("%s was not written: %s", file, e)


def recall(path: Path) -> dict[str, str]:
    """Return the settings that `remember` wrote, none where a directory was never served by Barnabas."""
    file = path / FILE
    return load(file) if file.exists() else {}
