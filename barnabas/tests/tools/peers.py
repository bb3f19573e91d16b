"""Be the other side of secured connections: certificates, TLS in front of a broker, a broker that wants SASL."""

from __future__ import annotations

import base64
import contextlib
import datetime
import hashlib
import hmac
import ipaddress
import os
import socket
import ssl
import struct
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from barnabas.protocol.api import APIS
from barnabas.protocol.codec import codec, encode
from barnabas.protocol.messages.api_versions import ApiVersion, ApiVersionsResponse
from barnabas.protocol.messages.headers import RequestHeader, ResponseHeader
from barnabas.protocol.messages.metadata import MetadataResponse, MetadataResponseBroker
from barnabas.protocol.messages.sasl_authenticate import SaslAuthenticateResponse
from barnabas.protocol.messages.sasl_handshake import SaslHandshakeResponse

Handler = Callable[[socket.socket], None]


class Authority:
    """Be a certificate authority."""

    def __init__(self, name: str = "authority") -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._sign(self.name, self.key, [], 2, ca=True)

    def _sign(self, name: x509.Name, key: ec.EllipticCurvePrivateKey, hosts: list[str], days: int, *, ca: bool = False
              ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder().subject_name(name).issuer_name(self.name).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=5))
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if hosts:
            names: list[x509.GeneralName] = [
                x509.IPAddress(ipaddress.ip_address(h)) if h[0].isdigit() else x509.DNSName(h) for h in hosts
            ]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def issue(self, name: str, *hosts: str, days: int = 90) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
        """Return a key and its certificate; one that has ended, with negative days."""
        key = ec.generate_private_key(ec.SECP256R1())
        return key, self._sign(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key, list(hosts), days)

    @property
    def pem(self) -> str:
        """Return the certificate as PEM."""
        return pem(self.certificate)


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def pem_key(key: ec.EllipticCurvePrivateKey, password: str | None = None) -> str:
    secret: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password is not None:
        secret = serialization.BestAvailableEncryption(password.encode())
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, secret).decode()


@contextmanager
def serving(handler: Handler) -> Iterator[int]:
    """Answer connections to a free port of 127.0.0.1, each in a thread; yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        closing = threading.Event()

        def one(sock: socket.socket) -> None:
            with sock, contextlib.suppress(OSError, ValueError, struct.error):
                handler(sock)

        def accept() -> None:
            while not closing.is_set():
                try:
                    sock, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=one, args=(sock,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]
        closing.set()
        with contextlib.suppress(OSError):
            socket.create_connection(server.getsockname(), 1).close()


def tls_in_front(port: int, authority: Authority, *hosts: str, client: bool = False, days: int = 90) -> Handler:
    """Be TLS in front of a port. `client`: a client's certificate is required."""
    key, certificate = authority.issue("server", *hosts, days=days)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "server.pem"
        path.write_text(pem_key(key) + pem(certificate) + authority.pem)
        context.load_cert_chain(path)
    if client:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=authority.pem)

    def handle(sock: socket.socket) -> None:
        inner = socket.create_connection(("127.0.0.1", port))
        with inner, context.wrap_socket(sock, server_side=True) as outer:
            threading.Thread(target=_pump, args=(inner, outer), daemon=True).start()
            _pump(outer, inner)

    return handle


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            sink.sendall(piece)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)


class SaslBroker:
    """Be a broker that wants a log-in: user alice, and her password; it answers Metadata to nobody else."""

    def __init__(self, password: str, *mechanisms: str, lie: bool = False) -> None:
        self.password = password
        self.mechanisms = mechanisms
        self.lie = lie
        self.seen: list[bytes] = []
        self.attempts = 0

    def __call__(self, sock: socket.socket) -> None:
        steps: Iterator[SaslAuthenticateResponse] | None = None
        logged_in = False
        while True:
            (size,) = struct.unpack(">i", _exactly(sock, 4))
            frame = _exactly(sock, size)
            key, version = struct.unpack_from(">hh", frame)
            api = APIS[key]
            header, at = codec(RequestHeader, api.request_header_version(version)).decode(frame, 0, len(frame))
            request, _ = codec(api.request_class(), version).decode(frame, at, len(frame))
            if key == 18:
                keys = [ApiVersion(18, 0, 4), ApiVersion(17, 0, 1), ApiVersion(36, 0, 2), ApiVersion(3, 0, 12),
                        ApiVersion(0, 0, 12)]
                answer: object = ApiVersionsResponse(api_keys=keys)
            elif key == 17:
                code = 0 if request.mechanism in self.mechanisms else 33
                answer = SaslHandshakeResponse(code, list(self.mechanisms))
                steps = None if code else self._steps(request.mechanism)
            elif key == 36 and steps is not None:
                self.seen.append(bytes(request.auth_bytes))
                self.attempts += 1
                answer = next(steps)
                logged_in = not answer.error_code
            elif key == 3 and logged_in:
                host, port = sock.getsockname()
                brokers = [MetadataResponseBroker(1, host, port)]
                answer = MetadataResponse(brokers=brokers, cluster_id="c", controller_id=1)
            else:
                return
            reply = encode(ResponseHeader(header.correlation_id), api.response_header_version(version))
            reply += encode(answer, version)  # type: ignore[arg-type]
            sock.sendall(struct.pack(">i", len(reply)) + reply)

    def _steps(self, mechanism: str) -> Iterator[SaslAuthenticateResponse]:
        if mechanism == "PLAIN":
            good = self.seen[-1:] == [b"\0alice\0" + self.password.encode()]
            wrong = _refused("Authentication failed: Invalid username or password")
            yield SaslAuthenticateResponse() if good else wrong
        elif mechanism == "OAUTHBEARER":
            if self.seen[-1].startswith(b"n,,\x01auth=Bearer ") and self.seen[-1].endswith(b"\x01\x01"):
                yield SaslAuthenticateResponse()
            else:
                yield _refused("bad token")
        else:
            yield from self._scram("sha256" if mechanism.endswith("256") else "sha512")

    def _scram(self, name: str) -> Iterator[SaslAuthenticateResponse]:
        first = self.seen[-1].decode().removeprefix("n,,")
        nonce = first.partition(",r=")[2] + base64.b64encode(os.urandom(9)).decode().replace(",", "")
        salt = os.urandom(8)
        server_first = f"r={nonce},s={base64.b64encode(salt).decode()},i=4096"
        yield SaslAuthenticateResponse(auth_bytes=server_first.encode())
        bare, _, proof = self.seen[-1].decode().partition(",p=")
        salted = hashlib.pbkdf2_hmac(name, self.password.encode(), salt, 4096)
        message = f"{first},{server_first},{bare}".encode()
        stored = hashlib.new(name, hmac.digest(salted, b"Client Key", name)).digest()
        signature = hmac.digest(stored, message, name)
        key = bytes(a ^ b for a, b in zip(base64.b64decode(proof), signature, strict=True))
        if hashlib.new(name, key).digest() != stored or bare != f"c=biws,r={nonce}":
            yield _refused("Authentication failed during authentication due to invalid credentials with SASL mechanism")
        server_key = hmac.digest(salted, b"Server Key", name)
        verifier = hmac.digest(server_key, message + (b"x" if self.lie else b""), name)
        yield SaslAuthenticateResponse(auth_bytes=b"v=" + base64.b64encode(verifier))


def _refused(text: str) -> SaslAuthenticateResponse:
    return SaslAuthenticateResponse(58, text)


def _exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            raise ConnectionError
        data += piece
    return data
