"""Who asks: passwords, sessions, tokens, and how often a wrong one may be tried."""

from __future__ import annotations

from pathlib import Path

import bcrypt
import pytest

from barnabas.console.errors import Busy
from barnabas.console.login import Login, Users
from barnabas.console.web import host_of
from barnabas.tools.errors import ToolError


def write(path: Path, **users: str) -> Path:
    lines = [f"{name}:{bcrypt.hashpw(word.encode(), bcrypt.gensalt(4)).decode()}" for name, word in users.items()]
    path.write_text("# who may\n" + "\n".join(lines).replace("$2b$", "$2y$") + "\n")
    return path


def test_passwords_are_those_of_the_file_as_it_is_now(tmp_path: Path) -> None:
    users = Users(write(tmp_path / "users", ann="secret"))
    assert users.verify("ann", "secret")
    assert not users.verify("ann", "Secret")
    assert not users.verify("bob", "secret")
    assert not users.verify("ann", "secret" * 20)  # bcrypt looks at 72 bytes: a longer one is none
    write(tmp_path / "users", ann="another", bob="x")
    assert not users.verify("ann", "secret")
    assert users.verify("ann", "another")


@pytest.mark.parametrize("text", ["ann:plain", "ann", ":$2y$05$x", "ann:$apr1$x$y", "ann:{SHA}x"])
def test_a_file_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "users").write_text(f"{text}\n")
    with pytest.raises(ToolError, match="line 1"):
        Users(tmp_path / "users")


def test_sessions_end(tmp_path: Path) -> None:
    now = [0.0]
    login = Login(Users(write(tmp_path / "users", ann="x")), None, now=lambda: now[0])
    cookie = login.enter("ann")
    who = login.identify({}, cookie)
    assert (who.user, who.may) == ("ann", True)
    assert who.csrf != login.identify({}, login.enter("ann")).csrf  # a token belongs to one session
    now[0] = 11 * 3600.0
    assert login.identify({}, cookie).may
    now[0] += 13 * 3600.0
    assert not login.identify({}, cookie).may
    other = login.enter("ann")
    login.leave(other)
    assert not login.identify({}, other).may
    assert not login.identify({}, "made up").may


def test_wrong_passwords_are_bounded(tmp_path: Path) -> None:
    now = [0.0]
    login = Login(Users(write(tmp_path / "users", ann="x")), None, now=lambda: now[0])
    for _ in range(5):
        login.begin("ann")
    with pytest.raises(Busy):
        login.begin("ann")
    login.begin("bob")
    now[0] = 61.0
    login.begin("ann")
    login.enter("ann")
    for _ in range(5):
        login.begin("ann")


def test_a_proxy_says_who() -> None:
    login = Login(None, "X-Remote-User")
    assert login.identify({"x-remote-user": "ann"}, None).user == "ann"
    assert not login.identify({}, "cookie").may
    assert login.identify({"x-remote-user": "ann"}, None).csrf != login.identify({"x-remote-user": "bob"}, None).csrf


@pytest.mark.parametrize(("header", "name"), [
    ("localhost:8080", "localhost"), ("LOCALHOST", "localhost"), ("[::1]:8080", "::1"), ("127.0.0.1", "127.0.0.1"),
    ("evil.example:80", "evil.example"), ("", ""), ("localhost.evil.example", "localhost.evil.example"),
])
def test_names_of_hosts(header: str, name: str) -> None:
    assert host_of(header) == name
