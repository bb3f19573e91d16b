"""Read the key stores and trust stores of Java's clients: JKS, PKCS12 and PEM become PEM, for ssl and librdkafka.

PKCS12 is read through the library `cryptography`, which is imported only for it; keytool has written it since Java 9,
also into files that are called JKS. The old JKS format is read here: magic number, version, entries, and a SHA-1 digest
of the password, a constant and all that stands before. Certificates are plain; a private key is XORed with a chain of
SHA-1 digests that begins with a salt (Sun's key protector). Bytes come from outside: every length is checked.
Errors are Java's, as `ConfigError`. JCEKS and BCFKS stores are refused.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import struct
from pathlib import Path
from typing import Final, NamedTuple

from barnabas.tools.errors import ConfigError

_JKS_MAGIC: Final = b"\xfe\xed\xfe\xed"
_KEY_PROTECTOR: Final = bytes.fromhex("060a2b060104012a02110101")  # its object identifier, 1.3.6.1.4.1.42.2.17.1.1
_SHA1: Final = 20
_KAFKA: Final = "org.apache.kafka.common.KafkaException"
_INVALID: Final = "org.apache.kafka.common.errors.InvalidConfigurationException"
_PEM: Final = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)


class Identity(NamedTuple):
    """Hold a private key and its certificates, as PEM texts; the key may be encrypted with `password`."""

    key: str
    chain: str
    password: str | None = None


class Store(NamedTuple):
    """Hold what stands in a store, in DER: certificates, and of the first private key (PKCS #8) the chain."""

    trusted: list[bytes]
    key: bytes | None
    chain: list[bytes]


# --- what TLS asks for --------------------------------------------------------------------------------------


def load_trust(path: str, kind: str, password: str | None) -> str:
    """Return the certificates of a trust store as PEM. Raises `ConfigError`."""
    if kind.upper() == "PEM":
        if password is not None:
            raise ConfigError("SSL trust store password cannot be specified for PEM format.", exception=_INVALID)
        return pem_certificates(_read(path, kind).decode("utf-8", "replace"))
    store = _load(path, kind, password, None)
    found = store.trusted + store.chain
    if not found:
        raise ConfigError(
            "the trustAnchors parameter must be non-empty", exception="java.security.InvalidAlgorithmParameterException"
        )
    return "".join(_as_pem("CERTIFICATE", der) for der in found)


def load_identity(path: str, kind: str, password: str | None, key_password: str | None) -> Identity:
    """Return the first private key of a key store, with its certificates. Raises `ConfigError`."""
    if kind.upper() == "PEM":
        if password is not None:
            raise ConfigError(
                "SSL key store password cannot be specified with PEM format, only key password may be specified",
                exception=_INVALID,
            )
        text = _read(path, kind).decode("utf-8", "replace")
        return Identity(pem_key(text), pem_certificates(text), key_password)
    if password is None:
        raise ConfigError("SSL key store is specified, but key store password is not specified.", exception=_INVALID)
    store = _load(path, kind, password, password if key_password is None else key_password, wants_key=True)
    if store.key is None:
        raise ConfigError(f"{path} holds no private key", exception=_KAFKA)
    return Identity(_as_pem("PRIVATE KEY", store.key), "".join(_as_pem("CERTIFICATE", der) for der in store.chain))


def pem_certificates(text: str) -> str:
    """Return the certificates of a PEM text. Raises `ConfigError` where there is none."""
    found = [m[0] for m in _PEM.finditer(text) if m[1] in ("CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE")]
    if not found:
        raise ConfigError("No matching CERTIFICATE entries in PEM file", exception=_INVALID)
    return "\n".join(found) + "\n"


def pem_key(text: str) -> str:
    """Return the private key of a PEM text. Raises `ConfigError` where there is none, or more than one."""
    found = [m[0] for m in _PEM.finditer(text) if m[1].endswith("PRIVATE KEY")]
    if not found:
        raise ConfigError("No matching PRIVATE KEY entries in PEM file", exception=_INVALID)
    if len(found) > 1:
        raise ConfigError("Expected one private key, but found multiple keys", exception=_INVALID)
    return found[0] + "\n"


def _as_pem(what: str, der: bytes) -> str:
    text = base64.b64encode(der).decode()
    lines = "\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    return f"-----BEGIN {what}-----\n{lines}\n-----END {what}-----\n"


# --- files --------------------------------------------------------------------------------------------------


def _failed(path: str, kind: str, why: str) -> ConfigError:
    return ConfigError(f"Failed to load SSL keystore {path} of type {kind}\nCaused by: {why}", exception=_KAFKA)


def _read(path: str, kind: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise _failed(path, kind, f"java.nio.file.NoSuchFileException: {path}") from None
    except OSError as e:
        raise _failed(path, kind, f"java.io.IOException: {e.strerror}: {path}") from None


def _load(path: str, kind: str, password: str | None, key_password: str | None, *, wants_key: bool = False) -> Store:
    if kind.upper() not in ("JKS", "PKCS12"):
        raise _failed(path, kind, f"java.security.KeyStoreException: {kind} not found (JKS, PKCS12 and PEM are read)")
    data = _read(path, kind)
    try:
        if data[:4] == _JKS_MAGIC:
            return read_jks(data, password, key_password, wants_key=wants_key)
        if kind.upper() == "JKS" and data[:1] != b"\x30":  # the JKS of today's Java takes PKCS12, too
            raise ValueError("Invalid keystore format")
        return _read_pkcs12(data, password)
    except ValueError as e:
        if str(e) == "Cannot recover key":
            raise ConfigError(f"java.security.UnrecoverableKeyException: {e}", exception=_KAFKA) from None
        raise _failed(path, kind, f"java.io.IOException: {e}") from None


# --- PKCS12 -------------------------------------------------------------------------------------------------


def _read_pkcs12(data: bytes, password: str | None) -> Store:
    import warnings

    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs12
    except ImportError:
        raise ConfigError(
            "A PKCS12 store is read with the Python package cryptography, which is not installed: pip install "
            "'barnabas[stores]' brings it. Or convert the store to PEM: openssl pkcs12 -in STORE -out store.pem",
            exception=_KAFKA,
        ) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about encodings that are not strictly DER
            store = pkcs12.load_pkcs12(data, None if password is None else password.encode())
    except UnsupportedAlgorithm as e:
        raise ValueError(f"Invalid keystore format ({e})") from None
    except ValueError as e:
        if "password" in str(e).lower():
            raise ValueError("keystore password was incorrect") from None
        raise ValueError(f"Invalid keystore format ({e})") from None
    rest = [c.certificate.public_bytes(Encoding.DER) for c in store.additional_certs]
    if store.key is None:
        own = [] if store.cert is None else [store.cert.certificate.public_bytes(Encoding.DER)]
        return Store(own + rest, None, [])
    key = store.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    if store.cert is None:
        return Store(rest, key, [])
    return Store([], key, [store.cert.certificate.public_bytes(Encoding.DER), *rest])


# --- JKS ----------------------------------------------------------------------------------------------------


class _Reader:
    """Take bytes from the front; raises ValueError where there are too few."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        if not 0 <= count <= len(self._data) - self._at:
            raise ValueError("Invalid keystore format")
        self._at += count
        return self._data[self._at - count : self._at]

    def number(self) -> int:
        (value,) = struct.unpack(">i", self.take(4))
        return int(value)

    def text(self) -> str:
        (size,) = struct.unpack(">H", self.take(2))
        return self.take(size).decode("utf-8", "replace")


def read_jks(data: bytes, password: str | None, key_password: str | None, *, wants_key: bool = True) -> Store:
    """Read a store in the old JKS format. Raises ValueError in Java's words. No password: its digest is not checked."""
    body, digest = data[:-_SHA1], data[-_SHA1:]
    reader = _Reader(body)
    if reader.take(4) != _JKS_MAGIC:
        raise ValueError("Invalid keystore format")
    version = reader.number()
    if version not in (1, 2):
        raise ValueError("Invalid keystore format")
    if password is not None:
        expected = hashlib.sha1(password.encode("utf-16-be") + b"Mighty Aphrodite" + body).digest()
        if not hmac.compare_digest(expected, digest):
            raise ValueError("Keystore was tampered with, or password was incorrect")
    trusted: list[bytes] = []
    protected: bytes | None = None
    chain: list[bytes] = []

    def certificate() -> bytes:
        if version == 2:
            reader.text()  # X.509, there is no other
        return reader.take(reader.number())

    for _ in range(reader.number()):
        tag = reader.number()
        reader.text()  # the alias
        reader.take(8)  # when it was made
        if tag == 1:
            secret = reader.take(reader.number())
            certificates = [certificate() for _ in range(reader.number())]
            if protected is None:
                protected, chain = secret, certificates
        elif tag == 2:
            trusted.append(certificate())
        else:
            raise ValueError("Unrecognized keystore entry")
    key = None
    if wants_key and protected is not None:
        key = _unprotect(protected, key_password or "")
    return Store(trusted, key, chain)


def _unprotect(protected: bytes, password: str) -> bytes:
    """Decrypt what Sun's key protector made: salt, key XOR stream, SHA-1 of password and key."""
    oid = protected.find(_KEY_PROTECTOR, 0, 40)
    content = b"" if oid < 0 else _octets(protected[oid + len(_KEY_PROTECTOR) :])
    if len(content) < 2 * _SHA1:
        raise ValueError("Cannot recover key")
    secret = password.encode("utf-16-be")
    last, cipher, check = content[:_SHA1], content[_SHA1:-_SHA1], content[-_SHA1:]
    stream = bytearray()
    while len(stream) < len(cipher):
        last = hashlib.sha1(secret + last).digest()
        stream += last
    key = bytes(a ^ b for a, b in zip(cipher, stream, strict=False))
    if not hmac.compare_digest(hashlib.sha1(secret + key).digest(), check):
        raise ValueError("Cannot recover key")
    return key


def _octets(der: bytes) -> bytes:
    """Return the content of the octet string that follows, behind a null perhaps."""
    if der[:2] == b"\x05\x00":
        der = der[2:]
    if len(der) < 2 or der[0] != 4:
        return b""
    size, at = der[1], 2
    if size & 0x80:
        width = size & 0x7F
        size, at = int.from_bytes(der[2 : 2 + width], "big"), 2 + width
    return der[at : at + size] if at + size <= len(der) else b""
