"""Several gateways on one Kafka: all know every user, one writes, and the next one does when that is gone."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from barnabas_quant.bus import ensure_topics

from ..conftest import eventually
from ..stores import Valkey
from .common import GatewayProcess, events_of, told

pytestmark = pytest.mark.long


@contextmanager
def running(folder: Path, kafka: str, valkey: Valkey) -> Iterator[GatewayProcess]:
    gateway = GatewayProcess(folder, kafka, valkey.url)
    try:
        yield gateway
        if gateway.process.poll() is None:
            gateway.end()
    finally:
        gateway.kill()


def test_one_writes_and_all_know(tmp_path: Path, kafka: str, valkey: Valkey) -> None:
    with running(tmp_path, kafka, valkey) as first:
        eventually(first.writes)
        with running(tmp_path, kafka, valkey) as second:
            assert first.writes()
            browser = first.client()
            assert browser.register("shared").status_code == 201
            elsewhere = second.client(Cookie=f"barnabas_session={browser.cookies['barnabas_session']}")
            eventually(lambda: elsewhere.who() == (200, "shared"))
            assert second.client().sign_in("shared").status_code == 200

            refused = second.client().register("other")
            assert (refused.status_code, refused.json()["error"]) == (503, "unavailable")
            assert "another gateway writes accounts" in refused.json()["message"]
            for method, path, body in (
                ("POST", "me/keys", {"name": "k"}), ("DELETE", "me/keys/x", {}), ("DELETE", "me", {}),
                ("PUT", "me/password", {"password": "correct horse battery", "new": "another one"}),
            ):  # fmt: skip
                assert elsewhere.request(method, path, json=body).status_code == 503, path
            assert [key for key, _ in told(kafka, "accounts")] == ["shared"]

            key = browser.post("me/keys", json={"name": "k"}).json()["key"]
            robot = second.client(Authorization=f"Bearer {key}")
            eventually(lambda: robot.who() == (200, "shared"))

            first.kill()
            eventually(second.writes)
            assert second.client().register("other").status_code == 201
            assert second.client().register("shared").status_code == 409
            assert robot.who() == (200, "shared")

            first.start()  # the one that has it keeps it
            assert first.client().sign_in("other").status_code == 200
            assert first.client().register("third").status_code == 503
            second.end()
            eventually(first.writes)
            assert first.client().register("third").status_code == 201
    assert [key for key, _ in told(kafka, "accounts")] == ["shared", "shared", "other", "third"]


def test_one_that_was_held_up_writes_no_more(tmp_path: Path, kafka: str, valkey: Valkey) -> None:
    with running(tmp_path, kafka, valkey) as first, running(tmp_path, kafka, valkey) as second:
        eventually(first.writes)
        first.process.send_signal(signal.SIGSTOP)
        try:
            eventually(second.writes)
            assert second.client().register("meanwhile").status_code == 201
            body = b'{"user":"meanwhile.too","password":"correct horse battery"}'
            with socket.create_connection(("127.0.0.1", first.port), 60) as connection:
                connection.sendall(  # it finds this when it comes to itself
                    b"POST /api/v1/users HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
                )
                first.process.send_signal(signal.SIGCONT)
                assert connection.recv(1000).startswith(b"HTTP/1.1 503 ")
        finally:
            first.process.send_signal(signal.SIGCONT)
        # Failed ones would count: it has read of the user before anybody signs in.
        eventually(lambda: b'"meanwhile"' in first.client(**first.operator()).get("users").content)
        assert first.client().sign_in("meanwhile").status_code == 200
        assert not first.writes()
        assert second.writes()


def test_without_kafka_users_still_sign_in(tmp_path: Path, valkey: Valkey) -> None:
    embedded = pytest.importorskip("barnabas.embedded", reason="the package barnabas is not installed")
    with embedded.Broker() as broker:
        ensure_topics(broker.bootstrap)
        gateway = GatewayProcess(tmp_path, broker.bootstrap, valkey.url)
        try:
            eventually(gateway.writes)
            assert gateway.client().register("early").status_code == 201
            events_of(broker.bootstrap, "early", "registration")
        except BaseException:
            gateway.kill()
            raise
    try:
        browser = gateway.client()
        assert browser.sign_in("early").status_code == 200
        assert browser.who() == (200, "early")
        refused = gateway.client().register("late")
        assert (refused.status_code, refused.json()["error"]) == (503, "unavailable")
        eventually(lambda: "user-events: Kafka takes no events; 1 wait for it" in gateway.log.read_text())
        gateway.process.terminate()
        gateway.process.wait(60)
        assert "user-events: 1 events are lost" in gateway.log.read_text()
    finally:
        gateway.kill()
