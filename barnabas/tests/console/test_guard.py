"""Who may ask what: names, other sites, tokens, read-only, signing in, proxies; and the headers of every answer."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import pytest

from barnabas.embedded import Broker

from .site import Console

NEW = {"name": "t", "partitions": 1}
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def guarded(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """Run a console that asks for a password."""
    users = tmp_path_factory.mktemp("users") / "users"
    users.write_text(f"ann:{bcrypt.hashpw(b'secret', bcrypt.gensalt(4)).decode()}\n")
    with Console("--cluster", f"local={broker.bootstrap}", "--users", str(users)) as console:
        yield console


def page(console: Console, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", console.port, timeout=30)
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
    finally:
        connection.close()


def test_headers_of_every_answer(console: Console) -> None:
    for path in ("/", "/clusters/local/topics", "/assets/none.js", "/api/session", "/api/nothing"):
        status, headers, _ = page(console, path)
        assert status in (200, 404)
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "server" not in headers
        if path.startswith("/api"):
            assert headers["cache-control"] == "no-store"
    assert console.ask("GET", "/session", headers={"Host": "evil.example"}).headers["x-content-type-options"]


def test_nothing_outside_of_the_page_is_served(console: Console) -> None:
    index = page(console, "/")[2]
    for path in (
        "/../app.py", "/..%2fapp.py", "/assets/..%2f..%2fapp.py", "/%2e%2e/settings.py", "/a%00b", "/" + "x" * 5000,
        "//etc/passwd", "/%2fetc%2fpasswd",
    ):
        status, _, body = page(console, path)
        assert (status, body) in ((200, index), (404, b"")), path


@pytest.mark.parametrize("asked", ["a:1-2", "bytes=0-4", "bytes=9999999-", "bytes", "bytes=" + "0-1," * 999])
def test_files_are_sent_whole(console: Console, asked: str) -> None:
    whole = page(console, "/")
    assert page(console, "/", Range=asked)[::2] == whole[::2]
    assert page(console, "/", **{"Range": asked, "Accept-Encoding": "gzip"})[0] == 200
    assert whole[1]["accept-ranges"] == "none"


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", ""])
def test_a_name_that_points_here_is_not_enough(console: Console, host: str) -> None:
    answer = console.ask("GET", "/clusters/local/topics", headers={"Host": host})
    assert (answer.status, answer.json["error"]) == (403, "forbidden")


def test_names_of_this_console(console: Console) -> None:
    for host in ("localhost", f"127.0.0.1:{console.port}", "[::1]:9", "LOCALHOST:80"):
        assert console.ask("GET", "/session", headers={"Host": host}).status == 200


def test_a_write_needs_its_token_and_its_page(console: Console) -> None:
    token = {"X-CSRF-Token": console.csrf()}
    path = "/clusters/local/topics"
    for headers in (
        {}, JSON, token, {**JSON, "X-CSRF-Token": "0" * 64}, {**JSON, **token, "Content-Type": "text/plain"},
        {**JSON, **token, "Origin": "http://evil.example"}, {**JSON, **token, "Origin": "null"},
        {**JSON, **token, "Origin": "http://127.0.0.1:1"}, {**JSON, **token, "Sec-Fetch-Site": "cross-site"},
        {**JSON, **token, "Sec-Fetch-Site": "same-site"},
    ):
        answer = console.ask("POST", path, NEW, headers=headers)
        assert answer.status in (400, 403), headers
    assert console.get(path).json["topics"] == [] or "t" not in [t["name"] for t in console.get(path).json["topics"]]
    assert console.ask("GET", path, headers={"Sec-Fetch-Site": "cross-site"}).status == 403
    done = console.ask("POST", path, NEW, headers={**JSON, **token, "Sec-Fetch-Site": "same-origin"})
    assert done.status == 201
    assert console.change("DELETE", f"{path}/t").status == 200


def test_read_only_refuses_whatever_changes(broker: Broker) -> None:
    broker.create_topic("kept", 1)
    broker.create_topic("summary", 1)
    with Console("--cluster", f"local={broker.bootstrap}", "--read-only") as console:
        assert console.get("/session").json["readOnly"] is True
        assert console.get("/clusters").json["clusters"][0]["readOnly"] is True
        base = "/clusters/local"
        for method, path, body in (
            ("POST", "/topics", NEW), ("DELETE", "/topics/kept", None), ("DELETE", "/topics/summary", None),
            ("POST", "/topics/kept/partitions", {"count": 2}),
            ("POST", "/topics/kept/configs", {"set": {"retention.ms": "1"}}),
            ("POST", "/topics/kept/purge", {"before": {"0": "end"}, "preview": False}),
            ("POST", "/topics/kept/messages", {"value": {"kind": "text", "data": "x"}}),
            ("POST", "/groups/g/offsets", {"topics": [{"topic": "kept"}], "to": {"kind": "earliest"}}),
            ("DELETE", "/groups/g", None), ("DELETE", "/groups/g/offsets", {"topics": ["kept"]}),
            ("POST", "/brokers/1/configs", {"set": {"log.retention.ms": "1"}}), ("POST", "/acls", {}),
            ("DELETE", "/acls", {}), ("POST", "/quotas", {}), ("POST", "/users", {}), ("DELETE", "/users", {}),
        ):
            answer = console.change(method, base + path, body)
            assert (answer.status, answer.json["error"]) == (403, "forbidden"), path
            assert "read-only" in answer.json["message"]
        assert console.get(f"{base}/topics/kept").status == 200
        assert console.ask("POST", f"{base}/topics/summary", {"names": ["kept"]}).status == 200
        assert console.ask("POST", f"{base}/groups/summary", {"ids": []}).status == 200
    broker.delete_topic("kept")
    broker.delete_topic("summary")


def test_signing_in(guarded: Console) -> None:
    session = guarded.get("/session").json
    assert (session["user"], session["login"]) == (None, "password")
    for path in ("/clusters", "/clusters/local/topics", "/clusters/local/topics/t/messages", "/nothing"):
        answer = guarded.get(path)
        assert (answer.status, answer.json["error"]) == (401, "unauthorized")
    assert guarded.post("/clusters/local/topics", NEW).status == 401
    assert guarded.post("/session", {"user": "ann", "password": "wrong"}).status == 401
    without_token = guarded.ask("POST", "/session", {"user": "ann", "password": "secret"}, headers=JSON)
    assert without_token.status == 403

    entered = guarded.post("/session", {"user": "ann", "password": "secret"})
    assert (entered.status, entered.json["user"]) == (200, "ann")
    cookie = entered.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    guarded.cookie = cookie.partition("=")[2].partition(";")[0]
    try:
        assert guarded.get("/session").json["user"] == "ann"
        assert guarded.get("/clusters/local/topics").status == 200
        of_another_port = f'n={{"a": 1}}; barnabas_console={guarded.cookie}; title=two words'
        assert guarded.ask("GET", "/clusters", headers={"Cookie": of_another_port}).status == 200
        old = {**JSON, "X-CSRF-Token": session["csrf"]}
        assert guarded.ask("POST", "/clusters/local/topics", NEW, headers=old).status == 403
        assert guarded.post("/clusters/local/topics", NEW).status == 201
        assert guarded.change("DELETE", "/clusters/local/topics/t").status == 200
        assert guarded.change("DELETE", "/session").json["user"] is None
        assert guarded.get("/clusters/local/topics").status == 401
    finally:
        guarded.cookie = None


def test_who_is_taken_out_of_the_file_is_out(broker: Broker, tmp_path: Path) -> None:
    hashed = {name: bcrypt.hashpw(name.encode(), bcrypt.gensalt(4)).decode() for name in ("ann", "bob")}
    users = tmp_path / "users"
    users.write_text("".join(f"{name}:{word}\n" for name, word in hashed.items()))
    with Console("--cluster", f"local={broker.bootstrap}", "--users", str(users)) as console:
        cookies = {}
        for name in hashed:
            answer = console.post("/session", {"user": name, "password": name})
            cookies[name] = answer.headers["set-cookie"].partition(";")[0]
        users.write_text(f"bob:{hashed['bob']}\n")
        for name, status in (("ann", 401), ("bob", 200)):
            assert console.ask("GET", "/clusters", headers={"Cookie": cookies[name]}).status == status


def test_passwords_cannot_be_tried_for_ever(guarded: Console) -> None:
    statuses = [guarded.post("/session", {"user": "bob", "password": "x"}).status for _ in range(6)]
    assert statuses == [401] * 5 + [429]
    assert guarded.post("/session", {"user": "carol", "password": "x"}).status == 401
    assert guarded.post("/session", {"user": "x" * 257, "password": "x"}).status == 400


def test_a_proxy_signs_in(broker: Broker) -> None:
    with Console(
        "--cluster", f"local={broker.bootstrap}", "--user-header", "X-Remote-User", "--allow-host", "kafka.example"
    ) as console:
        assert console.get("/clusters").status == 401
        console.headers = {"X-Remote-User": "ann", "Host": "kafka.example"}
        session = console.get("/session").json
        assert (session["user"], session["login"]) == ("ann", "header")
        assert console.get("/clusters/local/topics").status == 200
        bob = {"X-Remote-User": "bob", "Host": "kafka.example"}
        written = console.ask("POST", "/clusters/local/topics", NEW, headers={
            **bob, **JSON, "X-CSRF-Token": session["csrf"]
        })
        assert written.status == 403  # the token is ann's


@pytest.mark.parametrize(("options", "said"), [
    (["--cluster", "x"], "NAME=HOST:PORT"), (["--cluster", "a/b=localhost:1"], "name"),
    (["--listen", "8080"], "HOST:PORT"),
    (["--cluster", "a=localhost"], "bootstrap"), (["--command-config", "b=/x"], "no --cluster"),
    (["--cluster", "a=h:1", "--cluster", "a=h:2"], "two clusters"), (["--users", "/missing"], "/missing"),
    (["--schemas", "/missing"], "/missing"), (["--users", "x", "--user-header", "y"], "exclude"),
])
def test_options_that_are_wrong_are_told_of(options: list[str], said: str, capfd: pytest.CaptureFixture[str]) -> None:
    from barnabas.cli import main

    assert main(["console", *options]) == 1
    assert said in capfd.readouterr().err


def test_a_port_that_is_taken(console: Console, capfd: pytest.CaptureFixture[str]) -> None:
    from barnabas.cli import main

    assert main(["console", "--listen", f"127.0.0.1:{console.port}"]) == 1
    assert "--listen" in capfd.readouterr().err


def test_several_clusters_at_once(broker: Broker, tmp_path: Path) -> None:
    config = tmp_path / "client.properties"
    config.write_text("client.id=mine\n")
    with Console(
        "--cluster", f"one={broker.bootstrap}", "--cluster", "away=127.0.0.1:1", "--cluster", f"two={broker.bootstrap}",
        "--command-config", f"two={config}",
    ) as console:
        states = console.get("/clusters").json["clusters"]
        assert [(one["name"], one["state"]) for one in states] == [("one", "up"), ("away", "down"), ("two", "up")]
        assert "127.0.0.1:1" in states[1]["message"]
        assert console.get("/clusters/away/groups").status == 503
        made = console.post("/clusters/two/topics", {"name": "seen-by-both", "partitions": 1}).json["command"]
        assert f"--command-config {config}" in made
        assert console.get("/clusters/one/topics/seen-by-both").status == 200
