"""barnabas doctor: everything that can be wrong with a connection, for real."""

from __future__ import annotations

import http.server
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from barnabas.cli import main
from barnabas.embedded import Broker
from barnabas.tools import probing
from barnabas.tools.doctor_advice import name_advice, port_advice, tls_advice
from testkit.ports import free_port

from .peers import Authority, Handler, SaslBroker, serving, tls_in_front
from .test_security import PLAIN


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with Broker() as started:
        yield started


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


class Examined:
    """Hold what the doctor said: the exit status, and what was found."""

    def __init__(self, capsys: pytest.CaptureFixture[str], folder: Path, address: str, **properties: str) -> None:
        words = ["doctor", address]
        if properties:
            path = folder / "client.properties"
            escaped = ((key.replace("_", "."), value.replace("\n", "\\n")) for key, value in properties.items())
            path.write_text("".join(f"{key}={value}\n" for key, value in escaped))
            words += ["--command-config", str(path)]
        begun = time.monotonic()
        self.status = main([*words, "--json"])
        self.seconds = time.monotonic() - begun
        self.found = json.loads(capsys.readouterr().out)
        self.plain_status = main(words)
        self.plain = capsys.readouterr().out
        assert self.plain_status == self.status
        assert self.found["ok"] == (self.status == 0)

    @property
    def wrong(self) -> list[tuple[str, str, str]]:
        """Return what is wrong: step, text, advice."""
        return [(f["step"], f["text"], f["advice"]) for f in self.found["findings"] if f["state"] == "wrong"]

    def text(self, step: str) -> str:
        """Return what a step found."""
        return next(str(f["text"]) for f in self.found["findings"] if f["step"] == step)


Examine = Callable[..., Examined]


