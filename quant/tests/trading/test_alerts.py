"""Alerts reach people: over a real HTTP server, a real SMTP server with TLS and login, and a broker."""

from __future__ import annotations

import datetime
import email
import ipaddress
import json
import logging
import ssl
import threading
from collections.abc import Callable, Iterator
from email.message import Message as Mail
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from confluent_kafka import Consumer, Producer, TopicPartition
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from barnabas_quant.bus import read_records
from barnabas_quant.bus.dead_letters import DeadLetters
from barnabas_quant.delivery import MailBox, Notice, Webhook, places
from barnabas_quant.errors import QuantError
from barnabas_quant.service import Context, Status
from barnabas_quant.services.alerts import AlertService, Progress
from barnabas_quant.settings import Alerts, Settings
from barnabas_quant.settings import Mail as MailSettings
from barnabas_quant.trading.events import Alert

from ..conftest import eventually
from .test_services import Running, own_kafka, tell

__all__ = ["own_kafka"]

ALERT = Alert(
    seq=7, time=1, rule="stop_loss", subject="sse:600000", state="fired", level="critical", action="flatten",
    reason="lost too much", numbers={"value": "0.06", "limit": "0.05"},
)  # fmt: skip
RECORD = msgspec.json.encode(ALERT)


def notice(number: int = 0, subject: str = "critical stop_loss fired") -> Notice:
    return Notice("risk-alerts", 0, number, subject, f"text {number}", RECORD)


class Hook:
    """An HTTP server that answers what it is told to, in turn; then 204."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.refuses = 0
        """What it answers to all; 0: as it is told."""
        self.refused: list[str] = []
        self.got: list[tuple[str, dict[str, Any], str]] = []
        self.hold = threading.Event()
        self.hold.set()
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                hook.hold.wait(30)
                if hook.refuses:
                    hook.refused.append(self.headers["idempotency-key"])
                    self.send_response(hook.refuses)
                else:
                    hook.got.append((self.path, json.loads(body), self.headers["idempotency-key"]))
                    self.send_response(hook.answers.pop(0) if hook.answers else 204)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}/alerts?key=secret"
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.hold.set()
        self.server.shutdown()
        self.server.server_close()
        self._thread.join(10)


@pytest.fixture
def hook() -> Iterator[Hook]:
    made = Hook()
    yield made
    made.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Give the files of a certificate for 127.0.0.1 that nobody trusts by himself, and of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("certificate")
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(private)
    return folder / "cert.pem", folder / "key.pem"


class OnAnyPort(Controller):
    """A controller that knows which port it was given, where it asked for any."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


