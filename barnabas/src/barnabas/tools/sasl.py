"""Log in with SASL: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER.

A mechanism is a generator: it yields what the client says and is sent what the server answered; where it ends, the
server is content. Who logs in, and with what, stands in `sasl.jaas.config`. Requests: SaslHandshake v1, then
SaslAuthenticate until the mechanism ends. A session's lifetime is not looked at: tools live shorter, and those that do
not use librdkafka, which logs in again by itself. OAUTHBEARER makes unsecured tokens, as Java's login module does
unless told otherwise; tokens from a server are refused in words, and so is GSSAPI.
Sources: RFC 4616, RFC 5802, RFC 7628; KIP-152 and KIP-255.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.sasl_authenticate import SaslAuthenticateRequest
from barnabas.protocol.messages.sasl_handshake import SaslHandshakeRequest
from barnabas.tools import jaas
from barnabas.tools.errors import AuthenticationFailed, ConfigError
from barnabas.tools.settings import Settings

if TYPE_CHECKING:
    from barnabas.tools.connection import Connection

Conversation = Generator[bytes, bytes, None]
_MODULES: Final = "org.apache.kafka.common.security"
_PASSWORD_MODULES: Final = (f"{_MODULES}.plain.PlainLoginModule", f"{_MODULES}.scram.ScramLoginModule")
_TOKEN_MODULE: Final = f"{_MODULES}.oauthbearer.OAuthBearerLoginModule"
_UNSECURED: Final = "unsecuredLogin"
_LEAST_ITERATIONS: Final = 4096


class Login(NamedTuple):
    """Say who logs in: the mechanism, and the options of the login module."""

    mechanism: str
    options: dict[str, str]


def login_of(settings: Settings) -> Login:
    """Read who logs in, and check it. Raises `ConfigError`, in Java's words where it has some."""
    mechanism = settings.text("sasl.mechanism", "GSSAPI")
    text = settings.properties.get("sasl.jaas.config")
    if text is None:
        raise ConfigError(
            "Could not find a 'KafkaClient' entry in the JAAS configuration. System property "
            "'java.security.auth.login.config' is not set (and there is no JVM to set it for: the entry is read from "
            "the property sasl.jaas.config alone)",
            exception="java.lang.IllegalArgumentException",
        )
    module = jaas.parse(text)
    if mechanism == "GSSAPI":
        raise ConfigError(
            "GSSAPI (Kerberos) is not spoken here. Use a listener with SCRAM-SHA-256, SCRAM-SHA-512, PLAIN or "
            "OAUTHBEARER and name it in sasl.mechanism, or a client certificate with security.protocol=SSL"
        )
    if mechanism not in MECHANISMS:
        raise ConfigError(f"The SASL mechanism {mechanism} is not spoken here: choose one of {', '.join(MECHANISMS)}")
    if module.name not in (*_PASSWORD_MODULES, _TOKEN_MODULE):
        raise ConfigError(
            f"javax.security.auth.login.LoginException: No LoginModule found for {module.name}",
            exception="org.apache.kafka.common.KafkaException",
        )
    login = Login(mechanism, module.options)
    if mechanism == "OAUTHBEARER":
        _check_token_source(settings, login)
    else:
        for option in ("username", "password"):
            if option not in module.options:
                raise ConfigError(f"sasl.jaas.config has no {option}, which {mechanism} needs")
    return login


def _check_token_source(settings: Settings, login: Login) -> None:
    for key in ("sasl.login.callback.handler.class", "sasl.oauthbearer.token.endpoint.url",
                "sasl.oauthbearer.jwt.retriever.class", "sasl.oauthbearer.assertion.file"):
        if settings.text(key):
            raise ConfigError(
                f"Tokens are not fetched from elsewhere here ({key} is set): OAUTHBEARER makes unsecured tokens alone, "
                "from the unsecuredLogin... options of sasl.jaas.config"
            )
    name = login.options.get(f"{_UNSECURED}PrincipalClaimName", "sub")
    if f"{_UNSECURED}StringClaim_{name}" not in login.options:
        raise ConfigError(
            f"sasl.jaas.config has no {_UNSECURED}StringClaim_{name}, the principal of the token that OAUTHBEARER makes"
        )
    token(login.options, 0.0)


def authenticate(connection: Connection, login: Login) -> None:
    """Log in on a connection. Raises `AuthenticationFailed` with what the broker says, `ConnectionFailed`."""
    answer = connection.request(SaslHandshakeRequest(login.mechanism), version=1)
    enabled = ", ".join(answer.mechanisms)
    if answer.error_code == ErrorCode.UNSUPPORTED_SASL_MECHANISM:
        raise AuthenticationFailed(
            f"Client SASL mechanism '{login.mechanism}' not enabled in the server, enabled mechanisms are [{enabled}]"
        )
    if answer.error_code == ErrorCode.ILLEGAL_SASL_STATE:
        raise AuthenticationFailed(
            f"Unexpected handshake request with client mechanism {login.mechanism}, enabled mechanisms are [{enabled}]"
        )
    if answer.error_code:
        raise AuthenticationFailed(
            f"Unknown error code {answer.error_code}, client mechanism is {login.mechanism}, enabled mechanisms are "
            f"[{enabled}]"
        )
    conversation = MECHANISMS[login.mechanism](login.options)
    said = next(conversation)
    while True:
        reply = connection.request(SaslAuthenticateRequest(said))
        if reply.error_code:
            text = reply.error_message or "Authentication failed"
            raise AuthenticationFailed(text)
        try:
            said = conversation.send(reply.auth_bytes)
        except StopIteration:
            return


