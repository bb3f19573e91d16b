"""Users as they meet the gateway over HTTP, and what is left of it in Kafka, in Redis and in the log."""

from __future__ import annotations

import re
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import redis
from confluent_kafka import Producer

from ..conftest import eventually
from ..stores import Valkey
from .common import PASSWORD, Browser, GatewayProcess, events_of, told


def test_a_life(closed: GatewayProcess, kafka: str) -> None:
    browser, other = closed.client("192.0.2.10", **{"User-Agent": "walk/1 " + "x" * 300}), closed.client("192.0.2.10")
    assert browser.who() == (401, "unauthorized")
    assert browser.get("me").headers["www-authenticate"] == "Bearer"
    assert (browser.get("session").status_code, browser.get("session").json()) == (200, {"me": None})

    made = browser.register("Li.Lei")
    assert (made.status_code, made.json()) == (
        201, {"user": "li.lei", "account": "li.lei", "role": "user", "open": False},
    )  # fmt: skip
    cookie = made.headers["set-cookie"]
    assert re.fullmatch(r"barnabas_session=[\w-]{43}; HttpOnly; Max-Age=604800; Path=/; SameSite=strict", cookie)
    assert made.headers["cache-control"] == "no-store"
    assert browser.who() == (200, "li.lei")
    assert browser.get("session").json() == {"me": made.json()}
    assert other.register("li.lei").status_code == 409
    assert (browser.get("users").status_code, browser.delete("users/li.lei").status_code) == (403, 403)

    fresh = browser.post("me/keys", json={"name": " robot "})
    assert fresh.status_code == 201
    id, key = fresh.json()["id"], fresh.json()["key"]
    assert key.startswith(f"bq_{id}_")
    robot = closed.client(Authorization=f"Bearer {key}")
    assert robot.who() == (200, "li.lei")
    assert robot.get("me/keys").json() == {"keys": [{"id": id, "name": "robot", "created": fresh.json()["created"]}]}
    assert robot.post("me/keys", json={"name": "second"}).status_code == 403
    assert robot.put("me/password", json={"password": PASSWORD, "new": PASSWORD}).status_code == 403
    assert robot.delete("me").status_code == 403
    for wrong in (key + "x", key[:-1], f"bq_{id}_", f"bq_000000000000_{key[16:]}", "bq_", "x"):
        assert closed.client(Authorization=f"Bearer {wrong}").who() == (401, "unauthorized")
    assert closed.client(Authorization=f"Basic {key}").who() == (401, "unauthorized")
    assert closed.client(Authorization=f"Bearer {key}x").register("somebody.else").status_code == 401
    assert browser.delete("me/keys/000000000000").status_code == 404
    assert browser.delete(f"me/keys/{id}").status_code == 204
    assert robot.who() == (401, "unauthorized")

    assert other.sign_in("LI.LEI").status_code == 200
    assert browser.put("me/password", json={"password": "a wrong one", "new": "another one"}).status_code == 401
    assert browser.put("me/password", json={"password": PASSWORD, "new": "short"}).status_code == 400
    assert browser.put("me/password", json={"password": PASSWORD, "new": "another one"}).status_code == 204
    assert browser.who() == (200, "li.lei")
    assert other.who() == (401, "unauthorized")
    unknown, wrong_one = other.sign_in("li.lei.x"), other.sign_in("li.lei", PASSWORD)
    assert unknown.status_code == wrong_one.status_code == 401
    assert unknown.json() == wrong_one.json()

    stolen = browser.cookies["barnabas_session"]
    assert browser.delete("session").status_code == 204
    assert browser.who() == (401, "unauthorized")
    assert closed.client(Cookie=f"barnabas_session={stolen}").who() == (401, "unauthorized")
    ended = closed.client(Cookie=f"barnabas_session={stolen}").get("session")
    assert (ended.status_code, ended.json()) == (200, {"me": None})
    assert "Max-Age=0" in ended.headers["set-cookie"]
    assert browser.delete("session").status_code == 204
    assert browser.sign_in("li.lei", "another one").status_code == 200
    assert browser.delete("me").status_code == 204
    assert (browser.who()[0], browser.sign_in("li.lei", "another one").status_code) == (401, 401)

    events = events_of(kafka, "li.lei", "user-removed")
    assert [event["event"] for event in events] == [
        "registration", "key-created", "key-revoked", "login", "login-failed", "password-changed", "login-failed",
        "logout", "login", "user-removed",
    ]  # fmt: skip
    first = events[0]["attributes"]
    assert (first["address"], first["agent"]) == ("192.0.2.10", "walk/1 " + "x" * 193)
    assert re.fullmatch("[0-9a-f]{8}", first["session"])
    assert not [key for key, _ in told(kafka, "user-events") if key == "li.lei.x"]


