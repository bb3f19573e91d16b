"""Read the object names of MBeans, `domain:key=value,...`, as Java does, and tell which MBeans a name stands for.

A name may have `*` and `?` in its domain and values, and `*` for further keys. The errors are Java's. Quoted values are
taken as they are.
"""

from __future__ import annotations

import fnmatch

from barnabas.tools.errors import ToolError


class ObjectName:
    """Hold a name or a pattern. Raises `ToolError` in Java's words where it is neither."""

    def __init__(self, text: str) -> None:
        self.text = text or "*:*"
        self.domain, colon, rest = self.text.partition(":")
        if "=" in self.domain and not colon:
            raise _malformed("Domain part must be specified")
        if not rest:
            raise _malformed("Key properties cannot be empty")
        self.properties: dict[str, str] = {}
        self.more = False
        parts = rest.split(",")
        for at, part in enumerate(parts):
            self._take(part, last=at == len(parts) - 1)
        patterns = (self.domain, *self.properties.values())
        self.is_pattern = self.more or any(letter in text for text in patterns for letter in "*?")

    def _take(self, part: str, *, last: bool) -> None:
        if part.startswith("*"):
            if self.more:
                raise _malformed("Cannot have several '*' characters in pattern property list")
            if part != "*":
                raise _malformed("Invalid character found after '*': end of name or ',' expected")
            self.more = True
            return
        key, equals, value = part.partition("=")
        if equals and not key:
            raise _malformed("Invalid key (empty)")
        for letter in key:
            if letter in "*?:":
                raise _malformed(f"Invalid character '{letter}' in key part of property")
        if not equals:
            if not part and last:
                raise _malformed("Invalid ending comma")
            raise _malformed("Unterminated key property part" if last else
                             "Invalid character ',' in key part of property")
        for letter in value if not value.startswith('"') else "":
            if letter in '=:"':
                raise _malformed(f"Invalid character '{letter}' in value part of property")
        if key in self.properties:
            raise _malformed(f"key `{key}' already defined")
        self.properties[key] = value

    def fits(self, bean: str) -> bool:
        """Tell whether the name of an MBean is meant."""
        domain, _, rest = bean.partition(":")
        if not fnmatch.fnmatchcase(domain, self.domain):
            return False
        found = dict(part.split("=", 1) for part in rest.split(","))
        if not self.more and set(self.properties) != set(found):
            return False
        return all(key in found and fnmatch.fnmatchcase(found[key], value) for key, value in self.properties.items())


def _malformed(message: str) -> ToolError:
    return ToolError(f"javax.management.MalformedObjectNameException: {message}")