class Post:
    """An SMTP server on loopback that keeps what it is given.

    `answers` are said to the next messages, `logins` to the next attempts to log in.
    """

    def __init__(
        self, certificate: tuple[Path, Path] | None = None, password: str | None = None, implicit: bool = False
    ) -> None:
        self.mails: list[Mail] = []
        self.answers: list[str] = []
        self.logins: list[str] = []
        self.encrypted: list[bool] = []
        options: dict[str, Any] = {}
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            if implicit:
                options |= {"ssl_context": context, "auth_require_tls": False}
            else:
                options |= {"tls_context": context, "require_starttls": True}
        if password is not None:

            def check(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
                if self.logins:
                    return AuthResult(success=False, handled=False, message=self.logins.pop(0))
                right = isinstance(data, LoginPassword) and data.password == password.encode()
                return AuthResult(success=right, handled=False)

            options |= {"authenticator": check, "auth_required": True}
        self._controller = OnAnyPort(self, hostname="127.0.0.1", port=0, **options)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.answers:
            return self.answers.pop(0)
        self.encrypted.append(server.transport.get_extra_info("ssl_object") is not None)
        self.mails.append(email.message_from_bytes(envelope.original_content))
        return "250 OK"

    def __enter__(self) -> Post:
        self._controller.start()
        self.port = self._controller.port
        return self

    def __exit__(self, *exc: object) -> None:
        self._controller.stop()


def mailed(post: Post, **more: Any) -> Alerts:
    given = {"server": f"127.0.0.1:{post.port}", "sender": "risk@example.org", "to": ("anna@example.org",)} | more
    return Alerts(mail=MailSettings(**given), tries=more.pop("tries", 3), seconds=5.0)


def test_a_webhook_gets_the_record(hook: Hook) -> None:
    place = Webhook(Alerts(), hook.address)
    place.start()
    place.put(notice(3))
    eventually(lambda: place.delivered == 1)
    assert hook.got == [("/alerts?key=secret", json.loads(RECORD), "risk-alerts-0-3")]
    place.end(5)


def test_a_webhook_is_tried_again_and_given_up(hook: Hook, caplog: pytest.LogCaptureFixture) -> None:
    hook.answers = [503, 204, 404]
    place = Webhook(Alerts(tries=2), hook.address)
    place.start()
    for number in range(3):
        place.put(notice(number))
    eventually(lambda: place.delivered == 2 and place.lost == 1)
    assert [key for _, _, key in hook.got] == [f"risk-alerts-0-{number}" for number in (0, 0, 1, 2)]
    place.end(5)
    assert "risk-alerts-0-1: it answers 404" in caplog.text
    assert "secret" not in caplog.text


def test_who_does_not_answer_holds_up_nobody_else(hook: Hook, caplog: pytest.LogCaptureFixture) -> None:
    hook.hold.clear()
    slow, quick = Webhook(Alerts(waiting=2), hook.address), Hook()
    try:
        other = Webhook(Alerts(), quick.address)
        for place in (slow, other):
            place.start()
        for number in range(6):
            slow.put(notice(number))
            other.put(notice(number))
        eventually(lambda: other.delivered == 6)
        assert not hook.got
        assert slow.lost in (3, 4)  # one is on its way (or not yet), two wait, the oldest of the others are dropped
        hook.hold.set()
        eventually(lambda: slow.delivered + slow.lost == 6)
        assert hook.got[-1][2] == "risk-alerts-0-5"
        for place in (slow, other):
            place.end(5)
    finally:
        quick.close()


def test_what_waits_at_the_end_is_given_one_more_try(unused_port: int, caplog: pytest.LogCaptureFixture) -> None:
    place = Webhook(Alerts(), f"http://127.0.0.1:{unused_port}/")
    place.start()
    place.put(notice())
    eventually(lambda: "tried again" in caplog.text)
    place.put(notice(1))
    place.end(5)
    assert caplog.text.count("ConnectError") == caplog.text.count("tried again") + 1
    assert place.lost == place.delivered == 0 and place.held() == {("risk-alerts", 0): 0}
    assert "not delivered before the end, but after the next start: from {('risk-alerts', 0): 0} on" in caplog.text


def test_what_waits_is_held_until_it_is_delivered_or_given_up(hook: Hook, caplog: pytest.LogCaptureFixture) -> None:
    hook.hold.clear()
    place = Webhook(Alerts(tries=1), hook.address)
    assert place.held() == {}
    for number in (3, 4, 5, 4):  # one comes again: it is delivered once
        place.put(notice(number))
    place.put(msgspec.structs.replace(notice(9), partition=1))
    place.start()
    assert place.held() == {("risk-alerts", 0): 3, ("risk-alerts", 1): 9}
    hook.hold.set()
    eventually(lambda: place.held() == {})
    assert [key for _, _, key in hook.got] == [f"risk-alerts-{place}" for place in ("0-3", "0-4", "0-5", "1-9")]
    hook.refuses = 503
    place.put(notice(10))
    eventually(lambda: place.held() == {})
    assert place.lost == 1 and "risk-alerts-0-10: it answers 503; tried 1 times" in caplog.text
    place.end(5)


def test_one_that_is_well_is_waited_for_when_many_come_at_once(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("barnabas_quant.delivery._PATIENCE", 60.0)
    place = Webhook(Alerts(waiting=2), hook.address)
    place.start()
    for number in range(50):
        place.put(notice(number))
    eventually(lambda: place.delivered == 50)
    assert place.lost == 0
    place.end(5)


@pytest.mark.filterwarnings("ignore:Requiring AUTH")  # aiosmtpd does not count TLS from the first byte
@pytest.mark.parametrize("tls", ["starttls", "tls", "off"])
def test_an_e_mail(tls: str, certificate: tuple[Path, Path]) -> None:
    secure = tls != "off"
    with Post(certificate if secure else None, "right" if secure else None, tls == "tls") as post:
        login = {"user": "u", "password": "right", "certificates": certificate[0]} if secure else {}
        (place,) = places(mailed(post, tls=tls, **login))
        place.put(notice(1, "critical\r\nBcc: all@example.org\nx"))
        place.put(notice(2))
        place.start()
        eventually(lambda: place.delivered == 2)
        place.end(5)
    (mail,) = post.mails  # all that waited, in one
    assert post.encrypted == [secure]
    assert mail["Subject"] == "critical Bcc: all@example.org x (and 1 more)" and mail["Bcc"] is None
    assert (mail["From"], mail["To"]) == ("risk@example.org", "anna@example.org")
    assert "text 1" in mail.get_payload() and "text 2" in mail.get_payload()


def lost_by(place: MailBox) -> Callable[[], bool]:
    place.start()
    place.put(notice())
    return lambda: place.lost == 1


@pytest.mark.filterwarnings("ignore:Requiring AUTH")
@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_wrong_password_and_a_stranger_s_certificate(
    tls: str, certificate: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    with Post(certificate, "right", tls == "tls") as post:
        login = {"user": "u", "password": "wrong", "certificates": certificate[0], "tls": tls}
        settings = mailed(post, **login)
        assert settings.mail is not None
        place = MailBox(settings, settings.mail)
        eventually(lost_by(place))
        place.end(5)
        assert "SMTPAuthenticationError" in caplog.text and "tried" not in caplog.text
        settings = mailed(post, user="u", password="right", tls=tls)  # the system does not trust this server
        assert settings.mail is not None
        place = MailBox(msgspec.structs.replace(settings, tries=1), settings.mail)
        eventually(lost_by(place))
        place.end(5)
    assert not post.mails and "CERTIFICATE_VERIFY_FAILED" in caplog.text


def test_a_server_that_is_busy_is_tried_again_and_one_that_refuses_is_not(caplog: pytest.LogCaptureFixture) -> None:
    with Post() as post:
        post.answers = ["451 busy", "554 no"]
        (place,) = places(mailed(post, tls="off"))
        place.start()
        place.put(notice(1))
        eventually(lambda: place.lost == 1)  # tried again after 451, refused by 554
        place.put(notice(2))
        eventually(lambda: place.delivered == 1)
        place.end(5)
    assert "tried again" in caplog.text and "risk-alerts-0-1: SMTPDataError" in caplog.text


@pytest.mark.filterwarnings("ignore:Requiring AUTH")
def test_a_login_that_fails_for_now_is_tried_again(
    certificate: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    with Post(certificate, "right", implicit=True) as post:
        post.logins = ["454 4.7.0 Temporary authentication failure"] * 2  # to PLAIN and to LOGIN
        (place,) = places(mailed(post, tls="tls", user="u", password="right", certificates=certificate[0]))
        place.start()
        place.put(notice())
        eventually(lambda: place.delivered + place.lost == 1)
        place.end(5)
    assert (len(post.mails), place.lost, post.logins) == (1, 0, [])
    assert "SMTPAuthenticationError: (454" in caplog.text and "tried again" in caplog.text


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"webhooks": ["ftp://x/"]}, "http"),
        ({"webhooks": ["http://[::1"]}, "webhooks"),
        ({"mail": {"server": "nowhere", "sender": "a@b", "to": ["c@d"]}}, "mail"),
        ({"mail": {"server": "h:25", "sender": "a@b\nBcc: x@y", "to": ["c@d"]}}, "mail"),
        ({"mail": {"server": "h:25", "sender": "a@b", "to": []}}, "at least one"),
        ({"mail": {"server": "h:25", "sender": "a@b", "to": ["c@d"], "user": "u"}}, "belong together"),
        (
            {"mail": {"server": "h:25", "sender": "a@b", "to": ["c@d"], "user": "u", "password": "p", "tls": "off"}},
            "clear",
        ),
    ],
)
def test_settings_that_are_wrong_are_said_at_once(given: dict[str, Any], said: str) -> None:
    with pytest.raises((msgspec.ValidationError, QuantError), match=said):
        places(msgspec.convert(given, Alerts))


