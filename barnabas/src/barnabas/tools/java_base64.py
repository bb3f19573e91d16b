"""Decode base64 as Java's basic decoder does: padding may be left out, and what is wrong is said in its words.

Bits that are left over in the last unit do not count. Source: the documentation of `java.util.Base64.Decoder`, and what
it answered to some thirty texts.
"""

from __future__ import annotations

from typing import Final

_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_VALUES: Final = {letter: value for value, letter in enumerate(_ALPHABET)}
_PADDING: Final = ord("=")


def decode(text: str) -> bytes:
    """Return the bytes that a text stands for. Raises `ValueError` with Java's message."""
    source = text.encode("latin-1", "replace")
    if len(source) == 1:
        raise ValueError("Input byte[] should at least have 2 bytes for base64 bytes")
    bits = count = at = 0
    while at < len(source):
        letter = source[at]
        at += 1
        if letter == _PADDING:
            left = count % 4
            if left == 2:
                second = source[at:at + 1] == b"="
                at += 1
            if left == 0 or (left == 2 and not second):
                raise ValueError("Input byte array has wrong 4-byte ending unit")
            break
        if letter not in _VALUES:
            raise ValueError(f"Illegal base64 character {letter - 256 if letter > 127 else letter:x}")
        bits = bits << 6 | _VALUES[letter]
        count += 1
    if count % 4 == 1:
        raise ValueError("Last unit does not have enough valid bits")
    if at < len(source):
        raise ValueError(f"Input byte array has incorrect ending byte at {at}")
    size = count * 6 // 8
    return (bits >> count * 6 % 8).to_bytes(size, "big")
