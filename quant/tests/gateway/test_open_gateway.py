"""An open gateway: whoever is on this machine is an owner, and no page of another site is."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from barnabas_quant.gateway.identity import is_open
from barnabas_quant.settings import Gateway, Settings

from ..conftest import eventually
from ..stores import Valkey
from .common import PASSWORD, Browser, GatewayProcess, events_of


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, kafka: str, valkey: Valkey) -> Iterator[GatewayProcess]:
    running = GatewayProcess(tmp_path_factory.mktemp("open"), kafka, valkey.url, "registration = false")
    try:
        eventually(running.writes)
        yield running
        running.end()
    finally:
        running.kill()


def test_whoever_is_on_this_machine_is_an_owner(gateway: GatewayProcess) -> None:
    for host in ("localhost", "127.0.0.1", "[::1]", "LOCALHOST"):
        for port in ("", f":{gateway.port}"):
            asked = httpx.get(f"{gateway.url}/api/v1/me", headers={"Host": host + port}, timeout=15)
            assert asked.json() == {"user": "main", "account": "main", "role": "owner", "open": True}, host
    assert httpx.get(f"{gateway.url}/api/v1/users", timeout=15).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"}, {"Host": "evil.example:8000"}, {"Host": "localhost.evil.example"}, {"Host": ""},
        {"Host": "127.0.0.2"}, {"Host": "evil@localhost"}, {"Host": "localhost/x"}, {"Host": "[::2]"}, {"Host": "[x"},
        {"X-Forwarded-For": "192.0.2.1"}, {"X-Forwarded-For": "127.0.0.1"}, {"X-Real-IP": "127.0.0.1"},
        {"Forwarded": "for=127.0.0.1"}, {"Via": "1.1 x"}, {"X-Forwarded-Proto": "https"},
        {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer bq_0_0"}, {"Authorization": "x"},
    ],
)  # fmt: skip
def test_who_only_says_so_is_not(gateway: GatewayProcess, headers: dict[str, str]) -> None:
    asked = httpx.get(f"{gateway.url}/api/v1/me", headers=headers, timeout=15)
    assert (asked.status_code, asked.json()["error"]) == (401, "unauthorized")
    made = httpx.post(
        f"{gateway.url}/api/v1/users", json={"user": "intruder", "password": PASSWORD}, headers=headers, timeout=15
    )
    assert made.status_code in (401, 403)
    assert not any(b"intruder" in text for text in httpx.get(f"{gateway.url}/api/v1/users").iter_bytes())


def test_a_page_of_another_site_changes_nothing(gateway: GatewayProcess) -> None:
    body = {"user": "intruder", "password": PASSWORD}
    for origin in ("http://evil.example", "null", "http://localhost:1", "https://localhost.evil.example"):
        for method, path in (("POST", "users"), ("DELETE", "users/x"), ("PUT", "users/x/password")):
            response = httpx.request(
                method, f"{gateway.url}/api/v1/{path}", json=body, headers={"Origin": origin}, timeout=15
            )
            assert (response.status_code, response.json()["error"]) == (403, "forbidden"), (origin, method)
    sent = httpx.post(
        f"{gateway.url}/api/v1/users", content=b'{"user":"intruder","password":"12345678"}',
        headers={"Content-Type": "text/plain"}, timeout=15,
    )  # fmt: skip
    assert sent.status_code == 403
    assert httpx.get(f"{gateway.url}/api/v1/users", timeout=15).json()["users"] == []


def test_who_signs_in_is_that_user_and_out_again_an_owner(gateway: GatewayProcess, kafka: str) -> None:
    browser = Browser(gateway.url, {"Origin": gateway.url})
    assert browser.register("guest").status_code == 201  # `registration = false`, and an owner asks
    assert browser.who() == (200, "guest")
    assert browser.get("users").status_code == 403
    assert browser.delete("session").status_code == 204
    assert browser.who() == (200, "main")
    assert [event["event"] for event in events_of(kafka, "guest", "logout")] == ["registration", "logout"]
    assert browser.sign_in("guest").status_code == 200
    elsewhere = Browser(gateway.url, {"Cookie": f"barnabas_session={browser.cookies['barnabas_session']}"})
    assert elsewhere.delete("session").status_code == 204
    # Not an owner all at once, whatever the page sends, until it has asked who it is now.
    assert browser.post("users", json={"user": "x", "password": PASSWORD, "role": "owner"}).status_code == 403
    for _ in range(2):
        assert browser.put("users/guest/password", json={"new": PASSWORD}).status_code == 401
        assert browser.who() == (401, "unauthorized")
    assert browser.get("session").json()["me"]["user"] == "main"
    assert browser.who() == (200, "main")
    outside = gateway.client()
    assert outside.register("stranger").status_code == 403
    assert outside.sign_in("guest").status_code == 200
    assert outside.who() == (200, "guest")
    assert browser.delete("users/guest").status_code == 204


def test_what_is_meant_for_one_user_is_not_done_for_another(gateway: GatewayProcess) -> None:
    browser = Browser(gateway.url, {"Origin": gateway.url})
    assert browser.register("meant").status_code == 201
    meant = {"Barnabas-User": "meant"}
    assert browser.get("me", headers=meant).json()["user"] == "meant"
    assert browser.delete("session").status_code == 204  # in another tab, where `main` is who is on this machine
    assert browser.who() == (200, "main")
    for method, path, body in (
        ("GET", "portfolio", None), ("POST", "users", {"user": "x", "password": PASSWORD, "role": "owner"}),
        ("PUT", "users/meant/password", {"new": PASSWORD}), ("DELETE", "users/meant", None),
    ):  # fmt: skip
        refused = browser.request(method, path, json=body, headers=meant)
        assert (refused.status_code, refused.json()["error"]) == (401, "unauthorized"), path
        assert "meant for meant, and main asks" in refused.json()["message"]
    users = browser.get("users", headers={"Barnabas-User": "main"}).json()["users"]
    assert {"meant", "x"} & {user["user"] for user in users} == {"meant"}
    assert browser.delete("users/meant").status_code == 204


@pytest.mark.parametrize(
    ("listen", "given", "is_"),
    [
        ("localhost:8000", None, True), ("127.0.0.1:1", None, True), ("127.8.8.8:1", None, True),
        ("0.0.0.0:8000", None, False), ("192.168.0.5:8000", None, False), ("gateway:8000", None, False),
        ("[::1]:8000", None, True), ("[::]:8000", None, False), ("localhost.example:1", None, False),
        ("localhost:8000", False, False), ("0.0.0.0:8000", True, True),
    ],
)  # fmt: skip
def test_when_a_gateway_is_open(listen: str, given: bool | None, is_: bool) -> None:
    assert is_open(Settings(gateway_listen=listen, gateway=Gateway(open=given))) is is_