def test_the_name_of_a_removed_user_is_given_to_nobody(closed: GatewayProcess, kafka: str) -> None:
    first, second = closed.client("192.0.2.11"), closed.client("192.0.2.12")
    assert first.register("heir").status_code == 201
    key = first.post("me/keys", json={"name": "k"}).json()["key"]
    kept = first.cookies["barnabas_session"]
    assert first.delete("me").status_code == 204
    refused = second.register("heir", "the password of another")
    assert refused.status_code == 409 and refused.json()["message"] == "the name heir is taken"
    assert second.sign_in("heir").status_code == 401
    assert closed.client(Cookie=f"barnabas_session={kept}").who()[0] == 401
    assert closed.client(Authorization=f"Bearer {key}").who()[0] == 401
    left = [record for name, record in told(kafka, "accounts") if name == "heir"][-1]
    assert left["removed"] and left["password"] == "" and left["keys"] == []


def test_no_secret_is_anywhere(closed: GatewayProcess, kafka: str, valkey: Valkey) -> None:
    browser = closed.client("192.0.2.13")
    secrets = ["a first secret word", "a second secret word", "a wrong secret word"]
    browser.register("keeper", secrets[0])
    secrets.append(browser.cookies["barnabas_session"])
    fresh = browser.post("me/keys", json={"name": "k"}).json()["key"]
    closed.client(Authorization=f"Bearer {fresh}").get("me")
    browser.put("me/password", json={"password": secrets[2], "new": secrets[1]})
    browser.put("me/password", json={"password": secrets[0], "new": secrets[1]})
    secrets.append(browser.cookies["barnabas_session"])
    browser.sign_in("keeper", secrets[2])
    browser.sign_in(secrets[0], secrets[0])
    browser.sign_in("keeper", secrets[1])
    browser.get("me/keys")
    operator = Browser(closed.url, closed.operator())
    operator.get("users")
    operator.put("users/keeper/password", json={"new": secrets[0]})
    browser.delete("me/keys/x")
    secrets += [fresh.split("_", 2)[2], fresh, closed.token_file.read_text().strip()]
    events = events_of(kafka, "keeper", "login")
    with redis.Redis.from_url(valkey.url) as held:
        in_redis = [part for key in held.keys("session:*") for part in (key, held.get(key) or b"")]
    accounts = told(kafka, "accounts")
    (hashed,) = {record["password"] for key, record in accounts[-1:] if record}
    places = {
        "user-events": [repr(told(kafka, "user-events")).encode()],
        "accounts": [repr(accounts).encode()],
        "redis": in_redis,
        "log": [closed.log.read_bytes()],
        "answers": [text for text in (*browser.received, *operator.received) if b'"key":"bq_' not in text],
    }
    assert hashed.startswith("$argon2id$v=19$")
    assert in_redis
    assert len(events) >= 5
    for place, texts in places.items():
        assert texts, place
        for secret in (*secrets, *([] if place == "accounts" else [hashed, "$argon2"])):
            assert not any(secret.encode() in text for text in texts), (place, secret)


