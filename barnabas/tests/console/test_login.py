"""Who asks: passwords, sessions, tokens, and how often a wrong one may be tried."""

from __future__ import annotations

from pathlib import Path

import bcrypt
import pytest

from barnabas.console.errors import BadRequest, Busy
from barnabas.console.login import Login, Users
from barnabas.console.web import cookie_of, host_of
from barnabas.tools.errors import ToolError


def write(path: Path, **users: str) -> Path:
    lines = [f"{name}:{bcrypt.hashpw(word.encode(), bcrypt.gensalt(4)).decode()}" for name, word in users.items()]
    path.write_text("# who may\n" + "\n".join(lines).replace("$2b$", "$2y$") + "\n")
    return path


def enter(login: Login, name: str, password: str) -> str:
    hashed = login.verify(name, password)
    assert hashed is not None
    return login.enter(name, hashed)


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
    cookie = enter(login, "ann", "x")
    who = login.identify({}, cookie)
    assert (who.user, who.may) == ("ann", True)
    assert who.csrf != login.identify({}, enter(login, "ann", "x")).csrf  # a token belongs to one session
    now[0] = 11 * 3600.0
    assert login.identify({}, cookie).may
    now[0] += 13 * 3600.0
    assert not login.identify({}, cookie).may
    other = enter(login, "ann", "x")
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
    enter(login, "ann", "x")
    for _ in range(5):
        login.begin("ann")


def test_names_that_were_tried_are_forgotten(tmp_path: Path) -> None:
    now = [0.0]
    login = Login(Users(write(tmp_path / "users", ann="x")), None, now=lambda: now[0])
    with pytest.raises(BadRequest, match="256 characters"):
        login.begin("x" * 257)
    for number in range(1000):
        now[0] += 1
        login.begin(f"{number:0256}")
    assert len(login._attempts._failed) == 60  # of the last minute


def test_a_session_holds_while_the_file_has_its_hash(tmp_path: Path) -> None:
    file = write(tmp_path / "users", ann="x", bob="y")
    login = Login(Users(file), None)
    ann, bob = enter(login, "ann", "x"), enter(login, "bob", "y")
    bobs = next(line for line in file.read_text().splitlines() if line.startswith("bob"))
    file.write_text(f"{bobs}\n")
    assert not login.identify({}, ann).may
    assert login.identify({}, bob).user == "bob"
    file.write_text("broken\n")
    assert not login.identify({}, bob).may
    file.write_text(f"# it was being written\n{bobs}\n")
    assert login.identify({}, bob).user == "bob"
    write(file, bob="another")
    assert not login.identify({}, bob).may
    assert login.identify({}, enter(login, "bob", "another")).may


@pytest.mark.parametrize("others", [
    'prefs={"theme":"dark","n":1}; %s', "title=two words; %s", "%s; title=two words", "a[b]=1;%s", "=; x; %s;;", "%s",
])
def test_cookies_of_others_do_not_hide_ours(others: str) -> None:
    assert cookie_of({"cookie": others % "barnabas_console=a-b_c"}) == "a-b_c"
    assert cookie_of({"cookie": others % "barnabas=x"}) is None


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
