"""Java properties files, and the environment variables of Kafka's container images.

The format is that of `java.util.Properties`: a logical line is a key, then `=`, `:` or space, then a value; a line
that ends in an odd number of backslashes goes on in the next; `#` and `!` begin comments. The bytes are read as
UTF-8, which plain files and files written by Java (ASCII with \\uXXXX) both are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from barnabas.config.definitions import ConfigException

_BLANK = " \t\f"
_LINE_END = re.compile(r"\r\n|\r|\n")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_CONTROL = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
_SURROGATES = re.compile("[\ud800-\udbff][\udc00-\udfff]")


def load(path: Path) -> dict[str, str]:
    """Read a properties file; OSError where it cannot be read, ConfigException where it is not UTF-8."""
    try:
        return parse_properties(path.read_text("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ConfigException(str(path), "", sentence=f"{path} is not a UTF-8 text: {error}") from error


def parse_properties(text: str) -> dict[str, str]:
    """Parse the text of a properties file; the last of several values for a key counts.

    Raise ConfigException for a \\u that four hexadecimal digits do not follow.
    """
    found: dict[str, str] = {}
    for line in _logical_lines(text):
        end = 0
        while end < len(line) and line[end] not in "=:" + _BLANK:
            end += 2 if line[end] == "\\" else 1
        rest = line[end:].lstrip(_BLANK)
        if rest[:1] in ("=", ":"):
            rest = rest[1:].lstrip(_BLANK)
        found[_unescape(line[:end])] = _unescape(rest)
    return found


def _logical_lines(text: str) -> Iterator[str]:
    pending: str | None = None
    for natural in _LINE_END.split(text):
        line = natural.lstrip(_BLANK)
        # A comment is one only where a logical line begins; so is an empty line.
        if pending is None and (not line or line[0] in "#!"):
            continue
        line = (pending or "") + line
        backslashes = len(line) - len(line.rstrip("\\"))
        if backslashes % 2:
            pending = line[:-1]
        else:
            pending = None
            if line:
                yield line
    if pending:
        yield pending


def _unescape(text: str) -> str:
    def plain(match: re.Match[str]) -> str:
        escaped = match[1]
        if escaped[0] == "u":
            if len(escaped) == 1:
                raise ConfigException(text, text, sentence=f"Malformed \\uxxxx encoding in {text}")
            return chr(int(escaped[1:], 16))
        return _CONTROL.get(escaped, escaped)

    if "\\" not in text:
        return text
    # Java writes characters beyond 16 bits as two escapes.
    return _SURROGATES.sub(
        lambda pair: pair[0].encode("utf-16", "surrogatepass").decode("utf-16"), _ESCAPE.sub(plain, text)
    )


# Variables that steer the images' start scripts or the Java machine.
_FOREIGN = re.compile(r"KAFKA_(HEAP_OPTS|OPTS|HOME|VERSION|DEBUG|(JVM|LOG4J|GC|JMX|CLUSTERS|TOOLS)_.*|.*_OPTS)")
_UNDERSCORES = re.compile("_{1,3}")


def from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Read keys from variables as Kafka's images do: KAFKA_LOG_DIRS is log.dirs.

    After KAFKA_, one underscore stands for a dot, two for an underscore, three for a dash. Settings of the start
    scripts and of the Java machine (KAFKA_HEAP_OPTS, KAFKA_JMX_PORT, ...) are left out. Whoever merges: what this
    returns wins over the file.
    """
    marks = {1: ".", 2: "_", 3: "-"}
    return {
        _UNDERSCORES.sub(lambda run: marks[len(run[0])], name[len("KAFKA_") :].lower()): value
        for name, value in environ.items()
        if name.startswith("KAFKA_") and len(name) > len("KAFKA_") and not _FOREIGN.fullmatch(name)
    }