def test_owners_and_the_operator(closed: GatewayProcess, kafka: str) -> None:
    operator = Browser(closed.url, closed.operator())
    assert operator.get("me").json() == {"user": "operator", "account": "main", "role": "owner", "open": False}
    assert stat.S_IMODE(closed.token_file.stat().st_mode) == 0o600
    assert operator.get("me/keys").status_code == 403
    anybody = closed.client("192.0.2.14")
    assert anybody.register("boss", role="owner").status_code == 403
    made = operator.register("boss", role="owner")
    assert made.status_code == 201
    assert "set-cookie" not in made.headers
    boss = closed.client("192.0.2.15")
    assert boss.sign_in("boss").json() == {"user": "boss", "account": "main", "role": "owner", "open": False}
    assert boss.register("hand").status_code == 201
    assert boss.who() == (200, "boss")
    hand = closed.client("192.0.2.16")
    assert hand.sign_in("hand").status_code == 200
    listed = {user["user"]: user for user in boss.get("users").json()["users"]}
    assert (listed["boss"]["role"], listed["hand"]["role"], listed["hand"]["keys"]) == ("owner", "user", 0)
    assert set(listed["hand"]) == {"user", "role", "created", "keys"}
    assert boss.put("users/hand/password", json={"new": "given by the boss"}).status_code == 204
    assert hand.who()[0] == 401
    assert hand.sign_in("hand", "given by the boss").status_code == 200
    assert hand.put("users/boss/password", json={"new": "given by the hand"}).status_code == 403
    assert boss.delete("users/hand").status_code == 204
    assert (hand.who()[0], boss.delete("users/hand").status_code) == (401, 404)
    by = [event["attributes"].get("by") for event in events_of(kafka, "hand", "user-removed")]
    assert by == ["boss", None, "boss", None, "boss"]


def test_of_many_registrations_of_one_name_one_wins(closed: GatewayProcess, kafka: str) -> None:
    clients = [closed.client("192.0.2.17") for _ in range(6)]
    with ThreadPoolExecutor(len(clients)) as pool:
        answers = list(pool.map(lambda n: clients[n].register("race", f"{PASSWORD} {n}"), range(len(clients))))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 5
    winner = next(n for n, answer in enumerate(answers) if answer.status_code == 201)
    assert clients[winner].who() == (200, "race")
    assert [client.who()[0] for client in clients].count(200) == 1
    assert len([key for key, _ in told(kafka, "accounts") if key == "race"]) == 1
    assert closed.client("192.0.2.18").sign_in("race", f"{PASSWORD} {winner}").status_code == 200


def test_users_and_sessions_outlive_the_gateway(closed: GatewayProcess) -> None:
    browser = closed.client("192.0.2.19")
    assert browser.register("stays").status_code == 201
    token = closed.token_file.read_text()
    for end in (closed.end, closed.kill):
        end()
        closed.start()
        assert browser.who() == (200, "stays")
        assert closed.client("192.0.2.20").sign_in("stays").status_code == 200
        assert closed.token_file.read_text() == token
    eventually(closed.writes)
    assert browser.post("me/keys", json={"name": "after"}).status_code == 201


def test_a_session_lives_on_while_it_is_used(closed: GatewayProcess, valkey: Valkey) -> None:
    browser = closed.client("192.0.2.21")
    assert browser.register("lasting").status_code == 201
    with redis.Redis.from_url(valkey.url) as held:
        mine: list[Any] = [key for key in held.keys("session:*") if b"lasting" in (held.get(key) or b"")]
        assert len(mine) == 1
        assert 604_000 < held.ttl(mine[0]) <= 604_800
        held.expire(mine[0], 1000)
        assert browser.who() == (200, "lasting")
        assert held.ttl(mine[0]) > 604_000
        for spoilt in (b"", b"{", b'{"user":"lasting"}', b"[]"):
            held.set(mine[0], spoilt)
            assert browser.who() == (401, "unauthorized")


def test_without_redis_it_says_so_and_keys_still_work(closed: GatewayProcess, valkey: Valkey) -> None:
    browser = closed.client("192.0.2.22")
    assert browser.register("patient").status_code == 201
    robot = closed.client(Authorization=f"Bearer {browser.post('me/keys', json={'name': 'k'}).json()['key']}")
    valkey.kill()
    try:
        for response in (browser.get("me"), browser.sign_in("patient"), closed.client().register("nobody.yet")):
            assert (response.status_code, response.json()["error"]) == (503, "unavailable")
            assert "Redis" in response.json()["message"]
        assert robot.who() == (200, "patient")
    finally:
        valkey.start()
    assert browser.sign_in("patient").status_code == 200
    assert browser.who() == (200, "patient")
    assert closed.client().register("nobody.yet").status_code == 201  # it was not made when it could not be said


@pytest.mark.parametrize("user", ["a", "1abc", "main", "Operator", "a" * 33, "böse", "a b", "../x", "", "a\n", "-ab"])
def test_names_that_are_none(closed: GatewayProcess, user: str) -> None:
    response = closed.client("192.0.2.23").register(user)
    assert (response.status_code, response.json()["error"]) == (400, "bad_request")