# --- mechanisms ---------------------------------------------------------------------------------------------


def plain(options: dict[str, str]) -> Conversation:
    """Say user and password as they are (RFC 4616)."""
    yield b"\0".join((b"", options["username"].encode(), options["password"].encode()))


def scram(options: dict[str, str], hash_name: str, nonce: str | None = None) -> Conversation:
    """Prove that the password is known, and let the server prove it, too (RFC 5802)."""
    user = options["username"].replace("=", "=3D").replace(",", "=2C")
    nonce = nonce or secrets.token_urlsafe(24)
    extension = ",tokenauth=true" if options.get("tokenauth", "").lower() == "true" else ""
    first = f"n={user},r={nonce}{extension}"
    server_first = (yield f"n,,{first}".encode()).decode("utf-8", "replace")
    fields = _fields(server_first)
    try:
        salt, iterations, joint = base64.b64decode(fields["s"]), int(fields["i"]), fields["r"]
    except (KeyError, ValueError):
        raise AuthenticationFailed(f"The server's SCRAM message cannot be understood: {server_first!r}") from None
    if not joint.startswith(nonce):
        raise AuthenticationFailed("Invalid server nonce: does not start with client nonce")
    if iterations < _LEAST_ITERATIONS:
        raise AuthenticationFailed(
            f"Requested iterations {iterations} is less than the minimum {_LEAST_ITERATIONS} for {hash_name}"
        )
    salted = hashlib.pbkdf2_hmac(hash_name, options["password"].encode(), salt, iterations)
    without_proof = f"c=biws,r={joint}"
    message = f"{first},{server_first},{without_proof}".encode()
    client_key = _sign(salted, b"Client Key", hash_name)
    signature = _sign(hashlib.new(hash_name, client_key).digest(), message, hash_name)
    proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
    server_final = (yield f"{without_proof},p={base64.b64encode(proof).decode()}".encode()).decode("utf-8", "replace")
    fields = _fields(server_final)
    if "e" in fields:
        raise AuthenticationFailed(f"Sasl authentication using SCRAM failed with error: {fields['e']}")
    expected = base64.b64encode(_sign(_sign(salted, b"Server Key", hash_name), message, hash_name)).decode()
    if not hmac.compare_digest(expected.encode(), fields.get("v", "").encode()):
        raise AuthenticationFailed("Invalid server signature in server final message")


def _fields(message: str) -> dict[str, str]:
    return {part[0]: part[2:] for part in message.split(",") if part[1:2] == "="}


def _sign(key: bytes, message: bytes, hash_name: str) -> bytes:
    return hmac.digest(key, message, hash_name)


def oauthbearer(options: dict[str, str]) -> Conversation:
    """Show an unsecured token (RFC 7628). An error comes as JSON, which has to be acknowledged."""
    fields = {"auth": f"Bearer {token(options, time.time())}"}
    prefix = f"{_UNSECURED}Extension_"
    fields |= {key.removeprefix(prefix): value for key, value in options.items() if key.startswith(prefix)}
    answer = yield f"n,,\1{''.join(f'{key}={value}' + chr(1) for key, value in fields.items())}\1".encode()
    if answer:
        yield b"\1"
        raise AuthenticationFailed(f"The server does not accept the token: {answer.decode('utf-8', 'replace')}")


def token(options: dict[str, str], now: float) -> str:
    """Make an unsecured JSON web token from the options of the login module. Raises `ConfigError`.

    `now` is in seconds since 1970. Source: the documentation of OAuthBearerUnsecuredLoginCallbackHandler.
    """
    claims: dict[str, Any] = {}
    for option, text in options.items():
        kind, _, name = option.removeprefix(_UNSECURED).partition("Claim_")
        if not option.startswith(_UNSECURED) or not name:
            continue
        if kind == "String":
            claims[name] = text
        elif kind == "Number":
            claims[name] = _number(option, text)
        elif kind == "List":  # the first character separates
            claims[name] = text[1:].split(text[0]) if text else []
    claims.setdefault("iat", now)
    claims.setdefault("exp", now + lifetime(options))
    return ".".join((_part({"alg": "none"}), _part(claims), ""))


def lifetime(options: dict[str, str]) -> float:
    """Return for how many seconds a token is good. Raises `ConfigError`."""
    option = f"{_UNSECURED}LifetimeSeconds"
    return _number(option, options.get(option, "3600"))


def _number(option: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"The option {option} of sasl.jaas.config is no number: {text}") from None


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


MECHANISMS: Final[dict[str, Callable[[dict[str, str]], Conversation]]] = {
    "PLAIN": plain,
    "SCRAM-SHA-256": lambda options: scram(options, "sha256"),
    "SCRAM-SHA-512": lambda options: scram(options, "sha512"),
    "OAUTHBEARER": oauthbearer,
}