def test_the_service_delivers_what_the_topic_holds(
    own_kafka: str, hook: Hook, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    stop, status = threading.Event(), Status()
    letters = DeadLetters(own_kafka, "alerts")
    settings = Settings(kafka=own_kafka, alerts=Alerts(webhooks=(hook.address,), level="critical"))
    thread = threading.Thread(target=AlertService(Context(settings, stop, status, letters)).run)
    thread.start()
    try:
        producer = Producer({"bootstrap.servers": own_kafka})
        warning = msgspec.json.encode(msgspec.structs.replace(ALERT, level="warning", rule="stale"))
        for value in (b"", b"no JSON", b'{"seq":"x"}', b"\xff" * 40, warning, RECORD):
            producer.produce("risk-alerts", value, partition=0)
        assert producer.flush(20) == 0
        eventually(lambda: len(hook.got) == 1)
        eventually(lambda: status.records == 6)
    finally:
        stop.set()
        thread.join(60)
    assert not thread.is_alive()
    assert hook.got[0][1:] == (json.loads(RECORD), "risk-alerts-0-5")
    assert status.errors == 4
    assert "warning stale fired: sse:600000" in caplog.text and "critical stop_loss fired" in caplog.text
    assert len(list(read_records(own_kafka, {"market_data.dead_letters": 1}))) == 4


# Killed

SETTINGS = """
[alerts]
webhooks = ["{}", "{}"]
tries = 20
"""


def alerts(kafka: str, *numbers: int) -> None:
    tell(kafka, "risk-alerts", *(msgspec.json.encode(msgspec.structs.replace(ALERT, seq=n)) for n in numbers))


def keys(*offsets: int) -> list[str]:
    return [f"risk-alerts-0-{offset}" for offset in offsets]


def got(hook: Hook) -> list[str]:
    return [key for _, _, key in hook.got]


class Committed:
    """Tell what groups have committed."""

    def __init__(self, kafka: str) -> None:
        self._kafka = kafka

    def __call__(self, group: str) -> int:
        consumer = Consumer({"bootstrap.servers": self._kafka, "group.id": group})
        try:
            return int(consumer.committed([TopicPartition("risk-alerts", 0)], timeout=20)[0].offset)
        finally:
            consumer.close()


@pytest.mark.long
def test_what_waits_for_a_place_that_is_down_survives_a_sigkill(tmp_path: Path, own_kafka: str, hook: Hook) -> None:
    down, well, committed = hook, Hook(), Committed(own_kafka)
    down.refuses = 503
    group = f"alerts-{Webhook(Alerts(), well.address).key}"
    running = Running(tmp_path, own_kafka, "alerts", SETTINGS.format(down.address, well.address))
    try:
        alerts(own_kafka, *range(5))
        eventually(lambda: got(well) == keys(*range(5)) and bool(down.refused))
        eventually(lambda: committed(group) == 5 and committed("alerts") == 0)
        running.kill()
        alerts(own_kafka, 5)  # while nobody is there
        running.start()
        eventually(lambda: got(well) == keys(*range(6)))  # what it has got it does not get again
        eventually(lambda: committed(group) == 6)
        running.kill()
        assert committed("alerts") == 0 and set(down.refused) == set(keys(0))
        down.refuses = 0
        running.start()
        eventually(lambda: got(down) == keys(*range(6)))
        assert [body["seq"] for _, body, _ in down.got] == list(range(6))
        eventually(lambda: committed("alerts") == 6)
        alerts(own_kafka, 6)
        eventually(lambda: got(down) == got(well) == keys(*range(7)))
        running.end()
        assert committed("alerts") == committed(group) == 7
    finally:
        running.kill()
        well.close()
    assert "not delivered" not in running.log.read_text()


def test_an_end_keeps_what_waits_and_what_is_given_up_is_passed(tmp_path: Path, own_kafka: str, hook: Hook) -> None:
    committed = Committed(own_kafka)
    hook.refuses = 503
    settings = f'[alerts]\nwebhooks = ["{hook.address}"]\n'
    running = Running(tmp_path, own_kafka, "alerts", settings)
    try:
        alerts(own_kafka, 0, 1)
        eventually(lambda: bool(hook.refused))
        running.end()
        assert committed("alerts") == 0
        assert "after the next start" in running.log.read_text()
        hook.refuses = 404  # for good
        running.start()
        eventually(lambda: committed("alerts") == 2)
        running.end()
    finally:
        running.kill()
    assert "not delivered: risk-alerts-0-0: it answers 404" in running.log.read_text()
    assert hook.refused[-2:] == keys(0, 1)


def test_positions_in_a_topic_that_is_another_one_now_count_for_nothing(own_kafka: str, hook: Hook) -> None:
    progress = Progress(own_kafka, "alerts-x")
    progress.write({("risk-alerts", 0): 7}, wait=True)
    progress.close()
    for end, known in ((6, False), (7, True)):
        alerts(own_kafka, *range(6 if end == 6 else 1))
        progress = Progress(own_kafka, "alerts-x")
        progress.read([TopicPartition("risk-alerts", 0, 0)])
        assert [progress.has(notice(offset)) for offset in (0, 6, 7)] == [known, known, False]
        progress.close()
    progress = Progress(own_kafka, "alerts-x")
    progress.read([TopicPartition("risk-alerts", 0, -1001)])  # the service itself begins anew
    assert not progress.has(notice(0))
    progress.close()
