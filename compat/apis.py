"""Ask a broker which APIs it serves, with plain sockets."""

from __future__ import annotations

import socket
import struct


def advertised(host: str, port: int) -> set[int]:
    """Return the keys that a broker names in ApiVersions (version 0); raises OSError or struct.error where it fails."""
    with socket.create_connection((host, port), timeout=5) as link:
        link.sendall(struct.pack(">ihhih", 10, 18, 0, 1, -1))
        with link.makefile("rb") as answer:
            body = answer.read(struct.unpack(">i", answer.read(4))[0])
    _, _, count = struct.unpack_from(">ihi", body)
    return {key for key, _, _ in struct.iter_unpack(">hhh", body[10 : 10 + 6 * count])}