@pytest.fixture
def examine(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Examine:
    return lambda address, **properties: Examined(capsys, tmp_path, address, **properties)


def test_all_is_well(examine: Examine, broker: Broker) -> None:
    seen = examine(broker.bootstrap)
    assert seen.status == 0
    assert seen.plain.endswith("All is well.\n")
    assert [f["step"] for f in seen.found["findings"]] == [
        "name", "port", "protocol", "software", "features", "broker 1"
    ]
    assert "Barnabas" in seen.text("software")
    assert "metadata.version 4.3-IV0 (30)" in seen.text("features")
    assert seen.text("broker 1") == f"advertises {broker.bootstrap}, which can be reached from here"


@pytest.mark.parametrize(("address", "step", "text"), [
    ("no-such-host.invalid:9092", "name", "no-such-host.invalid has no address"),
    ("localhost", "settings", "Invalid url in bootstrap.servers: localhost"),
    ("localhost:99999", "settings", "Invalid url in bootstrap.servers"),
])
def test_addresses_that_are_none(examine: Examine, address: str, step: str, text: str) -> None:
    seen = examine(address)
    assert seen.status == 1
    assert [w[0] for w in seen.wrong] == [step]
    assert text in seen.wrong[0][1]
    assert seen.wrong[0][2]


def test_a_closed_port(examine: Examine) -> None:
    port = free_port()
    seen = examine(f"127.0.0.1:{port}")
    assert seen.wrong[0][:2] == ("port", f"port {port} does not answer (127.0.0.1: refused)")
    assert f"Nothing listens on port {port} of this machine" in seen.wrong[0][2]


def test_a_port_that_is_open_elsewhere_on_this_machine(examine: Examine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        seen = examine(f"127.0.0.2:{port}")
    if Path("/proc/net/tcp").exists():
        assert "On this machine the port is open on 127.0.0.1 alone" in seen.wrong[0][2]


def test_a_firewall_that_drops(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    def times_out(*_: object) -> socket.socket:
        raise TimeoutError

    monkeypatch.setattr(probing, "is_local", lambda _: False)
    monkeypatch.setattr(socket, "create_connection", times_out)
    seen = examine("127.0.0.1:9092")
    assert "no answer" in seen.wrong[0][1]
    assert "firewall" in seen.wrong[0][2]


@contextmanager
def http_server() -> Iterator[int]:
    class Quiet(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_http(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "PATIENCE", 1.0)
    with http_server() as port:
        seen = examine(f"127.0.0.1:{port}")
    assert seen.status == 1
    assert seen.wrong[0][:2] == ("protocol", f"127.0.0.1:{port} speaks HTTP, not Kafka")


def say(text: bytes) -> Handler:
    def handle(sock: socket.socket) -> None:
        sock.sendall(text)
        sock.recv(1000)
        time.sleep(0.05)

    return handle


@pytest.mark.parametrize(("text", "expected"), [
    (b"SSH-2.0-OpenSSH_9.2\r\n", "speaks SSH, not Kafka"),
    (b"-ERR unknown command\r\n", "speaks Redis, not Kafka"),
    (b"220 mail.example ESMTP\r\n", "speaks mail or FTP, not Kafka"),
    (b"what is this, I wonder", "answers, but not as a Kafka broker does (garbage: b'what is this, I wonder')"),
    (b"\x7f\xff\xff\xff\x00\x00\x00\x00", "answers, but not as a Kafka broker does"),
    (b"", "takes the connection and hangs up"),
])
def test_others_that_are_not_kafka(examine: Examine, text: bytes, expected: str) -> None:
    with serving(say(text)) as port:
        seen = examine(f"127.0.0.1:{port}")
    assert seen.status == 1
    assert seen.wrong[0][0] == "protocol"
    assert expected in seen.wrong[0][1]


def test_silence(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "PATIENCE", 0.3)
    with serving(lambda sock: time.sleep(2)) as port:
        seen = examine(f"127.0.0.1:{port}")
    assert "takes the connection and says nothing" in seen.wrong[0][1]
    assert seen.seconds < 3


# --- advertised listeners -----------------------------------------------------------------------------------


@contextmanager
def advertising(address: str, folder: Path) -> Iterator[str]:
    """Run a broker that advertises an address; yield the one on which it listens."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "barnabas", "serve", "--data", str(folder / "data"),
         "--override", f"listeners=PLAINTEXT://127.0.0.1:{port}",
         "--override", f"advertised.listeners=PLAINTEXT://{address}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 30
        while probing.identify("127.0.0.1", port) != "Kafka":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.parametrize(("advertised", "problem"), [
    ("kafka.invalid:9092", "the name kafka.invalid has no address here"),
    ("127.0.0.1:1", "127.0.0.1 port 1: refused"),
])
def test_an_advertised_listener_that_does_not_work_from_here(
    examine: Examine, tmp_path: Path, advertised: str, problem: str
) -> None:
    with advertising(advertised, tmp_path) as trapped:
        seen = examine(trapped)
    assert seen.status == 1
    (step, text, advice), = seen.wrong
    assert step == "broker 1"
    assert f"advertises {advertised}, which does not work from here: {problem}" in text
    assert f"advertised.listeners=PLAINTEXT://{trapped}" in advice
    assert "Docker" in advice
    assert "advertised.listeners=INSIDE://" in seen.plain


def test_an_advertised_listener_that_leads_to_another_cluster(
    examine: Examine, tmp_path: Path, broker: Broker
) -> None:
    with advertising(broker.bootstrap, tmp_path) as trapped:
        seen = examine(trapped)
    assert "there answers another cluster" in seen.wrong[0][1]


def test_an_advertised_listener_that_is_something_else(
    examine: Examine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probing, "PATIENCE", 1.0)
    with http_server() as port, advertising(f"127.0.0.1:{port}", tmp_path) as trapped:
        seen = examine(trapped)
    assert "there answers HTTP" in seen.wrong[0][1]


# --- TLS ----------------------------------------------------------------------------------------------------


def behind_tls(broker: Broker) -> int:
    return int(broker.bootstrap.rpartition(":")[2])


def trusting(authority: Authority) -> dict[str, str]:
    return {"security_protocol": "SSL", "ssl_truststore_type": "PEM", "ssl_truststore_certificates": authority.pem}


def test_tls_where_the_client_does_not_expect_it(examine: Examine, broker: Broker, authority: Authority) -> None:
    with serving(tls_in_front(behind_tls(broker), authority, "localhost")) as port:
        seen = examine(f"localhost:{port}")
    assert seen.wrong[0][:2] == ("protocol", f"localhost:{port} speaks TLS, and the client does not")
    assert "security.protocol=SSL" in seen.wrong[0][2]


def test_no_tls_where_the_client_expects_it(examine: Examine, broker: Broker, authority: Authority) -> None:
    seen = examine(broker.bootstrap, **trusting(authority))
    assert seen.wrong[0][0] == "TLS"
    assert "speaks Kafka without TLS" in seen.wrong[0][1]


@pytest.mark.parametrize(("host", "days", "known", "text", "advice"), [
    ("localhost", 90, False, "self-signed certificate", "ssl.truststore.location"),
    ("127.0.0.1", 90, True, "is not valid for '127.0.0.1'. It shows a certificate of CN=server for localhost",
     "subjectAltName"),
    ("localhost", -2, True, "certificate has expired", "renewed"),
])
def test_certificates(
    examine: Examine, broker: Broker, authority: Authority, host: str, days: int, known: bool, text: str, advice: str
) -> None:
    trusted = authority if known else Authority("somebody else")
    with serving(tls_in_front(behind_tls(broker), authority, "localhost", days=days)) as port:
        seen = examine(f"{host}:{port}", **trusting(trusted))
    assert seen.wrong[0][0] == "TLS"
    assert text in seen.wrong[0][1]
    assert advice in seen.wrong[0][2]
    assert len(seen.wrong) == 1


@pytest.mark.parametrize(("days", "state"), [(90, "ok"), (3, "note")])
def test_tls_that_works(
    examine: Examine, broker: Broker, authority: Authority, days: int, state: str
) -> None:
    with serving(tls_in_front(behind_tls(broker), authority, "localhost", days=days)) as port:
        seen = examine(f"localhost:{port}", **trusting(authority))
    tls = next(f for f in seen.found["findings"] if f["step"] == "TLS")
    assert tls["state"] == state
    assert "the certificate is for localhost, issued by authority" in tls["text"]
    # the broker behind it advertises its own port, without TLS: that is the trap
    assert [w[0] for w in seen.wrong] == ["broker 1"]


def test_a_client_s_certificate_that_is_missing(examine: Examine, broker: Broker, authority: Authority) -> None:
    with serving(tls_in_front(behind_tls(broker), authority, "localhost", client=True)) as port:
        seen = examine(f"localhost:{port}", **trusting(authority))
    assert "ssl.keystore.location" in seen.wrong[0][2]


def test_settings_of_tls_that_cannot_be_used(examine: Examine, broker: Broker) -> None:
    seen = examine(broker.bootstrap, security_protocol="SSL", ssl_truststore_location="/no/such/store")
    assert "NoSuchFileException" in seen.wrong[0][1]


# --- SASL ---------------------------------------------------------------------------------------------------


def logging_in(mechanism: str, password: str) -> dict[str, str]:
    return {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": mechanism,
            "sasl_jaas_config": PLAIN.format(password)}


def test_a_log_in_that_works(examine: Examine) -> None:
    with serving(SaslBroker("secret", "PLAIN", "SCRAM-SHA-256")) as port:
        seen = examine(f"127.0.0.1:{port}", **logging_in("SCRAM-SHA-256", "secret"))
    assert seen.status == 0
    assert seen.text("SASL") == "the listener offers PLAIN, SCRAM-SHA-256"
    assert seen.text("log-in") == "logged in with SCRAM-SHA-256"


def test_a_wrong_password(examine: Examine) -> None:
    with serving(SaslBroker("secret", "PLAIN")) as port:
        seen = examine(f"127.0.0.1:{port}", **logging_in("PLAIN", "wrong"))
    assert seen.wrong[0][:2] == ("log-in", "Authentication failed: Invalid username or password")


def test_a_mechanism_that_is_not_offered(examine: Examine) -> None:
    with serving(SaslBroker("secret", "PLAIN")) as port:
        seen = examine(f"127.0.0.1:{port}", **logging_in("SCRAM-SHA-512", "secret"))
    assert seen.wrong == [
        ("SASL", "the listener offers PLAIN; the client chooses SCRAM-SHA-512", "Set sasl.mechanism=PLAIN.")
    ]


def test_a_log_in_that_is_missing(examine: Examine) -> None:
    with serving(SaslBroker("secret", "PLAIN")) as port:
        seen = examine(f"127.0.0.1:{port}")
    assert "wants a log-in with SASL" in seen.wrong[0][1]
    assert "security.protocol=SASL_PLAINTEXT" in seen.wrong[0][2]


def test_a_log_in_that_nobody_wants(examine: Examine, broker: Broker) -> None:
    seen = examine(broker.bootstrap, **logging_in("PLAIN", "secret"))
    assert "it wants no log-in" in seen.wrong[0][1]


# --- words --------------------------------------------------------------------------------------------------


def test_advice() -> None:
    assert "container" in name_advice("kafka")
    assert "DNS" in name_advice("kafka.example.com")
    assert "machine is there" in port_advice([probing.Address("IPv4", "10.0.0.1", "refused")], 9092, False, [])
    assert "firewall" in port_advice([probing.Address("IPv4", "10.0.0.1", "no answer")], 9092, False, [])
    assert tls_advice("no cipher in common") == ""


def test_who_holds_a_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        found = probing.listeners(server.getsockname()[1])
    if found:  # Linux
        assert [x.address for x in found] == ["127.0.0.1"]