@pytest.mark.parametrize("password", ["1234567", "x" * 201])
def test_passwords_that_are_none(closed: GatewayProcess, password: str) -> None:
    response = closed.client("192.0.2.23").register("somebody", password)
    assert (response.status_code, response.json()["message"]) == (400, "a password has 8 to 200 characters")


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b'"x"', b"{}", b'{"user":"x"}', b'{"user":"abc","password":"12345678","more":1}',
        b'{"user":["abc"],"password":"12345678"}', b'{"user":"abc","password":12345678}', b"[" * 10_000,
        b'{"user":"abc","password":"\xff\xff\xff\xff\xff\xff\xff\xff"}', b'{"user":"abc","password":"\\ud800aaaaaaa"}',
        b'{"user":"abc","password":"' + b"x" * 16_384 + b'"}', b'{"user":"abc","password":"12345678","role":"king"}',
        b'{"user":"abc","password":"12345678"} {}', b'{"user":null,"password":null}',
    ],
)  # fmt: skip
def test_hostile_bodies(closed: GatewayProcess, body: bytes) -> None:
    client = closed.client("192.0.2.24", **{"Content-Type": "application/json"})
    for method, path in (("POST", "users"), ("POST", "session"), ("PUT", "users/nobody/password")):
        if path != "users":
            body = body.replace(b',"role":"king"', b',"role":"owner"')
        headers = closed.operator() if method == "PUT" else {}
        response = client.request(method, path, content=body, headers=headers)
        assert (response.status_code, response.json()["error"]) == (400, "bad_request"), (path, response.text)
        assert response.json()["message"]
    assert closed.client("192.0.2.24").who()[0] == 401


def test_a_chunked_body_is_bounded_too(closed: GatewayProcess) -> None:
    client = closed.client("192.0.2.24", **{"Content-Type": "application/json"})
    response = client.post("session", content=iter([b'{"user":"'] + [b"x" * 1000] * 40))
    assert response.status_code == 400


def test_what_another_site_makes_a_browser_send_is_refused(closed: GatewayProcess) -> None:
    browser = closed.client("192.0.2.25")
    assert browser.register("clicker").status_code == 201
    own = f"http://127.0.0.1:{closed.port}"
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1", f"{own}.evil.example", "http://", "x", ""):
        for method, path in (("POST", "me/keys"), ("DELETE", "me"), ("POST", "session"), ("DELETE", "session"),
                             ("POST", "users")):  # fmt: skip
            response = browser.request(method, path, json={"name": "k"}, headers={"Origin": origin})
            assert (response.status_code, response.json()["error"]) == (403, "forbidden"), (origin, method, path)
    nowhere = {"Origin": "null", "Host": "[x"}  # neither says a place
    assert browser.post("me/keys", json={"name": "k"}, headers=nowhere).status_code == 403
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "text/application/json"):
        response = browser.post("me/keys", content=b'{"name":"k"}', headers={"Content-Type": kind})
        assert response.status_code == 403, kind
    assert browser.get("me/keys").json() == {"keys": []}
    mine = browser.post("me/keys", json={"name": "k"}, headers={"Origin": own})
    assert mine.status_code == 201
    with_charset = {"Content-Type": "Application/JSON; charset=utf-8"}
    assert browser.post("me/keys", content=b'{"name":"k"}', headers=with_charset).status_code == 201
    # Behind a proxy that ends TLS.
    over = {"X-Forwarded-Proto": "https", "Host": "trade.example", "Origin": "https://trade.example"}
    assert "; Secure" in closed.client(**over).sign_in("clicker").headers["set-cookie"]


@pytest.mark.long
def test_failed_sign_ins_are_held_up(closed: GatewayProcess) -> None:
    for user in ("target", "bystander"):
        assert closed.client("192.0.2.26").register(user).status_code == 201
    for name in ("target", "no.such.user"):
        tries = [closed.client(f"192.0.2.{n}").sign_in(name, "a wrong one").status_code for n in range(30, 36)]
        assert tries == [401] * 5 + [429], name
    held_up = closed.client("192.0.2.36").sign_in("TARGET")
    assert held_up.status_code == 429
    assert 1 <= int(held_up.headers["retry-after"]) <= 60
    assert closed.client("192.0.2.30").sign_in("bystander").status_code == 200
    for n in range(20):
        assert closed.client("192.0.2.40").sign_in(f"name{n}", "a wrong one").status_code == 401
    assert closed.client("192.0.2.40").sign_in("bystander").status_code == 429
    for _ in range(8):  # who is let in may come as often as he likes
        assert closed.client("192.0.2.41").sign_in("bystander").status_code == 200


