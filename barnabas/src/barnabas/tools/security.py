"""Secure a tool's connection: TLS by Python's ssl module, and SASL on top of it or alone.

`prepare` reads all of the `ssl.*` and `sasl.*` settings once, before a broker is asked, so that what is wrong with them
is said whether the broker answers or not, as in Java. `material` gives what TLS needs as PEM, for librdkafka, too.
What differs from Java: without a trust store the certificates of the system are trusted, not those of a JVM; TLS 1.3
suites are chosen by OpenSSL; of a trust store that holds a key, too, the key's whole chain is trusted; settings of
Java's security providers mean nothing here.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from barnabas.tools import stores
from barnabas.tools.errors import AuthenticationFailed, ConfigError
from barnabas.tools.settings import Settings

if TYPE_CHECKING:
    from barnabas.tools.connection import Connection
    from barnabas.tools.sasl import Login

_INVALID: Final = "org.apache.kafka.common.errors.InvalidConfigurationException"
_KAFKA: Final = "org.apache.kafka.common.KafkaException"
_VERSIONS: Final = {
    "TLSv1": ssl.TLSVersion.TLSv1, "TLSv1.1": ssl.TLSVersion.TLSv1_1, "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}


class Material(NamedTuple):
    """Hold what TLS needs: PEM texts, whether the host's name is checked, and the suites in OpenSSL's names."""

    trust: str | None
    identity: stores.Identity | None
    check_name: bool
    suites: list[str]


class Secured(NamedTuple):
    """Hold what was made of the settings."""

    context: ssl.SSLContext | None
    login: Login | None


def prepare(settings: Settings) -> Secured:
    """Read the settings, once; return what they say. Raises `ConfigError`."""
    if settings.secured is None:
        context = tls_context(settings) if settings.security_protocol.endswith("SSL") else None
        login = None
        if settings.security_protocol.startswith("SASL"):
            from barnabas.tools.sasl import login_of

            login = login_of(settings)
        settings.secured = Secured(context, login)
    made: Secured = settings.secured
    return made


def wrap(sock: socket.socket, host: str, settings: Settings) -> socket.socket:
    """Speak TLS on a socket. Raises `AuthenticationFailed`, and `ConnectionFailed` where nobody speaks TLS."""
    from barnabas.tools.connection import ConnectionFailed

    context = prepare(settings).context
    assert context is not None
    try:
        return context.wrap_socket(sock, server_hostname=host)
    except ssl.SSLEOFError as e:
        raise ConnectionFailed(f"{host} closed the connection during the TLS handshake") from e
    except ssl.SSLError as e:
        raise AuthenticationFailed("SSL handshake failed", explain(e)) from e
    except TimeoutError:
        raise ConnectionFailed(f"{host} did not answer the TLS handshake") from None
    except OSError as e:
        raise ConnectionFailed(f"Connection to {host} was lost during the TLS handshake: {e.strerror or e}") from e


def authenticate(connection: Connection, settings: Settings) -> None:
    """Log in, as the `sasl.*` settings say. Raises `AuthenticationFailed`, `ConnectionFailed`."""
    from barnabas.tools.sasl import authenticate as converse

    login = prepare(settings).login
    assert login is not None
    converse(connection, login)


def explain(error: ssl.SSLError) -> str:
    """Say in a few words what OpenSSL found wrong."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the broker's certificate is not accepted: {error.verify_message}"
    reason = (error.reason or "").lower().replace("_", " ")
    if reason == "wrong version number":
        return "what answers does not speak TLS"
    return reason or str(error)


class _Socket(ssl.SSLSocket):
    """Be a TLS socket whose errors after the handshake are failed authentications.

    With TLS 1.3 a broker refuses a client's certificate after the handshake, in the client's view.
    """

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """Receive. Raises `AuthenticationFailed` on an alert."""
        try:
            return super().recv(buflen, flags)
        except (ssl.SSLEOFError, ssl.SSLWantReadError):
            raise
        except ssl.SSLError as e:
            raise AuthenticationFailed("Failed to process post-handshake messages", explain(e)) from e


# --- settings -----------------------------------------------------------------------------------------------


def material(settings: Settings) -> Material:
    """Read stores and certificates. Raises `ConfigError` in Java's words."""
    text = settings.properties.get
    algorithm = settings.text("ssl.endpoint.identification.algorithm", "https")
    suites = [name.strip() for name in settings.text("ssl.cipher.suites").split(",") if name.strip()]
    return Material(
        _trust(text("ssl.truststore.location"), settings.text("ssl.truststore.type", "JKS"),
               text("ssl.truststore.password"), text("ssl.truststore.certificates")),
        _identity(settings),
        bool(algorithm.strip()),
        [openssl_name(name) for name in suites],
    )


def _trust(path: str | None, kind: str, password: str | None, certificates: str | None) -> str | None:
    if certificates is not None:
        if kind.upper() != "PEM":
            raise ConfigError(
                f"SSL trust store certs can be specified only for PEM, but trust store type is {kind}.",
                exception=_INVALID,
            )
        if path is not None:
            raise ConfigError(
                "Both SSL trust store location and separate trust certificates are specified.", exception=_INVALID
            )
        if password is not None:
            raise ConfigError("SSL trust store password cannot be specified for PEM format.", exception=_INVALID)
        return stores.pem_certificates(certificates)
    if path is not None:
        return stores.load_trust(path, kind, password)
    if password is not None:
        raise ConfigError(
            "SSL trust store is not specified, but trust store password is specified.", exception=_INVALID
        )
    return None


