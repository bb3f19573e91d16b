"""Properties files: each case was read by Java's own `Properties.load` as well."""

from __future__ import annotations

from pathlib import Path

import pytest

from barnabas.config.definitions import ConfigException
from barnabas.config.properties import from_environment, load, parse_properties


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("# c\n! d\n  # e\n\n", {}),
        ("a=1\nb : 2\nc 3\nd\n", {"a": "1", "b": "2", "c": "3", "d": ""}),
        ("  e\t=\t5 ", {"e": "5 "}),
        ("f=x\\\n   y\\\n# not comment", {"f": "xy# not comment"}),
        ("g\\ h=1\ni\\=j\\:k=v=w:z", {"g h": "1", "i=j:k": "v=w:z"}),
        ("l=\\u0041\\t\\n\\q\\\\", {"l": "A\t\nq\\"}),
        ("m==x\nn: =x\no =  = x", {"m": "=x", "n": "=x", "o": "= x"}),
        ("q=trail\\\\\nr=odd\\\\\\\ncont", {"q": "trail\\", "r": "odd\\cont"}),
        ("=novalue", {"": "novalue"}),
        ("s=a\\\n\nt=end\\\n# x", {"s": "a", "t": "end# x"}),
        ("u\\\n v=1\n\\#w=1", {"uv": "1", "#w": "1"}),
        ("x=1\r\ny=2\rz=3", {"x": "1", "y": "2", "z": "3"}),
        ("aa=1\fbb", {"aa": "1\fbb"}),
        ("\\\ncc=1", {"cc": "1"}),
        ("dup=1\ndup=2", {"dup": "2"}),
        ("last=\\", {"last": ""}),
        ("e=\\ud83d\\ude00", {"e": "\N{GRINNING FACE}"}),
    ],
)
def test_what_java_reads(text: str, found: dict[str, str]) -> None:
    assert parse_properties(text) == found


def test_files_are_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "server.properties"
    path.write_bytes("\ufeffa=名\nb=\\u540d\n".encode())
    assert load(path) == {"a": "名", "b": "名"}
    path.write_bytes(b"a=\xff\n")
    with pytest.raises(ConfigException, match="is not a UTF-8 text"):
        load(path)


@pytest.mark.parametrize("text", ["a=\\u12", "a=\\uzzzz", "a=\\u"])
def test_a_broken_escape(text: str) -> None:
    with pytest.raises(ConfigException, match="Malformed"):
        parse_properties(text)


def test_environment_variables_of_the_images() -> None:
    environ = {
        "KAFKA_LOG_RETENTION_MS": "5",
        "KAFKA_ADVERTISED_LISTENERS": "PLAINTEXT://kafka:9092",
        "KAFKA_A__B": "1",
        "KAFKA_A___B": "2",
        "KAFKA_HEAP_OPTS": "-Xmx1g",
        "KAFKA_OPTS": "-D",
        "KAFKA_JVM_PERFORMANCE_OPTS": "",
        "KAFKA_LOG4J_LOGGERS": "",
        "KAFKA_GC_LOG_OPTS": "",
        "KAFKA_JMX_PORT": "9",
        "KAFKA_CLUSTERS_0_NAME": "x",
        "KAFKA_": "x",
        "PATH": "/bin",
    }
    assert from_environment(environ) == {
        "log.retention.ms": "5",
        "advertised.listeners": "PLAINTEXT://kafka:9092",
        "a_b": "1",
        "a-b": "2",
    }