def test_tries_at_once_are_not_one_try(closed: GatewayProcess) -> None:
    assert closed.client("192.0.2.42").register("besieged").status_code == 201
    clients = [closed.client(f"192.0.2.{n}") for n in range(50, 62)]
    with ThreadPoolExecutor(len(clients)) as pool:
        answers = list(pool.map(lambda client: client.sign_in("besieged", "a wrong one").status_code, clients))
    assert sorted(answers) == [401] * 5 + [429] * 7


@pytest.mark.long
def test_new_users_from_one_address_are_held_up(closed: GatewayProcess) -> None:
    client = closed.client("192.0.2.48")
    made = [client.register(f"crowd{n}", "short" if n < 5 else PASSWORD).status_code for n in range(26)]
    assert made == [400] * 5 + [201] * 20 + [429]
    assert Browser(closed.url, closed.operator()).register("crowd25").status_code == 201


def test_a_user_whom_nobody_knows_takes_as_long(closed: GatewayProcess) -> None:
    assert closed.client("192.0.2.43").register("slow").status_code == 201

    clients = {"no.such.slow": closed.client("192.0.2.44"), "slow": closed.client("192.0.2.45")}
    spent: dict[str, list[float]] = {user: [] for user in clients}
    for _ in range(4):
        for user, client in clients.items():  # in turn: what else the machine does holds up both
            begun = time.perf_counter()
            assert client.sign_in(user, "a wrong one").status_code == 401
            spent[user].append(time.perf_counter() - begun)
    assert min(spent["no.such.slow"]) > min(spent["slow"]) / 3


def test_records_that_are_no_accounts_change_nothing(closed: GatewayProcess, kafka: str) -> None:
    browser = closed.client("192.0.2.46")
    assert browser.register("steady").status_code == 201
    (good,) = [record for key, record in told(kafka, "accounts") if key == "steady"]
    producer, refused = Producer({"bootstrap.servers": kafka}), list[Any]()
    for key, value in (
        (b"steady", b""), (b"steady", b"{"), (b"steady", b"[]"), (b"\xff", None),
        (b"steady", b'{"user":"other","role":"owner","password":"$argon2id$","created":1}'), (b"steady", b"\xff"),
        (b"steady", b'{"user":"steady","role":"owner","password":"plain","created":1}'), (b"steady", b"[" * 9000),
    ):  # fmt: skip
        producer.produce("accounts", value, key, 0, on_delivery=lambda error, message: refused.append(error))
    assert producer.flush(20) == 0
    assert set(refused) == {None}
    assert closed.client("192.0.2.47").register("after.noise").status_code == 201  # so all of it has been read
    assert browser.get("me").json()["role"] == "user"
    assert good["user"] == "steady"
    assert "no account" in closed.log.read_text()


def test_every_route_is_described(closed: GatewayProcess) -> None:
    document = closed.client().get("openapi.json").json()
    listed = {(path, method) for path, described in document["paths"].items() for method in described}
    assert ("/api/v1/me/keys", "post") in listed
    registration = document["paths"]["/api/v1/users"]["post"]
    assert set(registration["responses"]) == {"201", "400", "401", "403", "409", "503"}
    body = registration["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    assert document["components"]["schemas"][body]["required"] == ["user", "password"]
    for path, method in listed:
        spelt = re.sub(r"\{.*?\}", "x", path)
        response = httpx.request(method, f"{closed.url}{spelt}", timeout=15)
        assert response.status_code in (401, 403) or method == "get" or spelt.endswith("session"), (path, method)
        assert response.status_code != 405, (path, method)
    assert "POST /api/v1/users" in httpx.get(f"{closed.url}/docs", timeout=15).text
    refused = httpx.patch(f"{closed.url}/api/v1/me", timeout=15)
    assert (refused.status_code, refused.json()["error"]) == (405, "bad_request")