def _identity(settings: Settings) -> stores.Identity | None:
    text = settings.properties.get
    key, chain = text("ssl.keystore.key"), text("ssl.keystore.certificate.chain")
    path, password = text("ssl.keystore.location"), text("ssl.keystore.password")
    kind = settings.text("ssl.keystore.type", "JKS")
    problem = None
    if key is not None:
        if kind.upper() != "PEM":
            problem = f"SSL private key can be specified only for PEM, but key store type is {kind}."
        elif chain is None:
            problem = "SSL private key is specified, but certificate chain is not specified."
        elif path is not None:
            problem = "Both SSL key store location and separate private key are specified."
        elif password is not None:
            problem = "SSL key store password cannot be specified with PEM format, only key password may be specified."
        else:
            return stores.Identity(stores.pem_key(key), stores.pem_certificates(chain), text("ssl.key.password"))
    elif chain is not None:
        problem = "SSL certificate chain is specified, but private key is not specified"
    elif path is not None:
        return stores.load_identity(path, kind, password, text("ssl.key.password"))
    elif password is not None:
        problem = "SSL key store is not specified, but key store password is specified."
    if problem is not None:
        raise ConfigError(problem, exception=_INVALID)
    return None


def tls_context(settings: Settings) -> ssl.SSLContext:
    """Make the context of ssl. Raises `ConfigError`."""
    needs = material(settings)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.sslsocket_class = _Socket
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # like Java: whatever stands in the trust store is an anchor
    context.check_hostname = needs.check_name
    lowest, highest = versions(settings, needs.suites)
    context.minimum_version, context.maximum_version = lowest, highest
    if any(not name.startswith("TLS_") for name in needs.suites):
        context.set_ciphers(":".join(name for name in needs.suites if not name.startswith("TLS_")))
    try:
        if needs.trust is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(cadata=needs.trust)
    except ssl.SSLError as e:
        raise ConfigError(f"The trusted certificates cannot be read: {explain(e)}", exception=_KAFKA) from None
    if needs.identity is not None:
        _load_identity(context, needs.identity)
    return context


def _load_identity(context: ssl.SSLContext, identity: stores.Identity) -> None:
    password = identity.password
    if password is None and "ENCRYPTED" in identity.key:
        raise ConfigError("The private key is encrypted, and ssl.key.password is not given", exception=_INVALID)
    with _as_file(identity.key + identity.chain) as path:
        try:
            # a password that nobody needs is a random one: OpenSSL would ask on the terminal
            context.load_cert_chain(path, password=password or secrets.token_hex())
        except (ssl.SSLError, ValueError) as e:
            why = explain(e) if isinstance(e, ssl.SSLError) else str(e)
            raise ConfigError(
                f"The private key or its certificates cannot be used: {why or 'is ssl.key.password right?'}",
                exception=_INVALID,
            ) from None


@contextmanager
def _as_file(text: str) -> Iterator[str]:
    """Lend a secret to a library that reads files: from memory where the system can do that."""
    if hasattr(os, "memfd_create"):
        descriptor, path = os.memfd_create("key"), ""
    else:
        descriptor, path = tempfile.mkstemp()  # readable by its owner alone
    try:
        os.write(descriptor, text.encode())
        yield path or f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
        if path:
            os.unlink(path)


def versions(settings: Settings, suites: list[str]) -> tuple[ssl.TLSVersion, ssl.TLSVersion]:
    """Return the lowest and the highest version of TLS that the settings allow. Raises `ConfigError`."""
    protocol = settings.text("ssl.protocol", "TLSv1.3")
    if protocol not in _VERSIONS and protocol not in ("TLS", "SSL"):
        raise ConfigError(
            f"java.security.NoSuchAlgorithmException: {protocol} SSLContext not available", exception=_KAFKA
        )
    enabled = [name.strip() for name in settings.text("ssl.enabled.protocols", "TLSv1.2,TLSv1.3").split(",")]
    for name in enabled:
        if name not in _VERSIONS:
            raise ConfigError(f"Unsupported protocol {name}: ssl.enabled.protocols may name {', '.join(_VERSIONS)}",
                              exception="java.lang.IllegalArgumentException")
    allowed = [_VERSIONS[name] for name in enabled]
    if suites and all(name.startswith("TLS_") for name in suites):
        allowed = [v for v in allowed if v == ssl.TLSVersion.TLSv1_3]
    elif suites and not any(name.startswith("TLS_") for name in suites):
        allowed = [v for v in allowed if v != ssl.TLSVersion.TLSv1_3]
    if not allowed:
        raise ConfigError("ssl.enabled.protocols and ssl.cipher.suites leave no version of TLS",
                          exception="java.lang.IllegalArgumentException")
    return min(allowed), max(allowed)


def openssl_name(suite: str) -> str:
    """Write Java's name of a suite as OpenSSL does; names of TLS 1.3 are the same. Raises `ConfigError`.

    TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 is ECDHE-RSA-AES128-GCM-SHA256.
    """
    key, with_, cipher = suite.removeprefix("TLS_").removeprefix("SSL_").partition("_WITH_")
    known = {str(c["name"]) for c in _all_suites()}
    if not with_:
        name = suite
    else:
        cipher = re.sub(r"AES_(\d+)_CBC", r"AES\1", re.sub(r"AES_(\d+)_(GCM|CCM)", r"AES\1-\2", cipher))
        cipher = cipher.replace("CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305").replace("_", "-")
        name = cipher if key == "RSA" else f"{key.replace('_', '-')}-{cipher}"
    if name not in known:
        raise ConfigError(f"Unsupported CipherSuite: {suite}", exception="java.lang.IllegalArgumentException")
    return name


def _all_suites() -> list[dict[str, Any]]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("ALL:COMPLEMENTOFALL")
    found: list[dict[str, Any]] = context.get_ciphers()  # type: ignore[assignment]
    return found
