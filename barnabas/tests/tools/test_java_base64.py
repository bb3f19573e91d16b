"""Base64 as Java decodes it: the answers are those of java.util.Base64."""

import base64
import os

import pytest

from barnabas.tools.java_base64 import decode


@pytest.mark.parametrize("text, found", [
    ("", b""), ("AA", b"\0"), ("AAA", b"\0\0"), ("AAAA", b"\0\0\0"), ("AA==", b"\0"), ("AAA=", b"\0\0"), ("AB", b"\0"),
    ("AAB=", b"\0\0"),
])
def test_padding_may_be_left_out(text: str, found: bytes) -> None:
    assert decode(text) == found


@pytest.mark.parametrize("size", range(70))
def test_it_decodes_what_python_encodes(size: int) -> None:
    data = os.urandom(size)
    assert decode(base64.b64encode(data).decode()) == data
    assert decode(base64.b64encode(data).decode().rstrip("=")) == data


@pytest.mark.parametrize("text, message", [
    ("A", "Input byte[] should at least have 2 bytes for base64 bytes"),
    ("=", "Input byte[] should at least have 2 bytes for base64 bytes"),
    ("AAAAA", "Last unit does not have enough valid bits"),
    ("A=", "Last unit does not have enough valid bits"),
    ("A===", "Last unit does not have enough valid bits"),
    ("AAAAA===", "Last unit does not have enough valid bits"),
    ("AA=", "Input byte array has wrong 4-byte ending unit"),
    ("AAAA=", "Input byte array has wrong 4-byte ending unit"),
    ("AA=A", "Input byte array has wrong 4-byte ending unit"),
    ("AA=%", "Input byte array has wrong 4-byte ending unit"),
    ("=AAA", "Input byte array has wrong 4-byte ending unit"),
    ("AAA==", "Input byte array has incorrect ending byte at 4"),
    ("AA==A", "Input byte array has incorrect ending byte at 4"),
    ("%%%", "Illegal base64 character 25"),
    ("AA A", "Illegal base64 character 20"),
    ("A-A", "Illegal base64 character 2d"),
    ("AA\u00e9", "Illegal base64 character -17"),
])
def test_the_errors_are_javas(text: str, message: str) -> None:
    with pytest.raises(ValueError) as e:
        decode(text)
    assert str(e.value) == message
